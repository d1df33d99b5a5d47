"""The sandbox as an upstream: paths to answers, magic model names, and the answers onto the wire."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import parse_qsl, unquote

from proxyapi.sandbox import (
    chat,
    completions,
    generate,
    images,
    messages,
    models,
    responses,
    speech,
    transcription,
    vectors,
)
from proxyapi.sandbox.faults import Shape, default_text, error_event, error_object, error_reply
from proxyapi.sandbox.multipart import Form, read_form
from proxyapi.sandbox.reading import Ids, JsonObject, Refused, as_text, encode, read_object
from proxyapi.sandbox.reply import Reply, cut_after, error_after, json_reply
from proxyapi.sandbox.request import Request
from proxyapi.sandbox.stored import StoredResponses
from proxyapi.sandbox.turn import Count, magic_of
from proxyapi.wire.errors import BodyTooLarge, WireError
from proxyapi.wire.server import Exchange

BODY_BYTES_MAX = 64 * 2**20
_CUT_PAUSE_SECONDS = 0.005
"""Lets the last bytes reach the socket before the connection is cut: an abort drops what is still buffered."""
_TOKEN_BYTES = 4
_VERSION = re.compile(r"v\d+(?:beta\d*|alpha)?")

_PLAIN: Mapping[str, Callable[[Request], Reply]] = {
    "chat/completions": chat.reply,
    "completions": completions.reply,
    "messages": messages.reply,
    "messages/count_tokens": messages.reply,
    "embeddings": vectors.openai_embeddings,
    "moderations": vectors.moderations,
    "images/generations": images.reply,
    "images/edits": images.reply,
    "images/variations": images.reply,
    "audio/speech": speech.reply,
    "audio/transcriptions": transcription.reply,
    "audio/translations": transcription.reply,
}
"""Answered for POST."""
_GEMINI: Mapping[str, Callable[[Request], Reply]] = {
    "generateContent": generate.reply,
    "streamGenerateContent": generate.reply,
    "countTokens": generate.reply,
    "embedContent": vectors.gemini_embeddings,
    "batchEmbedContents": vectors.gemini_embeddings,
}
"""POST `models/{model}:{method}`."""


def count_bytes(text: str) -> int:
    """Tokens without a tokenizer: one for four bytes."""
    return max(1, len(text.encode("utf-8", "surrogatepass")) // _TOKEN_BYTES)


class Sandbox:
    """Give `handler` to a wire server; `reply` is the same without a network.

    `count` counts the tokens of a text; `clock_ns` (nanoseconds since 1970) dates stored responses and makes their ids
    unique; `pace_seconds` is the pause between the events of a stream; `models` are the names that lists show.
    """

    def __init__(
        self,
        *,
        count: Count = count_bytes,
        clock_ns: Callable[[], int] = time.time_ns,
        pace_seconds: float = 0.0,
        models: Mapping[str, Sequence[str]] = models.MODELS,
    ) -> None:
        self._count = count
        self._clock_ns = clock_ns
        self._pace_seconds = pace_seconds
        self._models = models
        self._stored = StoredResponses()
        self._requests = 0

    def reply(self, method: str, path: str, query: str = "", body: bytes = b"", content_type: str = "") -> Reply:
        """The answer to one request; `path` is percent-encoded, as on the wire."""
        provider, rest = _split(unquote(path))
        values = dict(parse_qsl(query))
        ids = Ids(method.encode(), rest.encode(), body)
        shape = _shape(provider, rest, values)
        try:
            request = self._request(method, provider, rest, values, body, content_type)
            ids = request.ids
            if request.magic.kind == "fail":
                raise Refused(request.magic.number, default_text(request.magic.number))
            reply = _disturb(self._answer(request), request, shape)
        except Refused as refusal:
            status = refusal.status if 400 <= refusal.status <= 599 else 400
            reply = error_reply(shape, status, refusal.message, ids, param=refusal.param, code=refusal.code)
        name = "request-id" if shape == "anthropic" else "x-request-id"
        return reply.with_headers((name, "req_" + ids.hex("request id", 32)))

    def _request(
        self, method: str, provider: str, path: str, query: dict[str, str], raw: bytes, content_type: str
    ) -> Request:
        body: JsonObject = {}
        form: Form | None = None
        if method == "POST" and content_type.lower().startswith("multipart/form-data"):
            form = read_form(raw, content_type)
        elif method == "POST" and raw:
            body = read_object(raw)
        model = form.text("model") if form else as_text(body.get("model"))
        if path.startswith("models/") and ":" in path:
            model = path.removeprefix("models/").rpartition(":")[0]
        now = self._clock_ns()
        self._requests += 1
        return Request(
            method=method,
            provider=provider,
            path=path,
            query=query,
            body=body,
            form=form,
            model=model,
            magic=magic_of(model),
            ids=_ids(method, path, body, form),
            count=self._count,
            now=now // 10**9,
            moment=b"%d %d" % (now, self._requests),
        )

    def _answer(self, request: Request) -> Reply:
        method, path = request.method, request.path
        if method in ("GET", "HEAD"):
            if not path:
                return json_reply({"sandbox": True})
            if path == "models" or path.startswith("models/"):
                return models.reply(request, self._models)
        if path == "responses" or path.startswith("responses/"):
            return responses.reply(request, self._stored)
        if method == "POST":
            if answer := _PLAIN.get(path):
                return answer(request)
            if path.startswith("models/") and (answer := _GEMINI.get(path.rpartition(":")[2])):
                return answer(request)
        raise Refused(404, f"Invalid URL ({method} /{path})", code="unknown_url")

    async def handler(self, exchange: Exchange) -> None:
        """Drives one exchange of the wire."""
        try:
            body = await exchange.read(BODY_BYTES_MAX)
        except BodyTooLarge as error:
            ids = Ids(exchange.path.encode())
            reply = error_reply("openai", 413, str(error), ids)
        except WireError:
            exchange.abort()
            return
        else:
            content_type = (exchange.header(b"content-type") or b"").decode("latin-1")
            reply = self.reply(exchange.method, exchange.path, exchange.query, body, content_type)
        try:
            await self._send(exchange, reply)
        except WireError:
            exchange.abort()

    async def _send(self, exchange: Exchange, reply: Reply) -> None:
        if reply.delay_seconds:
            await asyncio.sleep(reply.delay_seconds)
            if exchange.gone:
                exchange.abort()
                return
        headers = b"Content-Type: " + reply.content_type.encode() + b"\r\n"
        headers += b"".join(f"{name}: {value}\r\n".encode() for name, value in reply.headers)
        if not reply.stream and not reply.cut:
            exchange.respond(reply.status, headers, b"".join(reply.pieces))
            return
        if not reply.stream:
            body = b"".join(reply.pieces)
            exchange.start(reply.status, headers, len(body))
            exchange.write(body[: len(body) // 2])
            await asyncio.sleep(_CUT_PAUSE_SECONDS)
            exchange.abort()
            return
        exchange.start(reply.status, headers, None)
        for piece in reply.pieces:
            exchange.write(piece)
            if self._pace_seconds:
                await asyncio.sleep(self._pace_seconds)
            await exchange.drained()
        if reply.cut:
            await asyncio.sleep(_CUT_PAUSE_SECONDS)
            exchange.abort()
            return
        exchange.write(reply.tail)
        exchange.finish()


def _split(path: str) -> tuple[str, str]:
    """`/openai/v1/chat/completions` as (`openai`, `chat/completions`); without a provider it stands for OpenAI."""
    segments = [segment for segment in path.split("/") if segment]
    if segments and segments[0] == "sandbox":
        segments.pop(0)
    provider = ""
    if segments and not _VERSION.fullmatch(segments[0]):
        provider = segments.pop(0)
    while segments and (segments[0] == "api" or _VERSION.fullmatch(segments[0])):
        segments.pop(0)
    return provider, "/".join(segments)


def _ids(method: str, path: str, body: JsonObject, form: Form | None) -> Ids:
    """The same for a body and for a stream of the same question, so that the two can be compared."""
    asked = {name: value for name, value in body.items() if name not in ("stream", "stream_options")}
    parts = [method.encode(), path.replace(":streamGenerate", ":generate").encode(), encode(asked)]
    if form is not None:
        parts.append(encode(form.fields))
        parts += [upload.data for uploads in form.files.values() for upload in uploads]
    return Ids(*parts)


def _shape(provider: str, path: str, query: dict[str, str]) -> Shape:
    """The shape of an error: the dialect's, whoever is stood for."""
    method = path.rpartition(":")[2] if path.startswith("models/") else ""
    if method in _GEMINI:
        streamed = method == "streamGenerateContent" and query.get("alt") != "sse"
        return "google_array" if streamed else "google"
    if path.startswith("messages") or provider == "anthropic":
        return "anthropic"
    if provider == "google":
        return "google"
    if provider == "openrouter":
        return "openrouter"
    return "responses" if path.startswith("responses") else "openai"


def _disturb(reply: Reply, request: Request, shape: Shape) -> Reply:
    """What a magic name asks for beyond the answer itself."""
    kind, number = request.magic
    if kind == "slow":
        return replace(reply, delay_seconds=number / 1_000)
    if kind == "cut":
        return cut_after(reply, number)
    if kind != "error":
        return reply
    if not reply.stream:
        raise Refused(529 if shape == "anthropic" else 500, default_text(500))
    at = min(number, max(0, len(reply.pieces) - 1))
    if shape == "google_array":
        body = encode(error_object("google", 503, default_text(503), request.ids))
        return replace(error_after(reply, at, (b",\r\n" if at else b"[") + body), tail=b"]")
    return error_after(reply, at, error_event(shape, request.ids, sequence_number=at))
