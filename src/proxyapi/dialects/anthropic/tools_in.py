"""Anthropic Messages: declared tools of a client's request as canonical tools."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects.anthropic.marks import Cache, read_mark
from proxyapi.dialects.fields import whole, within
from proxyapi.dialects.model import (
    ABSENT,
    Computer,
    FunctionTool,
    Location,
    Mcp,
    NativeTool,
    ServerToolKind,
    Tool,
    WebSearch,
)
from proxyapi.errors import InvalidRequest

_KINDS: tuple[tuple[str, ServerToolKind], ...] = (
    # Types carry a date: bash_20250124.
    ("web_fetch_", "web_fetch"),
    ("code_execution_", "code_execution"),
    ("tool_search_tool_", "tool_search"),
    ("advisor_", "advisor"),
    ("bash_", "bash"),
    ("text_editor_", "text_editor"),
    ("memory_", "memory"),
    ("browser_", "browser"),
)


class _Place(Struct):
    city: str | None = None
    region: str | None = None
    country: str | None = None
    timezone: str | None = None


class _McpTool(Struct):
    enabled: bool | None = None


class _Tool(Struct):
    """The fields of all kinds of tools."""

    type: str | None = None
    name: str | None = None
    description: str | None = None
    input_schema: Raw = ABSENT
    strict: bool | None = None
    defer_loading: bool | None = None
    allowed_callers: tuple[str, ...] | None = None
    input_examples: tuple[Raw, ...] | None = None
    eager_input_streaming: bool | None = None
    cache_control: Cache | None = None
    allowed_domains: tuple[str, ...] | None = None
    blocked_domains: tuple[str, ...] | None = None
    max_uses: int | float | None = None
    user_location: _Place | None = None
    display_width_px: int | None = None
    display_height_px: int | None = None
    mcp_server_name: str | None = None
    configs: dict[str, _McpTool] | None = None
    default_config: _McpTool | None = None


class _McpConfiguration(Struct):
    enabled: bool | None = None
    allowed_tools: tuple[str, ...] | None = None


class _McpServer(Struct):
    name: str
    url: str | None = None
    authorization_token: str | None = None
    tool_configuration: _McpConfiguration | None = None


_TOOL = msgspec.json.Decoder(_Tool)
_SERVER = msgspec.json.Decoder(_McpServer)


def read_tools(tools: Sequence[Raw] | None, servers: Sequence[Raw] | None) -> tuple[Tool, ...]:
    """In the order given; MCP servers where their toolset stands, or at the end where none is listed."""
    known = {server.name: server for raw in servers or () for server in (within(_SERVER, raw, "mcp_servers[]"),)}
    found: list[Tool] = []
    for number, raw in enumerate(tools or ()):
        place = f"tools[{number}]"
        wire = within(_TOOL, raw, place)
        if wire.type == "mcp_toolset":
            label = wire.mcp_server_name or ""
            found.append(_toolset(wire, known.pop(label, _McpServer(label)), raw))
        else:
            found.append(_tool(wire, raw, place))
    return (*found, *(_server(server) for server in known.values() if _is_offered(server)))


def read_tool(raw: Raw, place: str) -> Tool:
    """One definition."""
    return _tool(within(_TOOL, raw, place), raw, place)


def _tool(wire: _Tool, raw: Raw, place: str) -> Tool:
    kind = wire.type or "custom"
    if kind == "custom":
        return _function(wire, place)
    if kind.startswith("web_search_"):
        return _web_search(wire, raw, place)
    if kind.startswith("computer_"):
        return Computer(wire_type=kind, width=wire.display_width_px, height=wire.display_height_px, native=raw)
    known = next((canonical for prefix, canonical in _KINDS if kind.startswith(prefix)), None)
    return NativeTool(kind=known or "unknown", dialect="anthropic", wire_type=kind, body=raw)


def _function(wire: _Tool, place: str) -> FunctionTool:
    if not wire.name:
        raise InvalidRequest(f"Missing required field: {place}.name", param=f"{place}.name")
    return FunctionTool(
        name=wire.name,
        description=wire.description or "",
        parameters=wire.input_schema,
        strict=wire.strict,
        defer_loading=wire.defer_loading,
        allowed_callers=wire.allowed_callers or (),
        examples=wire.input_examples or (),
        stream_arguments_eagerly=wire.eager_input_streaming,
        cache=read_mark(wire.cache_control),
    )


def _web_search(wire: _Tool, raw: Raw, place: str) -> WebSearch:
    return WebSearch(
        wire_type=wire.type or "",
        allowed_domains=wire.allowed_domains or (),
        blocked_domains=wire.blocked_domains or (),
        uses_max=whole(f"{place}.max_uses", wire.max_uses),
        location=_location(wire.user_location) if wire.user_location else None,
        native=raw,
    )


def _location(wire: _Place) -> Location:
    return Location(wire.city or "", wire.region or "", wire.country or "", wire.timezone or "")


def _toolset(wire: _Tool, server: _McpServer, raw: Raw) -> Mcp:
    configs = wire.configs or {}
    closed = wire.default_config is not None and wire.default_config.enabled is False
    allowed = tuple(name for name, config in configs.items() if config.enabled) if closed else None
    return Mcp(
        label=server.name,
        url=server.url or "",
        authorization=server.authorization_token or "",
        allowed_tools=allowed,
        native=raw,
    )


def _server(server: _McpServer) -> Mcp:
    """Of the first MCP beta: the server itself says which of its tools are offered."""
    configuration = server.tool_configuration
    return Mcp(
        label=server.name,
        url=server.url or "",
        authorization=server.authorization_token or "",
        allowed_tools=configuration.allowed_tools if configuration else None,
    )


def _is_offered(server: _McpServer) -> bool:
    return server.tool_configuration is None or server.tool_configuration.enabled is not False
