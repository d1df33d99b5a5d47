"""The line that says how far something is."""

from __future__ import annotations

import io
import sys

import pytest

from proxyapi.cli import progress
from proxyapi.cli.progress import Line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def watched(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Standard error, without waiting between two lines. Called by the test: what a fixture puts there pytest takes off
    again before the test begins."""
    monkeypatch.setattr(progress, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(progress, "BETWEEN_SECONDS", 0.0)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    return terminal


def test_a_line_is_rewritten_and_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = watched(monkeypatch)
    with Line() as line:
        line("sums of accounts", 0, 0)
        line("entries, one by one", 20_000, 80_000)
    said = terminal.getvalue()
    assert "\rsums of accounts …" in said
    assert "\rentries, one by one: 20,000 25 % …" in said
    assert said.endswith("\r" + " " * len("entries, one by one: 20,000 25 % …") + "\r")
    assert "\n" not in said


def test_nothing_is_said_with_json_or_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = watched(monkeypatch)
    with Line(silent=True) as line:
        line("sums of accounts", 0, 0)
    assert terminal.getvalue() == ""
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    with Line() as line:
        line("sums of accounts", 0, 0)
    assert pipe.getvalue() == ""


def test_what_is_done_at_once_needs_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = watched(monkeypatch)
    monkeypatch.setattr(progress, "FIRST_SECONDS", 60.0)
    with Line() as line:
        line("sums of accounts", 0, 0)
    assert terminal.getvalue() == ""
