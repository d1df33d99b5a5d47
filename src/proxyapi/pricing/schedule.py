"""Prices with dates and hours: which lines are valid within the next hour, and until when that stays so. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from proxyapi.pricing.snapshot import Line, NanoRates, Window
from proxyapi.usage import Unit

HORIZON_SECONDS = 3_600
"""A request is held and settled with the dearest of the lines valid so far ahead: longer ones are cut off anyway."""

_DAY = 86_400
_MONDAY = 4 * _DAY
"""1970-01-05."""


class Moment(NamedTuple):
    """Flat rates, and what long prompts pay instead."""

    rates: dict[Unit, int]
    tiers: tuple[tuple[int, dict[Unit, int]], ...]


def valid_within(lines: Sequence[Line], at: float) -> tuple[Moment, float]:
    """The maximum of all lines valid from `at` to an hour later, and when another one comes into sight or ends."""
    if len(lines) == 1 and not lines[0].since and lines[0].window is None:
        return _moment(lines[0]), float("inf")
    boundaries = sorted(b for line in lines for b in _boundaries(line, at) if b > at)
    moments = [at, *(boundary for boundary in boundaries if boundary <= at + HORIZON_SECONDS)]
    found: list[Line] = []
    for moment in moments:
        active = [line for line in lines if _active(line, moment)]
        if active and active[-1] not in found:
            found.append(active[-1])
    expires = min((b - HORIZON_SECONDS if b - HORIZON_SECONDS > at else b for b in boundaries), default=float("inf"))
    if not found:
        return Moment({}, ()), expires
    if len(found) == 1:
        return _moment(found[0]), expires
    return _maximum([_moment(line) for line in found]), expires


def _moment(line: Line) -> Moment:
    return Moment(_units(line.rates), tuple((above, _units(rates)) for above, rates in line.tiers))


def _units(rates: NanoRates) -> dict[Unit, int]:
    return {Unit(name): rate for name, rate in rates.items()}


def _active(line: Line, moment: float) -> bool:
    return moment >= line.since and (line.window is None or _inside(line.window, moment))


def _inside(window: Window, moment: float) -> bool:
    minute = moment % _DAY / 60
    if window.start_minute <= window.end_minute:
        inside = window.start_minute <= minute < window.end_minute
    else:
        inside = minute >= window.start_minute or minute < window.end_minute
    return inside and not (window.weekdays and (moment - _MONDAY) // _DAY % 7 > 4)


def _boundaries(line: Line, at: float) -> Iterator[float]:
    yield line.since
    if line.window is not None:
        midnight = at - at % _DAY
        for day in (midnight, midnight + _DAY):
            # Midnights too: weekends begin and end there.
            yield day
            yield day + line.window.start_minute * 60
            yield day + line.window.end_minute * 60


def _maximum(moments: Sequence[Moment]) -> Moment:
    rates = _largest([moment.rates for moment in moments])
    thresholds = sorted({above for moment in moments for above, _ in moment.tiers})
    tiers = tuple((above, _largest([_above(moment, above) for moment in moments])) for above in thresholds)
    return Moment(rates, tiers)


def _above(moment: Moment, threshold: int) -> dict[Unit, int]:
    passed = [rates for above, rates in moment.tiers if above <= threshold]
    return {**moment.rates, **passed[-1]} if passed else moment.rates


def _largest(tables: Sequence[dict[Unit, int]]) -> dict[Unit, int]:
    return {
        unit: max(table[unit] for table in tables if unit in table)
        for unit in dict.fromkeys(unit for table in tables for unit in table)
    }
