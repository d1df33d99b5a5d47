"""A line on the terminal for what takes long. Says nothing where standard error is no terminal, or with --json."""

from __future__ import annotations

import sys
import time
from types import TracebackType

import click

FIRST_SECONDS = 0.5
"""What is done sooner needs no line."""
BETWEEN_SECONDS = 0.1


class Line:
    """Rewritten in place; gone at the end."""

    def __init__(self, *, silent: bool = False) -> None:
        self._shown = not silent and sys.stderr.isatty()
        self._next = time.monotonic() + FIRST_SECONDS
        self._width = 0

    def __enter__(self) -> Line:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._width:
            click.echo("\r" + " " * self._width + "\r", err=True, nl=False)

    def __call__(self, step: str, done: int, total: int) -> None:
        """`total` is 0 where nobody knows it."""
        if not self._shown or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + BETWEEN_SECONDS
        share = f" {100 * done // total} %" if total else ""
        text = f"{step}{f': {done:,}' if done else ''}{share} …"
        click.echo("\r" + text.ljust(self._width), err=True, nl=False)
        self._width = max(self._width, len(text))
