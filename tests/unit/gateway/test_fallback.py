"""Whether somebody else is asked: the tables, outcome by outcome."""

from __future__ import annotations

from typing import get_args

import pytest

from proxyapi import errors
from proxyapi.dialects.call import Call
from proxyapi.dialects.model import ErrorKind, Failed
from proxyapi.gateway.fallback import BY_KIND, after_code, after_kind, after_status, may_go_elsewhere
from proxyapi.providers.provider import ProviderConfig, load_providers

PROVIDERS = load_providers({"proud": ProviderConfig(base_url="http://127.0.0.1:9", passes_credential_errors=True)})
NEXT_STATUSES = {401, 402, 403, 408, 429, *range(500, 600)}


@pytest.mark.parametrize("status", range(400, 600))
def test_a_refusal_goes_on_if_anybody_else_might_not_refuse(status: int) -> None:
    assert (after_status(status, PROVIDERS["openai"]) == "next") == (status in NEXT_STATUSES)


@pytest.mark.parametrize(
    ("status", "decision"), [(401, "stop"), (402, "stop"), (403, "stop"), (429, "next"), (500, "next")]
)
def test_a_provider_whose_refusals_of_access_are_the_clients_keeps_them(status: int, decision: str) -> None:
    assert after_status(status, PROVIDERS["proud"]) == decision


def test_every_kind_of_error_behind_a_200_is_decided() -> None:
    assert BY_KIND.keys() == set(get_args(ErrorKind))
    about_the_request = {
        "invalid_request", "not_found", "conflict", "too_large", "context_length", "content_policy", "unsupported",
    }  # fmt: skip
    for kind in get_args(ErrorKind):
        decision = after_kind(Failed(kind=kind, message="no"))
        assert decision == ("stop" if kind in about_the_request else "next"), kind


def test_nothing_at_all_is_no_answer() -> None:
    assert after_kind(None) == "next"


@pytest.mark.parametrize(
    ("error", "decision"),
    [
        (errors.UpstreamUnreachable("x"), "next"),
        (errors.UpstreamTimeout("x"), "next"),
        (errors.UpstreamBroken("x"), "next"),
        (errors.UpstreamError("x"), "next"),
        (errors.StoreUnavailable(), "stop"),
        (errors.Unavailable("x"), "stop"),
        (errors.InvalidRequest("x"), "stop"),
        (errors.TooManyRequests("x"), "stop"),
        (errors.NotFound("x"), "stop"),
    ],
)
def test_of_the_gateways_own_errors_those_about_a_provider_go_on(error: errors.GatewayError, decision: str) -> None:
    assert after_code(error.code) == decision


@pytest.mark.parametrize(
    "bound",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
        {"item_references": ("file_1",)},
        {"background": True},
        {"fallback_models": ("a/b",)},
        {"operation": "count_tokens"},
    ],
)
def test_what_is_bound_to_a_provider_or_names_its_own_fallbacks_stays(bound: dict[str, object]) -> None:
    usual: dict[str, object] = {"operation": "responses", "dialect": "openai_responses", "model": "m"}
    assert may_go_elsewhere(Call(**usual))  # type: ignore[arg-type]
    assert not may_go_elsewhere(Call(**(usual | bound)))  # type: ignore[arg-type]
