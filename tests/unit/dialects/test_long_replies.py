"""Replies of very many small pieces: what looks at all of them again for each of them would not end within the time
that these tests have."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from proxyapi.dialects import DIALECTS
from proxyapi.dialects.call import Call, WireName
from proxyapi.dialects.channel import Meter, Passthrough
from proxyapi.dialects.codec import Asked, Encoded, TargetModel, Terms
from proxyapi.dialects.codecs import CODECS
from proxyapi.dialects.linear import Line
from proxyapi.dialects.model import Event, PartDelta, PartEnd, PartStart, Request, Text
from proxyapi.dialects.translation import Translation

pytestmark = pytest.mark.timeout(40)
COUNT = 20_000
"""A few seconds for one pass, minutes for one pass each."""
CLIENTS = ("openai_chat", "openai_responses", "anthropic", "gemini")


def frames(*events: dict[str, Any]) -> list[bytes]:
    return [
        (b"event: %b\n" % event["type"].encode() if "type" in event else b"")
        + b"data: %b\n\n" % json.dumps(event).encode()
        for event in events
    ]


def passed(dialect: WireName, pieces: Iterable[bytes], **options: Any) -> Meter:
    call = Call(operation="chat", dialect=dialect, model="gemini-2", stream=True)
    channel = Passthrough(DIALECTS[dialect].decoder(stream=True, call=call), call, **options)
    pieces = list(pieces)
    assert b"".join(map(channel.feed, pieces)) + channel.close() == b"".join(pieces)
    return channel.meter


def told(provider: str, client: str, pieces: Iterable[bytes], *, stream: bool) -> bytes:
    request = Request(model="m")
    asked = Asked(request=request, model="m", reply_id="R", created_at=1, seal=lambda state: state.data)
    linear = client != "openai_chat"
    channel = Translation(
        CODECS[provider].decoder(stream=True, target=TargetModel(model="m")),
        Terms(request=request, encoded=Encoded(body=b""), reply_id="R", origin="", provider="Acme", linear=linear),
        CODECS[client].encoder(stream=stream, asked=asked),
        Meter(),
        whole=False,
        stream=stream,
        count=lambda _: {},
        request_id="q",
    )
    return b"".join(map(channel.feed, pieces)) + channel.close()


# --- Chat Completions ------------------------------------------------------------------------------------------------


def delta(**members: Any) -> dict[str, Any]:
    return {"id": "c", "model": "m", "choices": [{"index": 0, "delta": members}]}


CHAT_END = {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}], "usage": None}


def calls() -> list[bytes]:
    """Each whole, all of them open until the end."""
    made = [
        delta(tool_calls=[{"index": number, "id": f"c{number}", "function": {"name": f"f{number}", "arguments": "{}"}}])
        for number in range(COUNT)
    ]
    return frames(*made, CHAT_END)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "body"])
@pytest.mark.parametrize("client", ["openai_responses", "anthropic", "gemini"])
def test_calls_that_are_open_at_once_are_told_one_after_the_other(client: str, stream: bool) -> None:
    said = told("openai_chat", client, calls(), stream=stream)
    assert said.count(b'"f%d"' % (COUNT - 1)) >= 1


def test_a_call_whose_name_comes_after_its_arguments_has_them_all() -> None:
    grown = delta(tool_calls=[{"index": 0, "id": "c", "function": {"arguments": "ab"}}])
    named = delta(tool_calls=[{"index": 0, "id": "c", "function": {"name": "f"}}])
    meter = passed("openai_chat", frames(*[grown] * COUNT, named, CHAT_END))
    assert "".join(meter.texts) == "f" + "ab" * COUNT


def test_a_frame_in_very_small_pieces_waits_for_its_end() -> None:
    data = b"".join(frames(delta(content="x" * 500 * COUNT), CHAT_END))
    pieces = [data[at : at + 500] for at in range(0, len(data), 500)]
    meter = passed("openai_chat", [*pieces, b"data: [DONE]\n\n"], strip_usage=True)
    assert meter.text_characters == 500 * COUNT


# --- Responses -------------------------------------------------------------------------------------------------------


def test_items_of_responses_that_are_open_at_once_end_one_by_one() -> None:
    item = {"type": "function_call", "name": "f", "arguments": ""}
    added = [
        {"type": "response.output_item.added", "output_index": at, "item": item | {"id": f"f{at}", "call_id": f"c{at}"}}
        for at in range(COUNT)
    ]
    done = [event | {"type": "response.output_item.done"} for event in added]
    completed = {"id": "r", "model": "m", "status": "completed", "output": [], "usage": {"input_tokens": 1}}
    meter = passed("openai_responses", frames(*added, *done, {"type": "response.completed", "response": completed}))
    assert meter.finished


# --- Gemini ----------------------------------------------------------------------------------------------------------


def candidate(*parts: dict[str, Any], index: int = 0, **members: Any) -> dict[str, Any]:
    counts = {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3}
    return {"candidates": [{"index": index, "content": {"parts": parts}} | members], "usageMetadata": counts}


GEMINI_END = candidate(finishReason="STOP")


def test_an_argument_that_comes_in_pieces_is_put_together_once() -> None:
    piece = {"partialArgs": [{"jsonPath": "$.a", "stringValue": "x" * 500}], "willContinue": True}
    begun, ended = {"functionCall": {"name": "f", "willContinue": True}}, {"functionCall": {}}
    grown = [candidate({"functionCall": piece})] * COUNT
    meter = passed("gemini", frames(candidate(begun), *grown, candidate(ended), GEMINI_END))
    assert meter.text_characters == len("f") + len('{"a":""}') + 500 * COUNT


def test_usage_is_read_beside_very_many_candidates() -> None:
    found = [candidate({"text": "x"}, index=at, groundingMetadata={"webSearchQueries": ["q"]}) for at in range(COUNT)]
    assert passed("gemini", frames(*found)).usage is not None


def cited(at: int) -> dict[str, Any]:
    source = {"startIndex": 4 * at, "endIndex": 4 * at + 3, "uri": f"https://a/{at}"}
    return candidate({"text": "xyz "}, citationMetadata={"citationSources": [source]})


def test_sources_are_placed_in_very_many_texts() -> None:
    texts = [event for at in range(COUNT) for event in (cited(at), candidate({"text": "hm", "thought": True}))]
    assert passed("gemini", frames(*texts, GEMINI_END)).text_characters == 6 * COUNT


def test_a_text_with_very_many_sources_is_cut_once_between_them() -> None:
    body = json.loads(told("gemini", "anthropic", frames(*map(cited, range(COUNT)), GEMINI_END), stream=False))
    blocks = [block for block in body["content"] if block.get("citations")]
    assert [block["citations"][0]["url"] for block in blocks] == [f"https://a/{at}" for at in range(COUNT)]
    assert {block["text"] for block in blocks} == {"xyz"}


# --- the order of parts ----------------------------------------------------------------------------------------------


def test_parts_that_wait_for_one_another_leave_in_the_order_of_their_beginnings() -> None:
    line, out = Line(), list[Event]()
    for number in range(5 * COUNT):
        line.push(PartStart(number, Text("")), out)
    for number in range(5 * COUNT):
        line.push(PartDelta(number, "x"), out)
        line.push(PartEnd(number), out)
    assert [event.index for event in out if isinstance(event, PartEnd)] == list(range(5 * COUNT))


@pytest.mark.parametrize("client", CLIENTS[1:])
def test_one_text_of_very_many_pieces_is_told(client: str) -> None:
    pieces = frames(*[delta(content="word ")] * COUNT, CHAT_END)
    assert told("openai_chat", client, pieces, stream=True).count(b"word ") >= COUNT
