"""Requests of very many small pieces: what reads or writes each of them by looking at all of them again would not end
within the time that these tests have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxyapi.dialects.codec import TargetModel
from proxyapi.dialects.codecs import CODECS
from proxyapi.dialects.model import Request, ToolResult

pytestmark = pytest.mark.timeout(40)
COUNT = 20_000
"""A second for one pass, minutes for one pass each."""


def read(dialect: str, body: dict[str, Any]) -> Request:
    text = json.dumps({"model": "m", "max_tokens": 5} | body).encode()
    return CODECS[dialect].decode(text, model="m", stream=False, unseal=lambda _: None)  # type: ignore[index]


def call(**members: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", "arguments": "{}"}} | members


@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic"])
@pytest.mark.parametrize("role", ["user", "assistant"])
def test_neighbours_of_one_role_become_one_message(dialect: str, role: str) -> None:
    request = read(dialect, {"messages": [{"role": role, "content": "hi"}] * COUNT})
    assert [len(message.parts) for message in request.messages] == [COUNT]


def test_results_stand_before_the_texts_that_came_between_them() -> None:
    pair = [{"role": "tool", "tool_call_id": "c", "content": "r"}, {"role": "user", "content": "hi"}]
    request = read("openai_chat", {"messages": pair * COUNT})
    kinds = [isinstance(part, ToolResult) for part in request.messages[0].parts]
    assert kinds == [True] * COUNT + [False] * COUNT


def test_outputs_stand_before_the_texts_that_came_between_them() -> None:
    pair = [
        {"type": "function_call_output", "call_id": "c", "output": "r"},
        {"type": "message", "role": "user", "content": "hi"},
    ]
    request = read("openai_responses", {"input": pair * COUNT})
    kinds = [isinstance(part, ToolResult) for part in request.messages[0].parts]
    assert kinds == [True] * COUNT + [False] * COUNT


def test_instructions_of_two_roles_in_turns_stay_apart() -> None:
    roles = [{"type": "message", "role": role, "content": "be"} for role in ("system", "developer")]
    request = read("openai_responses", {"input": [*roles * COUNT, {"role": "user", "content": "hi"}]})
    assert len(request.system) == 2 * COUNT


def test_results_without_an_id_answer_the_first_open_call_of_their_name() -> None:
    calls = [call(id=f"c{number}", function={"name": f"f{number}", "arguments": "{}"}) for number in range(COUNT)]
    results = [{"role": "function", "name": f"f{number}", "content": "r"} for number in reversed(range(COUNT))]
    request = read("openai_chat", {"messages": [{"role": "assistant", "tool_calls": calls}, *results]})
    found = [part.tool_use_id for part in request.messages[1].parts if isinstance(part, ToolResult)]
    assert found == [f"c{number}" for number in reversed(range(COUNT))]


def test_calls_without_an_id_get_one_that_no_other_call_has() -> None:
    calls = [*(call(id=f"call_{number}") for number in range(COUNT, 2 * COUNT)), *[call()] * COUNT]
    request = read("openai_chat", {"messages": [{"role": "assistant", "tool_calls": calls}]})
    assert len({part.id for part in request.messages[0].parts}) == 2 * COUNT  # type: ignore[union-attr]


@pytest.mark.parametrize("dialect", ["openai_chat", "openai_responses", "anthropic", "gemini"])
def test_a_choice_among_very_many_functions_names_them_all(dialect: str) -> None:
    names = [f"f{number}" for number in range(COUNT)]
    request = read(
        "gemini",
        {
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "tools": [{"functionDeclarations": [{"name": name} for name in names]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": names}},
        },
    )
    encoded = CODECS[dialect].encode(request, TargetModel(model="m", output_tokens_max=100))  # type: ignore[index]
    assert encoded.body.count(b'"%b"' % names[-1].encode()) >= 1
