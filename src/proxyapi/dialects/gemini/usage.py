"""Gemini: `usageMetadata` as disjoint units, and back. https://ai.google.dev/api/generate-content#UsageMetadata

The prompt holds what came from a cache; thoughts stand beside the candidates. What the dialect has no field for stands
beside its fields under names of our own, so that a bill read from our replies is the bill that we made.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from proxyapi.dialects.dialect import Report
from proxyapi.dialects.model import ABSENT
from proxyapi.dialects.units import QUANTITY_MAX, add, count, split, wire_object
from proxyapi.usage import INPUT_TOKENS, Unit, Usage

_WEB_SEARCH = Unit.WEB_SEARCH
_INPUT, _OUTPUT, _REASONING, _CACHE_READ = Unit.INPUT, Unit.OUTPUT, Unit.REASONING, Unit.CACHE_READ
_Count = Annotated[int, Meta(ge=0, le=QUANTITY_MAX)]

_IN_PROMPT = {
    Unit.INPUT_IMAGE: "imageTokenCount",
    Unit.CACHE_WRITE_5M: "cacheWriteTokenCount",
    Unit.CACHE_WRITE_30M: "cacheWrite30mTokenCount",
    Unit.CACHE_WRITE_1H: "cacheWrite1hTokenCount",
    Unit.CACHE_WRITE_12H: "cacheWrite12hTokenCount",
}
"""Parts of the prompt that Google does not tell, under names of our own."""
SEARCHES = "webSearchCount"
_BESIDE = {
    Unit.WEB_FETCH: "webFetchCount",
    Unit.FILE_SEARCH: "fileSearchCount",
    Unit.CODE_SESSION: "codeSessionCount",
    Unit.IMAGES: "imageCount",
    Unit.CHARACTERS: "characterCount",
    Unit.AUDIO_SECONDS: "audioSeconds",
    Unit.REQUESTS: "requestCount",
}
"""Units that no reply of Google's has, under names of our own."""
_OURS = frozenset({*_IN_PROMPT.values(), *_BESIDE.values()})


class _Texts(Struct, gc=False):
    modality: Literal["TEXT", "DOCUMENT"]


def usage(wire: dict[str, Any], searches: int = 0) -> Usage:
    """`usageMetadata`. `searches`: as grounding tells them; our own replies count them here."""
    units: dict[Unit, int] = {}
    tools, prompt = count(wire, "toolUsePromptTokenCount"), count(wire, "promptTokenCount")
    cached, cached_audio = count(wire, "cachedContentTokenCount"), _of(wire, "cacheTokensDetails", "AUDIO")
    cached_audio = min(cached, cached_audio)
    audio = _of(wire, "promptTokensDetails", "AUDIO") + _of(wire, "toolUsePromptTokensDetails", "AUDIO")
    ours = not _OURS.isdisjoint(wire)
    split(
        units,
        prompt + tools,
        Unit.INPUT,
        (Unit.CACHE_READ_AUDIO, cached_audio),
        (Unit.CACHE_READ, cached - cached_audio),
        (Unit.INPUT_AUDIO, max(0, audio - cached_audio)),
        *(((unit, count(wire, name)) for unit, name in _IN_PROMPT.items()) if ours else ()),
    )
    output, thoughts = count(wire, "candidatesTokenCount", "responseTokenCount"), count(wire, "thoughtsTokenCount")
    output += max(0, count(wire, "totalTokenCount") - prompt - tools - output - thoughts)
    name = "candidatesTokensDetails" if "candidatesTokensDetails" in wire else "responseTokensDetails"
    split(
        units,
        output,
        Unit.OUTPUT,
        (Unit.OUTPUT_AUDIO, _of(wire, name, "AUDIO")),
        (Unit.OUTPUT_IMAGE, _of(wire, name, "IMAGE")),
    )
    add(units, Unit.REASONING, thoughts)
    add(units, Unit.WEB_SEARCH, count(wire, SEARCHES) if SEARCHES in wire else searches)
    if ours:
        for unit, name in _BESIDE.items():
            add(units, unit, count(wire, name))
    return units


def _of(wire: dict[str, Any], name: str, modality: str) -> int:
    details = wire.get(name)
    if not isinstance(details, list):
        return 0
    return sum(count(d, "tokenCount") for d in details if isinstance(d, dict) and d.get("modality") == modality)


class Total:
    """Usage of a stream: each chunk tells it anew, and the last value of each field counts."""

    __slots__ = ("_fields", "_usual")

    def __init__(self) -> None:
        self._fields: dict[str, Any] = {}
        self._usual = True
        """Only whole numbers and texts so far."""

    def add(self, raw: Raw, searches: int) -> Usage | None:
        """All usage so far. None: this says nothing of it."""
        fields = self._fields
        try:
            spent = _PLAIN.decode(raw)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            wire = wire_object(raw)
            if wire is None:
                return None
            self._usual = False
            fields.update({name: value for name, value in wire.items() if value is not None})
            return usage(fields, searches)
        fields["promptTokenCount"], fields["totalTokenCount"] = spent.promptTokenCount, spent.totalTokenCount
        if spent.candidatesTokenCount is not None:
            fields["candidatesTokenCount"] = spent.candidatesTokenCount
        if spent.thoughtsTokenCount is not None:
            fields["thoughtsTokenCount"] = spent.thoughtsTokenCount
        if spent.cachedContentTokenCount is not None:
            fields["cachedContentTokenCount"] = spent.cachedContentTokenCount
        if self._usual and not searches:
            units = _usual(
                spent.promptTokenCount,
                spent.totalTokenCount,
                fields.get("candidatesTokenCount", 0),
                fields.get("thoughtsTokenCount", 0),
                fields.get("cachedContentTokenCount", 0),
            )
            if units is not None:
                return units
        if not self._usual:
            for name in ("promptTokensDetails", "candidatesTokensDetails", "cacheTokensDetails"):
                if getattr(spent, name) is not None:
                    fields[name] = []
        return usage(fields, searches)


# --- a reply whose provider counted -------------------------------------------------------------------------------


class _Plain(Struct, forbid_unknown_fields=True, gc=False):
    """The usual `usageMetadata`: whole numbers, and nothing but text."""

    promptTokenCount: _Count
    totalTokenCount: _Count
    candidatesTokenCount: _Count | None = None
    thoughtsTokenCount: _Count | None = None
    cachedContentTokenCount: _Count | None = None
    promptTokensDetails: list[_Texts] | None = None
    candidatesTokensDetails: list[_Texts] | None = None
    cacheTokensDetails: list[_Texts] | None = None
    serviceTier: str | None = None
    trafficType: str | None = None


def _usual(prompt: int, total: int, candidates: int, thoughts: int, cached: int) -> dict[Unit, int] | None:
    """What `usage` makes of these numbers alone. None: it knows better."""
    if cached > prompt:
        return None
    units = {_CACHE_READ: cached, _INPUT: prompt - cached} if cached else {_INPUT: prompt}
    rest = total - prompt - thoughts
    units[_OUTPUT] = candidates if candidates >= rest else rest
    if thoughts:
        units[_REASONING] = thoughts
    return units


class _Ungrounded(Struct, forbid_unknown_fields=True, gc=False):
    """A candidate that ended, and that no search is billed with."""

    finishReason: Annotated[str, Meta(min_length=1)]
    content: Raw = ABSENT
    index: Raw = ABSENT
    finishMessage: Raw = ABSENT
    safetyRatings: Raw = ABSENT
    avgLogprobs: Raw = ABSENT
    logprobsResult: Raw = ABSENT
    citationMetadata: Raw = ABSENT
    tokenCount: Raw = ABSENT


class _Report(Struct):
    """All that metering needs of a whole reply whose provider counted."""

    usageMetadata: Raw
    candidates: Annotated[list[_Ungrounded], Meta(min_length=1)]
    modelVersion: str = ""
    responseId: str = ""
    error: Raw = ABSENT


_PLAIN = msgspec.json.Decoder(_Plain)
_REPORT = msgspec.json.Decoder(_Report)


def report(body: bytes) -> Report | None:
    """Usage of a whole reply. None: it is not the usual one."""
    try:
        wire = _REPORT.decode(body)
        spent = _PLAIN.decode(wire.usageMetadata)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    units = _usual(
        spent.promptTokenCount,
        spent.totalTokenCount,
        spent.candidatesTokenCount or 0,
        spent.thoughtsTokenCount or 0,
        spent.cachedContentTokenCount or 0,
    )
    if wire.error is not ABSENT or units is None:
        return None
    return Report(units, wire.responseId, wire.modelVersion, spent.serviceTier or "")


# --- units to `usageMetadata` -------------------------------------------------------------------------------------

_USUAL = frozenset({Unit.INPUT, Unit.CACHE_READ, Unit.OUTPUT, Unit.REASONING})
"""Units of nearly all replies: they leave nothing to look for."""


def written(
    spent: Usage, *, searched: bool = False, tier: str = "", cost: str = "", currency: str = ""
) -> dict[str, Any]:
    """`usageMetadata` as clients of the dialect read it; `usage` reads the same units back.

    `searched`: grounding tells queries, which otherwise would be counted. `cost` is a decimal number as text; empty:
    it is not told.
    """
    wire = _usually_written(spent) if spent.keys() <= _USUAL else _fully_written(spent)
    if searched or _WEB_SEARCH in spent:
        wire[SEARCHES] = spent.get(_WEB_SEARCH, 0)
    if tier:
        wire["serviceTier"] = tier
    if cost:
        wire["cost"], wire["costCurrency"] = Raw(cost.encode()), currency
    return wire


def _usually_written(spent: Usage) -> dict[str, Any]:
    """The usual units by a straight way."""
    cached, thoughts = spent.get(_CACHE_READ, 0), spent.get(_REASONING, 0)
    prompt, output = spent.get(_INPUT, 0) + cached, spent.get(_OUTPUT, 0)
    wire: dict[str, Any] = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": output,
        "totalTokenCount": prompt + output + thoughts,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}] if prompt else [],
    }
    if thoughts:
        wire["thoughtsTokenCount"] = thoughts
    if cached:
        wire["cachedContentTokenCount"] = cached
        wire["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": cached}]
    return wire


def _fully_written(spent: Usage) -> dict[str, Any]:
    cached_audio, heard = spent.get(Unit.CACHE_READ_AUDIO, 0), spent.get(Unit.INPUT_AUDIO, 0)
    cached = spent.get(Unit.CACHE_READ, 0) + cached_audio
    spoken, drawn = spent.get(Unit.OUTPUT_AUDIO, 0), spent.get(Unit.OUTPUT_IMAGE, 0)
    prompt = sum(spent.get(unit, 0) for unit in INPUT_TOKENS)
    output = spent.get(Unit.OUTPUT, 0) + spoken + drawn
    thoughts = spent.get(Unit.REASONING, 0)
    wire: dict[str, Any] = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": output,
        "totalTokenCount": prompt + output + thoughts,
        "promptTokensDetails": _details(TEXT=prompt - heard - cached_audio, AUDIO=heard + cached_audio),
    }
    if thoughts:
        wire["thoughtsTokenCount"] = thoughts
    if cached:
        wire["cachedContentTokenCount"] = cached
        wire["cacheTokensDetails"] = _details(TEXT=cached - cached_audio, AUDIO=cached_audio)
    if spoken or drawn:
        wire["candidatesTokensDetails"] = _details(TEXT=output - spoken - drawn, AUDIO=spoken, IMAGE=drawn)
    return wire | {name: spent[unit] for unit, name in (_IN_PROMPT | _BESIDE).items() if spent.get(unit)}


def _details(**tokens: int) -> list[dict[str, Any]]:
    return [{"modality": name, "tokenCount": quantity} for name, quantity in tokens.items() if quantity]
