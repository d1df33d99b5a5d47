"""What tests of the Gemini codec share: requests and replies without a gateway around them."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import Any

import httpx2
import pytest
from google import genai
from google.genai import types

from proxyapi.dialects.codec import Asked, Encoded, TargetModel, Unseal
from proxyapi.dialects.gemini.array import ArrayEncoder
from proxyapi.dialects.gemini.codec import GeminiCodec
from proxyapi.dialects.model import Event, ReasoningState, Request
from proxyapi.dialects.quirks import Quirks

ASKING = Request(model="m")
_GOOGLE = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")


def seal(state: ReasoningState) -> str:
    return f"gw1.{state.kind}.{state.origin}.{state.data}"


def unseal(text: str) -> ReasoningState | None:
    """What `seal` made; and Google's own signatures, as if they were the target's."""
    if text.startswith("gw1."):
        _, kind, origin, data = text.split(".", 3)
        return ReasoningState(kind, data, origin)
    return ReasoningState("google_signature", text) if _GOOGLE.fullmatch(text) else None


def sealed(state: ReasoningState) -> str:
    """As it stands in `thoughtSignature`."""
    return b64encode(seal(state).encode()).decode()


def of(request: Request, **options: Any) -> Asked:
    fields = {"model": "shown", "reply_id": "r0", "created_at": 1, "seal": seal} | options
    return Asked(request=request, **fields)


@pytest.fixture
def decoded() -> Callable[..., Request]:
    def run(body: Any, *, model: str = "m", stream: bool = False, unseal: Unseal = unseal) -> Request:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return GeminiCodec().decode(raw, model=model, stream=stream, unseal=unseal)

    return run


@pytest.fixture
def encoded() -> Callable[..., Encoded]:
    """`origin` and quirks of the target by name."""

    def run(request: Request, *, origin: str = "", **quirks: Any) -> Encoded:
        return GeminiCodec().encode(request, TargetModel(model="t", origin=origin, quirks=Quirks(**quirks)))

    return run


@pytest.fixture
def sent(encoded: Callable[..., Encoded]) -> Callable[..., Any]:
    """The body of a request, as JSON."""

    def run(request: Request, **options: Any) -> Any:
        return json.loads(encoded(request, **options).body)

    return run


# --- replies ------------------------------------------------------------------------------------------------------


def events_of(data: bytes, *, stream: bool, size: int = 1 << 30, model: str = "gemini-3-flash") -> list[Event]:
    """What a provider's reply says, read in pieces of `size` bytes."""
    decoder = GeminiCodec().decoder(stream=stream, target=TargetModel(model=model))
    found = [event for at in range(0, len(data), size) for event in decoder.feed(data[at : at + size])]
    return [*found, *decoder.close()]


@pytest.fixture
def read() -> Callable[..., list[Event]]:
    """Events of a body, or of the chunks of a stream."""

    def run(*chunks: Any, **options: Any) -> list[Event]:
        if len(chunks) == 1:
            return events_of(json.dumps(chunks[0]).encode(), stream=False, **options)
        data = b"".join(b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n" for chunk in chunks)
        return events_of(data, stream=True, **options)

    return run


def write(events: Iterable[Event], form: str, request: Request = ASKING, **options: Any) -> bytes:
    """A reply as a client gets it: `body`, `sse` or `array`."""
    encoder: Any = GeminiCodec().encoder(stream=form != "body", asked=of(request, **options))
    if form == "array":
        encoder = ArrayEncoder(encoder)
    return b"".join([encoder.feed([event]) for event in events] + [encoder.close()])


@pytest.fixture
def chunks() -> Callable[..., list[Any]]:
    """The objects of a written stream."""

    def run(events: Iterable[Event], request: Request = ASKING, **options: Any) -> list[Any]:
        frames = write(events, "sse", request, **options).split(b"\n\n")
        assert frames.pop() == b""
        assert all(frame.startswith(b"data: {") and b"\n" not in frame for frame in frames)
        return [json.loads(frame[6:]) for frame in frames]

    return run


@pytest.fixture
def body() -> Callable[..., Any]:
    def run(events: Iterable[Event], request: Request = ASKING, **options: Any) -> Any:
        return json.loads(write(events, "body", request, **options))

    return run


# --- the official SDK ---------------------------------------------------------------------------------------------


@pytest.fixture
def sdk() -> Callable[[bytes], genai.Client]:
    """A client of google-genai to which every request is answered with these bytes."""

    def run(data: bytes) -> genai.Client:
        transport = httpx2.MockTransport(lambda request: httpx2.Response(200, content=data))
        options = types.HttpOptions(base_url="http://x", httpx_client=httpx2.Client(transport=transport))
        return genai.Client(api_key="k", http_options=options)

    return run


@pytest.fixture
def response(sdk: Callable[[bytes], genai.Client]) -> Callable[[Any], types.GenerateContentResponse]:
    """One reply object as the SDK reads it."""
    return lambda wire: sdk(json.dumps(wire).encode()).models.generate_content(model="m", contents="Hi")
