"""Tools that a conversation adds and removes on its way, for dialects that know all tools from the beginning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from proxyapi.dialects.functions import spoken
from proxyapi.dialects.model import (
    Computer,
    CustomTool,
    FileSearch,
    FunctionTool,
    Mcp,
    Message,
    NativeTool,
    Tool,
    ToolChange,
    WebSearch,
    given,
)


def settled(tools: Sequence[Tool], messages: Iterable[Message]) -> tuple[Tool, ...]:
    """The tools after all changes that the conversation makes to them. Names that were never defined are left out."""
    changes = [part for message in messages for part in message.parts if isinstance(part, ToolChange)]
    if not changes:
        return tuple(tools)
    known = {_name(tool): tool for tool in tools}
    offered = dict.fromkeys(known, True)
    for change in changes:
        for tool in change.added:
            name = _name(tool)
            if not _is_bare(tool):
                known[name] = tool
            if name in known:
                known[name], offered[name] = _shown(known[name]), True
        offered |= dict.fromkeys(change.removed, False)
    return tuple(tool for name, tool in known.items() if offered[name])


def _shown(tool: Tool) -> Tool:
    """The tool, not hidden any more."""
    hidden = isinstance(tool, FunctionTool) and tool.defer_loading
    return replace(tool, defer_loading=None) if hidden else tool


def _name(tool: Tool) -> str:
    match tool:
        case FunctionTool() | CustomTool():
            return spoken(tool.name, tool.namespace)
        case Mcp():
            return tool.label
        case WebSearch() | Computer() | NativeTool():
            return tool.wire_type
        case FileSearch():
            return "file_search"


def _is_bare(tool: Tool) -> bool:
    """A name without a definition."""
    return isinstance(tool, FunctionTool) and not (given(tool.parameters) or tool.description)
