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
_TO_FOREIGN_PROVIDER = frozenset({b"http-referer", b"user-agent", b"x-title"})
"""What is of no dialect: who asks, as providers with statistics want to know it."""
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
_FROM_FOREIGN_PROVIDER = frozenset({b"retry-after", b"retry-after-ms", b"x-should-retry"})
"""What is true of the answer whatever shape it gets."""
_REQUEST_IDS = frozenset((b"x-request-id", b"request-id", b"x-generation-id", b"x-ds-trace-id"))
"""Where providers put their own request id."""
_OF_USE = _TO_CLIENT | _REQUEST_IDS
"""All that is looked at of a provider's header; most of it is not."""


def to_provider(headers: Headers, extra: frozenset[bytes]) -> bytes:
    """Header lines for the provider; `extra` is the operator's addition to the allow-list."""
    return _lines(headers, _TO_PROVIDER, extra)


def to_foreign_provider(headers: Headers, extra: frozenset[bytes]) -> bytes:
    """The same for a provider of another dialect than the client's."""
    return _lines(headers, _TO_FOREIGN_PROVIDER, extra)


def _lines(headers: Headers, names: frozenset[bytes], extra: frozenset[bytes]) -> bytes:
    return b"".join([b"%b: %b\r\n" % field for field in headers if field[0] in names or field[0] in extra])


def read_reply(headers: Headers, passed: frozenset[bytes] = _TO_CLIENT) -> tuple[bytes, str]:
    """What the gateway needs of the header of a provider's answer, in one pass: lines for the client, with the
    provider's request id as `x-upstream-request-id`; and that id, empty if it names none."""
    lines: list[bytes] = []
    found = b""
    for name, value in headers:
        if name not in _OF_USE:
            continue
        if name in passed:
            lines += name, b": ", value, b"\r\n"
        if not found and name in _REQUEST_IDS:
            found = value
            lines += b"x-upstream-request-id: ", value, b"\r\n"
    return b"".join(lines), found[:200].decode("latin-1")


def read_foreign_reply(headers: Headers) -> tuple[bytes, str]:
    """Of an answer that is translated: its length, encoding and type are not those of what the client gets."""
    return read_reply(headers, _FROM_FOREIGN_PROVIDER)


def to_client(headers: Headers) -> bytes:
    """Header lines for the client."""
    lines, _ = read_reply(headers)
    return lines
