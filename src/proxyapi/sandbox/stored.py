"""Responses that the sandbox keeps, as the real provider does: in memory, bounded, the oldest go first."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from proxyapi.sandbox.reading import JsonObject

_RESPONSES_MAX = 2_000
_BYTES_MAX = 64 * 2**20
"""Of the request bodies: pictures in a conversation are large."""


@dataclass(slots=True)
class Stored:
    response: JsonObject
    """As it ends."""
    input_items: list[JsonObject]
    context_tokens: int
    """Tokens of the conversation so far, the answer included."""
    size: int
    waiting: bool = False
    """A background response that nobody has asked for yet."""


class StoredResponses:
    def __init__(self) -> None:
        self._by_id: OrderedDict[str, Stored] = OrderedDict()
        self._bytes = 0

    def put(self, response_id: str, stored: Stored) -> None:
        self.remove(response_id)
        self._by_id[response_id] = stored
        self._bytes += stored.size
        while len(self._by_id) > _RESPONSES_MAX or (self._bytes > _BYTES_MAX and len(self._by_id) > 1):
            _, oldest = self._by_id.popitem(last=False)
            self._bytes -= oldest.size

    def get(self, response_id: str) -> Stored | None:
        return self._by_id.get(response_id)

    def remove(self, response_id: str) -> bool:
        stored = self._by_id.pop(response_id, None)
        if stored is None:
            return False
        self._bytes -= stored.size
        return True
