"""Usage objects of OpenAI and of those who speak its dialects, from disjoint units and to them."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from proxyapi.dialects.units import QUANTITY_MAX, add, count, inner, reported_cost, split, wire_object
from proxyapi.usage import INPUT_TOKENS, OUTPUT_TOKENS, Unit, Usage

_CACHED_AUDIO = "cached_audio_tokens"
_WEB_FETCHES = "web_fetch_requests"
_FOREIGN_WRITES = ((Unit.CACHE_WRITE_5M, "cache_write_5m_tokens"), (Unit.CACHE_WRITE_1H, "cache_write_1h_tokens"))
"""What OpenAI has no field for: keys of our own inside the details, read back by the same names."""
_WRITES = (Unit.CACHE_WRITE_5M, Unit.CACHE_WRITE_30M, Unit.CACHE_WRITE_1H, Unit.CACHE_WRITE_12H)

_PROMPT = frozenset({"prompt_tokens", "input_tokens"})
_ANSWER = frozenset({"completion_tokens", "output_tokens"})
_HOSTED = frozenset({"server_tool_use_details", "server_side_tool_usage_details"})


_INPUT, _OUTPUT, _REASONING, _CACHE_READ = Unit.INPUT, Unit.OUTPUT, Unit.REASONING, Unit.CACHE_READ
_Count = Annotated[int, Meta(ge=0, le=QUANTITY_MAX)]


class _Into(Struct, forbid_unknown_fields=True, gc=False):
    cached_tokens: _Count | None = None
    audio_tokens: _Count | None = None
    text_tokens: _Count | None = None


class _Out(Struct, forbid_unknown_fields=True, gc=False):
    reasoning_tokens: _Count | None = None
    audio_tokens: _Count | None = None
    text_tokens: _Count | None = None
    accepted_prediction_tokens: _Count | None = None
    rejected_prediction_tokens: _Count | None = None


class _Chat(Struct, forbid_unknown_fields=True, gc=False):
    """The usual `usage`: whole numbers, and none that changes how others are read."""

    prompt_tokens: _Count
    completion_tokens: _Count
    total_tokens: _Count = 0
    prompt_tokens_details: _Into | None = None
    completion_tokens_details: _Out | None = None


class _Response(Struct, forbid_unknown_fields=True, gc=False):
    input_tokens: _Count
    output_tokens: _Count
    total_tokens: _Count = 0
    input_tokens_details: _Into | None = None
    output_tokens_details: _Out | None = None


_CHAT = msgspec.json.Decoder(_Chat)
_RESPONSE = msgspec.json.Decoder(_Response)


def chat_usage(raw: Raw) -> Usage | None:
    """`token_usage` of JSON, by a short way where it is a usual one. None: it is no object, or an empty one."""
    try:
        wire = _CHAT.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _unusual(raw)
    units = _usual(
        wire.prompt_tokens,
        wire.completion_tokens,
        wire.total_tokens,
        wire.prompt_tokens_details,
        wire.completion_tokens_details,
    )
    return _unusual(raw) if units is None else units


def response_usage(raw: Raw) -> Usage | None:
    """The same for the names that Responses uses."""
    try:
        wire = _RESPONSE.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _unusual(raw)
    units = _usual(
        wire.input_tokens, wire.output_tokens, wire.total_tokens, wire.input_tokens_details, wire.output_tokens_details
    )
    return _unusual(raw) if units is None else units


def _unusual(raw: Raw) -> Usage | None:
    wire = wire_object(raw)
    return token_usage(wire) if wire else None


def _usual(prompt: int, output: int, total: int, into: _Into | None, out: _Out | None) -> dict[Unit, int] | None:
    """Totals that hold their parts, and no sound. None: `token_usage` knows what to make of it."""
    if total > prompt + output:
        return None
    cached = reasoning = 0
    if into is not None:
        cached = into.cached_tokens or 0
        if into.audio_tokens or cached > prompt:
            return None
    if out is not None:
        reasoning = out.reasoning_tokens or 0
        if out.audio_tokens or reasoning > output:
            return None
    units = {_CACHE_READ: cached, _INPUT: prompt - cached} if cached else {_INPUT: prompt}
    if reasoning:
        units[_REASONING] = reasoning
    units[_OUTPUT] = output - reasoning
    return units


def token_usage(wire: dict[str, Any]) -> Usage:
    """`usage` of a chat, a response or a legacy completion, as disjoint units.

    Some leave a part out of the total it belongs to: `total_tokens` tells. xAI and Google leave out reasoning, Mistral
    audio; grok on Azure leaves cached input out of the prompt. A half that is not told at all, prompt or answer, has no
    unit: it is not zero.
    """
    units: dict[Unit, int] = {}
    into = inner(wire, "prompt_tokens_details", "prompt_token_details", "input_tokens_details")
    out = inner(wire, "completion_tokens_details", "output_tokens_details")
    prompt, output = count(wire, "prompt_tokens", "input_tokens"), count(wire, "completion_tokens", "output_tokens")
    cached = count(into, "cached_tokens") or count(wire, "prompt_cache_hit_tokens", "num_cached_tokens")
    audio, reasoning = count(into, "audio_tokens"), count(out, "reasoning_tokens")
    heard = min(cached, count(into, _CACHED_AUDIO))
    if cached > prompt:
        prompt += cached
    outside = count(wire, "total_tokens") - prompt - output
    if outside > 0 and "completion_tokens" in wire:
        if outside == audio:
            prompt += outside
        else:
            output, reasoning = output + outside, max(reasoning, outside)
    parts = [(Unit.CACHE_READ, cached - heard)] if cached else []
    if heard:
        parts.append((Unit.CACHE_READ_AUDIO, heard))
    if "cache_write_tokens" in into:
        parts += _cache_writes(into)
    if audio:
        parts.append((Unit.INPUT_AUDIO, audio))
    if images := count(into, "image_tokens"):
        parts.append((Unit.INPUT_IMAGE, images))
    if prompt or not _PROMPT.isdisjoint(wire):
        split(units, prompt, Unit.INPUT, *parts)
    parts = [(Unit.REASONING, reasoning)] if reasoning else []
    if sound := count(out, "audio_tokens"):
        parts.append((Unit.OUTPUT_AUDIO, sound))
    if pictures := count(out, "image_tokens"):
        parts.append((Unit.OUTPUT_IMAGE, pictures))
    if output or not _ANSWER.isdisjoint(wire):
        split(units, output, Unit.OUTPUT, *parts)
    if not _HOSTED.isdisjoint(wire):
        _hosted_tools(units, wire)
    return _with_cost(units, wire) if "cost" in wire else units


def _cache_writes(details: dict[str, Any]) -> list[tuple[Unit, int]]:
    """OpenAI caches for 30 minutes unless told 12 hours; `written` adds the other lifetimes."""
    named = [(Unit.CACHE_WRITE_12H, count(inner(details, "cache_write_tokens_details"), "ttl_12h_tokens"))]
    named += [(unit, count(details, name)) for unit, name in _FOREIGN_WRITES if name in details]
    rest = count(details, "cache_write_tokens") - sum(quantity for _, quantity in named)
    return [*named, (Unit.CACHE_WRITE_30M, max(0, rest))]


def _hosted_tools(units: dict[Unit, int], wire: dict[str, Any]) -> None:
    """Searches and runs that OpenRouter and xAI list inside `usage`."""
    details = inner(wire, "server_tool_use_details")
    add(units, Unit.WEB_SEARCH, count(details, "web_search_requests", "tool_calls_executed"))
    add(units, Unit.WEB_FETCH, count(details, _WEB_FETCHES))
    details = inner(wire, "server_side_tool_usage_details")
    add(units, Unit.WEB_SEARCH, count(details, "web_search_calls") + count(details, "x_search_calls"))
    add(units, Unit.CODE_SESSION, count(details, "code_interpreter_calls"))
    add(units, Unit.FILE_SEARCH, count(details, "file_search_calls") + count(details, "document_search_calls"))


# --- units to a usage object --------------------------------------------------------------------------------------

_NAMES = {
    "chat": ("prompt_tokens", "completion_tokens", "prompt_tokens_details", "completion_tokens_details"),
    "responses": ("input_tokens", "output_tokens", "input_tokens_details", "output_tokens_details"),
}
_ENCODER = msgspec.json.Encoder()


def written(usage: Usage, dialect: Literal["chat", "responses"], *, cost: str = "", currency: str = "") -> bytes:
    """`usage` as a client of the dialect reads it: totals that hold their parts, and always both details.

    `cost` is a decimal number as text; empty: it is not told. `token_usage` reads the same tokens back.
    """
    total_in, total_out, into, out = _NAMES[dialect]
    prompt = sum(usage.get(unit, 0) for unit in INPUT_TOKENS)
    output = sum(usage.get(unit, 0) for unit in OUTPUT_TOKENS)
    wire: dict[str, Any] = {
        total_in: prompt,
        total_out: output,
        "total_tokens": prompt + output,
        into: _input_details(usage),
        out: _output_details(usage),
    }
    # Responses counts the calls of other hosted tools elsewhere.
    hosted = usage if dialect == "chat" else {Unit.WEB_FETCH: usage.get(Unit.WEB_FETCH, 0)}
    wire |= _hosted_details(hosted)
    if cost:
        wire |= {"cost": Raw(cost.encode()), "cost_currency": currency}
    return _ENCODER.encode(wire)


def chat_frame(usage: bytes, *, reply_id: str, model: str, at: int) -> bytes:
    """The last chunk of a Chat stream: nothing but its usage. `at`: Unix seconds."""
    chunk = {"id": reply_id, "object": "chat.completion.chunk", "created": at, "model": model, "choices": []}
    return b"data: %b\n\n" % _ENCODER.encode(chunk | {"usage": Raw(usage)})


def _hosted_details(usage: Usage) -> dict[str, Any]:
    """As OpenRouter tells searches, and xAI what else it ran."""
    fields = (
        ("server_tool_use_details", Unit.WEB_SEARCH, "web_search_requests"),
        ("server_tool_use_details", Unit.WEB_FETCH, _WEB_FETCHES),
        ("server_side_tool_usage_details", Unit.CODE_SESSION, "code_interpreter_calls"),
        ("server_side_tool_usage_details", Unit.FILE_SEARCH, "file_search_calls"),
    )
    told: dict[str, Any] = {}
    for details, unit, name in fields:
        if usage.get(unit):
            told.setdefault(details, {})[name] = usage[unit]
    return told


def _input_details(usage: Usage) -> dict[str, Any]:
    heard = usage.get(Unit.CACHE_READ_AUDIO, 0)
    details: dict[str, Any] = {
        "cached_tokens": usage.get(Unit.CACHE_READ, 0) + heard,
        "cache_write_tokens": sum(usage.get(unit, 0) for unit in _WRITES),
    }
    if long := usage.get(Unit.CACHE_WRITE_12H, 0):
        short = usage.get(Unit.CACHE_WRITE_30M, 0)
        details["cache_write_tokens_details"] = {"ttl_30m_tokens": short, "ttl_12h_tokens": long}
    extras = (
        *_FOREIGN_WRITES,
        (Unit.CACHE_READ_AUDIO, _CACHED_AUDIO),
        (Unit.INPUT_AUDIO, "audio_tokens"),
        (Unit.INPUT_IMAGE, "image_tokens"),
    )
    return details | {name: usage[unit] for unit, name in extras if usage.get(unit)}


def _output_details(usage: Usage) -> dict[str, Any]:
    extras = ((Unit.OUTPUT_AUDIO, "audio_tokens"), (Unit.OUTPUT_IMAGE, "image_tokens"))
    details = {"reasoning_tokens": usage.get(Unit.REASONING, 0)}
    return details | {name: usage[unit] for unit, name in extras if usage.get(unit)}


# --- other operations ---------------------------------------------------------------------------------------------


def embedding_usage(wire: dict[str, Any]) -> Usage:
    """Input only: nothing is generated."""
    units: dict[Unit, int] = {Unit.INPUT: count(wire, "prompt_tokens", "input_tokens", "total_tokens")}
    return _with_cost(units, wire)


def image_usage(wire: dict[str, Any]) -> Usage | None:
    """Tokens of the Images API. None: it names no tokens (xAI bills by the piece)."""
    if "input_tokens" not in wire and "output_tokens" not in wire:
        return None
    units: dict[Unit, int] = {}
    into, out = inner(wire, "input_tokens_details"), inner(wire, "output_tokens_details")
    cached = count(wire, "cached_tokens")
    images = count(into, "image_tokens")
    cached_images = min(images, count(inner(wire, "cached_tokens_details"), "cached_image_tokens"))
    split(
        units,
        count(wire, "input_tokens"),
        Unit.INPUT,
        (Unit.CACHE_READ, cached),
        (Unit.INPUT_IMAGE, images - cached_images),
    )
    split(units, count(wire, "output_tokens"), Unit.OUTPUT_IMAGE, (Unit.OUTPUT, count(out, "text_tokens")))
    return _with_cost(units, wire)


def speech_usage(wire: dict[str, Any]) -> Usage:
    """`speech.audio.done`: text in, sound out."""
    return {Unit.INPUT: count(wire, "input_tokens"), Unit.OUTPUT_AUDIO: count(wire, "output_tokens")}


def transcription_usage(wire: dict[str, Any]) -> Usage | None:
    """`usage` of a transcription: of type `tokens` or `duration`. None: it is neither."""
    if "prompt_tokens" in wire:
        return token_usage(wire)
    if "input_tokens" in wire:
        units: dict[Unit, int] = {}
        audio = count(inner(wire, "input_token_details", "input_tokens_details"), "audio_tokens")
        split(units, count(wire, "input_tokens"), Unit.INPUT, (Unit.INPUT_AUDIO, audio))
        units[Unit.OUTPUT] = count(wire, "output_tokens")
        return _with_cost(units, wire)
    seconds = whole_seconds(wire.get("seconds"))
    return None if seconds is None else _with_cost({Unit.AUDIO_SECONDS: seconds}, wire)


def whole_seconds(value: Any) -> int | None:
    """A duration, rounded up."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    seconds = Decimal(value)
    if not seconds.is_finite() or not 0 <= seconds < 10**7:
        return None
    return int(seconds.to_integral_value(ROUND_CEILING))


def _with_cost(units: dict[Unit, int], wire: dict[str, Any]) -> Usage:
    cost = reported_cost(wire)
    if cost is not None:
        units[Unit.REPORTED_COST] = cost
    return units
