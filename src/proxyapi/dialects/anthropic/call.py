"""Anthropic Messages: requests. https://docs.anthropic.com/en/api/messages"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from proxyapi.dialects import patching
from proxyapi.dialects.anthropic.reply_in import MessageBody, MessageStream
from proxyapi.dialects.anthropic.usage import report
from proxyapi.dialects.call import Call, DocumentInput, ImageInput, MediaInput, Operation, Prompt, ServerTool, WireName
from proxyapi.dialects.dialect import Decoder, Report
from proxyapi.dialects.fields import (
    TOKENS_MAX,
    ToolHead,
    advisor_model,
    cache_writes,
    compact,
    decode,
    enum_items,
    named,
    objects_in,
    once,
    plain,
    tool_heads,
    whole,
)
from proxyapi.dialects.model import ABSENT, given
from proxyapi.dialects.stream import CountBody
from proxyapi.errors import InvalidRequest

OPAQUE_CHARACTERS_PER_TOKEN = 4
"""Encrypted text in base64 holds three bytes in four characters; a token has at least three bytes on average."""


class _Source(Struct):
    type: str | None = None
    data: str | None = None
    media_type: str | None = None
    file_id: str | None = None
    content: str | list[_Block] | None = None


class _Block(Struct):
    type: str | None = None
    text: str | None = None
    source: str | _Source | None = None
    title: str | None = None
    context: str | None = None
    name: str | None = None
    input: Raw = ABSENT
    content: str | list[_Block] | dict[str, Any] | None = None
    thinking: str | None = None
    data: str | None = None
    encrypted_content: str | None = None
    url: str | None = None
    file_id: str | None = None


class _Message(Struct):
    role: str
    content: str | list[_Block]


class _Metadata(Struct, omit_defaults=True):
    user_id: str | None = None


class _Fallback(Struct):
    model: str = ""


class _OutputConfig(Struct):
    format: Raw = ABSENT


class _Request(Struct):
    messages: list[_Message]
    model: str | None = None
    max_tokens: int | float | None = None
    stream: bool | None = None
    system: str | list[_Block] | None = None
    tools: Raw = ABSENT
    tool_choice: dict[str, Any] | None = None
    mcp_servers: Raw = ABSENT
    output_config: _OutputConfig | None = None
    output_format: Raw = ABSENT
    service_tier: str | None = None
    speed: str | None = None
    inference_geo: str | None = None
    container: str | dict[str, Any] | None = None
    metadata: _Metadata | None = None
    fallbacks: list[str | _Fallback] | None = None


class _PlainMessage(Struct, forbid_unknown_fields=True, gc=False):
    role: str
    content: str


class _Plain(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The usual request: texts, and settings that change nothing here but those that are read below."""

    model: Annotated[str, Meta(min_length=1)]
    max_tokens: Annotated[int, Meta(ge=0, le=TOKENS_MAX)]
    messages: list[_PlainMessage]
    system: str | None = None
    stream: bool | None = None
    metadata: _Metadata | None = None
    temperature: Raw = ABSENT
    top_p: Raw = ABSENT
    top_k: Raw = ABSENT
    stop_sequences: Raw = ABSENT
    thinking: Raw = ABSENT


_PLAIN = msgspec.json.Decoder(_Plain)
_REQUEST = msgspec.json.Decoder(_Request)
_WATCHED = frozenset(_Request.__struct_fields__)
_ANYWHERE = "global"
_CLIENT_TOOLS = ("bash_", "text_editor_", "memory_", "custom")
_SERVER_TOOLS: tuple[tuple[str, Literal["web_search", "web_fetch", "code_execution", "computer", "advisor"]], ...] = (
    # Types carry a date: web_search_20250305. Client tools that the vendor only defines are not billed by the call.
    ("web_search_", "web_search"),
    ("web_fetch_", "web_fetch"),
    ("code_execution_", "code_execution"),
    ("computer_", "computer"),
    ("advisor_", "advisor"),
    ("openrouter:advisor", "advisor"),
)


class Anthropic:
    name: ClassVar[WireName] = "anthropic"
    operation: ClassVar[Operation] = "messages"

    def read(self, body: bytes, *, model: str | None = None, stream: bool = False, ours: bool = False) -> Call:
        wire = plain(_PLAIN, body, ours=ours) if model is None else None
        return self._read(body, model, stream, ours) if wire is None else self._plain(wire, body, stream)

    def _plain(self, wire: _Plain, body: bytes, stream: bool) -> Call:
        texts = [message.content for message in wire.messages]
        if wire.system is not None:
            texts.insert(0, wire.system)
        metadata = wire.metadata
        return Call(
            operation=self.operation,
            dialect=self.name,
            model=wire.model,
            stream=stream or wire.stream is True,
            prompt=Prompt(len(texts), tuple(texts)),
            plain=True,
            prompt_bytes=len(body),
            output_tokens_max=wire.max_tokens,
            end_user="" if metadata is None else metadata.user_id or "",
        )

    def _read(self, body: bytes, model: str | None, stream: bool, ours: bool = False) -> Call:
        wire = decode(_REQUEST, body)
        if not ours:
            once(body, _WATCHED)
        ceiling = whole("max_tokens", wire.max_tokens)
        if ceiling is None and self.operation == "messages":
            raise InvalidRequest("Missing required field: max_tokens", param="max_tokens")
        prompt = _PromptReader()
        prompt.content(wire.system)
        for message in wire.messages:
            prompt.content(message.content)
        for schema in (wire.output_config.format if wire.output_config else ABSENT, wire.output_format):
            if given(schema):
                prompt.texts.append(compact(schema))
        prompt.references += objects_in(wire.container)
        heads = tool_heads(wire.tools)
        tools = compact(wire.tools) if heads else ""
        return Call(
            operation=self.operation,
            dialect=self.name,
            model=named(model or wire.model),
            fallback_models=tuple(f if isinstance(f, str) else f.model for f in wire.fallbacks or ()),
            stream=bool(wire.stream) or stream,
            prompt=Prompt(
                messages=len(wire.messages) + (wire.system is not None),
                texts=tuple(prompt.texts),
                tools=tools,
                tool_enum_items=enum_items(tools),
                tool_choice_forced=(wire.tool_choice or {}).get("type") in ("any", "tool"),
                media=tuple(prompt.media),
                tokens=prompt.opaque_characters // OPAQUE_CHARACTERS_PER_TOKEN,
            ),
            prompt_bytes=len(body),
            output_tokens_max=ceiling,
            service_tier=wire.service_tier or "",
            speed=wire.speed or "",
            region="" if wire.inference_geo == _ANYWHERE else wire.inference_geo or "",
            cache_writes=cache_writes(body),
            server_tools=tuple(tool for head in heads if (tool := _server_tool(head))),
            end_user=(wire.metadata.user_id or "") if wire.metadata else "",
            item_references=tuple(prompt.references),
        )

    def patch(self, body: bytes, call: Call, *, model: str) -> bytes:
        return patching.renamed(body, call.model, model)

    def decoder(self, *, stream: bool, call: Call) -> Decoder:
        return MessageStream() if stream else MessageBody()

    def report(self, body: bytes) -> Report | None:
        return report(body)


class AnthropicCount(Anthropic):
    """`/messages/count_tokens`: the same request without a ceiling, answered with a number."""

    name = "anthropic_count"
    operation = "count_tokens"

    def decoder(self, *, stream: bool, call: Call) -> Decoder:
        return CountBody()

    def report(self, body: bytes) -> Report | None:
        return None


class _PromptReader:
    def __init__(self) -> None:
        self.texts: list[str] = []
        self.media: list[MediaInput] = []
        self.references: list[str] = []
        self.opaque_characters = 0

    def content(self, content: str | list[_Block] | dict[str, Any] | None) -> None:
        if isinstance(content, str):
            self.texts.append(content)
        elif isinstance(content, dict):
            # The result of one of the provider's own tools: an object of many shapes, told apart by its fields.
            block = msgspec.convert(content, _Block, strict=False) if _is_block(content) else None
            if block:
                self.block(block)
            else:
                self.texts.append(msgspec.json.encode(content).decode())
        else:
            for block in content or ():
                self.block(block)

    def block(self, block: _Block) -> None:
        if block.text:
            self.texts.append(block.text)
        if block.thinking:
            self.texts.append(block.thinking)
        if given(block.input):
            self.texts.append(f'{{"name":"{block.name}","input":{compact(block.input)}}}')
        for text in (block.title, block.context, block.url):
            if text:
                self.texts.append(text)
        self.opaque_characters += len(block.data or "") + len(block.encrypted_content or "")
        if block.file_id:
            self.references.append(block.file_id)
        if isinstance(block.source, str):
            self.texts.append(block.source)
        elif block.source:
            self.source(block.type, block.source)
        if block.content is not None:
            self.content(block.content)

    def source(self, kind: str | None, source: _Source) -> None:
        data, media_type = source.data or "", source.media_type or ""
        if source.file_id:
            self.references.append(source.file_id)
        if source.type == "text":
            self.texts.append(data)
        elif source.content is not None:
            self.content(source.content)
        elif kind == "image":
            self.media.append(ImageInput(data))
        else:
            self.media.append(DocumentInput(data, media_type))


def _is_block(content: dict[str, Any]) -> bool:
    return content.get("type") == "document" or (
        content.get("type") == "web_fetch_result" and isinstance(content.get("content"), dict)
    )


def _server_tool(head: ToolHead) -> ServerTool | None:
    kind = head.type or ""
    uses = whole("tools[].max_uses", head.max_uses, most=1_000_000)
    for prefix, name in _SERVER_TOOLS:
        if kind.startswith(prefix):
            more = (("model", advisor_model(head)),) if name == "advisor" else ()
            return ServerTool(name, uses, (("type", kind), *more))
    return None
