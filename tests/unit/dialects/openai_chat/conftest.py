"""Requests of Chat clients, decoded and encoded."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from proxyapi.dialects.codec import Encoded, TargetModel, Unseal, sealed_nothing
from proxyapi.dialects.model import Request
from proxyapi.dialects.openai_chat.codec import ChatCodec
from proxyapi.dialects.quirks import Quirks

ORIGIN = "maker_model"


@pytest.fixture
def decoded() -> Callable[..., Request]:
    """A client's request of these fields; of one message, where no others are given."""

    def run(*, unseal: Unseal = sealed_nothing, **fields: Any) -> Request:
        body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]} | fields
        return ChatCodec().decode(json.dumps(body).encode(), unseal=unseal)

    return run


@pytest.fixture
def encoded() -> Callable[..., Encoded]:
    """A request for a provider with these quirks."""

    def run(request: Request, **quirks: Any) -> Encoded:
        return ChatCodec().encode(request, TargetModel(model="m", quirks=Quirks(**quirks), origin=ORIGIN))

    return run


@pytest.fixture
def sent(encoded: Callable[..., Encoded]) -> Callable[..., dict[str, Any]]:
    """The body that a provider with these quirks gets."""

    def run(request: Request, **quirks: Any) -> dict[str, Any]:
        wire: dict[str, Any] = json.loads(encoded(request, **quirks).body)
        return wire

    return run
