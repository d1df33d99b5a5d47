"""OpenAI Responses: requests. https://platform.openai.com/docs/api-reference/responses/create"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects import patching
from proxyapi.dialects.call import (
    AudioInput,
    Call,
    DocumentInput,
    ImageInput,
    MediaInput,
    Operation,
    Prompt,
    ServerTool,
    WireName,
)
from proxyapi.dialects.dialect import Decoder, Report
from proxyapi.dialects.fields import (
    ToolHead,
    advisor_model,
    as_text,
    cache_writes,
    compact,
    data_url,
    decode,
    enum_items,
    named,
    objects_in,
    once,
    tool_heads,
    whole,
)
from proxyapi.dialects.model import ABSENT, given
from proxyapi.dialects.openai_responses.reply_in import ResponseBody, ResponseStream
from proxyapi.dialects.openai_responses.reply_usage import report
from proxyapi.dialects.stream import CountBody

OPAQUE_CHARACTERS_PER_TOKEN = 4
"""Encrypted reasoning in base64 holds three bytes in four characters; a token has at least three on average."""

ToolKind = Literal["web_search", "file_search", "code_execution", "image_generation", "computer", "advisor"]


class _Sound(Struct):
    data: str = ""
    format: str | None = None


class _Content(Struct):
    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    image_url: str | dict[str, Any] | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    input_audio: _Sound | None = None
    stdout: str | None = None
    stderr: str | None = None
    encrypted_content: str | None = None


class _Item(Struct):
    type: str | None = None
    role: str | None = None
    content: str | list[_Content] | None = None
    name: str | None = None
    arguments: str | dict[str, Any] | None = None
    input: str | dict[str, Any] | None = None
    output: str | list[_Content] | _Content | None = None
    summary: list[_Content] | None = None
    encrypted_content: str | None = None
    id: str | None = None
    code: str | None = None
    container_id: str | None = None
    action: Raw = ABSENT
    operation: Raw = ABSENT
    outputs: Raw = ABSENT
    results: Raw = ABSENT
    tools: Raw = ABSENT
    result: str | dict[str, Any] | None = None


class _Named(Struct):
    id: str | None = None
    variables: dict[str, str | _Content] | None = None


class _TextOptions(Struct):
    format: Raw = ABSENT


class _Request(Struct):
    model: str | None = None
    input: str | list[_Item] | None = None
    instructions: str | list[_Item] | None = None
    stream: bool | None = None
    max_output_tokens: int | float | None = None
    tools: Raw = ABSENT
    tool_choice: str | dict[str, Any] | None = None
    max_tool_calls: int | float | None = None
    text: _TextOptions | None = None
    service_tier: str | None = None
    store: bool | None = None
    previous_response_id: str | None = None
    background: bool | None = None
    conversation: str | _Named | None = None
    prompt: _Named | None = None
    user: str | None = None
    safety_identifier: str | None = None


_REQUEST = msgspec.json.Decoder(_Request)
_WATCHED = frozenset(_Request.__struct_fields__)
_SERVER_TOOLS: dict[str, ToolKind] = {
    # A type may carry a date behind an underscore: web_search_preview_2025_03_11.
    "web_search": "web_search",
    "x_search": "web_search",
    "file_search": "file_search",
    "code_interpreter": "code_execution",
    "image_generation": "image_generation",
    "computer": "computer",
    "openrouter:web_search": "web_search",
    "openrouter:advisor": "advisor",
}


class OpenAIResponses:
    name: ClassVar[WireName] = "openai_responses"
    operation: ClassVar[Operation] = "responses"

    def read(self, body: bytes, *, model: str | None = None, stream: bool = False, ours: bool = False) -> Call:
        wire = decode(_REQUEST, body)
        if not ours:
            once(body, _WATCHED)
        prompt = _PromptReader()
        prompt.items(wire.instructions)
        prompt.items(wire.input)
        declared = [wire.tools, *prompt.tools]
        heads = [head for raw in declared for head in tool_heads(raw)]
        tools = "".join(compact(raw) for raw in declared if given(raw) and len(raw) > 2)
        if wire.text and given(wire.text.format) and b'"json_schema"' in bytes(wire.text.format):
            prompt.texts.append(compact(wire.text.format))
        conversation = wire.conversation if isinstance(wire.conversation, str | None) else wire.conversation.id
        if wire.prompt:
            prompt.template(wire.prompt)
        return Call(
            operation=self.operation,
            dialect=self.name,
            model=named(model or wire.model),
            stream=bool(wire.stream) or stream,
            prompt=Prompt(
                messages=prompt.messages,
                texts=tuple(prompt.texts),
                tools=tools,
                tool_enum_items=enum_items(tools),
                tool_choice_forced=isinstance(wire.tool_choice, dict) or wire.tool_choice == "required",
                media=tuple(prompt.media),
                tokens=prompt.opaque_characters // OPAQUE_CHARACTERS_PER_TOKEN,
            ),
            prompt_bytes=len(body),
            output_tokens_max=whole("max_output_tokens", wire.max_output_tokens),
            service_tier=wire.service_tier or "",
            cache_writes=cache_writes(body),
            server_tools=_server_tools(heads, prompt.references),
            server_tool_calls_max=whole("max_tool_calls", wire.max_tool_calls),
            store=wire.store is not False,
            previous_response_id=wire.previous_response_id or "",
            background=bool(wire.background),
            conversation=conversation or "",
            end_user=wire.safety_identifier or wire.user or "",
            item_references=tuple(prompt.references),
        )

    def patch(self, body: bytes, call: Call, *, model: str) -> bytes:
        return patching.renamed(body, call.model, model)

    def decoder(self, *, stream: bool, call: Call) -> Decoder:
        return ResponseStream() if stream else ResponseBody()

    def report(self, body: bytes) -> Report | None:
        return report(body)


class OpenAICount(OpenAIResponses):
    """`/responses/input_tokens`: the same request, answered with a number."""

    name = "openai_count"
    operation = "count_tokens"

    def decoder(self, *, stream: bool, call: Call) -> Decoder:
        return CountBody()

    def report(self, body: bytes) -> Report | None:
        return None


class _PromptReader:
    def __init__(self) -> None:
        self.messages = 0
        self.texts: list[str] = []
        self.media: list[MediaInput] = []
        self.references: list[str] = []
        self.tools: list[Raw] = []
        """Tools that items of the input add."""
        self.opaque_characters = 0

    def items(self, items: str | list[_Item] | None) -> None:
        if isinstance(items, str):
            self.messages += 1
            self.texts.append(items)
        else:
            for item in items or ():
                self.item(item)

    def item(self, item: _Item) -> None:
        # OpenAI takes an id without anything beside it for a reference, too.
        if item.type == "item_reference" or (item.type is None and item.role is None):
            if item.id:
                self.references.append(item.id)
            return
        if item.role:
            self.messages += 1
        self.content(item.content)
        self.content(item.summary)
        self.content(item.output)
        arguments = item.arguments if item.arguments is not None else item.input
        if arguments is not None:
            self.texts.append(f'{{"name":"{item.name or ""}","arguments":{as_text(arguments)}}}')
        if item.code:
            self.texts.append(item.code)
        for raw in (item.action, item.operation, item.results):
            if given(raw):
                self.texts.append(compact(raw))
        if given(item.outputs) and b'"image"' not in bytes(item.outputs):
            self.texts.append(compact(item.outputs))
        self.opaque_characters += len(item.encrypted_content or "")
        if isinstance(item.result, str) and item.type == "image_generation_call":
            self.media.append(ImageInput(item.result))
        if given(item.tools) and item.type in ("additional_tools", "tool_search_output"):
            self.tools.append(item.tools)
        if item.container_id:
            self.references.append(item.container_id)

    def content(self, content: str | list[_Content] | _Content | None) -> None:
        if isinstance(content, str):
            self.texts.append(content)
        elif isinstance(content, _Content):
            self.part(content)
        else:
            for part in content or ():
                self.part(part)

    def part(self, part: _Content) -> None:
        for text in (part.text, part.refusal, part.stdout, part.stderr):
            if text:
                self.texts.append(text)
        self.opaque_characters += len(part.encrypted_content or "")
        kind = part.type or ""
        if part.file_id:
            self.references.append(part.file_id)
        if part.input_audio:
            self.media.append(AudioInput(part.input_audio.data, part.input_audio.format or ""))
        elif kind.endswith(("_image", "_screenshot")) or part.image_url is not None:
            url = part.image_url.get("url") if isinstance(part.image_url, dict) else part.image_url
            self.media.append(ImageInput(data_url(url)[0] if isinstance(url, str) else "", part.detail or ""))
        elif kind == "input_file" or part.file_data or part.file_url:
            data = part.file_data or ""
            self.media.append(DocumentInput(*data_url(data)) if data.startswith("data:") else DocumentInput(data))

    def template(self, template: _Named) -> None:
        """A prompt that the vendor keeps: its own text is unknown, and it belongs to the upstream account."""
        if template.id:
            self.references.append(template.id)
        for value in (template.variables or {}).values():
            self.content(value if isinstance(value, str) else [value])


def _server_tools(heads: list[ToolHead], references: list[str]) -> tuple[ServerTool, ...]:
    found: list[ServerTool] = []
    for head in heads:
        wire_type = head.type or ""
        # Of a computer it is a word, such as `browser`; of a shell an object that may name a container.
        environment = head.environment if isinstance(head.environment, dict) else {}
        mask = (head.input_image_mask or {}).get("file_id")
        references += [*(head.vector_store_ids or ()), *([mask] if isinstance(mask, str) else ())]
        references += objects_in(head.container or environment)
        kind: ToolKind | None = _SERVER_TOOLS.get(wire_type)
        if kind is None and wire_type.startswith("web_search_"):
            kind = "web_search"
        elif wire_type.startswith("computer_use"):
            kind = "computer"
        elif wire_type == "shell" and str(environment.get("type") or "").startswith("container"):
            kind = "code_execution"
        if kind is None:
            continue
        options = [("type", wire_type)]
        for name in ("search_context_size", "quality", "size", "model", "input_fidelity"):
            value = getattr(head, name)
            if value:
                options.append((name, value))
        if kind == "advisor" and not head.model:
            options.append(("model", advisor_model(head)))
        if head.partial_images:
            options.append(("partial_images", str(whole("tools[].partial_images", head.partial_images, most=100))))
        box = head.container or environment
        if isinstance(box, dict) and isinstance(box.get("memory_limit"), str):
            options.append(("memory_limit", box["memory_limit"]))
        found.append(ServerTool(kind, options=tuple(options)))
    return tuple(found)
