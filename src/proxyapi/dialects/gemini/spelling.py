"""Gemini's two spellings of a field: `camelCase`, which is sent, and `snake_case`, which clients may send instead.

https://protobuf.dev/programming-guides/json
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw

from proxyapi.errors import InvalidRequest

DEPTH_MAX = 16
"""Levels of JSON that are looked at: the deepest field of a request stands at 12. What is below is data."""

_SNAKE = re.compile(rb'"[a-z]+(?:_[a-z0-9]+)+"\s*:')
_WORD = re.compile(r"_([a-z0-9])")
_DATA = frozenset(
    {
        "args",
        "response",
        "parameters",
        "parametersJsonSchema",
        "responseJsonSchema",
        "responseSchema",
        "labels",
        "headers",
        "partMetadata",
    }
)
"""Members whose own members are no fields: arguments, results, schemas, names that a client chose."""

_ELEMENTS = msgspec.json.Decoder(list[Raw])
_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
_ENCODER = msgspec.json.Encoder()


def camel(name: str) -> str:
    return _WORD.sub(lambda match: match[1].upper(), name)


def camel_case(body: bytes) -> bytes:
    """The body with every field in `camelCase`; the same bytes where it is so. Data stays as it is, to the byte.

    InvalidRequest: a field is given in both spellings. What is no JSON is left for others to complain of.
    """
    if body.find(b"_") < 0 or not _SNAKE.search(body):
        return body
    try:
        return _ENCODER.encode(_renamed(Raw(body.strip()), 0))
    except msgspec.DecodeError:
        return body


def _renamed(raw: Raw, depth: int) -> Any:
    if depth > DEPTH_MAX:
        return raw
    first = bytes(memoryview(raw)[:1])
    if first == b"[":
        return [_renamed(element, depth + 1) for element in _ELEMENTS.decode(raw)]
    if first != b"{":
        return raw
    found: dict[str, Any] = {}
    for name, value in _MEMBERS.decode(raw).items():
        field = camel(name)
        if field in found:
            raise InvalidRequest(f"The field {field} is given twice, also as {name}", param=field)
        found[field] = value if field in _DATA else _renamed(value, depth + 1)
    return found
