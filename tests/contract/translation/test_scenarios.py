"""What conversations are made of, through every pair of dialects: an SDK in front, the provider's wire format behind.

Each test sends one scenario with the official SDK of the client's dialect and checks three things: what the provider
was told, what the SDK read, and that the provider's own usage was charged.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import types

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)  # fmt: skip
CITY: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TIME: Any = {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]}
TOOLS = {"weather": CITY, "clock": TIME}
CLOSED = CITY | {"additionalProperties": False}
ANSWER = '{"city":"Oslo"}'
HISTORY = [("call_1", "weather", {"city": "Oslo"}, "3 degrees"), ("call_2", "weather", {"city": "Rome"}, "19 degrees")]
LONG = "These are the rules. " * 300

Fields = dict[str, Any]

# --- the requests, as users of each SDK write them --------------------------------------------------------------------


def chat(*content: Fields, **more: Any) -> Fields:
    return {"messages": [{"role": "user", "content": list(content) or "Hello"}]} | more


CHAT_TOOLS = [{"type": "function", "function": {"name": name, "parameters": TOOLS[name]}} for name in TOOLS]
CHAT_HISTORY = [
    {"role": "user", "content": "Compare the weather"},
    {
        "role": "assistant",
        "tool_calls": [
            {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for id, name, arguments, _ in HISTORY
        ],
    },
    *({"role": "tool", "tool_call_id": id, "content": result} for id, *_, result in HISTORY),
]
CHAT_PICTURE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
CHAT: dict[str, Fields] = {
    "text": chat(),
    "tools": chat(tools=CHAT_TOOLS),
    "results": {"messages": CHAT_HISTORY, "tools": CHAT_TOOLS},
    "image": chat({"type": "text", "text": "What is it?"}, CHAT_PICTURE),
    "schema": chat(response_format={"type": "json_schema", "json_schema": {"name": "place", "schema": CLOSED}}),
    "thinking": chat(reasoning_effort="high"),
    "cached": chat(
        {"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "Go"}
    ),
}


def responses(*content: Fields, **more: Any) -> Fields:
    return {"input": [{"role": "user", "content": list(content)}] if content else "Hello"} | more


RESPONSES_TOOLS = [
    {"type": "function", "name": name, "parameters": schema, "strict": False} for name, schema in TOOLS.items()
]
RESPONSES_HISTORY = [
    {"role": "user", "content": "Compare the weather"},
    *(
        {"type": "function_call", "call_id": id, "name": name, "arguments": json.dumps(arguments)}
        for id, name, arguments, _ in HISTORY
    ),
    *({"type": "function_call_output", "call_id": id, "output": result} for id, *_, result in HISTORY),
]
RESPONSES: dict[str, Fields] = {
    "text": responses(),
    "tools": responses(tools=RESPONSES_TOOLS),
    "results": {"input": RESPONSES_HISTORY, "tools": RESPONSES_TOOLS},
    "image": responses(
        {"type": "input_text", "text": "What is it?"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "auto"},
    ),
    "schema": responses(text={"format": {"type": "json_schema", "name": "place", "schema": CLOSED}}),
    "thinking": responses(reasoning={"effort": "high", "summary": "auto"}),
    "cached": responses(
        {"type": "input_text", "text": LONG, "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_text", "text": "Go"},
    ),
}


def messages(*content: Fields, **more: Any) -> Fields:
    return {"max_tokens": 4000, "messages": [{"role": "user", "content": list(content) or "Hello"}]} | more


MESSAGES_TOOLS = [{"name": name, "input_schema": schema} for name, schema in TOOLS.items()]
MESSAGES_HISTORY = [
    {"role": "user", "content": "Compare the weather"},
    {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": id, "name": name, "input": given} for id, name, given, _ in HISTORY],
    },
    {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": id, "content": result} for id, *_, result in HISTORY],
    },
]
MESSAGES: dict[str, Fields] = {
    "text": messages(),
    "tools": messages(tools=MESSAGES_TOOLS),
    "results": {"max_tokens": 4000, "messages": MESSAGES_HISTORY, "tools": MESSAGES_TOOLS},
    "image": messages(
        {"type": "text", "text": "What is it?"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
    ),
    "schema": messages(output_config={"format": {"type": "json_schema", "schema": CLOSED}}),
    "thinking": messages(thinking={"type": "enabled", "budget_tokens": 2000}),
    "cached": messages(
        {"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "Go"}
    ),
}


def gemini(*parts: types.Part, contents: Any = None, **config: Any) -> Fields:
    said = contents or ([types.UserContent(list(parts))] if parts else "Hello")
    return {"contents": said} | ({"config": types.GenerateContentConfig(**config)} if config else {})


GEMINI_TOOLS: Fields = {
    "tools": [
        types.Tool(
            function_declarations=[
                types.FunctionDeclaration(name=name, parameters_json_schema=schema) for name, schema in TOOLS.items()
            ]
        )
    ],
    "automatic_function_calling": types.AutomaticFunctionCallingConfig(disable=True),
}
GEMINI_HISTORY = [
    types.UserContent("Compare the weather"),
    types.ModelContent([types.Part.from_function_call(name=name, args=given) for _, name, given, _ in HISTORY]),
    types.UserContent(
        [types.Part.from_function_response(name=name, response={"result": result}) for _, name, _, result in HISTORY]
    ),
]
PICTURE = types.Part(inline_data=types.Blob(mime_type="image/png", data=PIXEL))
GEMINI: dict[str, Fields] = {
    "text": gemini(),
    "tools": gemini(**GEMINI_TOOLS),
    "results": gemini(contents=GEMINI_HISTORY, **GEMINI_TOOLS),
    "image": gemini(types.Part(text="What is it?"), PICTURE),
    "schema": gemini(response_mime_type="application/json", response_json_schema=CLOSED),
    "thinking": gemini(thinking_config=types.ThinkingConfig(thinking_budget=2000, include_thoughts=True)),
    "cached": gemini(types.Part(text=LONG), types.Part(text="Go")),
}
REQUESTS = {"openai_chat": CHAT, "openai_responses": RESPONSES, "anthropic": MESSAGES, "gemini": GEMINI}

# --- what is expected -------------------------------------------------------------------------------------------------

SPECIAL = {
    ("openai_chat", "thinking"): "acme/thinker",
    ("openai_chat", "cached"): "acme/thinker",
    ("openai_responses", "cached"): "openai/gpt-5.6-pro",
}
"""Models that can do what the usual ones of their dialect cannot."""
ENDS = {"openai_chat": "stop", "openai_responses": "completed", "anthropic": "end_turn", "gemini": "STOP"}
CALLS = ENDS | {"openai_chat": "tool_calls", "anthropic": "tool_use"}
CALLED = [("weather", {"city": "Oslo"}), ("weather", {"city": "Rome"}), ("clock", {"zone": "CET"})]


@pytest.fixture(params=["body", "stream"])
def stream(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "stream")


@pytest.fixture
def converse(world: Any, customer: tuple[str, str], client: str, provider: str, stream: bool) -> Any:
    """`converse(scenario, **said)` -> what the provider was told, what the SDK heard; money is checked."""

    def run(scenario: str, **said: Any) -> tuple[Any, Any]:
        account, key = customer
        world.answer(world.saying(world.replies.Said(**said)))
        model = SPECIAL.get((provider, scenario), world.models[provider])
        heard = world.sdks.ASK[client](world.gateway.url, key, model, REQUESTS[client][scenario], stream=stream)
        asked = world.asked[-1]
        assert world.spoken(asked.path) == provider
        assert heard.tokens == {"input": 850, "cached": 600, "output": 120, "thought": 40}
        entry = world.gateway.last_entry(account)
        assert (entry["charged"], entry["source"], entry["ending"]) == (145_000_000, "reported", "completed")
        units = {"input_tokens": 250, "cache_read_tokens": 600, "output_tokens": 80, "reasoning_tokens": 40}
        assert json.loads(entry["units"]) == units
        return world.told(provider, asked), heard

    return run


def test_text_is_heard_as_it_was_said(converse: Any, client: str, provider: str) -> None:
    _, heard = converse("text", text="Grüße, 世界 🌍")
    assert (heard.text, heard.thinking, heard.calls, heard.ending) == ("Grüße, 世界 🌍", "", [], ENDS[client])


def test_parallel_calls_of_declared_tools_are_heard_in_order(
    world: Any, converse: Any, client: str, provider: str
) -> None:
    calls = [
        world.replies.Call(f"call_{number}", name, json.dumps(arguments))
        for number, (name, arguments) in enumerate(CALLED)
    ]
    told, heard = converse("tools", text="Let me look.", calls=tuple(calls))
    assert told.tools == TOOLS
    assert (heard.text, heard.calls, heard.ending) == ("Let me look.", CALLED, CALLS[client])
    assert len(set(heard.ids)) == 3


def test_results_of_tools_reach_the_provider_with_their_calls(converse: Any, client: str, provider: str) -> None:
    told, heard = converse("results", text="Rome is warmer.")
    assert told.results == [(name, arguments, result) for _, name, arguments, result in HISTORY]
    assert heard.text == "Rome is warmer."


def test_an_image_reaches_the_provider_byte_for_byte(converse: Any, client: str, provider: str) -> None:
    told, heard = converse("image", text="A pixel.")
    assert told.images == [("image/png", PIXEL)]
    assert heard.text == "A pixel."


def test_a_schema_of_the_answer_reaches_the_provider(converse: Any, client: str, provider: str) -> None:
    told, heard = converse("schema", text=ANSWER)
    assert told.schema == CLOSED
    assert (heard.text, heard.calls, heard.ending) == (ANSWER, [], ENDS[client])


def test_thinking_is_asked_for_and_heard_apart_from_the_text(converse: Any, client: str, provider: str) -> None:
    told, heard = converse("thinking", thinking="Six times seven.", text="42")
    assert told.thinks
    assert (heard.thinking, heard.text) == ("Six times seven.", "42")


def test_cache_marks_arrive_where_the_provider_has_them(converse: Any, client: str, provider: str) -> None:
    told, heard = converse("cached", text="Done.")
    assert told.marked == ([] if "gemini" in (client, provider) else [LONG])
    assert heard.text == "Done."
