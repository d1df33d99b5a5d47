"""SQL is text in `.sql` files beside the module that owns the tables, each statement under a `-- name --` line.

What such a text may say besides SQL is in `store.database`; here are the parts of it that all engines share.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from itertools import chain

LIST = "@ids"
ROWS_MAX = 32
"""Of one INSERT: each number of rows is a statement of its own to the driver."""

_TITLE = re.compile(r"^-- ([a-z_]+) --$", re.MULTILINE)
_COMMENT = re.compile(r"('(?:[^']|'')*')|--[^\n]*")
_MACRO = re.compile(r"('(?:[^']|'')*')|(@[a-z_]+)")
_VALUES = re.compile(r"^INSERT\b.*?\bVALUES\s*(\([^()]*\))", re.DOTALL)


def load_queries(package: str, name: str) -> Mapping[str, str]:
    """Statements of `package/name` by their titles. Read once, when the module that owns them is imported."""
    parts = _TITLE.split(files(package).joinpath(name).read_text("utf-8"))
    return {title: text.strip() for title, text in zip(parts[1::2], parts[2::2], strict=True)}


def spell(sql: str, macros: Mapping[str, str]) -> str:
    """The statement without comments, with `macros` in place; `@ids` stays. KeyError: an unknown macro."""
    text = _COMMENT.sub(lambda found: found[1] or "", sql)
    known = {**macros, LIST: LIST}
    return _MACRO.sub(lambda found: found[1] or known[found[2]], text).strip()


def has_values(text: str) -> bool:
    """An INSERT that can be repeated for many rows in one statement."""
    return _VALUES.search(text) is not None


@lru_cache(maxsize=512)
def repeated(text: str, size: int) -> str:
    """The INSERT ... VALUES (?, ...) for `size` rows."""
    found = _VALUES.search(text)
    assert found is not None, text
    return f"{text[: found.start(1)]}{', '.join([found[1]] * size)}{text[found.end(1) :]}"


def in_rows(sql: str, rows: Sequence[Sequence[object]]) -> Iterator[tuple[str, Sequence[object]]]:
    """The statement, which has `VALUES (?, ...)`, and parameters to run for every few of `rows`."""
    for at in range(0, len(rows), ROWS_MAX):
        part = rows[at : at + ROWS_MAX]
        yield repeated(sql, len(part)), list(chain.from_iterable(part))
