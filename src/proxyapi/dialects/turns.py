"""Messages as turns, for dialects in which user and assistant alternate, and instructions stand before them only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from msgspec.structs import replace

from proxyapi.dialects.model import Compaction, Message, Part, Text, ToolResult
from proxyapi.dialects.wording import as_text, reminder

OPENING = "Begin."
"""What a user says who gave instructions only: some providers refuse a conversation without any turn."""


def merged(messages: Iterable[Message]) -> tuple[Message, ...]:
    """Neighbours of one role as one message, a user's results before everything else, and none that is empty."""
    found: list[Message] = []
    for role, run in groupby((message for message in messages if message.parts), key=lambda message: message.role):
        turns = list(run)
        parts = [part for turn in turns for part in turn.parts]
        if role == "user":
            parts.sort(key=lambda part: not isinstance(part, ToolResult))
        found.append(Message(role=role, parts=tuple(parts), incomplete=turns[-1].incomplete))
    return tuple(found)


def opened(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages; a user's turn where there are none."""
    return tuple(messages) or (Message(role="user", parts=(Text(OPENING),)),)


def reminded(message: Message) -> Message:
    """Instructions in the middle of a conversation, as words of the user that the model knows for what they are."""
    parts = (replace(part, text=reminder(part.text)) if isinstance(part, Text) else part for part in message.parts)
    return Message(role="user", parts=tuple(parts))


def named(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Names of participants as the beginning of what they say, where one role has several of them."""
    names: dict[str, set[str]] = {}
    for message in messages:
        if message.name:
            names.setdefault(message.role, set()).add(message.name)
    several = {role for role, found in names.items() if len(found) > 1}
    return tuple(_speaking(message) if message.name and message.role in several else message for message in messages)


def _speaking(message: Message) -> Message:
    prefix = f"{message.name}: "
    parts: list[Part] = []
    for part in message.parts:
        if prefix and isinstance(part, Text):
            part, prefix = replace(part, text=prefix + part.text), ""
        parts.append(part)
    return replace(message, parts=tuple(parts), name="")


def summarised(messages: Iterable[Message], *, kept: Callable[[Compaction], bool]) -> tuple[Message, ...]:
    """Summaries of older turns as words of the user. `kept`: which ones the target takes as they are."""
    found: list[Message] = []
    for message in messages:
        rest: list[Part] = []
        for part in message.parts:
            words = as_text(part) if isinstance(part, Compaction) and not kept(part) else None
            if words is None:
                rest.append(part)
                continue
            if rest:
                found.append(replace(message, parts=tuple(rest), incomplete=False))
            found.append(Message(role="user", parts=(Text(words, cache=part.cache),)))
            rest = []
        if rest or not message.parts:
            found.append(replace(message, parts=tuple(rest)))
    return tuple(found)
