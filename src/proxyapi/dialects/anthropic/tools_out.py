"""Anthropic Messages: canonical tools, and which of them the model has to call, for a provider."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects import schema
from proxyapi.dialects.anthropic.draft import Draft
from proxyapi.dialects.anthropic.marks import write_mark
from proxyapi.dialects.anthropic.thinking_out import Plan
from proxyapi.dialects.codec import Untranslatable
from proxyapi.dialects.functions import as_function, is_hosted_search, spoken
from proxyapi.dialects.model import (
    Computer,
    CustomTool,
    FileSearch,
    FunctionTool,
    Mcp,
    NativeTool,
    Request,
    Tool,
    ToolChoice,
    WebSearch,
    given,
)
from proxyapi.dialects.quirks import Quirks
from proxyapi.dialects.stream import lenient

_WEB_SEARCH = "web_search_20250305"
_WEB_FETCH = "web_fetch_20250910"
_CODE_EXECUTION = "code_execution_20250825"
"""Versions that every model takes: later ones want later models."""
_OWN_WEB_SEARCH = re.compile(r"web_search_20\d{6}")
_BETAS: tuple[tuple[str, str], ...] = (
    # By the beginning of the wire type, as the types of the vendor's SDK 2.12 have it: what is not here is no beta.
    ("computer_20250124", "computer-use-2025-01-24"),
    ("computer_20251124", "computer-use-2025-11-24"),
    ("advisor_", "advisor-tool-2026-03-01"),
)
_MCP_BETA = "mcp-client-2025-11-20"
_FIELD = "tools"


class Written(NamedTuple):
    tools: list[dict[str, Any] | Raw]
    servers: list[dict[str, Any]]
    """`mcp_servers`."""


class _Head(Struct):
    type: str = ""
    name: str = ""


class _Container(Struct):
    type: str = ""
    file_ids: list[str] | None = None


class _Body(Struct):
    """What keeps a hosted tool of another dialect from being told in this one."""

    container: str | _Container | None = None


_HEAD = msgspec.json.Decoder(_Head)
_BODY = msgspec.json.Decoder(_Body)


def write_tools(tools: tuple[Tool, ...], request: Request, quirks: Quirks, draft: Draft) -> Written:
    """Untranslatable names a tool that the dialect lacks."""
    writer = _Writer(tools, request, quirks, draft)
    for tool in tools:
        _WRITE[type(tool)](writer, tool)
    if request.server_tool_calls_max is not None and not any(isinstance(tool, WebSearch) for tool in tools):
        draft.drop("server_tool_calls_max")
    return Written(writer.tools, writer.servers)


def name_of(tool: Tool) -> str:
    """As the model calls it, before it is made legal."""
    match tool:
        case FunctionTool() | CustomTool():
            return spoken(tool.name, tool.namespace)
        case WebSearch():
            return "web_search"
        case Computer():
            return _head(tool.native).name
        case NativeTool():
            return _head(tool.body).name
        case _:
            return ""


class _Writer:
    def __init__(self, tools: tuple[Tool, ...], request: Request, quirks: Quirks, draft: Draft) -> None:
        self.tools: list[dict[str, Any] | Raw] = []
        self.servers: list[dict[str, Any]] = []
        self._quirks = quirks
        self._draft = draft
        self._uses_max = request.server_tool_calls_max
        self._finds = not any(isinstance(tool, NativeTool) and _is_foreign_search(tool) for tool in tools)
        """Deferred tools stay so: the model has a way to find them."""

    def function(self, tool: FunctionTool | CustomTool) -> None:
        function = as_function(tool)
        assert function is not None, "functions and free-text tools have one"
        if isinstance(tool, CustomTool):
            self._draft.approximate("tools.custom")
        for name in ("result", "asynchronous"):
            value = getattr(function, name)
            if given(value) if isinstance(value, Raw) else value:
                self._draft.drop(f"tools.{name}")
        parameters = schema.object_root(function.parameters)
        strict = function.strict
        if strict and (self._quirks.no_strict or schema.recursive(parameters)):
            self._draft.drop("tools.strict")
            strict = None
        wire: dict[str, Any] = {"name": self._draft.tool_name(function.name)}
        if function.description:
            wire["description"] = function.description
        wire["input_schema"] = schema.closed(parameters) if strict else parameters
        deferred = function.defer_loading if self._finds else None
        options = {
            "strict": None if self._quirks.no_strict else strict,
            "defer_loading": deferred,
            "allowed_callers": function.allowed_callers or None,
            "input_examples": function.examples or None,
            "eager_input_streaming": function.stream_arguments_eagerly,
            "cache_control": function.cache and write_mark(function.cache),
        }
        self.tools.append(wire | {name: value for name, value in options.items() if value is not None})

    def web_search(self, tool: WebSearch) -> None:
        if given(tool.native) and _OWN_WEB_SEARCH.fullmatch(tool.wire_type):
            self.tools.append(tool.native)
            return
        if tool.context_size is not None:
            self._draft.drop("tools.context_size")
        if tool.live is False:
            self._draft.approximate("tools.web_search.live")
        limits = [limit for limit in (tool.uses_max, self._uses_max) if limit is not None]
        where = tool.location
        options: dict[str, Any] = {
            "max_uses": min(limits) if limits else None,
            "allowed_domains": tool.allowed_domains or None,
            "blocked_domains": tool.blocked_domains or None,
            "user_location": where and {"type": "approximate"} | _given_fields(where),
        }
        wire: dict[str, Any] = {"type": _WEB_SEARCH, "name": "web_search"}
        self.tools.append(wire | {name: value for name, value in options.items() if value})

    def mcp(self, tool: Mcp) -> None:
        if tool.headers or not tool.url:
            raise Untranslatable(
                _FIELD, f"the MCP server {tool.label!r} is not reached by an address and a token alone"
            )
        if tool.approval == "always":
            raise Untranslatable(_FIELD, f"the MCP server {tool.label!r} wants approvals, which Messages has not")
        server = {"type": "url", "name": tool.label, "url": tool.url}
        if tool.authorization:
            server["authorization_token"] = tool.authorization
        self.servers.append(server)
        self._draft.beta(_MCP_BETA)
        if _head(tool.native).type == "mcp_toolset":
            self.tools.append(tool.native)
            return
        toolset: dict[str, Any] = {"type": "mcp_toolset", "mcp_server_name": tool.label}
        if tool.allowed_tools is not None:
            toolset["default_config"] = {"enabled": False}
            toolset["configs"] = {name: {"enabled": True} for name in tool.allowed_tools}
        self.tools.append(toolset)

    def computer(self, tool: Computer) -> None:
        if not _head(tool.native).type.startswith("computer_20"):
            raise Untranslatable(_FIELD, f"the tool {tool.wire_type or 'computer'} has other actions in Messages")
        self._own(tool.wire_type, tool.native)

    def native(self, tool: NativeTool) -> None:
        if tool.dialect == "anthropic":
            self._own(tool.wire_type, tool.body)
        elif tool.kind == "tool_search":
            self._draft.approximate("tools.tool_search")
            # The provider's own is needless: all tools are shown from the beginning then.
            if (function := as_function(tool)) is not None:
                self.function(function)
        elif tool.kind == "web_fetch":
            self._draft.approximate("tools.web_fetch")
            self.tools.append({"type": _WEB_FETCH, "name": "web_fetch"})
        elif tool.kind == "code_execution" and _is_blank(tool.body):
            self._draft.approximate("tools.code_execution")
            self.tools.append({"type": _CODE_EXECUTION, "name": "code_execution"})
        else:
            raise Untranslatable(_FIELD, f"Anthropic Messages has no tool {tool.wire_type or tool.kind!r}")

    def file_search(self, tool: FileSearch) -> None:
        raise Untranslatable(_FIELD, "Anthropic Messages has no file search")

    def _own(self, wire_type: str, body: Raw) -> None:
        self.tools.append(body)
        for prefix, beta in _BETAS:
            if wire_type.startswith(prefix):
                self._draft.beta(beta)


_WRITE: dict[type, Callable[[_Writer, Any], None]] = {
    FunctionTool: _Writer.function,
    CustomTool: _Writer.function,
    WebSearch: _Writer.web_search,
    FileSearch: _Writer.file_search,
    Mcp: _Writer.mcp,
    Computer: _Writer.computer,
    NativeTool: _Writer.native,
}


def _is_foreign_search(tool: NativeTool) -> bool:
    return is_hosted_search(tool) and tool.dialect != "anthropic"


def _is_blank(body: Raw) -> bool:
    """Code runs in a container of its own, without files: any provider can do that."""
    container = (lenient(_BODY, body) or _Body()).container
    return container is None or (isinstance(container, _Container) and not container.file_ids)


def _head(raw: Raw) -> _Head:
    return (lenient(_HEAD, raw) if given(raw) else None) or _Head()


def _given_fields(value: Struct) -> dict[str, Any]:
    return {name: text for name, text in msgspec.structs.asdict(value).items() if text}


# --- tool choice --------------------------------------------------------------------------------------------------


class Choice(NamedTuple):
    tools: tuple[Tool, ...]
    """Those that the model may know of."""
    wire: dict[str, Any] | None
    """`tool_choice`; None: the provider's default."""
    thinks: bool = True
    """False: the model may only be forced if it does not think."""


def choose(request: Request, tools: tuple[Tool, ...], quirks: Quirks, planned: Plan, draft: Draft) -> Choice:
    """Untranslatable: a call is forced where the model can't be, or without any tool."""
    choice = request.tool_choice
    if not tools:
        if choice is not None and choice.mode not in ("auto", "none"):
            raise Untranslatable("tool_choice", "there are no tools to call")
        return Choice(tools, None)
    if choice is None:
        return Choice(tools, None)
    if choice.server_tool:
        choice = _hosted(choice, tools)
    if choice.mode == "validated":
        draft.approximate("tool_choice")
    parallel = {} if choice.parallel is None else {"disable_parallel_tool_use": not choice.parallel}
    if choice.mode == "none":
        return Choice(tools, {"type": "none"})
    if choice.names and (choice.mode != "required" or len(choice.names) > 1):
        # Messages has no subset: the tools themselves are fewer then, which costs the cached prefix.
        draft.approximate("tool_choice")
        wanted = frozenset(choice.names)
        tools = tuple(tool for tool in tools if name_of(tool) in wanted)
    if choice.mode != "required":
        return Choice(tools, {"type": "auto"} | parallel)
    name = choice.names[0] if len(choice.names) == 1 else ""
    forced = {"type": "tool", "name": draft.tool_name(name)} if name else {"type": "any"}
    return _forced(Choice(tools, forced | parallel), name, parallel, quirks, planned, draft)


def _forced(wanted: Choice, name: str, parallel: dict[str, Any], quirks: Quirks, planned: Plan, draft: Draft) -> Choice:
    if planned.has_budget:
        raise Untranslatable("tool_choice", "a model that thinks by a budget can't be forced to call a tool")
    if not quirks.no_forced_tool:
        return wanted
    if planned.on:
        raise Untranslatable("tool_choice", "this model can't think and be forced to call a tool")
    draft.approximate("tool_choice")
    if quirks.thinking_form == "adaptive" and quirks.thinking_can_be_off:
        return wanted._replace(thinks=False)
    draft.sentences.append(f"Call the tool {draft.tool_name(name)} now." if name else "Call one of the tools now.")
    tools = tuple(tool for tool in wanted.tools if name_of(tool) == name) if name else wanted.tools
    return Choice(tools, {"type": "auto"} | parallel)


def _hosted(choice: ToolChoice, tools: tuple[Tool, ...]) -> ToolChoice:
    """A hosted tool by its type in Responses."""
    kind = next((name_of(tool) for tool in tools if choice.server_tool.startswith(name_of(tool) or "-")), "")
    if kind != "web_search":
        raise Untranslatable("tool_choice", f"the tool {choice.server_tool} can't be forced")
    return ToolChoice(mode="required", names=(kind,), parallel=choice.parallel)
