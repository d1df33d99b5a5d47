"""A tool is called and answered through every pair of dialects: the official SDKs in front, the sandbox behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types

SCHEMA: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
RESULT = "17 degrees and rain"
VENDORS = {
    "openai_chat": "sandbox/deepseek/tool",
    "openai_responses": "sandbox/openai/tool",
    "anthropic": "sandbox/anthropic/tool",
    "gemini": "sandbox/google/tool",
}
"""The sandbox speaks its owner's dialect: whom it stands for."""


def chat(url: str, key: str, model: str) -> tuple[str, Any, str]:
    tool: Any = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
    messages: Any = [{"role": "user", "content": "Weather in Paris?"}]
    with openai.OpenAI(api_key=key, base_url=f"{url}/v1", max_retries=0) as client:
        first = client.chat.completions.create(model=model, messages=messages, tools=[tool]).choices[0]
        assert first.finish_reason == "tool_calls"
        call: Any = (first.message.tool_calls or [])[0]
        # As clients do that keep standard fields only.
        function = {"name": call.function.name, "arguments": call.function.arguments}
        messages.append(
            {"role": "assistant", "tool_calls": [{"id": call.id, "type": "function", "function": function}]}
        )
        messages.append({"role": "tool", "tool_call_id": call.id, "content": RESULT})
        last = client.chat.completions.create(model=model, messages=messages, tools=[tool]).choices[0]
        return call.function.name, json.loads(call.function.arguments), last.message.content or ""


def responses(url: str, key: str, model: str) -> tuple[str, Any, str]:
    tool: Any = {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}
    with openai.OpenAI(api_key=key, base_url=f"{url}/v1", max_retries=0) as client:
        first = client.responses.create(model=model, input="Weather in Paris?", tools=[tool])
        call: Any = next(item for item in first.output if item.type == "function_call")
        result: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": RESULT}]
        last = client.responses.create(model=model, input=result, previous_response_id=first.id, tools=[tool])
        return call.name, json.loads(call.arguments), last.output_text


def messages(url: str, key: str, model: str) -> tuple[str, Any, str]:
    tool: Any = {"name": "weather", "input_schema": SCHEMA}
    said: Any = [{"role": "user", "content": "Weather in Paris?"}]
    with anthropic.Anthropic(api_key=key, base_url=url, max_retries=0) as client:
        with client.messages.stream(model=model, max_tokens=500, messages=said, tools=[tool]) as stream:
            first = stream.get_final_message()
        assert first.stop_reason == "tool_use"
        call: Any = next(block for block in first.content if block.type == "tool_use")
        result = {"type": "tool_result", "tool_use_id": call.id, "content": RESULT}
        said += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
        last: Any = client.messages.create(model=model, max_tokens=500, messages=said, tools=[tool])
        return call.name, call.input, "".join(block.text for block in last.content if block.type == "text")


def gemini(url: str, key: str, model: str) -> tuple[str, Any, str]:
    client = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url))
    tool = types.Tool(function_declarations=[types.FunctionDeclaration(name="weather", parameters_json_schema=SCHEMA)])
    config = types.GenerateContentConfig(
        tools=[tool], automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True)
    )
    contents: Any = [types.UserContent("Weather in Paris?")]
    first = client.models.generate_content(model=model, contents=contents, config=config)
    call: Any = (first.function_calls or [])[0]
    answer = types.Part.from_function_response(name=call.name, response={"result": RESULT})
    contents += [first.candidates[0].content, types.UserContent(answer)]  # type: ignore[index]
    last = client.models.generate_content(model=model, contents=contents, config=config)
    return call.name, call.args, last.text or ""


ASK: dict[str, Callable[[str, str, str], tuple[str, Any, str]]] = {
    "openai_chat": chat,
    "openai_responses": responses,
    "anthropic": messages,
    "gemini": gemini,
}


def test_a_tool_is_called_and_its_result_is_read(sandboxed: Any, rich_key: str, client: str, provider: str) -> None:
    if {client, provider} == {"openai_chat", "openai_responses"}:
        pytest.skip("whoever speaks one of OpenAI's dialects speaks the other too: this would pass untranslated")
    name, arguments, answer = ASK[client](sandboxed.url, rich_key, VENDORS[provider])
    assert name == "weather"
    assert arguments.keys() == {"city"}
    assert RESULT in answer
