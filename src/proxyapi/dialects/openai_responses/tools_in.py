"""OpenAI Responses: declared tools of a client's request, and which of them the model has to call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects.fields import within
from proxyapi.dialects.model import (
    ABSENT,
    Computer,
    CustomTool,
    FileSearch,
    FunctionTool,
    Location,
    Mcp,
    NativeTool,
    ServerToolKind,
    Tool,
    ToolChoice,
    WebSearch,
    given,
)
from proxyapi.errors import InvalidRequest

_KINDS: tuple[tuple[str, ServerToolKind], ...] = (
    ("code_interpreter", "code_execution"),
    ("image_generation", "image_generation"),
    ("local_shell", "local_shell"),
    ("shell", "shell"),
    ("apply_patch", "apply_patch"),
    ("tool_search", "tool_search"),
    ("programmatic_tool_calling", "programmatic"),
    ("openrouter:web_search", "web_search"),
    ("openrouter:advisor", "advisor"),
    ("x_search", "web_search"),
)
_SIZES: Mapping[str | None, Literal["low", "medium", "high"]] = {"low": "low", "medium": "medium", "high": "high"}


class _Function(Struct, rename={"asynchronous": "async"}):
    name: str
    description: str | None = None
    parameters: Raw = ABSENT
    strict: bool | None = None
    output_schema: Raw = ABSENT
    defer_loading: bool | None = None
    asynchronous: bool | None = None
    allowed_callers: tuple[str, ...] | None = None


class _Format(Struct):
    syntax: str | None = None
    definition: str | None = None


class _Custom(Struct):
    name: str
    description: str | None = None
    format: _Format | None = None


class _Namespace(Struct):
    name: str
    description: str | None = None
    tools: list[Raw] | None = None


class _Place(Struct):
    city: str | None = None
    region: str | None = None
    country: str | None = None
    timezone: str | None = None


class _Filters(Struct):
    allowed_domains: tuple[str, ...] | None = None


class _Search(Struct):
    """Of the web."""

    filters: _Filters | None = None
    search_context_size: str | None = None
    external_web_access: bool | None = None
    user_location: _Place | None = None


class _Files(Struct):
    vector_store_ids: tuple[str, ...] = ()
    max_num_results: int | None = None


class _McpTools(Struct):
    tool_names: tuple[str, ...] | None = None


class _Mcp(Struct):
    server_label: str
    server_url: str | None = None
    authorization: str | None = None
    headers: dict[str, str] | None = None
    allowed_tools: tuple[str, ...] | _McpTools | None = None
    require_approval: Raw = ABSENT


class _Computer(Struct):
    display_width: int | None = None
    display_height: int | None = None
    environment: str | None = None


class _Head(Struct):
    type: str


class _Choice(Struct):
    type: str
    name: str | None = None
    mode: str | None = None
    server_label: str | None = None
    tools: list[_Choice] | None = None


_HEAD = msgspec.json.Decoder(_Head)
_FUNCTION = msgspec.json.Decoder(_Function)
_CUSTOM = msgspec.json.Decoder(_Custom)
_NAMESPACE = msgspec.json.Decoder(_Namespace)
_SEARCH = msgspec.json.Decoder(_Search)
_FILES = msgspec.json.Decoder(_Files)
_MCP = msgspec.json.Decoder(_Mcp)
_COMPUTER = msgspec.json.Decoder(_Computer)
_CHOICE = msgspec.json.Decoder(str | _Choice | None)
_APPROVALS: dict[bytes, Literal["always", "never"]] = {b'"never"': "never"}


def read_tools(tools: Iterable[Raw], place: str) -> tuple[Tool, ...]:
    """In the order given. InvalidRequest names the field."""
    return tuple(tool for n, raw in enumerate(tools) for tool in _read(raw, f"{place}[{n}]"))


def declared(tools: Sequence[Tool], found: Iterable[Tool]) -> tuple[Tool, ...]:
    """The tools, and those of `found` that are not among them."""
    known = {_identity(tool) for tool in tools}
    more: dict[tuple[str, str], Tool] = {}
    for tool in found:
        if isinstance(tool, FunctionTool | CustomTool) and _identity(tool) not in known:
            more.setdefault(_identity(tool), tool)
    return (*tools, *more.values())


def _identity(tool: Tool) -> tuple[str, str]:
    return (tool.namespace, tool.name) if isinstance(tool, FunctionTool | CustomTool) else ("", "")


def _read(raw: Raw, here: str) -> Sequence[Tool]:
    kind = within(_HEAD, raw, here).type
    read = _READ.get(kind)
    if read is not None:
        return read(kind, raw, here)
    if kind.startswith("web_search"):
        return _web_search(kind, raw, here)
    if kind.startswith("computer"):
        return _computer(kind, raw, here)
    known = next((canonical for prefix, canonical in _KINDS if kind.startswith(prefix)), None)
    return (NativeTool(kind=known or "unknown", dialect="openai_responses", wire_type=kind, body=raw),)


def _function(kind: str, raw: Raw, here: str, namespace: str = "", about: str = "") -> Sequence[Tool]:
    wire = within(_FUNCTION, raw, here)
    return (
        FunctionTool(
            name=wire.name,
            description=wire.description or "",
            parameters=wire.parameters,
            strict=wire.strict,
            result=wire.output_schema,
            namespace=namespace,
            namespace_description=about,
            defer_loading=wire.defer_loading,
            asynchronous=wire.asynchronous,
            allowed_callers=wire.allowed_callers or (),
        ),
    )


def _custom(kind: str, raw: Raw, here: str, namespace: str = "", about: str = "") -> Sequence[Tool]:
    wire = within(_CUSTOM, raw, here)
    form = wire.format or _Format()
    syntax: Literal["text", "lark", "regex"] = "text"
    match form.syntax:
        case "lark" | "regex":
            syntax = form.syntax
        case None:
            pass
        case _:
            param = f"{here}.format.syntax"
            raise InvalidRequest(f"Invalid value for {param}: {form.syntax!r} is no known grammar", param=param)
    return (
        CustomTool(
            name=wire.name,
            description=wire.description or "",
            syntax=syntax,
            grammar=form.definition or "",
            namespace=namespace,
            namespace_description=about,
        ),
    )


def _namespace(kind: str, raw: Raw, here: str) -> Sequence[Tool]:
    wire = within(_NAMESPACE, raw, here)
    found: list[Tool] = []
    for number, inner in enumerate(wire.tools or ()):
        place = f"{here}.tools[{number}]"
        read = _custom if within(_HEAD, inner, place).type == "custom" else _function
        found += read("", inner, place, wire.name, wire.description or "")
    return found


def _web_search(kind: str, raw: Raw, here: str) -> Sequence[Tool]:
    wire = within(_SEARCH, raw, here)
    where = wire.user_location
    return (
        WebSearch(
            wire_type=kind,
            allowed_domains=(wire.filters.allowed_domains if wire.filters else None) or (),
            context_size=_SIZES.get(wire.search_context_size),
            live=wire.external_web_access,
            location=_location(where) if where else None,
            native=raw,
        ),
    )


def _location(wire: _Place) -> Location:
    return Location(wire.city or "", wire.region or "", wire.country or "", wire.timezone or "")


def _file_search(kind: str, raw: Raw, here: str) -> Sequence[Tool]:
    wire = within(_FILES, raw, here)
    return (FileSearch(stores=wire.vector_store_ids, results_max=wire.max_num_results, native=raw),)


def _mcp(kind: str, raw: Raw, here: str) -> Sequence[Tool]:
    """Who does not say `never` is asked for approval, of some tools at least."""
    wire = within(_MCP, raw, here)
    allowed = wire.allowed_tools
    return (
        Mcp(
            label=wire.server_label,
            url=wire.server_url or "",
            authorization=wire.authorization or "",
            headers=wire.headers or {},
            allowed_tools=allowed.tool_names if isinstance(allowed, _McpTools) else allowed,
            approval=_APPROVALS.get(bytes(wire.require_approval), "always"),
            native=raw,
        ),
    )


def _computer(kind: str, raw: Raw, here: str) -> Sequence[Tool]:
    wire = within(_COMPUTER, raw, here)
    return (
        Computer(
            wire_type=kind,
            width=wire.display_width,
            height=wire.display_height,
            environment=wire.environment or "",
            native=raw,
        ),
    )


_READ: dict[str, Callable[[str, Raw, str], Sequence[Tool]]] = {
    "function": _function,
    "custom": _custom,
    "namespace": _namespace,
    "file_search": _file_search,
    "mcp": _mcp,
}


# --- tool choice --------------------------------------------------------------------------------------------------


def read_choice(raw: Raw, parallel: bool | None) -> ToolChoice | None:
    wire = within(_CHOICE, raw, "tool_choice") if given(raw) else None
    if wire is None:
        return None if parallel is None else ToolChoice(parallel=parallel)
    match wire:
        case "auto" | "none" | "required":
            return ToolChoice(mode=wire, parallel=parallel)
        case _Choice("function" | "custom", str(name)):
            return ToolChoice(mode="required", names=(name,), parallel=parallel)
        case _Choice("allowed_tools", mode="auto" | "required" as mode):
            names = tuple(_chosen(tool) for tool in wire.tools or ())
            return ToolChoice(mode=mode, names=names, parallel=parallel)
        case _Choice("mcp", name, server_label=str(label)):
            return ToolChoice(
                mode="required", names=(label, name) if name else (label,), server_tool="mcp", parallel=parallel
            )
        case _Choice("shell" | "local_shell" | "apply_patch" as name):
            # Calls that the client runs: elsewhere they are functions of that name.
            return ToolChoice(mode="required", names=(name,), parallel=parallel)
        case _Choice(kind) if kind not in ("function", "custom", "allowed_tools", "mcp"):
            return ToolChoice(mode="required", server_tool=kind, parallel=parallel)
        case _:
            raise InvalidRequest("Invalid value for tool_choice: it names no tool", param="tool_choice")


def _chosen(tool: _Choice) -> str:
    return tool.name or tool.server_label or tool.type
