"""The contract of translation: what a conversational dialect does beside passing its own bytes.

    client's body --decode--> Request --encode--> provider's body
    provider's bytes --Decoder--> events --Encoder--> client's bytes

Each dialect has one codec; none knows another. What a target can't say in any way raises `Untranslatable` before the
provider is called; a mere knob that it lacks is dropped and named; what is said in another way is named too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar, Protocol

from msgspec import Raw, Struct
from msgspec.structs import replace

from proxyapi.dialects.answer import Answer
from proxyapi.dialects.dialect import Decoder
from proxyapi.dialects.model import DialectName, Event, Failed, ReasoningState, Request, Start
from proxyapi.dialects.quirks import Quirks
from proxyapi.errors import ProxyError
from proxyapi.usage import Usage

Unseal = Callable[[str], ReasoningState | None]
"""Text that a client echoed -> the state that the gateway had put into it; None: it is none of ours, or was changed."""
Seal = Callable[[ReasoningState], str]
"""A state that the client's dialect has no place of its own for -> text of `[A-Za-z0-9._-]` that a client echoes."""


def sealed_nothing(text: str) -> ReasoningState | None:
    """An `Unseal` that knows nothing."""
    return None


class Untranslatable(ProxyError):
    """The target has no way to say this. `field` is canonical: a path of attributes of `Request`, as `choices` or
    `messages.audio`; the client's own codec knows how its client spells that."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why
        """A clause that can follow a colon, such as `Anthropic Messages gives one answer only`."""


class TargetModel(Struct, frozen=True, kw_only=True):
    """The model at its provider, as far as a codec has to know it."""

    model: str
    """As the provider names it."""
    quirks: Quirks = Quirks()
    origin: str = ""
    """Provider and model family: reasoning states and files of another origin are not sent."""
    output_tokens_max: int | None = None
    """The catalog's ceiling, for dialects that need one."""


class Encoded(Struct, frozen=True, kw_only=True):
    """A request in the provider's dialect."""

    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """Further header fields that the used features need (`anthropic-beta`), names in lower case."""
    dropped: tuple[str, ...] = ()
    """Canonical fields that the target lacks: knobs that change quality or cost, not the meaning."""
    approximated: tuple[str, ...] = ()
    """Canonical fields that are said in another way, so that the answer may differ."""
    names: Mapping[str, str] = {}
    """Aliases of tool names that the target would refuse -> the declared names."""
    json_tool: str = ""
    """Name of the forced tool whose arguments are the answer's text (structured output by a tool)."""
    rewritten: Mapping[str, Raw] = {}
    """Schemas whose numbers the target was told as texts, by the target's name of the tool; empty name: of the answer.
    `schema.restored` turns them back."""
    stop: tuple[str, ...] = ()
    """Stop sequences that the target does not know: the gateway cuts the text."""


class Asked(Struct, frozen=True, kw_only=True):
    """What an encoder of a reply has to know of the request that it answers."""

    request: Request
    """The client's request in canonical form; Responses echoes much of it."""
    model: str
    """The name that the client gets to see: the one it asked for."""
    reply_id: str
    """Unique, `[A-Za-z0-9]`: ids that the provider did not give are made of it."""
    created_at: int
    """Unix seconds."""
    seal: Seal
    cost: Callable[[Usage], str] = lambda usage: ""
    """Price of a usage as decimal text; empty: it is not told."""
    currency: str = ""


class Terms(Struct, frozen=True, kw_only=True):
    """What a reply has to be for its client, whatever its provider sends (see `reshape`)."""

    request: Request
    encoded: Encoded
    reply_id: str
    """Ids that the provider did not give are made of it."""
    origin: str
    """Of the target's reasoning states."""
    provider: str
    """As messages call it."""
    linear: bool
    """One part is open at a time."""
    start_id: str = ""
    """Stands for the reply's."""

    def named(self, start: Start) -> Start:
        """With the id that the client gets."""
        id = self.start_id or start.id or self.reply_id
        return start if start.id == id else replace(start, id=id)

    def answer(self, answer: Answer) -> Answer | None:
        """A whole reply that is one text. None: it has to be reshaped, as its text may have to change."""
        if self.encoded.stop or self.request.format is not None:
            return None
        return Answer(self.named(answer.start), answer.text, answer.finish, answer.metered)


class Encoder(Protocol):
    """Events of one reply -> the bytes of the client's dialect.

    The events come in order, linear where the dialect needs it (see `reshape`), with ids and names already mapped. As a
    stream every event leaves at once; a body leaves with `close`.
    """

    def feed(self, events: Iterable[Event]) -> bytes: ...
    def close(self) -> bytes:
        """The rest, and the proper end. Not after `fail`."""
        ...

    def answer(self, answer: Answer) -> bytes:
        """All of a body that is one text, in place of `feed` and `close`."""
        return self.feed(answer.events()) + self.close()

    def fail(self, failed: Failed, request_id: str) -> bytes:
        """Of a stream: an error event, and nothing that looks like success. Open parts are closed if they must be."""
        ...


class Codec(Protocol):
    name: ClassVar[DialectName]
    title: ClassVar[str]
    """In messages to clients: `Anthropic Messages`."""
    fields: ClassVar[Mapping[str, str]]
    """Canonical field -> as this dialect's clients spell it, where it differs: `choices` -> `n`."""

    def decode(self, body: bytes, *, model: str | None = None, stream: bool = False, unseal: Unseal) -> Request:
        """A client's request. `model` and `stream` come from the path (Gemini). InvalidRequest names the field."""
        ...

    def encode(self, request: Request, target: TargetModel) -> Encoded:
        """The request for a provider. Untranslatable."""
        ...

    def decoder(self, *, stream: bool, target: TargetModel) -> Decoder:
        """For one reply of a provider, as its quirks demand."""
        ...

    def encoder(self, *, stream: bool, asked: Asked) -> Encoder:
        """For one reply to a client."""
        ...
