"""The canonical conversation: what every dialect is decoded to and encoded from.

Pure values. A reply is not a type: it is a sequence of events, whether it came as one body or as a stream.
C = OpenAI Chat Completions, R = OpenAI Responses, M = Anthropic Messages, G = Gemini generateContent.

Normal form, so that decode(encode(x)) == x can hold:
1. Leading system and developer messages live in `Request.system`; a later one stays where it is in `messages`.
2. Neighbouring messages of one role, name and phase are one message. Empty text parts do not exist.
3. A tool result is a part of a user message, before that message's other parts.
4. A thinking part stands before the part it led to; reasoning state that belongs to a visible part hangs on that part.
5. Arguments and schemas are JSON text exactly as received: never parsed and printed again on the way.
6. None means "the client did not say", never "the default". An explicit zero or False is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Raw, Struct, field

from proxyapi.usage import Usage

ABSENT = Raw(b"null")
"""A raw value that is not there. (msgspec cannot decode `Raw | None`, and an empty Raw is not JSON.)"""


def given(raw: Raw) -> bool:
    """The field is there, and it is not null."""
    return raw is not ABSENT and raw != ABSENT


# --- vocabulary ---------------------------------------------------------------------------------------------------

DialectName = Literal["openai_chat", "openai_responses", "anthropic", "gemini"]
Role = Literal["system", "developer", "user", "assistant"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Tier = Literal["auto", "standard", "flex", "priority", "fast", "ultrafast", "batch", "scale"]
Detail = Literal["auto", "low", "medium", "high", "original"]
Lifetime = Literal["5m", "30m", "1h", "12h", "24h"]
StopReason = Literal[
    "end",
    "length",
    "context_window",
    "stop_sequence",
    "tool_use",
    "pause",
    "refusal",
    "content_filter",
    "recitation",
    "malformed",
    "compacted",
    "cancelled",
    "other",
]
ErrorKind = Literal[
    "invalid_request",
    "unauthenticated",
    "forbidden",
    "insufficient_balance",
    "not_found",
    "conflict",
    "too_large",
    "context_length",
    "rate_limited",
    "overloaded",
    "timeout",
    "content_policy",
    "unsupported",
    "internal",
]
StateKind = Literal[
    "anthropic_signature", "anthropic_redacted", "openai_encrypted", "xai_encrypted", "google_signature", "other"
]
ServerToolKind = Literal[
    "web_search",
    "web_fetch",
    "code_execution",
    "computer",
    "file_search",
    "mcp",
    "image_generation",
    "shell",
    "local_shell",
    "apply_patch",
    "bash",
    "text_editor",
    "memory",
    "browser",
    "tool_search",
    "programmatic",
    "advisor",
    "maps",
]


class ModelUsage(Struct, frozen=True):
    """What another model spent inside the same reply: an advisor, a compaction, an image generator, a fallback."""

    model: str
    """Model as the provider names it."""
    usage: Usage
    """Its own disjoint units, not contained in the main usage."""


# --- values shared by parts ---------------------------------------------------------------------------------------


class CacheMark(Struct, frozen=True):
    """The prefix that ends here is worth caching."""

    lifetime: Lifetime | None = None
    """None is the provider's default: 5m on M, 30m on R and C."""


class ReasoningState(Struct, frozen=True):
    """Opaque proof of past reasoning. Only its maker can read it: returned byte for byte, or dropped; never changed."""

    kind: StateKind
    """Whose format the data has; decides which dialect can carry it natively."""
    data: str
    """Base64 as received."""
    origin: str = ""
    """Who can read it: provider, account and model family, as the gateway names its targets. Empty: unknown."""
    id: str = ""
    """R item id (`rs_…`), which the provider may check together with the data."""


class Inline(Struct, frozen=True, tag="inline"):
    data: str
    """Base64 without the `data:` prefix."""
    media_type: str
    """IANA type; sniffed from the first bytes when the client gave none or a wrong one."""


class Link(Struct, frozen=True, tag="link"):
    url: str
    """http(s) address that the provider fetches itself."""
    media_type: str = ""
    """Empty where the dialect does not carry it (C, R, M)."""


class FileRef(Struct, frozen=True, tag="file"):
    id: str
    """File id or URI at the provider that stores it."""
    origin: str = ""
    """The provider whose file it is. A target elsewhere refuses with 400."""
    media_type: str = ""
    """Needed by G; empty elsewhere."""


Source = Inline | Link | FileRef


class UrlCitation(Struct, frozen=True, tag="url"):
    url: str
    """Address of the source."""
    title: str = ""
    """Title of the source page."""
    start: int | None = None
    """First code point of the cited span in the text part (G counts UTF-8 bytes: convert)."""
    end: int | None = None
    """One past the last code point of the span."""
    quote: str = ""
    """Text of the source (M `cited_text`) or of the answer's span (G `segment.text`)."""
    token: str = ""
    """M `encrypted_index`, needed when the block is replayed."""


class DocumentCitation(Struct, frozen=True, tag="document"):
    unit: Literal["char", "page", "block", "file", "search_result"]
    """What `start` and `end` count."""
    index: int
    """Which document of the request; for `file` the position of the mark in the text."""
    start: int = 0
    """First unit, inclusive; pages count from 1."""
    end: int = 0
    """End, exclusive."""
    quote: str = ""
    """M `cited_text`."""
    title: str = ""
    """M `document_title`, R `filename`."""
    file_id: str = ""
    """File at the provider."""
    container_id: str = ""
    """R container of the file."""
    source: str = ""
    """M search result source."""


Citation = UrlCitation | DocumentCitation


class TokenLogprob(Struct, frozen=True):
    token: str
    """Token text."""
    logprob: float
    """Natural logarithm of its probability."""
    bytes: tuple[int, ...] | None = None
    """UTF-8 bytes of the token; None where the dialect has none (G)."""
    top: tuple[TokenLogprob, ...] = ()
    """Alternatives at this position, likeliest first."""


# --- parts of a message -------------------------------------------------------------------------------------------


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


# --- tools --------------------------------------------------------------------------------------------------------


class FunctionTool(Struct, frozen=True, kw_only=True, tag="function"):
    name: str
    """As the client declared it; targets with narrower rules get a reversible alias."""
    description: str = ""
    """Empty and absent are the same."""
    parameters: Raw = ABSENT
    """JSON Schema as received; ABSENT: takes nothing."""
    strict: bool | None = None
    """Bind arguments to the schema."""
    result: Raw = ABSENT
    """Schema of the result (R `output_schema`, G `responseJsonSchema`)."""
    namespace: str = ""
    """R namespace it belongs to."""
    namespace_description: str = ""
    """Description of that namespace."""
    defer_loading: bool | None = None
    """Hidden until tool search finds it (R, M)."""
    asynchronous: bool | None = None
    """R `async`, G `behavior: NON_BLOCKING`."""
    allowed_callers: tuple[str, ...] = ()
    """`direct`, `programmatic`, `code_execution_…`."""
    examples: tuple[Raw, ...] = ()
    """M `input_examples`."""
    stream_arguments_eagerly: bool | None = None
    """M `eager_input_streaming`."""
    cache: CacheMark | None = None
    """M `cache_control` on the tool."""


class CustomTool(Struct, frozen=True, kw_only=True, tag="custom"):
    """Takes free text, perhaps bound by a grammar."""

    name: str
    """As declared."""
    description: str = ""
    """As declared."""
    syntax: Literal["text", "lark", "regex"] = "text"
    """Kind of `grammar`; `text` is unbound."""
    grammar: str = ""
    """Grammar definition."""
    namespace: str = ""
    """R namespace."""
    namespace_description: str = ""
    """Description of that namespace."""


class Location(Struct, frozen=True):
    city: str = ""
    """Free text."""
    region: str = ""
    """Free text."""
    country: str = ""
    """ISO 3166-1 alpha-2."""
    timezone: str = ""
    """IANA name."""


class WebSearch(Struct, frozen=True, kw_only=True, tag="web_search"):
    wire_type: str = ""
    """Wire type with its version, for its own dialect."""
    allowed_domains: tuple[str, ...] = ()
    """Only these."""
    blocked_domains: tuple[str, ...] = ()
    """Not these (G `excludeDomains`)."""
    uses_max: int | None = None
    """M `max_uses`."""
    context_size: Literal["low", "medium", "high"] | None = None
    """C and R `search_context_size`."""
    live: bool | None = None
    """R `external_web_access`. False: what the provider's index has, not the web of this moment."""
    location: Location | None = None
    """Where the user is."""
    native: Raw = ABSENT
    """The tool object as received, for its own dialect."""


class FileSearch(Struct, frozen=True, kw_only=True, tag="file_search"):
    stores: tuple[str, ...]
    """Vector stores or file search stores; they exist at one provider only."""
    results_max: int | None = None
    """R `max_num_results`, G `topK`."""
    native: Raw = ABSENT
    """As received."""


class Mcp(Struct, frozen=True, kw_only=True, tag="mcp"):
    label: str
    """R `server_label`, M and G `name`."""
    url: str = ""
    """Server address."""
    authorization: str = ""
    """Bearer token for the server."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Other headers."""
    allowed_tools: tuple[str, ...] | None = None
    """None: all."""
    approval: Literal["always", "never"] | None = None
    """R `require_approval`."""
    native: Raw = ABSENT
    """As received."""


class Computer(Struct, frozen=True, kw_only=True, tag="computer"):
    wire_type: str = ""
    """`computer_20251124`, `computer_use_preview`…"""
    width: int | None = None
    """Pixels."""
    height: int | None = None
    """Pixels."""
    environment: str = ""
    """R and G."""
    native: Raw = ABSENT
    """As received."""


class NativeTool(Struct, frozen=True, kw_only=True, tag="native"):
    """Any other server tool or typed client tool."""

    kind: ServerToolKind | Literal["unknown"]
    """Canonical kind, for refusing by name."""
    dialect: DialectName
    """The only dialect it can be written to."""
    wire_type: str
    """Wire `type`."""
    body: Raw
    """As received."""


Tool = FunctionTool | CustomTool | WebSearch | FileSearch | Mcp | Computer | NativeTool


class ToolChoice(Struct, frozen=True, kw_only=True):
    mode: Literal["auto", "none", "required", "validated"] = "auto"
    """`validated` is G's: text or a call, calls bound to the schema."""
    names: tuple[str, ...] = ()
    """With `required`: one name forces that tool. With more, or with `auto`: the allowed subset."""
    server_tool: str = ""
    """R: a hosted tool by type."""
    parallel: bool | None = None
    """C and R `parallel_tool_calls`, M not `disable_parallel_tool_use`. G has none."""


# --- request ------------------------------------------------------------------------------------------------------


class Reasoning(Struct, frozen=True, kw_only=True):
    effort: Effort | None = None
    """One scale for all dialects."""
    budget_tokens: int | None = None
    """0 off, -1 dynamic."""
    adaptive: bool | None = None
    """M `thinking.type`: True adaptive, False disabled."""
    between_tools: bool = False
    """M `between_tools`: the least that some models allow."""
    show: Literal["none", "auto", "concise", "detailed"] | None = None
    """R `summary`, M `display`, G `includeThoughts`."""
    context: Literal["auto", "current_turn", "all_turns"] | None = None
    """R: which past reasoning is shown to the model."""
    mode: str = ""
    """R `standard` or `pro`."""


class JsonSchema(Struct, frozen=True, kw_only=True, tag="json_schema"):
    schema: Raw
    """As received."""
    name: str = "response"
    """C and R need one."""
    description: str = ""
    """C and R."""
    strict: bool | None = None
    """C and R."""
    media_type: Literal["application/json", "text/x.enum"] = "application/json"
    """G `text/x.enum`: the answer is one of the schema's texts, and is told without its quotes."""


class JsonObject(Struct, frozen=True, tag="json_object"):
    pass


class PlainText(Struct, frozen=True, tag="text"):
    media_type: str = "text/plain"
    """G."""


Format = PlainText | JsonObject | JsonSchema


class Sampling(Struct, frozen=True, kw_only=True):
    temperature: float | None = None
    """0 to 2 in C, R and G; 0 to 1 in M."""
    top_p: float | None = None
    """0 to 1."""
    top_k: int | None = None
    """M and G."""
    frequency_penalty: float | None = None
    """-2 to 2; C and G."""
    presence_penalty: float | None = None
    """-2 to 2; C and G."""
    seed: int | None = None
    """C and G."""
    logit_bias: Mapping[str, float] = field(default_factory=dict[str, float])
    """C only; token ids of one tokenizer."""


class CacheOptions(Struct, frozen=True, kw_only=True):
    key: str = ""
    """C and R `prompt_cache_key`."""
    explicit: bool | None = None
    """C and R `prompt_cache_options.mode`."""
    lifetime: Lifetime | None = None
    """C and R `prompt_cache_options.ttl`, or 24h from `prompt_cache_retention`."""
    automatic: CacheMark | None = None
    """M top-level `cache_control`: mark the last block that can be cached."""
    content: str = ""
    """G `cachedContent`: a cache resource at the provider."""


class Storage(Struct, frozen=True, kw_only=True):
    store: bool | None = None
    """Keep at the provider; R default is true."""
    previous_response_id: str = ""
    """R: resolved by the gateway when the target is not the maker."""
    conversation: str = ""
    """R conversation id."""
    background: bool | None = None
    """R: answer later."""


class AudioOut(Struct, frozen=True, kw_only=True):
    voice: str = ""
    """Voice name."""
    format: str = ""
    """`wav`, `mp3`, `pcm16`…"""
    native: Raw = ABSENT
    """G `speechConfig` as received."""


class Request(Struct, frozen=True, kw_only=True):
    model: str
    """As the client named it. In G it stands in the path."""
    system: tuple[Message, ...] = ()
    """Leading instructions in order, each of role `system` or `developer`."""
    messages: tuple[Message, ...] = ()
    """Everything after the leading instructions."""
    tools: tuple[Tool, ...] = ()
    """In the order given: it is part of the cached prefix."""
    tool_choice: ToolChoice | None = None
    """None: the provider's default."""
    stream: bool = False
    """In G: the path and `alt=sse`."""
    stream_usage: bool | None = None
    """C `stream_options.include_usage`. The gateway always asks; this says whether to show."""
    output_tokens_max: int | None = None
    """Ceiling on generated tokens, thinking included."""
    server_tool_calls_max: int | None = None
    """R `max_tool_calls`."""
    stop: tuple[str, ...] = ()
    """Stop sequences."""
    choices: int = 1
    """C `n`, G `candidateCount`."""
    sampling: Sampling = field(default_factory=Sampling)
    """Knobs."""
    logprobs: int | None = None
    """Alternatives per token: None off, 0 only the chosen one."""
    reasoning: Reasoning | None = None
    """None: not said."""
    format: Format | None = None
    """Shape of the answer text."""
    verbosity: Literal["low", "medium", "high"] | None = None
    """C and R."""
    modalities: tuple[Literal["text", "audio", "image", "video"], ...] = ()
    """Asked outputs; empty is text."""
    audio: AudioOut | None = None
    """With modality audio."""
    prediction: str | None = None
    """C: expected text."""
    media_detail: Detail | None = None
    """G `mediaResolution`."""
    cache: CacheOptions = field(default_factory=CacheOptions)
    """Request-level caching."""
    storage: Storage = field(default_factory=Storage)
    """State kept at the provider."""
    truncation: Literal["auto", "disabled"] | None = None
    """R."""
    compaction_threshold: int | None = None
    """R `context_management` compaction, M `compact_20260112` trigger."""
    user: str = ""
    """End user: C and R `safety_identifier` or `user`, M `metadata.user_id`."""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    """C and R `metadata`, G `labels`."""
    tier: Tier | None = None
    """Speed or price class."""
    include: tuple[str, ...] = ()
    """R `include`, which decides what the reply carries."""
    container: str = ""
    """M container of code execution."""
    legacy_calls: bool = False
    """C: the tools came as `functions`, so the reply's call is a `function_call`."""
    extra: Mapping[str, Raw] = field(default_factory=dict[str, Raw])
    """Every other top-level field, by wire name. Written back to the same dialect only, but for the allow-list."""


# --- reply: a sequence of events ----------------------------------------------------------------------------------


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


Event = (
    Start
    | PartStart
    | PartDelta
    | PartSummary
    | PartData
    | PartCitation
    | PartState
    | PartEnd
    | Metered
    | Finish
    | KeepAlive
    | Notice
    | Failed
)
