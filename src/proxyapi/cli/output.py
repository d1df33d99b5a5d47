"""What commands print: aligned tables for people, exactly one JSON object for programs. Amounts are never floats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import click
import msgspec

from proxyapi.money import format_amount


def money(nanos: int) -> msgspec.Raw:
    """An exact decimal number in JSON."""
    return msgspec.Raw(format_amount(nanos).encode())


def timestamp(milliseconds: int | None) -> str | None:
    """RFC 3339 in UTC; None stays None."""
    return None if milliseconds is None else f"{datetime.fromtimestamp(milliseconds // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def day_time(milliseconds: int | None) -> str:
    """For tables: UTC, to the minute."""
    return "" if milliseconds is None else f"{datetime.fromtimestamp(milliseconds // 1000, UTC):%Y-%m-%d %H:%M}"


def emit(value: Mapping[str, object], text: str, *, json: bool) -> None:
    """`value` as one line of JSON, or `text` for people."""
    click.echo(msgspec.json.encode(value).decode() if json else text)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "(none)") -> str:
    """Columns side by side; a column whose title ends with `>` is aligned to the right."""
    lines = [["" if cell is None else _harmless(str(cell)) for cell in row] for row in rows]
    if not lines:
        return empty
    titles = [title.removesuffix(">") for title in columns]
    widths = [max(len(line[at]) for line in [titles, *lines]) for at in range(len(columns))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if title.endswith(">") else cell.ljust(width)
            for cell, width, title in zip(line, widths, columns, strict=True)
        ).rstrip()
        for line in [titles, *lines]
    )


def facts(rows: Iterable[tuple[str, object]]) -> str:
    """One fact per line: name, value; those without a value are left out."""
    shown = [(name, _harmless(str(value))) for name, value in rows if value is not None and value != ""]
    width = max((len(name) for name, _ in shown), default=0)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in shown)


def _harmless(text: str) -> str:
    """What customers named, without what a terminal would obey."""
    return text if text.isprintable() else "".join(one if one.isprintable() else "�" for one in text)
