"""The passthrough of a stream: the same bytes, less what the gateway asked for, plus what the client asked for."""

import json

import pytest

from proxyapi.dialects import DIALECTS
from proxyapi.dialects.call import Call
from proxyapi.dialects.channel import TEXT_CHARACTERS_MAX, Meter, Passthrough, meter_body
from proxyapi.dialects.model import PartDelta
from proxyapi.errors import UpstreamBroken

CALL = Call(operation="chat", dialect="openai_chat", model="m", stream=True)
ONE = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"a"}}],"usage":null}\n\n'
TWO = b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}\n\n'
USAGE = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}\n\n'
DONE = b"data: [DONE]\n\n"


def channel(call=CALL, **options):
    return Passthrough(DIALECTS[call.dialect].decoder(stream=True, call=call), call, **options)


def through(passthrough, data, size):
    return b"".join(passthrough.feed(data[at : at + size]) for at in range(0, len(data), size)) + passthrough.close()


def test_a_piece_of_whole_frames_is_handed_on_as_the_same_object():
    passthrough = channel(strip_usage=True)
    piece = ONE + TWO
    assert passthrough.feed(piece) is piece


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1, 2, 7, 64, 1 << 20])
def test_only_the_usage_frame_is_stripped_wherever_the_bytes_are_cut(size, end):
    def lines(data):
        return data.replace(b"\n", end)

    passthrough = channel(strip_usage=True)
    assert through(passthrough, lines(ONE + TWO + USAGE + DONE), size) == lines(ONE + TWO + DONE)
    assert passthrough.meter.usage is not None
    assert passthrough.meter.finished


def test_nothing_is_stripped_where_usage_rides_on_a_choice():
    last = TWO.replace(b"null", b'{"prompt_tokens":1,"completion_tokens":2}')
    passthrough = channel(strip_usage=True)
    assert through(passthrough, ONE + last + DONE, 5) == ONE + last + DONE
    assert passthrough.meter.usage is not None


def test_the_usage_frame_stays_for_a_client_that_asked():
    assert through(channel(), ONE + USAGE + DONE, 3) == ONE + USAGE + DONE


def told(meter):
    return b"data: usage of %d\n\n" % sum(meter.usage.values() if meter.usage else ())


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_usage_frame_that_the_provider_left_out_stands_before_the_end(size):
    last = TWO.replace(b"null", b'{"prompt_tokens":1,"completion_tokens":2}')
    assert through(channel(usage_frame=told), ONE + last + DONE, size) == ONE + last + b"data: usage of 3\n\n" + DONE
    assert through(channel(usage_frame=told), ONE + TWO + DONE, size) == ONE + TWO + b"data: usage of 0\n\n" + DONE
    assert through(channel(usage_frame=told), ONE + TWO, size) == ONE + TWO + b"data: usage of 0\n\n"


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_usage_frame_that_is_there_is_not_told_twice(size):
    assert through(channel(usage_frame=told), ONE + TWO + USAGE + DONE, size) == ONE + TWO + USAGE + DONE


def test_frames_before_the_one_that_the_gateway_adds_pass_as_they_came():
    passthrough = channel(usage_frame=told)
    for frame in (ONE, ONE, TWO):
        assert passthrough.feed(frame) is frame
    assert passthrough.feed(DONE) == b"data: usage of 0\n\n" + DONE


def test_a_stream_that_breaks_off_gets_no_usage_frame():
    assert through(channel(usage_frame=told), ONE, 1 << 20) == ONE
    passthrough = channel(usage_frame=told)
    assert b"usage of" not in passthrough.feed(ONE) + passthrough.fail(UpstreamBroken("broke off"))


def test_the_usage_stands_before_the_cost():
    passthrough = channel(usage_frame=told, cost_comment=lambda meter: b"cost")
    assert through(passthrough, ONE + TWO + DONE, 9) == ONE + TWO + b"data: usage of 0\n\n: cost\n\n" + DONE


def test_a_whole_frame_never_waits_for_the_next():
    passthrough = channel(strip_usage=True)
    for frame in (ONE, TWO, b": comment\n\n", DONE):
        assert passthrough.feed(frame) == frame
    assert passthrough.feed(ONE + ONE[:20]) == ONE
    assert passthrough.feed(ONE[20:]) == ONE


def test_a_cost_comment_stands_before_the_end():
    comment = b": proxyapi cost=0.145 currency=RUB\n\n"
    for size in (1, 9, 1 << 20):
        passthrough = channel(strip_usage=True, cost_comment=lambda meter: b"proxyapi cost=0.145 currency=RUB")
        assert through(passthrough, ONE + USAGE + DONE, size) == ONE + comment + DONE
        open_end = channel(cost_comment=lambda meter: b"proxyapi cost=0.145 currency=RUB")
        assert through(open_end, ONE + TWO, size) == ONE + TWO + comment


def test_the_comment_knows_the_usage_that_came_in_the_last_event():
    call = Call(operation="responses", dialect="openai_responses", model="m", stream=True)
    end = (
        b'event: response.completed\ndata: {"type":"response.completed","response":{"id":"r","status":"completed",'
        b'"output":[],"usage":{"input_tokens":7,"output_tokens":1}}}\n\n'
    )
    passthrough = channel(call, cost_comment=lambda meter: b"%d" % sum(meter.usage.values()))
    assert through(passthrough, end, 1 << 20) == b": 8\n\n" + end


def test_a_break_in_the_middle_of_an_event_ends_with_a_whole_error_event():
    passthrough = channel(strip_usage=True)
    sent = passthrough.feed(ONE + TWO[:-10]) + passthrough.fail(UpstreamBroken("The provider broke off"), "req-1")
    frames = sent.removesuffix(b"\n\n").split(b"\n\n")
    assert frames[0] + b"\n\n" == ONE
    assert json.loads(frames[1].removeprefix(b"data: "))["error"]["message"] == "The provider broke off"
    assert frames[2] == b"data: [DONE]"
    assert not passthrough.meter.finished


@pytest.mark.parametrize("sent", [b'[{"candidates":[]}', b'[{"candidates":[]},{"cand', b'[{"can'])
def test_an_array_that_breaks_off_is_closed_validly(sent):
    call = Call(operation="generate", dialect="gemini", model="m", stream=True)
    passthrough = channel(call)
    text = passthrough.feed(sent) + passthrough.fail(UpstreamBroken("The provider broke off"))
    assert json.loads(text)[-1]["error"]["status"] == "UNAVAILABLE"


def test_an_array_that_was_closed_gets_nothing_more():
    call = Call(operation="generate", dialect="gemini", model="m", stream=True)
    passthrough = channel(call)
    assert passthrough.feed(b'[{"a":1}]') + passthrough.fail(UpstreamBroken("late")) == b'[{"a":1}]'


def test_a_frame_beyond_the_bound_flows_by_and_the_rest_is_still_metered():
    passthrough = channel()
    huge = b"data: " + b"x" * (17 * 1024 * 1024) + b"\n\n"
    assert through(passthrough, huge + USAGE + DONE, 1 << 20) == huge + USAGE + DONE
    assert passthrough.meter.finished


def test_kept_text_is_bounded_and_measured_beyond():
    meter = Meter()
    meter.absorb([PartDelta(0, "x" * TEXT_CHARACTERS_MAX), PartDelta(0, "yy")])
    assert (len(meter.texts), meter.text_characters) == (1, TEXT_CHARACTERS_MAX + 2)


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b'{"error":{"message":"slow down","type":"rate_limit_error"}}', "rate_limited", "slow down"),
        (b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}', "overloaded", "busy"),
        (b'[{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT"}}]', "invalid_request", "bad"),
        (b'{"object":"error","message":"odd","type":"x","code":1}', "rate_limited", "odd"),
        (b'{"detail":"no"}', "rate_limited", "no"),
        (b"<html>", "rate_limited", "<html>"),
    ],
)
def test_the_providers_error_is_understood_in_every_shape(body, kind, message):
    failed = meter_body(DIALECTS["openai_chat"], body, 429, CALL).failed
    assert (failed.kind, failed.message) == (kind, message)


@pytest.mark.parametrize("name", sorted(DIALECTS))
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"data: \xff\n\n",
        b"data: {\n\n",
        b"data: []\n\ndata: 7\n\ndata: null\n\n",
        b"[",
        b"[1,2]",
        b"{}",
        b'data: {"choices":[null,7],"usage":[],"type":[],"candidates":{},"response":4,"delta":[]}\n\n',
        b'{"usage":{"input_tokens":{}},"choices":[{"message":{"content":{}}}]}',
        b"\r\n\r\n\r\n",
        b"event: x\n\n",
    ],
)
def test_odd_bytes_never_raise_and_pass(name, data):
    call = Call(operation="chat", dialect=name, model="m", stream=True, stream_format="sse")
    assert through(channel(call), data, 3) == data
    meter_body(DIALECTS[name], data, 200, call)


def chunk(**members):
    return b"data: " + json.dumps({"id": "c", "choices": [members], "usage": None}).encode() + b"\n\n"


ODD = {
    "a thought": chunk(index=0, delta={"reasoning_content": "hm"}),
    "a call": chunk(index=0, delta={"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f"}}]}),
    "an alternative": chunk(index=1, delta={"content": "other"}),
    "probabilities": chunk(index=0, delta={"content": "x"}, logprobs={"content": []}),
    "a text in pieces": chunk(index=0, delta={"content": [{"type": "text", "text": "x"}]}),
    "the end": TWO,
    "usage": USAGE,
    "an error": b'data: {"error":{"message":"overloaded","code":529}}\n\n',
    "an error of a choice": chunk(index=0, delta={"content": ""}, error={"message": "cut", "code": 502}),
    "an id that is none": b'data: {"id":5,"choices":[{"delta":{"content":7}}]}\n\n',
    "no JSON": b"data: {\n\n",
    "a comment": b": alive\n\n",
    "a second line": b'data: {"choices":\ndata: [{"index":0,"delta":{"content":"two"}}]}\n\n',
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_what_is_read_at_a_stretch_is_known_as_if_it_were_read_frame_by_frame(odd):
    stream = [ONE, ONE, ONE, odd, ONE, odd, TWO, USAGE, DONE]
    late, soon = channel(), channel()
    for frame in stream:
        late.feed(frame)
        soon.feed(frame)
        assert soon.meter.body_bytes  # who asks, makes it read
    assert late.close() == soon.close()
    known, expected = late.meter, soon.meter
    assert "".join(known.texts) == "".join(expected.texts)
    for name in ("text_characters", "usage", "choices", "reply_id", "reason", "failed", "finished", "body_bytes"):
        assert getattr(known, name) == getattr(expected, name), name
