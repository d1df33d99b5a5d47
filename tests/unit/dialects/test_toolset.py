"""Tools that a conversation adds and removes on its way."""

from __future__ import annotations

from msgspec import Raw

from proxyapi.dialects.model import FunctionTool, Message, ToolChange
from proxyapi.dialects.toolset import settled

SCHEMA = Raw(b'{"type": "object",  "properties": {}}')


def changed(*changes: ToolChange) -> list[Message]:
    return [Message(role="system", parts=changes)]


def test_without_changes_the_tools_are_the_same() -> None:
    tools = (FunctionTool(name="a"),)
    assert settled(tools, changed()) == tools


def test_changes_of_tools_are_one_list_as_it_is_at_the_end() -> None:
    declared = (
        FunctionTool(name="a", parameters=SCHEMA),
        FunctionTool(name="hidden", parameters=SCHEMA, defer_loading=True),
        FunctionTool(name="gone", parameters=SCHEMA),
    )
    added = FunctionTool(name="new", parameters=SCHEMA)
    messages = changed(
        ToolChange(added=(FunctionTool(name="hidden"), added, FunctionTool(name="never_defined"))),
        ToolChange(removed=("gone", "a")),
        ToolChange(added=(FunctionTool(name="a"),)),
    )
    assert settled(declared, messages) == (
        declared[0],
        FunctionTool(name="hidden", parameters=SCHEMA),
        added,
    )
