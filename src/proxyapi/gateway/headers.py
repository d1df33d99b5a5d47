"""What passes of the headers. Both ways an allow-list: what is not named here stays behind.

A client's key, cookies and addresses never reach a provider; the operator's account names and limits at a provider
never reach a client.
"""

from __future__ import annotations

from collections.abc import Iterable

Headers = Iterable[tuple[bytes, bytes]]

_TO_PROVIDER = frozenset(
    {
        b"accept",
        b"anthropic-beta",
        b"anthropic-version",
        b"content-type",
        b"http-referer",
        b"openai-beta",
        b"user-agent",
        b"x-goog-api-client",
        b"x-title",
    }
)
_TO_CLIENT = frozenset(
    {
        b"cache-control",
        b"content-disposition",
        b"content-encoding",
        b"content-language",
        b"content-type",
        b"openai-model",
        b"openai-processing-ms",
        b"openai-version",
        b"retry-after",
        b"retry-after-ms",
        b"x-gemini-service-tier",
        b"x-generation-id",
        b"x-should-retry",
    }
)
_REQUEST_IDS = (b"x-request-id", b"request-id", b"x-generation-id", b"x-ds-trace-id")
"""Where providers put their own request id, likeliest first."""


def to_provider(headers: Headers, extra: frozenset[bytes]) -> list[bytes]:
    """Header lines for the provider; `extra` is the operator's addition to the allow-list."""
    return [
        b"%b: %b\r\n" % (name, value)
        for name, value in headers
        if name in _TO_PROVIDER or (extra and name in extra)
    ]


def to_client(headers: Headers) -> bytes:
    """Header lines for the client, with the provider's request id as `x-upstream-request-id`."""
    lines = []
    found = b""
    for name, value in headers:
        if name in _TO_CLIENT:
            lines.append(b"%b: %b\r\n" % (name, value))
        if not found and name in _REQUEST_IDS:
            found = value
            lines.append(b"x-upstream-request-id: %b\r\n" % value)
    return b"".join(lines)


def upstream_id(headers: Headers) -> str:
    """The provider's own id of a request; empty if it names none."""
    for name, value in headers:
        if name in _REQUEST_IDS:
            return value[:200].decode("latin-1")
    return ""
