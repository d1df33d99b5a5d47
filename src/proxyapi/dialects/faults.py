"""Errors as each dialect spells them: ours as bodies and as stream events, and the provider's to `Failed` and back."""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple

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
    "unsupported_parameter": "unsupported",
    "unsupported_value": "unsupported",
    "model_not_found": "not_found",
    "invalid_api_key": "unauthenticated",
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


class _Told(NamedTuple):
    """How a kind of error is spelled."""

    status: int
    openai_type: str
    openai_code: str | None
    anthropic: str
    google: str


_TOLD: dict[ErrorKind, _Told] = {
    "invalid_request": _Told(400, "invalid_request_error", None, "invalid_request_error", "INVALID_ARGUMENT"),
    "context_length": _Told(
        400, "invalid_request_error", "context_length_exceeded", "invalid_request_error", "INVALID_ARGUMENT"
    ),
    "unsupported": _Told(
        400, "invalid_request_error", "unsupported_parameter", "invalid_request_error", "INVALID_ARGUMENT"
    ),
    "content_policy": _Told(
        400, "invalid_request_error", "content_policy_violation", "invalid_request_error", "INVALID_ARGUMENT"
    ),
    "unauthenticated": _Told(
        401, "invalid_request_error", "invalid_api_key", "authentication_error", "UNAUTHENTICATED"
    ),
    "insufficient_balance": _Told(
        402, "insufficient_quota", "insufficient_balance", "billing_error", "FAILED_PRECONDITION"
    ),
    "forbidden": _Told(403, "permission_error", None, "permission_error", "PERMISSION_DENIED"),
    "not_found": _Told(404, "invalid_request_error", "model_not_found", "not_found_error", "NOT_FOUND"),
    "conflict": _Told(409, "invalid_request_error", "conflict", "invalid_request_error", "ABORTED"),
    "too_large": _Told(413, "invalid_request_error", "request_too_large", "request_too_large", "INVALID_ARGUMENT"),
    "rate_limited": _Told(429, "rate_limit_error", "rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED"),
    "internal": _Told(502, "server_error", None, "api_error", "INTERNAL"),
    "overloaded": _Told(503, "server_error", "overloaded", "overloaded_error", "UNAVAILABLE"),
    "timeout": _Told(504, "server_error", "timeout", "timeout_error", "DEADLINE_EXCEEDED"),
}
_OVERLOADED_STATUS = 529
"""Anthropic's own; its clients know it, others do not."""
_UNTOLD_STATUS = 502
"""Of an error inside an answer that began with 200: the kind says more."""
_TOO_LONG = "prompt is too long"
"""What clients of Messages look for before they compact a conversation."""
_LENGTH = re.compile(
    r"prompt is too long|maximum context length|input token count.{0,40}exceeds|context window", re.IGNORECASE
)
_KEY = re.compile(r"(incorrect|invalid) api key|api key (is not|not|is) (in)?valid|API_KEY_INVALID", re.IGNORECASE)
"""Refusals of a key that some providers send with status 400."""
_DELAY = re.compile(r"(\d{1,6}(?:\.\d{1,9})?)s")


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


# --- what providers say, told in another dialect --------------------------------------------------------------------


def from_gateway(fault: GatewayError) -> Failed:
    """An error of our own, for an encoder."""
    kind = _KINDS.get(fault.status, "internal")
    return Failed(kind=kind, message=fault.detail, status=fault.status, code=fault.code, param=fault.param or "")


def status_of(shape: Shape, failed: Failed) -> int:
    """The status that clients of the shape know for it: the provider's own wherever that is one."""
    status = failed.status if failed.status != _UNTOLD_STATUS else _TOLD[failed.kind].status
    if failed.kind == "overloaded" and status in (503, _OVERLOADED_STATUS):
        return _OVERLOADED_STATUS if shape == "anthropic" else 503
    return status


def told(shape: Shape, failed: Failed, request_id: str = "") -> dict[str, Any]:
    """A provider's error as the object of another dialect, `error` first: the SDK of Gemini looks at the beginning."""
    words, message = _TOLD[failed.kind], failed.message or "The provider gave no reason."
    match shape:
        case "openai":
            known = failed.code.isidentifier() and failed.code != words.openai_type
            code = failed.code if known else words.openai_code
            error = {"message": message, "type": words.openai_type, "param": failed.param or None, "code": code}
            return {"error": error}
        case "anthropic":
            if failed.kind == "context_length" and not message.startswith(_TOO_LONG):
                message = f"{_TOO_LONG}: {message}"
            error = {"type": words.anthropic, "message": message}
            return {"type": "error", "error": error, "request_id": request_id or None}
        case "google":
            return {"error": {"code": status_of(shape, failed), "message": message, "status": words.google}}


def refusal(shape: Shape, failed: Failed, request_id: str = "") -> tuple[int, bytes]:
    """Status and body of an answer that tells a provider's error to clients of another dialect."""
    return status_of(shape, failed), _ENCODER.encode(told(shape, failed, request_id))


# --- what providers say -------------------------------------------------------------------------------------------


def failed(wire: Any, status: int) -> Failed:
    """A provider's error object, or bare text, of any dialect."""
    if not isinstance(wire, dict):
        return Failed(kind=_by_words(_KINDS.get(status, "internal"), str(wire)), message=str(wire), status=status)
    code, kind = wire.get("code"), wire.get("type") or wire.get("status")
    if isinstance(code, int) and not isinstance(code, bool) and 400 <= code <= 599:
        status = code
    word = _WORDS.get(str(code)) or _WORDS.get(str(kind)) or _KINDS.get(status, "internal")
    message, param = wire.get("message"), wire.get("param")
    message = message if isinstance(message, str) else ""
    delay, key_refused = _details(wire.get("details"))
    return Failed(
        kind="unauthenticated" if key_refused else _by_words(word, message),
        message=message,
        status=status,
        code=str(code) if code is not None else "",
        param=param if isinstance(param, str) else "",
        type=kind if isinstance(kind, str) else "",
        retry_after_seconds=delay,
    )


def _by_words(kind: ErrorKind, message: str) -> ErrorKind:
    """Where only the text tells what is wrong with a request."""
    if kind == "invalid_request" and _LENGTH.search(message):
        return "context_length"
    return "unauthenticated" if kind == "invalid_request" and _KEY.search(message) else kind


def _details(details: Any) -> tuple[float | None, bool]:
    """Google's: when to try again, and whether it was the key. https://google.aip.dev/193"""
    delay, key_refused = None, False
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict):
            found = _DELAY.fullmatch(str(detail.get("retryDelay") or ""))
            delay = float(found[1]) if found else delay
            key_refused = key_refused or detail.get("reason") == "API_KEY_INVALID"
    return delay, key_refused


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
