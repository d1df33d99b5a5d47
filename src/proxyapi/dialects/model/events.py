"""The reply: a sequence of events, whether it came as one body or as a stream."""

from __future__ import annotations

from msgspec import Raw, Struct

from proxyapi.dialects.model.parts import Part, ServerToolResult
from proxyapi.dialects.model.values import Citation, ReasoningState, TokenLogprob
from proxyapi.dialects.model.vocabulary import DialectName, ErrorKind, StopReason
from proxyapi.usage import Usage


class ModelUsage(Struct, frozen=True):
    """What another model spent inside the same reply: an advisor, a compaction, an image generator, a fallback."""

    model: str
    """Model as the provider names it."""
    usage: Usage
    """Its own disjoint units, not contained in the main usage."""


class Start(Struct, frozen=True, kw_only=True):
    """Once, first."""

    id: str
    """Reply id; made up by the gateway when the provider sends none."""
    model: str
    """As the provider names it."""
    created_at: int | None = None
    """Unix seconds."""
    tier: str = ""
    """Tier that served it."""


class PartStart(Struct, frozen=True):
    """`part` holds everything known at the start: ids, names, kind. Its text, arguments or data are empty."""

    index: int
    """Counts parts of all choices, in order of opening."""
    part: Part
    """The empty part."""
    choice: int = 0
    """Which alternative it belongs to."""


class PartDelta(Struct, frozen=True):
    """More of the part's main text: text, thinking, arguments, transcript."""

    index: int
    """An open part."""
    text: str
    """Not empty."""
    logprobs: tuple[TokenLogprob, ...] = ()
    """Of exactly these tokens."""


class PartSummary(Struct, frozen=True):
    """More of a thinking part's summary number `number` (R)."""

    index: int
    """An open thinking part."""
    number: int
    """Counts from 0."""
    text: str
    """Not empty."""


class PartData(Struct, frozen=True):
    """More bytes of an audio or image part, base64, cut at multiples of four characters."""

    index: int
    """An open part."""
    data: str
    """Base64."""


class PartCitation(Struct, frozen=True):
    index: int
    """An open text part."""
    citation: Citation
    """Whole."""


class PartState(Struct, frozen=True):
    """The part's reasoning state, whole. Before its PartEnd."""

    index: int
    """An open part."""
    state: ReasoningState
    """Whole; the last one wins."""


class PartEnd(Struct, frozen=True):
    index: int
    """No event for it follows."""
    result: ServerToolResult | None = None
    """For a server tool whose dialect reports call and result as one item (R)."""
    incomplete: bool = False
    """Cut: a partial call must not be executed."""


class Metered(Struct, frozen=True):
    """All usage so far, not an increment. The last one is the bill."""

    usage: Usage
    """Main model."""
    others: tuple[ModelUsage, ...] = ()
    """Other models of the same reply."""
    estimated: bool = False
    """Counted by the gateway, not by the provider."""


class Finish(Struct, frozen=True, kw_only=True):
    """Once for each choice, after its last PartEnd."""

    reason: StopReason
    """Canonical."""
    choice: int = 0
    """Which alternative."""
    native: str = ""
    """The provider's own word."""
    stop_sequence: str = ""
    """The matched one, if known."""
    category: str = ""
    """Refusal or safety category."""
    message: str = ""
    """Human words (G `finishMessage`, M `stop_details.explanation`)."""


class KeepAlive(Struct, frozen=True):
    """Nothing happened, and the provider said so (ping, comment, keepalive)."""


class Notice(Struct, frozen=True):
    """A native side value (safety ratings, moderation, filter results, search entry point…). Same dialect only."""

    dialect: DialectName
    """Where it came from."""
    name: str
    """Wire field."""
    body: Raw
    """As received."""


class Failed(Struct, frozen=True, kw_only=True):
    """The reply ended in an error. Nothing follows but Metered."""

    kind: ErrorKind
    """Canonical; decides status and type in each dialect."""
    message: str
    """Words for the client."""
    status: int = 502
    """HTTP status, also when the head is already out."""
    code: str = ""
    """Machine word of the provider."""
    param: str = ""
    """Offending field."""
    type: str = ""
    """The provider's type or status word."""
    retry_after_seconds: float | None = None
    """From `Retry-After` or G `RetryInfo`."""


PartEvent = PartStart | PartDelta | PartSummary | PartData | PartCitation | PartState | PartEnd
Event = Start | PartEvent | Metered | Finish | KeepAlive | Notice | Failed
