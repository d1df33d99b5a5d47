"""What all decoders of replies share: a stream is frames, a body is one frame, and odd data passes unread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, TypeVar

import msgspec
from msgspec import Raw

from proxyapi.dialects.frames import RAW, Frame, FrameDecoder
from proxyapi.dialects.model import Event, KeepAlive, Metered

BODY_BYTES_MAX = 64 * 1024 * 1024
"""A whole reply that is kept to be read; the largest are a few pictures in base64."""

_BLANK_BYTES = 4
"""Longest frame of line ends alone."""

T = TypeVar("T")


class EventStream:
    """Decoder of server-sent events: `_frame` reads one, `_end` says what the end of the bytes means.

    Most frames of a stream tell a little more of one part, and nothing else. Whole ones that come together are cut
    apart where they begin with `beginning`, and `_run` reads those that tell more of one part by a type in which
    nothing else may be. The first that tells something else goes to `_frame`. A lone one that begins with `usual` goes
    to `_usual_frame`.
    """

    __slots__ = ("_frames", "ending", "finished", "pending", "usage_frame")

    usual: ClassVar[bytes] = b"\0"
    """Up to its last line, and the beginning of that."""
    beginning: ClassVar[bytes] = b"\0"
    """Of the frames of runs."""

    elements: int | None = None
    opaque: bool = False

    def __init__(self) -> None:
        self._frames = FrameDecoder()
        self.finished = False
        self.ending: int | None = None
        self.usage_frame: tuple[int, int] | None = None
        self.pending = 0

    def feed(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        frames = self._frames
        usual = self.usual
        if not frames.idle or not data.endswith(b"\n\n") or data.find(b"\r") >= 0:
            self._read(frames.feed(data), events)
            self.pending = frames.pending
        elif data.startswith(usual) and data.find(b"\n", len(usual)) == len(data) - 2:
            self._usual_frame(data, frames.position, events)
            frames.position += len(data)
        else:
            self._whole_frames(data, events)
        return events

    def _whole_frames(self, data: bytes, events: list[Event]) -> None:
        frames, beginning = self._frames, self.beginning
        texts = data[:-2].split(b"\n\n" + beginning)
        at = 0
        if data.startswith(beginning):
            texts[0] = texts[0][len(beginning) :]
        else:
            self._read(frames.feed(texts[0] + b"\n\n"), events)
            at = 1
        while at < len(texts):
            end = self._run(texts, at, events)
            if end > at:
                frames.position += sum(map(len, texts[at:end])) + (end - at) * (len(beginning) + 2)
            else:
                self._read(frames.feed(beginning + texts[at] + b"\n\n"), events)
                end += 1
            at = end

    def close(self) -> list[Event]:
        events: list[Event] = []
        self._read(self._frames.close(), events)
        self.pending = 0
        self._end(events)
        return events

    def _read(self, frames: Iterable[Frame], events: list[Event]) -> None:
        for frame in frames:
            if frame.data:
                if frame.event is RAW:
                    self._body(frame.data, events)
                else:
                    self._frame(frame, events)
            elif frame.end - frame.start > _BLANK_BYTES:
                # A comment: the provider lives. https://html.spec.whatwg.org/multipage/server-sent-events.html#authoring-notes
                events.append(KeepAlive())

    def _frame(self, frame: Frame, events: list[Event]) -> None:
        """One event."""
        raise NotImplementedError

    def _usual_frame(self, data: bytes, start: int, events: list[Event]) -> None:
        """A whole frame, `data`, that begins with `usual`."""
        raise NotImplementedError

    def _run(self, texts: list[bytes], at: int, events: list[Event]) -> int:
        """The run that starts at `at`, as one event. `texts`: whole frames from behind `beginning` to the blank line,
        and perhaps frames that begin in another way behind that.

        Returns where it ends. `at` itself: what stands there is to be read in full.
        """
        return at

    def _body(self, body: bytes, events: list[Event]) -> None:
        """A JSON text in place of events: an error, or the whole reply of a provider that does not stream."""
        raise NotImplementedError

    def _end(self, events: list[Event]) -> None:
        """The provider has sent everything."""


class WholeBody:
    """Decoder of a reply that is one body: `_body` reads it."""

    __slots__ = ("_pieces", "_size", "finished")

    pending: int = 0
    ending: int | None = None
    usage_frame: tuple[int, int] | None = None
    elements: int | None = None
    opaque: bool = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self.finished = False

    def feed(self, data: bytes) -> Sequence[Event]:
        self._size += len(data)
        if self._size <= BODY_BYTES_MAX:
            self._pieces.append(data)
        return ()

    def close(self) -> list[Event]:
        events: list[Event] = []
        if self._size <= BODY_BYTES_MAX:
            self._body(self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces), events)
        return events

    def _body(self, body: bytes, events: list[Event]) -> None:
        raise NotImplementedError


class CountBody(WholeBody):
    """`{"input_tokens": n}` is the answer, not usage: counting is free."""

    __slots__ = ()

    def _body(self, body: bytes, events: list[Event]) -> None:
        self.finished = True
        events.append(Metered({}))


class Opaque(WholeBody):
    """A sound or another file: nothing in it is read. It ends where its bytes end."""

    __slots__ = ()

    opaque = True

    def feed(self, data: bytes) -> Sequence[Event]:
        return ()

    def close(self) -> list[Event]:
        self.finished = True
        return []


def lenient(decoder: msgspec.json.Decoder[T], data: bytes | Raw) -> T | None:
    """A reply's JSON, or None where it is not what it should be: the client sees it as it came."""
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def moment(value: float | None) -> int | None:
    """Unix seconds, or None where there are none (JSON can write infinity: 1e999)."""
    return int(value) if value and abs(value) < 2**53 else None


_ANY = msgspec.json.Decoder()


def anything(data: bytes | Raw) -> Any:
    return lenient(_ANY, data)
