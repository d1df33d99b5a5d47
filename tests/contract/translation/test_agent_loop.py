"""Agents of every SDK, six turns long: what a provider has cached stays byte for byte the same, and pays off.

The provider behind caches as real ones do: by the bytes of what it was sent before. If a translation wrote one earlier
message, tool or instruction differently in a later turn, the cache would be cold and the reads would stop to grow.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from google.genai import types

TURNS = 6
READ_PER_TURN = 100
"""Tokens that the fake reads from its cache for each earlier request that this one begins with."""
SYSTEM = "You are an agent. Call tools until you know the answer. " * 40
TASK = "How warm are Oslo and Rome?"
SCHEMA: Any = {
    "type": "object",
    "properties": {"zeta": {"type": "number"}, "city": {"type": "string", "description": "Naïve — “quoted”"}},
    "required": ["city"],
}
"""Neither sorted nor ASCII: whoever parses and prints it anew has to be lucky."""
ASIDE = "Hurry up, please."
"""What the user throws in after the third turn's results."""
MODELS = {
    "openai_chat": ("acme/thinker", "acme/echoing"),
    "openai_responses": ("openai/gpt-5-pro", "openai/gpt-5.6-pro"),
    "anthropic": ("anthropic/claude-sonnet-4-5", "anthropic/claude-opus-5"),
    "gemini": ("google/gemini-2.5-flash", "google/gemini-3-pro-preview"),
}
"""Two generations, told in different ways to think."""
SPOKEN = {"openai_chat": "messages", "openai_responses": "input", "anthropic": "messages", "gemini": "contents"}
"""The field of a provider's wire format that grows."""
THOUGHT = "I should look."

Fields = dict[str, Any]


class ChatAgent:
    """Sends back standard fields only: the gateway remembers the reasoning."""

    def __init__(self) -> None:
        self.history: list[Any] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": TASK}]

    def request(self) -> Fields:
        function = {"name": "weather", "description": "Degrees", "parameters": SCHEMA}
        return {
            "messages": self.history,
            "tools": [{"type": "function", "function": function}],
            "reasoning_effort": "high",
        }

    def go_on(self, heard: Any, results: list[str], aside: str) -> None:
        self.history += heard.turn
        for id, result in zip(heard.ids, results, strict=True):
            self.history.append({"role": "tool", "tool_call_id": id, "content": result})
        self.history += [{"role": "user", "content": aside}] if aside else []


class ResponsesAgent:
    """Stores nothing at the provider: reasoning travels sealed in the items, as Codex does it."""

    def __init__(self) -> None:
        self.history: list[Any] = [{"role": "user", "content": TASK}]

    def request(self) -> Fields:
        tool = {"type": "function", "name": "weather", "description": "Degrees", "parameters": SCHEMA, "strict": False}
        fields: Fields = {"instructions": SYSTEM, "input": self.history, "tools": [tool], "store": False}
        reasoning = {"effort": "high", "summary": "auto"}
        return fields | {"include": ["reasoning.encrypted_content"], "reasoning": reasoning}

    def go_on(self, heard: Any, results: list[str], aside: str) -> None:
        self.history += heard.turn
        for id, result in zip(heard.ids, results, strict=True):
            self.history.append({"type": "function_call_output", "call_id": id, "output": result})
        self.history += [{"role": "user", "content": aside}] if aside else []


class MessagesAgent:
    """Marks its prefix for the cache."""

    def __init__(self) -> None:
        self.history: list[Any] = [{"role": "user", "content": TASK}]

    def request(self) -> Fields:
        system = {"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}
        tool = {"name": "weather", "description": "Degrees", "input_schema": SCHEMA}
        fields: Fields = {"system": [system], "messages": self.history, "tools": [tool], "max_tokens": 4000}
        return fields | {"thinking": {"type": "enabled", "budget_tokens": 2000}}

    def go_on(self, heard: Any, results: list[str], aside: str) -> None:
        self.history += heard.turn
        blocks: list[Fields] = [
            {"type": "tool_result", "tool_use_id": id, "content": result}
            for id, result in zip(heard.ids, results, strict=True)
        ]
        blocks += [{"type": "text", "text": aside}] if aside else []
        self.history.append({"role": "user", "content": blocks})


class GeminiAgent:
    """Sends the parts back as they came, signatures and all."""

    def __init__(self) -> None:
        self.history: list[Any] = [types.UserContent(TASK)]

    def request(self) -> Fields:
        weather = types.FunctionDeclaration(name="weather", description="Degrees", parameters_json_schema=SCHEMA)
        config = types.GenerateContentConfig(
            system_instruction=SYSTEM,
            tools=[types.Tool(function_declarations=[weather])],
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
            thinking_config=types.ThinkingConfig(thinking_budget=2000, include_thoughts=True),
        )
        return {"contents": self.history, "config": config}

    def go_on(self, heard: Any, results: list[str], aside: str) -> None:
        self.history += heard.turn
        parts = [
            types.Part(function_response=types.FunctionResponse(id=id, name="weather", response={"result": result}))
            for id, result in zip(heard.ids, results, strict=True)
        ]
        parts += [types.Part(text=aside)] if aside else []
        self.history.append(types.UserContent(parts))


AGENTS: dict[str, Callable[[], Any]] = {
    "openai_chat": ChatAgent,
    "openai_responses": ResponsesAgent,
    "anthropic": MessagesAgent,
    "gemini": GeminiAgent,
}


class Cache:
    """A provider that thinks, calls two tools in every turn but the last, and caches by bytes."""

    def __init__(self, world: Any, provider: str) -> None:
        self.bodies: list[dict[str, bytes]] = []
        self._world, self._grows = world, SPOKEN[provider]

    def __call__(self, asked: Any) -> Any:
        raw = msgspec.json.decode(asked.body, type=dict[str, msgspec.Raw])
        body = {name: bytes(value) for name, value in raw.items()}
        hits = sum(self._begins(body, earlier) for earlier in self.bodies)
        self.bodies.append(body)
        turn, call = len(self.bodies), self._world.replies.Call
        calls = [
            call(f"call_{turn}_{number}", "weather", json.dumps({"city": city, "zeta": 1.50}))
            for number, city in enumerate(("Oslo", "Røros"))
        ]
        said = self._world.replies.Said(
            thinking=f"Turn {turn}: {THOUGHT}",
            text="Looking." if turn < TURNS else "Done.",
            calls=tuple(calls) if turn < TURNS else (),
            cached=hits * READ_PER_TURN,
        )
        return self._world.saying(said)(asked)

    def _begins(self, body: dict[str, bytes], earlier: dict[str, bytes]) -> bool:
        """Everything of an earlier request stands at the beginning of this one; the rest did not change."""
        grows = self._grows
        same = {name: value for name, value in body.items() if name != grows}
        return same == {name: value for name, value in earlier.items() if name != grows} and body[grows].startswith(
            earlier[grows].removesuffix(b"]")
        )


@pytest.mark.parametrize("generation", [0, 1], ids=["older", "newer"])
@pytest.mark.parametrize("stream", [False, True], ids=["body", "stream"])
def test_an_agents_prefix_never_changes_so_that_the_cache_reads_grow(
    world: Any, key: str, client: str, provider: str, generation: int, stream: bool
) -> None:
    cache, agent, model = Cache(world, provider), AGENTS[client](), MODELS[provider][generation]
    world.answer(cache)
    reads = []
    for turn in range(1, TURNS + 1):
        heard = world.sdks.ASK[client](world.gateway.url, key, model, agent.request(), stream=stream)
        reads.append(heard.tokens["cached"])
        assert len(heard.ids) == (2 if turn < TURNS else 0)
        if heard.ids:
            agent.go_on(heard, [f"{turn} degrees", f"{-turn} degrees"], ASIDE if turn == 3 else "")
    assert heard.text == "Done."
    assert reads == [turn * READ_PER_TURN for turn in range(TURNS)], cache.bodies
    told = world.told(provider, world.asked[-1])
    assert [result for *_, result in told.results] == [
        f"{sign * turn} degrees" for turn in range(1, TURNS) for sign in (1, -1)
    ]
    sent = cache.bodies[-1][SPOKEN[provider]]
    assert sent.count(ASIDE.encode()) == 1
    # Who takes reasoning back gets it: as a state, or as text where the provider has no states.
    carried = THOUGHT if model == "acme/echoing" else world.replies.SIGNATURE
    assert sent.count(carried.encode()) == (0 if model == "acme/thinker" else TURNS - 1)
