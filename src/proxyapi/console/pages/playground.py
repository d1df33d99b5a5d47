"""The playground: any model, or two side by side, with a picture if wanted; what it costs, and the same as code."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import msgspec
from starlette.responses import Response

from proxyapi.console.forms import Problems, count_of
from proxyapi.console.marks import N_
from proxyapi.console.page import Page, get, post
from proxyapi.console.playground import ANSWER_BYTES_MAX, Stream, chat_body
from proxyapi.errors import InvalidRequest, PayloadTooLarge
from proxyapi.money import Nanos, parse_amount
from proxyapi.usage import Unit
from proxyapi.wire.errors import WireError

BODY_BYTES_MAX = 8 * 2**20
"""A picture of 5 MB, written as base64."""
TEXT_CHARACTERS_MAX = 100_000
DEFAULT_MODEL = "openai/gpt-4o-mini"
PANES = ("first", "second")

_PICTURE = re.compile(r"data:image/(png|jpeg|webp|gif);base64,[A-Za-z0-9+/=]+")


class Asked(msgspec.Struct, frozen=True):
    """What a pane's script sends."""

    model: str
    text: str
    system: str = ""
    picture: str = ""
    tokens_max: int | None = None


async def index(page: Page) -> Response:
    return await _page(page, page.asked("model") or DEFAULT_MODEL, "")


async def _page(
    page: Page, first: str, second: str, *, status: int = 200, answers: Any = (), problems: Problems | None = None
) -> Response:
    listings = [listing for listing in page.desk.catalog.models() if listing.mode in ("chat", "responses")]
    return await page.render(
        "playground.html",
        status=status,
        nav="playground",
        models=[listing.name for listing in listings],
        chosen=(first, second),
        answers=dict(zip(PANES, answers, strict=False)),
        typed=page.field,
        errors=problems or {},
        rates=lambda name: _rates(page, name),
    )


async def run(page: Page) -> Response:
    """For the script: one model's answer as the gateway streams it."""
    request = page.request
    if int(request.headers.get("content-length") or 0) > BODY_BYTES_MAX:
        raise PayloadTooLarge("The picture is too large.")
    try:
        asked = msgspec.json.decode(await request.body(), type=Asked)
    except msgspec.MsgspecError:
        raise InvalidRequest("This is no request of the playground.") from None
    if len(asked.text) > TEXT_CHARACTERS_MAX or len(asked.system) > TEXT_CHARACTERS_MAX:
        raise PayloadTooLarge("The text is too long.")
    if asked.picture and not _PICTURE.fullmatch(asked.picture):
        raise InvalidRequest("This is no picture.")
    body = chat_body(asked.model, asked.system, asked.text, asked.picture, tokens_max=asked.tokens_max, stream=True)
    playground = page.desk.playground
    key = await page.desk.write(playground.key_of, page.account_id)
    return page.dress(Stream(await playground.ask(key, body)))


async def ask(page: Page) -> Response:
    """Without a script: the whole answers on a page."""
    problems: Problems = {}
    text, system = page.field("text")[:TEXT_CHARACTERS_MAX], page.field("system")[:TEXT_CHARACTERS_MAX]
    tokens_max = count_of(page, "tokens_max", problems)
    models = [name for name in (page.field("first"), page.field("second")) if name]
    if not text:
        problems["text"] = page.speech.gettext(N_("What shall the model be asked?"))
    first, second = page.field("first") or DEFAULT_MODEL, page.field("second")
    if problems or not models:
        return await _page(page, first, second, status=400, problems=problems)
    key = await page.desk.write(page.desk.playground.key_of, page.account_id)
    bodies = [chat_body(model, system, text, "", tokens_max=tokens_max, stream=False) for model in models]
    answers = await asyncio.gather(*(_whole(page, key, body) for body in bodies))
    return await _page(page, first, second, answers=answers)


async def _whole(page: Page, key: str, body: bytes) -> dict[str, Any]:
    """Text and cost of an answer, or the words of the refusal."""
    response = await page.desk.playground.ask(key, body)
    try:
        answer = msgspec.json.decode(await response.read(ANSWER_BYTES_MAX))
        if response.status >= 400:
            return {"text": "", "error": str(answer.get("detail") or answer["error"]["message"]), "cost": Nanos(0)}
        cost = parse_amount((response.header(b"x-proxyapi-cost") or b"0").decode("latin-1"))
        return {"text": answer["choices"][0]["message"]["content"] or "", "error": "", "cost": cost}
    except (WireError, msgspec.MsgspecError, LookupError, TypeError, AttributeError, ValueError):
        return {"text": "", "error": page.speech.gettext(N_("The answer was cut")), "cost": Nanos(0)}


def _rates(page: Page, name: str) -> tuple[int, int]:
    """Nanos per million of input and output: for the running cost, which is only about right until the end."""
    listing = page.desk.catalog.find(name)
    if listing is None:
        return 0, 0
    return listing.pricing.get(Unit.INPUT.value, 0), listing.pricing.get(Unit.OUTPUT.value, 0)


async def price(page: Page) -> Response:
    """For the script: the rates of a model that was chosen."""
    rates = _rates(page, page.asked("model"))
    return page.dress(Response(msgspec.json.encode(rates), media_type="application/json"))


ROUTES = (
    get("/playground", index),
    post("/playground", ask),
    post("/playground/run", run),
    get("/playground/price", price),
)
