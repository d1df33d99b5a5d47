"""The request: messages, tools and every wish beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Raw, Struct

from proxyapi.dialects.model.parts import Message
from proxyapi.dialects.model.tools import Tool, ToolChoice
from proxyapi.dialects.model.values import ABSENT, CacheMark
from proxyapi.dialects.model.vocabulary import Detail, Effort, Lifetime, Tier


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
    logit_bias: Mapping[str, float] = {}
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


NO_SAMPLING, NO_CACHE, NO_STORAGE = Sampling(), CacheOptions(), Storage()
"""Of a request that says nothing of them: shared, so that whoever reads them sees it at a glance."""


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
    sampling: Sampling = NO_SAMPLING
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
    cache: CacheOptions = NO_CACHE
    """Request-level caching."""
    storage: Storage = NO_STORAGE
    """State kept at the provider."""
    truncation: Literal["auto", "disabled"] | None = None
    """R."""
    compaction_threshold: int | None = None
    """R `context_management` compaction, M `compact_20260112` trigger."""
    user: str = ""
    """End user: C and R `safety_identifier` or `user`, M `metadata.user_id`."""
    metadata: Mapping[str, str] = {}
    """C and R `metadata`, G `labels`."""
    tier: Tier | None = None
    """Speed or price class."""
    include: tuple[str, ...] = ()
    """R `include`, which decides what the reply carries."""
    container: str = ""
    """M container of code execution."""
    legacy_calls: bool = False
    """C: the tools came as `functions`, so the reply's call is a `function_call`."""
    extra: Mapping[str, Raw] = {}
    """Every other top-level field, by wire name. Written back to the same dialect only, but for the allow-list."""
