"""The magic models of the sandbox, asked by the official SDK of each dialect: they end as their names say."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors as google_errors
from google.genai import types

HELLO: Any = [{"role": "user", "content": "Hello"}]
DIALECTS = ("openai_chat", "openai_responses", "anthropic", "gemini")


class Clients:
    """The four dialects of the sandbox as a customer's program uses them."""

    def __init__(self, gateway: Any) -> None:
        self.account, key = gateway.customer("1000")
        self.gateway = gateway
        self.openai = openai.OpenAI(api_key=key, base_url=f"{gateway.url}/openai/v1", max_retries=0)
        self.anthropic = anthropic.Anthropic(api_key=key, base_url=f"{gateway.url}/anthropic", max_retries=0)
        self.google = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=f"{gateway.url}/google"))

    def text(self, dialect: str, model: str, *, stream: bool = False) -> str:
        """The whole text of an answer."""
        if dialect == "openai_chat":
            if stream:
                chunks = self.openai.chat.completions.create(model=model, messages=HELLO, stream=True)
                return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
            return self.openai.chat.completions.create(model=model, messages=HELLO).choices[0].message.content or ""
        if dialect == "openai_responses":
            if stream:
                events: Any = list(self.openai.responses.create(model=model, input="Hello", stream=True))
                if failed := [event for event in events if event.type in ("error", "response.failed")]:
                    raise StreamFailed(failed[0].type)
                return "".join(event.delta for event in events if event.type == "response.output_text.delta")
            return self.openai.responses.create(model=model, input="Hello").output_text
        if dialect == "anthropic":
            if stream:
                with self.anthropic.messages.stream(model=model, max_tokens=100, messages=HELLO) as messages:
                    return "".join(messages.text_stream)
            message: Any = self.anthropic.messages.create(model=model, max_tokens=100, messages=HELLO)
            return str(message.content[0].text)
        if stream:
            parts = self.google.models.generate_content_stream(model=model, contents="Hello")
            return "".join(part.text or "" for part in parts)
        return self.google.models.generate_content(model=model, contents="Hello").text or ""

    def tool(self, dialect: str) -> str:
        """The name of the tool that the answer calls."""
        schema: Any = {"type": "object", "properties": {"city": {"type": "string"}}}
        if dialect == "openai_chat":
            tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": schema}}]
            answer: Any = self.openai.chat.completions.create(model="tool", messages=HELLO, tools=tools)
            return str(answer.choices[0].message.tool_calls[0].function.name)
        if dialect == "openai_responses":
            tools = [{"type": "function", "name": "weather", "parameters": schema}]
            response: Any = self.openai.responses.create(model="tool", input="Hello", tools=tools)
            return str(next(item for item in response.output if item.type == "function_call").name)
        if dialect == "anthropic":
            tools = [{"name": "weather", "input_schema": schema}]
            message: Any = self.anthropic.messages.create(model="tool", max_tokens=99, messages=HELLO, tools=tools)
            return str(next(block for block in message.content if block.type == "tool_use").name)
        declared: Any = types.Tool(function_declarations=[types.FunctionDeclaration(name="weather")])
        config = types.GenerateContentConfig(
            tools=[declared], automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True)
        )
        generated: Any = self.google.models.generate_content(model="tool", contents="Hello", config=config)
        return str(generated.function_calls[0].name)

    def ended(self, number: int) -> tuple[str, str, int]:
        entry = self.gateway.last_entry(self.account, number)
        return entry["kind"], entry["ending"], entry["charged"]


class StreamFailed(Exception):
    """The Responses stream of the openai SDK yields its errors."""


RAISED = (openai.APIError, anthropic.APIError, google_errors.APIError, StreamFailed)
dialects = pytest.mark.parametrize("dialect", DIALECTS)


@dialects
def test_the_magic_models_answer_and_settle_in_every_dialect(sandboxed: Any, dialect: str) -> None:
    clients = Clients(sandboxed)
    for number, (model, stream) in enumerate([("echo", False), ("echo", True), ("slow-50", False)], 1):
        text = clients.text(dialect, model, stream=stream)
        assert text == "Hello" if model == "echo" else text
        kind, ending, charged = clients.ended(number)
        assert (kind, ending) == ("settle", "completed")
        assert 0 < charged < 10**9, "one unit per 1,000 tokens"
    assert clients.tool(dialect) == "weather"
    assert clients.ended(4)[:2] == ("settle", "completed")


@dialects
def test_the_magic_models_fail_as_told_in_every_dialect(sandboxed: Any, dialect: str) -> None:
    clients = Clients(sandboxed)
    with pytest.raises(RAISED) as caught:
        clients.text(dialect, "fail-429")
    assert getattr(caught.value, "status_code", getattr(caught.value, "code", 0)) == 429
    assert clients.ended(1) == ("release", "upstream_refused", 0)
    with pytest.raises(RAISED):
        clients.text(dialect, "error-2", stream=True)
    assert clients.ended(2)[1] == "error_event"
    with pytest.raises(RAISED):
        clients.text(dialect, "cut-3", stream=True)
    assert clients.ended(3)[1] == "upstream_broken"


@dialects
@pytest.mark.parametrize("stream", [False, True])
def test_nousage_is_counted_in_every_dialect(sandboxed: Any, dialect: str, stream: bool) -> None:
    clients = Clients(sandboxed)
    if stream and dialect == "anthropic":
        body = {"model": "nousage", "max_tokens": 50, "messages": HELLO, "stream": True}
        key = sandboxed.key(clients.account)
        assert sandboxed.request("POST", "/anthropic/v1/messages", key=key, body=body)[0] == 200  # its SDK needs usage
    else:
        assert clients.text(dialect, "nousage", stream=stream)
    entry = sandboxed.last_entry(clients.account)
    assert (entry["kind"], entry["ending"], entry["source"]) == ("settle", "completed", "counted")
    assert entry["charged"] > 0


def test_after_all_of_it_the_audit_is_clean_and_nothing_is_held(sandboxed: Any) -> None:
    sandboxed.assert_clean()
