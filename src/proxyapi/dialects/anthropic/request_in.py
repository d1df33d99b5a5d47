"""Anthropic Messages: a client's request as a canonical one. https://docs.anthropic.com/en/api/messages"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from proxyapi.dialects.anthropic.content_in import WireMessage, read_messages, read_system, without_old_thinking
from proxyapi.dialects.anthropic.marks import Cache, read_mark
from proxyapi.dialects.anthropic.tools_in import read_tools
from proxyapi.dialects.codec import Unseal
from proxyapi.dialects.effort import SCALE
from proxyapi.dialects.fields import decode, named, once, whole, within
from proxyapi.dialects.model import (
    ABSENT,
    NO_CACHE,
    NO_SAMPLING,
    CacheOptions,
    Effort,
    JsonSchema,
    Message,
    Reasoning,
    Request,
    Sampling,
    Text,
    Tier,
    ToolChoice,
    given,
)
from proxyapi.errors import InvalidRequest

COMPACTION_THRESHOLD = 150_000
"""Input tokens at which the provider compacts if the client does not say."""

_EFFORTS: dict[str, Effort] = {effort: effort for effort in SCALE}
_TIERS: dict[str | None, Tier] = {"auto": "auto", "standard_only": "standard"}
_MODES: dict[str, str] = {"auto": "auto", "none": "none", "any": "required", "tool": "required"}


class _Thinking(Struct):
    type: str
    budget_tokens: int | float | None = None
    display: str | None = None


class _Format(Struct):
    schema: Raw = ABSENT


class _OutputConfig(Struct):
    effort: str | None = None
    format: _Format | None = None


class _ToolChoice(Struct):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _Metadata(Struct):
    user_id: str | None = None


class _Keep(Struct):
    type: str = ""
    value: int | float | None = None


class _Trigger(Struct):
    value: int | float | None = None


class _Edit(Struct):
    type: str = ""
    keep: str | _Keep | None = None
    trigger: _Trigger | None = None


class _ContextManagement(Struct):
    edits: list[_Edit] | None = None


class _Container(Struct):
    id: str | None = None


class _Request(Struct):
    messages: list[WireMessage]
    model: str | None = None
    max_tokens: int | float | None = None
    system: Raw = ABSENT
    stream: bool | None = None
    tools: list[Raw] | None = None
    mcp_servers: list[Raw] | None = None
    tool_choice: _ToolChoice | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | float | None = None
    stop_sequences: tuple[str, ...] | None = None
    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None
    cache_control: Cache | None = None
    context_management: _ContextManagement | None = None
    container: str | _Container | None = None
    metadata: _Metadata | None = None
    service_tier: str | None = None
    speed: str | None = None


_REQUEST = msgspec.json.Decoder(_Request)
_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_ENCODER = msgspec.json.Encoder()
_READ = frozenset(_Request.__struct_fields__)


def read_request(body: bytes, *, model: str | None, stream: bool, unseal: Unseal) -> Request:
    """InvalidRequest names the field."""
    wire = decode(_REQUEST, body)
    members = once(body, _READ)
    system, messages = read_system(wire.system), read_messages(wire.messages, unseal)
    if messages and _is_instruction(messages[0]):
        # Instructions before the first turn are leading ones, wherever they stand.
        parts = (*(system[0].parts if system else ()), *messages[0].parts)
        system, messages = (Message(role="system", parts=parts),), messages[1:]
    request = Request(
        model=named(model or wire.model),
        system=system,
        messages=messages,
        tools=read_tools(wire.tools, wire.mcp_servers) if wire.tools or wire.mcp_servers else (),
        tool_choice=_tool_choice(wire.tool_choice) if wire.tool_choice is not None else None,
        stream=stream or wire.stream is True,
        output_tokens_max=whole("max_tokens", wire.max_tokens),
        stop=wire.stop_sequences or (),
        sampling=_sampling(wire),
        reasoning=_reasoning(wire.thinking, wire.output_config) if wire.thinking or wire.output_config else None,
        format=_format(wire) if wire.output_config or wire.output_format else None,
        user=(wire.metadata.user_id or "") if wire.metadata else "",
        tier="fast" if wire.speed == "fast" else _TIERS.get(wire.service_tier),
        extra=_extra(members, wire),
    )
    # Apart: a call of more than 15 keywords makes a dictionary of them first, which costs more than all the others.
    if wire.cache_control is None and wire.context_management is None and wire.container is None:
        return request
    return _with_context(request, wire)


def _with_context(request: Request, wire: _Request) -> Request:
    """With what is kept from one request to the next: caches, clearings, containers."""
    edits = (wire.context_management.edits if wire.context_management else None) or []
    return replace(
        request,
        messages=_cleared(request.messages, edits),
        cache=CacheOptions(automatic=read_mark(wire.cache_control)) if wire.cache_control else NO_CACHE,
        compaction_threshold=_compaction_threshold(edits),
        container=(wire.container if isinstance(wire.container, str) else wire.container and wire.container.id) or "",
    )


def _is_instruction(message: Message) -> bool:
    return message.role == "system" and all(isinstance(part, Text) for part in message.parts)


def _sampling(wire: _Request) -> Sampling:
    """A negative `top_k` is taken, and limits nothing."""
    temperature, top_p, top_k = wire.temperature, wire.top_p, wire.top_k
    if temperature is None and top_p is None and top_k is None:
        return NO_SAMPLING
    return Sampling(
        temperature=temperature,
        top_p=top_p,
        top_k=None if top_k is None or top_k < 0 else whole("top_k", top_k),
    )


def _tool_choice(wire: _ToolChoice) -> ToolChoice:
    mode: Any = _MODES.get(wire.type)
    if mode is None or (wire.type == "tool" and not wire.name):
        param = "tool_choice.name" if mode else "tool_choice.type"
        raise InvalidRequest(f"Invalid value for {param}", param=param)
    parallel = None if wire.disable_parallel_tool_use is None else not wire.disable_parallel_tool_use
    names = (wire.name,) if wire.type == "tool" and wire.name else ()
    return ToolChoice(mode=mode, names=names, parallel=parallel)


# --- thinking -----------------------------------------------------------------------------------------------------

_SHOWN: dict[str | None, Any] = {"summarized": "auto", "updates": "auto", "omitted": "none"}


def _reasoning(thinking: _Thinking | None, config: _OutputConfig | None) -> Reasoning | None:
    """A level says by itself that the model thinks, so `adaptive` is told only where no level is."""
    effort = _effort(config.effort) if config else None
    if thinking is None:
        return Reasoning(effort=effort) if effort else None
    show = _SHOWN.get(thinking.display)
    match thinking.type:
        case "enabled":
            budget = whole("thinking.budget_tokens", thinking.budget_tokens)
            if budget is None:
                param = "thinking.budget_tokens"
                raise InvalidRequest(f"Missing required field: {param}", param=param)
            return Reasoning(effort=effort, budget_tokens=budget, show=show)
        case "adaptive":
            return Reasoning(effort=effort, adaptive=None if effort else True, show=show)
        case "disabled":
            return Reasoning(effort=effort, adaptive=False) if effort else Reasoning(effort="none")
        case "between_tools":
            return Reasoning(effort=effort, between_tools=True)
        case kind:
            raise InvalidRequest(f"Invalid value for thinking.type: {kind!r}", param="thinking.type")


def _effort(word: str | None) -> Effort | None:
    if word is None:
        return None
    if word not in _EFFORTS:
        raise InvalidRequest(f"Invalid value for output_config.effort: {word!r}", param="output_config.effort")
    return _EFFORTS[word]


def _format(wire: _Request) -> JsonSchema | None:
    for form in (wire.output_config.format if wire.output_config else None, wire.output_format):
        if form is not None and given(form.schema):
            return JsonSchema(schema=form.schema)
    return None


# --- context management -------------------------------------------------------------------------------------------


def _compaction_threshold(edits: list[_Edit]) -> int | None:
    for edit in edits:
        if edit.type.startswith("compact_"):
            asked = edit.trigger.value if edit.trigger else None
            tokens = whole("context_management.edits[].trigger.value", asked)
            return COMPACTION_THRESHOLD if tokens is None else tokens
    return None


def _cleared(messages: tuple[Message, ...], edits: list[_Edit]) -> tuple[Message, ...]:
    """Old thinking that the client wants gone goes here, so that every provider gets the same conversation."""
    for edit in edits:
        if edit.type.startswith("clear_thinking_") and edit.keep != "all":
            keep = edit.keep if isinstance(edit.keep, _Keep) else _Keep("thinking_turns", 1)
            if keep.type != "all":
                turns = whole("context_management.edits[].keep.value", keep.value)
                return without_old_thinking(messages, 1 if turns is None else turns)
    return messages


# --- what has no canonical form -----------------------------------------------------------------------------------


def _extra(members: dict[str, Raw], wire: _Request) -> dict[str, Raw]:
    """Fields that no other dialect has, by wire name."""
    extra: dict[str, Raw] = {}
    if not _READ.issuperset(members):
        extra |= {name: raw for name, raw in members.items() if name not in _READ}
    # Of these only a part has a canonical form: the whole object is kept for the same dialect.
    if wire.context_management is not None:
        extra["context_management"] = members["context_management"]
    if wire.container is not None and isinstance(wire.container, _Container):
        extra["container"] = members["container"]
    if wire.output_config is not None:
        config = within(_OBJECT, members["output_config"], "output_config")
        rest = {name: raw for name, raw in config.items() if name not in _OutputConfig.__struct_fields__}
        if rest:
            extra["output_config"] = Raw(_ENCODER.encode(rest))
    return extra
