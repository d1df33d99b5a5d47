"""The tables of the newest schema, as the migrations make them. The same in every engine."""

from __future__ import annotations

import re
import sqlite3
from functools import cache
from typing import NamedTuple

from proxyapi.store.migrate import scripts

_IDENTITY = re.compile(r"^\s*(\w+)\s+INTEGER PRIMARY KEY\b", re.MULTILINE)


class Table(NamedTuple):
    """What has to be known to copy one, in any engine."""

    name: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    """INTEGER, TEXT or BLOB, by column."""
    key: tuple[str, ...]
    """Its primary key; all columns where it has none."""
    identity: str | None
    """The column whose values the engine gives out."""

    @property
    def read(self) -> str:
        """All rows."""
        return f"SELECT {', '.join(self.columns)} FROM {self.name} ORDER BY {', '.join(self.key)}"

    @property
    def write(self) -> str:
        """One row."""
        return f"INSERT INTO {self.name} ({', '.join(self.columns)}) VALUES ({', '.join('?' * len(self.columns))})"


@cache
def tables() -> tuple[Table, ...]:
    """Of the newest schema."""
    connection = sqlite3.connect(":memory:")
    try:
        for script in scripts().values():
            connection.executescript(script)
        texts = connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"
        )
        return tuple(_table(connection, name, text) for name, text in texts.fetchall())
    finally:
        connection.close()


def _table(connection: sqlite3.Connection, name: str, text: str) -> Table:
    rows = connection.execute(f"PRAGMA table_info({name})").fetchall()
    columns = tuple(row[1] for row in rows)
    key = tuple(row[1] for row in sorted(rows, key=lambda row: int(row[5])) if row[5])
    identity = _IDENTITY.search(text)
    given = identity is not None and "WITHOUT ROWID" not in text
    types = tuple(row[2] for row in rows)
    return Table(name, columns, types, key or columns, identity[1] if identity is not None and given else None)
