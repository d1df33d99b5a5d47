"""
Every failure that a client or an operator can be told about:

* ProxyError
  + GatewayError                    the gateway's own checks; each has its HTTP status and code
    x InvalidRequest          400   names the field
      - UnknownModel          400   not on sale, or without a price
      - UnknownResponse       400   `previous_response_id` of another account, or of nobody
    x Unauthenticated         401
    x InsufficientFunds       402   the wallet, the key's budget, or the request's own cap
    x Forbidden               403   model, endpoint, address or balance query not allowed for the key
    x NotFound                404   route, model or object
    x MethodNotAllowed        405
    x RequestTimeout          408   the client sent too slowly
    x Conflict                409
      - IdempotencyKeyInUse   409   the request that has the key still runs
      - AnswerNotKept         409   it was answered and charged, but its answer can't be told again
    x PayloadTooLarge         413
    x UnsupportedMedia        415
    x IdempotencyKeyReused    422   for another request than the first one
    x TooManyRequests         429   rate limit, or the key's pause
    x StoreUnavailable        503   the ledger can't be reached: fails closed
    x Unavailable             503   shutting down, or too many connections
    + UpstreamError           502
      - UpstreamUnreachable   502   no connection
      - UpstreamTimeout       504
      - UpstreamBroken        502   reset, or bytes that are no HTTP or no event
    + PaymentError            502   of a payment provider
      - PaymentRefused        502   it says no: nothing was made
      - PaymentUnknown        503   not reached, or its answer was lost: it may have been made
  + ClientGone                      nobody is left to be told
  + SettingsError                   a wrong key or value in the configuration, for the operator
"""

from __future__ import annotations

from typing import ClassVar, Literal


class ProxyError(Exception):
    """Root of everything raised on purpose."""


class GatewayError(ProxyError):
    """A failure that the client is told about: `str(error)` is the text that it sees."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"

    def __init__(self, detail: str, *, param: str | None = None, retry_after_seconds: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.param = param
        """The offending field, as the client spelled it."""
        self.retry_after_seconds = retry_after_seconds


class InvalidRequest(GatewayError):
    status, code = 400, "invalid_request_error"


class UnknownModel(InvalidRequest):
    code = "model_not_found"

    def __init__(self, model: str, why: str = "") -> None:
        super().__init__(f"Model not supported: {model}" + (f" ({why})" if why else ""), param="model")


class UnknownResponse(InvalidRequest):
    """As OpenAI says it, so that clients that send the whole conversation then do."""

    code = "previous_response_not_found"

    def __init__(self, id: str) -> None:
        super().__init__(f"Previous response with id '{id[:100]}' not found.", param="previous_response_id")


class Unauthenticated(GatewayError):
    status, code = 401, "invalid_api_key"

    def __init__(self, detail: str = "Invalid API Key") -> None:
        super().__init__(detail)


ShortOf = Literal["account", "key", "request"]
"""Whose money a request was too dear for: the last is its own header x-proxyapi-max-cost."""
_SHORT: dict[ShortOf, str] = {
    "account": "Insufficient balance to run this request.",
    "key": "API Key budget exceeded.",
    "request": "The request may cost more than its x-proxyapi-max-cost.",
}


class InsufficientFunds(GatewayError):
    status, code = 402, "insufficient_balance"

    def __init__(self, *, source: ShortOf, required: int, available: int, held: int) -> None:
        super().__init__(_SHORT[source])
        self.source = source
        self.required = required
        """Nanos that the request must be able to cost."""
        self.available = available
        """Nanos that are neither spent nor held, on the account or budget named by `source`; the request's own cap."""
        self.held = held
        """Nanos held by requests in flight."""


class Forbidden(GatewayError):
    status, code = 403, "permission_denied"


class NotFound(GatewayError):
    status, code = 404, "not_found"


class MethodNotAllowed(GatewayError):
    status, code = 405, "method_not_allowed"


class RequestTimeout(GatewayError):
    status, code = 408, "request_timeout"


class Conflict(GatewayError):
    status, code = 409, "conflict"


class IdempotencyKeyInUse(Conflict):
    code = "idempotency_key_in_use"

    def __init__(
        self,
        detail: str = "A request with this Idempotency-Key is still running. Send it again later to get its answer.",
        *,
        retry_after_seconds: int = 5,
    ) -> None:
        super().__init__(detail, param="Idempotency-Key", retry_after_seconds=retry_after_seconds)


class AnswerNotKept(Conflict):
    code = "idempotent_answer_not_kept"

    def __init__(self, request_id: str) -> None:
        super().__init__(
            f"The request with this Idempotency-Key was answered and charged as request {request_id}, but its answer "
            "is not kept. Nothing was charged again; use another key to run it again.",
            param="Idempotency-Key",
        )


class IdempotencyKeyReused(GatewayError):
    status, code = 422, "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key belongs to another request: method, path and body have to be the same.",
            param="Idempotency-Key",
        )


class PayloadTooLarge(GatewayError):
    status, code = 413, "payload_too_large"


class UnsupportedMedia(GatewayError):
    status, code = 415, "unsupported_media_type"


class TooManyRequests(GatewayError):
    status, code = 429, "rate_limit_exceeded"


class StoreUnavailable(GatewayError):
    status, code = 503, "store_unavailable"

    def __init__(self, detail: str = "The gateway cannot reach its own store. Nothing was charged; try again.") -> None:
        super().__init__(detail, retry_after_seconds=2)


class Unavailable(GatewayError):
    status, code = 503, "unavailable"


class UpstreamError(GatewayError):
    status, code = 502, "upstream_error"


class UpstreamUnreachable(UpstreamError):
    code = "upstream_unreachable"


class UpstreamTimeout(UpstreamError):
    status, code = 504, "upstream_timeout"


class UpstreamBroken(UpstreamError):
    code = "upstream_broken"


class PaymentError(GatewayError):
    status, code = 502, "payment_error"


class PaymentRefused(PaymentError):
    code = "payment_refused"


class PaymentUnknown(PaymentError):
    status, code = 503, "payment_unknown"


class ClientGone(ProxyError):
    """The client closed its connection."""


class SettingsError(ProxyError):
    """The configuration names an unknown key or a wrong value; the text says which and what is allowed."""
