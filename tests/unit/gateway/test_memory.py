"""What clients can't carry comes back with their next request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxyapi.dialects.model import (
    Message,
    ReasoningState,
    Request,
    Storage,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from proxyapi.errors import UnknownResponse
from proxyapi.gateway.memory import STATES_BYTES_MAX, TOUCHED_MS_MIN, Remembering
from proxyapi.identity.kept import Kept
from proxyapi.ids import IdSource
from proxyapi.ledger.ledger import Ledger
from proxyapi.store.migrate import migrate
from proxyapi.store.sqlite import Database

DAY_MS = 86_400_000
SIGNED = ReasoningState("google_signature", "c2ln", "google-gemini")
THOUGHT = Thinking("hm", state=ReasoningState("anthropic_signature", "c2ln", "anthropic-claude"))


class Clock:
    now = 1_000_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def remembering(tmp_path: Path) -> Any:
    """`remembering(work)`: runs `work(memory, clock)` on a real store."""

    def run(work: Callable[[Remembering, Clock], Awaitable[Any]], *, seconds: float = 86_400) -> Any:
        async def main() -> Any:
            database = Database(tmp_path / "memory.db", durable=False)
            migrate(database)
            ledger = Ledger(database, worker="test", ids=IdSource())
            await ledger.open()
            clock = Clock()
            kept = Kept(database.fetch)
            try:
                return await work(Remembering(kept=kept, ledger=ledger, clock_ms=clock, seconds=seconds), clock)
            finally:
                await ledger.close()
                database.close()

        return asyncio.run(main())

    return run


def answer(*parts: Any) -> Message:
    return Message(role="assistant", parts=parts)


def asked(*messages: Message, previous: str = "", system: tuple[Message, ...] = ()) -> Request:
    storage = Storage(previous_response_id=previous)
    return Request(model="m", messages=messages, storage=storage, system=system)


USER = Message(role="user", parts=(Text("Hi"),))
RESULT = Message(role="user", parts=(ToolResult("c1", (Text("7"),)),))


def test_a_state_of_a_call_comes_back_by_the_id_of_the_call(remembering: Any) -> None:
    async def work(memory: Remembering, _clock: Clock) -> Request:
        await memory.keep_states(1, answer(ToolUse("c1", "f", "{}", state=SIGNED), ToolUse("c2", "g", "{}")))
        return await memory.with_states(
            1, asked(USER, answer(ToolUse("c1", "f", "{ }"), ToolUse("c2", "g", "")), RESULT)
        )

    call, other = remembering(work).messages[1].parts
    assert call == ToolUse("c1", "f", "{ }", state=SIGNED)
    assert other == ToolUse("c2", "g", "")


def test_signed_thinking_comes_back_whole_before_its_call(remembering: Any) -> None:
    async def work(memory: Remembering, _clock: Clock) -> Request:
        await memory.keep_states(1, answer(THOUGHT, Text("Let me see."), ToolUse("c1", "f", "{}")))
        echoed = answer(Thinking("hm"), Text("Let me see."), ToolUse("c1", "f", "{}"))
        return await memory.with_states(1, asked(USER, echoed, RESULT))

    assert remembering(work).messages[1].parts == (THOUGHT, Text("Let me see."), ToolUse("c1", "f", "{}"))


def test_a_turn_of_text_is_known_by_its_text(remembering: Any) -> None:
    async def work(memory: Remembering, _clock: Clock) -> Request:
        await memory.keep_states(1, answer(Text("Hello", state=SIGNED)))
        return await memory.with_states(1, asked(USER, answer(Text("Hello")), USER, answer(Text("Bye")), USER))

    messages = remembering(work).messages
    assert messages[1].parts == (Text("Hello", state=SIGNED),)
    assert messages[3].parts == (Text("Bye"),)


def test_what_a_client_carries_itself_is_not_touched(remembering: Any) -> None:
    mine = ToolUse("c1", "f", "{}", state=ReasoningState("google_signature", "bWluZQ==", "google-gemini"))

    async def work(memory: Remembering, _clock: Clock) -> Request:
        await memory.keep_states(1, answer(ToolUse("c1", "f", "{}", state=SIGNED)))
        return await memory.with_states(1, asked(USER, answer(mine), RESULT))

    assert remembering(work).messages[1].parts == (mine,)


def test_another_account_gets_nothing(remembering: Any) -> None:
    async def work(memory: Remembering, _clock: Clock) -> Request:
        await memory.keep_states(1, answer(ToolUse("c1", "f", "{}", state=SIGNED)))
        return await memory.with_states(2, asked(USER, answer(ToolUse("c1", "f", "{}")), RESULT))

    assert remembering(work).messages[1].parts == (ToolUse("c1", "f", "{}"),)


def test_a_state_lives_as_long_as_it_is_needed_and_a_day_longer(remembering: Any) -> None:
    request = asked(USER, answer(ToolUse("c1", "f", "{}")), RESULT)

    async def work(memory: Remembering, clock: Clock) -> list[bool]:
        await memory.keep_states(1, answer(ToolUse("c1", "f", "{}", state=SIGNED)))
        found = []
        for later in (DAY_MS - 1, DAY_MS - 1, TOUCHED_MS_MIN - 1, DAY_MS):
            clock.now += later
            found.append(await memory.with_states(1, request) is not request)
        return found

    assert remembering(work) == [True, True, True, False]


def test_what_is_too_large_is_not_kept(remembering: Any) -> None:
    async def work(memory: Remembering, _clock: Clock) -> bool:
        huge = ReasoningState("google_signature", "A" * STATES_BYTES_MAX)
        await memory.keep_states(1, answer(ToolUse("c1", "f", "{}", state=huge)))
        request = asked(USER, answer(ToolUse("c1", "f", "{}")), RESULT)
        return await memory.with_states(1, request) is request

    assert remembering(work)


def test_nothing_is_kept_where_the_operator_wants_nothing_kept(remembering: Any) -> None:
    async def work(memory: Remembering, _clock: Clock) -> bool:
        await memory.keep_states(1, answer(ToolUse("c1", "f", "{}", state=SIGNED)))
        await memory.keep_turn(1, "resp_1", asked(USER), b"{}", answer(Text("a")))
        with pytest.raises(UnknownResponse):
            await memory.whole(1, asked(USER, previous="resp_1"))
        request = asked(USER, answer(ToolUse("c1", "f", "{}")), RESULT)
        return await memory.with_states(1, request) is request

    assert remembering(work, seconds=0)


# --- previous_response_id --------------------------------------------------------------------------------------------


def test_a_response_stands_for_the_whole_conversation_before_it(remembering: Any) -> None:
    first = Message(role="user", parts=(Text("One"),))
    second, third = (Message(role="user", parts=(Text(text),)) for text in ("Two", "Three"))

    async def work(memory: Remembering, _clock: Clock) -> Request:
        await memory.keep_turn(1, "resp_1", asked(first), b"{}", answer(Text("1", state=SIGNED)))
        await memory.keep_turn(1, "resp_2", asked(second, previous="resp_1"), b"{}", answer(Text("2")))
        return await memory.whole(1, asked(third, previous="resp_2"))

    request = remembering(work)
    assert request.messages == (first, answer(Text("1", state=SIGNED)), second, answer(Text("2")), third)
    assert request.storage.previous_response_id == ""


def test_instructions_hold_for_one_request_and_instructing_items_for_all(remembering: Any) -> None:
    said, item, new = (Message(role="developer", parts=(Text(text),)) for text in ("said", "item", "new"))

    async def work(memory: Remembering, _clock: Clock) -> Request:
        body = msgspec.json.encode({"instructions": "said"})
        await memory.keep_turn(1, "resp_1", asked(USER, system=(said, item)), body, answer(Text("a")))
        return await memory.whole(1, asked(USER, previous="resp_1", system=(new,)))

    assert remembering(work).system == (new, item)


@pytest.mark.parametrize(("account", "previous"), [(2, "resp_1"), (1, "resp_0"), (1, "call:c1")])
def test_a_response_that_is_none_of_the_accounts_is_not_found(remembering: Any, account: int, previous: str) -> None:
    async def work(memory: Remembering, _clock: Clock) -> None:
        await memory.keep_turn(1, "resp_1", asked(USER), b"{}", answer(Text("a")))
        await memory.keep_states(1, answer(ToolUse("c1", "f", "{}", state=SIGNED)))
        await memory.whole(account, asked(USER, previous=previous))

    with pytest.raises(UnknownResponse) as caught:
        remembering(work)
    assert (caught.value.status, caught.value.code) == (400, "previous_response_not_found")


def test_a_response_that_is_not_to_be_stored_is_not_kept(remembering: Any) -> None:
    async def work(memory: Remembering, _clock: Clock) -> None:
        request = Request(model="m", messages=(USER,), storage=Storage(store=False))
        await memory.keep_turn(1, "resp_1", request, b"{}", answer(Text("a")))
        await memory.whole(1, asked(USER, previous="resp_1"))

    with pytest.raises(UnknownResponse):
        remembering(work)
