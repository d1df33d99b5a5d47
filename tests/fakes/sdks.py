"""The official SDKs, all read in the same words: one request with the client's own fields, and what it heard."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import anthropic
import openai
from google import genai
from google.genai import types

DialectRequest = dict[str, Any]
"""Arguments of the SDK's method without the model."""


class Heard(NamedTuple):
    """What a client of any dialect made of an answer."""

    text: str
    thinking: str
    calls: list[tuple[str, Any]]
    """Name and parsed arguments."""
    ids: list[str]
    """Of the calls."""
    ending: str
    tokens: dict[str, int]
    """Totals: `input` (of which `cached`) and `output` (of which `thought`)."""
    turn: Any
    """The assistant's turn, as the client sends it back."""


def tokens(asked: int, cached: int | None, said: int, thought: int | None) -> dict[str, int]:
    return {"input": asked, "cached": cached or 0, "output": said, "thought": thought or 0}


# --- chat ------------------------------------------------------------------------------------------------------------


@contextmanager
def openai_client(url: str, key: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=key, base_url=f"{url}/v1", max_retries=0) as client:
        yield client


def ask_chat(url: str, key: str, model: str, request: DialectRequest, *, stream: bool) -> Heard:
    with openai_client(url, key) as client:
        done: Any
        if stream:
            options: Any = {"stream_options": {"include_usage": True}}
            with client.chat.completions.stream(model=model, **options, **request) as events:
                done = events.until_done().get_final_completion()
        else:
            done = client.chat.completions.create(model=model, **request)
    choice, usage = done.choices[0], done.usage
    calls = choice.message.tool_calls or []
    said = choice.message.model_dump(exclude_none=True, include={"role", "content"})
    if calls:
        said["tool_calls"] = [call.model_dump(include={"id", "type", "function"}) for call in calls]
        for call in said["tool_calls"]:
            call["function"].pop("parsed_arguments", None)
    return Heard(
        choice.message.content or "",
        (choice.message.model_extra or {}).get("reasoning_content") or "",
        [(call.function.name, json.loads(call.function.arguments)) for call in calls],
        [call.id for call in calls],
        choice.finish_reason,
        tokens(
            usage.prompt_tokens,
            usage.prompt_tokens_details and usage.prompt_tokens_details.cached_tokens,
            usage.completion_tokens,
            usage.completion_tokens_details and usage.completion_tokens_details.reasoning_tokens,
        ),
        [said],
    )


# --- responses -------------------------------------------------------------------------------------------------------


def ask_responses(url: str, key: str, model: str, request: DialectRequest, *, stream: bool) -> Heard:
    with openai_client(url, key) as client:
        done: Any
        if stream:
            with client.responses.stream(model=model, **request) as events:
                done = events.until_done().get_final_response()
        else:
            done = client.responses.create(model=model, **request)
    thoughts = [item for item in done.output if item.type == "reasoning"]
    calls = [item for item in done.output if item.type == "function_call"]
    usage = done.usage
    return Heard(
        done.output_text,
        "".join(part.text for item in thoughts for part in [*item.summary, *(item.content or ())]),
        [(call.name, json.loads(call.arguments)) for call in calls],
        [call.call_id for call in calls],
        done.status,
        tokens(
            usage.input_tokens,
            usage.input_tokens_details.cached_tokens,
            usage.output_tokens,
            usage.output_tokens_details.reasoning_tokens,
        ),
        [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in done.output],
    )


# --- messages --------------------------------------------------------------------------------------------------------


def ask_messages(url: str, key: str, model: str, request: DialectRequest, *, stream: bool) -> Heard:
    with anthropic.Anthropic(api_key=key, base_url=url, max_retries=0) as client:
        done: Any
        if stream:
            with client.messages.stream(model=model, **request) as events:
                done = events.get_final_message()
        else:
            done = client.messages.create(model=model, **request)
    uses = [block for block in done.content if block.type == "tool_use"]
    usage = done.usage
    cached = usage.cache_read_input_tokens or 0
    details = usage.model_dump().get("output_tokens_details") or {}
    blocks = [block.model_dump(exclude_none=True, exclude={"parsed_output"}) for block in done.content]
    return Heard(
        "".join(block.text for block in done.content if block.type == "text"),
        "".join(block.thinking for block in done.content if block.type == "thinking"),
        [(use.name, use.input) for use in uses],
        [use.id for use in uses],
        done.stop_reason,
        tokens(usage.input_tokens + cached, cached, usage.output_tokens, details.get("thinking_tokens")),
        [{"role": "assistant", "content": blocks}],
    )


# --- Gemini ----------------------------------------------------------------------------------------------------------


def ask_gemini(url: str, key: str, model: str, request: DialectRequest, *, stream: bool) -> Heard:
    client = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url))
    chunks: list[Any]
    if stream:
        chunks = list(client.models.generate_content_stream(model=model, **request))
    else:
        chunks = [client.models.generate_content(model=model, **request)]
    candidates = [candidate for chunk in chunks for candidate in chunk.candidates or ()]
    parts: Sequence[Any] = [
        part for candidate in candidates if candidate.content is not None for part in candidate.content.parts or ()
    ]
    calls = [part.function_call for part in parts if part.function_call]
    usage = chunks[-1].usage_metadata
    thought = usage.thoughts_token_count or 0
    return Heard(
        "".join(part.text for part in parts if part.text and not part.thought),
        "".join(part.text for part in parts if part.text and part.thought),
        [(call.name, call.args) for call in calls],
        [call.id for call in calls],
        candidates[-1].finish_reason.value,
        tokens(
            usage.prompt_token_count,
            usage.cached_content_token_count,
            (usage.candidates_token_count or 0) + thought,
            thought,
        ),
        [types.Content(role="model", parts=list(parts))],
    )


ASK: dict[str, Callable[..., Heard]] = {
    "openai_chat": ask_chat,
    "openai_responses": ask_responses,
    "anthropic": ask_messages,
    "gemini": ask_gemini,
}
