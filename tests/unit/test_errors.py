"""The errors that clients are told."""

from __future__ import annotations

import inspect

import pytest

from proxyapi import errors
from proxyapi.errors import GatewayError, InsufficientFunds, StoreUnavailable, Unauthenticated, UnknownModel

KINDS = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind) and issubclass(kind, GatewayError) and kind is not GatewayError
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_an_http_status_and_a_code_and_stands_in_the_tree(kind: type[GatewayError]) -> None:
    assert 400 <= kind.status <= 504
    assert kind.code.replace("_", "").islower()
    assert f"{kind.__name__}" in (errors.__doc__ or "")


def test_the_texts_that_users_parse_are_as_documented() -> None:
    assert Unauthenticated().detail == "Invalid API Key"
    funds = {"required": 3, "available": 2, "held": 1}
    account = InsufficientFunds(source="account", **funds)
    assert account.detail == "Insufficient balance to run this request."
    assert (account.status, account.required, account.available, account.held) == (402, 3, 2, 1)
    assert InsufficientFunds(source="key", **funds).detail == "API Key budget exceeded."
    assert "x-proxyapi-max-cost" in InsufficientFunds(source="request", **funds).detail
    unknown = UnknownModel("gpt-9")
    assert (unknown.detail, unknown.param, unknown.status) == ("Model not supported: gpt-9", "model", 400)
    assert UnknownModel("gpt-9", "no price").detail == "Model not supported: gpt-9 (no price)"


def test_an_unreachable_store_asks_for_patience_and_names_no_file() -> None:
    error = StoreUnavailable()
    assert error.retry_after_seconds == 2
    assert "/" not in error.detail
