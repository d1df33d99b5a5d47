"""Errors of our own, in the shape of each dialect."""

import json

import pytest

from proxyapi.dialects import faults
from proxyapi.errors import (
    Forbidden,
    InsufficientFunds,
    InvalidRequest,
    NotFound,
    StoreUnavailable,
    TooManyRequests,
    Unauthenticated,
    UnknownModel,
    UpstreamBroken,
)

FUNDS = InsufficientFunds(source="key", required=11_812_320_000, available=145_000_000, held=250_000_000)


def test_openai_clients_find_detail_and_error_object():
    assert json.loads(faults.error("openai", UnknownModel("x"))) == {
        "error": {
            "message": "Model not supported: x",
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        },
        "detail": "Model not supported: x",
    }


def test_anthropic_clients_find_type_error_and_request_id():
    assert json.loads(faults.error("anthropic", Unauthenticated(), "req-1")) == {
        "type": "error",
        "error": {"type": "authentication_error", "message": "Invalid API Key"},
        "request_id": "req-1",
        "detail": "Invalid API Key",
    }


def test_google_clients_find_code_message_and_status():
    assert json.loads(faults.error("google", TooManyRequests("Too many requests"))) == {
        "error": {"code": 429, "message": "Too many requests", "status": "RESOURCE_EXHAUSTED"},
        "detail": "Too many requests",
    }


@pytest.mark.parametrize("shape", ["openai", "anthropic", "google"])
def test_a_402_says_in_decimals_what_is_missing(shape):
    text = faults.error(shape, FUNDS)
    assert b'"required":11.81232,"available":0.145,"held":0.25,"limit_source":"key"' in text
    assert json.loads(text)["detail"] == "API Key budget exceeded."


@pytest.mark.parametrize(
    ("fault", "openai", "anthropic", "google"),
    [
        (InvalidRequest("x"), "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),
        (FUNDS, "insufficient_quota", "billing_error", "FAILED_PRECONDITION"),
        (Forbidden("x"), "permission_error", "permission_error", "PERMISSION_DENIED"),
        (NotFound("x"), "invalid_request_error", "not_found_error", "NOT_FOUND"),
        (StoreUnavailable(), "server_error", "overloaded_error", "UNAVAILABLE"),
        (UpstreamBroken("x"), "server_error", "api_error", "UNAVAILABLE"),
    ],
)
def test_each_kind_has_its_word_in_each_dialect(fault, openai, anthropic, google):
    assert json.loads(faults.error("openai", fault))["error"]["type"] == openai
    assert json.loads(faults.error("anthropic", fault))["error"]["type"] == anthropic
    assert json.loads(faults.error("google", fault))["error"]["status"] == google


def frames(data):
    assert data.endswith(b"\n\n")
    return data.removesuffix(b"\n\n").split(b"\n\n")


def test_the_stream_forms_end_as_each_dialect_ends():
    broken = UpstreamBroken("The provider broke off")
    chat = frames(faults.error_event("openai_chat", broken))
    assert chat[0].startswith(b'data: {"error":') and chat[1] == b"data: [DONE]"
    (message,) = frames(faults.error_event("anthropic", broken))
    assert message.startswith(b'event: error\ndata: {"type":"error"')
    (gemini,) = frames(faults.error_event("gemini", broken))
    assert gemini.startswith(b'data: {"error":')
    flat, failed = frames(faults.error_event("openai_responses", broken, reply_id="resp_1"))
    assert flat.startswith(b'event: error\ndata: {"type":"error","code":"upstream_broken"')
    assert json.loads(failed.partition(b"\ndata: ")[2])["response"]["status"] == "failed"
    assert faults.error_event("gemini", broken, elements=0).startswith(b'[{"error"')
    assert faults.error_event("gemini", broken, elements=2).startswith(b',{"error"')
    assert faults.error_event("gemini", broken, elements=-1) == b""
