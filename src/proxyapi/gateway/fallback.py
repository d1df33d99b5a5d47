"""Whether another provider is asked when one does not answer: the decision as tables, and its bounds. Pure.

Only as long as nothing has gone to the client, and never for what the request itself is to blame for: another provider
would say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from proxyapi.dialects.call import Call
    from proxyapi.dialects.model import ErrorKind, Failed
    from proxyapi.providers.provider import Provider

Decision = Literal["next", "stop"]

SECONDS_MAX: Final = 300.0
"""After that nobody else is asked: most clients give up within ten minutes, and the next one needs time to answer."""
FIRST_BYTE_SECONDS: Final = 30.0
"""For a stream to begin where somebody else can be asked: its head comes at once from all known providers, also of
models that think for minutes. One body comes when it is ready, so it is given `first_byte_seconds`, as ever."""

BY_STATUS: Final[Mapping[int, Decision]] = {
    401: "next",  # the operator's key, not the client's
    402: "next",  # his account there
    403: "next",  # what his account there may use
    408: "next",
    429: "next",
}
"""Refusals of a provider; other 4xx are about the request, 5xx never are."""
_ABOUT_ACCESS = frozenset({401, 402, 403})
BY_KIND: Final[Mapping[ErrorKind, Decision]] = {
    "invalid_request": "stop",
    "unauthenticated": "next",
    "forbidden": "next",
    "insufficient_balance": "next",
    "not_found": "stop",
    "conflict": "stop",
    "too_large": "stop",
    "context_length": "stop",
    "rate_limited": "next",
    "overloaded": "next",
    "timeout": "next",
    "content_policy": "stop",
    "unsupported": "stop",
    "internal": "next",
}
"""Errors behind a status of 200."""
BY_CODE: Final[Mapping[str, Decision]] = {
    "upstream_unreachable": "next",
    "upstream_timeout": "next",
    "upstream_broken": "next",
    "upstream_error": "next",  # a credential that was refused
}
"""Errors that the gateway found itself, by their code; all others are its own, or the client's."""


def may_go_elsewhere(call: Call) -> bool:
    """Whether another provider can be asked at all: not for what lies at the first one, or goes on there, nor where the
    request itself says who else may answer."""
    bound = call.previous_response_id or call.conversation or call.item_references or call.background
    return not (bound or call.fallback_models or call.operation == "count_tokens")


class NextTarget(Exception):
    """This provider did not answer, nothing went to the client, and there is another one."""


def after_status(status: int, provider: Provider) -> Decision:
    """Of a provider that refused. Some refuse access to the client itself, not to the operator."""
    if provider.passes_credential_errors and status in _ABOUT_ACCESS:
        return "stop"
    return BY_STATUS.get(status, "next" if status >= 500 else "stop")


def after_kind(failed: Failed | None) -> Decision:
    """Of a provider that answered 200 and an error; None: 200 and nothing that is an answer."""
    return "next" if failed is None else BY_KIND[failed.kind]


def after_code(code: str) -> Decision:
    """Of an error that the gateway found itself."""
    return BY_CODE.get(code, "stop")
