"""Streams that are broken off at a cap: whatever was open is ended, under the provider's ids, and nothing is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from proxyapi_fakes_pairs import WAYS, Pair, said  # loaded by conftest.py
from proxyapi_fakes_replies import SAID_STREAMS, Call, Said, chat_chunk, event

from proxyapi.dialects.call import WireName
from proxyapi.dialects.codec import TargetModel
from proxyapi.dialects.codecs import CODECS
from proxyapi.dialects.cut import Sent, events_of, is_endable, length_end
from proxyapi.dialects.model import PartEnd, PartStart
from proxyapi.dialects.quirks import Quirks
from proxyapi.usage import Unit

TOLD = Said(
    "so be it", "one two three", (Call("call_1", "find", '{"what":"it"}'), Call("call_2", "find", '{"what":"more"}'))
)
USED = {Unit.INPUT: 7, Unit.OUTPUT: 9}
THINKER = Quirks(reasoning_field="reasoning_content")


def sent(pieces: list[bytes], **more: Any) -> Sent:
    about = {"events": events_of(pieces), "usage": USED, "reply_id": "r", "model": "m", "choices": 1}
    return Sent(**(about | more))


def heard(dialect: Any, data: bytes) -> tuple[Any, list[Any], bool]:
    """What a client makes of a stream, its events, and whether it ended."""
    decoder = CODECS[dialect].decoder(stream=True, target=TargetModel(model="m", quirks=THINKER))
    events = list(decoder.feed(data))
    finished = decoder.finished
    events += decoder.close()
    return said(events), events, finished


@pytest.mark.parametrize("dialect", SAID_STREAMS)
def test_a_stream_can_be_ended_after_every_event(dialect: WireName) -> None:
    pieces = SAID_STREAMS[dialect](TOLD)
    for count in range(1, len(pieces)):
        prefix = b"".join(pieces[:count])
        before, _, over = heard(dialect, prefix)
        if over or before.reasons:
            break
        got, events, finished = heard(dialect, prefix + length_end(dialect, sent(pieces[:count])))
        assert finished, count
        assert (got.text, got.thoughts) == (before.text, before.thoughts)
        assert [call.arguments for call in got.calls] == [call.arguments for call in before.calls]
        assert got.reasons == {0: "length"}
        assert got.failed is None
        started = [e.index for e in events if isinstance(e, PartStart)]
        assert started == sorted(e.index for e in events if isinstance(e, PartEnd))
        if dialect == "openai_responses":
            assert got.usage == USED
    assert count >= 2


@pytest.mark.parametrize("way", WAYS)
def test_a_translation_can_be_ended_after_every_event(way: str) -> None:
    pair = Pair(way)
    pieces = SAID_STREAMS[pair.provider.name](TOLD)
    for count in range(1, len(pieces)):
        channel = pair.channel()
        data = b"".join([channel.feed(piece) for piece in pieces[:count]])
        if channel.meter.finished or channel.meter.reason:
            break
        got, events, finished = heard(pair.client.name, data + channel.cut(USED))
        assert finished, count
        assert got.reasons == {0: "length"}
        assert got.failed is None
        assert got.text == "one two three"[: len(got.text)]
        kinds = [type(one) for one in events]
        assert kinds.count(PartStart) == kinds.count(PartEnd)
        assert got.usage[Unit.OUTPUT] == USED[Unit.OUTPUT]
    assert count > 2


def test_a_translation_that_has_failed_is_not_ended_again() -> None:
    channel = Pair("C->M").channel()
    channel.feed(event({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, "error"))
    assert channel.cut(USED) == b""


def test_of_several_alternatives_only_the_open_ones_are_ended() -> None:
    pieces = [chat_chunk({"content": "a"}), chat_chunk({}, "stop").replace(b'"index":0', b'"index":1')]
    end = length_end("openai_chat", sent(pieces))
    assert end.count(b'"finish_reason":"length"') == 1
    assert json.loads(end.split(b"data: ")[1])["choices"][0]["index"] == 0


def test_the_chunks_of_an_end_look_like_those_before_it() -> None:
    chunk = {"id": "c1", "created": 5, "model": "m1", "system_fingerprint": "f", "choices": [{"index": 0, "delta": {}}]}
    told = b"data: {}\n\n"
    first, second, done = length_end("openai_chat", sent([event(chunk)], told=told)).split(b"\n\n")[:3]
    last = json.loads(first.removeprefix(b"data: "))
    assert {name: last[name] for name in ("id", "created", "model", "system_fingerprint")} == {
        "id": "c1", "created": 5, "model": "m1", "system_fingerprint": "f",
    }  # fmt: skip
    assert (second, done) == (b"data: {}", b"data: [DONE]")


def test_an_item_of_responses_that_is_cut_is_incomplete_and_holds_what_was_told() -> None:
    call = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "find", "arguments": ""}
    thought = {"type": "reasoning", "id": "rs_1", "summary": []}
    pieces = [
        event({"type": "response.created", "sequence_number": 4, "response": {"id": "resp_1", "instructions": "be"}}),
        event({"type": "response.output_item.added", "sequence_number": 5, "output_index": 0, "item": thought}),
        event({"type": "response.reasoning_summary_part.added", "sequence_number": 6, "item_id": "rs_1",
               "output_index": 0, "summary_index": 0, "part": {"type": "summary_text", "text": ""}}),
        event({"type": "response.reasoning_summary_text.delta", "sequence_number": 7, "item_id": "rs_1",
               "output_index": 0, "summary_index": 0, "delta": "why"}),
        event({"type": "response.output_item.added", "sequence_number": 8, "output_index": 1, "item": call}),
        event({"type": "response.function_call_arguments.delta", "sequence_number": 9, "output_index": 1,
               "item_id": "fc_1", "delta": '{"a":'}),
    ]  # fmt: skip
    ends = events_of([length_end("openai_responses", sent(pieces))])
    assert [(end["type"], end["sequence_number"]) for end in ends] == [
        ("response.reasoning_summary_part.done", 10),
        ("response.output_item.done", 11),
        ("response.function_call_arguments.done", 12),
        ("response.output_item.done", 13),
        ("response.incomplete", 14),
    ]
    response = ends[-1]["response"]
    assert (response["id"], response["instructions"], response["status"]) == ("resp_1", "be", "incomplete")
    assert response["output"] == [
        thought | {"summary": [{"type": "summary_text", "text": "why"}], "status": "incomplete"},
        call | {"arguments": '{"a":', "status": "incomplete"},
    ]
    assert ends[2]["arguments"] == '{"a":'


@pytest.mark.parametrize("elements", [0, 1, 7])
def test_an_array_is_closed(elements: int) -> None:
    before = b"[" + b",".join([b"{}"] * elements) if elements else b""
    array = json.loads(before + length_end("gemini", sent([], elements=elements)))
    assert len(array) == elements + 1
    assert array[-1]["candidates"] == [{"finishReason": "MAX_TOKENS", "index": 0}]


def test_odd_events_never_raise() -> None:
    odd = [
        {"type": "response.output_text.delta", "delta": 5, "output_index": 3},
        {"type": "response.output_text.delta", "delta": "x", "output_index": 3, "content_index": 2},
        {"type": "response.content_part.added", "output_index": 4, "part": None},
        {"type": "response.output_item.added", "output_index": 5, "item": None},
        {"type": "response.output_text.annotation.added", "output_index": 3, "content_index": 2},
        {"type": 7}, {"choices": None}, {"response": 1},
    ]  # fmt: skip
    for dialect in SAID_STREAMS:
        assert length_end(dialect, sent([event(one) for one in odd]))


def test_sound_and_vectors_have_no_such_end() -> None:
    assert not is_endable("openai_speech") and not is_endable("openai_embeddings")
