"""Errors of our own, in the shape of each dialect."""

import json

import pytest

from proxyapi.dialects import faults
from proxyapi.dialects.model import Failed
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


# --- a provider's error, told in another dialect ------------------------------------------------------------------

ANTHROPIC = b'{"type":"error","error":{"type":"%b","message":"%b"},"request_id":"req"}'
SAID = [
    (400, ANTHROPIC % (b"invalid_request_error", b"prompt is too long: 9 tokens > 8"), "context_length"),
    (400, b'{"error":{"message":"This model\'s maximum context length is 8","code":null}}', "context_length"),
    (400, b'{"error":{"message":"no","param":"n","code":"unsupported_value"}}', "unsupported"),
    (400, b'{"error":{"message":"no","code":"model_not_found"}}', "not_found"),
    (400, b'{"code":"invalid-argument","error":"Incorrect API key provided."}', "unauthenticated"),
    (400, b'{"error":{"code":400,"message":"x","details":[{"reason":"API_KEY_INVALID"}]}}', "unauthenticated"),
    (401, b'{"detail":"Invalid API Key"}', "unauthenticated"),
    (429, b'[{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}}]', "rate_limited"),
    (529, ANTHROPIC % (b"overloaded_error", b"Overloaded"), "overloaded"),
    (500, b"<html>oops</html>", "internal"),
]


@pytest.mark.parametrize(("status", "body", "kind"), SAID)
def test_what_a_provider_says_is_understood(status, body, kind):
    assert faults.read_error(body, status).kind == kind


def test_google_says_in_a_detail_when_to_try_again():
    body = b'{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"7.5s"}]}}'
    assert faults.read_error(body, 429).retry_after_seconds == 7.5


TOLD = {
    "rate_limited": (429, ("rate_limit_error", "rate_limit_exceeded"), "rate_limit_error", "RESOURCE_EXHAUSTED"),
    "invalid_request": (400, ("invalid_request_error", None), "invalid_request_error", "INVALID_ARGUMENT"),
    "not_found": (404, ("invalid_request_error", "model_not_found"), "not_found_error", "NOT_FOUND"),
    "timeout": (504, ("server_error", "timeout"), "timeout_error", "DEADLINE_EXCEEDED"),
    "internal": (500, ("server_error", None), "api_error", "INTERNAL"),
}


@pytest.mark.parametrize("kind", TOLD)
def test_each_kind_is_told_in_the_words_of_each_dialect_with_its_status(kind):
    status, openai, anthropic, google = TOLD[kind]
    failed = Failed(kind=kind, message="why", status=status)
    assert {faults.refusal(shape, failed)[0] for shape in ("openai", "anthropic", "google")} == {status}
    error = faults.told("openai", failed)["error"]
    assert ((error["type"], error["code"]), error["message"]) == (openai, "why")
    told = faults.told("anthropic", failed, "req-1")
    assert told == {"type": "error", "error": {"type": anthropic, "message": "why"}, "request_id": "req-1"}
    assert faults.told("google", failed) == {"error": {"code": status, "message": "why", "status": google}}


def test_overloaded_is_529_for_clients_of_anthropic_and_503_for_all_others():
    for status in (503, 529):
        failed = Failed(kind="overloaded", message="busy", status=status)
        assert [faults.status_of(shape, failed) for shape in ("openai", "anthropic", "google")] == [503, 529, 503]


def test_an_error_inside_a_200_gets_the_status_of_its_kind():
    failed = faults.failed({"type": "rate_limit_error", "message": "slow"}, 502)
    assert faults.status_of("openai", failed) == 429


def test_a_prompt_that_is_too_long_is_told_in_the_words_that_clients_look_for():
    failed = Failed(kind="context_length", message="maximum context length is 8", status=400)
    assert faults.told("anthropic", failed)["error"]["message"].startswith("prompt is too long: ")
    assert faults.told("openai", failed)["error"]["code"] == "context_length_exceeded"


def test_an_openai_clients_provider_keeps_its_own_code_and_field():
    failed = faults.read_error(b'{"error":{"message":"no","param":"n","code":"unsupported_value"}}', 400)
    assert faults.told("openai", failed)["error"] == {
        "message": "no",
        "type": "invalid_request_error",
        "param": "n",
        "code": "unsupported_value",
    }
