"""OpenAI Chat Completions: a client's request to a canonical one. Reads what others add to the dialect too.

https://platform.openai.com/docs/api-reference/chat/create; OpenRouter (`reasoning`, `plugins`, `cache_control`),
DeepSeek (`thinking`), Groq (`reasoning_format`), Mistral (`random_seed`, `prefix`), xAI (`search_parameters`).
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from proxyapi.dialects.codec import Unseal
from proxyapi.dialects.effort import SCALE
from proxyapi.dialects.fields import CHOICES_MAX, as_text, decode, either, named, once, whole
from proxyapi.dialects.model import (
    ABSENT,
    AudioOut,
    CacheOptions,
    CustomTool,
    Effort,
    Format,
    JsonObject,
    JsonSchema,
    Lifetime,
    PlainText,
    Reasoning,
    Request,
    Sampling,
    Storage,
    Tier,
    ToolChoice,
    given,
)
from proxyapi.dialects.openai_chat.messages_in import Mark, WireMessage, conversation, mark_of
from proxyapi.dialects.openai_chat.tools_in import (
    Plugin,
    SearchParameters,
    WebSearchOptions,
    WireChoice,
    WireFunction,
    searches,
    tool_choice,
    tools,
)
from proxyapi.dialects.stream import lenient
from proxyapi.errors import InvalidRequest

# --- wire ---------------------------------------------------------------------------------------------------------

_Number = int | float


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Reasoning(Struct):
    """OpenRouter: https://openrouter.ai/docs/use-cases/reasoning-tokens"""

    effort: str | None = None
    max_tokens: _Number | None = None
    exclude: bool | None = None
    enabled: bool | None = None


class _Thinking(Struct):
    """DeepSeek's switch, and Anthropic's words."""

    type: str | None = None
    budget_tokens: _Number | None = None


class _Schema(Struct):
    name: str | None = None
    description: str | None = None
    schema: Raw = ABSENT
    strict: bool | None = None


class _ResponseFormat(Struct):
    type: str | None = None
    json_schema: _Schema | None = None
    schema: Raw = ABSENT


class _Voice(Struct):
    id: str


class _Audio(Struct):
    voice: str | _Voice | None = None
    format: str | None = None


class _Piece(Struct):
    text: str = ""


class _Prediction(Struct):
    content: str | list[_Piece] | None = None


class _CacheOptions(Struct):
    mode: str | None = None
    ttl: str | None = None


class _Policy(Struct):
    mode: str | None = None


class _Moderation(Struct):
    policy: dict[str, _Policy | None] | None = None


class _Request(Struct):
    messages: list[WireMessage]
    model: str | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_completion_tokens: _Number | None = None
    max_tokens: _Number | None = None
    n: _Number | None = None
    stop: str | list[str] | None = None
    temperature: _Number | None = None
    top_p: _Number | None = None
    top_k: _Number | None = None
    frequency_penalty: _Number | None = None
    presence_penalty: _Number | None = None
    seed: _Number | None = None
    random_seed: _Number | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: _Number | None = None
    tools: list[Raw] | None = None
    functions: list[WireFunction] | None = None
    tool_choice: str | WireChoice | None = None
    function_call: str | WireChoice | None = None
    parallel_tool_calls: bool | None = None
    web_search_options: WebSearchOptions | None = None
    plugins: list[Plugin] | None = None
    search_parameters: SearchParameters | None = None
    reasoning_effort: str | None = None
    reasoning: _Reasoning | None = None
    thinking: _Thinking | None = None
    include_reasoning: bool | None = None
    reasoning_format: str | None = None
    response_format: _ResponseFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    modalities: list[Literal["text", "audio", "image", "video"]] | None = None
    audio: _Audio | None = None
    prediction: _Prediction | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: _CacheOptions | None = None
    prompt_cache_retention: str | None = None
    cache_control: Mark | None = None
    store: bool | None = None
    user: str | None = None
    safety_identifier: str | None = None
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None
    moderation: Raw = ABSENT
    usage: Raw = ABSENT
    """OpenRouter: whether to tell usage and cost. They are always told."""


_REQUEST = msgspec.json.Decoder(_Request)
_MODERATION = msgspec.json.Decoder(_Moderation)
_FIELDS = frozenset(_Request.__struct_fields__)
_OF_FORM = frozenset({"n", "logprobs", "verbosity", "modalities", "audio", "prediction"})
_OF_ACCOUNT = frozenset(
    {"prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "cache_control", "store", "metadata"}
)
"""Fields that few requests have."""

_SEED = 2**63
_TIERS: dict[str, Tier] = {tier: tier for tier in get_args(Tier)} | {
    "default": "standard",
    "on_demand": "standard",
    "": "auto",
}
_LIFETIMES: dict[str | None, Lifetime] = {lifetime: lifetime for lifetime in get_args(Lifetime)}
_EFFORTS: dict[str, Effort | None] = {effort: effort for effort in SCALE} | {"": None, "default": None}
"""Groq's `default` is what everybody gets who says nothing."""


# --- request ------------------------------------------------------------------------------------------------------


def decode_request(body: bytes, *, model: str | None, stream: bool, unseal: Unseal) -> Request:
    """InvalidRequest names the field as Chat spells it."""
    wire = decode(_REQUEST, body)
    top = once(body, _FIELDS)
    if given(wire.moderation):
        _no_blocking(wire.moderation)
    declared = (
        *tools(wire.tools, wire.functions),
        *searches(wire.web_search_options, wire.plugins, wire.search_parameters),
    )
    custom = frozenset(tool.name for tool in declared if isinstance(tool, CustomTool))
    talk = conversation(wire.messages, custom=custom, unseal=unseal)
    legacy = wire.functions is not None and wire.tools is None
    request = Request(
        model=named(model or wire.model),
        system=talk.system,
        messages=talk.messages,
        tools=declared,
        tool_choice=_choice(wire, legacy=legacy),
        stream=wire.stream is True or stream,
        stream_usage=wire.stream_options.include_usage if wire.stream_options else None,
        output_tokens_max=either(
            whole("max_completion_tokens", wire.max_completion_tokens), whole("max_tokens", wire.max_tokens)
        ),
        stop=_stop(wire.stop),
        sampling=_sampling(wire),
        reasoning=_reasoning(wire),
        format=_format(wire.response_format),
        user=wire.safety_identifier or wire.user or "",
        tier=_tier(wire.service_tier),
        extra={name: raw for name, raw in top.items() if name not in _FIELDS},
    )
    # Apart: a call of more than 15 keywords makes a dictionary of them first, which costs more than all the others.
    if legacy or not _OF_FORM.isdisjoint(top):
        request = _with_form(request, wire, legacy=legacy)
    return request if _OF_ACCOUNT.isdisjoint(top) else _with_account(request, wire)


def _with_form(request: Request, wire: _Request, *, legacy: bool) -> Request:
    """With what is asked of the answer's form."""
    return replace(
        request,
        choices=whole("n", wire.n, least=1, most=CHOICES_MAX) or 1,
        logprobs=(whole("top_logprobs", wire.top_logprobs) or 0) if wire.logprobs else None,
        verbosity=wire.verbosity,
        # Text alone is what everybody gets who asks for nothing.
        modalities=() if wire.modalities == ["text"] else tuple(wire.modalities or ()),
        audio=_audio(wire.audio),
        prediction=_predicted(wire.prediction),
        legacy_calls=legacy,
    )


def _with_account(request: Request, wire: _Request) -> Request:
    """With what is to be kept at the provider."""
    return replace(
        request,
        cache=_cache(wire),
        storage=Storage(store=wire.store),
        metadata={name: as_text(value) for name, value in (wire.metadata or {}).items()},
    )


def _no_blocking(moderation: Raw) -> None:
    """A request whose answer may only be shown if it passes can't go where nobody would check it."""
    wire = lenient(_MODERATION, moderation)
    if wire is None or any(policy is not None and policy.mode == "block" for policy in (wire.policy or {}).values()):
        raise InvalidRequest("moderation that blocks cannot be translated", param="moderation")


def _choice(wire: _Request, *, legacy: bool) -> ToolChoice | None:
    if legacy:
        # A `function_call` is one call, so there must not be a second one.
        return tool_choice(wire.function_call, False, "function_call")
    return tool_choice(wire.tool_choice, wire.parallel_tool_calls)


def _stop(wire: str | list[str] | None) -> tuple[str, ...]:
    return tuple(word for word in ([wire] if isinstance(wire, str) else wire or ()) if word)


def _sampling(wire: _Request) -> Sampling:
    seed = wire.random_seed if wire.seed is None else wire.seed
    return Sampling(
        temperature=wire.temperature,
        top_p=wire.top_p,
        top_k=whole("top_k", wire.top_k, least=-1),
        frequency_penalty=wire.frequency_penalty,
        presence_penalty=wire.presence_penalty,
        seed=whole("seed", seed, least=-_SEED, most=_SEED),
        logit_bias=wire.logit_bias or {},
    )


# --- reasoning ----------------------------------------------------------------------------------------------------


def _reasoning(wire: _Request) -> Reasoning | None:
    """One meaning of five spellings; what is said twice is taken from OpenAI's own field."""
    asked = wire.reasoning or _Reasoning()
    switch = wire.thinking or _Thinking()
    off = asked.enabled is False or switch.type == "disabled"
    effort = _effort("reasoning_effort", wire.reasoning_effort) or _effort("reasoning.effort", asked.effort)
    budget = either(
        whole("reasoning.max_tokens", asked.max_tokens), whole("thinking.budget_tokens", switch.budget_tokens)
    )
    if effort is None and budget is None and off:
        effort = "none"
    on = asked.enabled is True or switch.type in ("enabled", "adaptive")
    reasoning = Reasoning(
        effort=effort,
        budget_tokens=budget,
        adaptive=True if on and effort is None and budget is None else None,
        show=_shown(wire, asked),
    )
    return None if reasoning == Reasoning() else reasoning


def _effort(field: str, word: str | None) -> Effort | None:
    if word is not None and word not in _EFFORTS:
        raise InvalidRequest(f"Invalid value for {field}: {word!r}", param=field)
    return _EFFORTS[word] if word is not None else None


def _shown(wire: _Request, asked: _Reasoning) -> Literal["none", "auto"] | None:
    if asked.exclude or wire.include_reasoning is False or wire.reasoning_format == "hidden":
        return "none"
    return "auto" if wire.include_reasoning or wire.reasoning_format else None


# --- other settings -----------------------------------------------------------------------------------------------


def _format(wire: _ResponseFormat | None) -> Format | None:
    if wire is None:
        return None
    inner = wire.json_schema or _Schema(schema=wire.schema)
    if given(inner.schema):
        return JsonSchema(
            schema=inner.schema,
            name=inner.name or "response",
            description=inner.description or "",
            strict=inner.strict,
        )
    match wire.type:
        case "json_object":
            return JsonObject()
        case "text" | None:
            return PlainText()
        case "json_schema":
            param = "response_format.json_schema.schema"
            raise InvalidRequest(f"Missing required field: {param}", param=param)
        case kind:
            raise InvalidRequest(f"Invalid value for response_format.type: {kind!r}", param="response_format.type")


def _audio(wire: _Audio | None) -> AudioOut | None:
    if wire is None:
        return None
    voice = wire.voice.id if isinstance(wire.voice, _Voice) else wire.voice or ""
    return AudioOut(voice=voice, format=wire.format or "")


def _predicted(wire: _Prediction | None) -> str | None:
    if wire is None or wire.content is None:
        return None
    return wire.content if isinstance(wire.content, str) else "".join(piece.text for piece in wire.content)


def _cache(wire: _Request) -> CacheOptions:
    options = wire.prompt_cache_options or _CacheOptions()
    return CacheOptions(
        key=wire.prompt_cache_key or "",
        explicit=None if options.mode is None else options.mode == "explicit",
        lifetime=_LIFETIMES.get(options.ttl) or _LIFETIMES.get(wire.prompt_cache_retention),
        automatic=None if wire.cache_control is None else mark_of(wire.cache_control),
    )


def _tier(word: str | None) -> Tier | None:
    if word is None:
        return None
    if word not in _TIERS:
        raise InvalidRequest(f"Invalid value for service_tier: {word!r}", param="service_tier")
    return _TIERS[word]
