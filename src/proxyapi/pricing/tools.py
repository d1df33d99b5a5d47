"""Hosted tools: the most that they can cost in one request. They are settled by what the answer shows."""

from __future__ import annotations

from typing import NamedTuple

from proxyapi.dialects.call import Call, ServerTool
from proxyapi.pricing.book import variant_words
from proxyapi.pricing.facts import ModelFacts
from proxyapi.pricing.images import drawing_tokens
from proxyapi.pricing.price import Price
from proxyapi.usage import Unit

_FILE_SEARCH_CONTENT = 16_000
"""20 results of 800 tokens each: the defaults of OpenAI's file search."""
_FETCH_CONTENT_MIN = 8_000
"""Tokens of a fetched page, where the rule for searches says less."""
_PLUGIN_RESULTS_MIN = 9
"""OpenRouter may search with the provider's own engine for up to 0.035 USD: as much as nine results of 0.004."""
_LARGE_DRAWING_TOKENS = 13_342
"""gpt-image-2 and later at 3840x2160 in the best quality."""

_WEB_TOOLS_WITH_CODE = 20_260_209
"""From this version on Anthropic's web tools make code execution free of charge."""


class ToolUnits(NamedTuple):
    units: dict[Unit, int]
    """Fees by the call."""
    content: int
    """Tokens that come into the prompt."""
    variant: str
    """Words of the price."""


def tool_units(call: Call, facts: ModelFacts, price: Price) -> ToolUnits:
    """The largest use of every hosted tool of a request."""
    units: dict[Unit, int] = {}
    content = 0
    rule = facts.search
    if rule.per_choice:
        units[Unit.WEB_SEARCH] = call.choices
    for tool in call.server_tools:
        calls = _calls_max(tool, call, facts)
        match tool.kind:
            case "web_search" | "maps":
                if not rule.per_choice:
                    units[Unit.WEB_SEARCH] = units.get(Unit.WEB_SEARCH, 0) + calls
                    content += 0 if tool_words(call, price) else calls * rule.content
            case "web_fetch":
                units[Unit.WEB_FETCH] = units.get(Unit.WEB_FETCH, 0) + calls
                content += calls * max(rule.content, _FETCH_CONTENT_MIN)
            case "file_search":
                units[Unit.FILE_SEARCH] = units.get(Unit.FILE_SEARCH, 0) + calls
                content += calls * _FILE_SEARCH_CONTENT
            case "code_execution":
                units[Unit.CODE_SESSION] = units.get(Unit.CODE_SESSION, 0) + 1
            case "image_generation":
                units[Unit.OUTPUT_IMAGE] = units.get(Unit.OUTPUT_IMAGE, 0) + calls * tool_drawing_tokens(tool, facts)
            case "advisor" | "computer" | "other":
                pass
    return ToolUnits(units, content, tool_words(call, price))


def _calls_max(tool: ServerTool, call: Call, facts: ModelFacts) -> int:
    calls = facts.search.calls if tool.uses_max is None else tool.uses_max
    if facts.search.per_request:
        calls = 1
    elif call.server_tool_calls_max is not None:
        calls = min(calls, call.server_tool_calls_max) if tool.uses_max is not None else call.server_tool_calls_max
    return max(calls, _PLUGIN_RESULTS_MIN) if _option(tool, "plugin") else calls


def tool_drawing_tokens(tool: ServerTool, facts: ModelFacts) -> int:
    """Tokens of one picture that a hosted tool draws."""
    if _option(tool, "model").startswith("gpt-image-2"):
        return _LARGE_DRAWING_TOKENS
    partial = _option(tool, "partial_images")
    pictures = int(partial) * facts.drawing.partial if partial.isdigit() else 0
    return drawing_tokens(facts.drawing, _option(tool, "size"), _option(tool, "quality")) + pictures


def tool_words(call: Call, price: Price) -> str:
    """Words of the variant that the hosted tools of a request ask for."""
    if not call.server_tools or not price.variants:
        return ""
    words: list[str] = []
    kinds = {tool.kind for tool in call.server_tools}
    for tool in call.server_tools:
        match tool.kind:
            case "web_search" if _type(tool).startswith("web_search_preview"):
                words.append("web_search_preview")
            case "maps" if "web_search" not in kinds:
                words.append("google_maps")
            case "code_execution" if any(_frees_code(other) for other in call.server_tools):
                words.append("code_with_web_tools")
            case "code_execution":
                words.append(_option(tool, "memory_limit"))
            case "image_generation":
                words.append(_option(tool, "model"))
    return variant_words(price, *dict.fromkeys(words))


def overhead_tokens(call: Call, facts: ModelFacts) -> int:
    """What the provider adds to a prompt, most of it for its tools."""
    overhead = facts.overhead
    if not call.prompt.tools and not call.server_tools:
        return overhead.request
    total = max(overhead.tools, overhead.request)
    for kind, tokens in overhead.kinds.items():
        if f'"type":"{kind}' in call.prompt.tools or any(_type(tool).startswith(kind) for tool in call.server_tools):
            total += tokens
    return total


def _frees_code(tool: ServerTool) -> bool:
    version = _type(tool).rpartition("_")[2]
    return tool.kind in ("web_search", "web_fetch") and version.isdigit() and int(version) >= _WEB_TOOLS_WITH_CODE


def _type(tool: ServerTool) -> str:
    return _option(tool, "type") or _option(tool, "tool")


def _option(tool: ServerTool, name: str) -> str:
    return next((value for key, value in tool.options if key == name), "")
