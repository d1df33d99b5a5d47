"""Looking for requests in an account's log, and reading one. Whose log it is, is a parameter of every function."""

from __future__ import annotations

import re
import zlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from proxyapi.ids import MS_MAX, greatest_id, least_id, made_at_ms, parse_id
from proxyapi.logbook.queries import QUERIES
from proxyapi.logbook.record import GATHERED_BYTES_MAX

PAGE_MAX: Final = 200
LOOKED_AT_MAX: Final = 10_000
"""Requests that one page may look through for the few that fit; the next page goes on."""
STATUS_MAX: Final = 999
_ID_BYTES: Final = 16
_PREFIX = re.compile(r"[0-9a-f]{8}(?:-?[0-9a-f]{0,4}){0,3}(?:-?[0-9a-f]{0,12})")
"""The beginning of an id, as one copies it from a list: at least its first eight digits."""

Fetch = Callable[[str, Sequence[object]], Awaitable[Sequence[Sequence[Any]]]]
"""One SELECT to its rows: `Database.fetch`."""


class Search(Struct, frozen=True, kw_only=True):
    since_ms: int = 0
    until_ms: int = MS_MAX
    """The last millisecond that still counts."""
    key_id: int = 0
    """0: every key."""
    model: str = ""
    """A part of its name, in any case."""
    status_min: int = 0
    status_max: int = STATUS_MAX
    ids: tuple[bytes, bytes] | None = None
    """Only requests whose ids are from the one to the other, as `id_range` says."""
    before: bytes | None = None
    """Of an earlier page: only requests before this one."""


class Line(Struct, frozen=True, kw_only=True):
    """One request in a list."""

    id: bytes
    key_id: int
    method: str
    path: str
    operation: str
    dialect: str
    provider: str
    model: str
    status: int
    error: str
    ending: str
    duration_ms: int
    first_byte_ms: int

    @property
    def at_ms(self) -> int:
        """When it came."""
        return made_at_ms(self.id)


class Page(Struct, frozen=True):
    lines: tuple[Line, ...]
    """The newest first."""
    older: bytes | None
    """`before` of the next page; None: there is nothing older."""


class Body(Struct, frozen=True):
    type: str
    """Media type; empty: not said."""
    size: int
    """Bytes that passed, whatever is kept of them."""
    cut: bool
    """Only the beginning is kept."""
    data: bytes


class Entry(Struct, frozen=True, kw_only=True):
    """One request with all that is kept of it."""

    line: Line
    peer: str
    request: Body
    response: Body
    request_headers: tuple[tuple[str, str], ...]
    response_headers: tuple[tuple[str, str], ...]


class _Headers(Struct):
    request: tuple[tuple[str, str], ...] = ()
    response: tuple[tuple[str, str], ...] = ()


_HEADERS = msgspec.json.Decoder(_Headers)


async def search(fetch: Fetch, account_id: int, wanted: Search, *, limit: int) -> Page:
    """At most `limit` requests. A page may have fewer, or none, and still have older ones behind it."""
    limit = min(limit, PAGE_MAX)
    start, end = least_id(wanted.since_ms), greatest_id(wanted.until_ms)
    if wanted.ids is not None:
        start, end = max(start, wanted.ids[0]), min(end, wanted.ids[1] + b"\0")
    if wanted.before is not None:
        end = min(end, wanted.before)
    model = f"%{_escaped(wanted.model.lower())}%" if wanted.model else ""
    picky = bool(wanted.key_id or model or wanted.status_min or wanted.status_max < STATUS_MAX)
    # Of a list without a filter no row is in vain.
    looked_at = LOOKED_AT_MAX if picky else limit + 1
    rows = await fetch(
        QUERIES["search"],
        (account_id, start, end, looked_at, wanted.key_id, wanted.key_id, model, model, wanted.status_min,
         wanted.status_max, limit + 1),
    )  # fmt: skip
    lines = tuple(_line(row) for row in rows[:limit])
    if len(rows) > limit:
        return Page(lines, lines[-1].id)
    last = await fetch(QUERIES["looked_at_last"], (account_id, start, end, looked_at - 1))
    return Page(lines, last[0][0] if last else None)


async def read(fetch: Fetch, account_id: int, id: bytes) -> Entry | None:
    """None: there is no such request, or it is another account's."""
    rows = await fetch(QUERIES["read"], (account_id, id))
    if not rows:
        return None
    row = rows[0]
    peer, request_type, request_bytes, request_cut, response_type, response_bytes, response_cut, headers = row[13:21]
    fields = _HEADERS.decode(headers)
    return Entry(
        line=_line(row[:13]),
        peer=peer,
        request=Body(request_type, request_bytes, bool(request_cut), _unpacked(row[21])),
        response=Body(response_type, response_bytes, bool(response_cut), _unpacked(row[22])),
        request_headers=fields.request,
        response_headers=fields.response,
    )


def id_range(text: str) -> tuple[bytes, bytes] | None:
    """First and last id that begin as `text` does. None: it is not the beginning of one."""
    text = text.strip().lower()
    if _PREFIX.fullmatch(text) is None:
        return None
    digits = text.replace("-", "")
    return parse_id(digits.ljust(_ID_BYTES * 2, "0")), parse_id(digits.ljust(_ID_BYTES * 2, "f"))


def _line(row: Sequence[Any]) -> Line:
    names = Line.__struct_fields__
    return Line(**dict(zip(names, row, strict=True)))


def _escaped(text: str) -> str:
    """For LIKE: what stands for itself."""
    return re.sub(r"([\\%_])", r"\\\1", text)


def _unpacked(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, GATHERED_BYTES_MAX)
