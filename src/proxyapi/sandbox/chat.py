"""OpenAI Chat Completions, as OpenAI, OpenRouter and DeepSeek answer it.

The body is made first; the chunks of a stream are made from the body, so the two cannot disagree.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Literal

from proxyapi.sandbox import sounds
from proxyapi.sandbox.reading import (
    MISSING,
    JsonObject,
    Refused,
    as_int,
    as_list,
    as_object,
    as_objects,
    as_strings,
    as_text,
    encode_text,
)
from proxyapi.sandbox.reply import Reply, data_event, event_stream, json_reply
from proxyapi.sandbox.request import Request, cached_tokens, reasons
from proxyapi.sandbox.script import Script, pieces, write
from proxyapi.sandbox.turn import Prompt, Result, Tool, Turn, asked_text

Flavour = Literal["openai", "openrouter", "deepseek"]

DONE = b"data: [DONE]\n\n"
CHOICES_MAX = 128
_PROCESSING = b": OPENROUTER PROCESSING\n\n"
_AUDIO_TOKENS_PER_SECOND = 20
_ENDS = {"end": "stop", "stop": "stop", "length": "length", "tool": "tool_calls"}
_PROMPT_NANOS_PER_TOKEN, _OUTPUT_NANOS_PER_TOKEN = 150, 600
"""What the sandbox reports as OpenRouter's cost: gpt-4o-mini's prices, in 10^-9 USD."""


def flavour_of(provider: str) -> Flavour:
    return "openrouter" if provider == "openrouter" else "deepseek" if provider == "deepseek" else "openai"


def reply(request: Request) -> Reply:
    """Answers `chat/completions`."""
    body, flavour = request.body, flavour_of(request.provider)
    request.required_model()
    turn = read(request)
    choices = as_int(body.get("n")) or 1
    if not 1 <= choices <= CHOICES_MAX:
        raise Refused(400, f"Invalid 'n': expected a value between 1 and {CHOICES_MAX}.", param="n")
    scripts = [write(turn, request.count, choice=at) for at in range(choices)]
    completion = _completion(request, turn, scripts, flavour)
    if body.get("stream") is not True:
        return json_reply(completion)
    asked = flavour == "openrouter" or as_object(body.get("stream_options")).get("include_usage") is True
    return event_stream(_chunks(completion, flavour, usage_asked=asked), tail=DONE)


def read(request: Request) -> Turn:
    """The turn of a chat request. Refused(400) names the field that is wrong."""
    body = request.body
    messages = as_objects(body.get("messages"))
    if not messages:
        raise Refused(400, "Missing required parameter: 'messages'.", param="messages", code=MISSING)
    prompt = Prompt(request.count)
    asked, names, results = "", {}, list[Result]()
    for message in messages:
        texts = _content(message.get("content"), prompt)
        prompt.message("\n".join(texts))
        match message.get("role"):
            case "user":
                asked, results = texts[-1] if texts else "", []
            case "assistant":
                results = []
                for call in as_objects(message.get("tool_calls")):
                    function = as_object(call.get("function")) or as_object(call.get("custom"))
                    names[as_text(call.get("id"))] = as_text(function.get("name"))
                    prompt.text(encode_text(function))
            case "tool" | "function":
                name = names.get(as_text(message.get("tool_call_id"))) or as_text(message.get("name"), "tool")
                results.append(Result(name, "\n".join(texts)))
            case "system" | "developer":
                pass
            case role:
                raise Refused(400, f"Invalid value: {role!r}.", param="messages[].role", code="invalid_value")
    prompt.text(encode_text(body["tools"]) if body.get("tools") else "")
    schema = _schema(as_object(body.get("response_format")))
    search = "search-preview" in request.model or "search-api" in request.model or "web_search_options" in body
    effort = body.get("reasoning_effort") or as_object(body.get("reasoning")).get("effort")
    switch = as_object(body.get("thinking")).get("type")
    thinks = reasons(request.model) or bool(effort) or body.get("include_reasoning") is True or switch == "enabled"
    return Turn(
        model=request.model,
        asked=asked_text(asked),
        prompt_tokens=prompt.tokens,
        pictures=prompt.pictures,
        results=tuple(results),
        tools=_tools(body),
        choice=_choice(body.get("tool_choice") or body.get("function_call")),
        parallel=body.get("parallel_tool_calls") is True,
        schema=schema,
        thinks=thinks and effort not in ("none", "minimal") and switch != "disabled",
        search="inline" if search else "",
        output_tokens_max=as_int(body.get("max_completion_tokens")) or as_int(body.get("max_tokens")),
        stop=as_strings(body.get("stop")),
        magic=request.magic,
    )


def _content(content: object, prompt: Prompt) -> list[str]:
    """The texts of a message; pictures are counted."""
    if isinstance(content, str):
        return [content]
    texts = []
    for part in as_list(content):
        if isinstance(part, str):
            texts.append(part)
            continue
        item = as_object(part)
        if item.get("type") == "image_url":
            prompt.picture()
        text = item.get("text") or item.get("refusal")
        if isinstance(text, str):
            texts.append(text)
    return texts


def _tools(body: JsonObject) -> tuple[Tool, ...]:
    tools = []
    for entry in as_objects(body.get("tools")):
        custom = entry.get("type") == "custom"
        function = as_object(entry.get("custom" if custom else "function"))
        if name := as_text(function.get("name")):
            tools.append(Tool(name, as_object(function.get("parameters")), custom))
    for function in as_objects(body.get("functions")):
        tools.append(Tool(as_text(function.get("name")), as_object(function.get("parameters"))))
    return tuple(tools)


def _choice(choice: object) -> str:
    if isinstance(choice, str):
        return "required" if choice == "any" else choice
    entry = as_object(choice)
    if not entry:
        return "auto"
    if entry.get("type") == "allowed_tools":
        return as_text(as_object(entry.get("allowed_tools")).get("mode"), "auto")
    named = as_object(entry.get("function")) or as_object(entry.get("custom")) or entry
    return as_text(named.get("name"), "required")


def _schema(response_format: JsonObject) -> JsonObject | None:
    match response_format.get("type"):
        case "json_schema":
            return as_object(as_object(response_format.get("json_schema")).get("schema"))
        case "json_object":
            return {}
        case _:
            return None


def _completion(request: Request, turn: Turn, scripts: list[Script], flavour: Flavour) -> JsonObject:
    body, ids = request.body, request.ids
    legacy = "functions" in body and "tools" not in body
    prefix = "gen-1750000000-" if flavour == "openrouter" else "chatcmpl-"
    completion: JsonObject = {
        "id": prefix + ids.word("reply", 20 if flavour == "openrouter" else 29),
        "object": "chat.completion",
        "created": ids.created_at,
        "model": request.model,
        "choices": [_choice_object(request, script, at, flavour, legacy) for at, script in enumerate(scripts)],
    }
    if flavour == "openrouter":
        completion["provider"] = "Sandbox"
    if flavour == "openai":
        tier = as_text(body.get("service_tier"), "auto")
        completion["service_tier"] = "default" if tier == "auto" else tier
    completion["system_fingerprint"] = "fp_" + ids.hex("fingerprint", 10)
    if turn.magic.kind != "nousage":
        completion["usage"] = _usage(request, turn, scripts, flavour)
    return completion


def _choice_object(request: Request, script: Script, at: int, flavour: Flavour, legacy: bool) -> JsonObject:
    body = request.body
    message: JsonObject = {"role": "assistant", "content": script.text if not script.calls else None, "refusal": None}
    if flavour == "deepseek":
        del message["refusal"]
        message["content"] = script.text
        if script.thoughts:
            message["reasoning_content"] = script.thoughts
    if flavour == "openrouter" and script.thoughts and as_object(body.get("reasoning")).get("exclude") is not True:
        message["reasoning"] = script.thoughts
        message["reasoning_details"] = [
            {"type": "reasoning.text", "text": script.thoughts, "format": "unknown", "index": 0}
        ]
    if flavour == "openai":
        message["annotations"] = [
            {
                "type": "url_citation",
                "url_citation": {
                    "end_index": citation.end,
                    "start_index": citation.start,
                    "title": citation.source.title,
                    "url": citation.source.url,
                },
            }
            for citation in script.citations
        ]
    if "audio" in as_strings(body.get("modalities")) and not script.calls:
        message["content"] = None
        message["audio"] = _audio(request, script, at)
    if script.calls and legacy:
        call = script.calls[0]
        message["function_call"] = {"name": call.tool.name, "arguments": encode_text(call.arguments)}
    elif script.calls:
        message["tool_calls"] = [_call(request, script, at, number) for number in range(len(script.calls))]
    finish = "function_call" if script.calls and legacy else _ENDS[script.end]
    choice: JsonObject = {"index": at, "message": message, "logprobs": None, "finish_reason": finish}
    if body.get("logprobs") is True and not script.calls:
        top = as_int(body.get("top_logprobs")) or 0
        choice["logprobs"] = {"content": [_logprob(word, top) for word in pieces(script.text)], "refusal": None}
    if flavour == "openrouter":
        choice["native_finish_reason"] = finish
    return choice


def _call(request: Request, script: Script, choice: int, number: int) -> JsonObject:
    call = script.calls[number]
    head: JsonObject = {"id": "call_" + request.ids.word(f"call {choice} {number}", 24)}
    if call.tool.custom:
        return {**head, "type": "custom", "custom": {"name": call.tool.name, "input": call.arguments["input"]}}
    return {
        **head,
        "type": "function",
        "function": {"name": call.tool.name, "arguments": encode_text(call.arguments)},
    }


def _audio(request: Request, script: Script, choice: int) -> JsonObject:
    kind = as_text(as_object(request.body.get("audio")).get("format"), "wav")
    kind = "pcm" if kind == "pcm16" else kind
    if kind not in sounds.FORMATS:
        raise Refused(400, f"Invalid value: '{kind}'.", param="audio.format", code="invalid_value")
    data = b"".join(sounds.speak(kind, sounds.seconds_of(script.text)))
    return {
        "id": "audio_" + request.ids.hex(f"audio {choice}", 24),
        "data": base64.b64encode(data).decode(),
        "expires_at": request.ids.created_at + 3_600,
        "transcript": script.text,
    }


def _logprob(word: str, top: int) -> JsonObject:
    entry: JsonObject = {"token": word, "logprob": -0.125, "bytes": list(word.encode())}
    others = [{**entry, "logprob": -0.125 - at} for at in range(top)]
    return {**entry, "top_logprobs": others}


def _usage(request: Request, turn: Turn, scripts: list[Script], flavour: Flavour) -> JsonObject:
    output = sum(script.output_tokens for script in scripts)
    reasoning = sum(script.thought_tokens for script in scripts)
    audio = 0
    if "audio" in as_strings(request.body.get("modalities")):
        audio = sum(int(sounds.seconds_of(script.text) * _AUDIO_TOKENS_PER_SECOND) for script in scripts)
    cached = cached_tokens(turn.prompt_tokens)
    usage: JsonObject = {
        "prompt_tokens": turn.prompt_tokens,
        "completion_tokens": output + audio,
        "total_tokens": turn.prompt_tokens + output + audio,
    }
    if flavour == "deepseek":
        usage["prompt_tokens_details"] = {"cached_tokens": cached}
        if reasoning:
            usage["completion_tokens_details"] = {"reasoning_tokens": reasoning}
        usage["prompt_cache_hit_tokens"] = cached
        usage["prompt_cache_miss_tokens"] = turn.prompt_tokens - cached
        return usage
    usage["prompt_tokens_details"] = {"cached_tokens": cached, "audio_tokens": 0}
    usage["completion_tokens_details"] = {
        "reasoning_tokens": reasoning,
        "audio_tokens": audio,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    }
    if flavour == "openrouter":
        prompt = turn.prompt_tokens * _PROMPT_NANOS_PER_TOKEN
        completion = output * _OUTPUT_NANOS_PER_TOKEN
        usage["cost"] = (prompt + completion) / 1e9
        usage["is_byok"] = False
        usage["cost_details"] = {
            "upstream_inference_cost": None,
            "upstream_inference_prompt_cost": prompt / 1e9,
            "upstream_inference_completions_cost": completion / 1e9,
        }
    return usage


def _chunks(completion: JsonObject, flavour: Flavour, *, usage_asked: bool) -> Iterator[bytes]:
    usage = completion.get("usage")
    head = {**completion, "object": "chat.completion.chunk"}
    del head["choices"]
    head.pop("usage", None)
    first = _PROCESSING if flavour == "openrouter" else b""

    def chunk(choices: list[JsonObject], used: object = None) -> bytes:
        nonlocal first
        value: JsonObject = {**head, "choices": choices}
        if used is not None or (usage_asked and flavour != "openrouter"):
            value["usage"] = used
        event, first = first + data_event(value), b""
        return event

    finishes: list[JsonObject] = []
    for choice in as_objects(completion["choices"]):
        at, logprobs = choice["index"], as_objects(as_object(choice.get("logprobs")).get("content"))
        for number, delta in enumerate(_deltas(as_object(choice["message"]))):
            said: JsonObject | None = None
            if logprobs and 0 < number <= len(logprobs):
                said = {"content": [logprobs[number - 1]], "refusal": None}
            yield chunk([{"index": at, "delta": delta, "logprobs": said, "finish_reason": None}])
        finish: JsonObject = {"index": at, "delta": {}, "logprobs": None, "finish_reason": choice["finish_reason"]}
        if flavour == "openrouter":
            finish["delta"] = {"role": "assistant", "content": ""}
            finish["native_finish_reason"] = finish["finish_reason"]
        finishes.append(finish)
    for number, finish in enumerate(finishes):
        last = number == len(finishes) - 1
        yield chunk([finish], usage if last and usage_asked and flavour == "deepseek" else None)
    if usage is not None and usage_asked and flavour != "deepseek":
        yield chunk(finishes[-1:] if flavour == "openrouter" else [], usage)


def _deltas(message: JsonObject) -> Iterator[JsonObject]:
    calls = as_objects(message.get("tool_calls"))
    start: JsonObject = {"role": "assistant", "content": None if calls else ""}
    if "refusal" in message:
        start["refusal"] = None
    yield start
    for name in ("reasoning_content", "reasoning"):
        for word in pieces(as_text(message.get(name))):
            yield {name: word}
    text = as_text(message.get("content"))
    for word in pieces(text, json=text.startswith(("{", "["))):
        yield {"content": word}
    if annotations := message.get("annotations"):
        yield {"annotations": annotations}
    if audio := as_object(message.get("audio")):
        yield {"audio": {"id": audio["id"], "transcript": ""}}
        for word in pieces(as_text(audio["transcript"])):
            yield {"audio": {"transcript": word}}
        yield {"audio": {"data": audio["data"]}}
        yield {"audio": {"expires_at": audio["expires_at"]}}
    if function := as_object(message.get("function_call")):
        yield {"function_call": {"name": function["name"], "arguments": ""}}
        for word in pieces(as_text(function["arguments"]), json=True):
            yield {"function_call": {"arguments": word}}
    for index, call in enumerate(calls):
        kind = "custom" if call["type"] == "custom" else "function"
        inner, field = as_object(call[kind]), "input" if kind == "custom" else "arguments"
        yield {"tool_calls": [{"index": index, **call, kind: {"name": inner["name"], field: ""}}]}
        for word in pieces(as_text(inner[field]), json=True):
            yield {"tool_calls": [{"index": index, kind: {field: word}}]}
