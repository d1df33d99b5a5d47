"""Gemini: arguments of a call that come in pieces, each with its place. Only where a client asked Vertex for it.

https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling#streaming-fc
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

DEPTH_MAX = 64
PLACES_MAX = 10_000
"""Length of a list that is filled up to a place."""

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]")
_ENCODER = msgspec.json.Encoder(enc_hook=lambda growing: "".join(growing.pieces))


class PartialArg(Struct, rename="camel"):
    json_path: str | None = None
    string_value: str | None = None
    number_value: int | float | None = None
    bool_value: bool | None = None
    null_value: str | None = None


class _Growing:
    """A text that comes in pieces."""

    __slots__ = ("pieces",)

    def __init__(self) -> None:
        self.pieces: list[str] = []


class Arguments:
    """Feed it pieces, take the JSON text of the whole."""

    def __init__(self) -> None:
        self._root: dict[str, Any] = {}
        self._strings: dict[str, _Growing] = {}
        """By their path."""

    def feed(self, pieces: Iterable[PartialArg]) -> None:
        for piece in pieces:
            path = piece.json_path or ""
            if piece.string_value is not None:
                value: Any = self._strings.setdefault(path, _Growing())
                value.pieces.append(piece.string_value)
            elif piece.number_value is not None:
                number = piece.number_value
                value = int(number) if isinstance(number, float) and number.is_integer() else number
            elif piece.bool_value is not None:
                value = piece.bool_value
            elif piece.null_value is not None:
                value = None
            else:
                continue
            _put(self._root, _steps(path), value)

    def text(self) -> str:
        return _ENCODER.encode(self._root).decode()


def _steps(path: str) -> list[str | int]:
    """`$.a[0]['b c']` as its steps."""
    steps: list[str | int] = []
    for match in _STEP.finditer(path):
        name, place, single, double = match.groups()
        steps.append(int(place) if place is not None else name or re.sub(r"\\(.)", r"\1", single or double or ""))
    return steps[:DEPTH_MAX]


def _put(node: Any, steps: list[str | int], value: Any) -> None:
    """Sets the value, and makes what lies between."""
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        fresh: Any = value if following is None else [] if isinstance(following, int) else {}
        if isinstance(node, list) and isinstance(step, int) and step < PLACES_MAX:
            node += [None] * (step + 1 - len(node))
            if following is None or not isinstance(node[step], dict | list):
                node[step] = fresh
        elif isinstance(node, dict) and isinstance(step, str):
            if following is None or not isinstance(node.get(step), dict | list):
                node[step] = fresh
        else:
            return
        node = node[step]
