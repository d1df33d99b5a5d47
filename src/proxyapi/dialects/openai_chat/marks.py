"""Cache marks as speakers of Chat Completions take them: in one of two spellings, or not at all."""

from __future__ import annotations

from typing import Any

from proxyapi.dialects import openai_knobs as knobs
from proxyapi.dialects.losses import Losses
from proxyapi.dialects.model import CacheMark, Lifetime
from proxyapi.dialects.quirks import Quirks

_ANTHROPIC_LIFETIMES: dict[Lifetime, str] = {"5m": "5m", "30m": "5m", "1h": "1h", "12h": "1h", "24h": "1h"}


class Marks:
    """Puts marks on wire objects, in the order of the prompt. Only the last four stay."""

    def __init__(self, quirks: Quirks, losses: Losses) -> None:
        self._field = quirks.cache_mark_field
        self._losses = losses
        self._marked: list[dict[str, Any]] = []

    def on_content(self, part: dict[str, Any], mark: CacheMark | None, path: str) -> bool:
        """On a part of a message's content. Whether there is a mark on it now."""
        if mark is None:
            return False
        if not self._field:
            self._losses.drop(path)
            return False
        part[self._field] = self.spelled(mark)
        self._marked.append(part)
        return True

    def on_object(self, wire: dict[str, Any], mark: CacheMark | None, path: str) -> None:
        """On a tool or a call, where only the spelling of Anthropic is known."""
        if mark is not None and self._field != "cache_control":
            self._losses.drop(path)
        else:
            self.on_content(wire, mark, path)

    def spelled(self, mark: CacheMark) -> dict[str, Any]:
        if self._field == "cache_control":
            return {"type": "ephemeral"} | ({"ttl": _ANTHROPIC_LIFETIMES[mark.lifetime]} if mark.lifetime else {})
        return knobs.mark(mark)

    def limit(self) -> None:
        """Once everything is written."""
        for wire in self._marked[: -knobs.MARKS_MAX]:
            del wire[self._field]
