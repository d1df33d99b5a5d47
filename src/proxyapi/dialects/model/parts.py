"""The parts of a message, and the message."""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct

from proxyapi.dialects.model.tools import Tool
from proxyapi.dialects.model.values import ABSENT, CacheMark, Citation, ReasoningState, Source, TokenLogprob
from proxyapi.dialects.model.vocabulary import Detail, DialectName, Role, ServerToolKind


class PartBase(Struct, frozen=True, kw_only=True):
    cache: CacheMark | None = None
    """M `cache_control`, C and R `prompt_cache_breakpoint`. G: dropped (implicit caching)."""
    state: ReasoningState | None = None
    """Reasoning state that rides on this part (G `thoughtSignature` on any part, M `signature` on thinking)."""


class Text(PartBase, frozen=True, tag="text"):
    text: str
    """Never empty in a finished message."""
    citations: tuple[Citation, ...] = ()
    """Sources of this text, in order of arrival."""
    logprobs: tuple[TokenLogprob, ...] = ()
    """Present only when asked for."""


class Refusal(PartBase, frozen=True, tag="refusal"):
    """Words of a refusal (C `message.refusal`, R `refusal` content)."""

    text: str
    """What the model said instead."""


class Image(PartBase, frozen=True, tag="image"):
    source: Source
    """The picture."""
    detail: Detail | None = None
    """C and R `detail`, G per-part `mediaResolution`."""


class Audio(PartBase, frozen=True, tag="audio"):
    source: Source
    """The sound; media type carries the format (audio/wav, audio/mpeg, audio/L16;rate=24000)."""
    transcript: str = ""
    """Words spoken, in replies."""
    id: str = ""
    """C `audio.id`: how a later turn points at audio that the provider keeps."""
    expires_at: int | None = None
    """Unix seconds until when `id` works."""


class Video(PartBase, frozen=True, tag="video"):
    source: Source
    """The clip."""
    start_seconds: float | None = None
    """G `videoMetadata.startOffset`."""
    end_seconds: float | None = None
    """G `videoMetadata.endOffset`."""
    frames_per_second: float | None = None
    """G `videoMetadata.fps`."""
    detail: Detail | None = None
    """G per-part `mediaResolution`."""


class Document(PartBase, frozen=True, tag="document"):
    source: Source | None
    """PDF or another file. None when the content is `text` or `parts`."""
    text: str = ""
    """M plain-text source."""
    parts: tuple[Text | Image, ...] = ()
    """M content source."""
    title: str = ""
    """M `title`, C and R `filename`, G `displayName`."""
    context: str = ""
    """M: words about the document that are not cited."""
    citations: bool | None = None
    """M `citations.enabled`."""
    detail: Detail | None = None
    """R `detail` of input_file."""


class SearchResult(PartBase, frozen=True, tag="search_result"):
    """A passage that the client found and lets the model cite (M `search_result`)."""

    source: str
    """Address or name."""
    title: str
    """Shown title."""
    parts: tuple[Text, ...]
    """Passages; citations point at them by position."""
    citations: bool | None = None
    """M `citations.enabled`."""


class Thinking(PartBase, frozen=True, tag="thinking"):
    """Reasoning shown to the client. Redacted or omitted: empty text, and a state."""

    text: str = ""
    """Raw or summarised reasoning."""
    summaries: tuple[str, ...] = ()
    """R summary parts, in order; `text` is then raw reasoning or empty."""
    id: str = ""
    """R item id."""


class ToolUse(PartBase, frozen=True, tag="tool_use"):
    """A call that the client executes."""

    id: str
    """Call id, unique in the conversation; made up, stable, where the provider gives none (G on Vertex)."""
    name: str
    """Function or tool name as declared."""
    arguments: str
    """JSON text, or free text when `kind` is custom."""
    kind: Literal["function", "custom", "shell", "local_shell", "apply_patch", "computer", "tool_search"] = "function"
    """R item type; everything but `function` is emulated elsewhere."""
    namespace: str = ""
    """R namespace of the tool."""
    caller: str = ""
    """Id of the program or code execution that made the call; empty when the model did."""
    item_id: str = ""
    """R item id (`fc_…`), apart from the call id."""


class ToolResult(PartBase, frozen=True, tag="tool_result"):
    tool_use_id: str
    """The call it answers."""
    parts: tuple[Text | Image | Audio | Video | Document | SearchResult | ToolReference, ...]
    """Content in order; may be empty."""
    name: str = ""
    """Name of the answered function: G needs it. Resolved from the call when the dialect does not carry it."""
    is_error: bool | None = None
    """M `is_error`; G `response.error`."""
    kind: Literal["function", "custom", "shell", "local_shell", "apply_patch", "computer", "tool_search"] = "function"
    """Kind of the answered call."""
    is_object: bool = False
    """G: the first text is a JSON object and goes to `response` as it is; otherwise it is wrapped."""


class ToolReference(PartBase, frozen=True, tag="tool_reference"):
    """A tool found by tool search (M)."""

    name: str
    """Name of a declared tool, with its namespace as `functions.spoken` joins them."""


class ServerToolUse(PartBase, frozen=True, tag="server_tool_use"):
    """A call that the provider executed itself, with its outcome when it is known."""

    id: str
    """`srvtoolu_…`, `ws_…`, or made up."""
    kind: ServerToolKind
    """Canonical tool."""
    name: str
    """Wire name: `web_search`, `bash_code_execution`, an MCP tool's name…"""
    arguments: str = ""
    """JSON text: query, code, action, MCP arguments."""
    server: str = ""
    """MCP server label."""
    caller: str = ""
    """Id of the code execution that made the call; empty when the model did."""
    result: ServerToolResult | None = None
    """None while running, or when the dialect reports it as a part of its own (M, G)."""


class ServerToolResult(PartBase, frozen=True, tag="server_tool_result"):
    tool_use_id: str
    """The call it answers."""
    kind: ServerToolKind
    """Kind of the answered call."""
    parts: tuple[Text | Image | Document | SearchResult, ...] = ()
    """What another dialect can show: result pages, stdout, file contents."""
    is_error: bool = False
    """The tool failed; the reply goes on."""
    error_code: str = ""
    """The provider's word (`max_uses_exceeded`, `OUTCOME_FAILED`…)."""
    native: Raw = ABSENT
    """The block as received: replayed unchanged to its own dialect (holds `encrypted_content`)."""


class Compaction(PartBase, frozen=True, tag="compaction"):
    """A summary that replaces older turns (M `compaction`, R `compaction`)."""

    text: str = ""
    """Readable summary, when there is one."""
    native: Raw = ABSENT
    """The block as received, for its own dialect."""


class ToolChange(PartBase, frozen=True, tag="tool_change"):
    """From here on tools are added or removed (M `tool_addition`/`tool_removal`, R `additional_tools`)."""

    added: tuple[Tool, ...] = ()
    """Definitions, or functions of which only the name is set when already declared."""
    removed: tuple[str, ...] = ()
    """Names."""


class Native(PartBase, frozen=True, tag="native"):
    """A part that only its own dialect knows. Another target drops it if `optional`, else refuses with 400."""

    dialect: DialectName
    """The only dialect it can be written to."""
    wire_type: str
    """Wire `type`, or the G part field."""
    body: Raw
    """The object as received."""
    optional: bool = False
    """Losing it changes nothing the model needs."""


Part = (
    Text
    | Refusal
    | Image
    | Audio
    | Video
    | Document
    | SearchResult
    | Thinking
    | ToolUse
    | ToolResult
    | ToolReference
    | ServerToolUse
    | ServerToolResult
    | Compaction
    | ToolChange
    | Native
)


class Message(Struct, frozen=True, kw_only=True):
    role: Role
    """`system` and `developer` only where the instruction came in the middle of the conversation."""
    parts: tuple[Part, ...]
    """At least one, except an assistant turn that produced nothing."""
    name: str = ""
    """C `name` of a participant."""
    phase: Literal["", "commentary", "final_answer"] = ""
    """R."""
    id: str = ""
    """R item id."""
    incomplete: bool = False
    """The turn was cut (R status `incomplete`), or is a prefill to continue (C `prefix`, M last assistant)."""
