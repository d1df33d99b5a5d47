"""One open part at a time, for dialects whose parts can't overlap: the first one flows, later ones wait for its end."""

from __future__ import annotations

from collections import deque

from proxyapi.dialects.model import Event, Finish, PartData, PartDelta, PartEnd, PartEvent, PartStart

WAITING_CHARACTERS_MAX = 64 * 1024 * 1024
"""Of the parts that wait; the largest whole reply has as many. No provider interleaves more than a few calls."""


class _Waiting:
    """A part whose turn has not come."""

    __slots__ = ("ended", "events", "index")

    def __init__(self, start: PartStart) -> None:
        self.index = start.index
        self.events: list[PartEvent] = [start]
        self.ended = False


class Line:
    """Puts events in order: parts as they were opened, each whole, and the end of a choice after its parts."""

    __slots__ = ("_by_index", "_characters", "_current", "_queue", "full")

    def __init__(self) -> None:
        self._current: int | None = None
        self._queue: deque[_Waiting | Finish] = deque()
        self._by_index: dict[int, _Waiting] = {}
        self._characters = 0
        self.full = False
        """More waits than any reply has."""

    def push(self, event: PartEvent, out: list[Event]) -> None:
        """Appends to `out` what may go on now. Only for parts that were opened."""
        if type(event) is PartStart:
            self._open(event, out)
        elif event.index == self._current:
            out.append(event)
            if type(event) is PartEnd:
                self._advance(out)
        else:
            self._wait(event)

    def finish(self, event: Finish, out: list[Event]) -> None:
        """The end of a choice, once its parts are told."""
        if self._current is None:
            out.append(event)
        else:
            self._queue.append(event)

    def _open(self, event: PartStart, out: list[Event]) -> None:
        if self._current is None:
            self._current = event.index
            out.append(event)
        else:
            waiting = self._by_index[event.index] = _Waiting(event)
            self._queue.append(waiting)

    def _wait(self, event: PartEvent) -> None:
        waiting = self._by_index[event.index]
        waiting.events.append(event)
        if isinstance(event, PartDelta):
            self._characters += len(event.text)
        elif isinstance(event, PartData):
            self._characters += len(event.data)
        elif isinstance(event, PartEnd):
            waiting.ended = True
        self.full = self._characters > WAITING_CHARACTERS_MAX

    def _advance(self, out: list[Event]) -> None:
        """The current part has ended: the next one's turn, and of whatever is whole behind it."""
        self._current = None
        while self._queue:
            waiting = self._queue.popleft()
            if isinstance(waiting, Finish):
                out.append(waiting)
                continue
            del self._by_index[waiting.index]
            out += waiting.events
            if not waiting.ended:
                self._current = waiting.index
                break
