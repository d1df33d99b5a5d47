"""Replies of models that write their thoughts into the content, between `<think>` and `</think>`.

The template of a model puts the tags at the very beginning of an answer, so they are looked for there only: an answer
that speaks about them later is an answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from proxyapi.dialects.model import Event
from proxyapi.dialects.openai_chat.reply_in import ChatReader, State
from proxyapi.dialects.openai_chat.reply_wire import Chunk, Delta

_OPENING, _CLOSING = "<think>", "</think>"


class ThinkTags:
    """Feed it the content of one alternative as it comes, take thoughts and text. Tags may be cut anywhere."""

    __slots__ = ("_held", "_place")

    def __init__(self) -> None:
        self._place: Literal["before", "opened", "thinking", "between", "text"] = "before"
        self._held = ""
        """What may be the beginning of a tag, or is white space around one."""

    def feed(self, content: str) -> Iterator[tuple[Literal["thinking", "text"], str]]:
        if self._place == "text":
            yield "text", content
            return
        content, self._held = self._held + content, ""
        if self._place == "before":
            content = self._open(content)
        if self._place == "opened" and (content := content.lstrip("\n")):
            self._place = "thinking"
        if self._place == "thinking":
            thought, closed, content = content.partition(_CLOSING)
            if closed:
                self._place = "between"
                thought = thought.rstrip("\n")
            else:
                keep = _beginning(thought)
                thought, self._held = thought[: len(thought) - keep], thought[len(thought) - keep :]
            if thought:
                yield "thinking", thought
        if self._place == "between" and (content := content.lstrip()):
            self._place = "text"
        if self._place == "text" and content:
            yield "text", content

    def close(self) -> Iterator[tuple[Literal["thinking", "text"], str]]:
        """What was held, once nothing follows."""
        if self._held:
            yield "thinking" if self._place == "thinking" else "text", self._held
            self._held = ""

    def _open(self, content: str) -> str:
        """The content behind an opening tag; all of it, if there is none."""
        start = content.lstrip()
        if start.startswith(_OPENING):
            self._place = "opened"
            return start[len(_OPENING) :]
        if _OPENING.startswith(start):
            self._held = content
            return ""
        self._place = "text"
        return content


def _beginning(text: str) -> int:
    """How many of the last characters may be the closing tag's first ones, or line ends before it."""
    size = next((size for size in range(len(_CLOSING) - 1, 0, -1) if text.endswith(_CLOSING[:size])), 0)
    rest = text[: len(text) - size]
    return size + len(rest) - len(rest.rstrip("\n"))


class ThinkTagReader(ChatReader):
    """Chunks to events, thoughts told apart from the text around them."""

    __slots__ = ("_tags",)

    def __init__(self) -> None:
        super().__init__()
        self._tags: dict[int, ThinkTags] = {}

    @property
    def in_text(self) -> bool:
        return False  # each text is looked through

    def _delta(self, choice: int, state: State, delta: Delta, events: list[Event]) -> None:
        content = delta.content
        if isinstance(content, str) and content:
            delta.content = None
            for kind, text in self._tags.setdefault(choice, ThinkTags()).feed(content):
                self._grow(choice, state, kind, text, events)
        super()._delta(choice, state, delta, events)

    def _finish(self, choice: int, state: State, reason: str, chunk: Chunk, events: list[Event]) -> None:
        for kind, text in self._tags[choice].close() if choice in self._tags else ():
            self._grow(choice, state, kind, text, events)
        super()._finish(choice, state, reason, chunk, events)
