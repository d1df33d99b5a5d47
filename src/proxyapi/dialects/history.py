"""Calls and their results in a conversation, paired as every provider but Google demands: one result for each call.

Clients send conversations that were cut, merged or interrupted. A result moves to the message after its call; a call
that the conversation just went on after gets a result that says so; a result of no call can't be told to any provider.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from proxyapi.dialects.codec import Untranslatable
from proxyapi.dialects.model import Message, Text, ToolResult, ToolUse

NO_RESULT = "No result."

_FIELD = "messages.tool_result"


def answered(messages: Sequence[Message], *, as_called: bool = False) -> tuple[Message, ...]:
    """The messages, with the results of an assistant's calls in the user message that follows it, and none missing.

    `as_called`: in the order of the calls, for providers that pair them by place; clients tell them as they come. Calls
    of the last message are left open. Untranslatable names a result that answers no call before it, or a second one of
    the same call.
    """
    results = _results(messages)
    paired: list[Message] = []
    calls: list[ToolUse] = []
    turn = 0
    for position, message in enumerate(messages):
        if calls:
            given = {call.id: results.get((turn, call.id)) or _nothing(call) for call in calls}
            message = _after_calls(message, given, paired, as_called=as_called)
        else:
            message = _without_results(message)
        if message.parts or message.role == "assistant":
            paired.append(message)
        calls, turn = _calls(message), position
    return tuple(paired)


def _calls(message: Message) -> list[ToolUse]:
    return [part for part in message.parts if isinstance(part, ToolUse)] if message.role == "assistant" else []


def _results(messages: Sequence[Message]) -> dict[tuple[int, str], ToolResult]:
    """Every result by the position of the message that called, and the id of its call.

    Some clients count their ids anew in every turn, so a result answers the last call of that id.
    """
    called: dict[str, int] = {}
    found: dict[tuple[int, str], ToolResult] = {}
    for position, message in enumerate(messages):
        for part in message.parts:
            if isinstance(part, ToolUse) and message.role == "assistant":
                called[part.id] = position
            elif isinstance(part, ToolResult):
                identity = part.tool_use_id
                if identity not in called:
                    raise Untranslatable(_FIELD, f"there is no call with the id {identity!r} before its result")
                key = called[identity], identity
                if key in found:
                    raise Untranslatable(_FIELD, f"the call with the id {identity!r} has two results")
                found[key] = part
    return found


def _nothing(call: ToolUse) -> ToolResult:
    return ToolResult(tool_use_id=call.id, parts=(Text(text=NO_RESULT),), name=call.name, kind=call.kind)


def _without_results(message: Message) -> Message:
    rest = tuple([part for part in message.parts if not isinstance(part, ToolResult)])
    return message if len(rest) == len(message.parts) else replace(message, parts=rest)


def _after_calls(message: Message, given: dict[str, ToolResult], paired: list[Message], *, as_called: bool) -> Message:
    """`message` with the results in front of its other parts; if it can't hold them, a message of theirs before it."""
    here = [part.tool_use_id for part in message.parts if isinstance(part, ToolResult) and part.tool_use_id in given]
    results = [] if as_called else [given.pop(identity) for identity in here]
    results += given.values()
    rest = _without_results(message)
    if message.role == "user" and not message.name:
        return replace(message, parts=(*results, *rest.parts))
    paired.append(Message(role="user", parts=tuple(results)))
    return rest
