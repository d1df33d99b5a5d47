"""Errors as each dialect spells them: ours as bodies and as stream events, and the provider's to `Failed`."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Raw

from proxyapi.dialects import frames
from proxyapi.dialects.call import WireName
from proxyapi.dialects.model import ErrorKind, Failed
from proxyapi.dialects.stream import anything
from proxyapi.errors import GatewayError, InsufficientFunds
from proxyapi.money import format_amount

Shape = Literal["openai", "anthropic", "google"]

_OPENAI_TYPE = {
    402: "insufficient_quota",
    403: "permission_error",
    408: "timeout",
    429: "rate_limit_error",
}
_ANTHROPIC_TYPE = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_GOOGLE_STATUS = {
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_KINDS: dict[int, ErrorKind] = {
    400: "invalid_request",
    401: "unauthenticated",
    402: "insufficient_balance",
    403: "forbidden",
    404: "not_found",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    422: "invalid_request",
    429: "rate_limited",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}
_WORDS: dict[str, ErrorKind] = {
    "context_length_exceeded": "context_length",
    "content_policy_violation": "content_policy",
    "content_filter": "content_policy",
    "rate_limit_exceeded": "rate_limited",
    "rate_limit_error": "rate_limited",
    "overloaded_error": "overloaded",
    "insufficient_quota": "insufficient_balance",
    "invalid_request_error": "invalid_request",
    "authentication_error": "unauthenticated",
    "permission_error": "forbidden",
    "not_found_error": "not_found",
    "api_error": "internal",
    "server_error": "internal",
    "timeout_error": "timeout",
    "billing_error": "insufficient_balance",
    "request_too_large": "too_large",
    "INVALID_ARGUMENT": "invalid_request",
    "RESOURCE_EXHAUSTED": "rate_limited",
    "UNAVAILABLE": "overloaded",
    "PERMISSION_DENIED": "forbidden",
    "NOT_FOUND": "not_found",
    "UNAUTHENTICATED": "unauthenticated",
    "DEADLINE_EXCEEDED": "timeout",
    "INTERNAL": "internal",
    "FAILED_PRECONDITION": "invalid_request",
}
_ENCODER = msgspec.json.Encoder()


def shape_of(dialect: WireName) -> Shape:
    """The family whose error object a dialect's clients read."""
    if dialect.startswith("anthropic"):
        return "anthropic"
    return "google" if dialect.startswith("gemini") else "openai"


def error(shape: Shape, fault: GatewayError, request_id: str = "") -> bytes:
    """Our own error as a body: `detail` for ProxyAPI's users, the error object for the official SDKs."""
    return _ENCODER.encode(_object(shape, fault, request_id) | _detail(fault))


def _detail(fault: GatewayError) -> dict[str, Any]:
    if not isinstance(fault, InsufficientFunds):
        return {"detail": fault.detail}
    return {
        "detail": fault.detail,
        "required": _number(fault.required),
        "available": _number(fault.available),
        "held": _number(fault.held),
        "limit_source": fault.source,
    }


def _number(nanos: int) -> Raw:
    return Raw(format_amount(nanos).encode())


def _object(shape: Shape, fault: GatewayError, request_id: str) -> dict[str, Any]:
    match shape:
        case "openai":
            return {"error": _openai(fault)}
        case "anthropic":
            kind = _ANTHROPIC_TYPE.get(fault.status, "invalid_request_error" if fault.status < 500 else "api_error")
            return {
                "type": "error",
                "error": {"type": kind, "message": fault.detail},
                "request_id": request_id or None,
            }
        case "google":
            status = _GOOGLE_STATUS.get(fault.status, "INVALID_ARGUMENT" if fault.status < 500 else "INTERNAL")
            return {"error": {"code": fault.status, "message": fault.detail, "status": status}}


def _openai(fault: GatewayError) -> dict[str, Any]:
    kind = _OPENAI_TYPE.get(fault.status, "invalid_request_error" if fault.status < 500 else "server_error")
    code = None if fault.code == "invalid_request_error" else fault.code
    return {"message": fault.detail, "type": kind, "param": fault.param, "code": code}


def error_event(
    dialect: WireName,
    fault: GatewayError,
    request_id: str = "",
    *,
    reply_id: str = "",
    model: str = "",
    elements: int | None = None,
) -> bytes:
    """An error after the first byte, and the proper end of the stream. Call it only between two frames.

    `reply_id` and `model` as the client saw them; `elements` as the decoder of a JSON array counts them.
    """
    if elements is not None:
        if elements < 0:
            return b""
        return (b"," if elements else b"[") + error("google", fault) + b"]"
    match dialect:
        case "openai_responses":
            return _responses_event(fault, reply_id, model)
        case "anthropic":
            return frames.encode(error("anthropic", fault, request_id), "error")
        case "gemini":
            return frames.encode(error("google", fault))
        case "openai_speech" | "openai_transcription" | "openai_images":
            return frames.encode(_ENCODER.encode({"type": "error"} | _object("openai", fault, "")), "error")
        case _:
            return frames.encode(error("openai", fault)) + frames.encode(b"[DONE]")


def _responses_event(fault: GatewayError, reply_id: str, model: str) -> bytes:
    wire = _openai(fault)
    code = wire["code"] or wire["type"]
    flat = {"type": "error", "code": code, "message": fault.detail, "param": fault.param}
    response: dict[str, Any] = {
        "id": reply_id,
        "object": "response",
        "status": "failed",
        "model": model,
        "output": [],
        "usage": None,
        "error": {"code": code, "message": fault.detail},
    }
    return frames.encode(_ENCODER.encode(flat), "error") + frames.encode(
        _ENCODER.encode({"type": "response.failed", "response": response}), "response.failed"
    )


# --- what providers say -------------------------------------------------------------------------------------------


def failed(wire: Any, status: int) -> Failed:
    """A provider's error object, or bare text, of any dialect."""
    if not isinstance(wire, dict):
        return Failed(kind=_KINDS.get(status, "internal"), message=str(wire), status=status)
    code, kind = wire.get("code"), wire.get("type") or wire.get("status")
    if isinstance(code, int) and not isinstance(code, bool) and 400 <= code <= 599:
        status = code
    word = _WORDS.get(str(code)) or _WORDS.get(str(kind)) or _KINDS.get(status, "internal")
    message, param = wire.get("message"), wire.get("param")
    return Failed(
        kind=word,
        message=message if isinstance(message, str) else "",
        status=status,
        code=str(code) if code is not None else "",
        param=param if isinstance(param, str) else "",
        type=kind if isinstance(kind, str) else "",
    )


def read_error(body: bytes, status: int) -> Failed:
    """The body of an answer with an error status."""
    wire = anything(body)
    if isinstance(wire, list) and wire:
        wire = wire[0]
    if isinstance(wire, dict):
        inner = wire.get("error") or wire.get("detail")
        if inner:
            found = failed(inner, status)
            return found if found.message else failed(wire, status)
        return failed(wire, status)
    return failed(body[:2_000].decode("utf-8", "replace"), status)
