"""OpenAI Responses: calls of tools that a provider ran itself, as the items of hosted tools, for clients.

Where the provider's dialect tells call and outcome apart, the item stays open until its outcome is there. What only
other providers have (memory, maps, advisors) is no item: the client neither declared it nor has to answer it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from proxyapi.dialects.media import to_url
from proxyapi.dialects.model import (
    Document,
    Image,
    Inline,
    Link,
    SearchResult,
    ServerToolKind,
    ServerToolResult,
    ServerToolUse,
    Text,
)
from proxyapi.dialects.stream import lenient

Wire = dict[str, Any]

SOURCES = "web_search_call.action.sources"
OUTPUTS = "code_interpreter_call.outputs"
RESULTS = "file_search_call.results"
"""Of `include`: what an item tells only to a client that asks for it."""


class Hosted(NamedTuple):
    """How a hosted tool is told."""

    type: str
    prefix: str
    """Of the item's id."""
    begun: tuple[str, ...]
    """Events at its beginning, behind its type."""
    item: Callable[[ServerToolUse, ServerToolResult | None, frozenset[str]], Wire]
    """The fields beside `id`, `type` and `status`."""
    arguments: str = ""
    """Name of the events that its arguments are told by as they come."""
    asked: str = ""
    """The same, where they are told at once: the field of the item."""
    ran: tuple[str, ...] = ()
    """Events between its arguments and its end."""


class _Arguments(Struct):
    """Where the dialects keep what a hosted tool was asked for."""

    query: str | None = None
    queries: list[str] | None = None
    url: str | None = None
    pattern: str | None = None
    code: str | None = None
    command: str | None = None
    commands: list[str] | None = None
    prompt: str | None = None


_ARGUMENTS = msgspec.json.Decoder(_Arguments)


def hosted(kind: ServerToolKind) -> Hosted | None:
    """None: Responses has nothing like it."""
    return _HOSTED.get(kind)


def _asked(use: ServerToolUse) -> _Arguments:
    return lenient(_ARGUMENTS, use.arguments.encode()) or _Arguments()


def _web_search(use: ServerToolUse, result: ServerToolResult | None, include: frozenset[str]) -> Wire:
    asked = _asked(use)
    if asked.pattern is not None and asked.url is not None:
        return {"action": {"type": "find_in_page", "pattern": asked.pattern, "url": asked.url}}
    if asked.url is not None:
        return {"action": {"type": "open_page", "url": asked.url}}
    queries = asked.queries or ([asked.query] if asked.query else [])
    action: Wire = {"type": "search", "query": asked.query or (queries[0] if queries else ""), "queries": queries}
    if SOURCES in include:
        pages = [part.source for part in (result.parts if result else ()) if isinstance(part, SearchResult)]
        action["sources"] = [{"type": "url", "url": page} for page in pages]
    return {"action": action}


def _file_search(use: ServerToolUse, result: ServerToolResult | None, include: frozenset[str]) -> Wire:
    asked = _asked(use)
    found = None
    if RESULTS in include and result is not None:
        found = [
            {"filename": part.title or part.source, "text": "\n".join(text.text for text in part.parts)}
            for part in result.parts
            if isinstance(part, SearchResult)
        ]
    return {"queries": asked.queries or ([asked.query] if asked.query else []), "results": found}


def code_of(use: ServerToolUse) -> str:
    asked = _asked(use)
    return asked.code or asked.command or "\n".join(asked.commands or ())


def _code(use: ServerToolUse, result: ServerToolResult | None, include: frozenset[str]) -> Wire:
    outputs: list[Wire] | None = None
    if OUTPUTS in include and result is not None:
        outputs = []
        for part in result.parts:
            if isinstance(part, Text):
                outputs.append({"type": "logs", "logs": part.text})
            elif isinstance(part, Image) and isinstance(part.source, Inline | Link):
                outputs.append({"type": "image", "url": to_url(part.source)})
    return {"code": code_of(use), "container_id": "", "outputs": outputs}


def _mcp(use: ServerToolUse, result: ServerToolResult | None, include: frozenset[str]) -> Wire:
    shown = "\n".join(_words(part) for part in result.parts) if result else ""
    failed = result is not None and result.is_error
    error = {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": shown}]} if failed else None
    return {
        "arguments": use.arguments or "{}",
        "name": use.name,
        "server_label": use.server,
        "approval_request_id": None,
        "output": None if failed or result is None else shown,
        "error": error,
    }


def _words(part: Text | Image | Document | SearchResult) -> str:
    return part.text if isinstance(part, Text | Document) else part.source if isinstance(part, SearchResult) else ""


def _picture(use: ServerToolUse, result: ServerToolResult | None, include: frozenset[str]) -> Wire:
    return {"result": None, "revised_prompt": _asked(use).prompt}


_SEARCH = Hosted("web_search_call", "ws_", ("in_progress", "searching"), _web_search)
_CODE = Hosted("code_interpreter_call", "ci_", ("in_progress",), _code, asked="code", ran=("interpreting",))
_HOSTED: dict[ServerToolKind, Hosted] = {
    "web_search": _SEARCH,
    "web_fetch": _SEARCH,
    "file_search": Hosted("file_search_call", "fs_", ("in_progress", "searching"), _file_search),
    "code_execution": _CODE,
    "bash": _CODE,
    "mcp": Hosted("mcp_call", "mcp_", ("in_progress",), _mcp, arguments="mcp_call_arguments"),
    "image_generation": Hosted("image_generation_call", "ig_", ("in_progress", "generating"), _picture),
}
