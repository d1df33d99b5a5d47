"""OpenAI Chat Completions: the tools that a client declares, and its choice among them, to canonical ones.

Hosted tools have no place in OpenAI's own Chat but for `web_search_options`; OpenRouter, Groq, xAI and others put
theirs into `tools`, `plugins` or a field of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects.fields import decode
from proxyapi.dialects.model import (
    ABSENT,
    CustomTool,
    FunctionTool,
    Location,
    NativeTool,
    Tool,
    ToolChoice,
    WebSearch,
)
from proxyapi.dialects.openai_chat.messages_in import Mark, mark_of
from proxyapi.errors import InvalidRequest

HostedKind = Literal["web_search", "web_fetch", "code_execution", "image_generation", "advisor"]
HOSTED: dict[str, HostedKind] = {
    "openrouter:web_search": "web_search",
    "web_search": "web_search",
    "browser_search": "web_search",
    "openrouter:web_fetch": "web_fetch",
    "code_interpreter": "code_execution",
    "openrouter:image_generation": "image_generation",
    "openrouter:advisor": "advisor",
}
"""Hosted tools by the type that OpenRouter, Groq and others name in `tools`."""
OWN_SEARCHES = frozenset({"openrouter:web_search", "browser_search"})
"""Types that no other dialect has."""


class WireFunction(Struct):
    name: str = ""
    description: str | None = None
    parameters: Raw = ABSENT
    strict: bool | None = None


class _Grammar(Struct):
    syntax: str | None = None
    definition: str | None = None


class _Format(Struct):
    type: str | None = None
    grammar: _Grammar | None = None
    syntax: str | None = None
    definition: str | None = None


class _Custom(Struct):
    name: str = ""
    description: str | None = None
    format: _Format | None = None


class _Searched(Struct):
    """Parameters of a hosted search."""

    allowed_domains: list[str] | None = None
    excluded_domains: list[str] | None = None
    search_context_size: str | None = None


class _Tool(Struct):
    """Nested as in Chat, or flat as in Responses, which is read too."""

    type: str = "function"
    function: WireFunction | None = None
    custom: _Custom | None = None
    name: str = ""
    description: str | None = None
    parameters: Raw = ABSENT
    strict: bool | None = None
    format: _Format | None = None
    cache_control: Mark | None = None
    eager_input_streaming: bool | None = None


class _Place(Struct):
    city: str | None = None
    region: str | None = None
    country: str | None = None
    timezone: str | None = None


class _UserLocation(_Place):
    approximate: _Place | None = None


class WebSearchOptions(Struct):
    search_context_size: str | None = None
    user_location: _UserLocation | None = None


class Plugin(Struct):
    """OpenRouter: https://openrouter.ai/docs/features/web-search"""

    id: str = ""
    enabled: bool | None = None


class _Source(Struct):
    allowed_websites: list[str] | None = None
    excluded_websites: list[str] | None = None


class SearchParameters(Struct):
    """xAI's live search."""

    mode: str | None = None
    sources: list[_Source] | None = None


class _Named(Struct):
    name: str = ""


class _Allowed(Struct):
    mode: str = "auto"
    tools: list[WireChoice] | None = None


class WireChoice(Struct):
    type: str = "function"
    name: str = ""
    function: _Named | None = None
    custom: _Named | None = None
    allowed_tools: _Allowed | None = None


_TOOL = msgspec.json.Decoder(_Tool)
_SEARCHED = msgspec.json.Decoder(_Searched)
_MODES: dict[str, Literal["auto", "none", "required"]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
    "any": "required",
}
_SIZES: dict[str | None, Literal["low", "medium", "high"]] = {"low": "low", "medium": "medium", "high": "high"}
_SYNTAXES: dict[str | None, Literal["text", "lark", "regex"]] = {"lark": "lark", "regex": "regex"}


# --- declared tools -----------------------------------------------------------------------------------------------


def tools(wire: Sequence[Raw] | None, functions: Sequence[WireFunction] | None) -> Iterator[Tool]:
    """`functions` are those of the time before `tools`. InvalidRequest names the place."""
    for number, function in enumerate(functions or ()):
        yield _function(function, f"functions[{number}]")
    for number, raw in enumerate(wire or ()):
        place = f"tools[{number}]"
        try:
            tool = decode(_TOOL, bytes(raw))
        except InvalidRequest as error:
            param = f"{place}.{error.param}" if error.param else place
            raise InvalidRequest(f"Invalid value for {param}: {error.detail}", param=param) from None
        yield _tool(tool, raw, place)


def _tool(tool: _Tool, raw: Raw, place: str) -> Tool:
    match tool.type:
        case "function":
            flat = WireFunction(tool.name, tool.description, tool.parameters, tool.strict)
            return _function(tool.function or flat, f"{place}.function", tool)
        case "custom":
            return _custom(tool.custom or _Custom(tool.name, tool.description, tool.format), f"{place}.custom")
        case kind if HOSTED.get(kind) == "web_search":
            asked = decode(_SEARCHED, bytes(tool.parameters)) if tool.parameters is not ABSENT else _Searched()
            is_own = kind in OWN_SEARCHES
            return WebSearch(
                wire_type=kind if is_own else "",
                allowed_domains=tuple(asked.allowed_domains or ()),
                blocked_domains=tuple(asked.excluded_domains or ()),
                context_size=_SIZES.get(asked.search_context_size),
                native=raw if is_own else ABSENT,
            )
        case kind:
            return NativeTool(kind=HOSTED.get(kind, "unknown"), dialect="openai_chat", wire_type=kind, body=raw)


def _function(function: WireFunction, place: str, tool: _Tool | None = None) -> FunctionTool:
    parameters = function.parameters
    return FunctionTool(
        name=_required(function.name, f"{place}.name"),
        description=function.description or "",
        parameters=ABSENT if parameters == ABSENT else parameters,
        strict=function.strict,
        stream_arguments_eagerly=tool.eager_input_streaming if tool else None,
        cache=mark_of(tool.cache_control) if tool and tool.cache_control else None,
    )


def _custom(custom: _Custom, place: str) -> CustomTool:
    name, description = _required(custom.name, f"{place}.name"), custom.description or ""
    form = custom.format
    if form is None or form.type != "grammar":
        return CustomTool(name=name, description=description)
    grammar = form.grammar or _Grammar(form.syntax, form.definition)
    syntax = _SYNTAXES.get(grammar.syntax, "text")
    return CustomTool(name=name, description=description, syntax=syntax, grammar=grammar.definition or "")


def _required(name: str, param: str) -> str:
    if not name:
        raise InvalidRequest(f"Missing required field: {param}", param=param)
    return name


# --- searches that are asked for elsewhere ------------------------------------------------------------------------


def searches(
    options: WebSearchOptions | None, plugins: Sequence[Plugin] | None, parameters: SearchParameters | None
) -> Iterator[WebSearch]:
    """Searches that a request asks for outside `tools`; all that they ask for is one tool here."""
    if options is not None:
        yield WebSearch(context_size=_SIZES.get(options.search_context_size), location=_location(options.user_location))
    elif any(plugin.id == "web" and plugin.enabled is not False for plugin in plugins or ()):
        yield WebSearch()
    elif parameters is not None and parameters.mode != "off":
        sources = parameters.sources or ()
        yield WebSearch(
            allowed_domains=tuple(site for source in sources for site in source.allowed_websites or ()),
            blocked_domains=tuple(site for source in sources for site in source.excluded_websites or ()),
        )


def _location(wire: _UserLocation | None) -> Location | None:
    if wire is None:
        return None
    place = wire.approximate or wire
    return Location(place.city or "", place.region or "", place.country or "", place.timezone or "")


# --- the choice ---------------------------------------------------------------------------------------------------


def tool_choice(wire: str | WireChoice | None, parallel: bool | None, field: str = "tool_choice") -> ToolChoice | None:
    """None: nothing was said of it. A word on parallel calls alone leaves the choice to the model."""
    if wire is None:
        return None if parallel is None else ToolChoice(parallel=parallel)
    if isinstance(wire, str):
        if wire not in _MODES:
            raise InvalidRequest(f"Invalid value for {field}: {wire!r}", param=field)
        return ToolChoice(mode=_MODES[wire], parallel=parallel)
    if allowed := wire.allowed_tools:
        names = tuple(name for tool in allowed.tools or () if (name := _chosen(tool)))
        return ToolChoice(mode=_MODES.get(allowed.mode, "auto"), names=names, parallel=parallel)
    if name := _chosen(wire):
        return ToolChoice(mode="required", names=(name,), parallel=parallel)
    if wire.type in ("function", "custom"):
        raise InvalidRequest(f"Missing required field: {field}.{wire.type}.name", param=f"{field}.{wire.type}.name")
    return ToolChoice(mode="required", server_tool=wire.type, parallel=parallel)


def _chosen(wire: WireChoice) -> str:
    named = wire.function or wire.custom
    return named.name if named else wire.name
