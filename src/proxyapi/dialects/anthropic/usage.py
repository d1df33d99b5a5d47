"""Anthropic Messages: `usage` objects as disjoint units, and back.

`input_tokens` has neither cache in it. What the dialect has no field for stands beside its fields under names of our
own, so that a bill read from our replies is the bill that we made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from proxyapi.dialects.dialect import Report
from proxyapi.dialects.model import ABSENT, ModelUsage
from proxyapi.dialects.units import QUANTITY_MAX, add, count, inner, reported_cost, split
from proxyapi.usage import INPUT_TOKENS, OUTPUT_TOKENS, Unit, Usage

_OTHER_MODEL = ("advisor", "compaction", "fallback")
"""Kinds of `usage.iterations[]` that are not in the totals: another model, or another prompt."""

_INPUT, _OUTPUT, _REASONING, _CACHE_READ = Unit.INPUT, Unit.OUTPUT, Unit.REASONING, Unit.CACHE_READ
_CACHE_WRITES = {
    Unit.CACHE_WRITE_1H: "ephemeral_1h_input_tokens",
    Unit.CACHE_WRITE_30M: "ephemeral_30m_input_tokens",
    Unit.CACHE_WRITE_12H: "ephemeral_12h_input_tokens",
}
"""Within `cache_creation`; 30 minutes and 12 hours are other vendors'. What they leave of the total lives 5 minutes."""
_MINUTES = "ephemeral_5m_input_tokens"
_IN_INPUT = {Unit.INPUT_AUDIO: "audio_input_tokens", Unit.INPUT_IMAGE: "image_input_tokens"}
_IN_CACHE_READ = {Unit.CACHE_READ_AUDIO: "audio_cache_read_input_tokens"}
_IN_OUTPUT = {Unit.OUTPUT_AUDIO: "audio_output_tokens", Unit.OUTPUT_IMAGE: "image_output_tokens"}
_SERVER_TOOLS = {
    Unit.WEB_SEARCH: "web_search_requests",
    Unit.WEB_FETCH: "web_fetch_requests",
    Unit.FILE_SEARCH: "file_search_requests",
    Unit.CODE_SESSION: "code_execution_sessions",
}
"""Within `server_tool_use`; only the first two are the vendor's."""
_BESIDE = (Unit.IMAGES, Unit.CHARACTERS, Unit.AUDIO_SECONDS, Unit.REQUESTS)
"""Units that no reply of the vendor has, under our own names."""

_Count = Annotated[int, Meta(ge=0, le=QUANTITY_MAX)]


class _Creation(Struct, forbid_unknown_fields=True, gc=False):
    ephemeral_5m_input_tokens: _Count = 0
    ephemeral_1h_input_tokens: _Count = 0


class _PlainUsage(Struct, forbid_unknown_fields=True, gc=False):
    """The usual `usage`: whole numbers, no hosted tools, no other models."""

    input_tokens: _Count
    output_tokens: _Count
    cache_creation_input_tokens: _Count | None = None
    cache_read_input_tokens: _Count | None = None
    cache_creation: _Creation | None = None
    service_tier: str | None = None
    server_tool_use: None = None
    inference_geo: str | None = None


class _Report(Struct):
    """All that metering needs of a whole reply whose provider counted."""

    usage: Raw
    stop_reason: str
    type: Literal["message"]
    id: str = ""
    model: str = ""
    error: Raw = ABSENT


_USAGE = msgspec.json.Decoder(_PlainUsage)
_REPORT = msgspec.json.Decoder(_Report)


def report(body: bytes) -> Report | None:
    """Usage of a whole message. None: it is not the usual one."""
    try:
        wire = _REPORT.decode(body)
        spent = _USAGE.decode(wire.usage)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if wire.error is not ABSENT or not wire.stop_reason:
        return None
    units = {_INPUT: spent.input_tokens}
    if spent.cache_read_input_tokens:
        units[_CACHE_READ] = spent.cache_read_input_tokens
    written, hour = spent.cache_creation_input_tokens or 0, 0
    if spent.cache_creation is not None:
        hour = spent.cache_creation.ephemeral_1h_input_tokens
        written = max(written, hour + spent.cache_creation.ephemeral_5m_input_tokens)
    if written:
        add(units, Unit.CACHE_WRITE_1H, hour)
        add(units, Unit.CACHE_WRITE_5M, written - hour)
    units[_OUTPUT] = spent.output_tokens
    return Report(units, wire.id, wire.model, spent.service_tier or "")


def usage(wire: dict[str, Any]) -> Usage:
    """One `usage` object, or the merge of those of a stream."""
    units: dict[Unit, int] = {}
    split(units, count(wire, "input_tokens"), Unit.INPUT, *_named(wire, _IN_INPUT))
    if cached := count(wire, "cache_read_input_tokens"):
        split(units, cached, Unit.CACHE_READ, *_named(wire, _IN_CACHE_READ))
    _add_cache_writes(units, wire)
    thinking = count(inner(wire, "output_tokens_details"), "thinking_tokens")
    split(units, count(wire, "output_tokens"), Unit.OUTPUT, (Unit.REASONING, thinking), *_named(wire, _IN_OUTPUT))
    tools = inner(wire, "server_tool_use")
    for unit, quantity in (*_named(tools, _SERVER_TOOLS), *((unit, count(wire, unit.value)) for unit in _BESIDE)):
        add(units, unit, quantity)
    cost = reported_cost(wire)
    if cost is not None:
        units[Unit.REPORTED_COST] = cost
    return units


def others(wire: dict[str, Any]) -> tuple[ModelUsage, ...]:
    """Iterations of other models, which the totals leave out."""
    found: list[ModelUsage] = []
    iterations = wire.get("iterations")
    for iteration in iterations if isinstance(iterations, list) else ():
        if isinstance(iteration, dict) and str(iteration.get("type") or "").startswith(_OTHER_MODEL):
            found.append(ModelUsage(str(iteration.get("model") or ""), usage(iteration)))
    return tuple(found)


def _named(wire: dict[str, Any], names: dict[Unit, str]) -> Iterable[tuple[Unit, int]]:
    return [(unit, count(wire, name)) for unit, name in names.items()]


def _add_cache_writes(units: dict[Unit, int], wire: dict[str, Any]) -> None:
    lifetimes = inner(wire, "cache_creation")
    named = sum(count(lifetimes, name) for name in _CACHE_WRITES.values())
    # The split can fall short of the total; what it leaves out has the default lifetime.
    written = max(count(wire, "cache_creation_input_tokens"), named + count(lifetimes, _MINUTES))
    for unit, name in _CACHE_WRITES.items():
        add(units, unit, count(lifetimes, name))
    add(units, Unit.CACHE_WRITE_5M, written - named)


_USUAL = frozenset({Unit.INPUT, Unit.CACHE_READ, Unit.OUTPUT, Unit.REASONING})
"""Units of nearly all replies: they leave nothing to look for."""


# --- units to a usage object --------------------------------------------------------------------------------------


def written(spent: Usage, others: Sequence[ModelUsage] = ()) -> dict[str, Any]:
    """`usage` as clients of the dialect read it; `usage` and `others` of this module read the same back."""
    if not others and spent.keys() <= _USUAL:
        return _usually_written(spent)
    told_otherwise = not spent.keys() <= _USUAL
    lifetimes = {_MINUTES: spent.get(Unit.CACHE_WRITE_5M, 0)}
    lifetimes["ephemeral_1h_input_tokens"] = spent.get(Unit.CACHE_WRITE_1H, 0)
    if told_otherwise:
        lifetimes |= _told(spent, _CACHE_WRITES)
    read = spent.get(Unit.CACHE_READ, 0) + spent.get(Unit.CACHE_READ_AUDIO, 0)
    created = sum(lifetimes.values())
    all_input = sum([quantity for unit, quantity in spent.items() if unit in INPUT_TOKENS])
    wire: dict[str, Any] = {
        "input_tokens": all_input - read - created,
        "cache_creation_input_tokens": created,
        "cache_read_input_tokens": read,
        "cache_creation": lifetimes,
        "output_tokens": sum([quantity for unit, quantity in spent.items() if unit in OUTPUT_TOKENS]),
    }
    if thinking := spent.get(Unit.REASONING):
        wire["output_tokens_details"] = {"thinking_tokens": thinking}
    if told_otherwise:
        if tools := _told(spent, _SERVER_TOOLS):
            wire["server_tool_use"] = {"web_search_requests": 0, "web_fetch_requests": 0} | tools
        wire |= _told(spent, _IN_INPUT | _IN_CACHE_READ | _IN_OUTPUT)
        wire |= {unit.value: spent[unit] for unit in _BESIDE if spent.get(unit)}
    if iterations := [{"type": "advisor_message", "model": other.model} | written(other.usage) for other in others]:
        wire["iterations"] = iterations
    return wire


def _usually_written(spent: Usage) -> dict[str, Any]:
    """`written` of the usual units by a straight way."""
    thinking = spent.get(_REASONING, 0)
    wire: dict[str, Any] = {
        "input_tokens": spent.get(_INPUT, 0),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": spent.get(_CACHE_READ, 0),
        "cache_creation": {_MINUTES: 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": spent.get(_OUTPUT, 0) + thinking,
    }
    if thinking:
        wire["output_tokens_details"] = {"thinking_tokens": thinking}
    return wire


def _told(spent: Usage, names: dict[Unit, str]) -> dict[str, int]:
    return {name: spent[unit] for unit, name in names.items() if spent.get(unit)}
