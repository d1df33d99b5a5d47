"""The events of a Responses stream, made of the response as it ends: complete, numbered, in the provider's order."""

from __future__ import annotations

from collections.abc import Iterator

from proxyapi.sandbox.reading import JsonObject, as_objects, as_text
from proxyapi.sandbox.reply import named_event
from proxyapi.sandbox.script import pieces

_ENDS = {"completed": "response.completed", "incomplete": "response.incomplete", "failed": "response.failed"}

Event = tuple[str, JsonObject]
"""The event's type and what is in it, without `type` and `sequence_number`."""


def events(response: JsonObject, *, starting_after: int = -1) -> Iterator[bytes]:
    """Every event with its number; those up to `starting_after` are left out."""
    for number, (name, fields) in enumerate(_sequence(response)):
        if number > starting_after:
            yield named_event(name, {"type": name, "sequence_number": number, **fields})


def _sequence(response: JsonObject) -> Iterator[Event]:
    begun = {**response, "status": "in_progress", "output": [], "usage": None, "completed_at": None}
    begun["incomplete_details"] = None
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}
    for index, item in enumerate(as_objects(response["output"])):
        match item["type"]:
            case "message":
                parts = _message(item, index)
            case "reasoning":
                parts = _reasoning(item, index)
            case "function_call":
                parts = _call(item, index, "arguments", "response.function_call_arguments")
            case "custom_tool_call":
                parts = _call(item, index, "input", "response.custom_tool_call_input")
            case "web_search_call":
                parts = _search(item, index)
            case _:
                parts = _whole(item, index)
        yield from parts
    yield _ENDS.get(as_text(response["status"]), "response.completed"), {"response": response}


def _added(item: JsonObject, index: int, **changed: object) -> Event:
    begun = {**item, **changed}
    if "status" in item:
        begun["status"] = "in_progress"
    return "response.output_item.added", {"output_index": index, "item": begun}


def _done(item: JsonObject, index: int) -> Event:
    return "response.output_item.done", {"output_index": index, "item": item}


def _whole(item: JsonObject, index: int) -> Iterator[Event]:
    yield _added(item, index)
    yield _done(item, index)


def _message(item: JsonObject, index: int) -> Iterator[Event]:
    yield _added(item, index, content=[])
    for at, part in enumerate(as_objects(item["content"])):
        place: JsonObject = {"item_id": item["id"], "output_index": index, "content_index": at}
        yield "response.content_part.added", {**place, "part": {**part, "text": "", "annotations": []}}
        text = as_text(part["text"])
        for word in pieces(text, json=text.startswith(("{", "["))):
            yield "response.output_text.delta", {**place, "delta": word, "logprobs": []}
        for number, annotation in enumerate(as_objects(part["annotations"])):
            added = {**place, "annotation_index": number, "annotation": annotation}
            yield "response.output_text.annotation.added", added
        yield "response.output_text.done", {**place, "text": text, "logprobs": []}
        yield "response.content_part.done", {**place, "part": part}
    yield _done(item, index)


def _reasoning(item: JsonObject, index: int) -> Iterator[Event]:
    yield _added(item, index, summary=[])
    for at, part in enumerate(as_objects(item["summary"])):
        place: JsonObject = {"item_id": item["id"], "output_index": index, "summary_index": at}
        text = as_text(part["text"])
        yield "response.reasoning_summary_part.added", {**place, "part": {**part, "text": ""}}
        for word in pieces(text):
            yield "response.reasoning_summary_text.delta", {**place, "delta": word}
        yield "response.reasoning_summary_text.done", {**place, "text": text}
        yield "response.reasoning_summary_part.done", {**place, "part": part}
    yield _done(item, index)


def _call(item: JsonObject, index: int, field: str, prefix: str) -> Iterator[Event]:
    yield _added(item, index, **{field: ""})
    place: JsonObject = {"item_id": item["id"], "output_index": index}
    text = as_text(item[field])
    for piece in pieces(text, json=True):
        yield prefix + ".delta", {**place, "delta": piece}
    done: JsonObject = {**place, field: text}
    if field == "arguments":
        done["name"] = item["name"]
    yield prefix + ".done", done
    yield _done(item, index)


def _search(item: JsonObject, index: int) -> Iterator[Event]:
    begun: JsonObject = {key: value for key, value in item.items() if key != "action"}
    yield _added(begun, index)
    place: JsonObject = {"item_id": item["id"], "output_index": index}
    for state in ("in_progress", "searching", "completed"):
        yield f"response.web_search_call.{state}", place
    yield _done(item, index)
