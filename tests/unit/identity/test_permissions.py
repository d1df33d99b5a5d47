"""What a key may use, and the texts of refusals."""

from __future__ import annotations

from typing import Any

import pytest

from proxyapi.errors import Forbidden
from proxyapi.identity.addresses import parse_network
from proxyapi.identity.keys import Caller
from proxyapi.identity.permissions import (
    ENDPOINTS,
    check_address,
    check_balance_query,
    check_endpoint,
    check_model,
    model_allowed,
)


def _caller(**settings: Any) -> Caller:
    return Caller(account_id=1, key_id=1, **settings)


def test_a_key_without_lists_may_use_everything() -> None:
    caller = _caller()
    check_model(caller, "openai/gpt-4o", "gpt-4o")
    check_endpoint(caller, "chat")
    check_address(caller, "203.0.113.9")


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        ("openai/*", True),
        ("openai/gpt-4o", True),
        ("gpt-4o", True),
        ("gpt-4o*", True),
        ("gpt-4?", True),
        ("*", True),
        ("anthropic/*", False),
        ("gpt-4", False),
        ("GPT-4o", False),
        ("gpt-4o-mini", False),
    ],
)
def test_a_pattern_matches_the_unified_or_the_bare_name(pattern: str, allowed: bool) -> None:
    assert model_allowed((pattern,), "openai/gpt-4o", "gpt-4o") is allowed


def test_a_forbidden_model_is_named() -> None:
    with pytest.raises(Forbidden, match=r"^You are not allowed to access this model: openai/o3$"):
        check_model(_caller(models=("anthropic/*", "gpt-*")), "openai/o3", "o3")


def test_a_forbidden_endpoint_is_named() -> None:
    caller = _caller(endpoints=("chat", "embeddings"))
    check_endpoint(caller, "embeddings")
    with pytest.raises(Forbidden, match=r"^You are not allowed to access this endpoint: speech$"):
        check_endpoint(caller, "speech")


@pytest.mark.parametrize("operation", ["models", "model", "balance", "estimate", "prices"])
def test_free_answers_of_the_gateway_need_no_permission(operation: str) -> None:
    check_endpoint(_caller(endpoints=("chat",)), operation)
    assert operation not in ENDPOINTS


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("192.0.2.1", True),
        ("192.0.3.1", False),
        ("::ffff:192.0.2.1", True),
        ("2001:db8:1::5", True),
        ("2001:db9::5", False),
        ("not an address", False),
        ("", False),
    ],
)
def test_a_key_works_only_from_its_networks(address: str, allowed: bool) -> None:
    caller = _caller(networks=(parse_network("192.0.2.0/24"), parse_network("2001:db8::/32")))
    if allowed:
        check_address(caller, address)
        return
    with pytest.raises(Forbidden, match=r"^You are not allowed to access this API from this IP address: "):
        check_address(caller, address)


def test_the_balance_is_kept_from_keys_by_default() -> None:
    check_balance_query(_caller(may_query_balance=True))
    with pytest.raises(Forbidden, match=r"^You are not allowed to access this"):
        check_balance_query(_caller())
