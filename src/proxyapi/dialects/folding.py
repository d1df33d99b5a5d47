"""Events of a reply -> the assistant's message that they tell: what the next request's history holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from proxyapi.dialects.model import (
    Audio,
    Citation,
    Event,
    Image,
    Inline,
    Message,
    Part,
    PartCitation,
    PartData,
    PartDelta,
    PartEnd,
    PartStart,
    PartState,
    PartSummary,
    ReasoningState,
    Refusal,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    TokenLogprob,
    ToolUse,
)


class _Growing:
    """A part and what came for it."""

    __slots__ = ("citations", "data", "incomplete", "logprobs", "part", "result", "state", "summaries", "texts")

    def __init__(self, part: Part) -> None:
        self.part = part
        self.texts: list[str] = []
        self.data: list[str] = []
        self.summaries: dict[int, list[str]] = {}
        self.citations: list[Citation] = []
        self.logprobs: list[TokenLogprob] = []
        self.state: ReasoningState | None = part.state
        self.result: ServerToolResult | None = None
        self.incomplete = False

    def whole(self) -> Part | None:
        """None: an empty text, or a call that was cut."""
        text = "".join(self.texts)
        part, state = self.part, self.state
        match part:
            case Text():
                if not text and state is None:
                    return None
                return msgspec.structs.replace(
                    part,
                    text=part.text + text,
                    citations=part.citations + tuple(self.citations),
                    logprobs=part.logprobs + tuple(self.logprobs),
                    state=state,
                )
            case Refusal():
                return msgspec.structs.replace(part, text=part.text + text, state=state)
            case Thinking():
                summaries = tuple("".join(pieces) for _, pieces in sorted(self.summaries.items()))
                return msgspec.structs.replace(
                    part, text=part.text + text, summaries=part.summaries + summaries, state=state
                )
            case ToolUse():
                if self.incomplete:
                    return None
                return msgspec.structs.replace(part, arguments=part.arguments + text, state=state)
            case ServerToolUse():
                result = self.result or part.result
                return msgspec.structs.replace(part, arguments=part.arguments + text, result=result, state=state)
            case Audio(source=Inline() as source):
                heard = Inline(source.data + "".join(self.data), source.media_type)
                return msgspec.structs.replace(part, source=heard, transcript=part.transcript + text, state=state)
            case Image(source=Inline() as source):
                drawn = Inline(source.data + "".join(self.data), source.media_type)
                return msgspec.structs.replace(part, source=drawn, state=state)
            case _:
                return part if state is part.state else msgspec.structs.replace(part, state=state)


class Fold:
    """Feed it the events of one reply in order; other choices than the first are left out."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: dict[int, _Growing] = {}

    def feed(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, PartStart):
                if event.choice == 0:
                    self._parts[event.index] = _Growing(event.part)
            elif grow := _GROW.get(type(event)):
                index: int = event.index  # type: ignore[union-attr]
                if index in self._parts:
                    grow(self._parts[index], event)

    def message(self) -> Message:
        """As far as it was told."""
        whole = (growing.whole() for growing in self._parts.values())
        return Message(role="assistant", parts=tuple(part for part in whole if part is not None))


def _delta(growing: _Growing, event: PartDelta) -> None:
    growing.texts.append(event.text)
    growing.logprobs += event.logprobs


def _summary(growing: _Growing, event: PartSummary) -> None:
    growing.summaries.setdefault(event.number, []).append(event.text)


def _data(growing: _Growing, event: PartData) -> None:
    growing.data.append(event.data)


def _citation(growing: _Growing, event: PartCitation) -> None:
    growing.citations.append(event.citation)


def _state(growing: _Growing, event: PartState) -> None:
    growing.state = event.state


def _end(growing: _Growing, event: PartEnd) -> None:
    growing.result, growing.incomplete = event.result, event.incomplete


_GROW: dict[type, Callable[[_Growing, Any], None]] = {
    PartDelta: _delta,
    PartSummary: _summary,
    PartData: _data,
    PartCitation: _citation,
    PartState: _state,
    PartEnd: _end,
}
