"""`python -m proxyapi.pricing.compile` writes `data/snapshot.json` anew: after an update of genai-prices or an edit of
the TOML files. A test compares the shipped file with a fresh one.
"""

from __future__ import annotations

import calendar
import tomllib
from datetime import date
from decimal import Decimal
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from proxyapi.pricing import published
from proxyapi.pricing.snapshot import PACKAGE, SNAPSHOT, Correction, Facts, Fee, Line, NanoRates, Row, Snapshot, Window
from proxyapi.usage import Unit

DATA = Path(__file__).parent / "data"
SOURCES = ("prices.toml", "models.toml", "rules.toml")

_MILLION = 1_000_000
_NOT_SOLD = {
    # Vertex, not the Gemini API.
    "google": "claude",
    # Open weights, "imported from OpenRouter pricing": OpenAI's own API does not have them.
    "openai": "gpt-oss",
}
"""By provider: what a name of genai-prices may not contain."""


def compile_snapshot() -> Snapshot:
    """From the installed genai-prices and our TOML files: half a second, most of it genai-prices."""
    documents = {name: tomllib.loads((DATA / name).read_text("utf-8")) for name in SOURCES}
    windows = {
        provider: {name: _facts(entry) for name, entry in entries.items()}
        for provider, entries in documents["models.toml"].items()
    }
    return Snapshot(
        genai_prices=version(PACKAGE),
        sources=sources_digest(),
        published={name: _slim(name, rows) for name, rows in published.read().items()},
        corrections=[_correction(entry) for entry in documents["prices.toml"]["model"]],
        windows=windows,
        rules=_without_notes(documents["rules.toml"]),
    )


def sources_digest() -> str:
    """Tells whether the snapshot was made from these TOML files."""
    digest = sha256()
    for name in SOURCES:
        digest.update((DATA / name).read_bytes())
    return digest.hexdigest()[:16]


def encode(snapshot: Snapshot) -> bytes:
    """JSON with a line per model, so that a change of a price is a change of a line."""
    encoder = msgspec.json.Encoder(order="deterministic")
    text = encoder.encode(snapshot)
    return text.replace(b'},{"', b'},\n{"') + b"\n"


def _slim(provider: str, rows: list[Row]) -> list[Row]:
    """Without what can't be asked for. At OpenRouter every name has a vendor."""
    if provider == "openrouter":
        slim = [msgspec.structs.replace(row, names=[name for name in row.names if "/" in name]) for row in rows]
        return [row for row in slim if row.names]
    foreign = _NOT_SOLD.get(provider)
    return [row for row in rows if foreign is None or foreign not in row.names[0]]


def _facts(entry: dict[str, Any]) -> Facts:
    return Facts(
        context=entry["context"],
        max_input=entry.get("max_input", 0),
        max_output=entry.get("max_output", 0),
        mode=entry.get("mode", "chat"),
        inputs=entry["in"],
        outputs=entry["out"],
        ends=entry.get("ends", ""),
        reasoning=entry.get("reasoning", False),
    )


def _correction(entry: dict[str, Any]) -> Correction:
    prices = entry.get("prices", [])
    dated = any({"since", "peak", "above"} & price.keys() for price in prices)
    return Correction(
        provider=entry["provider"],
        match=entry["match"],
        variant=entry.get("variant", ""),
        base=entry.get("base", ""),
        fees=[] if dated else [_fee(price) for price in prices if "usd" in price],
        times_input={Unit(price["unit"]): price["percent"] for price in prices if "percent" in price},
        lines=_lines(entry) if dated else [],
        unlisted=entry.get("unlisted", False),
        free=entry.get("free", False),
    )


def _fee(price: dict[str, Any]) -> Fee:
    return Fee(unit=Unit(price["unit"]), rate=_rate(price), when=price.get("when", {}))


def _rate(price: dict[str, Any]) -> int:
    return published.nano_per_million(Decimal(price["usd"]) * _MILLION / price["per"], 1)


def _lines(entry: dict[str, Any]) -> list[Line]:
    """Lines with dates, hours or thresholds: they replace the published ones."""
    usual: dict[int, NanoRates] = {}
    peak: NanoRates = {}
    tiers: dict[int, NanoRates] = {}
    for price in entry["prices"]:
        if price.get("peak"):
            peak[Unit(price["unit"])] = _rate(price)
        elif "above" in price:
            tiers.setdefault(price["above"], {})[Unit(price["unit"])] = _rate(price)
        else:
            usual.setdefault(_day(price.get("since", "")), {})[Unit(price["unit"])] = _rate(price)
    lines = [Line(rates=rates, tiers=sorted(tiers.items()), since=since) for since, rates in sorted(usual.items())]
    for hours in entry.get("peak_utc", ()):
        start, _, end = hours.partition("-")
        lines.append(Line(rates=peak, window=Window(_minute(start), _minute(end), weekdays=True)))
    return lines


def _day(text: str) -> int:
    return calendar.timegm(date.fromisoformat(text).timetuple()) if text else 0


def _minute(text: str) -> int:
    hour, _, minute = text.partition(":")
    return int(hour) * 60 + int(minute)


def _without_notes(rules: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    return {
        table: [{key: value for key, value in entry.items() if key != "source"} for entry in entries]
        for table, entries in rules.items()
    }


def main() -> None:
    SNAPSHOT.write_bytes(encode(compile_snapshot()))


if __name__ == "__main__":
    main()
