"""The official SDKs as clients of the gateway, and what they read: `openai`, `anthropic` and `google-genai`.

Streams are read by the SDKs' own helpers, so that an order of events that they refuse shows as a difference.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anthropic
import httpx2
import openai
from across_values import Call, Json, Used, number, value
from google import genai
from google.genai import types as google_types

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)  # the SDKs warn of fields that they don't know

TIMEOUT_SECONDS = 60.0
SEALED = "gw1."
"""How a proof of thinking begins that the gateway has sealed."""


@dataclass
class Heard:
    """What an SDK read."""

    texts: list[str] = field(default_factory=list)
    refusal: str = ""
    thoughts: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    media: list[str] = field(default_factory=list)
    signed: bool = False
    """The gateway put a sealed proof of thinking somewhere."""
    sources: set[str] = field(default_factory=set)
    ending: str = ""
    """In the words of the asking dialect."""
    used: Used | None = None
    status: int = 200
    """Of the error that the SDK raised; 0: it raised one that is none of the provider's."""
    message: str = ""
    """Of that error."""
    refused: bool = False
    """By the gateway, before the provider was asked."""
    request_id: str = ""


class Clients:
    """All three SDKs, kept connected to one gateway."""

    def __init__(self, gateway: str, key: str) -> None:
        self._request_id = ""
        options = {"api_key": key, "max_retries": 0}
        self._openai = openai.OpenAI(base_url=f"{gateway}/v1", http_client=self._http(), **options)
        self._anthropic = anthropic.Anthropic(base_url=gateway, http_client=self._http(), **options)
        self._google = genai.Client(
            api_key=key, http_options=google_types.HttpOptions(base_url=gateway, httpx_client=self._http())
        )

    def _http(self) -> httpx2.Client:
        return httpx2.Client(event_hooks={"response": [self._note]}, timeout=TIMEOUT_SECONDS)

    def _note(self, response: httpx2.Response) -> None:
        self._request_id = response.headers.get("x-request-id", "")

    def ask(self, dialect: str, model: str, body: Json, *, stream: bool) -> Heard:
        """`body`: the request as the dialect spells it."""
        heard = Heard()
        self._request_id = ""
        try:
            _ASK[dialect, stream](self, heard, model, body)
        except openai.APIStatusError as error:
            _hear_error(heard, error.status_code, error.response.json())
        except anthropic.APIStatusError as error:
            # Of a stream it has the status of its head.
            _hear_error(heard, error.status_code if error.status_code >= 400 else 0, error.body)
        except genai.errors.APIError as error:
            _hear_error(heard, int(error.code or 0), error.details)
        except openai.APIError as error:
            heard.status, heard.message = 0, error.message
        except Exception as error:  # noqa: BLE001 - whatever an SDK trips over is what this script looks for
            heard.status, heard.message = 0, f"{type(error).__name__}: {error}"
        heard.request_id = self._request_id
        return heard

    # --- Chat Completions --------------------------------------------------------------------------------------------

    def _chat(self, heard: Heard, model: str, body: Json) -> None:
        answer = self._openai.chat.completions.create(model=model, messages=[], extra_body=body)
        _read_chat(heard, answer.choices, answer.usage)

    def _chat_stream(self, heard: Heard, model: str, body: Json) -> None:
        # With a format or tools of the SDK's own kind it would also parse the answer, and refuse one that was cut.
        with self._openai.chat.completions.stream(model=model, messages=[], extra_body=body) as stream:
            for _event in stream:
                pass
            answer = stream.current_completion_snapshot
            _read_chat(heard, answer.choices, answer.usage)

    # --- Responses ---------------------------------------------------------------------------------------------------

    def _responses(self, heard: Heard, model: str, body: Json) -> None:
        _read_response(heard, self._openai.responses.create(model=model, input="", extra_body=body))

    def _responses_stream(self, heard: Heard, model: str, body: Json) -> None:
        last: Any = None
        with self._openai.responses.stream(model=model, input="", extra_body=body) as stream:
            for event in stream:
                if event.type in ("response.completed", "response.incomplete", "response.failed"):
                    assert last is None, "two ends"
                    last = event.response
        _read_response(heard, last)

    # --- Messages ----------------------------------------------------------------------------------------------------

    def _messages(self, heard: Heard, model: str, body: Json) -> None:
        _read_message(heard, self._anthropic.messages.create(model=model, max_tokens=1, messages=[], extra_body=body))

    def _messages_stream(self, heard: Heard, model: str, body: Json) -> None:
        with self._anthropic.messages.stream(model=model, max_tokens=1, messages=[], extra_body=body) as stream:
            _read_message(heard, stream.get_final_message())

    # --- Gemini ------------------------------------------------------------------------------------------------------

    def _gemini(self, heard: Heard, model: str, body: Json) -> None:
        answer = self._google.models.generate_content(model=model, contents="", config=_config(body))
        _read_gemini(heard, [answer])

    def _gemini_stream(self, heard: Heard, model: str, body: Json) -> None:
        chunks = self._google.models.generate_content_stream(model=model, contents="", config=_config(body))
        _read_gemini(heard, list(chunks))


_ASK: dict[tuple[str, bool], Callable[[Clients, Heard, str, Json], None]] = {
    ("openai_chat", False): Clients._chat,
    ("openai_chat", True): Clients._chat_stream,
    ("openai_responses", False): Clients._responses,
    ("openai_responses", True): Clients._responses_stream,
    ("anthropic", False): Clients._messages,
    ("anthropic", True): Clients._messages_stream,
    ("gemini", False): Clients._gemini,
    ("gemini", True): Clients._gemini_stream,
}


def _config(body: Json) -> google_types.GenerateContentConfig:
    options = google_types.HttpOptions(extra_body=body)
    return google_types.GenerateContentConfig(
        http_options=options,
        automatic_function_calling=google_types.AutomaticFunctionCallingConfig(disable=True),
    )


def _hear_error(heard: Heard, status: int, body: Any) -> None:
    heard.status, heard.message = status, str(body["error"]["message"])
    heard.refused = "detail" in body  # which no provider's error in a client's dialect has


# --- what they read ---------------------------------------------------------------------------------------------------


def _read_chat(heard: Heard, choices: list[Any], usage: Any) -> None:
    [choice] = [choice for choice in choices if choice.index == 0]
    message = choice.message
    heard.texts = [message.content] if message.content else []
    heard.refusal = message.refusal or ""
    heard.media += ["audio"] * bool(message.audio) + ["image"] * len(getattr(message, "images", None) or ())
    heard.signed = SEALED in message.to_json()
    thought = getattr(message, "reasoning_content", None)
    heard.thoughts = [thought] if thought else []
    for call in message.tool_calls or []:
        if call.type == "custom":
            heard.calls.append(Call(call.custom.name, {"input": call.custom.input}))
        else:
            heard.calls.append(Call(call.function.name or "", value(call.function.arguments)))
    if message.function_call:
        heard.calls.append(Call(message.function_call.name, value(message.function_call.arguments)))
    heard.sources = {note.url_citation.url for note in message.annotations or [] if note.type == "url_citation"}
    heard.ending = choice.finish_reason or ""
    if usage is not None:
        cached = usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else 0
        thinking = usage.completion_tokens_details.reasoning_tokens if usage.completion_tokens_details else 0
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, "the total is none"
        heard.used = Used(usage.prompt_tokens, number(cached), usage.completion_tokens, number(thinking))


_ITEMS: dict[str, Callable[[Any], Call]] = {
    "function_call": lambda item: Call(item.name, value(item.arguments)),
    "custom_tool_call": lambda item: Call(item.name, {"input": item.input}),
    "local_shell_call": lambda item: Call("local_shell", item.action.to_dict()),
    "shell_call": lambda item: Call("shell", item.action.to_dict()),
    "apply_patch_call": lambda item: Call("apply_patch", item.operation.to_dict()),
    "tool_search_call": lambda item: Call("tool_search", item.arguments),
}


def _read_response(heard: Heard, response: Any) -> None:
    heard.signed = SEALED in response.to_json()
    heard.media = ["image" for item in response.output if item.type == "image_generation_call"]
    for item in response.output:
        if item.type == "message":
            heard.texts.append("".join(part.text for part in item.content if part.type == "output_text"))
            heard.refusal += "".join(part.refusal for part in item.content if part.type == "refusal")
            notes = [note for part in item.content if part.type == "output_text" for note in part.annotations]
            heard.sources |= {note.url for note in notes if note.type == "url_citation"}
        elif item.type == "reasoning":
            heard.thoughts += [part.text for part in item.content or []]
            heard.thoughts += [part.text for part in item.summary]
        elif item.type in _ITEMS:
            heard.calls.append(_ITEMS[item.type](item))
    reason = response.incomplete_details.reason if response.incomplete_details else ""
    heard.ending = reason if response.status == "incomplete" else response.status
    if response.status == "failed":
        heard.status, heard.message = 0, response.error.message
    usage = response.usage
    if usage is not None:
        assert usage.total_tokens == usage.input_tokens + usage.output_tokens, "the total is none"
        cached, thinking = usage.input_tokens_details.cached_tokens, usage.output_tokens_details.reasoning_tokens
        heard.used = Used(usage.input_tokens, cached, usage.output_tokens, thinking)


def _read_message(heard: Heard, message: Any) -> None:
    heard.signed = SEALED in message.to_json()
    for block in message.content:
        if block.type == "text":
            heard.texts.append(block.text)
            heard.sources |= {citation.url for citation in block.citations or [] if hasattr(citation, "url")}
        elif block.type == "thinking":
            heard.thoughts += [block.thinking] if block.thinking else []
        elif block.type == "tool_use":
            heard.calls.append(Call(block.name, block.input))
    heard.ending = message.stop_reason or ""
    usage = message.usage
    cached = usage.cache_read_input_tokens or 0
    prompt = usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0)
    thinking = usage.output_tokens_details.thinking_tokens if usage.output_tokens_details else 0
    heard.used = Used(prompt, cached, usage.output_tokens, number(thinking))


def _read_gemini(heard: Heard, chunks: list[Any]) -> None:
    usage = None
    thoughts: list[list[str]] = [[]]
    for chunk in chunks:
        usage = chunk.usage_metadata or usage
        for candidate in chunk.candidates or []:
            if not candidate.index:
                heard.ending = candidate.finish_reason.value if candidate.finish_reason else heard.ending
                if candidate.grounding_metadata:
                    webs = [chunk.web for chunk in candidate.grounding_metadata.grounding_chunks or [] if chunk.web]
                    heard.sources |= {web.uri for web in webs if web.uri}
                for part in (candidate.content.parts if candidate.content else None) or []:
                    _read_gemini_part(heard, part, thoughts)
    heard.thoughts = ["".join(pieces) for pieces in thoughts if pieces]
    if usage is not None:
        prompt, thinking = number(usage.prompt_token_count), number(usage.thoughts_token_count)
        output = number(usage.candidates_token_count) + thinking
        assert number(usage.total_token_count) == prompt + output, "the total is none"
        heard.used = Used(prompt, number(usage.cached_content_token_count), output, thinking)


def _read_gemini_part(heard: Heard, part: Any, thoughts: list[list[str]]) -> None:
    """Neighbouring thoughts are one."""
    heard.signed = heard.signed or bool(part.thought_signature and part.thought_signature.startswith(SEALED.encode()))
    if part.inline_data:
        heard.media.append(part.inline_data.mime_type.partition("/")[0])
    if part.text and part.thought:
        thoughts[-1].append(part.text)
    elif thoughts[-1] and part.text != "":
        thoughts.append([])
    if part.function_call:
        heard.calls.append(Call(part.function_call.name or "", part.function_call.args or {}))
    elif part.text and not part.thought:
        heard.texts.append(part.text)
