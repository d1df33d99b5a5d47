"""OpenAI Responses: text, reasoning, tool calls, web search, computer use; stored, so that a later request can refer.

A stored response has an id of its own for every request, as ids must not repeat between customers; with `store: false`
ids depend on the request only.
"""

from __future__ import annotations

from typing import NamedTuple

from proxyapi.sandbox.reading import (
    MISSING,
    Ids,
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
from proxyapi.sandbox.reply import Reply, event_stream, json_reply
from proxyapi.sandbox.request import Request, cached_tokens, reasons
from proxyapi.sandbox.response_events import events
from proxyapi.sandbox.script import Script, write
from proxyapi.sandbox.stored import Stored, StoredResponses
from proxyapi.sandbox.turn import Prompt, Result, Tool, Turn, asked_text, wants_search

_COMPUTERS = ("computer_use_preview", "computer", "computer_use")
_SAFETY_CHECK = {
    "code": "malicious_instructions",
    "message": "We've detected instructions that may cause your application to perform malicious or unauthorized "
    "actions. Please acknowledge this warning if you'd like to proceed.",
}
_CLICK = {"type": "click", "button": "left", "x": 156, "y": 50}
_NOTHING_DRAWN: JsonObject = {
    "image_gen": {
        "input_tokens": 0,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"image_tokens": 0, "text_tokens": 0},
        "total_tokens": 0,
    }
}
_PAGE_DEFAULT, _PAGE_MAX = 20, 100


class _Read(NamedTuple):
    turn: Turn
    items: list[JsonObject]
    """The input as a list of items, each with an id."""
    computer: bool
    """The answer is an action on the client's computer."""


def reply(request: Request, stored: StoredResponses) -> Reply:
    """Answers `responses` and everything below it."""
    path = request.path.removeprefix("responses").strip("/")
    if path == "input_tokens" and request.method == "POST":
        read = _read(request, stored, request.ids)
        return json_reply({"object": "response.input_tokens", "input_tokens": read.turn.prompt_tokens})
    if not path and request.method == "POST":
        return _create(request, stored)
    response_id, _, action = path.partition("/")
    kept = stored.get(response_id)
    if kept is None:
        raise Refused(404, f"Response with id '{response_id}' not found.", code="not_found")
    match request.method, action:
        case "GET", "":
            kept.waiting = False
            if request.query.get("stream") == "true":
                after = request.query.get("starting_after", "")
                return event_stream(events(kept.response, starting_after=int(after) if after.isdigit() else -1))
            return json_reply(kept.response)
        case "DELETE", "":
            stored.remove(response_id)
            return json_reply({"id": response_id, "object": "response", "deleted": True})
        case "POST", "cancel":
            return _cancel(kept)
        case "GET", "input_items":
            return _input_items(kept, request.query)
        case _:
            raise Refused(405, f"Not allowed to {request.method} on /v1/responses/{path}.")


def _create(request: Request, stored: StoredResponses) -> Reply:
    body = request.body
    request.required_model()
    keep = body.get("store") is not False
    ids = Ids(request.moment, encode_text(body).encode()) if keep else request.ids
    read = _read(request, stored, ids)
    script = write(read.turn, request.count)
    response = _response(request, read, script, ids, created_at=request.now if keep else ids.created_at)
    background = body.get("background") is True
    if keep:
        tokens = read.turn.prompt_tokens + script.output_tokens
        size = len(encode_text(body))
        stored.put(as_text(response["id"]), Stored(response, read.items, tokens, size, waiting=background))
    if body.get("stream") is True:
        return event_stream(events(response))
    if background:
        queued = {**response, "status": "queued", "output": [], "usage": None, "completed_at": None}
        return json_reply(queued)
    return json_reply(response)


def _cancel(kept: Stored) -> Reply:
    if kept.response["background"] is not True:
        raise Refused(400, "Cannot cancel a synchronous response.")
    if kept.waiting:
        kept.waiting = False
        kept.response = {**kept.response, "status": "cancelled", "output": [], "usage": None, "completed_at": None}
    return json_reply(kept.response)


def _input_items(kept: Stored, query: dict[str, str]) -> Reply:
    items = kept.input_items if query.get("order") == "asc" else kept.input_items[::-1]
    if after := query.get("after"):
        at = next((number for number, item in enumerate(items) if item.get("id") == after), len(items) - 1)
        items = items[at + 1 :]
    limit = int(query["limit"]) if query.get("limit", "").isdigit() else _PAGE_DEFAULT
    page = items[: max(1, min(limit, _PAGE_MAX))]
    return json_reply(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": len(page) < len(items),
        }
    )


# ---- reading


def _read(request: Request, stored: StoredResponses, ids: Ids) -> _Read:
    body = request.body
    prompt = Prompt(request.count)
    if previous_id := as_text(body.get("previous_response_id")):
        previous = stored.get(previous_id)
        if previous is None:
            message = f"Previous response with id '{previous_id}' not found."
            raise Refused(400, message, param="previous_response_id", code="previous_response_not_found")
        prompt.tokens += previous.context_tokens
        names = _names(as_objects(previous.response["output"]))
    else:
        names = {}
    value = body.get("input")
    items: list[JsonObject]
    if isinstance(value, str):
        items = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": value}]}]
    else:
        items = [{"type": "message", **item} for item in as_objects(value)]
    if not items and not previous_id and not body.get("prompt"):
        raise Refused(400, "Missing required parameter: 'input'.", param="input", code=MISSING)
    names.update(_names(items))
    asked, results, answered = _conversation(items, names, prompt)
    if instructions := as_text(body.get("instructions")):
        prompt.message(instructions)
    tools = as_objects(body.get("tools"))
    prompt.text(encode_text(tools) if tools else "")
    kinds = [as_text(tool.get("type")) for tool in tools]
    functions = _tools(tools)
    choice, hosted = _choice(body.get("tool_choice"))
    offered = any(kind.startswith("web_search") for kind in kinds) and choice != "none"
    search = offered and (hosted.startswith("web_search") or not functions or wants_search(asked))
    computer = any(kind in _COMPUTERS for kind in kinds) and choice != "none" and answered != "computer_call_output"
    reasoning = as_object(body.get("reasoning"))
    effort = reasoning.get("effort")
    turn = Turn(
        model=request.model,
        asked=asked_text(asked),
        prompt_tokens=prompt.tokens,
        pictures=prompt.pictures,
        results=tuple(results),
        tools=functions,
        choice="auto" if hosted else choice,
        parallel=body.get("parallel_tool_calls") is True,
        schema=_schema(as_object(as_object(body.get("text")).get("format"))),
        thinks=effort not in ("none", "minimal") and (reasons(request.model) or bool(reasoning)),
        search="inline" if search and not results else "",
        output_tokens_max=as_int(body.get("max_output_tokens")),
        magic=request.magic,
    )
    numbered = [{"id": "msg_" + ids.hex(f"input {at}", 48), **item} for at, item in enumerate(items)]
    return _Read(turn, numbered, computer and request.magic.kind != "echo")


def _names(items: list[JsonObject]) -> dict[str, str]:
    """Names of the tools that were called, by call id."""
    return {as_text(item.get("call_id")): as_text(item["name"]) for item in items if "name" in item}


def _conversation(items: list[JsonObject], names: dict[str, str], prompt: Prompt) -> tuple[str, list[Result], str]:
    """What was asked last, the tool results at the end, and the type of the last item."""
    asked, last = "", ""
    results: list[Result] = []
    for item in items:
        last = as_text(item["type"])
        if last == "message":
            texts = _texts(item.get("content"), prompt)
            prompt.message("\n".join(texts))
            if item.get("role") == "user":
                asked, results = texts[-1] if texts else "", []
        elif last.endswith("_output"):
            text = "\n".join(_texts(item.get("output"), prompt))
            prompt.message(text)
            name = names.get(as_text(item.get("call_id")), last.removesuffix("_call_output"))
            results.append(Result(name, text))
        elif last.endswith("_call"):
            prompt.text(encode_text(item))
            results = []
    return asked, results, last


def _texts(content: object, prompt: Prompt) -> list[str]:
    if isinstance(content, str):
        return [content]
    if isinstance(content, dict):
        content = [content]
    texts = []
    for part in as_objects(content):
        if part.get("type") in ("input_image", "computer_screenshot"):
            prompt.picture()
        text = part.get("text") or part.get("refusal")
        if isinstance(text, str):
            texts.append(text)
    return texts


def _tools(tools: list[JsonObject]) -> tuple[Tool, ...]:
    found = []
    for tool in tools:
        name = as_text(tool.get("name"))
        match tool.get("type"):
            case "function":
                found.append(Tool(name, as_object(tool.get("parameters"))))
            case "custom":
                found.append(Tool(name, {}, custom=True))
            case "namespace":
                found += [inner._replace(namespace=name) for inner in _tools(as_objects(tool.get("tools")))]
    return tuple(found)


def _choice(choice: object) -> tuple[str, str]:
    """The mode or the tool's name; and the type of the hosted tool that must be used."""
    if isinstance(choice, str):
        return choice, ""
    entry = as_object(choice)
    kind = as_text(entry.get("type"))
    if kind in ("function", "custom"):
        return as_text(entry.get("name"), "required"), ""
    if kind == "allowed_tools":
        return as_text(entry.get("mode"), "auto"), ""
    return "auto", kind


def _schema(wanted: JsonObject) -> JsonObject | None:
    match wanted.get("type"):
        case "json_schema":
            return as_object(wanted.get("schema"))
        case "json_object":
            return {}
        case _:
            return None


# ---- answering


def _response(request: Request, read: _Read, script: Script, ids: Ids, *, created_at: int) -> JsonObject:
    body = request.body
    length = script.end == "length"
    tier = as_text(body.get("service_tier"), "auto")
    reasoning = as_object(body.get("reasoning"))
    response: JsonObject = {
        "id": "resp_" + ids.hex("response", 50),
        "object": "response",
        "created_at": created_at,
        "status": "incomplete" if length else "completed",
        "background": body.get("background") is True,
        "completed_at": None if length else created_at + 1,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if length else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": body.get("max_tool_calls"),
        "metadata": as_object(body.get("metadata")),
        "model": request.model,
        "output": _output(request, read, script, ids),
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "previous_response_id": body.get("previous_response_id"),
        "prompt_cache_key": body.get("prompt_cache_key"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": _summary(reasoning)},
        "safety_identifier": body.get("safety_identifier"),
        "service_tier": "default" if tier == "auto" else tier,
        "store": body.get("store") is not False,
        "temperature": body.get("temperature", 1.0),
        "text": body.get("text") or {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": as_list(body.get("tools")),
        "top_logprobs": body.get("top_logprobs", 0),
        "top_p": body.get("top_p", 1.0),
        "truncation": body.get("truncation", "disabled"),
        "usage": None,
        "user": body.get("user"),
    }
    if "format" not in as_object(response["text"]):
        response["text"] = {"format": {"type": "text"}, **as_object(response["text"])}
    if request.magic.kind != "nousage":
        prompt_tokens = read.turn.prompt_tokens
        response["usage"] = {
            "input_tokens": prompt_tokens,
            "input_tokens_details": {"cached_tokens": cached_tokens(prompt_tokens), "cache_write_tokens": 0},
            "output_tokens": script.output_tokens,
            "output_tokens_details": {"reasoning_tokens": script.thought_tokens},
            "total_tokens": prompt_tokens + script.output_tokens,
        }
        response["tool_usage"] = {**_NOTHING_DRAWN, "web_search": {"num_requests": 1 if script.query else 0}}
    return response


def _summary(reasoning: JsonObject) -> object:
    """`generate_summary` is its older name."""
    return reasoning.get("summary") or reasoning.get("generate_summary")


def _output(request: Request, read: _Read, script: Script, ids: Ids) -> list[JsonObject]:
    include = as_strings(request.body.get("include"))
    output: list[JsonObject] = []
    if script.thoughts:
        item: JsonObject = {"id": "rs_" + ids.hex("reasoning", 50), "type": "reasoning", "summary": []}
        if _summary(as_object(request.body.get("reasoning"))):
            item["summary"] = [{"type": "summary_text", "text": script.thoughts}]
        if "reasoning.encrypted_content" in include:
            item["encrypted_content"] = "gAAAAA" + ids.opaque("encrypted", 300)
        output.append(item)
    if read.computer:
        check = {"id": "cu_sc_" + ids.hex("check", 50), **_SAFETY_CHECK}
        output.append(
            {
                "id": "cu_" + ids.hex("computer", 50),
                "type": "computer_call",
                "status": "completed",
                "call_id": "call_" + ids.word("computer call", 24),
                "action": _CLICK,
                "pending_safety_checks": [check],
            }
        )
        return output
    if script.query:
        action: JsonObject = {"type": "search", "query": script.query, "queries": [script.query]}
        if "web_search_call.action.sources" in include:
            action["sources"] = [{"type": "url", "url": citation.source.url} for citation in script.citations]
        output.append(
            {"id": "ws_" + ids.hex("search", 50), "type": "web_search_call", "status": "completed", "action": action}
        )
    for number, call in enumerate(script.calls):
        head: JsonObject = {"call_id": "call_" + ids.word(f"call {number}", 24), "name": call.tool.name}
        if call.tool.namespace:
            head["namespace"] = call.tool.namespace
        if call.tool.custom:
            kind: JsonObject = {"id": "ctc_" + ids.hex(f"call {number}", 50), "type": "custom_tool_call"}
            content: JsonObject = {"input": call.arguments["input"]}
        else:
            kind = {"id": "fc_" + ids.hex(f"call {number}", 50), "type": "function_call"}
            content = {"arguments": encode_text(call.arguments)}
        output.append({**kind, "status": "completed", **head, **content})
    if script.text or not output:
        output.append(_message(script, ids))
    return output


def _message(script: Script, ids: Ids) -> JsonObject:
    annotations = [
        {
            "type": "url_citation",
            "start_index": citation.start,
            "end_index": citation.end,
            "title": citation.source.title,
            "url": citation.source.url,
        }
        for citation in script.citations
    ]
    part: JsonObject = {"type": "output_text", "text": script.text, "annotations": annotations, "logprobs": []}
    return {
        "id": "msg_" + ids.hex("message", 50),
        "type": "message",
        "status": "incomplete" if script.end == "length" else "completed",
        "role": "assistant",
        "content": [part],
    }
