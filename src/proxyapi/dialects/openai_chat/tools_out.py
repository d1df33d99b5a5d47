"""OpenAI Chat Completions: canonical tools, and the choice among them, as a provider takes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from msgspec import Raw
from msgspec.structs import asdict, replace

from proxyapi.dialects.codec import Untranslatable
from proxyapi.dialects.functions import as_function, is_hosted_search, spoken
from proxyapi.dialects.losses import Losses
from proxyapi.dialects.model import (
    ABSENT,
    CustomTool,
    FunctionTool,
    Location,
    Message,
    NativeTool,
    Tool,
    ToolChoice,
    WebSearch,
)
from proxyapi.dialects.openai_chat.marks import Marks
from proxyapi.dialects.openai_chat.tools_in import OWN_SEARCHES
from proxyapi.dialects.openai_knobs import bound
from proxyapi.dialects.quirks import Quirks
from proxyapi.dialects.toolset import settled

_ONLY_FUNCTIONS = "Chat Completions has functions only, no hosted tools"


class _Offered(NamedTuple):
    """A tool as it is sent."""

    tool: Tool
    name: str
    """As it was declared, without its namespace; of a tool that has none, what the provider calls it by."""
    sent_name: str
    wire: dict[str, Any] | Raw


class WireTools:
    """The fields of a request that are about tools."""

    def __init__(self, quirks: Quirks, losses: Losses, marks: Marks) -> None:
        self._quirks = quirks
        self._losses = losses
        self._marks = marks
        self._binds = False
        """All calls have to follow their schemas (`validated` of Google)."""

    def fields(self, tools: Sequence[Tool], choice: ToolChoice | None, messages: Iterable[Message]) -> dict[str, Any]:
        """Untranslatable names a tool that Chat can't offer."""
        wire: dict[str, Any] = {}
        offered: list[_Offered] = []
        self._binds = choice is not None and choice.mode == "validated"
        settle = settled(tools, messages)
        if settle != tuple(tools):
            self._losses.approximate("messages.tool_change")
        for tool in settle:
            if isinstance(tool, WebSearch) and tool.wire_type not in OWN_SEARCHES:
                wire["web_search_options"] = self._web_search(tool)
            elif is_hosted_search(tool):
                # What it would have found is declared openly instead.
                self._losses.approximate("tools")
            else:
                offered.append(self._tool(tool))
        choice, offered = self._filtered(choice, offered)
        if offered:
            wire["tools"] = [one.wire for one in offered]
        return wire | self._choice(choice, offered, searches="web_search_options" in wire)

    # --- one tool ------------------------------------------------------------------------------------------------

    def _tool(self, tool: Tool) -> _Offered:
        match tool:
            case WebSearch():
                return _Offered(tool, tool.wire_type, tool.wire_type, tool.native)
            case NativeTool(dialect="openai_chat"):
                return _Offered(tool, tool.wire_type, tool.wire_type, tool.body)
            case CustomTool() if not self._quirks.no_custom_tools:
                return self._free_text(tool)
            case _:
                function = as_function(tool)
                if function is None:
                    raise Untranslatable("tools", f"{_tool_word(tool)}: {_ONLY_FUNCTIONS}")
                if not isinstance(tool, FunctionTool):
                    self._losses.approximate("tools")
                return self._function(function, tool)

    def _function(self, function: FunctionTool, tool: Tool) -> _Offered:
        # `as_function` has put the namespace into the name.
        name = self._losses.tool_name(function.name)
        wire: dict[str, Any] = {"name": name}
        if function.description:
            wire["description"] = function.description
        if function.parameters is not ABSENT:
            wire["parameters"] = function.parameters
        strict = bound(
            function.strict, function.parameters, self._quirks, self._losses, "tools.strict", better=self._binds
        )
        if strict is not None:
            wire["strict"] = strict
        if function.defer_loading:
            self._losses.approximate("tools.defer_loading")
        sent: dict[str, Any] = {"type": "function", "function": wire}
        self._marks.on_object(sent, function.cache, "tools.cache")
        return _Offered(tool, _declared_name(tool), name, sent)

    def _free_text(self, tool: CustomTool) -> _Offered:
        name = self._losses.tool_name(spoken(tool.name, tool.namespace))
        wire: dict[str, Any] = {"name": name}
        if tool.description:
            wire["description"] = tool.description
        if tool.syntax != "text":
            wire["format"] = {"type": "grammar", "grammar": {"syntax": tool.syntax, "definition": tool.grammar}}
        return _Offered(tool, tool.name, name, {"type": "custom", "custom": wire})

    def _web_search(self, tool: WebSearch) -> dict[str, Any]:
        if not self._quirks.web_search:
            raise Untranslatable("tools", "web_search: this model has no web search of its own")
        if tool.allowed_domains or tool.blocked_domains:
            raise Untranslatable("tools", "web_search: Chat Completions can't restrict it to domains")
        if tool.uses_max is not None:
            self._losses.drop("tools.uses_max")
        if tool.live is False:
            self._losses.approximate("tools.web_search.live")
        wire: dict[str, Any] = {}
        if tool.context_size is not None:
            wire["search_context_size"] = tool.context_size
        if tool.location is not None:
            wire["user_location"] = {"type": "approximate", "approximate": _place(tool.location)}
        return wire

    # --- the choice ----------------------------------------------------------------------------------------------

    def _filtered(self, choice: ToolChoice | None, offered: list[_Offered]) -> tuple[ToolChoice | None, list[_Offered]]:
        """Where a subset can't be named, the others are not declared."""
        if choice is None or not choice.names:
            return choice, offered
        known, wanted = {one.name for one in offered}, frozenset(choice.names)
        for name in choice.names:
            if name not in known:
                raise Untranslatable("tool_choice", f"there is no tool with the name {name!r}")
        if _forces_one(choice) or not self._quirks.no_allowed_tools:
            return choice, offered
        self._losses.approximate("tool_choice.names")
        return replace(choice, names=()), [one for one in offered if one.name in wanted]

    def _choice(self, choice: ToolChoice | None, offered: list[_Offered], *, searches: bool) -> dict[str, Any]:
        if choice is None:
            return {}
        if choice.server_tool:
            self._losses.drop("tool_choice.server_tool")
            return {}
        if not offered:
            if choice.mode not in ("auto", "none") and not searches:
                raise Untranslatable("tool_choice", "there are no tools to choose from")
            return {}
        wire: dict[str, Any] = {"tool_choice": self._chosen(choice, offered)}
        if choice.parallel is not None:
            if not self._quirks.no_parallel_choice:
                wire["parallel_tool_calls"] = choice.parallel
            elif not choice.parallel:
                self._losses.drop("tool_choice.parallel")
        return wire

    def _chosen(self, choice: ToolChoice, offered: list[_Offered]) -> str | dict[str, Any]:
        wanted = frozenset(choice.names)
        named = [_named(one) for one in offered if one.name in wanted]
        if _forces_one(choice):
            return named[0]
        if choice.mode == "validated":
            self._losses.approximate("tool_choice.mode")
        word = choice.mode if choice.mode in ("required", "none") else "auto"
        if named:
            return {"type": "allowed_tools", "allowed_tools": {"mode": word, "tools": named}}
        return self._quirks.required_word if word == "required" else word


def _named(one: _Offered) -> dict[str, Any]:
    is_free_text = isinstance(one.wire, dict) and one.wire["type"] == "custom"
    kind = "custom" if is_free_text else "function"
    return {"type": kind, kind: {"name": one.sent_name}}


def _forces_one(choice: ToolChoice) -> bool:
    return choice.mode == "required" and len(choice.names) == 1


def _declared_name(tool: Tool) -> str:
    """What the tool is chosen and changed by."""
    match tool:
        case FunctionTool() | CustomTool():
            return tool.name
        case _:
            function = as_function(tool)
            return function.name if function else f"\0{_tool_word(tool)}"


def _tool_word(tool: Tool) -> str:
    """How a tool without a name is called in messages."""
    match tool:
        case NativeTool():
            return tool.wire_type
        case FunctionTool() | CustomTool():
            return spoken(tool.name, tool.namespace)
        case _:
            return getattr(tool, "wire_type", "") or str(tool.__struct_config__.tag)


def _place(location: Location) -> dict[str, str]:
    return {name: value for name, value in asdict(location).items() if value}
