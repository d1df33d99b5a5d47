"""Gemini `generateContent`, `streamGenerateContent` and `countTokens`; every field in both of its spellings."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

from proxyapi.sandbox import sounds
from proxyapi.sandbox.pictures import Colour, draw
from proxyapi.sandbox.reading import (
    JsonObject,
    Refused,
    as_int,
    as_object,
    as_objects,
    as_strings,
    as_text,
    either,
    encode,
    encode_text,
)
from proxyapi.sandbox.reply import JSON, Reply, event_stream, json_reply
from proxyapi.sandbox.request import Request
from proxyapi.sandbox.script import SOURCES, Script, pieces, write
from proxyapi.sandbox.turn import Prompt, Result, Tool, Turn, asked_text, bare, wants_search

_CANDIDATES_MAX = 8
_TOKENS_PER_PICTURE = 258
_TOKENS_PER_DRAWN_PICTURE = 1_290
_AUDIO_TOKENS_PER_SECOND = 25
_PICTURE_SIDE = 1_024
_THINKING = re.compile(r"gemini-(2\.5-(pro|flash(?!-lite))|[3-9])")
_SEARCHES = ("googleSearch", "google_search", "googleSearchRetrieval", "google_search_retrieval")


def reply(request: Request) -> Reply:
    """Answers `models/{model}:{method}` of the three methods."""
    body = request.body
    if request.path.endswith(":countTokens"):
        inner = as_object(either(body, "generateContentRequest", "generate_content_request"))
        turn = _read(request, inner or body)
        return json_reply({"totalTokens": turn.prompt_tokens, "promptTokensDetails": _details(turn)})
    turn = _read(request, body)
    config = as_object(either(body, "generationConfig", "generation_config"))
    candidates = as_int(either(config, "candidateCount", "candidate_count")) or 1
    if not 1 <= candidates <= _CANDIDATES_MAX:
        raise Refused(400, f"* GenerationConfig.candidate_count: must be 1 to {_CANDIDATES_MAX}")
    scripts = [write(turn, request.count, choice=at) for at in range(candidates)]
    answer = _answer(request, turn, scripts, config)
    if not request.path.endswith(":streamGenerateContent"):
        return json_reply(answer)
    chunks = [encode(chunk) for chunk in _chunks(answer)]
    if request.query.get("alt") == "sse":
        return event_stream(b"data: " + chunk + b"\r\n\r\n" for chunk in chunks)
    array = [(b",\r\n" if at else b"[") + chunk for at, chunk in enumerate(chunks)]
    return Reply(status=200, content_type=JSON, pieces=tuple(array), stream=True, tail=b"]")


# ---- reading


def _read(request: Request, body: JsonObject) -> Turn:
    prompt = Prompt(request.count, tokens_per_picture=_TOKENS_PER_PICTURE)
    contents = body.get("contents")
    if isinstance(contents, str):
        turns: list[JsonObject] = [{"role": "user", "parts": [{"text": contents}]}]
    else:
        turns = as_objects([contents] if isinstance(contents, dict) else contents)
    if not turns:
        raise Refused(400, "* GenerateContentRequest.contents: contents is not specified")
    asked, results = "", list[Result]()
    for content in turns:
        prompt.message()
        results = []
        for part in _parts(content):
            text = as_text(part.get("text"))
            prompt.text(text)
            if text and content.get("role", "user") == "user":
                asked = text
            if either(part, "inlineData", "inline_data", "fileData", "file_data"):
                prompt.picture()
            for name in ("functionCall", "function_call"):
                prompt.text(encode_text(part[name]) if name in part else "")
            if response := as_object(either(part, "functionResponse", "function_response")):
                value = encode_text(response.get("response"))
                prompt.text(value)
                results.append(Result(as_text(response.get("name"), "tool"), value))
    system = as_object(either(body, "systemInstruction", "system_instruction"))
    prompt.text(*(as_text(part.get("text")) for part in _parts(system)))
    tools = as_objects(body.get("tools"))
    prompt.text(encode_text(tools) if tools else "")
    functions = _tools(tools)
    choice = _choice(body)
    search = any(name in tool for tool in tools for name in _SEARCHES) and (not functions or wants_search(asked))
    config = as_object(either(body, "generationConfig", "generation_config"))
    thinking = as_object(either(config, "thinkingConfig", "thinking_config"))
    budget = as_int(either(thinking, "thinkingBudget", "thinking_budget"))
    return Turn(
        model=request.model,
        asked=asked_text(asked),
        prompt_tokens=prompt.tokens,
        pictures=prompt.pictures,
        results=tuple(results),
        tools=functions,
        choice=choice,
        schema=_schema(config),
        thinks=(_THINKING.match(bare(request.model)) is not None or bool(thinking)) and budget != 0,
        search="block" if search and not results else "",
        output_tokens_max=as_int(either(config, "maxOutputTokens", "max_output_tokens")),
        stop=as_strings(either(config, "stopSequences", "stop_sequences")),
        magic=request.magic,
    )


def _parts(content: JsonObject) -> list[JsonObject]:
    """`parts` may be a list or one part."""
    parts = content.get("parts")
    return as_objects([parts] if isinstance(parts, dict) else parts)


def _tools(tools: list[JsonObject]) -> tuple[Tool, ...]:
    found = []
    for tool in tools:
        for declared in as_objects(either(tool, "functionDeclarations", "function_declarations")):
            schema = either(declared, "parametersJsonSchema", "parameters_json_schema", "parameters")
            found.append(Tool(as_text(declared.get("name")), as_object(schema)))
    return tuple(found)


def _choice(body: JsonObject) -> str:
    config = as_object(either(body, "toolConfig", "tool_config"))
    calling = as_object(either(config, "functionCallingConfig", "function_calling_config"))
    match as_text(calling.get("mode")).upper():
        case "ANY":
            names = as_strings(either(calling, "allowedFunctionNames", "allowed_function_names"))
            return names[0] if names else "required"
        case "NONE":
            return "none"
        case _:
            return "auto"


def _schema(config: JsonObject) -> JsonObject | None:
    kind = as_text(either(config, "responseMimeType", "response_mime_type"))
    schema = either(config, "responseJsonSchema", "response_json_schema", "responseSchema", "response_schema")
    if kind == "application/json" or schema is not None:
        return as_object(schema)
    return None


def _details(turn: Turn) -> list[JsonObject]:
    pictures = turn.pictures * _TOKENS_PER_PICTURE
    details: list[JsonObject] = [{"modality": "TEXT", "tokenCount": turn.prompt_tokens - pictures}]
    if pictures:
        details.append({"modality": "IMAGE", "tokenCount": pictures})
    return details


# ---- answering


def _answer(request: Request, turn: Turn, scripts: list[Script], config: JsonObject) -> JsonObject:
    modalities = [word.upper() for word in as_strings(either(config, "responseModalities", "response_modalities"))]
    thinking = as_object(either(config, "thinkingConfig", "thinking_config"))
    shown = either(thinking, "includeThoughts", "include_thoughts")
    candidates = []
    for at, script in enumerate(scripts):
        content: JsonObject = {"role": "model"}
        if parts := _said(request, script, at, modalities, shown=shown is True):
            content = {"parts": parts, "role": "model"}
        candidate: JsonObject = {
            "content": content,
            "finishReason": "MAX_TOKENS" if script.end == "length" else "STOP",
            "index": at,
        }
        if script.query:
            candidate["groundingMetadata"] = _grounding(script)
        candidates.append(candidate)
    answer: JsonObject = {"candidates": candidates}
    if turn.magic.kind != "nousage":
        answer["usageMetadata"] = _usage(request, turn, scripts, modalities)
    return {**answer, "modelVersion": bare(request.model), "responseId": request.ids.word("reply", 23)}


def _said(request: Request, script: Script, at: int, modalities: list[str], *, shown: bool) -> list[JsonObject]:
    signature = request.ids.opaque(f"signature {at}", 180) if script.thoughts else ""
    parts: list[JsonObject] = []
    if script.thoughts and shown:
        parts.append({"text": script.thoughts, "thought": True})
    if "AUDIO" in modalities:
        data = b"".join(sounds.speak("pcm", sounds.seconds_of(script.text)))
        inline: JsonObject = {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": base64.b64encode(data).decode()}
        return [*parts, {"inlineData": inline}]
    if script.text:
        parts.append({"text": script.text})
        if signature and shown:
            parts[-1]["thoughtSignature"] = signature
    for number, call in enumerate(script.calls):
        function: JsonObject = {"name": call.tool.name, "args": call.arguments}
        if bare(request.model).startswith("gemini-3"):
            function["id"] = request.ids.word(f"call {at} {number}", 8)
        part: JsonObject = {"functionCall": function}
        if signature and number == 0:
            part["thoughtSignature"] = signature
        parts.append(part)
    if "IMAGE" in modalities:
        number = request.ids.number(f"colour {at}", 1 << 24)
        colour = Colour(number >> 16, number >> 8 & 255, number & 255)
        picture = draw("png", _PICTURE_SIDE, _PICTURE_SIDE, colour)
        parts.append({"inlineData": {"mimeType": "image/png", "data": base64.b64encode(picture).decode()}})
    return parts


def _grounding(script: Script) -> JsonObject:
    chunks = [{"web": {"uri": source.url, "title": source.title}} for source in SOURCES]
    supports = [
        {
            "segment": {
                "startIndex": len(script.text[: citation.start].encode()),
                "endIndex": len(script.text[: citation.end].encode()),
                "text": script.text[citation.start : citation.end],
            },
            "groundingChunkIndices": [0],
        }
        for citation in script.citations
    ]
    return {
        "searchEntryPoint": {"renderedContent": '<div class="container"><a class="chip">sandbox</a></div>'},
        "groundingChunks": chunks,
        "groundingSupports": supports,
        "webSearchQueries": [script.query],
    }


def _usage(request: Request, turn: Turn, scripts: list[Script], modalities: list[str]) -> JsonObject:
    thoughts = sum(script.thought_tokens for script in scripts)
    text = sum(script.output_tokens for script in scripts) - thoughts
    details: list[JsonObject] = []
    if "AUDIO" in modalities:
        text = sum(int(sounds.seconds_of(script.text) * _AUDIO_TOKENS_PER_SECOND) for script in scripts)
        details.append({"modality": "AUDIO", "tokenCount": text})
    if "IMAGE" in modalities:
        drawn = _TOKENS_PER_DRAWN_PICTURE * len(scripts)
        details.append({"modality": "IMAGE", "tokenCount": drawn})
        text += drawn
    usage: JsonObject = {"promptTokenCount": turn.prompt_tokens, "candidatesTokenCount": text}
    if cached := either(request.body, "cachedContent", "cached_content"):
        usage["cachedContentTokenCount"] = min(turn.prompt_tokens, request.count(str(cached)))
    usage["totalTokenCount"] = turn.prompt_tokens + text + thoughts
    usage["promptTokensDetails"] = _details(turn)
    if details:
        usage["candidatesTokensDetails"] = details
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    return usage


def _chunks(answer: JsonObject) -> Iterator[JsonObject]:
    """A whole response object for each word or so; the reason to stop and the full usage come with the last."""
    usage = as_object(answer.get("usageMetadata"))
    rest = {name: answer[name] for name in ("modelVersion", "responseId")}
    early: JsonObject = {}
    if usage:
        known = {name: usage[name] for name in ("promptTokenCount", "promptTokensDetails")}
        early = {"usageMetadata": {**known, "totalTokenCount": usage["promptTokenCount"]}}
    late: JsonObject = {"usageMetadata": usage} if usage else {}
    candidates = as_objects(answer["candidates"])
    for number, candidate in enumerate(candidates):
        parts = [part for whole in _parts(as_object(candidate["content"])) for part in _pieces(whole)]
        for part in parts[:-1]:
            content: JsonObject = {"parts": [part], "role": "model"}
            yield {"candidates": [{"content": content, "index": candidate["index"]}], **early, **rest}
        last: JsonObject = {"role": "model"}
        if parts:
            last = {"parts": parts[-1:], "role": "model"}
        used = late if number == len(candidates) - 1 else early
        yield {"candidates": [{**candidate, "content": last}], **used, **rest}


def _pieces(part: JsonObject) -> list[JsonObject]:
    text = as_text(part.get("text"))
    if not text:
        return [part]
    words = pieces(text, json=text.startswith(("{", "[")))
    head = {name: value for name, value in part.items() if name not in ("text", "thoughtSignature")}
    told: list[JsonObject] = [{**head, "text": word} for word in words]
    if "thoughtSignature" in part:
        told[-1]["thoughtSignature"] = part["thoughtSignature"]
    return told
