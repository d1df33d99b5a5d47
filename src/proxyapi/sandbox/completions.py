"""OpenAI's legacy text completions."""

from __future__ import annotations

from collections.abc import Iterator

from proxyapi.sandbox.chat import CHOICES_MAX, DONE
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
)
from proxyapi.sandbox.reply import Reply, data_event, event_stream, json_reply
from proxyapi.sandbox.request import Request
from proxyapi.sandbox.script import Script, pieces, write
from proxyapi.sandbox.turn import Turn

_OUTPUT_TOKENS_DEFAULT = 16
"""This endpoint's own default of `max_tokens`."""


def reply(request: Request) -> Reply:
    body = request.body
    request.required_model()
    prompts = _prompts(body.get("prompt"), request)
    choices = as_int(body.get("n")) or 1
    if not 1 <= choices <= CHOICES_MAX:
        raise Refused(400, f"Invalid 'n': expected a value between 1 and {CHOICES_MAX}.", param="n")
    ceiling = as_int(body.get("max_tokens"))
    scripts: list[tuple[str, Script]] = []
    prompt_tokens = 0
    for text, tokens in prompts:
        prompt_tokens += tokens
        turn = Turn(
            model=request.model,
            asked=text,
            prompt_tokens=tokens,
            output_tokens_max=_OUTPUT_TOKENS_DEFAULT if ceiling is None else ceiling,
            stop=as_strings(body.get("stop")),
            magic=request.magic,
        )
        scripts += [(text, write(turn, request.count, choice=at)) for at in range(choices)]
    output_tokens = sum(script.output_tokens for _, script in scripts)
    completion: JsonObject = {
        "id": "cmpl-" + request.ids.word("reply", 29),
        "object": "text_completion",
        "created": request.ids.created_at,
        "model": request.model,
        "choices": [
            {
                "text": (text if body.get("echo") is True else "") + script.text,
                "index": at,
                "logprobs": None,
                "finish_reason": "length" if script.end == "length" else "stop",
            }
            for at, (text, script) in enumerate(scripts)
        ],
    }
    if request.magic.kind != "nousage":
        completion["usage"] = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": prompt_tokens + output_tokens,
        }
    if body.get("stream") is not True:
        return json_reply(completion)
    asked = as_object(body.get("stream_options")).get("include_usage") is True
    return event_stream(_chunks(completion, usage_asked=asked), tail=DONE)


def _prompts(prompt: object, request: Request) -> list[tuple[str, int]]:
    """Each prompt with its tokens: a text, a list of texts, token ids, or a list of lists of them."""
    if isinstance(prompt, str):
        return [(prompt, request.count(prompt) if prompt else 1)]
    entries = as_list(prompt)
    if not entries:
        raise Refused(400, "Missing required parameter: 'prompt'.", param="prompt", code=MISSING)
    if all(isinstance(entry, int) for entry in entries):
        return [("", len(entries))]
    return [(entry, request.count(entry)) if isinstance(entry, str) else ("", len(as_list(entry))) for entry in entries]


def _chunks(completion: JsonObject, *, usage_asked: bool) -> Iterator[bytes]:
    usage = completion.get("usage")
    head = {key: value for key, value in completion.items() if key not in ("choices", "usage")}
    nothing: JsonObject = {"usage": None} if usage_asked else {}
    for choice in as_objects(completion["choices"]):
        for word in pieces(as_text(choice["text"])):
            yield data_event({**head, "choices": [{**choice, "text": word, "finish_reason": None}], **nothing})
        yield data_event({**head, "choices": [{**choice, "text": ""}], **nothing})
    if usage is not None and usage_asked:
        yield data_event({**head, "choices": [], "usage": usage})
