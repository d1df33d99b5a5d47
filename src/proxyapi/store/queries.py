"""SQL is text in `.sql` files beside the module that owns the tables, each statement under a `-- name --` line.

`IN (@ids)` stands for a list whose length varies: `expand` writes as many `?` as are needed, in a few sizes only, so
that the driver's cache of prepared statements stays warm.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files

_TITLE = re.compile(r"^-- ([a-z_]+) --$", re.MULTILINE)
_LIST = "@ids"
_LIST_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_ROWS_MAX = 32


def load_queries(package: str, name: str) -> Mapping[str, str]:
    """Statements of `package/name` by their titles. Read once, when the module that owns them is imported."""
    parts = _TITLE.split(files(package).joinpath(name).read_text("utf-8"))
    return {title: text.strip() for title, text in zip(parts[1::2], parts[2::2], strict=True)}


def in_lists(sql: str, ids: Sequence[object]) -> Iterator[tuple[str, Sequence[object]]]:
    """Statement and parameters for every part of `ids`; short parts are filled up with NULL, which no id is."""
    for at in range(0, len(ids), _LIST_SIZES[-1]):
        part = ids[at : at + _LIST_SIZES[-1]]
        size = next(size for size in _LIST_SIZES if size >= len(part))
        yield _expanded(sql, size), (*part, *((None,) * (size - len(part))))


def in_rows(sql: str, rows: Sequence[Sequence[object]]) -> Iterator[tuple[str, Sequence[object]]]:
    """The statement, which ends in `VALUES (?, ...)`, and parameters to run for every few of `rows`.

    One statement for 32 rows asks the interpreter's lock back once, which another thread may want."""
    for at in range(0, len(rows), _ROWS_MAX):
        part = rows[at : at + _ROWS_MAX]
        parameters: list[object] = []
        for row in part:
            parameters += row
        yield _repeated(sql, len(part)), parameters


@lru_cache(maxsize=128)
def _repeated(sql: str, size: int) -> str:
    head, values = sql.split("VALUES")
    return f"{head}VALUES {', '.join([values.strip()] * size)}"


@lru_cache(maxsize=256)
def _expanded(sql: str, size: int) -> str:
    return sql.replace(_LIST, ",".join("?" * size))
