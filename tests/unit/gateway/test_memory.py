"""Reasoning that a client leaves out comes back: to its own account, its own conversation and its own maker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from proxyapi.dialects.model import (
    CacheMark,
    DialectName,
    Event,
    Message,
    Part,
    PartDelta,
    PartEnd,
    PartStart,
    PartState,
    ReasoningState,
    Request,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from proxyapi.gateway.memory import KEYS_MAX, TOUCH_MS, TRIM_EVERY, TTL_MS, VALUE_BYTES_MAX, Memory

ORIGIN = "anthropic_claude-opus-4-5"
SIGNED = ReasoningState(kind="anthropic_signature", data="c2lnbmF0dXJl", origin=ORIGIN)
OTHER = ReasoningState(kind="google_signature", data="b3RoZXI=", origin="google_gemini-3-pro")


def memory_of(store: Any, **options: int) -> Memory:
    return Memory(fetch=store.fetch, write=store.write, clock_ms=store.clock_ms, **options)


def user(text: str) -> Message:
    return Message(role="user", parts=(Text(text=text),))


def said(*parts: Part) -> Message:
    return Message(role="assistant", parts=parts)


def asked(*messages: Message) -> Request:
    return Request(model="m", messages=messages)


def reply(*parts: Part, choice: int = 0) -> list[Event]:
    """A stream: every part opened empty, its text in two pieces, its state before its end."""
    events: list[Event] = []
    for index, part in enumerate(parts, choice * 100):
        text = part.arguments if isinstance(part, ToolUse) else part.text  # type: ignore[union-attr]
        empty = {"arguments": ""} if isinstance(part, ToolUse) else {"text": ""}
        values = {name: getattr(part, name) for name in part.__struct_fields__} | empty | {"state": None}
        events.append(PartStart(index, type(part)(**values), choice))
        cut = len(text) // 2
        events += [PartDelta(index, piece) for piece in (text[:cut], text[cut:]) if piece]
        if part.state is not None:
            events.append(PartState(index, part.state))
        events.append(PartEnd(index))
    return events


def through(
    memory: Memory,
    request: Request,
    events: Sequence[Event],
    later: Request,
    *,
    account: int = 1,
    origin: str = ORIGIN,
    client: DialectName = "openai_chat",
) -> tuple[Message, ...]:
    """The messages of a later request, after the reply to an earlier one was remembered for account 1."""

    async def both() -> Request:
        if recorder := memory.recorder(client, request):
            for event in events:
                recorder.feed([event])
            await memory.remember(1, recorder)
        return await memory.recall(account, client, later, origin)

    return asyncio.run(both()).messages


QUESTION = user("What is the weather?")
THOUGHT = Thinking(text="I should look.", state=SIGNED)
CALL = ToolUse(id="call_1", name="weather", arguments='{"city":"Oslo"}')
RESULT = Message(role="user", parts=(ToolResult(tool_use_id="call_1", parts=(Text(text="rain"),)),))


def test_thoughts_come_back_before_the_call_that_they_led_to(store: Any) -> None:
    later = asked(QUESTION, said(CALL), RESULT)
    messages = through(memory_of(store), asked(QUESTION), reply(THOUGHT, CALL), later)
    assert messages == (QUESTION, said(THOUGHT, CALL), RESULT)


def test_a_gemini_client_that_drops_thoughts_gets_them_back_too(store: Any) -> None:
    later = asked(QUESTION, said(CALL), RESULT)
    messages = through(memory_of(store), asked(QUESTION), reply(THOUGHT, CALL), later, client="gemini")
    assert messages == (QUESTION, said(THOUGHT, CALL), RESULT)


def test_a_state_on_a_call_comes_back_on_it_and_not_on_its_neighbour(store: Any) -> None:
    signed = ToolUse(id="call_1", name="weather", arguments="{}", state=SIGNED)
    second = ToolUse(id="call_2", name="weather", arguments="{}")
    plain = ToolUse(id="call_1", name="weather", arguments="{}")
    messages = through(memory_of(store), asked(QUESTION), reply(signed, second), asked(QUESTION, said(plain, second)))
    assert messages[1].parts == (signed, second)


def test_a_text_is_cut_again_where_thoughts_stood_between_its_pieces(store: Any) -> None:
    parts = (THOUGHT, Text(text="First. "), Thinking(text="More.", state=SIGNED), Text(text="Second.", state=SIGNED))
    later = asked(QUESTION, said(Text(text="First. Second.")), user("And then?"))
    assert through(memory_of(store), asked(QUESTION), reply(*parts), later)[1].parts == parts


def test_thoughts_before_text_and_before_a_call_go_each_to_its_place(store: Any) -> None:
    second = Thinking(text="Now call.", state=SIGNED)
    text = Text(text="Let me see.")
    messages = through(
        memory_of(store), asked(QUESTION), reply(THOUGHT, text, second, CALL), asked(QUESTION, said(text, CALL), RESULT)
    )
    assert messages[1].parts == (THOUGHT, text, second, CALL)


def test_white_space_that_a_client_changed_does_not_matter(store: Any) -> None:
    parts = (THOUGHT, Text(text="   First."), Thinking(text="More.", state=SIGNED), Text(text="Second.\n"))
    later = asked(QUESTION, said(Text(text="First.\n\nSecond.")))
    restored = through(memory_of(store), asked(QUESTION), reply(*parts), later)[1].parts
    assert [part.text for part in restored] == ["I should look.", "First.", "More.", "\n\nSecond."]  # type: ignore[union-attr]


def test_a_text_of_white_space_leads_nothing(store: Any) -> None:
    later = asked(QUESTION, said(CALL))
    messages = through(memory_of(store), asked(QUESTION), reply(THOUGHT, Text(text="\n\n"), CALL), later)
    assert messages[1].parts == (THOUGHT, CALL)


def test_a_cache_mark_stays_at_the_end_of_the_text(store: Any) -> None:
    mark = CacheMark("1h")
    later = asked(QUESTION, said(Text(text="A"), Text(text="B", cache=mark)))
    restored = through(memory_of(store), asked(QUESTION), reply(THOUGHT, Text(text="AB")), later)[1].parts
    assert restored == (THOUGHT, Text(text="AB", cache=mark))


def test_thoughts_that_came_back_without_their_state_are_not_doubled(store: Any) -> None:
    later = asked(QUESTION, said(Thinking(text="I should look."), CALL))
    assert through(memory_of(store), asked(QUESTION), reply(THOUGHT, CALL), later)[1].parts == (THOUGHT, CALL)


def test_a_client_that_keeps_states_is_left_alone(store: Any) -> None:
    own = said(Thinking(text="mine", state=OTHER), CALL)
    assert through(memory_of(store), asked(QUESTION), reply(THOUGHT, CALL), asked(QUESTION, own))[1] == own


def test_only_the_maker_gets_its_states(store: Any) -> None:
    later = asked(QUESTION, said(CALL))
    messages = through(memory_of(store), asked(QUESTION), reply(THOUGHT, CALL), later, origin=OTHER.origin)
    assert messages == later.messages


def test_accounts_never_meet(store: Any) -> None:
    later = asked(QUESTION, said(CALL))
    assert through(memory_of(store), asked(QUESTION), reply(THOUGHT, CALL), later, account=2) == later.messages


def test_the_same_answer_to_another_question_is_another_answer(store: Any) -> None:
    yes = Text(text="Yes.")
    later = asked(user("Is it late?"), said(yes))
    assert through(memory_of(store), asked(user("Is it cold?")), reply(THOUGHT, yes), later) == later.messages


def test_every_choice_is_remembered(store: Any) -> None:
    events = reply(THOUGHT, Text(text="one")) + reply(Thinking(text="else", state=SIGNED), Text(text="two"), choice=1)
    restored = through(memory_of(store), asked(QUESTION), events, asked(QUESTION, said(Text(text="two"))))[1].parts
    assert restored == (Thinking(text="else", state=SIGNED), Text(text="two"))


def test_a_reply_without_states_costs_the_store_nothing(store: Any) -> None:
    events = reply(Thinking(text="unsigned"), Text(text="Answer"), CALL)
    later = asked(QUESTION)
    assert through(memory_of(store), asked(QUESTION), events, later) == later.messages
    assert (store.reads, store.writes) == (0, 0)


def test_another_worker_finds_it_in_the_store(store: Any) -> None:
    through(memory_of(store), asked(QUESTION), reply(THOUGHT, CALL), asked())
    fresh = memory_of(store)
    later = asyncio.run(fresh.recall(1, "openai_chat", asked(QUESTION, said(CALL)), ORIGIN))
    assert later.messages[1] == said(THOUGHT, CALL)


def test_the_same_worker_does_not_ask_the_store(store: Any) -> None:
    memory = memory_of(store)
    through(memory, asked(QUESTION), reply(THOUGHT, CALL), asked(QUESTION, said(CALL)))
    assert store.reads == 0


def test_what_is_not_used_for_a_day_is_gone(store: Any) -> None:
    memory = memory_of(store)
    through(memory, asked(QUESTION), reply(THOUGHT, CALL), asked())
    later = asked(QUESTION, said(CALL))
    store.now_ms += TTL_MS
    assert asyncio.run(memory.recall(1, "openai_chat", later, ORIGIN)).messages != later.messages
    store.now_ms += TTL_MS + TOUCH_MS
    for one in (memory, memory_of(store)):
        assert asyncio.run(one.recall(1, "openai_chat", later, ORIGIN)).messages == later.messages
    asyncio.run(memory.prune())
    assert store.count("thought") == 0


def test_use_makes_it_last_longer(store: Any) -> None:
    memory = memory_of(store)
    through(memory, asked(QUESTION), reply(THOUGHT, CALL), asked())
    later = asked(QUESTION, said(CALL))

    async def use() -> Request:
        found = await memory.recall(1, "openai_chat", later, ORIGIN)
        await asyncio.sleep(0)
        return found

    for _ in range(5):
        store.now_ms += TTL_MS
        assert asyncio.run(use()).messages != later.messages
    asyncio.run(memory.prune())
    assert store.count("thought") == 1


def test_an_account_keeps_the_newest_thousand_at_most(store: Any) -> None:
    memory = memory_of(store, values_max=20)

    async def many() -> None:
        for number in range(2 * TRIM_EVERY):
            store.now_ms += 1
            recorder = memory.recorder("openai_chat", asked(QUESTION))
            assert recorder is not None
            recorder.feed(reply(THOUGHT, ToolUse(id=f"call_{number}", name="f", arguments="{}")))
            await memory.remember(1, recorder)

    asyncio.run(many())
    assert store.count("thought") == 20
    fresh = memory_of(store)
    newest = said(ToolUse(id=f"call_{2 * TRIM_EVERY - 1}", name="f", arguments="{}"))
    assert len(asyncio.run(fresh.recall(1, "openai_chat", asked(QUESTION, newest), ORIGIN)).messages[1].parts) == 2


def test_what_is_too_large_is_not_kept(store: Any) -> None:
    huge = Thinking(text="t", state=ReasoningState(kind="openai_encrypted", data="A" * VALUE_BYTES_MAX, origin=ORIGIN))
    through(memory_of(store), asked(QUESTION), reply(huge, CALL), asked())
    assert store.writes == 0


def test_of_a_long_conversation_the_newest_turns_are_looked_up(store: Any) -> None:
    memory = memory_of(store)
    through(memory, asked(QUESTION), reply(THOUGHT, CALL), asked())
    filler = [said(ToolUse(id=f"x{number}", name="f", arguments="{}")) for number in range(2 * KEYS_MAX)]
    restored = asyncio.run(memory.recall(1, "openai_chat", asked(*filler, said(CALL)), ORIGIN)).messages
    assert restored[-1] == said(THOUGHT, CALL)
    assert store.reads == 1


@pytest.mark.timeout(15)  # one look at each earlier message for each answer took 40 s, and held the worker
def test_a_conversation_of_very_many_messages_is_not_read_again_for_each_of_them(store: Any) -> None:
    memory = memory_of(store)
    through(memory, asked(QUESTION), reply(THOUGHT, CALL), asked())
    turns = [said(Text(text="yes")), QUESTION] * 100_000
    restored = asyncio.run(memory.recall(1, "openai_chat", asked(*turns, said(CALL)), ORIGIN)).messages
    assert restored[-1] == said(THOUGHT, CALL)


def test_a_sick_store_costs_the_reasoning_and_not_the_reply(store: Any) -> None:
    store.sick = True
    memory = memory_of(store)
    messages = through(memory, asked(QUESTION), reply(THOUGHT, CALL), asked(QUESTION, said(CALL)))
    assert messages[1] == said(THOUGHT, CALL), "this worker has it at hand"


def test_it_can_be_switched_off(store: Any) -> None:
    memory = memory_of(store, ttl_ms=0)
    later = asked(QUESTION, said(CALL))
    assert through(memory, asked(QUESTION), reply(THOUGHT, CALL), later) == later.messages
    assert (store.reads, store.writes) == (0, 0)


def test_dialects_with_a_field_of_their_own_need_no_memory(store: Any) -> None:
    memory = memory_of(store)
    through(memory, asked(QUESTION), reply(THOUGHT, CALL), asked())
    assert memory.recorder("openai_responses", asked(QUESTION)) is None
    later = asked(QUESTION, said(CALL))
    assert asyncio.run(memory.recall(1, "anthropic", later, ORIGIN)) is later
