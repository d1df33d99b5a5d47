"""Prints every way in which a request can end, as Markdown: the cases that the tests act out."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

FAKES = Path(__file__).resolve().parent.parent / "tests" / "fakes"


def load(name: str) -> Any:
    """A module of `tests/fakes`, by the name that tests know it by."""
    full = f"proxyapi_fakes_{name}"
    spec = importlib.util.spec_from_file_location(full, FAKES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[full] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(case: Any) -> Iterator[tuple[str, Any]]:
    """Body and stream in one row where they end alike."""
    if case.body == case.stream and case.body is not None:
        yield "body, stream", case.body
    else:
        yield from ((form, outcome) for form, outcome in (("body", case.body), ("stream", case.stream)) if outcome)


def table(every: tuple[Any, ...]) -> str:
    """The cases, one table per group."""
    lines = []
    for group, cases in groupby(every, lambda case: case.group):
        lines += [
            f"## {group}",
            "",
            "| how | answer | the client sees | charged | loss | journal |",
            "|---|---|---|---|---|---|",
        ]
        for case in cases:
            for form, (seen, charge, loss, journal, translated) in rows(case):
                sees = seen.words + (f"; translated: {translated.words}" if translated else "")
                written = " ".join(f"`{word}`" for word in journal if word) if journal else "no entry"
                lines.append(f"| {case.happens} | {form} | {sees} | {charge.words} | {loss.words} | {written} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    cases = load("endings").CASES
    sys.stdout.write(table((*cases, *load("repeated_endings").REPEATED)))
