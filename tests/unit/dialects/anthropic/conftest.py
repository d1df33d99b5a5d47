"""Requests and replies of Messages, decoded and encoded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from proxyapi.dialects.anthropic.codec import AnthropicCodec
from proxyapi.dialects.codec import Asked, Encoded, TargetModel, Unseal, sealed_nothing
from proxyapi.dialects.model import Event, ReasoningState, Request
from proxyapi.dialects.quirks import Quirks

ORIGIN = "anthropic_claude"
LEVELS = ("low", "medium", "high", "xhigh", "max")


def seal(state: ReasoningState) -> str:
    return f"gw1.{state.kind}.{state.origin}.{state.data}"


def unseal(text: str) -> ReasoningState | None:
    version, _, rest = text.partition(".")
    kind, origin, data = rest.split(".", 2) if version == "gw1" else ("", "", "")
    return ReasoningState(kind, data, origin) if kind else None  # type: ignore[arg-type]


@pytest.fixture
def unsealed() -> Unseal:
    """Opens what the replies of these tests were sealed with."""
    return unseal


@pytest.fixture
def decoded() -> Callable[..., Request]:
    """A client's request of these fields; of one message, where no others are given."""

    def run(*, unseal: Unseal = sealed_nothing, **fields: Any) -> Request:
        body = {"model": "m", "max_tokens": 9_000, "messages": [{"role": "user", "content": "Hello"}]} | fields
        return AnthropicCodec().decode(json.dumps(body).encode(), unseal=unseal)

    return run


@pytest.fixture
def encoded() -> Callable[..., Encoded]:
    """A request for a provider with these quirks."""

    def run(request: Request, *, output_tokens_max: int | None = None, **quirks: Any) -> Encoded:
        flags = {"thinking_form": "adaptive", "efforts": LEVELS} | quirks
        target = TargetModel(model="m", quirks=Quirks(**flags), origin=ORIGIN, output_tokens_max=output_tokens_max)
        return AnthropicCodec().encode(request, target)

    return run


@pytest.fixture
def sent(encoded: Callable[..., Encoded]) -> Callable[..., dict[str, Any]]:
    """The body that a provider with these quirks gets."""

    def run(request: Request, **options: Any) -> dict[str, Any]:
        wire: dict[str, Any] = json.loads(encoded(request, **options).body)
        return wire

    return run


@pytest.fixture
def asked() -> Asked:
    return Asked(request=Request(model="m"), model="m", reply_id="R1", created_at=1, seal=seal)


@pytest.fixture
def streamed(asked: Asked) -> Callable[..., list[dict[str, Any]]]:
    """The data of all events that a client gets, each checked for its name."""

    def run(events: Iterable[Event], *, one_piece: bool = False) -> list[dict[str, Any]]:
        encoder = AnthropicCodec().encoder(stream=True, asked=asked)
        every = list(events)
        pieces = [every] if one_piece else [[event] for event in every]
        data = b"".join(encoder.feed(piece) for piece in pieces) + encoder.close()
        return read_events(data)

    return run


def read_events(data: bytes) -> list[dict[str, Any]]:
    found = []
    for frame in data.split(b"\n\n")[:-1]:
        name, body = frame.split(b"\n")
        wire = json.loads(body.removeprefix(b"data: "))
        assert name == b"event: " + wire["type"].encode()
        found.append(wire)
    return found


@pytest.fixture
def whole(asked: Asked) -> Callable[..., dict[str, Any]]:
    """The body that a client gets."""

    def run(events: Iterable[Event], **more: Any) -> dict[str, Any]:
        encoder = AnthropicCodec().encoder(stream=False, asked=asked)
        assert encoder.feed(list(events)) == b""
        wire: dict[str, Any] = json.loads(encoder.close())
        return wire

    return run
