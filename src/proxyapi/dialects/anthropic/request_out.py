"""Anthropic Messages: a canonical request for a provider. https://docs.anthropic.com/en/api/messages"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from proxyapi.dialects import schema
from proxyapi.dialects.anthropic.content_out import write_messages, write_system
from proxyapi.dialects.anthropic.draft import Draft
from proxyapi.dialects.anthropic.marks import MARKS_MAX, limit_marks, write_mark
from proxyapi.dialects.anthropic.thinking_out import Plan, plan, sampling
from proxyapi.dialects.anthropic.tools_out import choose, write_tools
from proxyapi.dialects.anthropic.turns_out import arrange, changes_stay, is_signed
from proxyapi.dialects.codec import Encoded, TargetModel, Untranslatable
from proxyapi.dialects.model import (
    JsonObject,
    JsonSchema,
    Message,
    Request,
    ServerToolResult,
    ServerToolUse,
    Tier,
    Tool,
    ToolChange,
    ToolResult,
)
from proxyapi.dialects.toolset import settled

OUTPUT_TOKENS_MAX = 8_192
"""Of a model whose ceiling the catalog does not know: what every model since Claude 3.5 can write."""
COMPACTION_THRESHOLD_MIN = 50_000
"""Input tokens; less is refused."""
USER_CHARACTERS_MAX = 256
JSON_TOOL = "respond"
"""Its arguments are the answer, for models that have no other way to a schema."""

_TIERS: dict[Tier, dict[str, str]] = {
    "auto": {"service_tier": "auto"},
    "standard": {"service_tier": "standard_only"},
    "priority": {"service_tier": "auto"},
    "scale": {"service_tier": "auto"},
    "ultrafast": {"service_tier": "auto"},
    "fast": {"speed": "fast"},
}
"""What is not here is a price class that the vendor has not: the usual one then."""
_SAME_TIER = frozenset({"auto", "standard", "fast"})

_EXTRA = frozenset(
    {
        "anthropic_version",
        "billing_policy",
        "cache_control",
        "compaction",
        "container",
        "context_management",
        "diagnostics",
        "fallback_credit_token",
        "fallbacks",
        "inference_geo",
        "speed",
        "thinking",
        "thread",
        "top_k",
        "user_profile_id",
        "workspace_id",
    }
)
"""Fields without a canonical form that are the vendor's own: sent as the client wrote them."""
_EXTRA_BETAS = {
    "fallbacks": "server-side-fallback-2026-07-01",
    "thread": "message-threads-2026-08-12",
    "compaction": "compact-2026-09-04",
}
_EDITS_BETA = "context-management-2025-06-27"
_COMPACTION_BETA = "compact-2026-01-12"
_TASK_BUDGET_BETA = "task-budgets-2026-03-13"

_ENCODER = msgspec.json.Encoder()
_OBJECT = msgspec.json.Decoder(dict[str, Raw])


def write_request(request: Request, target: TargetModel) -> Encoded:
    """Untranslatable names what the dialect can't say."""
    draft = Draft()
    _refuse(request)
    _drop(request, draft)
    request = _with_settled_tools(request, target, draft)
    ceiling = _ceiling(request, target, draft)
    planned = plan(request.reasoning, target.quirks, ceiling, draft)
    turns = arrange(request.messages, target, draft, thinks=not planned.off)
    _check_prefill(turns, target)
    planned = _replayable(planned, turns, target, draft)
    choice = choose(request, request.tools, target.quirks, planned, draft)
    if not choice.thinks:
        planned = Plan({"type": "disabled"}, planned.effort)
    written = write_tools(choice.tools, request, target.quirks, draft)
    shape = _shape(request, target, planned, draft)
    tools, tool_choice = (shape.tools, shape.tool_choice) if shape.json_tool else (written.tools, choice.wire)
    stop, cut = _stop(request, target)
    wire: dict[str, Any] = {"model": target.model, "max_tokens": ceiling}
    fields: dict[str, Any] = {
        "tools": tools or None,
        "mcp_servers": written.servers or None,
        "tool_choice": tool_choice,
        "system": write_system(request.system, draft.sentences),
        "messages": write_messages(turns, request, target, draft),
        "stop_sequences": stop or None,
        "thinking": planned.thinking,
        "output_config": _output_config(request, planned, shape, draft),
        **sampling(request.sampling, target.quirks, planned, draft),
        **_settings(request, draft),
    }
    wire |= {name: value for name, value in fields.items() if value is not None}
    wire |= _extra(request, wire, draft)
    automatic = request.cache.automatic is not None
    limit_marks((tools, wire.get("system"), wire["messages"]), MARKS_MAX - automatic)
    return Encoded(
        body=_ENCODER.encode(wire),
        headers=draft.headers,
        dropped=draft.dropped,
        approximated=draft.approximated,
        names=draft.names,
        json_tool=shape.json_tool,
        stop=cut,
    )


# --- what the dialect lacks ---------------------------------------------------------------------------------------


def _refuse(request: Request) -> None:
    """What can't be said in any way, and would change the answer's meaning."""
    for field, is_asked, why in (
        ("choices", request.choices > 1, "Anthropic Messages gives one answer only"),
        ("logprobs", request.logprobs is not None, "Anthropic Messages tells no probabilities"),
        ("modalities", bool(set(request.modalities) - {"text"}), "Anthropic Messages answers with text only"),
        ("storage.background", request.storage.background is True, "Anthropic Messages answers at once"),
        (
            "storage.previous_response_id",
            bool(request.storage.previous_response_id or request.storage.conversation),
            "Anthropic Messages keeps no conversations",
        ),
        ("cache.content", bool(request.cache.content), "only its provider can read a cached content"),
    ):
        if is_asked:
            raise Untranslatable(field, why)


def _drop(request: Request, draft: Draft) -> None:
    """Knobs that change quality or cost, not the meaning."""
    for field, is_asked in (
        ("verbosity", request.verbosity is not None),
        ("prediction", request.prediction is not None),
        ("media_detail", request.media_detail is not None),
        ("truncation", request.truncation == "auto"),
        ("storage.store", request.storage.store is True),
        ("metadata", bool(request.metadata)),
        ("cache.key", bool(request.cache.key)),
        ("cache.explicit", request.cache.explicit is not None),
        ("cache.lifetime", request.cache.lifetime is not None),
    ):
        if is_asked:
            draft.drop(field)


def _with_settled_tools(request: Request, target: TargetModel, draft: Draft) -> Request:
    """Tools that come and go within the conversation stand in one list, where the target does not take them there."""
    has_changes = any(isinstance(part, ToolChange) for message in request.messages for part in message.parts)
    if not has_changes or changes_stay(request.messages, target):
        return request
    tools: tuple[Tool, ...] = settled(request.tools, request.messages)
    messages = [
        replace(message, parts=tuple(part for part in message.parts if not isinstance(part, ToolChange)))
        for message in request.messages
    ]
    draft.approximate("messages.tool_change")
    return replace(request, tools=tools, messages=tuple(messages))


def _check_prefill(turns: tuple[Message, ...], target: TargetModel) -> None:
    """The beginning of an answer that the model is to go on with. A hosted tool at its end is none: it is pending."""
    last = turns[-1]
    is_begun = last.role == "assistant" and not isinstance(last.parts[-1], ServerToolUse | ServerToolResult)
    if target.quirks.no_prefill and is_begun:
        raise Untranslatable("messages", "this model does not go on with an answer that was begun for it")


def _replayable(planned: Plan, turns: tuple[Message, ...], target: TargetModel, draft: Draft) -> Plan:
    """Models with a budget want the thinking of a turn that is still going on: one that was begun for them, or one
    whose calls were just answered. Where it is not theirs to read, they can't think in this turn."""
    last = turns[-1]
    is_going_on = last.role == "assistant" or any(isinstance(part, ToolResult) for part in last.parts)
    if not planned.has_budget or not is_going_on:
        return planned
    answer = next(message for message in reversed(turns) if message.role == "assistant")
    if is_signed(answer.parts[0], target):
        return planned
    draft.approximate("reasoning")
    return Plan()


# --- single fields ------------------------------------------------------------------------------------------------


def _ceiling(request: Request, target: TargetModel, draft: Draft) -> int:
    """The dialect needs one; a higher one than the model's is refused."""
    most, asked = target.output_tokens_max, request.output_tokens_max
    if asked is None:
        return most or OUTPUT_TOKENS_MAX
    if most is not None and asked > most:
        draft.approximate("output_tokens_max")
        return most
    return asked


def _stop(request: Request, target: TargetModel) -> tuple[list[str], tuple[str, ...]]:
    """What the provider stops at, and what the gateway has to cut: blanks alone are refused."""
    if target.quirks.no_stop:
        return [], request.stop
    told = [stop for stop in request.stop if stop.strip()]
    return told, tuple(stop for stop in request.stop if stop and not stop.strip())


def _settings(request: Request, draft: Draft) -> dict[str, Any]:
    """Fields that stand for themselves."""
    user = request.user if len(request.user) <= USER_CHARACTERS_MAX else sha256(request.user.encode()).hexdigest()
    return {
        "cache_control": request.cache.automatic and write_mark(request.cache.automatic),
        "context_management": _context_management(request, draft),
        "container": request.container or None,
        "metadata": {"user_id": user} if user else None,
        "stream": request.stream or None,
        **_tier(request, draft),
    }


def _tier(request: Request, draft: Draft) -> dict[str, str]:
    if request.tier is None:
        return {}
    if request.tier not in _SAME_TIER:
        draft.drop("tier")
    return _TIERS.get(request.tier, {})


def _context_management(request: Request, draft: Draft) -> dict[str, Any] | None:
    """A threshold of Responses. Edits of a client of this dialect stand in `extra`, whole."""
    if request.compaction_threshold is None:
        return None
    draft.beta(_COMPACTION_BETA)
    threshold = max(request.compaction_threshold, COMPACTION_THRESHOLD_MIN)
    if threshold != request.compaction_threshold:
        draft.approximate("compaction_threshold")
    trigger = {"type": "input_tokens", "value": threshold}
    return {"edits": [{"type": "compact_20260112", "trigger": trigger}]}


def _extra(request: Request, wire: dict[str, Any], draft: Draft) -> dict[str, Raw]:
    extra = {name: raw for name, raw in request.extra.items() if name in _EXTRA and _is_whole(name, wire)}
    for name in request.extra:
        if name not in extra and name != "output_config":
            draft.drop(name)
    for name in extra:
        if name in _EXTRA_BETAS:
            draft.beta(_EXTRA_BETAS[name])
    if "context_management" in extra:
        draft.beta(_EDITS_BETA)
    return extra


def _is_whole(name: str, wire: dict[str, Any]) -> bool:
    """The field is not there, or only in part."""
    return name not in wire or name in ("context_management", "container")


# --- shape of the answer ------------------------------------------------------------------------------------------


class _Shape(msgspec.Struct, frozen=True):
    schema: Raw | None = None
    """For `output_config.format`."""
    json_tool: str = ""
    tools: list[dict[str, Any] | Raw] = []
    tool_choice: dict[str, Any] | None = None


def _shape(request: Request, target: TargetModel, planned: Plan, draft: Draft) -> _Shape:
    match request.format:
        case JsonObject():
            draft.approximate("format")
            draft.sentences.append("Answer with one JSON object only.")
        case JsonSchema() as wanted if target.quirks.no_output_format or schema.recursive(wanted.schema):
            draft.approximate("format")
            if not (request.tools or planned.on or target.quirks.no_forced_tool) and _is_object(wanted.schema):
                return _by_tool(wanted)
            words = bytes(wanted.schema).decode()
            draft.sentences.append(f"Answer with JSON only, and nothing around it, that matches this schema:\n{words}")
        case JsonSchema() as wanted:
            return _Shape(schema.closed(wanted.schema))
        case _:
            pass
    return _Shape()


def _is_object(raw: Raw) -> bool:
    """Arguments of a tool can match it: they are an object."""
    return bytes(schema.object_root(raw)) == bytes(raw)


def _by_tool(wanted: JsonSchema) -> _Shape:
    """A tool that the model has to call, whose arguments are the answer."""
    tool: dict[str, Any] = {
        "name": JSON_TOOL,
        "description": wanted.description or "Gives the answer.",
        "input_schema": wanted.schema,
    }
    choice = {"type": "tool", "name": JSON_TOOL, "disable_parallel_tool_use": True}
    return _Shape(json_tool=JSON_TOOL, tools=[tool], tool_choice=choice)


def _output_config(request: Request, planned: Plan, shape: _Shape, draft: Draft) -> dict[str, Any] | None:
    config: dict[str, Any] = {}
    if planned.effort is not None:
        config["effort"] = planned.effort
    if shape.schema is not None:
        config["format"] = {"type": "json_schema", "schema": shape.schema}
    if "output_config" in request.extra:
        config |= _OBJECT.decode(request.extra["output_config"])
        draft.beta(_TASK_BUDGET_BETA)
    return config or None
