"""Errors in each provider's own shape: as a body, and as an event of a stream that has begun."""

from __future__ import annotations

from typing import Literal

from proxyapi.sandbox.reading import Ids, JsonObject
from proxyapi.sandbox.reply import Reply, data_event, json_reply, named_event

Shape = Literal["openai", "responses", "openrouter", "anthropic", "google", "google_array"]
"""`responses`: OpenAI's bodies, but typed error events. `google_array`: a Gemini stream that is one JSON array."""

_OPENAI_TYPES = {
    400: "invalid_request_error", 401: "invalid_request_error", 402: "insufficient_quota", 403: "permission_error",
    404: "invalid_request_error", 409: "conflict_error", 413: "invalid_request_error", 429: "requests",
}  # fmt: skip
_OPENAI_CODES = {
    401: "invalid_api_key", 402: "insufficient_quota", 404: "model_not_found", 429: "rate_limit_exceeded",
    503: "overloaded",
}  # fmt: skip
_ANTHROPIC_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error", 500: "api_error", 504: "timeout_error",
    529: "overloaded_error",
}  # fmt: skip
_GOOGLE_STATUSES = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 402: "FAILED_PRECONDITION", 403: "PERMISSION_DENIED",
    404: "NOT_FOUND", 409: "ABORTED", 413: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 499: "CANCELLED",
    500: "INTERNAL", 501: "UNIMPLEMENTED", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip
_TEXTS = {
    400: "The sandbox refuses this request, as it was asked to.",
    401: "Incorrect API key provided.",
    402: "You exceeded your current quota, please check your plan and billing details.",
    403: "You are not allowed to do this.",
    404: "The model does not exist or you do not have access to it.",
    429: "Rate limit reached. Please try again in 2s.",
    500: "The server had an error while processing your request.",
    503: "The engine is currently overloaded, please try again later.",
    529: "Overloaded",
}
_RETRY_AFTER = {429: "2", 503: "2", 529: "2"}
"""Seconds, as the providers send it with these."""


def default_text(status: int) -> str:
    return _TEXTS.get(status, f"The sandbox answers {status}, as it was asked to.")


def error_object(
    shape: Shape, status: int, message: str, ids: Ids, *, param: str | None = None, code: str | None = None
) -> JsonObject:
    """The body of an error answer."""
    if shape == "anthropic":
        kind = _ANTHROPIC_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
        return {
            "type": "error",
            "error": {"type": kind, "message": message},
            "request_id": "req_011" + ids.word("request", 21),
        }
    if shape in ("google", "google_array"):
        word = _GOOGLE_STATUSES.get(status, "FAILED_PRECONDITION" if status < 500 else "UNKNOWN")
        return {"error": {"code": status, "message": message, "status": word}}
    if shape == "openrouter":
        metadata = {"provider_name": "Sandbox", "raw": message}
        return {"error": {"message": message, "code": status, "metadata": metadata}, "user_id": "user_sandbox"}
    kind = _OPENAI_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code or _OPENAI_CODES.get(status)}}


def error_reply(
    shape: Shape, status: int, message: str, ids: Ids, *, param: str | None = None, code: str | None = None
) -> Reply:
    headers = (("retry-after", _RETRY_AFTER[status]),) if status in _RETRY_AFTER else ()
    body: object = error_object(shape, status, message, ids, param=param, code=code)
    return json_reply([body] if shape == "google_array" else body, status=status, headers=headers)


def error_event(shape: Shape, ids: Ids, *, sequence_number: int = 0) -> bytes:
    """The error that a stream breaks with after it has begun: the provider's 500, or 529 at Anthropic."""
    if shape == "anthropic":
        body = error_object(shape, 529, default_text(529), ids)
        return named_event("error", {"type": "error", "error": body["error"]})
    if shape == "responses":
        return named_event(
            "error",
            {
                "type": "error",
                "sequence_number": sequence_number,
                "code": "server_error",
                "message": default_text(500),
                "param": None,
            },
        )
    body = error_object(shape, 503 if shape == "google" else 500, default_text(500), ids)
    return data_event(body)
