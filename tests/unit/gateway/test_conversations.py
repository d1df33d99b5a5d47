"""Responses of providers that keep none: continued, referred to, bounded, and never anybody else's."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from proxyapi.dialects.call import Call
from proxyapi.dialects.openai_responses.call import OpenAIResponses
from proxyapi.errors import UnknownResponse
from proxyapi.gateway.conversations import RESPONSE_BYTES_MAX, TOUCH_MS, TRIM_EVERY, Conversations, Turn

DAY_MS = 86_400_000
KEEP_MS = 30 * DAY_MS


def keeper(store: Any, **options: Any) -> Conversations:
    values = {"keep_ms": KEEP_MS, "account_bytes_max": 10**9} | options
    return Conversations(fetch=store.fetch, write=store.write, clock_ms=store.clock_ms, **values)


def said(text: str, number: int) -> dict[str, Any]:
    return {
        "type": "message", "id": f"msg_{number}", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }  # fmt: skip


def response(number: int, text: str = "", status: str = "completed") -> bytes:
    output = [said(text or f"answer {number}", number)]
    return json.dumps({"id": f"resp_{number}", "object": "response", "status": status, "output": output}).encode()


def begin(conversations: Conversations, *, account: int = 1, **fields: Any) -> Turn | None:
    body = json.dumps({"model": "m", **fields}).encode()
    return asyncio.run(conversations.begin(account, body, OpenAIResponses().read(body)))


def talk(conversations: Conversations, number: int, *, account: int = 1, reply: bytes = b"", **fields: Any) -> Turn:
    """One whole turn: asked, answered, kept."""
    turn = begin(conversations, account=account, **fields)
    assert turn is not None
    turn.feed(reply or response(number))
    asyncio.run(conversations.keep(account, turn))
    return turn


def asked(turn: Turn | None) -> list[Any]:
    assert turn is not None
    items = json.loads(turn.body)["input"]
    assert isinstance(items, list)
    return items


def question(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": text}


def test_earlier_items_come_before_a_requests_own(store: Any) -> None:
    conversations = keeper(store)
    talk(conversations, 1, input="first?")
    talk(conversations, 2, input=[{"role": "user", "content": "second?"}], previous_response_id="resp_1")
    turn = begin(conversations, input="third?", previous_response_id="resp_2", temperature=0.5)
    assert asked(turn) == [
        question("first?"), said("answer 1", 1),
        {"role": "user", "content": "second?"}, said("answer 2", 2),
        question("third?"),
    ]  # fmt: skip
    body = json.loads(turn.body) if turn else {}
    assert (body["previous_response_id"], body["temperature"]) == (None, 0.5)


def test_a_request_that_points_at_nothing_stays_as_it_is(store: Any) -> None:
    body = b'{"model":"m" , "input":"Hi"}'
    turn = asyncio.run(keeper(store).begin(1, body, OpenAIResponses().read(body)))
    assert turn is not None
    assert turn.body is body
    assert store.reads == 0


def test_each_response_keeps_its_own_part_only(store: Any) -> None:
    conversations = keeper(store)
    talk(conversations, 1, input="x" * 1_000)
    for number in range(2, 6):
        talk(conversations, number, input="more", previous_response_id=f"resp_{number - 1}")
    sizes = [row[0] for row in store.database.fetch_now("SELECT bytes FROM response ORDER BY number")]
    assert max(sizes[1:]) < 500


def test_a_conversation_can_branch(store: Any) -> None:
    conversations = keeper(store)
    talk(conversations, 1, input="root")
    talk(conversations, 2, input="left", previous_response_id="resp_1")
    right = begin(conversations, input="right", previous_response_id="resp_1")
    assert asked(right) == [question("root"), said("answer 1", 1), question("right")]


def test_an_unknown_response_is_nobodys(store: Any) -> None:
    conversations = keeper(store)
    talk(conversations, 1, input="mine")
    assert begin(conversations, input="x", previous_response_id="resp_9") is None
    assert begin(conversations, account=2, input="x", previous_response_id="resp_1") is None


def test_two_accounts_may_have_the_same_id(store: Any) -> None:
    conversations = keeper(store)
    talk(conversations, 1, input="mine")
    talk(conversations, 1, account=2, input="yours", reply=response(1, "other"))
    assert asked(begin(conversations, input="?", previous_response_id="resp_1"))[1] == said("answer 1", 1)
    assert asked(begin(conversations, account=2, input="?", previous_response_id="resp_1"))[1] == said("other", 1)


def test_references_are_written_out_where_they_stand(store: Any) -> None:
    conversations = keeper(store)
    talk(conversations, 1, input="first?")
    items = [question("first?"), {"type": "item_reference", "id": "msg_1"}, question("second?")]
    assert asked(begin(conversations, input=items)) == [question("first?"), said("answer 1", 1), question("second?")]
    unknown = [{"type": "item_reference", "id": "msg_9"}]
    assert asked(begin(conversations, input=unknown)) == unknown, "whoever checks them next refuses it"
    assert asked(begin(conversations, account=2, input=items))[1] == items[1]


def test_a_reference_to_what_is_there_already_is_left_out(store: Any) -> None:
    conversations = keeper(store)
    talk(conversations, 1, input="first?")
    items = [{"type": "item_reference", "id": "msg_1"}, question("second?")]
    turn = begin(conversations, input=items, previous_response_id="resp_1")
    assert asked(turn) == [question("first?"), said("answer 1", 1), question("second?")]


def test_a_streamed_response_is_kept_from_its_last_event(store: Any) -> None:
    conversations = keeper(store)
    turn = begin(conversations, input="Hi", stream=True)
    assert turn is not None
    frames = b'event: response.created\ndata: {"type":"response.created","response":{"id":"resp_1"}}\n\n'
    frames += b"event: response.completed\ndata: " + b'{"type":"response.completed","response":%b}\n\n' % response(1)
    ends = [turn.feed(frames[at : at + 7]) for at in range(0, len(frames), 7)]
    assert ends.index(True) == len(ends) - 1, "only the last event has to wait"
    asyncio.run(conversations.keep(1, turn))
    assert asked(begin(conversations, input="?", previous_response_id="resp_1"))[1] == said("answer 1", 1)


@pytest.mark.parametrize(
    "reply", [b'{"error":{}}', b"not json", response(1, status="failed"), response(1, "x" * RESPONSE_BYTES_MAX)],
    ids=["error", "not json", "failed", "too large"],
)  # fmt: skip
def test_what_is_no_whole_response_is_not_kept(store: Any, reply: bytes) -> None:
    talk(keeper(store), 1, input="Hi", reply=reply)
    assert store.count("response") == 0


def test_an_incomplete_response_can_be_continued(store: Any) -> None:
    conversations = keeper(store)
    talk(conversations, 1, input="Hi", reply=response(1, status="incomplete"))
    assert begin(conversations, input="go on", previous_response_id="resp_1") is not None


def test_store_false_keeps_nothing(store: Any) -> None:
    talk(keeper(store), 1, input="Hi", store=False)
    assert store.count("response") == store.count("response_item") == 0


def test_it_can_be_switched_off(store: Any) -> None:
    off = keeper(store, keep_ms=0)
    talk(off, 1, input="Hi")
    assert begin(off, input="?", previous_response_id="resp_1") is None
    assert (store.reads, store.writes) == (0, 0)


def test_what_is_not_used_is_forgotten_and_use_keeps_the_whole_conversation(store: Any) -> None:
    conversations = keeper(store)
    talk(conversations, 1, input="first")
    talk(conversations, 2, input="second", previous_response_id="resp_1")
    talk(conversations, 3, input="alone")

    async def use() -> object:
        chain = await conversations.chain(1, "resp_2")
        await asyncio.sleep(0)
        return chain

    for _ in range(3):
        store.now_ms += KEEP_MS - 1
        assert asyncio.run(use())
        asyncio.run(conversations.prune())
    assert begin(conversations, input="?", previous_response_id="resp_3") is None
    assert (store.count("response"), store.count("response_item")) == (2, 2)
    store.now_ms += KEEP_MS + TOUCH_MS
    assert begin(conversations, input="?", previous_response_id="resp_2") is None, "also before it is pruned"


def test_a_conversation_whose_beginning_is_gone_cannot_be_continued(store: Any) -> None:
    conversations = keeper(store)
    talk(conversations, 1, input="first")
    talk(conversations, 2, input="second", previous_response_id="resp_1")
    with store.database.transaction() as transaction:
        transaction.execute("DELETE FROM response WHERE id = 'resp_1'")
    with pytest.raises(UnknownResponse, match="resp_2") as caught:
        begin(conversations, input="third", previous_response_id="resp_2")
    assert (caught.value.status, caught.value.code) == (400, "previous_response_not_found")


def test_a_conversation_that_no_model_could_read_is_not_brought_back(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversations = keeper(store)
    monkeypatch.setattr("proxyapi.gateway.conversations.CHAIN_BYTES_MAX", 3_000)
    talk(conversations, 1, input="x" * 1_000)
    talk(conversations, 2, input="x" * 1_000, previous_response_id="resp_1")
    assert begin(conversations, input="?", previous_response_id="resp_2") is not None
    talk(conversations, 3, input="x" * 1_000, previous_response_id="resp_2")
    with pytest.raises(UnknownResponse):
        begin(conversations, input="?", previous_response_id="resp_3")


def test_an_account_keeps_no_more_than_its_share(store: Any) -> None:
    conversations = keeper(store, account_bytes_max=20_000)
    for number in range(2 * TRIM_EVERY):
        store.now_ms += 1
        talk(conversations, number, input="y" * 1_000)
    left = [row[0] for row in store.database.fetch_now("SELECT bytes FROM response ORDER BY number")]
    assert 15_000 < sum(left) <= 20_000
    assert store.count("response_item") == len(left)
    assert begin(conversations, input="?", previous_response_id=f"resp_{2 * TRIM_EVERY - 1}") is not None


def test_a_sick_store_costs_the_reference_and_not_the_reply(store: Any) -> None:
    conversations = keeper(store)
    store.sick = True
    talk(conversations, 1, input="Hi")
    store.sick = False
    assert begin(conversations, input="?", previous_response_id="resp_1") is None


def test_a_request_without_input_is_continued_too(store: Any) -> None:
    conversations = keeper(store)
    talk(conversations, 1, input="Hi")
    body = b'{"model":"m","previous_response_id":"resp_1"}'
    call: Call = OpenAIResponses().read(body)
    turn = asyncio.run(conversations.begin(1, body, call))
    assert asked(turn) == [question("Hi"), said("answer 1", 1)]
