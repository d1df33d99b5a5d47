"""Replies of every dialect, once as a stream and once as one body, that say the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from proxyapi.dialects import DIALECTS
from proxyapi.dialects.call import Call
from proxyapi.dialects.channel import Meter, Passthrough, meter_body

Metering = Callable[..., Meter]


def sse(*events: Any, names: bool = False, done: bool = False) -> bytes:
    frames = b""
    for event in events:
        head = f"event: {event['type']}\n".encode() if names else b""
        frames += head + b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"
    return frames + (b"data: [DONE]\n\n" if done else b"")


def call_of(dialect: str, **fields: Any) -> Call:
    return Call(operation="chat", dialect=dialect, model=fields.pop("model", "m"), **fields)


@pytest.fixture
def metered() -> Metering:
    """Meters a stream in pieces of `size` bytes; with `body` one whole body, by its report where that is enough.

    `in_full`: a whole body of which everything is read, not only the report.
    """

    def run(
        dialect: str, data: bytes, *, body: bool = False, in_full: bool = False, size: int = 1 << 30, **fields: Any
    ) -> Meter:
        call = call_of(dialect, **fields)
        if body:
            return meter_body(DIALECTS[dialect], data, 200, call)
        channel = Passthrough(DIALECTS[dialect].decoder(stream=not in_full, call=call), call)
        out = b"".join(channel.feed(data[at : at + size]) for at in range(0, len(data), size))
        assert out + channel.close() == data
        return channel.meter

    return run


@pytest.fixture
def read() -> Callable[..., Call]:
    def run(dialect: str, body: Any, **path: Any) -> Call:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return DIALECTS[dialect].read(raw, **path)

    return run


@pytest.fixture
def events() -> Callable[..., bytes]:
    return sse
