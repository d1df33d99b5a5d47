"""Statements as SQLite is asked them: each text in few lengths, as its driver prepares every length once."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

from proxyapi.store.database import Parameters
from proxyapi.store.errors import StatementRefused
from proxyapi.store.queries import LIST, ROWS_MAX, has_values, repeated, spell

MACROS = {
    "@now_ms": "CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER)",
    "@for_update": "",
    "@for_share": "",
}
"""Nobody writes beside a write transaction, so rows need no locks. `unixepoch('subsec')` would need SQLite 3.42, Debian
12 has 3.40."""
LIST_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
"""Lists are filled up to one of these, so that the cache of statements stays warm."""
STATEMENTS_CACHED = 1024

Part = tuple[str, Parameters]
"""What the driver is asked at once."""


class Statement:
    """One of ours, and what has to be known of it each time."""

    __slots__ = ("_list_at", "_texts", "has_list", "has_values", "reads", "text")

    def __init__(self, sql: str) -> None:
        self.text = spell(sql, MACROS)
        self.reads = sql.startswith("SELECT")
        self.has_values = has_values(self.text)
        """It is an INSERT that can have many rows."""
        self.has_list = LIST in self.text
        self._list_at = self.text[: self.text.index(LIST)].count("?") if self.has_list else 0
        self._texts: dict[int, str] = {}
        """By the number of rows, or of members: of each there are few."""

    def of_list(self, parameters: Parameters) -> list[Part]:
        """One statement for every part of the list."""
        before, ids, after = parameters[: self._list_at], parameters[self._list_at], parameters[self._list_at + 1 :]
        if not isinstance(ids, list):
            raise StatementRefused(f"the parameter of {LIST} is a list")
        parts: list[Part] = []
        for start in range(0, len(ids), LIST_SIZES[-1]):
            part = ids[start : start + LIST_SIZES[-1]]
            size = LIST_SIZES[bisect_left(LIST_SIZES, len(part))]
            part += part[-1:] * (size - len(part))
            parts.append((self._texts.get(size) or self._of_members(size), (*before, *part, *after)))
        return parts

    def of_rows(self, rows: Sequence[Parameters]) -> list[Part]:
        """One statement for 32 rows asks the interpreter's lock back once, which another thread may want."""
        parts: list[Part] = []
        for start in range(0, len(rows), ROWS_MAX):
            part = rows[start : start + ROWS_MAX]
            size = len(part)
            parts.append((self._texts.get(size) or self._of_rows(size), list(chain.from_iterable(part))))
        return parts

    def _of_members(self, size: int) -> str:
        self._texts[size] = text = self.text.replace(LIST, ",".join("?" * size))
        return text

    def _of_rows(self, size: int) -> str:
        self._texts[size] = text = repeated(self.text, size)
        return text


@lru_cache(maxsize=STATEMENTS_CACHED)
def statement(sql: str) -> Statement:
    """What our text means here. Texts come from a few lists."""
    return Statement(sql)
