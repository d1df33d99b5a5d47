"""What is kept of a connection's head: enough for the next request, and no more."""

from __future__ import annotations

from proxyapi.gateway.introduction import HEADS_MAX, introduce
from proxyapi.identity.addresses import ClientAddress
from proxyapi.wire.http1 import RequestHead, parse_request

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-1\r\n%bContent-Length: 2\r\n\r\n"
ADDRESS = ClientAddress(())


def parsed(lines: bytes = b"") -> RequestHead:
    return parse_request(HEAD % lines, 100)[0]


def test_a_head_is_introduced_once() -> None:
    head = parsed()
    assert introduce(head, "10.0.0.1", ADDRESS) is introduce(head, "10.0.0.1", ADDRESS)


def test_an_encoding_and_a_cap_are_known_from_the_head() -> None:
    plain = introduce(parsed(), "10.0.0.1", ADDRESS)
    assert (plain.encoded, plain.max_cost) == (False, None)
    lines = b"Content-Encoding: gzip\r\nX-ProxyAPI-Max-Cost: 0.5\r\n"
    told = introduce(parsed(lines), "10.0.0.1", ADDRESS)
    assert (told.encoded, told.max_cost) == (True, b"0.5")


def test_the_heads_of_a_connection_that_asks_ever_new_models_stay_few() -> None:
    introduction = introduce(parsed(), "10.0.0.1", ADDRESS)
    for number in range(3 * HEADS_MAX):
        key = ("openai", f"openai/m{number}", f"m{number}")
        introduction.keep(key, b"POST / HTTP/1.1\r\n")
        assert key in introduction.heads
    assert len(introduction.heads) <= HEADS_MAX
