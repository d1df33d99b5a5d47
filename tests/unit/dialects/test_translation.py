"""The translated reply: both ends a body or a stream, metered as on passthrough, and errors where they belong."""

import pytest

from proxyapi.dialects import DIALECTS
from proxyapi.dialects.call import Call
from proxyapi.dialects.channel import Meter, Passthrough
from proxyapi.dialects.codec import Encoded, Encoder, Terms
from proxyapi.dialects.model import Finish, Metered, PartDelta, Request, Start
from proxyapi.dialects.translation import Translation
from proxyapi.errors import UpstreamTimeout
from proxyapi.usage import Unit

CALL = Call(operation="chat", dialect="openai_chat", model="m", stream=True)
ONE = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
TWO = b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}\n\n'
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error":{"message":"busy","type":"rate_limit_error","code":null}}\n\n'
BODY = (
    b'{"id":"c","choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}'
)
COUNTED = {Unit.INPUT: 7, Unit.OUTPUT: 9}


class Telling(Encoder):
    """An encoder that says in words what it is given: one word for an event in a stream, all of them as a body."""

    def __init__(self, *, stream):
        self.stream = stream
        self.words = []

    def feed(self, events):
        told = [self._word(event) for event in events]
        self.words += told
        return "".join(f"{word} " for word in told).encode() if self.stream else b""

    def close(self):
        return b"end" if self.stream else " ".join([*self.words, "end"]).encode()

    def fail(self, failed, request_id):
        return f"failed {failed.status} {failed.kind} {request_id}".encode()

    @staticmethod
    def _word(event):
        match event:
            case Start(id=id):
                return f"start:{id}"
            case PartDelta(text=text):
                return text
            case Finish(reason=reason):
                return reason
            case Metered(usage=usage, estimated=estimated):
                return f"{'about' if estimated else 'used'}:{sum(usage.values())}"
            case _:
                return type(event).__name__


def translation(*, sse=True, stream=True, dialect="openai_chat"):
    meter = Meter()
    terms = Terms(
        request=Request(model="m"), encoded=Encoded(body=b""), reply_id="R", origin="", provider="Acme", linear=True
    )
    return Translation(
        DIALECTS[dialect].decoder(stream=sse, call=CALL),
        terms,
        Telling(stream=stream),
        meter,
        whole=not sse,
        stream=stream,
        count=lambda _meter: COUNTED,
        request_id="req-1",
    )


def through(channel, data, size=1 << 20):
    return b"".join(channel.feed(data[at : at + size]) for at in range(0, len(data), size)) + channel.close()


TOLD = b"start:c PartStart a PartEnd used:3 end end"


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_stream_becomes_a_stream_wherever_it_is_cut(size):
    assert through(translation(), ONE + TWO + USAGE + DONE, size) == TOLD


def test_every_event_leaves_at_once():
    channel = translation()
    assert channel.feed(ONE) == b"start:c PartStart a "
    assert channel.feed(TWO) == b"PartEnd "
    assert channel.feed(USAGE) == b"used:3 "
    assert channel.close() == b"end end"


def test_a_body_in_answer_to_a_wish_for_a_stream_becomes_a_stream():
    assert through(translation(sse=False), BODY) == TOLD.replace(b"used:3", b"used:1")


@pytest.mark.parametrize("size", [1, 1 << 20])
def test_a_stream_in_answer_to_a_wish_for_a_body_is_folded(size):
    channel = translation(stream=False)
    fed = b"".join(channel.feed((ONE + TWO + USAGE + DONE)[at : at + size]) for at in range(0, 300, size))
    assert fed == b""
    assert channel.close() == TOLD


def test_the_meter_knows_what_it_knows_on_passthrough():
    data = ONE + TWO + USAGE + DONE
    passthrough, channel = Passthrough(DIALECTS["openai_chat"].decoder(stream=True, call=CALL), CALL), translation()
    through(passthrough, data, 5)
    through(channel, data, 5)
    assert vars_of(channel.meter) == vars_of(passthrough.meter)


def vars_of(meter):
    return {name: getattr(meter, name) for name in meter.__struct_fields__}


def test_usage_that_no_provider_told_is_counted_and_told_as_an_estimate():
    channel = translation()
    assert through(channel, ONE + TWO + DONE) == b"start:c PartStart a PartEnd about:16 end end"
    assert channel.meter.usage is None


@pytest.mark.parametrize("body", [BODY.replace(b'"usage":{"prompt_tokens":1}', b'"usage":{"prompt_tokens":0}')])
def test_usage_that_was_told_as_nothing_is_nothing(body):
    assert b"used:0" in through(translation(sse=False), body)


def test_a_comment_of_the_provider_is_a_sign_of_life_for_the_client():
    channel = translation()
    channel.feed(ONE)
    assert channel.feed(b": PROCESSING\n\n") == b"KeepAlive "
    assert channel.feed(b"\n\n") == b""


@pytest.mark.parametrize("sse", [True, False])
def test_an_error_in_place_of_an_answer_sends_nothing_so_that_it_can_be_a_status(sse):
    channel = translation(sse=sse)
    data = ERROR if sse else ERROR.removeprefix(b"data: ").strip()
    assert through(channel, data) == b""
    assert (channel.failed.kind, channel.failed.message, channel.sent) == ("rate_limited", "busy", False)
    assert channel.meter.failed is not None


def test_an_error_after_the_first_event_is_an_event_and_nothing_follows():
    channel = translation()
    assert through(channel, ONE + ERROR + ONE + TWO + DONE) == (b"start:c PartStart a failed 502 rate_limited req-1")
    assert channel.sent


def test_an_error_is_never_inside_a_body():
    channel = translation(stream=False)
    assert through(channel, ONE + ERROR) == b""
    assert channel.failed.message == "busy"
    assert not channel.sent


def test_a_provider_that_breaks_off_is_told_as_it_is_on_passthrough():
    channel = translation()
    channel.feed(ONE)
    assert channel.fail(UpstreamTimeout("too slow")) == b"failed 504 timeout req-1"
    assert channel.close() == b""


def test_a_stream_that_ends_without_an_end_has_failed():
    channel = translation()
    assert through(channel, ONE).endswith(b"failed 502 internal req-1")
    assert channel.failed.message == "Acme broke off its answer."
    assert channel.meter.failed is None


def test_a_body_is_all_there_is_whatever_its_provider_calls_the_end():
    item = b'{"type":"message","content":[{"type":"output_text","text":"a"}]}'
    body = b'{"id":"r","status":"complete","output":[%b],"usage":{"input_tokens":1,"output_tokens":2}}' % item
    channel = translation(sse=False, dialect="openai_responses")
    assert through(channel, body) == TOLD.replace(b":c", b":r")
    assert channel.meter.finished


def test_a_body_of_something_else_is_no_answer():
    channel = translation(sse=False)
    assert through(channel, b"<html>") == b""
    assert channel.failed.message == "Acme answered with nothing."


def test_a_json_text_in_the_middle_of_a_stream_is_an_error():
    channel = translation()
    assert through(channel, ONE + b'{"error":{"message":"gone"}}').endswith(b"failed 502 internal req-1")
