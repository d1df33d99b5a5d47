"""Anthropic Messages: turns as a provider wants them.

User and assistant alternate, the user begins, and every call has its result in the next message, before anything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from proxyapi.dialects.anthropic.draft import Draft
from proxyapi.dialects.codec import TargetModel
from proxyapi.dialects.history import answered
from proxyapi.dialects.model import (
    Compaction,
    Message,
    Part,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolChange,
    ToolUse,
    given,
)
from proxyapi.dialects.turns import merged, named, opened, reminded, summarised


def arrange(messages: Sequence[Message], target: TargetModel, draft: Draft, *, thinks: bool) -> tuple[Message, ...]:
    """Turns as the dialect wants them. `thinks`: the model may think, so proofs of thinking are worth something.

    Untranslatable: a result without its call.
    """
    sent = [_pruned(message, target, thinks=thinks) for message in messages]
    told = summarised(named(sent), kept=lambda part: _is_kept(part, target))
    placed = _instructions(merged(_one_system_role(told)), native=target.quirks.mid_system, draft=draft)
    turns = answered(merged(placed))
    if turns and turns[-1].role == "assistant" and any(isinstance(part, ToolUse) for part in turns[-1].parts):
        turns = answered((*turns, Message(role="user", parts=())))
    return opened(merged(turns))


def changes_stay(messages: Sequence[Message], target: TargetModel) -> bool:
    """Changes of tools can stand where they are: the target takes system messages there."""
    if not target.quirks.mid_system:
        return False
    turns = merged(_one_system_role(messages))
    return all(
        _is_placed(turns, position)
        for position, message in enumerate(turns)
        if any(isinstance(part, ToolChange) for part in message.parts)
    )


def _pruned(message: Message, target: TargetModel, *, thinks: bool) -> Message:
    """Without what is not sent: blank texts, and thinking that the target has not signed itself."""
    parts: list[Part] = []
    for part in message.parts:
        match part:
            case Text(text):
                is_sent = bool(text.strip())
            case Thinking():
                is_sent = thinks and is_signed(part, target)
            case _:
                is_sent = True
        if is_sent:
            parts.append(part)
        elif part.cache is not None and parts:
            # The mark ends the same prefix one part earlier.
            parts[-1] = replace(parts[-1], cache=parts[-1].cache or part.cache)
    return replace(message, parts=tuple(parts))


def _one_system_role(messages: Iterable[Message]) -> list[Message]:
    return [replace(message, role="system") if message.role == "developer" else message for message in messages]


def _instructions(messages: Sequence[Message], *, native: bool, draft: Draft) -> list[Message]:
    """Instructions in the middle: where they are if the target takes them there, else as words of the user."""
    found: list[Message] = []
    for position, message in enumerate(messages):
        if message.role != "system" or (native and _is_placed(messages, position)):
            found.append(message)
            continue
        draft.approximate("messages.system")
        found.append(reminded(message))
    return found


def _is_placed(messages: Sequence[Message], position: int) -> bool:
    """After a user's turn or a call of a hosted tool, and before an assistant's turn or at the end."""
    if position == 0:
        return False
    before = messages[position - 1]
    fits = before.role == "user" or isinstance(before.parts[-1], ServerToolUse | ServerToolResult)
    fits = fits and all(isinstance(part, Text | ToolChange) for part in messages[position].parts)
    return fits and (position + 1 == len(messages) or messages[position + 1].role == "assistant")


def _is_kept(part: Compaction, target: TargetModel) -> bool:
    return given(part.native) or (part.state is not None and part.state.origin == target.origin)


def is_signed(part: Part, target: TargetModel) -> bool:
    """A thinking part that the target takes back."""
    return (
        isinstance(part, Thinking)
        and part.state is not None
        and part.state.origin == target.origin
        and part.state.kind in ("anthropic_signature", "anthropic_redacted")
    )
