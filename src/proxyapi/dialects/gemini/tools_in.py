"""Gemini: the tools that a client declares, and its choice among them, to canonical ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects.fields import whole, within
from proxyapi.dialects.gemini.schema import from_gemini
from proxyapi.dialects.model import (
    ABSENT,
    Computer,
    FileSearch,
    FunctionTool,
    Mcp,
    NativeTool,
    ServerToolKind,
    Tool,
    ToolChoice,
    WebSearch,
    given,
)
from proxyapi.errors import InvalidRequest

_BEHAVIORS = {"NON_BLOCKING": True, "BLOCKING": False}
_MODES: dict[str, Literal["auto", "none", "required", "validated"]] = {
    "AUTO": "auto",
    "NONE": "none",
    "ANY": "required",
    "VALIDATED": "validated",
}
_BEARER = "Bearer "


class _Declaration(Struct, rename="camel"):
    name: str | None = None
    description: str | None = None
    parameters: Raw = ABSENT
    parameters_json_schema: Raw = ABSENT
    response: Raw = ABSENT
    response_json_schema: Raw = ABSENT
    behavior: str | None = None


class _Search(Struct, rename="camel"):
    exclude_domains: tuple[str, ...] | None = None


class _Files(Struct, rename="camel"):
    file_search_store_names: tuple[str, ...] | None = None
    top_k: int | float | str | None = None


class _Transport(Struct):
    url: str | None = None
    headers: dict[str, str] | None = None


class _Server(Struct, rename="camel"):
    name: str | None = None
    streamable_http_transport: _Transport | None = None


class _ComputerUse(Struct):
    environment: str | None = None


class _FunctionCalling(Struct, rename="camel"):
    mode: str | None = None
    allowed_function_names: tuple[str, ...] | None = None


class _ToolConfig(Struct, rename="camel"):
    function_calling_config: _FunctionCalling | None = None


_DECLARATIONS = msgspec.json.Decoder(list[_Declaration] | _Declaration)
_SEARCH = msgspec.json.Decoder(_Search)
_FILES = msgspec.json.Decoder(_Files)
_SERVERS: msgspec.json.Decoder[list[Raw]] = msgspec.json.Decoder(list[Raw])
_SERVER = msgspec.json.Decoder(_Server)
_COMPUTER = msgspec.json.Decoder(_ComputerUse)
_CONFIG = msgspec.json.Decoder(_ToolConfig)
_CONFIG_MEMBERS = msgspec.json.Decoder(dict[str, Raw])


def tools(wire: list[dict[str, Raw]] | dict[str, Raw] | None) -> Iterator[Tool]:
    """Every tool, in the order given. InvalidRequest names the place."""
    for place, members in enumerate([wire] if isinstance(wire, dict) else wire or ()):
        for field, raw in members.items():
            if given(raw):
                yield from _READ.get(field, _unknown)(field, raw, f"tools[{place}].{field}")


def _functions(field: str, raw: Raw, place: str) -> Iterator[Tool]:
    declared = within(_DECLARATIONS, raw, place)
    for number, function in enumerate([declared] if isinstance(declared, _Declaration) else declared):
        if not function.name:
            param = f"{place}[{number}].name"
            raise InvalidRequest(f"Missing required field: {param}", param=param)
        yield FunctionTool(
            name=function.name,
            description=function.description or "",
            parameters=_schema(function.parameters_json_schema, function.parameters),
            result=_schema(function.response_json_schema, function.response),
            asynchronous=_BEHAVIORS.get((function.behavior or "").upper()),
        )


def _schema(json_schema: Raw, schema: Raw) -> Raw:
    if given(json_schema):
        return json_schema
    return from_gemini(schema) if given(schema) else ABSENT


def _search(field: str, raw: Raw, place: str) -> Iterator[Tool]:
    excluded = within(_SEARCH, raw, place).exclude_domains
    yield WebSearch(wire_type=field, blocked_domains=excluded or (), native=raw)


def _file_search(field: str, raw: Raw, place: str) -> Iterator[Tool]:
    wire = within(_FILES, raw, place)
    results_max = whole(f"{place}.topK", wire.top_k)
    yield FileSearch(stores=wire.file_search_store_names or (), results_max=results_max, native=raw)


def _mcp(field: str, raw: Raw, place: str) -> Iterator[Tool]:
    servers: list[Raw] = within(_SERVERS, raw, place)
    for number, server in enumerate(servers):
        wire = within(_SERVER, server, f"{place}[{number}]")
        transport = wire.streamable_http_transport or _Transport()
        headers = dict(transport.headers or {})
        name = next((name for name, value in headers.items() if _is_bearer(name, value)), "")
        yield Mcp(
            label=wire.name or "",
            url=transport.url or "",
            authorization=headers.pop(name)[len(_BEARER) :] if name else "",
            headers=headers,
            native=server,
        )


def _is_bearer(name: str, value: str) -> bool:
    return name.lower() == "authorization" and value.startswith(_BEARER)


def _computer(field: str, raw: Raw, place: str) -> Iterator[Tool]:
    yield Computer(wire_type=field, environment=within(_COMPUTER, raw, place).environment or "", native=raw)


def _hosted(kind: ServerToolKind) -> Callable[[str, Raw, str], Iterator[Tool]]:
    def read(field: str, raw: Raw, place: str) -> Iterator[Tool]:
        yield NativeTool(kind=kind, dialect="gemini", wire_type=field, body=raw)

    return read


def _unknown(field: str, raw: Raw, place: str) -> Iterator[Tool]:
    yield NativeTool(kind="unknown", dialect="gemini", wire_type=field, body=raw)


_READ: dict[str, Callable[[str, Raw, str], Iterator[Tool]]] = {
    "functionDeclarations": _functions,
    "googleSearch": _search,
    "googleSearchRetrieval": _search,
    "enterpriseWebSearch": _search,
    "fileSearch": _file_search,
    "mcpServers": _mcp,
    "computerUse": _computer,
    "urlContext": _hosted("web_fetch"),
    "codeExecution": _hosted("code_execution"),
    "googleMaps": _hosted("maps"),
}


def tool_choice(raw: Raw) -> ToolChoice | None:
    """`toolConfig.functionCallingConfig`."""
    wire = within(_CONFIG, raw, "toolConfig").function_calling_config if given(raw) else None
    if wire is None or (not wire.mode and not wire.allowed_function_names):
        return None
    mode = _MODES.get((wire.mode or "AUTO").upper().removeprefix("MODE_"))
    if mode is None and (wire.mode or "").upper() != "MODE_UNSPECIFIED":
        param = "toolConfig.functionCallingConfig.mode"
        raise InvalidRequest(f"Invalid value for {param}: {wire.mode!r}", param=param)
    return ToolChoice(mode=mode or "auto", names=wire.allowed_function_names or ())


def tool_config_extras(raw: Raw) -> dict[str, Raw]:
    """Members of `toolConfig` that only this dialect knows, by their path."""
    members = _CONFIG_MEMBERS.decode(raw) if given(raw) else {}
    return {f"toolConfig.{name}": value for name, value in members.items() if name != "functionCallingConfig"}
