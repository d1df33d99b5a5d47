"""Gemini: canonical tools and the choice among them as `tools` and `toolConfig`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects.codec import Untranslatable
from proxyapi.dialects.functions import as_function, is_hosted_search
from proxyapi.dialects.gemini.schema import arguments_for_gemini, for_gemini
from proxyapi.dialects.losses import Losses
from proxyapi.dialects.model import (
    Computer,
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
from proxyapi.dialects.schema import enumerates_numbers
from proxyapi.dialects.stream import lenient

_SEARCHES = ("googleSearch", "googleSearchRetrieval", "enterpriseWebSearch")
_HOSTED = {"web_fetch": "urlContext", "code_execution": "codeExecution"}
"""Tools of other vendors that run here too, by their kind."""
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "validated": "VALIDATED"}

NAMESPACES_MAX = 16
"""Levels of namespaces that a choice may leave out."""

Wire = dict[str, Any]


class _Container(Struct):
    file_ids: list[str] | None = None


class _Settings(Struct):
    container: _Container | str | None = None


class _Typed(Struct):
    """Other dialects name the type of a tool inside its object."""

    type: str = ""


_SETTINGS = msgspec.json.Decoder(_Settings)
_TYPED = msgspec.json.Decoder(_Typed)


class ToolWriter:
    """Of one request."""

    def __init__(self, quirks: Quirks, losses: Losses) -> None:
        self._quirks = quirks
        self._losses = losses
        self._functions: dict[str, FunctionTool] = {}
        """By their wire names."""
        self._hosted: list[Wire] = []
        self.rewritten: dict[str, Raw] = {}
        """By wire name: schemas whose numbers were told as texts."""

    def write(self, tools: Sequence[Tool], request: Request, *, tells_invocations: bool) -> Wire:
        """`tools` and `toolConfig`, without what is empty. `tells_invocations`: the history tells of hosted tools."""
        for tool in tools:
            self._add(tool)
        choice = request.tool_choice
        config = self._choice(choice) if choice is not None else {}
        if self._functions and self._hosted and self._quirks.no_mixed_tools:
            named = ", ".join(field for wire in self._hosted for field in wire)
            raise Untranslatable("tools", f"this model takes functions or {named}, not both")
        declared = [self._declaration(name, function) for name, function in self._functions.items()]
        wire: Wire = {}
        if declared or self._hosted:
            wire["tools"] = [*([{"functionDeclarations": declared}] if declared else ()), *self._hosted]
        if not config and self._is_strict():
            config = {"mode": "VALIDATED"}
        elif not self._is_strict() and any(function.strict for function in self._functions.values()):
            # The others could not be left unbound.
            self._losses.drop("tools.strict")
        settings: Wire = {"functionCallingConfig": config} if config else {}
        if tells_invocations or (declared and self._hosted):
            settings["includeServerSideToolInvocations"] = True
        return wire | ({"toolConfig": settings} if settings else {})

    # --- functions -----------------------------------------------------------------------------------------------

    def _add(self, tool: Tool) -> None:
        match tool:
            case WebSearch():
                self._hosted.append(self._search(tool))
            case FileSearch():
                self._hosted.append({self._own("fileSearch", tool.native, "file_search"): tool.native})
            case Mcp():
                self._hosted.append({"mcpServers": [self._server(tool)]})
            case Computer():
                field = tool.wire_type if tool.wire_type == "computerUse" else ""
                self._hosted.append({self._own(field, tool.native, "computer"): tool.native})
            case NativeTool(dialect="gemini"):
                self._hosted.append({tool.wire_type: tool.body})
            case NativeTool() if is_hosted_search(tool):
                # All tools are declared openly, so there is nothing to be found.
                self._losses.approximate("tools.tool_search")
            case NativeTool() if tool.kind in _HOSTED:
                self._hosted.append({_HOSTED[tool.kind]: self._without_files(tool)})
            case _:
                self._function(tool)

    def _function(self, tool: Tool) -> None:
        function = as_function(tool)
        if function is None:
            kind = tool.kind if isinstance(tool, NativeTool) and tool.kind != "unknown" else ""
            named = tool.wire_type if isinstance(tool, NativeTool) else ""
            raise Untranslatable(f"tools.{kind or named}", f"Gemini has no tool like {named}")
        if function is not tool and not isinstance(tool, FunctionTool):
            self._losses.approximate(f"tools.{function.name}")
        for field, said in (
            ("cache", function.cache is not None),
            ("examples", function.examples),
            ("allowed_callers", function.allowed_callers),
            ("defer_loading", function.defer_loading),
            ("stream_arguments_eagerly", function.stream_arguments_eagerly),
        ):
            if said:
                self._losses.drop(f"tools.{field}")
        self._functions[self._losses.tool_name(function.name)] = function

    def _declaration(self, name: str, function: FunctionTool) -> Wire:
        openapi = self._quirks.openapi_schema
        wire: Wire = {"name": name}
        if function.description:
            wire["description"] = function.description
        if given(function.parameters):
            schema = arguments_for_gemini(function.parameters, openapi=openapi)
            if schema is not None:
                wire["parameters" if openapi else "parametersJsonSchema"] = schema
            if schema not in (None, function.parameters) and enumerates_numbers(function.parameters):
                self.rewritten[name] = function.parameters
        if given(function.result):
            wire["response" if openapi else "responseJsonSchema"] = for_gemini(function.result, openapi=openapi)
        if function.asynchronous is not None:
            wire["behavior"] = "NON_BLOCKING" if function.asynchronous else "BLOCKING"
        return wire

    def _is_strict(self) -> bool:
        """All arguments are bound to their schemas: here that is said for all functions at once."""
        strict = [function.strict for function in self._functions.values()]
        return bool(strict) and all(strict) and not self._quirks.no_strict

    # --- hosted tools --------------------------------------------------------------------------------------------

    @staticmethod
    def _own(field: str, native: Raw, kind: str) -> str:
        if not field or not given(native) or (lenient(_TYPED, native) or _Typed()).type:
            raise Untranslatable(f"tools.{kind}", "it exists at its own provider only")
        return field

    def _search(self, tool: WebSearch) -> Wire:
        if tool.wire_type in _SEARCHES and given(tool.native):
            return {tool.wire_type: tool.native}
        if tool.allowed_domains:
            raise Untranslatable("tools.web_search.allowed_domains", "Gemini can exclude domains only")
        for field in ("uses_max", "context_size", "location"):
            if getattr(tool, field) is not None:
                self._losses.drop(f"tools.web_search.{field}")
        if tool.live is False:
            self._losses.approximate("tools.web_search.live")
        return {"googleSearch": {"excludeDomains": list(tool.blocked_domains)} if tool.blocked_domains else {}}

    def _server(self, tool: Mcp) -> Any:
        if given(tool.native) and not (lenient(_TYPED, tool.native) or _Typed()).type:
            return tool.native
        if not tool.url:
            raise Untranslatable("tools.mcp", f"the connector {tool.label!r} exists at its own provider only")
        if tool.approval == "always":
            raise Untranslatable("tools.mcp.approval", "Gemini asks nobody before it calls a tool")
        if tool.allowed_tools is not None:
            raise Untranslatable("tools.mcp.allowed_tools", "Gemini may call every tool of a server")
        headers = dict(tool.headers)
        if tool.authorization:
            headers["Authorization"] = f"Bearer {tool.authorization}"
        transport: Wire = {"url": tool.url} | ({"headers": headers} if headers else {})
        return {"name": tool.label, "streamableHttpTransport": transport}

    def _without_files(self, tool: NativeTool) -> Wire:
        container = (lenient(_SETTINGS, tool.body) or _Settings()).container
        if isinstance(container, str) or (container is not None and container.file_ids):
            raise Untranslatable(f"tools.{tool.kind}", "its container and files exist at its own provider only")
        self._losses.approximate(f"tools.{tool.kind}")
        return {}

    # --- the choice ----------------------------------------------------------------------------------------------

    def _choice(self, choice: ToolChoice) -> Wire:
        """`functionCallingConfig`."""
        if choice.parallel is False:
            self._losses.drop("tool_choice.parallel")
        if choice.server_tool:
            raise Untranslatable("tool_choice", f"Gemini can't be made to call {choice.server_tool}")
        if not self._functions:
            if choice.mode == "required":
                raise Untranslatable("tool_choice", "there is no function to call")
            return {}
        names = self._declared(choice.names)
        if choice.mode == "auto" and (names or self._is_strict()):
            if names:
                self._losses.approximate("tool_choice")
                wanted = frozenset(names)
                self._functions = {name: function for name, function in self._functions.items() if name in wanted}
            return {"mode": "VALIDATED" if self._is_strict() else "AUTO"}
        return {"mode": _MODES[choice.mode]} | ({"allowedFunctionNames": names} if names else {})

    def _declared(self, names: Sequence[str]) -> list[str]:
        """The wire names of the functions that a choice names, with or without their namespaces."""
        known: dict[str, str] = {}
        for alias, function in self._functions.items() if names else ():
            for name in _short_names(function.name):
                known.setdefault(name, alias)
        for name in names:
            if name not in known:
                raise Untranslatable("tool_choice", f"no function of the name {name!r} is declared")
        return [known[name] for name in names]


def _short_names(name: str) -> Iterator[str]:
    """A name, and what is left of it without its namespaces."""
    yield name
    at = -1
    for _ in range(NAMESPACES_MAX):
        at = name.find("__", at + 1)
        if at < 0:
            return
        yield name[at + 2 :]
