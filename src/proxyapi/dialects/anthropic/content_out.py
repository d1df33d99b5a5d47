"""Anthropic Messages: blocks of a request for a provider."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeGuard

from msgspec import Raw

from proxyapi.dialects import media
from proxyapi.dialects.anthropic import citations, hosted
from proxyapi.dialects.anthropic.draft import Draft
from proxyapi.dialects.anthropic.marks import write_mark
from proxyapi.dialects.anthropic.tools_out import write_tools
from proxyapi.dialects.codec import TargetModel, Untranslatable
from proxyapi.dialects.functions import as_object, spoken
from proxyapi.dialects.losses import call_id
from proxyapi.dialects.model import (
    Audio,
    CacheMark,
    Compaction,
    Document,
    FileRef,
    FunctionTool,
    Image,
    Inline,
    Link,
    Message,
    Native,
    NativeTool,
    Part,
    Refusal,
    Request,
    SearchResult,
    ServerToolResult,
    ServerToolUse,
    Source,
    Text,
    Thinking,
    Tool,
    ToolChange,
    ToolReference,
    ToolResult,
    ToolUse,
    Video,
    given,
)
from proxyapi.dialects.wording import as_text

Block = dict[str, Any] | Raw
_CHANGES_BETA = "mid-conversation-tool-changes-2026-07-01"
_DEFINITIONS_BETA = "inline-tools-2026-09-15"
_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_PDF = "application/pdf"


def write_messages(
    turns: Sequence[Message], request: Request, target: TargetModel, draft: Draft
) -> list[dict[str, Any]]:
    """`turns` as `arrange` makes them of the request's messages.

    Untranslatable names what the dialect has no block for.
    """
    writer = _Writer(turns, request, target, draft)
    wire: list[dict[str, Any]] = []
    for message in turns:
        if blocks := writer.blocks(message):
            wire.append({"role": message.role, "content": _plain(blocks)})
    return wire


def _plain(blocks: list[Block]) -> str | list[Block]:
    match blocks:
        case [{"type": "text", "text": str(text), **rest}] if not rest:
            return text
        case _:
            return blocks


def write_system(messages: Iterable[Message], sentences: Iterable[str]) -> str | list[Block] | None:
    """The top-level instructions: a block for each text, those of the gateway last."""
    parts = [part for message in messages for part in message.parts]
    if odd := next((part for part in parts if not isinstance(part, Text)), None):
        raise Untranslatable("system", f"Anthropic Messages takes texts only there, not {_kind(odd)}")
    texts = [part for part in parts if isinstance(part, Text) and part.text.strip()]
    blocks: list[Block] = [_text_block(part.text, part.cache) for part in texts]
    blocks += [_text_block(sentence) for sentence in sentences]
    return _plain(blocks) if blocks else None


class _Writer:
    """Blocks of one conversation."""

    def __init__(self, turns: Sequence[Message], request: Request, target: TargetModel, draft: Draft) -> None:
        self._target = target
        self._draft = draft
        self._request = request
        self._caller = next((tool.wire_type for tool in request.tools if _runs_code(tool)), "")
        """Type of the tool whose code calls other tools."""
        self._answer = next((message for message in reversed(turns) if message.role == "assistant"), None)
        """The last turn of the assistant: a hosted tool that it called may still be running."""
        self._last = turns[-1]
        self._is_answer = False
        """The present message is that turn."""
        parts = [part for message in turns for part in message.parts]
        used = {part.id for part in parts if isinstance(part, ServerToolUse)}
        self._hosted = {
            part.tool_use_id
            for part in parts
            if isinstance(part, ServerToolResult) and part.tool_use_id in used and hosted.is_native(part)
        }
        """Calls of the target's own tools whose results came from there too."""

    def blocks(self, message: Message) -> list[Block]:
        """Of one message; empty if nothing in it can be said, and nothing in it has to be."""
        self._is_answer = message is self._answer
        write = _ASSISTANT if message.role == "assistant" else _USER
        found: list[Block] = []
        for part in message.parts:
            handle = write.get(type(part))
            if handle is None:
                why = f"Anthropic Messages takes no {_kind(part)} from the {message.role}"
                raise Untranslatable(f"messages.{_kind(part)}", why)
            block = handle(self, part)
            if isinstance(block, list):
                found += block
            elif block is not None:
                found.append(block)
        if self._is_answer and message is self._last:
            _trim_prefill(found)
        return found

    # --- text --------------------------------------------------------------------------------------------------------

    def text(self, part: Text) -> Block:
        block = _text_block(part.text, part.cache)
        if cited := [wire for citation in part.citations if (wire := citations.write_back(citation))]:
            block["citations"] = cited
        return block

    def words(self, part: Part) -> Block | None:
        """What the dialect has no block for, told in words."""
        self._draft.approximate(f"messages.{_kind(part)}")
        text = as_text(part)
        return _text_block(text, part.cache) if text and text.strip() else None

    def refusal(self, part: Refusal) -> Block | None:
        return _text_block(part.text, part.cache) if part.text.strip() else None

    def thinking(self, part: Thinking) -> Block:
        assert part.state is not None, "thinking without a proof is not sent"
        if part.state.kind == "anthropic_redacted":
            return {"type": "redacted_thinking", "data": part.state.data}
        return {"type": "thinking", "thinking": part.text, "signature": part.state.data}

    # --- media -------------------------------------------------------------------------------------------------------

    def image(self, part: Image) -> Block:
        if part.detail not in (None, "auto"):
            self._draft.drop("messages.detail")
        return _marked({"type": "image", "source": self._source(part.source, "image")}, part.cache)

    def document(self, part: Document) -> Block:
        block: dict[str, Any] = {"type": "document", "source": self._document_source(part)}
        if part.title:
            block["title"] = part.title
        if part.context:
            block["context"] = part.context
        if part.citations is not None:
            block["citations"] = {"enabled": part.citations}
        if part.detail not in (None, "auto"):
            self._draft.drop("messages.detail")
        return _marked(block, part.cache)

    def _document_source(self, part: Document) -> dict[str, Any]:
        if part.source is None:
            if part.parts:
                return {"type": "content", "content": self.nested(part.parts)}
            return {"type": "text", "media_type": "text/plain", "data": part.text}
        if isinstance(part.source, Inline) and part.source.media_type.startswith("text/"):
            return {"type": "text", "media_type": "text/plain", "data": _decoded(part.source)}
        return self._source(part.source, "document")

    def _source(self, source: Source, kind: str) -> dict[str, Any]:
        match source:
            case Inline(data, declared):
                media_type = media.sniffed(data, declared)
                if media_type not in (_IMAGES if kind == "image" else (_PDF,)):
                    raise Untranslatable(f"messages.{kind}", f"Anthropic Messages takes no {kind} of type {media_type}")
                return {"type": "base64", "media_type": media_type, "data": data}
            case Link(url):
                return {"type": "url", "url": url}
            case FileRef(identity, origin):
                if origin != self._target.origin:
                    raise Untranslatable(f"messages.{kind}", f"the file {identity!r} is not at this provider")
                return {"type": "file", "file_id": identity}

    def search_result(self, part: SearchResult) -> Block | None:
        passages = self.nested(part.parts)
        if not passages:
            return self.words(part)
        block: dict[str, Any] = {
            "type": "search_result",
            "source": part.source,
            "title": part.title,
            "content": passages,
        }
        if part.citations is not None:
            block["citations"] = {"enabled": part.citations}
        return _marked(block, part.cache)

    # --- calls and results -------------------------------------------------------------------------------------------

    def tool_use(self, part: ToolUse) -> Block:
        block: dict[str, Any] = {
            "type": "tool_use",
            "id": call_id(part.id),
            "name": self._draft.tool_name(spoken(part.name, part.namespace)),
            "input": Raw(as_object(part).encode()),
        }
        if part.caller in self._hosted:
            block["caller"] = {"type": self._caller, "tool_id": part.caller}
        return _marked(block, part.cache)

    def tool_result(self, part: ToolResult) -> Block:
        block: dict[str, Any] = {"type": "tool_result", "tool_use_id": call_id(part.tool_use_id)}
        if content := self.nested(part.parts):
            block["content"] = _plain(content)
        if part.is_error is not None:
            block["is_error"] = part.is_error
        return _marked(block, part.cache)

    def nested(self, parts: Iterable[Part]) -> list[Block]:
        """Blocks inside a result or a document."""
        found: list[Block] = []
        for part in parts:
            handle = _NESTED.get(type(part))
            if handle is None:
                why = f"Anthropic Messages takes no {_kind(part)} inside a result"
                raise Untranslatable(f"messages.{_kind(part)}", why)
            block = handle(self, part)
            if block is not None:
                found.append(block)
        return found

    def tool_reference(self, part: ToolReference) -> Block:
        return _marked({"type": "tool_reference", "tool_name": self._draft.tool_name(part.name)}, part.cache)

    # --- the provider's own tools ------------------------------------------------------------------------------------

    def server_tool_use(self, part: ServerToolUse) -> Block | None:
        is_running = self._is_answer and part.id.startswith(hosted.OWN) and part.result is None
        if part.id not in self._hosted and not is_running:
            return self.words(part)
        is_mcp = part.kind == "mcp"
        block: dict[str, Any] = {
            "type": "mcp_tool_use" if is_mcp else "server_tool_use",
            "id": part.id,
            "name": part.name,
            "input": Raw(part.arguments.encode() or b"{}"),
        }
        if is_mcp:
            block["server_name"] = part.server
        if part.caller in self._hosted:
            block["caller"] = {"type": self._caller, "tool_id": part.caller}
        return _marked(block, part.cache)

    def server_tool_result(self, part: ServerToolResult) -> Block | None:
        return part.native if part.tool_use_id in self._hosted else self.words(part)

    # --- what few dialects know --------------------------------------------------------------------------------------

    def compaction(self, part: Compaction) -> Block:
        if given(part.native):
            return part.native
        if part.state is None or part.state.origin != self._target.origin:
            raise Untranslatable("messages.compaction", "only the provider that made the summary can read it")
        return Raw(part.state.data.encode())

    def tool_change(self, part: ToolChange) -> list[Block]:
        """A block for each tool; definitions that no list holds stand in the block itself."""
        self._draft.beta(_CHANGES_BETA)
        found: list[Block] = [self._change("tool_addition", self._added(tool), part.cache) for tool in part.added]
        return found + [self._change("tool_removal", self._reference(name), part.cache) for name in part.removed]

    def _change(self, kind: str, tool: dict[str, Any], mark: CacheMark | None) -> dict[str, Any]:
        return _marked({"type": kind, "tool": tool}, mark)

    def _added(self, tool: Tool) -> dict[str, Any]:
        if isinstance(tool, FunctionTool) and not given(tool.parameters):
            return self._reference(spoken(tool.name, tool.namespace))
        self._draft.beta(_DEFINITIONS_BETA)
        (definition,) = write_tools((tool,), self._request, self._target.quirks, self._draft).tools
        return {"type": "tool_definition", "definition": definition}

    def _reference(self, name: str) -> dict[str, Any]:
        return {"type": "tool_reference", "name": self._draft.tool_name(name)}

    def native(self, part: Native) -> Block | None:
        if part.dialect == "anthropic":
            return part.body
        if part.optional:
            return None
        raise Untranslatable(f"messages.{part.wire_type}", "only its own dialect knows it")

    def audio(self, part: Audio) -> Block:
        """Of an earlier answer: what was said."""
        if not part.transcript.strip():
            raise Untranslatable("messages.audio", "Anthropic Messages takes no sound")
        self._draft.approximate("messages.audio")
        return _text_block(part.transcript, part.cache)


_Handler = Callable[[_Writer, Any], Block | list[Block] | None]
_NESTED: dict[type, Callable[[_Writer, Any], Block | None]] = {
    Text: _Writer.text,
    Image: _Writer.image,
    Document: _Writer.document,
    SearchResult: _Writer.search_result,
    ToolReference: _Writer.tool_reference,
}
_USER: dict[type, _Handler] = {
    Text: _Writer.text,
    Image: _Writer.image,
    Document: _Writer.document,
    SearchResult: _Writer.search_result,
    ToolResult: _Writer.tool_result,
    ToolChange: _Writer.tool_change,
    Refusal: _Writer.refusal,
    Native: _Writer.native,
}
_ASSISTANT: dict[type, _Handler] = {
    Text: _Writer.text,
    Refusal: _Writer.refusal,
    Thinking: _Writer.thinking,
    Audio: _Writer.audio,
    SearchResult: _Writer.words,
    ToolUse: _Writer.tool_use,
    ServerToolUse: _Writer.server_tool_use,
    ServerToolResult: _Writer.server_tool_result,
    Compaction: _Writer.compaction,
    Native: _Writer.native,
}

_KINDS: dict[type, str] = {
    Audio: "audio",
    Compaction: "compaction",
    Document: "document",
    Image: "image",
    Native: "native",
    Refusal: "refusal",
    SearchResult: "search_result",
    ServerToolResult: "server_tool_use",
    ServerToolUse: "server_tool_use",
    Thinking: "thinking",
    ToolChange: "tool_change",
    ToolReference: "tool_reference",
    ToolResult: "tool_result",
    ToolUse: "tool_use",
    Video: "video",
}


def _kind(part: Part) -> str:
    """A kind of part as fields name it."""
    return _KINDS.get(type(part), "text")


def _runs_code(tool: Tool) -> TypeGuard[NativeTool]:
    return isinstance(tool, NativeTool) and tool.kind == "code_execution" and tool.dialect == "anthropic"


def _text_block(text: str, mark: CacheMark | None = None) -> dict[str, Any]:
    return _marked({"type": "text", "text": text}, mark)


def _marked(block: dict[str, Any], mark: CacheMark | None) -> dict[str, Any]:
    return block | {"cache_control": write_mark(mark)} if mark is not None else block


def _decoded(source: Inline) -> str:
    try:
        return b64decode(source.data).decode("utf-8", "replace")
    except (Error, ValueError):
        raise Untranslatable("messages.document", "its text is no base64") from None


def _trim_prefill(blocks: list[Block]) -> None:
    """An answer that the model is to go on with must not end in a blank."""
    last = blocks[-1] if blocks else None
    if isinstance(last, dict) and last["type"] == "text":
        last["text"] = last["text"].rstrip()
