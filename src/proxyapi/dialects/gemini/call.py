"""Gemini generateContent: requests. https://ai.google.dev/api/generate-content

Model and stream stand in the path. Every field may be spelled in camelCase or in snake_case, as protobuf's JSON allows.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from proxyapi.dialects.call import (
    AudioInput,
    Call,
    DocumentInput,
    ImageInput,
    MediaInput,
    Operation,
    Prompt,
    ServerTool,
    VideoInput,
    WireName,
)
from proxyapi.dialects.dialect import Decoder, Report
from proxyapi.dialects.fields import (
    CHOICES_MAX,
    TOKENS_MAX,
    compact,
    decode,
    either,
    enum_items,
    named,
    once,
    plain,
    single,
    whole,
)
from proxyapi.dialects.gemini.reply_in import EmbeddingBody, GeminiBody, GeminiStream
from proxyapi.dialects.gemini.usage import report
from proxyapi.dialects.model import ABSENT, given
from proxyapi.dialects.stream import CountBody

Number = int | float | str | None
ToolKind = Literal["web_search", "web_fetch", "code_execution", "file_search", "computer", "maps"]


class _Blob(Struct):
    data: str | None = None
    mimeType: str | None = None
    mime_type: str | None = None


class _File(Struct):
    fileUri: str | None = None
    file_uri: str | None = None
    mimeType: str | None = None
    mime_type: str | None = None


class _FunctionResponse(Struct):
    name: str | None = None
    response: Raw = ABSENT
    parts: list[_Part] | None = None


class _Part(Struct):
    text: str | None = None
    inlineData: _Blob | None = None
    inline_data: _Blob | None = None
    fileData: _File | None = None
    file_data: _File | None = None
    functionResponse: _FunctionResponse | None = None
    function_response: _FunctionResponse | None = None
    functionCall: Raw = ABSENT
    function_call: Raw = ABSENT
    executableCode: Raw = ABSENT
    executable_code: Raw = ABSENT
    codeExecutionResult: Raw = ABSENT
    code_execution_result: Raw = ABSENT
    toolCall: Raw = ABSENT
    tool_call: Raw = ABSENT
    toolResponse: Raw = ABSENT
    tool_response: Raw = ABSENT
    mediaResolution: dict[str, Any] | str | None = None
    media_resolution: dict[str, Any] | str | None = None


_JSON_PARTS = (
    "functionCall",
    "function_call",
    "executableCode",
    "executable_code",
    "codeExecutionResult",
    "code_execution_result",
    "toolCall",
    "tool_call",
    "toolResponse",
    "tool_response",
)


class _Content(Struct):
    role: str | None = None
    parts: list[_Part] | _Part | None = None


class _Config(Struct):
    maxOutputTokens: Number = None
    max_output_tokens: Number = None
    candidateCount: Number = None
    candidate_count: Number = None
    responseModalities: list[str] | None = None
    response_modalities: list[str] | None = None
    mediaResolution: str | None = None
    media_resolution: str | None = None
    responseSchema: Raw = ABSENT
    response_schema: Raw = ABSENT
    responseJsonSchema: Raw = ABSENT
    response_json_schema: Raw = ABSENT


class _Tool(Struct):
    functionDeclarations: Raw = ABSENT
    function_declarations: Raw = ABSENT
    googleSearch: Raw = ABSENT
    google_search: Raw = ABSENT
    googleSearchRetrieval: Raw = ABSENT
    google_search_retrieval: Raw = ABSENT
    enterpriseWebSearch: Raw = ABSENT
    enterprise_web_search: Raw = ABSENT
    urlContext: Raw = ABSENT
    url_context: Raw = ABSENT
    codeExecution: Raw = ABSENT
    code_execution: Raw = ABSENT
    googleMaps: Raw = ABSENT
    google_maps: Raw = ABSENT
    fileSearch: Raw = ABSENT
    file_search: Raw = ABSENT
    computerUse: Raw = ABSENT
    computer_use: Raw = ABSENT


class _Stores(Struct):
    fileSearchStoreNames: list[str] = []
    file_search_store_names: list[str] = []


_STORES = msgspec.json.Decoder(_Stores)

_SERVER_TOOLS: dict[str, ToolKind] = {
    "googleSearch": "web_search",
    "google_search": "web_search",
    "googleSearchRetrieval": "web_search",
    "google_search_retrieval": "web_search",
    "enterpriseWebSearch": "web_search",
    "enterprise_web_search": "web_search",
    "urlContext": "web_fetch",
    "url_context": "web_fetch",
    "codeExecution": "code_execution",
    "code_execution": "code_execution",
    "googleMaps": "maps",
    "google_maps": "maps",
    "fileSearch": "file_search",
    "file_search": "file_search",
    "computerUse": "computer",
    "computer_use": "computer",
}


class _FunctionCalling(Struct):
    mode: str | None = None


class _ToolConfig(Struct):
    functionCallingConfig: _FunctionCalling | None = None
    function_calling_config: _FunctionCalling | None = None


class _Request(Struct):
    contents: list[_Content] | _Content | str | None = None
    systemInstruction: _Content | str | None = None
    system_instruction: _Content | str | None = None
    generationConfig: _Config | None = None
    generation_config: _Config | None = None
    tools: list[_Tool] | _Tool | None = None
    toolConfig: _ToolConfig | None = None
    tool_config: _ToolConfig | None = None
    cachedContent: str | None = None
    cached_content: str | None = None
    serviceTier: str | None = None
    service_tier: str | None = None


class _PlainPart(Struct, forbid_unknown_fields=True):
    text: str


class _PlainContent(Struct, forbid_unknown_fields=True, omit_defaults=True):
    parts: list[_PlainPart]
    role: str | None = None


class _Plain(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A usual request: texts and settings."""

    contents: list[_PlainContent]
    systemInstruction: _PlainContent | None = None
    generationConfig: Raw = ABSENT


class _PlainConfig(Struct, forbid_unknown_fields=True, omit_defaults=True):
    maxOutputTokens: Annotated[int, Meta(ge=0, le=TOKENS_MAX)] | None = None
    temperature: Raw = ABSENT
    topP: Raw = ABSENT
    topK: Raw = ABSENT
    stopSequences: Raw = ABSENT


class _CountRequest(_Request):
    generateContentRequest: _Request | None = None
    generate_content_request: _Request | None = None


class _EmbedRequest(Struct):
    content: _Content | str | None = None


class _EmbedRequests(_EmbedRequest):
    requests: list[_EmbedRequest] | None = None


def _spellings(struct: type[Struct]) -> tuple[tuple[str, str], ...]:
    """Fields that a struct reads under two names."""
    names = struct.__struct_fields__
    snake = {name.replace("_", "").lower(): name for name in names if "_" in name}
    return tuple((name, snake[name.lower()]) for name in names if "_" not in name and name.lower() in snake)


_REQUEST = msgspec.json.Decoder(_Request)
_PLAIN = msgspec.json.Decoder(_Plain)
_PLAIN_CONFIG = msgspec.json.Decoder(_PlainConfig)
_NO_CONFIG = _PlainConfig()
_COUNT = msgspec.json.Decoder(_CountRequest)
_EMBED = msgspec.json.Decoder(_EmbedRequests)
_WATCHED = frozenset(_CountRequest.__struct_fields__)
_TWICE = _spellings(_CountRequest)
_CONFIG_WATCHED = frozenset(_Config.__struct_fields__)
_CONFIG_TWICE = _spellings(_Config)


class Gemini:
    name: ClassVar[WireName] = "gemini"

    def read(self, body: bytes, *, model: str | None = None, stream: bool = False, ours: bool = False) -> Call:
        if (call := _plain_call(body, named(model), stream, ours)) is not None:
            return call
        wire = decode(_REQUEST, body)
        if not ours:
            _unique(body)
        return _call(wire, "generate", self.name, named(model), stream, len(body))

    def patch(self, body: bytes, call: Call, *, model: str) -> bytes:
        """The model stands in the path."""
        return body

    def decoder(self, *, stream: bool, call: Call) -> Decoder:
        return GeminiStream(call.model) if stream else GeminiBody(call.model)

    def report(self, body: bytes) -> Report | None:
        return report(body)


class GeminiCount(Gemini):
    name = "gemini_count"

    def read(self, body: bytes, *, model: str | None = None, stream: bool = False, ours: bool = False) -> Call:
        wire = decode(_COUNT, body)
        _unique(body)
        inner = wire.generateContentRequest or wire.generate_content_request or wire
        return _call(inner, "count_tokens", self.name, named(model), False, len(body))

    def decoder(self, *, stream: bool, call: Call) -> Decoder:
        return CountBody()

    def report(self, body: bytes) -> Report | None:
        return None


class GeminiEmbed(Gemini):
    """embedContent and batchEmbedContents."""

    name = "gemini_embed"

    def read(self, body: bytes, *, model: str | None = None, stream: bool = False, ours: bool = False) -> Call:
        wire = decode(_EMBED, body)
        once(body, frozenset({"content", "requests"}))
        prompt = _PromptReader()
        for request in (wire, *(wire.requests or ())):
            prompt.contents(request.content)
        return Call(
            operation="embeddings",
            dialect=self.name,
            model=named(model),
            prompt=prompt.prompt(),
            prompt_bytes=len(body),
            choices=len(wire.requests or ()) or 1,
        )

    def decoder(self, *, stream: bool, call: Call) -> Decoder:
        return EmbeddingBody()

    def report(self, body: bytes) -> Report | None:
        return None


def _unique(body: bytes) -> None:
    top = once(body, _WATCHED)
    single(top, *_TWICE)
    for name in ("generationConfig", "generation_config"):
        if name in top and top[name] != ABSENT:
            single(once(top[name], _CONFIG_WATCHED, within=name), *_CONFIG_TWICE)


def _plain_call(body: bytes, model: str, stream: bool, ours: bool) -> Call | None:
    """Of a usual request; None: it is to be read in full."""
    wire = plain(_PLAIN, body, ours=ours)
    if wire is None:
        return None
    config: _PlainConfig | None = _NO_CONFIG
    if given(wire.generationConfig):
        config = plain(_PLAIN_CONFIG, bytes(wire.generationConfig), ours=ours)
    if config is None:
        return None
    contents = wire.contents if wire.systemInstruction is None else [wire.systemInstruction, *wire.contents]
    return Call(
        operation="generate",
        dialect="gemini",
        model=model,
        stream=stream,
        prompt=Prompt(len(contents), tuple([part.text for content in contents for part in content.parts])),
        plain=True,
        prompt_bytes=len(body),
        output_tokens_max=config.maxOutputTokens,
    )


def _call(wire: _Request, operation: Operation, dialect: WireName, model: str, stream: bool, size: int) -> Call:
    config = wire.generationConfig or wire.generation_config or _Config()
    prompt = _PromptReader()
    prompt.contents(wire.systemInstruction or wire.system_instruction)
    prompt.contents(wire.contents)
    for schema in (
        config.responseSchema,
        config.response_schema,
        config.responseJsonSchema,
        config.response_json_schema,
    ):
        if given(schema):
            prompt.texts.append(compact(schema))
    tools = wire.tools if isinstance(wire.tools, list) else [wire.tools] if wire.tools else []
    declared = [raw for t in tools for raw in (t.functionDeclarations, t.function_declarations) if given(raw)]
    choice = wire.toolConfig or wire.tool_config or _ToolConfig()
    calling = choice.functionCallingConfig or choice.function_calling_config or _FunctionCalling()
    cached = wire.cachedContent or wire.cached_content
    if cached:
        prompt.references.append(cached)
    for raw in (raw for tool in tools for raw in (tool.fileSearch, tool.file_search) if given(raw)):
        stores = decode(_STORES, raw)
        prompt.references += [*stores.fileSearchStoreNames, *stores.file_search_store_names]
    modalities = config.responseModalities or config.response_modalities or ()
    candidates = either(
        whole("generationConfig.candidateCount", config.candidateCount, least=1, most=CHOICES_MAX),
        whole("generation_config.candidate_count", config.candidate_count, least=1, most=CHOICES_MAX),
    )
    return Call(
        operation=operation,
        dialect=dialect,
        model=model,
        stream=stream,
        prompt=prompt.prompt("".join(map(compact, declared)), forced=(calling.mode or "").upper() == "ANY"),
        prompt_bytes=size,
        output_tokens_max=either(
            whole("generationConfig.maxOutputTokens", config.maxOutputTokens),
            whole("generation_config.max_output_tokens", config.max_output_tokens),
        ),
        choices=candidates or 1,
        service_tier=wire.serviceTier or wire.service_tier or "",
        server_tools=tuple(
            ServerTool(kind, options=(("type", name),))
            for tool in tools
            for name, kind in _SERVER_TOOLS.items()
            if given(getattr(tool, name))
        ),
        output_modalities=tuple(m.lower() for m in modalities if m.lower() not in ("text", "modality_unspecified")),
        media_resolution=config.mediaResolution or config.media_resolution or "",
        item_references=tuple(prompt.references),
    )


class _PromptReader:
    def __init__(self) -> None:
        self.messages = 0
        self.texts: list[str] = []
        self.media: list[MediaInput] = []
        self.references: list[str] = []

    def prompt(self, tools: str = "", *, forced: bool = False) -> Prompt:
        return Prompt(
            messages=self.messages,
            texts=tuple(self.texts),
            tools=tools,
            tool_enum_items=enum_items(tools),
            tool_choice_forced=forced,
            media=tuple(self.media),
        )

    def contents(self, contents: list[_Content] | _Content | str | None) -> None:
        if isinstance(contents, str):
            self.messages += 1
            self.texts.append(contents)
        elif isinstance(contents, _Content):
            self.messages += 1
            self.parts(contents.parts)
        else:
            for content in contents or ():
                self.contents(content)

    def parts(self, parts: list[_Part] | _Part | None) -> None:
        for part in [parts] if isinstance(parts, _Part) else parts or ():
            self.part(part)

    def part(self, part: _Part) -> None:
        if part.text is not None:
            self.texts.append(part.text)
            return
        resolution = part.mediaResolution or part.media_resolution or ""
        detail = str(resolution.get("level") or "") if isinstance(resolution, dict) else resolution
        if blob := part.inlineData or part.inline_data:
            self.medium(blob.data or "", blob.mimeType or blob.mime_type or "", detail)
        elif file := part.fileData or part.file_data:
            address = file.fileUri or file.file_uri or ""
            if address.startswith("files/") or ("/files/" in address and "googleapis.com" in address):
                self.references.append(address)
            self.medium("", file.mimeType or file.mime_type or "", detail)
        elif answer := part.functionResponse or part.function_response:
            response = "" if answer.response == ABSENT else compact(answer.response)
            self.texts.append(f'{{"name":"{answer.name or ""}","response":{response}}}')
            self.parts(answer.parts)
        else:
            for name in _JSON_PARTS:
                raw = getattr(part, name)
                if given(raw):
                    self.texts.append(compact(raw))

    def medium(self, data: str, media_type: str, detail: str) -> None:
        family = media_type.partition("/")[0].lower()
        if family == "image":
            self.media.append(ImageInput(data, detail))
        elif family == "audio":
            self.media.append(AudioInput(data, media_type))
        elif family == "video":
            self.media.append(VideoInput(data, media_type))
        else:
            self.media.append(DocumentInput(data, media_type))
