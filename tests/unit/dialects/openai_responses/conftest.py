import json

import pytest

from proxyapi.dialects.codec import TargetModel
from proxyapi.dialects.effort import SCALE
from proxyapi.dialects.model import ReasoningState, Request
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
        quirks.setdefault("efforts", SCALE)
        target = TargetModel(model="gpt-5", quirks=Quirks(**quirks), origin=origin)
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
