"""Gemini generateContent: a reply as a client reads it, as one body or as a stream.

Every frame is `data: ` with its blank and a whole reply object: the official SDKs know no other line, no event names,
no comments and no `[DONE]`. A stream without `alt=sse` is made of these frames by `ArrayEncoder`.
https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from proxyapi.dialects import faults, frames
from proxyapi.dialects.answer import Answer
from proxyapi.dialects.codec import Asked
from proxyapi.dialects.gemini.reply_parts import HANDLERS, Growing, Reply, Wire, encode, logprobs, sound
from proxyapi.dialects.model import (
    Event,
    Failed,
    KeepAlive,
    Metered,
    PartDelta,
    PartStart,
    Start,
    Text,
    Thinking,
)

_FRAME = b'data: {"candidates":[{"content":{"parts":[{"text":'
"""Of a fragment of text; then its JSON, then what the part's `suffix` and the stream's `_tail` are."""
_SUFFIXES = {Text: b'}],"role":"model"},"index":%d}],', Thinking: b',"thought":true}],"role":"model"},"index":%d}],'}
_NOTHING: Wire = {"text": ""}
"""The chats of the SDKs forget a turn in which a chunk had no part: this one is not seen."""


class GeminiStreamEncoder(Reply):
    """Every event leaves at once, but for the end, which waits for the last word about usage."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked)
        self._out: list[bytes] = []
        self._tail = b""
        """End of every frame: usage so far, names. Empty: it has to be written anew."""

    def feed(self, events: Iterable[Event]) -> bytes:
        out, opened = self._out, self._open
        for event in events:
            if type(event) is PartDelta:
                part = opened.get(event.index)
                if part is not None and part.suffix and not event.logprobs:
                    part.kept.append(event.text)
                    out += (_FRAME, encode(event.text), part.suffix, self._tail or self._write_tail())
                else:
                    self._on_delta(event)
            else:
                self._STREAMED[type(event)](self, event)
        data = b"".join(out)
        out.clear()
        return data

    def close(self) -> bytes:
        numbers = sorted(self._choices) or [0]
        for number in numbers:
            content = {"parts": [_NOTHING], "role": "model"}
            candidate = {"content": content} | self._ending(number)
            self._put({"candidates": [candidate]} | self._head(final=number == numbers[-1]))
        data = b"".join(self._out)
        self._out.clear()
        return data

    def fail(self, failed: Failed, request_id: str) -> bytes:
        return frames.encode(encode(faults.told("google", failed, request_id)))

    # --- frames --------------------------------------------------------------------------------------------------

    def _put(self, wire: Wire) -> None:
        data = encode(wire)
        if b"\n" in data or b"\r" in data:
            # Only what is sent as received can have line ends, and a frame has none.
            data = msgspec.json.format(data, indent=-1)
        self._out.append(frames.encode(data))

    def _write_tail(self) -> bytes:
        self._tail = encode(self._head(final=False))[1:] + b"\n\n"
        return self._tail

    def _tell(self, choice: int, part: Wire) -> None:
        content = {"parts": [part], "role": "model"}
        self._put({"candidates": [{"content": content, "index": choice}]} | self._head(final=False))

    def _grow(self, part: Growing, event: PartDelta) -> None:
        thought: Wire = {"thought": True} if isinstance(part.part, Thinking) else {}
        content = {"parts": [{"text": event.text} | thought], "role": "model"}
        found: Wire = {"logprobsResult": logprobs(event.logprobs)} if event.logprobs else {}
        self._put({"candidates": [{"content": content, "index": part.choice} | found]} | self._head(final=False))
        if isinstance(part.part, Text) or part.source == -1:
            part.suffix = _SUFFIXES[type(part.part)] % part.choice

    def _sound(self, part: Growing, data: str) -> None:
        self._tell(part.choice, sound(part.part, data))

    # --- events --------------------------------------------------------------------------------------------------

    def _on_part_start(self, event: PartStart) -> None:
        super()._on_part_start(event)
        if isinstance(event.part, Text) and not self._is_unquoted:
            self._open[event.index].suffix = _SUFFIXES[Text] % event.choice

    def _on_start(self, event: Start) -> None:
        self._tail = b""
        super()._on_start(event)

    def _on_metered(self, event: Metered) -> None:
        self._tail = b""
        super()._on_metered(event)

    def _on_keep_alive(self, event: KeepAlive) -> None:
        self._tell(min(self._choices, default=0), _NOTHING)

    _STREAMED: dict[type, Callable[[Any, Any], None]] = HANDLERS | {
        PartStart: _on_part_start,
        Start: _on_start,
        Metered: _on_metered,
        KeepAlive: _on_keep_alive,
    }


class GeminiBodyEncoder(Reply):
    """One reply object."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked)
        self._parts: dict[int, list[Wire]] = {}

    def feed(self, events: Iterable[Event]) -> bytes:
        for event in events:
            HANDLERS[type(event)](self, event)
        return b""

    def answer(self, answer: Answer) -> bytes:
        self._start, self._metered = answer.start, answer.metered
        self._choice(0).finish = answer.finish
        self._parts[0] = [{"text": answer.text}]
        return self.close()

    def close(self) -> bytes:
        candidates = [self._candidate(number) for number in sorted(self._choices)]
        return encode({"candidates": candidates} | self._head(final=True))

    def fail(self, failed: Failed, request_id: str) -> bytes:
        """Never asked for: an error in place of a body has a status of its own."""
        return encode(faults.told("google", failed, request_id))

    def _candidate(self, number: int) -> Wire:
        content: Wire = {"role": "model"}
        if parts := self._parts.get(number):
            content = {"parts": parts, "role": "model"}
        wire = {"content": content} | self._ending(number)
        found = self._choices[number].logprobs
        return wire | ({"logprobsResult": logprobs(found)} if found else {})

    def _tell(self, choice: int, part: Wire) -> None:
        self._parts.setdefault(choice, []).append(part)

    def _grow(self, part: Growing, event: PartDelta) -> None:
        part.texts.append(event.text)
        if event.logprobs:
            self._choices[part.choice].logprobs += event.logprobs

    def _sound(self, part: Growing, data: str) -> None:
        part.data.append(data)
