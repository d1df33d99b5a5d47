"""What a request loses, or has changed, on its way into another dialect: what `Encoded` tells beside the body."""

from __future__ import annotations

import re

from proxyapi.dialects.names import legal

REFUSED = re.compile(r"[^A-Za-z0-9_-]")
CHARACTERS_MAX = 64
"""Of names of tools and ids of calls in Chat, Responses and Messages, and what must not occur in them."""


class Losses:
    """Collects, each once and in order."""

    __slots__ = ("_approximated", "_characters_max", "_dropped", "_refused", "names")

    def __init__(self, *, refused: re.Pattern[str] = REFUSED, characters_max: int = CHARACTERS_MAX) -> None:
        """What the target refuses in names of tools."""
        self._refused = refused
        self._characters_max = characters_max
        self._dropped: dict[str, None] = {}
        self._approximated: dict[str, None] = {}
        self.names: dict[str, str] = {}
        """Aliases of tool names -> the names that they stand for."""

    def drop(self, field: str) -> None:
        """`field` is canonical; the target has nothing like it."""
        self._dropped[field] = None

    def approximate(self, field: str) -> None:
        """It is said in another way."""
        self._approximated[field] = None

    @property
    def dropped(self) -> tuple[str, ...]:
        return tuple(self._dropped)

    @property
    def approximated(self) -> tuple[str, ...]:
        return tuple(self._approximated)

    def tool_name(self, name: str) -> str:
        """As the target takes it: always the same for the same name."""
        alias = legal(name, refused=self._refused, length_max=self._characters_max)
        if alias != name:
            self.names[alias] = name
        return alias


def call_id(identity: str) -> str:
    """The id of a call as the target takes it: the same for the call and its result."""
    return legal(identity, refused=REFUSED, length_max=CHARACTERS_MAX)
