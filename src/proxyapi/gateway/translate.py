"""A request for a provider of another dialect: decoded, encoded anew, and what its reply's translation has to know.

What is billed is what is sent: the call is read again from the encoded body, in the provider's own words, so its
ceiling, its tools and its service tier are those that the provider will charge for.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Struct

from proxyapi.dialects import DIALECTS
from proxyapi.dialects.call import Call, Operation
from proxyapi.dialects.ceiling import Lowered, lowered
from proxyapi.dialects.codec import Asked, Codec, Encoded, TargetModel, Untranslatable
from proxyapi.dialects.codecs import CODECS
from proxyapi.dialects.gemini.contents_in import VIDEO_PAGES
from proxyapi.dialects.model import DialectName, Failed, Message, Part, Request, Thinking
from proxyapi.dialects.state import Sealer
from proxyapi.errors import InvalidRequest, UnknownModel
from proxyapi.gateway.headers import to_foreign_provider, to_provider
from proxyapi.gateway.upstream import ANTHROPIC_VERSION

if TYPE_CHECKING:
    from proxyapi.gateway.links import Links
    from proxyapi.gateway.memory import Memory
    from proxyapi.gateway.routes import Route
    from proxyapi.gateway.visit import Visit
    from proxyapi.providers.catalog import Target
    from proxyapi.usage import Usage

INLINE_BYTES_MAX = 100_000
"""Larger bodies are translated in a thread: 20 ms per megabyte would stall the streams of this process."""
STRICT_HEADER = b"x-proxyapi-strict"
FIELDS_TOLD_MAX = 20
"""In a header; a client that sends more unknown fields than that knows that they are unknown."""

_OPERATIONS: dict[str, Operation] = {
    "openai_chat": "chat",
    "openai_responses": "responses",
    "anthropic": "messages",
    "gemini": "generate",
}
_OWN_IDS: dict[DialectName, str] = {"openai_responses": "resp_", "anthropic": "msg_"}
"""What the gateway keeps it has to name. And Claude Code takes replies of one id for one reply, while some providers of
other dialects give all the same."""
_ACTIONS = {False: "generateContent", True: "streamGenerateContent"}
_EVENTS_QUERY = "alt=sse"
_ABOUT_STATES = re.compile(
    r"signature|thinking.{0,20}block|encrypted.?content|reasoning.{0,40}(item|not found)|item.{0,40}reasoning",
    re.IGNORECASE,
)
"""What providers say of states that they can't read, or that no longer fit the conversation."""
_REFUSED_STATES: frozenset[str] = frozenset({"invalid_request", "not_found", "internal"})
_UNTOLD = re.compile(r"[^A-Za-z0-9_.\[\]-]")


class Translated(Struct, frozen=True, kw_only=True):
    """One request, ready for its provider."""

    client: Codec
    provider: Codec
    request: Request
    """As the client meant it, with what the gateway remembers of the conversation."""
    target: TargetModel
    encoded: Encoded
    call: Call
    """What is sent, as the provider bills it; the operation is still the client's."""
    path: str
    """With its query."""
    lines: bytes
    """Header fields for the provider."""
    told: bytes
    """Header lines for the client: whether, and by what, the translation changed the request."""
    asked_as: str
    """The model as the client named it."""
    sealer: Sealer
    """Of the client's account."""
    lowered_to: int | None = None
    """The ceiling of output where money is short; None: it is the client's own."""
    as_array: bool = False
    """A Gemini stream without `alt=sse`."""


class _End(NamedTuple):
    """The provider's end of requests to one target."""

    target: Target
    model: TargetModel
    paths: tuple[str, str]
    """Of a body and of a stream, with their queries."""


ENDS_MAX = 4_096
"""Remembered, as many as names of models are; then all are made anew."""
SEALERS_MAX = 10_000
"""Remembered, by account; then all are made anew."""


class Translator:
    def __init__(self, *, key: bytes, memory: Memory, links: Links, clock: Callable[[], float]) -> None:
        """`key` seals reasoning states; all workers need the same. `clock`: Unix seconds."""
        self._key = key
        self._memory = memory
        self._links = links
        self._clock = clock
        self._sealers: dict[int, Sealer] = {}
        self._ends: dict[tuple[str, str, str], _End] = {}

    async def translate(self, visit: Visit, route: Route, call: Call, body: bytes, target: Target) -> Translated:
        """The request in the dialect of its target. InvalidRequest names the client's field that can't be said there;
        UnknownModel: the two dialects are never translated into each other."""
        client, provider = CODECS.get(route.dialect), CODECS.get(target.dialect)
        if client is None or provider is None:
            raise UnknownModel(call.model, f"{target.provider.title} does not serve this address")
        sealer = self._sealer(visit)
        unseal, large = sealer.unseal, call.prompt_bytes > INLINE_BYTES_MAX
        if large:
            request = await asyncio.to_thread(
                client.decode, body, model=route.model, stream=route.stream, unseal=unseal
            )
        else:
            request = client.decode(body, model=route.model, stream=route.stream, unseal=unseal)
        if client.name == "openai_chat" and route.provider is None:
            request = msgspec.structs.replace(request, stream_usage=True)
        if target.quirks.thinking_form != "none":
            request = await self._memory.recall(_account(visit), client.name, request, target.origin)
        if provider.name == "gemini" and target.quirks.no_link_media:
            filled = await self._links.inlined(request, but=VIDEO_PAGES)
            large, request = large or filled is not request, filled
        end = self._end(target)
        if large:
            return await asyncio.to_thread(self._encoded, client, provider, visit, call, request, end, sealer)
        return self._encoded(client, provider, visit, call, request, end, sealer)

    def _end(self, target: Target) -> _End:
        """What is the same for every request to a target."""
        key = target.provider.name, target.model, target.dialect
        end = self._ends.get(key)
        if end is None or end.target is not target:
            if len(self._ends) >= ENDS_MAX:
                self._ends.clear()
            end = self._ends[key] = _end_of(target)
        return end

    @staticmethod
    def _encoded(
        client: Codec, provider: Codec, visit: Visit, call: Call, request: Request, end: _End, sealer: Sealer
    ) -> Translated:
        target, model = end.target, end.model
        encoded = _encode(client, provider, request, model)
        if visit.exchange.header(STRICT_HEADER) == b"1":
            refuse_loss(client, encoded)
        # Gemini's body names no model; in all others it stands in its place.
        name = model.model if provider.name == "gemini" else None
        billed = DIALECTS[provider.name].read(encoded.body, model=name, stream=request.stream, ours=True)
        return Translated(
            client=client,
            provider=provider,
            request=request,
            target=model,
            encoded=encoded,
            call=msgspec.structs.replace(billed, operation=call.operation),
            path=end.paths[request.stream],
            lines=_lines(visit, target, provider.name, encoded, stream=request.stream),
            told=told(client, encoded),
            asked_as=call.model,
            sealer=sealer,
            as_array=client.name == "gemini" and _EVENTS_QUERY not in visit.exchange.query,
        )

    @staticmethod
    def lowered(translated: Translated, ceiling: int) -> Lowered | None:
        """What the provider would be sent with a lower ceiling, and the client told, in its own words."""
        provider = translated.provider.name
        found = lowered(provider, translated.encoded.body, translated.target.quirks, ceiling)
        if found is None:
            return None
        told = [(spelled(translated.client, "output_tokens_max"), str(ceiling))]
        # Beside the ceiling it can only be thinking that had to change.
        told += [(spelled(translated.client, "reasoning"), value) for _, value in found.told[1:]]
        return Lowered(found.body, tuple(told))

    @staticmethod
    def shortened(translated: Translated, call: Call, lowered: Lowered) -> Translated:
        """The request with a lower ceiling."""
        return msgspec.structs.replace(
            translated,
            encoded=msgspec.structs.replace(translated.encoded, body=lowered.body),
            call=call,
            lowered_to=call.output_tokens_max,
        )

    def without_states(self, visit: Visit, target: Target, translated: Translated) -> Translated | None:
        """The request once more without any reasoning state. None: it has none."""
        request = without_states(translated.request)
        if request is None:
            return None
        encoded = _encode(translated.client, translated.provider, request, translated.target)
        if translated.lowered_to is not None:
            shorter = lowered(translated.provider.name, encoded.body, translated.target.quirks, translated.lowered_to)
            if shorter is None:
                return None
            encoded = msgspec.structs.replace(encoded, body=shorter.body)
        lines = _lines(visit, target, translated.provider.name, encoded, stream=request.stream)
        return msgspec.structs.replace(translated, encoded=encoded, lines=lines)

    def asked(self, visit: Visit, translated: Translated, cost: Callable[[Usage], str], currency: str) -> Asked:
        """What the encoder of the reply has to know."""
        request = translated.request
        if translated.lowered_to is not None:
            request = msgspec.structs.replace(request, output_tokens_max=translated.lowered_to)
        if visit.turn is not None and visit.turn.previous_id:
            storage = msgspec.structs.replace(request.storage, previous_response_id=visit.turn.previous_id)
            request = msgspec.structs.replace(request, storage=storage)
        return Asked(
            request=request,
            model=translated.asked_as,
            reply_id=visit.id.hex(),
            created_at=int(self._clock()),
            seal=translated.sealer.seal,
            cost=cost,
            currency=currency,
        )

    def _sealer(self, visit: Visit) -> Sealer:
        """One for each account: a state that one customer got is none for another."""
        account = _account(visit)
        sealer = self._sealers.get(account)
        if sealer is None:
            if len(self._sealers) >= SEALERS_MAX:
                self._sealers.clear()
            sealer = self._sealers[account] = Sealer(hmac.digest(self._key, b"account %d" % account, "sha256"))
        return sealer


def given_id(visit: Visit, client: DialectName) -> str:
    """Of a reply, in place of the provider's; empty: that one stays."""
    prefix = _OWN_IDS.get(client)
    return prefix + visit.id.hex() if prefix else ""


def _account(visit: Visit) -> int:
    return visit.caller.account_id if visit.caller is not None else 0


def _encode(client: Codec, provider: Codec, request: Request, model: TargetModel) -> Encoded:
    try:
        return provider.encode(request, model)
    except Untranslatable as error:
        field = spelled(client, error.field)
        raise InvalidRequest(f"{field} cannot be translated for {model.model}: {error.why}", param=field) from error


def spelled(client: Codec, field: str) -> str:
    """A canonical field in the client's own words."""
    words = client.fields
    if field in words:
        return words[field]
    head, dot, rest = field.partition(".")
    return f"{words[head]}{dot}{rest}" if head in words else field


def _spelled(client: Codec, fields: Iterable[str]) -> list[str]:
    """Each once, without what has no place in a header: clients may invent names."""
    return list(dict.fromkeys(_UNTOLD.sub("", spelled(client, field)) for field in fields))[:FIELDS_TOLD_MAX]


def refuse_loss(client: Codec, encoded: Encoded) -> None:
    refuse_lossy(_spelled(client, encoded.dropped), _spelled(client, encoded.approximated))


def refuse_lossy(dropped: Sequence[str], approximated: Sequence[str] = ()) -> None:
    """InvalidRequest if anything is lost; fields in the client's own words."""
    words = [f"drop {', '.join(dropped)}"] if dropped else []
    words += [f"say {', '.join(approximated)} in another way"] if approximated else []
    if words:
        field = (dropped or approximated)[0]
        raise InvalidRequest(f"x-proxyapi-strict: the translation would {' and '.join(words)}", param=field)


def told(client: Codec, encoded: Encoded) -> bytes:
    if not encoded.dropped and not encoded.approximated:
        return _EXACT
    return loss_lines(_spelled(client, encoded.dropped), _spelled(client, encoded.approximated))


_EXACT = b"x-proxyapi-translation: exact\r\n"


def loss_lines(dropped: Sequence[str], approximated: Sequence[str] = ()) -> bytes:
    """Header lines that say what a translation lost; fields in the client's own words."""
    lines = b"x-proxyapi-translation: lossy\r\n" if dropped or approximated else _EXACT
    for name, fields in ((b"dropped", dropped), (b"approximated", approximated)):
        if fields:
            lines += b"x-proxyapi-%b: %b\r\n" % (name, ", ".join(fields).encode())
    return lines


def _end_of(target: Target) -> _End:
    model = TargetModel(
        model=target.model,
        quirks=target.quirks,
        origin=target.origin,
        output_tokens_max=target.facts.output_tokens_max,
    )
    return _End(target, model, (_path(target, stream=False), _path(target, stream=True)))


def _path(target: Target, *, stream: bool) -> str:
    """Nothing of the client's path or query: they are of another API."""
    dialect = target.dialect
    path = target.provider.path(dialect, _OPERATIONS[dialect], model=target.model, action=_ACTIONS[stream])
    return f"{path}?{_EVENTS_QUERY}" if dialect == "gemini" and stream else path


def _lines(visit: Visit, target: Target, dialect: DialectName, encoded: Encoded, *, stream: bool) -> bytes:
    introduction = visit.introduction
    assert introduction is not None, "the entrance made it"
    key = target.provider.name, dialect, stream
    lines = introduction.forwarded.get(key)
    if lines is None:
        lines = introduction.forwarded[key] = _forwarded(visit, target, dialect, stream=stream)
    if not encoded.headers:
        return lines
    return lines + b"".join([b"%b: %b\r\n" % field for field in encoded.headers])


def _forwarded(visit: Visit, target: Target, dialect: DialectName, *, stream: bool) -> bytes:
    route, sent = visit.route, visit.exchange.head.headers
    if route is not None and route.dialect == dialect:
        lines = to_provider(sent, target.provider.forwarded_headers)
    else:
        lines = to_foreign_provider(sent, target.provider.forwarded_headers)
        lines += b"content-type: application/json\r\naccept: "
        lines += b"text/event-stream\r\n" if stream else b"application/json\r\n"
    if dialect == "anthropic" and b"anthropic-version: " not in lines:
        lines += ANTHROPIC_VERSION
    return lines


# --- reasoning states that a provider refuses -------------------------------------------------------------------------


def is_about_states(failed: Failed) -> bool:
    """Whether a provider refused a request because of the reasoning states in it."""
    return failed.kind in _REFUSED_STATES and bool(_ABOUT_STATES.search(f"{failed.code} {failed.message}"))


def without_states(request: Request) -> Request | None:
    """The conversation without any proof of reasoning. None: there was none."""
    messages = [_stripped(message) for message in request.messages]
    if all(now is before for now, before in zip(messages, request.messages, strict=True)):
        return None
    return msgspec.structs.replace(request, messages=tuple(message for message in messages if message.parts))


def _stripped(message: Message) -> Message:
    parts: list[Part] = []
    for part in message.parts:
        if isinstance(part, Thinking) and (part.state is not None or part.id):
            continue
        parts.append(msgspec.structs.replace(part, state=None) if part.state is not None else part)
    same = len(parts) == len(message.parts) and all(
        one is other for one, other in zip(parts, message.parts, strict=True)
    )
    return message if same else msgspec.structs.replace(message, parts=tuple(parts))
