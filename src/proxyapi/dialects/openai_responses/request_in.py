"""OpenAI Responses: a client's request as a canonical one.

https://platform.openai.com/docs/api-reference/responses/create. A request that continues what is stored
(`previous_response_id`, `item_reference`) comes here with the stored items already in its input.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeVar

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from proxyapi.dialects.codec import Unseal
from proxyapi.dialects.effort import SCALE
from proxyapi.dialects.fields import decode, named, once, whole
from proxyapi.dialects.model import (
    ABSENT,
    CacheOptions,
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
    given,
)
from proxyapi.dialects.openai_responses.messages_in import Conversation
from proxyapi.dialects.openai_responses.tools_in import declared, read_choice, read_tools
from proxyapi.errors import InvalidRequest

LOGPROBS = "message.output_text.logprobs"
"""Of `include`."""

V = TypeVar("V")

_EFFORTS: Mapping[str, Effort] = {effort: effort for effort in SCALE}
_TIERS: Mapping[str, Tier] = {
    "auto": "auto",
    "default": "standard",
    "standard": "standard",
    "on_demand": "standard",
    "flex": "flex",
    "scale": "scale",
    "priority": "priority",
    "fast": "fast",
    "ultrafast": "ultrafast",
}
_LIFETIMES: Mapping[str | None, Lifetime] = {"30m": "30m", "12h": "12h"}
_SUMMARIES: Mapping[str, Literal["auto", "concise", "detailed"]] = {
    "auto": "auto",
    "concise": "concise",
    "detailed": "detailed",
}
_CONTEXTS: Mapping[str, Literal["auto", "current_turn", "all_turns"]] = {
    "auto": "auto",
    "current_turn": "current_turn",
    "all_turns": "all_turns",
}
_SIZES: Mapping[str, Literal["low", "medium", "high"]] = {"low": "low", "medium": "medium", "high": "high"}
_TRUNCATIONS: Mapping[str, Literal["auto", "disabled"]] = {"auto": "auto", "disabled": "disabled"}


class _Reasoning(Struct):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None
    """The old name of `summary`."""
    context: str | None = None
    mode: str | None = None


class _Format(Struct):
    type: str
    schema: Raw = ABSENT
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class _Text(Struct):
    format: _Format | None = None
    verbosity: str | None = None


class _Id(Struct):
    id: str | None = None


class _Edit(Struct):
    type: str
    compact_threshold: int | float | None = None


class _CacheOptions(Struct):
    mode: str | None = None
    ttl: str | None = None
    prewarm: bool | None = None
    comparison_response_id: str | None = None


class _Mode(Struct):
    mode: str | None = None


class _Policy(Struct):
    input: _Mode | None = None
    output: _Mode | None = None


class _Moderation(Struct):
    policy: _Policy | None = None


class _Request(Struct):
    model: str | None = None
    input: str | list[Raw] | None = None
    instructions: str | list[Raw] | None = None
    tools: list[Raw] | None = None
    tool_choice: Raw = ABSENT
    parallel_tool_calls: bool | None = None
    stream: bool | None = None
    max_output_tokens: int | float | None = None
    max_tool_calls: int | float | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | float | None = None
    reasoning: _Reasoning | None = None
    text: _Text | None = None
    include: tuple[str, ...] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: _CacheOptions | None = None
    prompt_cache_retention: str | None = None
    store: bool | None = None
    previous_response_id: str | None = None
    conversation: str | _Id | None = None
    background: bool | None = None
    truncation: str | None = None
    context_management: list[_Edit] | None = None
    safety_identifier: str | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    service_tier: str | None = None
    prompt: _Id | None = None
    moderation: _Moderation | None = None


_REQUEST = msgspec.json.Decoder(_Request)
_READ = frozenset(_Request.__struct_fields__)
_SELDOM = frozenset(
    {
        "context_management",
        "include",
        "max_tool_calls",
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "text",
        "top_logprobs",
        "truncation",
    }
)
"""Fields that few requests have."""


def read_request(body: bytes, *, model: str | None, stream: bool, unseal: Unseal) -> Request:
    """InvalidRequest names the field."""
    wire = decode(_REQUEST, body)
    members = once(body, _READ)
    _refuse(wire)
    tools = read_tools(wire.tools or (), "tools")
    conversation = Conversation(unseal, tools)
    conversation.instructions(wire.instructions)
    conversation.input(wire.input)
    request = Request(
        model=named(model or wire.model),
        system=conversation.system(),
        messages=conversation.messages(),
        tools=declared((*tools, *conversation.offered), conversation.found),
        tool_choice=read_choice(wire.tool_choice, wire.parallel_tool_calls),
        stream=bool(wire.stream) or stream,
        output_tokens_max=_output_tokens_max(wire),
        sampling=Sampling(temperature=wire.temperature, top_p=wire.top_p),
        reasoning=_reasoning(wire.reasoning),
        format=_format(wire.text),
        storage=Storage(
            store=wire.store,
            previous_response_id=wire.previous_response_id or "",
            conversation=_identity(wire.conversation),
            background=wire.background,
        ),
        user=wire.safety_identifier or wire.user or "",
        tier=_TIERS.get(wire.service_tier or ""),
        include=wire.include or (),
        extra=_extra(wire, members),
    )
    # Apart: a call of more than 15 keywords makes a dictionary of them first, which costs more than all the others.
    return request if _SELDOM.isdisjoint(members) else _with_seldom(request, wire)


def _with_seldom(request: Request, wire: _Request) -> Request:
    return replace(
        request,
        server_tool_calls_max=whole("max_tool_calls", wire.max_tool_calls),
        logprobs=_logprobs(wire, request.include),
        verbosity=_word("text.verbosity", wire.text.verbosity if wire.text else None, _SIZES),
        cache=_cache(wire),
        truncation=_word("truncation", wire.truncation, _TRUNCATIONS),
        compaction_threshold=_compaction_threshold(wire.context_management or ()),
        metadata=wire.metadata or {},
    )


def _refuse(wire: _Request) -> None:
    """What belongs to the provider that the client meant, and means another conversation without it."""
    if wire.prompt is not None:
        raise InvalidRequest("prompt: a template is kept at OpenAI, and can't be used with this model", param="prompt")
    policy = (wire.moderation.policy if wire.moderation else None) or _Policy()
    for name, rule in (("input", policy.input), ("output", policy.output)):
        if rule is not None and rule.mode == "block":
            param = f"moderation.policy.{name}.mode"
            raise InvalidRequest(f"{param}: this model's provider can't block what is moderated", param=param)


def _word(name: str, word: str | None, words: Mapping[str, V]) -> V | None:
    if word is None:
        return None
    if word not in words:
        raise InvalidRequest(f"Invalid value for {name}: expected one of {', '.join(words)}", param=name)
    return words[word]


def _identity(wire: str | _Id | None) -> str:
    return wire if isinstance(wire, str) else (wire.id if wire else None) or ""


def _output_tokens_max(wire: _Request) -> int | None:
    """0: only the cache is to be filled."""
    if wire.prompt_cache_options is not None and wire.prompt_cache_options.prewarm:
        return 0
    return whole("max_output_tokens", wire.max_output_tokens, least=1)


def _logprobs(wire: _Request, include: tuple[str, ...]) -> int | None:
    """They come only where `include` names them, or a number of alternatives is asked for."""
    alternatives = whole("top_logprobs", wire.top_logprobs, most=20)
    return alternatives or 0 if LOGPROBS in include or alternatives else None


def _reasoning(wire: _Reasoning | None) -> Reasoning | None:
    if wire is None:
        return None
    said = Reasoning(
        effort=_word("reasoning.effort", wire.effort, _EFFORTS),
        show=_word("reasoning.summary", wire.summary or wire.generate_summary, _SUMMARIES),
        context=_word("reasoning.context", wire.context, _CONTEXTS),
        mode=wire.mode or "",
    )
    return None if said == Reasoning() else said


def _format(wire: _Text | None) -> Format | None:
    form = wire.format if wire else None
    if form is None:
        return None
    match form.type:
        case "text":
            return PlainText()
        case "json_object":
            return JsonObject()
        case "json_schema" if given(form.schema):
            return JsonSchema(
                schema=form.schema,
                name=form.name or "response",
                description=form.description or "",
                strict=form.strict,
            )
        case "json_schema":
            raise InvalidRequest("Missing required field: text.format.schema", param="text.format.schema")
        case kind:
            raise InvalidRequest(f"Invalid value for text.format.type: {kind!r}", param="text.format.type")


def _cache(wire: _Request) -> CacheOptions:
    options = wire.prompt_cache_options or _CacheOptions()
    lifetime = _LIFETIMES.get(options.ttl)
    return CacheOptions(
        key=wire.prompt_cache_key or "",
        explicit=None if options.mode is None else options.mode == "explicit",
        lifetime="24h" if lifetime is None and wire.prompt_cache_retention == "24h" else lifetime,
    )


def _compaction_threshold(edits: list[_Edit] | tuple[()]) -> int | None:
    for edit in edits:
        if edit.type == "compaction":
            return whole("context_management[].compact_threshold", edit.compact_threshold)
    return None


def _extra(wire: _Request, members: dict[str, Raw]) -> dict[str, Raw]:
    """Fields that no other dialect has, by wire name."""
    extra = {name: raw for name, raw in members.items() if name not in _READ and given(raw)}
    if wire.moderation is not None:
        extra["moderation"] = members["moderation"]
    if wire.prompt_cache_options is not None and wire.prompt_cache_options.comparison_response_id:
        extra["prompt_cache_options"] = members["prompt_cache_options"]
    return extra
