"""What a request loses, or has changed, on its way into OpenAI Chat Completions."""

from __future__ import annotations

import re

from proxyapi.dialects.functions import spoken
from proxyapi.dialects.names import legal

_NAME_REFUSED = re.compile(r"[^A-Za-z0-9_-]")
_NAME_CHARACTERS_MAX = 64


class Losses:
    """Collects what `Encoded` tells."""

    __slots__ = ("_approximated", "_dropped", "names")

    def __init__(self) -> None:
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

    def tool_name(self, name: str, namespace: str = "") -> str:
        """As Chat takes it: always the same for the same name."""
        full = spoken(name, namespace)
        alias = legal(full, refused=_NAME_REFUSED, length_max=_NAME_CHARACTERS_MAX)
        if alias != full:
            self.names[alias] = full
        return alias
