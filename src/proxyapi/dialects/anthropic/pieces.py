"""Anthropic Messages: what blocks and tools of a request share: pieces that are read apart, and cache marks."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects.fields import decode
from proxyapi.dialects.model import CacheMark, Lifetime
from proxyapi.errors import InvalidRequest

T = TypeVar("T")

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


def within(decoder: msgspec.json.Decoder[T], raw: Raw, place: str) -> T:
    """A piece of the request that is read apart. InvalidRequest names the field from the top."""
    try:
        return decode(decoder, bytes(raw))
    except InvalidRequest as error:
        param = f"{place}.{error.param}" if error.param else place
        raise InvalidRequest(f"Invalid value in {place}: {error.detail}", param=param) from None
