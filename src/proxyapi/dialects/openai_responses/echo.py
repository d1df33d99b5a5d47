"""OpenAI Responses: the response object, most of which tells the client its own request again."""

from __future__ import annotations

from typing import Any

import msgspec

from proxyapi.dialects import openai_knobs as knobs
from proxyapi.dialects.codec import Asked
from proxyapi.dialects.losses import Losses
from proxyapi.dialects.model import Format, JsonObject, JsonSchema, Reasoning, Request, Start, Text
from proxyapi.dialects.openai_responses.tools_out import write_choice, write_tools
from proxyapi.dialects.quirks import Quirks

Wire = dict[str, Any]

RESPONSE_PREFIX = "resp_"
_TIERS = {"standard": "default", "on_demand": "default", "STANDARD": "default"}
_KNOWN_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})
_ALL = Quirks()
_ENCODER = msgspec.json.Encoder()


class ResponseObject:
    """What of a response is the same from its beginning to its end, as bytes."""

    __slots__ = ("_head", "id")

    def __init__(self, asked: Asked, start: Start) -> None:
        self.id = start.id if start.id.startswith(RESPONSE_PREFIX) else f"{RESPONSE_PREFIX}{asked.reply_id}"
        created_at = start.created_at or asked.created_at
        head: Wire = {
            "id": self.id,
            "object": "response",
            "created_at": created_at,
            # Not OpenAI's; the documentation of the address that this gateway replaces shows it.
            "created": created_at,
            "model": asked.model,
        }
        self._head = _ENCODER.encode(head | _echo(asked.request) | {"service_tier": _tier(start.tier)})[:-1]

    def written(
        self, status: str, output: bytes = b"", *, usage: bytes = b"null", tools: bytes = b"", **details: Wire | None
    ) -> bytes:
        """As JSON. `output`: the items, comma between them. `tools`: `tool_usage`. `details`: `error`,
        `incomplete_details`."""
        told: Wire = {"status": status, "error": None, "incomplete_details": None} | details
        rest = _ENCODER.encode(told)[1:-1]
        spent = b',"tool_usage":%b' % tools if tools else b""
        return b'%b,%b,"output":[%b],"usage":%b%b}' % (self._head, rest, output, usage, spent)


def _tier(word: str) -> str:
    word = _TIERS.get(word, word)
    return word if word in _KNOWN_TIERS else "default"


def _echo(request: Request) -> Wire:
    """With the defaults that OpenAI documents, where nothing was said."""
    storage, cache, sampling = request.storage, request.cache, request.sampling
    losses = Losses()
    choice = write_choice(request.tool_choice, request.tools, _ALL, losses)
    echo: Wire = {
        "background": bool(storage.background),
        "instructions": _instructions(request),
        "max_output_tokens": request.output_tokens_max or None,
        "max_tool_calls": request.server_tool_calls_max,
        "metadata": dict(request.metadata),
        "parallel_tool_calls": choice.get("parallel_tool_calls", True),
        "previous_response_id": storage.previous_response_id or None,
        "prompt_cache_key": cache.key or None,
        "reasoning": _reasoning(request.reasoning),
        "safety_identifier": request.user or None,
        "store": storage.store is not False,
        "temperature": 1.0 if sampling.temperature is None else sampling.temperature,
        "text": {"format": _format(request.format), "verbosity": request.verbosity or "medium"},
        "tool_choice": choice.get("tool_choice", "auto"),
        "tools": write_tools(request.tools, _ALL, losses),
        "top_logprobs": request.logprobs or 0,
        "top_p": 1.0 if sampling.top_p is None else sampling.top_p,
        "truncation": request.truncation or "disabled",
        "user": request.user or None,
    }
    if storage.conversation:
        echo["conversation"] = {"id": storage.conversation}
    return echo


def _instructions(request: Request) -> str | None:
    """They are the first message, if it is one text that is no item of the input."""
    first = request.system[0] if request.system else None
    if first is None or first.role != "system" or len(first.parts) != 1:
        return None
    part = first.parts[0]
    return part.text if isinstance(part, Text) else None


def _reasoning(asked: Reasoning | None) -> Wire:
    if asked is None:
        return {"effort": None, "summary": None}
    wire: Wire = {"effort": knobs.effort(asked), "summary": None if asked.show == "none" else asked.show}
    if asked.context is not None:
        wire["context"] = asked.context
    return wire | {"mode": asked.mode} if asked.mode else wire


def _format(form: Format | None) -> Wire:
    match form:
        case JsonSchema():
            wire: Wire = {"type": "json_schema", "name": form.name, "schema": form.schema, "strict": bool(form.strict)}
            return wire | {"description": form.description} if form.description else wire
        case JsonObject():
            return {"type": "json_object"}
        case _:
            return {"type": "text"}
