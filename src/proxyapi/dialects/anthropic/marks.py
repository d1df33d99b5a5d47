"""Anthropic Messages: marks of prefixes that are worth caching, on tools, instructions and blocks.

https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Raw, Struct

from proxyapi.dialects.model import CacheMark, Lifetime

MARKS_MAX = 4

_READ: dict[str | None, Lifetime] = {"5m": "5m", "1h": "1h"}
_WRITTEN: dict[Lifetime | None, str] = {"5m": "5m", "30m": "5m", "1h": "1h", "12h": "1h", "24h": "1h"}
"""The lifetimes that there are: others become the nearest one."""


class Cache(Struct):
    """`cache_control`."""

    ttl: str | None = None


def read_mark(cache: Cache | None) -> CacheMark | None:
    return None if cache is None else CacheMark(_READ.get(cache.ttl))


def write_mark(mark: CacheMark) -> dict[str, Any]:
    ttl = _WRITTEN.get(mark.lifetime)
    return {"type": "ephemeral", "ttl": ttl} if ttl else {"type": "ephemeral"}


def limit_marks(pieces: Iterable[Any], most: int) -> None:
    """Leaves the last `most` cache marks of tools, instructions and messages, in this order, and takes the others off.

    Blocks that are kept as received keep theirs, and count.
    """
    found: list[dict[str, Any] | None] = []
    _collect(pieces, found)
    for block in found[: max(0, len(found) - most)]:
        if block is not None:
            del block["cache_control"]


def _collect(piece: Any, found: list[dict[str, Any] | None]) -> None:
    match piece:
        case Raw():
            found += [None] * bytes(piece).count(b'"cache_control"')
        case dict():
            for name in ("content", "source"):
                _collect(piece.get(name), found)
            if "cache_control" in piece:
                found.append(piece)
        case list() | tuple():
            for child in piece:
                _collect(child, found)
        case _:
            pass
