"""OpenAI Responses: canonical tools, and which of them the model has to call, as the wire has them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects.codec import Untranslatable
from proxyapi.dialects.functions import as_function, spoken
from proxyapi.dialects.losses import Losses
from proxyapi.dialects.model import (
    Computer,
    CustomTool,
    FileSearch,
    FunctionTool,
    Location,
    Mcp,
    NativeTool,
    Tool,
    ToolChoice,
    WebSearch,
    given,
)
from proxyapi.dialects.openai_knobs import bound
from proxyapi.dialects.openai_responses.wire import kind_of
from proxyapi.dialects.quirks import Quirks
from proxyapi.dialects.stream import lenient

Wire = dict[str, Any]

_OWN_WEB_SEARCH = re.compile(r"web_search(_preview)?(_\d{4}_\d\d_\d\d)?")
"""Types of Responses have dashes of a kind in their dates; those of Messages, `web_search_20250305`, have none."""
_WEB_SEARCH = "web_search"
_CALLERS = frozenset({"direct", "programmatic"})
_FIELD = "tools"


class _Container(Struct):
    file_ids: list[str] | None = None


class _Body(Struct):
    container: str | _Container | None = None


_BODY = msgspec.json.Decoder(_Body)


def write_tools(
    tools: Sequence[Tool], quirks: Quirks, losses: Losses, *, finds: bool = False, binds: bool = False
) -> list[Wire | Raw]:
    """In the order given, neighbours of one namespace in it. Untranslatable names a tool that the dialect lacks.

    `finds`: the model can search among deferred tools, also where none of `tools` says so. `binds`: calls have to
    follow their schemas, wherever those allow it.
    """
    writer = _Writer(tools, quirks, losses, finds=finds, binds=binds)
    for tool in tools:
        _WRITE[type(tool)](writer, tool)
    return writer.wire


class _Writer:
    def __init__(self, tools: Sequence[Tool], quirks: Quirks, losses: Losses, *, finds: bool, binds: bool) -> None:
        self.wire: list[Wire | Raw] = []
        self._quirks = quirks
        self._losses = losses
        self._binds = binds
        self._finds = finds or any(isinstance(tool, NativeTool) and _is_own_search(tool) for tool in tools)
        """Deferred tools stay so: the model has a way to find them."""
        self._space: Wire | None = None
        """The namespace that was written last, if nothing followed it."""

    def _put(self, wire: Wire, namespace: str, about: str) -> None:
        if not namespace:
            self._alone(wire)
            return
        if self._space is None or (self._space["name"], self._space["description"]) != (namespace, about):
            self._space = {"type": "namespace", "name": namespace, "description": about, "tools": []}
            self.wire.append(self._space)
        self._space["tools"].append(wire)

    def _alone(self, wire: Wire | Raw) -> None:
        self._space = None
        self.wire.append(wire)

    def function(self, tool: FunctionTool) -> None:
        wire: Wire = {"type": "function", "name": self._losses.tool_name(tool.name)}
        if tool.description:
            wire["description"] = tool.description
        wire["parameters"] = tool.parameters
        # Where nothing is said Responses binds arguments to their schema; no other dialect does.
        strict = bound(
            tool.strict or False, tool.parameters, self._quirks, self._losses, "tools.strict", better=self._binds
        )
        callers = [caller for caller in tool.allowed_callers if caller in _CALLERS]
        options: Wire = {
            "strict": strict,
            "output_schema": tool.result if given(tool.result) else None,
            "defer_loading": self._deferred(tool),
            "async": tool.asynchronous,
            "allowed_callers": callers or None,
        }
        for field, lost in (
            ("tools.allowed_callers", len(callers) < len(tool.allowed_callers)),
            ("tools.examples", tool.examples),
            ("tools.stream_arguments_eagerly", tool.stream_arguments_eagerly),
            ("tools.cache", tool.cache),
        ):
            if lost:
                self._losses.drop(field)
        wire |= {name: value for name, value in options.items() if value is not None}
        self._put(wire, tool.namespace, tool.namespace_description)

    def _deferred(self, tool: FunctionTool) -> bool | None:
        if tool.defer_loading and not self._finds:
            self._losses.approximate("tools.defer_loading")
            return None
        return tool.defer_loading

    def custom(self, tool: CustomTool) -> None:
        function = as_function(tool) if self._quirks.no_custom_tools else None
        if function is not None:
            self._losses.approximate("tools.custom")
            self.function(function)
            return
        wire: Wire = {"type": "custom", "name": self._losses.tool_name(tool.name)}
        if tool.description:
            wire["description"] = tool.description
        if tool.syntax != "text":
            wire["format"] = {"type": "grammar", "syntax": tool.syntax, "definition": tool.grammar}
        self._put(wire, tool.namespace, tool.namespace_description)

    def web_search(self, tool: WebSearch) -> None:
        if _OWN_WEB_SEARCH.fullmatch(tool.wire_type) and given(tool.native):
            self._alone(tool.native)
            return
        if tool.blocked_domains:
            raise Untranslatable(_FIELD, "the web search of Responses can't leave out domains")
        if tool.uses_max is not None:
            self._losses.drop("tools.uses_max")
        options: Wire = {
            "filters": {"allowed_domains": tool.allowed_domains} if tool.allowed_domains else None,
            "search_context_size": tool.context_size,
            "user_location": {"type": "approximate"} | _place(tool.location) if tool.location else None,
        }
        self._alone({"type": _WEB_SEARCH} | {name: value for name, value in options.items() if value is not None})

    def file_search(self, tool: FileSearch) -> None:
        if kind_of(tool.native) != "file_search":
            raise Untranslatable(_FIELD, "the files of a file search are at another provider")
        self._alone(tool.native)

    def mcp(self, tool: Mcp) -> None:
        if kind_of(tool.native) == "mcp":
            self._alone(tool.native)
            return
        if not tool.url:
            raise Untranslatable(_FIELD, f"the MCP server {tool.label!r} has no address")
        options: Wire = {
            "authorization": tool.authorization or None,
            "headers": dict(tool.headers) or None,
            "allowed_tools": tool.allowed_tools,
        }
        wire: Wire = {"type": "mcp", "server_label": tool.label, "server_url": tool.url}
        # Where nothing is said Responses asks before each call; no other dialect does.
        wire["require_approval"] = tool.approval or "never"
        self._alone(wire | {name: value for name, value in options.items() if value is not None})

    def computer(self, tool: Computer) -> None:
        if kind_of(tool.native) not in ("computer", "computer_use_preview", "computer_use"):
            raise Untranslatable(_FIELD, f"the tool {tool.wire_type or 'computer'} has other actions in Responses")
        self._alone(tool.native)

    def native(self, tool: NativeTool) -> None:
        if tool.dialect == "openai_responses":
            self._alone(tool.body)
        elif tool.kind == "tool_search":
            # All tools are shown from the beginning then: nothing has to be found.
            self._losses.approximate("tools.tool_search")
        elif tool.kind == "code_execution" and _is_blank(tool.body):
            self._losses.approximate("tools.code_execution")
            self._alone({"type": "code_interpreter", "container": {"type": "auto"}})
        else:
            raise Untranslatable(_FIELD, f"OpenAI Responses has no tool {tool.wire_type or tool.kind!r}")


_WRITE: dict[type, Callable[[_Writer, Any], None]] = {
    FunctionTool: _Writer.function,
    CustomTool: _Writer.custom,
    WebSearch: _Writer.web_search,
    FileSearch: _Writer.file_search,
    Mcp: _Writer.mcp,
    Computer: _Writer.computer,
    NativeTool: _Writer.native,
}


def _is_own_search(tool: NativeTool) -> bool:
    return tool.kind == "tool_search" and tool.dialect == "openai_responses"


def _is_blank(body: Raw) -> bool:
    """Code runs in a container of its own, without files: any provider can do that."""
    container = (lenient(_BODY, body) or _Body()).container
    return container is None or (isinstance(container, _Container) and not container.file_ids)


def _place(where: Location) -> Wire:
    return {name: text for name, text in msgspec.structs.asdict(where).items() if text}


# --- tool choice --------------------------------------------------------------------------------------------------


def offered(
    choice: ToolChoice | None, tools: tuple[Tool, ...], quirks: Quirks, losses: Losses
) -> tuple[ToolChoice | None, tuple[Tool, ...]]:
    """Where a subset can't be named, the others are not declared."""
    if choice is None or choice.server_tool or not choice.names or not quirks.no_allowed_tools or _forces_one(choice):
        return choice, tools
    losses.approximate("tool_choice.names")
    wanted = frozenset(choice.names)
    kept = tuple(tool for tool in tools if not wanted.isdisjoint(_names_of(tool)))
    return msgspec.structs.replace(choice, names=()), kept


def write_choice(choice: ToolChoice | None, tools: Sequence[Tool], quirks: Quirks, losses: Losses) -> Wire:
    """`tool_choice` and `parallel_tool_calls`; `tools`: all that there are. Untranslatable: none to be forced."""
    if choice is None:
        return {}
    if not tools:
        if choice.mode not in ("auto", "none"):
            raise Untranslatable("tool_choice", "there are no tools to call")
        return {}
    wire: Wire = {"tool_choice": _chosen(choice, tools, quirks, losses)}
    if choice.parallel is None:
        return wire
    if quirks.no_parallel_choice:
        if not choice.parallel:
            losses.drop("tool_choice.parallel")
        return wire
    return wire | {"parallel_tool_calls": choice.parallel}


def _forces_one(choice: ToolChoice) -> bool:
    return choice.mode == "required" and len(choice.names) == 1


def _chosen(choice: ToolChoice, tools: Sequence[Tool], quirks: Quirks, losses: Losses) -> str | Wire:
    if choice.server_tool == "mcp":
        label, *only = choice.names
        return {"type": "mcp", "server_label": label} | ({"name": only[0]} if only else {})
    if choice.server_tool:
        return {"type": choice.server_tool}
    if choice.mode == "validated":
        losses.approximate("tool_choice.mode")
    mode = "auto" if choice.mode == "validated" else choice.mode
    if not choice.names or mode == "none":
        return mode
    known: dict[str, Tool] = {}
    for tool in tools:
        for name in _names_of(tool):
            known.setdefault(name, tool)
    named = [_named(name, known.get(name), quirks, losses) for name in choice.names]
    if _forces_one(choice):
        return named[0]
    return {"type": "allowed_tools", "mode": mode, "tools": named}


def _named(name: str, tool: Tool | None, quirks: Quirks, losses: Losses) -> Wire:
    match tool:
        case FunctionTool():
            return {"type": "function", "name": losses.tool_name(tool.name)}
        case CustomTool() if quirks.no_custom_tools:
            return {"type": "function", "name": losses.tool_name(spoken(tool.name, tool.namespace))}
        case CustomTool():
            return {"type": "custom", "name": losses.tool_name(tool.name)}
        case Mcp():
            return {"type": "mcp", "server_label": tool.label}
        case None:
            raise Untranslatable("tool_choice", f"there is no tool with the name {name!r}")
        case _:
            return {"type": name}


def _names_of(tool: Tool) -> tuple[str, ...]:
    """All that a choice may call it."""
    match tool:
        case FunctionTool() | CustomTool():
            return tool.name, spoken(tool.name, tool.namespace)
        case Mcp():
            return (tool.label,)
        case WebSearch():
            return tool.wire_type, _WEB_SEARCH
        case FileSearch():
            return ("file_search",)
        case _:
            return (tool.wire_type,)
