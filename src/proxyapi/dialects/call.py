"""What the gateway reads of a request; everything else of the body stays unread and goes on as it came.

A `Call` is made by a dialect's `read` and used to route, to forecast the largest possible cost, and to know how the
reply has to be metered. Pure values.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from proxyapi.dialects.model import DialectName

Operation = Literal[
    "chat",
    "responses",
    "messages",
    "generate",
    "embeddings",
    "moderations",
    "speech",
    "transcription",
    "translation",
    "image_generation",
    "image_edit",
    "image_variation",
    "count_tokens",
    "completions",
]
"""What is asked for, whichever dialect asks. Also the name of the endpoint in key permissions and in the journal."""

WireName = (
    DialectName
    | Literal[
        "openai_completions",
        "openai_embeddings",
        "openai_moderations",
        "openai_speech",
        "openai_transcription",
        "openai_images",
        "openai_count",
        "anthropic_count",
        "gemini_embed",
        "gemini_count",
    ]
)
"""Names of the entries of `DIALECTS`."""


class ImageInput(Struct, frozen=True):
    """A picture in the prompt: priced by its size in pixels, never by the length of its base64 text."""

    data: str = ""
    """Base64 text without the `data:` prefix; empty where only an address or a file id is known."""
    detail: str = ""
    """`low`, `high`, `auto`, `original`, or the dialect's media resolution; empty: not said."""


class AudioInput(Struct, frozen=True):
    """Sound in the prompt."""

    data: str = ""
    media_type: str = ""
    """IANA type or the dialect's format word (`wav`, `mp3`)."""


class DocumentInput(Struct, frozen=True):
    """A PDF or another file in the prompt."""

    data: str = ""
    media_type: str = ""


class VideoInput(Struct, frozen=True):
    data: str = ""
    media_type: str = ""


MediaInput = ImageInput | AudioInput | DocumentInput | VideoInput


class ServerTool(Struct, frozen=True):
    """A tool that the provider runs and bills by the call."""

    kind: Literal[
        "web_search",
        "web_fetch",
        "file_search",
        "code_execution",
        "image_generation",
        "computer",
        "maps",
        "advisor",
        "other",
    ]
    uses_max: int | None = None
    """The request's own limit (`max_uses`, `max_results`); None: not said."""
    options: tuple[tuple[str, str], ...] = ()
    """What decides the price: context size, quality, size, memory limit."""


class Prompt(Struct, frozen=True):
    """Everything that is tokenised, sorted by how it counts."""

    messages: int = 0
    """Number of messages: each frames its content (3 tokens, and 1 for its role)."""
    texts: tuple[str, ...] = ()
    """Texts of messages, system and instructions, tool calls and results (as JSON text), schemas of formats."""
    names: tuple[str, ...] = ()
    """Names of participants: 1 token more each."""
    tools: str = ""
    """Tool definitions as compact JSON; empty: none."""
    tool_enum_items: int = 0
    """Enum items in the tool schemas: two tokens more each."""
    tool_choice_forced: bool = False
    media: tuple[MediaInput, ...] = ()
    tokens: int = 0
    """Tokens already counted by the client (embeddings accept token ids)."""


class Call(Struct, frozen=True, kw_only=True):
    """One request, as far as the gateway reads it."""

    operation: Operation
    dialect: WireName
    model: str
    """As the client named it."""
    fallback_models: tuple[str, ...] = ()
    """Other models that the provider may answer with instead (OpenRouter `models`, Anthropic `fallbacks`)."""
    stream: bool = False
    usage_asked: bool = False
    """Chat: the client itself set `stream_options.include_usage`."""
    prompt: Prompt = Prompt()
    plain: bool = False
    """Texts and settings alone: no place in it holds what a provider signed, or what this gateway sealed."""
    prompt_bytes: int = 0
    """Size of the body: decides whether counting runs off the event loop."""
    output_tokens_max: int | None = None
    """The request's own ceiling; None: the model's."""
    choices: int = 1
    """`n`, `candidateCount`; images: how many."""
    service_tier: str = ""
    """As sent; empty: not said."""
    speed: str = ""
    """Anthropic `speed`."""
    region: str = ""
    """Anthropic `inference_geo`: where the model has to run; empty: anywhere."""
    cache_writes: str = ""
    """The longest cache lifetime that the request asks for: `5m`, `30m`, `1h`, `12h`; empty: none is asked for."""
    server_tools: tuple[ServerTool, ...] = ()
    server_tool_calls_max: int | None = None
    """Responses `max_tool_calls`: all tools together."""
    effort_and_tools: bool = False
    """Chat: tools together with a `reasoning_effort` other than `none`, which some models refuse."""
    output_modalities: tuple[str, ...] = ()
    """Other than text: `audio`, `image`."""
    media_resolution: str = ""
    """Gemini `mediaResolution` of the whole request."""
    text: str = ""
    """Speech: the text to be spoken."""
    instructions: str = ""
    """Speech: how to speak it."""
    response_format: str = ""
    """Speech: sound format; transcription: answer format; images: output format."""
    stream_format: str = ""
    """Speech: `audio` or `sse`."""
    size: str = ""
    quality: str = ""
    partial_images: int = 0
    input_fidelity: str = ""
    audio_seconds: int | None = None
    """Transcription: length of the upload, whole seconds, rounded up; set after it was spooled."""
    store: bool = True
    """Responses: the provider keeps the answer, so its id must belong to the account."""
    previous_response_id: str = ""
    """Responses: must belong to the account."""
    background: bool = False
    end_user: str = ""
    conversation: str = ""
    """Responses `conversation` id: an upstream object, must belong to the account."""
    item_references: tuple[str, ...] = ()
    """Ids of upstream objects that the request points at (files, item references, containers)."""
    string_image_urls: bool = False
    """Chat: an `image_url` is a plain string, which the documented example does: `patch` normalises it."""
