"""Anthropic Messages: messages of a client's request as canonical messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from proxyapi.dialects import carriers, media
from proxyapi.dialects.anthropic import citations, hosted
from proxyapi.dialects.anthropic.marks import Cache, read_mark
from proxyapi.dialects.anthropic.tools_in import read_tool
from proxyapi.dialects.codec import Unseal, sealed_nothing
from proxyapi.dialects.fields import within
from proxyapi.dialects.model import (
    ABSENT,
    Compaction,
    Document,
    FileRef,
    FunctionTool,
    Image,
    Inline,
    Link,
    Message,
    Native,
    Part,
    ReasoningState,
    Role,
    SearchResult,
    ServerToolUse,
    Source,
    Text,
    Thinking,
    ToolChange,
    ToolReference,
    ToolResult,
    ToolUse,
    given,
)
from proxyapi.dialects.stream import lenient
from proxyapi.errors import InvalidRequest

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}
_OPTIONAL = frozenset({"fallback", "mcp_tool_listing"})
"""Blocks that tell the model nothing which it needs."""
_PDF = "application/pdf"


class _Source(Struct):
    type: str = ""
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: Raw = ABSENT


class _Flag(Struct):
    enabled: bool | None = None


class _Caller(Struct):
    tool_id: str = ""


class _Change(Struct):
    type: str = ""
    name: str = ""
    definition: Raw = ABSENT


class _Block(Struct):
    """The fields of all kinds of blocks."""

    type: str
    text: str | None = None
    cache_control: Cache | None = None
    citations: list[dict[str, Any]] | _Flag | None = None
    source: str | _Source | None = None
    title: str | None = None
    context: str | None = None
    content: Raw = ABSENT
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = ABSENT
    server_name: str | None = None
    caller: _Caller | None = None
    tool_use_id: str | None = None
    tool_name: str | None = None
    is_error: bool | None = None
    encrypted_content: str | None = None
    tool: _Change | None = None


class WireMessage(Struct):
    role: str
    content: Raw


_BLOCK = msgspec.json.Decoder(_Block)
_CONTENT: msgspec.json.Decoder[str | list[_Block]] = msgspec.json.Decoder(str | list[_Block])
_RAW_CONTENT: msgspec.json.Decoder[str | list[Raw]] = msgspec.json.Decoder(str | list[Raw])
_RAWS = msgspec.json.Decoder(list[Raw])
_ANY_CONTENT = msgspec.json.Decoder(str | list[Raw] | None)


def read_system(content: Raw) -> tuple[Message, ...]:
    """The top-level instructions, one part for each text."""
    if not given(content):
        return ()
    parts = _Reader(sealed_nothing).parts(content)
    return (Message(role="system", parts=parts),) if parts else ()


def read_messages(messages: Sequence[WireMessage], unseal: Unseal) -> tuple[Message, ...]:
    """All messages, neighbours of one role as one."""
    reader = _Reader(unseal)
    turns: list[tuple[Role, list[Part]]] = []
    for number, wire in enumerate(messages):
        role = _ROLES.get(wire.role)
        if role is None:
            param = f"messages[{number}].role"
            raise InvalidRequest(f"Invalid value for {param}: expected user, assistant or system", param=param)
        parts = reader.parts(wire.content, number)
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(parts)
        else:
            turns.append((role, list(parts)))
    found = [Message(role=role, parts=_results_first(parts)) for role, parts in turns if parts or role == "assistant"]
    if found and found[-1].role == "assistant" and found[-1].parts and isinstance(found[-1].parts[-1], Text):
        found[-1] = replace(found[-1], incomplete=True)
    return tuple(found)


def _results_first(parts: list[Part]) -> tuple[Part, ...]:
    return tuple(parts if len(parts) < 2 else sorted(parts, key=lambda part: not isinstance(part, ToolResult)))


def _odd(wire: Raw, place: str) -> list[_Block]:
    """What could not be read as a whole. InvalidRequest names the block that is odd."""
    content = within(_RAW_CONTENT, wire, place)
    assert not isinstance(content, str), "nothing is odd about a text"
    return [within(_BLOCK, raw, f"{place}[{number}]") for number, raw in enumerate(content)]


class _Reader:
    """Blocks of one conversation."""

    def __init__(self, unseal: Unseal) -> None:
        self._unseal = unseal
        self._names: dict[str, str] = {}
        """Names of the calls so far, by their ids: results don't say them."""

    def parts(self, wire: Raw, number: int | None = None) -> tuple[Part, ...]:
        """Of one message; None: of the instructions."""
        content = lenient(_CONTENT, wire)
        if isinstance(content, str):
            return (Text(content),) if content else ()
        place = "system" if number is None else f"messages[{number}].content"
        parts: list[Part] = []
        state: ReasoningState | None = None
        raws: list[Raw] = []
        for at, block in enumerate(_odd(wire, place) if content is None else content):
            kind = block.type
            if kind == "thinking" or kind == "redacted_thinking":
                state = self._thinking(block, parts) or state
                continue
            if kind not in _READ and not raws:
                raws += _RAWS.decode(wire)
            read = _BLOCKS.get(kind) or (_result if kind.endswith("_tool_result") else _native)
            part = read(self, block, raws[at] if raws else ABSENT, f"{place}[{at}]")
            if part is not None:
                parts.append(part if state is None else replace(part, state=state))
                state = None
            elif block.cache_control and parts:
                # The mark of a text that is not there stands where that text would have begun.
                parts[-1] = replace(parts[-1], cache=parts[-1].cache or read_mark(block.cache_control))
        return tuple(parts)

    def nested(self, wire: Raw, place: str) -> tuple[Any, ...]:
        """Of a tool's result or a document: only what such a place can hold."""
        content = lenient(_CONTENT, wire) if given(wire) else ""
        if isinstance(content, str):
            return (Text(content),) if content else ()
        parts: list[Part] = []
        for number, block in enumerate(_odd(wire, place) if content is None else content):
            here = f"{place}[{number}]"
            if block.type not in _NESTED:
                raise InvalidRequest(f"{here}: a block of type {block.type!r} can't stand here", param=f"{here}.type")
            part = _BLOCKS[block.type](self, block, ABSENT, here)
            if part is not None:
                parts.append(part)
        return tuple(parts)

    def _thinking(self, block: _Block, parts: list[Part]) -> ReasoningState | None:
        """Appends what was thought. Gives the state that belongs to the part that follows."""
        place, state = carriers.read(block.signature or block.data or "", self._unseal)
        text, own = block.thinking or "", state if place == "own" else None
        if own is not None and own.kind == "openai_encrypted":
            parts.append(Thinking(summaries=(text,) if text else (), id=own.id, state=own))
        elif text or own is not None:
            parts.append(Thinking(text, state=own))
        if place == "before" and state is not None and parts:
            parts[-1] = replace(parts[-1], state=state)
        return state if place == "next" else None

    # --- one block each ----------------------------------------------------------------------------------------------

    def text(self, block: _Block, raw: Raw, place: str) -> Part | None:
        if not block.text:
            return None
        noted = block.citations if isinstance(block.citations, list) else ()
        return Text(block.text, citations=tuple(map(citations.read, noted)), cache=read_mark(block.cache_control))

    def image(self, block: _Block, raw: Raw, place: str) -> Part:
        return Image(self._source(block, place), cache=read_mark(block.cache_control))

    def document(self, block: _Block, raw: Raw, place: str) -> Part:
        source = block.source if isinstance(block.source, _Source) else _Source()
        told = source.type in ("text", "content")
        return Document(
            None if told else self._source(block, place, _PDF),
            text=(source.data or "") if source.type == "text" else "",
            parts=self.nested(source.content, f"{place}.source.content") if source.type == "content" else (),
            title=block.title or "",
            context=block.context or "",
            citations=_enabled(block),
            cache=read_mark(block.cache_control),
        )

    def _source(self, block: _Block, place: str, usual: str = "") -> Source:
        match block.source:
            case _Source("base64", media_type, str(data)):
                return Inline(data, media.sniffed(data, media_type or usual))
            case _Source("url", url=str(url)):
                return Link(url, usual)
            case _Source("file", file_id=str(identity)):
                return FileRef(identity)
            case _:
                param = f"{place}.source"
                raise InvalidRequest(f"Invalid value for {param}: expected base64 data, a url or a file", param=param)

    def search_result(self, block: _Block, raw: Raw, place: str) -> Part:
        return SearchResult(
            block.source if isinstance(block.source, str) else "",
            block.title or "",
            self.nested(block.content, f"{place}.content"),
            citations=_enabled(block),
            cache=read_mark(block.cache_control),
        )

    def tool_use(self, block: _Block, raw: Raw, place: str) -> Part:
        identity, name = _needed(block.id, f"{place}.id"), _needed(block.name, f"{place}.name")
        self._names[identity] = name
        return ToolUse(
            identity,
            name,
            _json_text(block.input),
            caller=block.caller.tool_id if block.caller else "",
            cache=read_mark(block.cache_control),
        )

    def tool_result(self, block: _Block, raw: Raw, place: str) -> Part:
        identity = _needed(block.tool_use_id, f"{place}.tool_use_id")
        return ToolResult(
            identity,
            self.nested(block.content, f"{place}.content"),
            name=self._names.get(identity, ""),
            is_error=block.is_error,
            cache=read_mark(block.cache_control),
        )

    def tool_reference(self, block: _Block, raw: Raw, place: str) -> Part:
        return ToolReference(block.tool_name or "", cache=read_mark(block.cache_control))

    def server_tool_use(self, block: _Block, raw: Raw, place: str) -> Part:
        name = block.name or ""
        return ServerToolUse(
            hosted.read_id(block.id),
            "mcp" if block.type == "mcp_tool_use" else hosted.kind_of(name),
            name,
            _json_text(block.input),
            server=block.server_name or "",
            caller=block.caller.tool_id if block.caller else "",
            cache=read_mark(block.cache_control),
        )

    def compaction(self, block: _Block, raw: Raw, place: str) -> Part:
        content = within(_ANY_CONTENT, block.content, f"{place}.content")
        text = content if isinstance(content, str) else ""
        _, state = carriers.read(block.encrypted_content or block.signature or "", self._unseal)
        kept = ABSENT if state is not None else raw
        return Compaction(text, native=kept, state=state, cache=read_mark(block.cache_control))

    def tool_change(self, block: _Block, raw: Raw, place: str) -> Part:
        match block:
            case _Block("tool_addition", tool=_Change("tool_reference", name)):
                return ToolChange(added=(FunctionTool(name=name),), cache=read_mark(block.cache_control))
            case _Block("tool_addition", tool=_Change("tool_definition", definition=wire)) if given(wire):
                return ToolChange(added=(read_tool(wire, f"{place}.tool"),), cache=read_mark(block.cache_control))
            case _Block("tool_removal", tool=_Change("tool_reference", name)):
                return ToolChange(removed=(name,), cache=read_mark(block.cache_control))
            case _:
                return _native(self, block, raw, place)


def _result(reader: _Reader, block: _Block, raw: Raw, place: str) -> Part:
    return replace(hosted.read_result(raw), cache=read_mark(block.cache_control))


def _native(reader: _Reader, block: _Block, raw: Raw, place: str) -> Part:
    optional = block.type in _OPTIONAL
    return Native("anthropic", block.type, raw, optional=optional, cache=read_mark(block.cache_control))


_BLOCKS: dict[str, Callable[[_Reader, _Block, Raw, str], Part | None]] = {
    "text": _Reader.text,
    "image": _Reader.image,
    "document": _Reader.document,
    "search_result": _Reader.search_result,
    "tool_use": _Reader.tool_use,
    "tool_result": _Reader.tool_result,
    "tool_reference": _Reader.tool_reference,
    "server_tool_use": _Reader.server_tool_use,
    "mcp_tool_use": _Reader.server_tool_use,
    "compaction": _Reader.compaction,
    "tool_addition": _Reader.tool_change,
    "tool_removal": _Reader.tool_change,
}
"""Any other block that is no result of a hosted tool is kept for its own dialect."""
_READ = _BLOCKS.keys() - {"compaction", "tool_addition", "tool_removal"}
"""Of all others the block as received may be kept."""
_NESTED = frozenset({"text", "image", "document", "search_result", "tool_reference"})


def _enabled(block: _Block) -> bool | None:
    return block.citations.enabled if isinstance(block.citations, _Flag) else None


def _json_text(raw: Raw) -> str:
    return bytes(raw).decode() if given(raw) else ""


def _needed(value: str | None, param: str) -> str:
    if not value:
        raise InvalidRequest(f"Missing required field: {param}", param=param)
    return value


def without_old_thinking(messages: Iterable[Message], turns: int) -> tuple[Message, ...]:
    """Without the thinking of all but the last turns. Calls and their results are of one turn."""
    kept: list[Message] = []
    begun = False
    for message in reversed(tuple(messages)):
        if message.role == "assistant":
            if not begun:
                begun, turns = True, turns - 1
            if turns < 0:
                rest = tuple(part for part in message.parts if not isinstance(part, Thinking))
                message = replace(message, parts=rest)
        elif not all(isinstance(part, ToolResult) for part in message.parts):
            begun = False
        kept.append(message)
    return tuple(reversed(kept))
