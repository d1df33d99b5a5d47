"""Anthropic Messages: calls of tools that the provider runs itself, and their results, in requests and replies alike.

A result is a block of many shapes that holds encrypted contents: it is kept as received and replayed as received.
Beside it stands what another dialect can show. The other way, a result of another provider is told in the same shapes
without the encrypted contents, under an id of ours, by which it is known when a client sends it back.

https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/web-search-tool and its neighbours
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects.model import (
    ABSENT,
    Document,
    Image,
    SearchResult,
    ServerToolKind,
    ServerToolResult,
    ServerToolUse,
    Text,
    given,
)
from proxyapi.dialects.stream import lenient

OURS = "gw1."
"""What the ids of other providers' calls begin with in our replies."""
OWN = ("srvtoolu_", "mcptoolu_")
"""What the provider's own begin with."""

_Shown = Text | Image | Document | SearchResult

_KINDS: tuple[tuple[str, ServerToolKind], ...] = (
    ("web_search", "web_search"),
    ("web_fetch", "web_fetch"),
    ("tool_search", "tool_search"),
    ("advisor", "advisor"),
    ("mcp", "mcp"),
    ("bash_code_execution", "code_execution"),
    ("text_editor_code_execution", "code_execution"),
    ("code_execution", "code_execution"),
    ("computer", "computer"),
    ("browser", "browser"),
    # Results of other providers' tools, as we write them.
    ("file_search", "file_search"),
    ("image_generation", "image_generation"),
    ("maps", "maps"),
)
"""By the beginning of a tool's name, or of a result's type."""
_FAILED = "_error"
"""End of the type of a result's content when the tool failed."""


class _Block(Struct):
    type: str = ""
    tool_use_id: str = ""
    is_error: bool | None = None
    content: Raw = ABSENT


class _Source(Struct):
    type: str = ""
    data: str = ""


class _Document(Struct):
    source: _Source | None = None
    title: str | None = None


class _Reference(Struct):
    tool_name: str = ""


class _Outcome(Struct):
    """The content of a result: the fields of all its shapes."""

    type: str = ""
    error_code: str | None = None
    stdout: str | None = None
    stderr: str | None = None
    text: str | None = None
    url: str | None = None
    content: str | _Document | list[Raw] | None = None
    tool_references: list[_Reference] = []


class _Item(Struct):
    """A page that a search found, or a text of an MCP tool."""

    type: str = ""
    url: str | None = None
    title: str | None = None
    text: str | None = None


_BLOCK = msgspec.json.Decoder(_Block)
_OUTCOME = msgspec.json.Decoder(_Outcome)
_ITEMS = msgspec.json.Decoder(list[_Item])
_TEXT = msgspec.json.Decoder(str)


def kind_of(name: str) -> ServerToolKind:
    """The canonical tool of a tool's name, or of a result's type."""
    return next((kind for prefix, kind in _KINDS if name.startswith(prefix)), "programmatic")


# --- wire to parts ------------------------------------------------------------------------------------------------


def read_id(identity: str | None) -> str:
    """The id of a call of a hosted tool, as its provider gave it."""
    return (identity or "").removeprefix(OURS)


def read_result(raw: Raw) -> ServerToolResult:
    """A block whose type ends in `_tool_result`. What is odd in it stays unread."""
    block = lenient(_BLOCK, raw) or _Block()
    failed, code, parts = _content(block.content)
    foreign = block.tool_use_id.startswith(OURS)
    return ServerToolResult(
        read_id(block.tool_use_id),
        kind_of(block.type),
        parts,
        is_error=failed or bool(block.is_error),
        error_code=code,
        native=ABSENT if foreign else raw.copy(),
    )


def is_native(result: ServerToolResult) -> bool:
    """Its `native` is a block of this dialect: the provider takes it back."""
    if not given(result.native):
        return False
    block = lenient(_BLOCK, result.native)
    return block is not None and block.type.endswith("_tool_result")


def _content(content: Raw) -> tuple[bool, str, tuple[_Shown, ...]]:
    """Whether the tool failed, the word for why, and what can be shown."""
    first = bytes(content)[:1]
    if first == b"[":
        return False, "", tuple(part for item in lenient(_ITEMS, content) or () if (part := _item(item)))
    if first == b'"':
        text = lenient(_TEXT, content)
        return False, "", (Text(text),) if text else ()
    outcome = lenient(_OUTCOME, content) if given(content) else None
    if outcome is None:
        return False, "", ()
    return outcome.type.endswith(_FAILED), outcome.error_code or "", tuple(_shown(outcome))


def _item(item: _Item) -> _Shown | None:
    if item.url:
        return SearchResult(item.url, item.title or "", ())
    return Text(item.text) if item.text else None


def _shown(outcome: _Outcome) -> list[_Shown]:
    texts = [outcome.stdout, outcome.stderr, outcome.text, *(found.tool_name for found in outcome.tool_references)]
    parts: list[_Shown] = [Text(text) for text in texts if text]
    match outcome.content:
        case str(text) if text:
            parts.append(Text(text))
        case _Document(_Source("text", data), title):
            parts.append(Document(None, text=data, title=title or outcome.url or ""))
        case _Document():
            parts.append(SearchResult(outcome.url or "", outcome.content.title or "", ()))
        case _:
            pass
    return parts


# --- parts to wire ------------------------------------------------------------------------------------------------


def told_id(identity: str) -> str:
    """The id of a call of a hosted tool, as clients see it."""
    return identity if identity.startswith(OWN) else OURS + identity


def write_use(use: ServerToolUse) -> dict[str, Any]:
    """The start of a call of another provider's tool; its input follows."""
    is_mcp = use.kind == "mcp"
    head = {"type": "mcp_tool_use", "server_name": use.server} if is_mcp else {"type": "server_tool_use"}
    return head | {"id": told_id(use.id), "name": use.name or use.kind, "input": {}}


def write_result(result: ServerToolResult) -> dict[str, Any]:
    """The result of another provider's tool."""
    block = {"type": f"{result.kind}_tool_result", "tool_use_id": told_id(result.tool_use_id)}
    if result.kind == "mcp":
        return block | {"is_error": result.is_error, "content": _texts(result)}
    if result.is_error and result.kind != "code_execution":
        code = result.error_code or "unavailable"
        return block | {"content": {"type": f"{result.kind}_tool_result{_FAILED}", "error_code": code}}
    write = {"web_search": _pages, "web_fetch": _page, "code_execution": _output}.get(result.kind, _texts)
    return block | {"content": write(result)}


def _pages(result: ServerToolResult) -> list[dict[str, Any]]:
    return [
        {
            "type": "web_search_result",
            "url": part.source,
            "title": part.title,
            "encrypted_content": "",
            "page_age": None,
        }
        for part in result.parts
        if isinstance(part, SearchResult)
    ]


def _page(result: ServerToolResult) -> dict[str, Any]:
    url = next((part.source for part in result.parts if isinstance(part, SearchResult)), "")
    title = next((part.title for part in result.parts if isinstance(part, SearchResult | Document)), "")
    source = {"type": "text", "media_type": "text/plain", "data": _words(result)}
    document = {"type": "document", "source": source, "title": title or None, "citations": None}
    return {"type": "web_fetch_result", "url": url or title, "retrieved_at": None, "content": document}


def _output(result: ServerToolResult) -> dict[str, Any]:
    words = _words(result)
    return {
        "type": "code_execution_result",
        "stdout": "" if result.is_error else words,
        "stderr": (words or result.error_code) if result.is_error else "",
        "return_code": int(result.is_error),
        "content": [],
    }


def _texts(result: ServerToolResult) -> list[dict[str, Any]]:
    found = [part.text for part in result.parts if isinstance(part, Text | Document) and part.text]
    return [{"type": "text", "text": text} for text in found]


def _words(result: ServerToolResult) -> str:
    """Texts, documents, and passages of search results, one after another."""
    found: list[str] = []
    for part in result.parts:
        match part:
            case Text(text) | Document(text=text):
                found.append(text)
            case SearchResult():
                found += [passage.text for passage in part.parts]
            case _:
                pass
    return "\n".join(text for text in found if text)
