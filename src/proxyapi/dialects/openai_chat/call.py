"""OpenAI Chat Completions: requests. https://platform.openai.com/docs/api-reference/chat/create

Also spoken, with additions that are read here too, by OpenRouter, DeepSeek, Mistral, Groq, xAI, Perplexity and Azure.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from proxyapi.dialects import patching
from proxyapi.dialects.call import (
    AudioInput,
    Call,
    DocumentInput,
    ImageInput,
    MediaInput,
    Prompt,
    ServerTool,
    VideoInput,
    WireName,
)
from proxyapi.dialects.dialect import Decoder
from proxyapi.dialects.fields import (
    CHOICES_MAX,
    TOKENS_MAX,
    advisor_model,
    as_text,
    cache_writes,
    compact,
    data_url,
    decode,
    either,
    enum_items,
    named,
    once,
    plain,
    tool_heads,
    whole,
)
from proxyapi.dialects.model import ABSENT, given
from proxyapi.dialects.openai_chat.reply_in import ChatBody, ChatStream, report
from proxyapi.dialects.openai_chat.tools_in import HOSTED

__all__ = ["OpenAIChat"]


class _Url(Struct):
    url: str = ""
    detail: str | None = None


class _File(Struct):
    file_data: str | None = None
    file_id: str | None = None


class _Sound(Struct):
    data: str = ""
    format: str | None = None


class _Part(Struct):
    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    image_url: str | _Url | None = None
    input_audio: str | _Sound | None = None
    file: _File | None = None
    video_url: str | _Url | None = None
    document_url: str | _Url | None = None
    file_url: str | _Url | None = None
    thinking: str | list[_Part] | None = None


class _Function(Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None
    input: str | None = None


class _ToolCall(Struct):
    function: _Function | None = None
    custom: _Function | None = None


class _Message(Struct):
    role: str
    content: str | list[_Part | str] | None = None
    name: str | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Plugin(Struct):
    id: str = ""
    engine: str | None = None
    max_results: int | float | None = None
    enabled: bool | None = None


class _WebSearchOptions(Struct):
    search_context_size: str | None = None


class _Request(Struct):
    messages: list[_Message]
    model: str | None = None
    models: list[str] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_completion_tokens: int | float | None = None
    max_tokens: int | float | None = None
    n: int | float | None = None
    tools: Raw = ABSENT
    functions: Raw = ABSENT
    tool_choice: str | dict[str, Any] | None = None
    function_call: str | dict[str, Any] | None = None
    reasoning_effort: Raw = ABSENT
    response_format: Raw = ABSENT
    service_tier: str | None = None
    modalities: list[str] | None = None
    web_search_options: _WebSearchOptions | None = None
    plugins: list[_Plugin] | None = None
    search_parameters: dict[str, Any] | None = None
    user: str | None = None
    safety_identifier: str | None = None


class _PlainMessage(Struct, forbid_unknown_fields=True, gc=False):
    role: str
    content: str


Count = Annotated[int, Meta(ge=0, le=TOKENS_MAX)]


class _Plain(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The usual request: texts, and settings that change nothing here but those that are read below."""

    model: Annotated[str, Meta(min_length=1)]
    messages: list[_PlainMessage]
    stream: bool | None = None
    stream_options: Raw = ABSENT
    max_completion_tokens: Count | None = None
    max_tokens: Count | None = None
    user: str | None = None
    safety_identifier: str | None = None
    temperature: Raw = ABSENT
    top_p: Raw = ABSENT
    n: Literal[1] | None = None
    seed: Raw = ABSENT
    stop: Raw = ABSENT
    frequency_penalty: Raw = ABSENT
    presence_penalty: Raw = ABSENT
    reasoning_effort: Raw = ABSENT
    verbosity: Raw = ABSENT
    logit_bias: Raw = ABSENT
    logprobs: Raw = ABSENT
    top_logprobs: Raw = ABSENT
    parallel_tool_calls: Raw = ABSENT
    store: Raw = ABSENT
    metadata: Raw = ABSENT
    prompt_cache_key: Raw = ABSENT


_PLAIN = msgspec.json.Decoder(_Plain)
_USAGE_ASKED = {
    b'{"include_usage":true}': True,
    b'{"include_usage": true}': True,
    b'{"include_usage":false}': False,
    b'{"include_usage": false}': False,
    b"null": False,
    b"": False,
}
"""Spellings of `stream_options` that leave nothing to look for."""
_REQUEST = msgspec.json.Decoder(_Request)
_WATCHED = frozenset(_Request.__struct_fields__)
_NO_EFFORT = (Raw(b'"none"'), Raw(b'""'))
_WEB_RESULTS = 5
"""What OpenRouter's web plugin fetches unless told: https://openrouter.ai/docs/features/web-search"""
_LIVE_SEARCH_RESULTS = 20
"""xAI `search_parameters.max_search_results` unless told."""


class OpenAIChat:
    name: ClassVar[WireName] = "openai_chat"

    def read(self, body: bytes, *, model: str | None = None, stream: bool = False, ours: bool = False) -> Call:
        wire = plain(_PLAIN, body, ours=ours) if model is None else None
        if wire is not None and (call := _plain_call(wire, body, stream)):
            return call
        return self._read(body, model, stream)

    def _read(self, body: bytes, model: str | None, stream: bool) -> Call:
        wire = decode(_REQUEST, body)
        top = once(body, _WATCHED)
        if wire.stream_options is not None:
            once(top["stream_options"], frozenset({"include_usage"}), within="stream_options")
        name = named(model or wire.model)
        prompt = _PromptReader()
        for message in wire.messages:
            prompt.message(message)
        tools = "" if wire.tools is wire.functions else _declared(wire)
        if given(wire.response_format) and b'"json_schema"' in bytes(wire.response_format):
            prompt.texts.append(compact(wire.response_format))
        return Call(
            operation="chat",
            dialect="openai_chat",
            model=name,
            fallback_models=tuple(wire.models) if wire.models else (),
            stream=bool(wire.stream) or stream,
            usage_asked=wire.stream_options is not None and wire.stream_options.include_usage is True,
            prompt=Prompt(
                messages=len(wire.messages),
                texts=tuple(prompt.texts),
                names=tuple(prompt.names),
                tools=tools,
                tool_enum_items=enum_items(tools),
                tool_choice_forced=isinstance(wire.tool_choice, dict)
                or wire.tool_choice in ("required", "any")
                or isinstance(wire.function_call, dict),
                media=tuple(prompt.media),
            ),
            prompt_bytes=len(body),
            output_tokens_max=either(
                whole("max_completion_tokens", wire.max_completion_tokens), whole("max_tokens", wire.max_tokens)
            ),
            choices=whole("n", wire.n, least=1, most=CHOICES_MAX) or 1,
            service_tier=wire.service_tier or "",
            cache_writes=cache_writes(body),
            server_tools=_server_tools(wire, name),
            effort_and_tools=bool(tools) and given(wire.reasoning_effort) and wire.reasoning_effort not in _NO_EFFORT,
            output_modalities=tuple(m for m in wire.modalities if m != "text") if wire.modalities else (),
            end_user=wire.safety_identifier or wire.user or "",
            item_references=tuple(prompt.references),
            string_image_urls=prompt.string_image_urls,
        )

    def patch(self, body: bytes, call: Call, *, model: str) -> bytes:
        body = patching.renamed(body, call.model, model)
        edits: list[patching.Edit] = []
        if call.stream and not call.usage_asked:
            edits.append(patching.include_usage(body))
        if call.string_image_urls:
            edits += patching.image_urls(body)
        return patching.apply(body, edits, model=model) if edits else body

    def decoder(self, *, stream: bool, call: Call) -> Decoder:
        return ChatStream() if stream else ChatBody()

    report = staticmethod(report)


def _plain_call(wire: _Plain, body: bytes, stream: bool) -> Call | None:
    """None: there is more to it."""
    model = wire.model
    asked = False if wire.stream_options is ABSENT else _USAGE_ASKED.get(bytes(wire.stream_options))
    if asked is None or model.endswith(":online"):
        return None
    messages = wire.messages
    ceiling = wire.max_completion_tokens
    return Call(
        operation="chat",
        dialect="openai_chat",
        model=model,
        stream=stream or wire.stream is True,
        usage_asked=asked,
        prompt=Prompt(len(messages), tuple([message.content for message in messages])),
        plain=True,
        prompt_bytes=len(body),
        output_tokens_max=wire.max_tokens if ceiling is None else ceiling,
        end_user=wire.safety_identifier or wire.user or "",
    )


def _declared(wire: _Request) -> str:
    return "".join(compact(raw) for raw in (wire.tools, wire.functions) if len(raw) > 2 and given(raw))


class _PromptReader:
    def __init__(self) -> None:
        self.texts: list[str] = []
        self.names: list[str] = []
        self.media: list[MediaInput] = []
        self.references: list[str] = []
        self.string_image_urls = False

    def message(self, message: _Message) -> None:
        if isinstance(message.content, str):
            self.texts.append(message.content)
        elif message.content:
            for part in message.content:
                self.part(part)
        if message.name:
            self.names.append(message.name)
        for text in (message.refusal, message.reasoning_content or message.reasoning):
            if text:
                self.texts.append(text)
        for call in message.tool_calls or ():
            self.call(call.function or call.custom)
        if message.function_call:
            self.call(message.function_call)

    def call(self, function: _Function | None) -> None:
        if function:
            arguments = function.arguments if function.arguments is not None else function.input or ""
            self.texts.append(f'{{"name":"{function.name}","arguments":{as_text(arguments)}}}')

    def part(self, part: _Part | str) -> None:
        if isinstance(part, str):
            self.texts.append(part)
            return
        if part.text:
            self.texts.append(part.text)
        elif part.image_url is not None:
            self.image(part.image_url)
        elif part.input_audio is not None:
            sound = part.input_audio
            self.media.append(
                AudioInput(*_inline(sound)) if isinstance(sound, str) else AudioInput(sound.data, sound.format or "")
            )
        elif part.file is not None:
            self.media.append(DocumentInput(*_inline(part.file.file_data or "")))
            if part.file.file_id:
                self.references.append(part.file.file_id)
        elif part.video_url is not None:
            self.media.append(VideoInput(*_inline(part.video_url)))
        elif part.document_url is not None or part.file_url is not None:
            self.media.append(DocumentInput(*_inline(part.document_url or part.file_url or "")))
        elif part.refusal:
            self.texts.append(part.refusal)
        elif isinstance(part.thinking, str):
            self.texts.append(part.thinking)
        else:
            for thought in part.thinking or ():
                self.part(thought)

    def image(self, image: str | _Url) -> None:
        if isinstance(image, str):
            self.string_image_urls = True
            self.media.append(ImageInput(data_url(image)[0]))
        else:
            self.media.append(ImageInput(data_url(image.url)[0], image.detail or ""))


def _inline(value: str | _Url) -> tuple[str, str]:
    """Base64 and media type: of a data URL, or of base64 alone; an address has neither."""
    text = value if isinstance(value, str) else value.url
    if text.startswith("data:"):
        return data_url(text)
    return ("", "") if text.startswith(("http:", "https:", "gs:")) else (text, "")


def _server_tools(wire: _Request, model: str) -> tuple[ServerTool, ...]:
    found: list[ServerTool] = []
    for head in tool_heads(wire.tools) if given(wire.tools) else ():
        if kind := HOSTED.get(head.type or ""):
            options = [("tool", head.type or "")]
            if kind == "advisor":
                options.append(("model", advisor_model(head)))
            found.append(ServerTool(kind, options=tuple(options)))
    if wire.web_search_options is not None:
        size = wire.web_search_options.search_context_size
        found.append(ServerTool("web_search", options=(("search_context_size", size),) if size else ()))
    plugins = [p for p in wire.plugins or () if p.id == "web" and p.enabled is not False]
    if not plugins and model.endswith(":online"):
        plugins = [_Plugin("web")]
    for plugin in plugins:
        results = whole("plugins[].max_results", plugin.max_results, least=1, most=1_000) or _WEB_RESULTS
        found.append(ServerTool("web_search", results, (("plugin", "web"), ("engine", plugin.engine or ""))))
    search = wire.search_parameters
    if search is not None and search.get("mode") != "off":
        said = search.get("max_search_results")
        most = said if isinstance(said, int) and said > 0 else _LIVE_SEARCH_RESULTS
        found.append(ServerTool("web_search", most, (("plugin", "live_search"),)))
    return tuple(found)
