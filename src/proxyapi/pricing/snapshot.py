"""The shipped facts and prices, compiled into one file that loads in a few milliseconds.

Three sources are merged by name only; their order of precedence is applied when a model is asked for (`book`):
`published` is genai-prices made flat, `corrections` is `data/prices.toml`, `windows` is `data/models.toml`, `rules` is
`data/rules.toml`. All amounts are integer nano-dollars per 1,000,000 units.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

SNAPSHOT = Path(__file__).parent / "data" / "snapshot.json"
PACKAGE = "genai-prices"

NanoRates = dict[str, int]
"""Nano-dollars per 1,000,000 units, by unit name."""


class Window(Struct, frozen=True, array_like=True):
    """When a line is valid within a day, UTC."""

    start_minute: int
    end_minute: int
    """Exclusive; smaller than the start: over midnight."""
    weekdays: bool = False
    """Monday to Friday only."""


class Line(Struct, frozen=True, omit_defaults=True):
    """Rates under a condition of time. Of several valid lines the last one counts."""

    rates: NanoRates
    tiers: list[tuple[int, NanoRates]] = []
    since: int = 0
    """Unix seconds from which on it is valid."""
    window: Window | None = None


class Row(Struct, frozen=True, omit_defaults=True):
    """A model of genai-prices."""

    names: list[str]
    """Exact names; the first is its id there."""
    prefixes: list[str] = []
    """Names that begin so are its own if only a date or the like follows: `rest_allowed`."""
    lines: list[Line] = []
    variants: dict[str, list[Line]] = {}
    context: int = 0
    free: bool = False
    """An empty price there: free of charge, if `data/prices.toml` says so too."""


class Fee(Struct, frozen=True, omit_defaults=True):
    """A price line of `data/prices.toml` under a condition of the request."""

    unit: str
    rate: int
    when: dict[str, str] = {}


class Correction(Struct, frozen=True, omit_defaults=True):
    """An entry of `data/prices.toml`."""

    provider: str
    match: list[str]
    """Exact names, or a beginning and `*`."""
    variant: str = ""
    """Only for requests whose variant has this word."""
    base: str = ""
    """Published under this other name."""
    fees: list[Fee] = []
    times_input: dict[str, int] = {}
    """Rates as per cent of the input rate."""
    lines: list[Line] = []
    """Replace all published lines."""
    unlisted: bool = False
    """Kept for old requests; not in the list of models."""
    free: bool = False


class Facts(Struct, frozen=True, omit_defaults=True):
    """An entry of `data/models.toml`."""

    context: int = 0
    max_input: int = 0
    max_output: int = 0
    mode: str = "chat"
    inputs: list[str] = []
    outputs: list[str] = []
    ends: str = ""
    reasoning: bool = False


class Snapshot(Struct, frozen=True):
    genai_prices: str
    """Version of the package it was compiled from."""
    sources: str
    """Hash over the TOML files it was compiled from."""
    published: dict[str, list[Row]]
    corrections: list[Correction]
    windows: dict[str, dict[str, Facts]]
    rules: dict[str, list[dict[str, Any]]]


def load_snapshot() -> Snapshot:
    """The shipped snapshot; if another genai-prices is installed, a fresh one: that takes half a second."""
    snapshot = msgspec.json.decode(SNAPSHOT.read_bytes(), type=Snapshot)
    if version(PACKAGE) == snapshot.genai_prices:
        return snapshot
    from proxyapi.pricing.compile import compile_snapshot

    return compile_snapshot()
