from __future__ import annotations

import pytest

from proxyapi.gateway import headers


def sent(*names: bytes, extra: frozenset[bytes] = frozenset()) -> bytes:
    return headers.to_provider([(name, b"v") for name in names], extra)


def test_of_the_clients_headers_only_those_of_the_list_pass_in_their_order() -> None:
    names = (b"x-title", b"authorization", b"content-type", b"cookie", b"x-api-key", b"x-forwarded-for", b"user-agent")
    assert sent(*names) == b"x-title: v\r\ncontent-type: v\r\nuser-agent: v\r\n"


@pytest.mark.parametrize(
    "name",
    [b"authorization", b"x-api-key", b"x-goog-api-key", b"cookie", b"host", b"connection", b"content-length", b"te",
     b"transfer-encoding", b"accept-encoding", b"expect", b"x-forwarded-for", b"forwarded", b"openai-organization",
     b"openai-project", b"content-encoding", b"x-request-id", b"x-proxyapi-cost", b"idempotency-key"],
)  # fmt: skip
def test_what_is_the_clients_own_or_belongs_to_the_connection_stays_behind(name: bytes) -> None:
    assert sent(name) == b""


def test_the_operator_can_add_names() -> None:
    assert sent(b"x-tag", b"x-other", extra=frozenset({b"x-tag"})) == b"x-tag: v\r\n"


def test_a_header_that_is_sent_twice_passes_twice() -> None:
    pairs = [(b"anthropic-beta", b"a"), (b"anthropic-beta", b"b")]
    assert headers.to_provider(pairs, frozenset()) == b"anthropic-beta: a\r\nanthropic-beta: b\r\n"


@pytest.mark.parametrize(
    "name",
    [b"set-cookie", b"openai-organization", b"x-ratelimit-limit-tokens", b"server", b"content-length", b"connection",
     b"transfer-encoding", b"anthropic-organization-id", b"x-proxyapi-cost", b"access-control-allow-origin", b"date"],
)  # fmt: skip
def test_what_is_the_operators_or_belongs_to_the_connection_does_not_come_back(name: bytes) -> None:
    assert headers.to_client([(name, b"v")]) == b""


def test_what_a_client_can_use_comes_back() -> None:
    pairs = [(b"content-type", b"text/event-stream"), (b"server", b"x"), (b"retry-after", b"7")]
    assert headers.to_client(pairs) == b"content-type: text/event-stream\r\nretry-after: 7\r\n"


@pytest.mark.parametrize("name", [b"x-request-id", b"request-id", b"x-ds-trace-id"])
def test_the_providers_request_id_comes_under_a_name_of_its_own_once(name: bytes) -> None:
    pairs = [(name, b"req_1"), (b"cf-ray", b"2"), (b"x-request-id", b"req_2")]
    assert headers.to_client(pairs) == b"x-upstream-request-id: req_1\r\n"
