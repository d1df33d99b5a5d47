import json

import pytest

from proxyapi.dialects.codec import Asked, TargetModel
from proxyapi.dialects.effort import SCALE
from proxyapi.dialects.model import ReasoningState, Request
from proxyapi.dialects.openai_responses.codec import ResponsesCodec
from proxyapi.dialects.openai_responses.request_in import read_request
from proxyapi.dialects.openai_responses.request_out import write_request
from proxyapi.dialects.quirks import Quirks

ORIGIN = "openai/gpt-5"
SEAL = "sealed-"
"""What the tests' own seal puts before a state's kind and data."""


def seal(state):
    return f"{SEAL}{state.kind}.{state.data}"


def unseal(text):
    """The tests' own seals, and for round trips whatever the provider itself would get, as its own."""
    if text.startswith(SEAL):
        kind, _, data = text.removeprefix(SEAL).partition(".")
        return ReasoningState(kind, data, "elsewhere")
    return ReasoningState("openai_encrypted", text, ORIGIN) if text.startswith("own-") else None


@pytest.fixture
def decode():
    """A client's request: its `input`, a text or a list of items, and its other fields."""

    def run(given="Hello", **fields):
        body = {"model": "m", "input": given, **fields}
        return read_request(json.dumps(body).encode(), model=None, stream=False, unseal=unseal)

    return run


@pytest.fixture
def encode():
    """The body for a provider as JSON, and all that is told beside it."""

    def run(request, *, origin=ORIGIN, **quirks):
        usual = {"efforts": SCALE, "cache_mark_field": "prompt_cache_breakpoint"}
        target = TargetModel(model="gpt-5", quirks=Quirks(**usual | quirks), origin=origin)
        encoded = write_request(request, target)
        return json.loads(encoded.body), encoded

    return run


@pytest.fixture
def items(encode):
    """The `input` that a conversation becomes."""

    def run(*messages, **options):
        body, _ = encode(Request(model="m", messages=messages), **options)
        return body["input"]

    return run


@pytest.fixture
def reply():
    """A reply as a client gets it: the bytes of a stream, or the object of a body."""

    def run(*events, stream=False, failed=None, feed=list, **fields):
        options = {name: fields.pop(name) for name in ("cost", "currency", "created_at") if name in fields}
        request = fields.pop("request", None) or Request(model="asked", **fields)
        asked = Asked(request=request, model="asked", reply_id="r1", seal=seal, **{"created_at": 7} | options)
        encoder = ResponsesCodec().encoder(stream=stream, asked=asked)
        pieces = [[event] for event in events] if feed is list else [events]
        out = b"".join(encoder.feed(piece) for piece in pieces)
        out += encoder.fail(failed, "req-1") if failed else encoder.close()
        return out if stream else json.loads(out)

    return run


@pytest.fixture
def sent(reply):
    """The events of a stream as objects, each under the name that its frame has."""

    def run(*events, **options):
        found = []
        for frame in reply(*events, stream=True, **options).split(b"\n\n"):
            if frame.startswith(b"event: "):
                name, data = frame.removeprefix(b"event: ").split(b"\ndata: ")
                found.append(json.loads(data))
                assert found[-1]["type"] == name.decode()
        assert [event["sequence_number"] for event in found] == list(range(len(found)))
        return found

    return run
