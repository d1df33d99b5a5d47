"""What tests of the Gemini codec share: requests and replies without a gateway around them."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from proxyapi.dialects.codec import Asked, Encoded, TargetModel, Unseal
from proxyapi.dialects.gemini.codec import GeminiCodec
from proxyapi.dialects.model import ReasoningState, Request
from proxyapi.dialects.quirks import Quirks

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
