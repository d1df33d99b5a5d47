from __future__ import annotations

import pytest

from proxyapi.wire.errors import HeadRefused
from proxyapi.wire.http1 import (
    HeadMemo,
    RequestHead,
    ResponseReader,
    parse_request,
    status_line,
)


def parse(head: bytes, headers_max: int = 100) -> RequestHead:
    return parse_request(head, headers_max)[0]


def body_bytes(head: bytes) -> int | None:
    return parse_request(head, 100)[1]


P = b"POST / HTTP/1.1\r\nHost: a\r\n"
REFUSED = {
    "bare LF behind the request line": (400, b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
    "bare LF behind a field": (400, b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"),
    "bare CR in a value": (400, b"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n"),
    "two CR": (400, b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"),
    "NUL in a value": (400, b"GET / HTTP/1.1\r\nHost: a\0\r\n\r\n"),
    "control character in a value": (400, b"GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n"),
    "space before the colon": (400, b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
    "folded line": (400, b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"),
    "folded empty value": (400, b"GET / HTTP/1.1\r\nHost: a\r\nX:\r\n b\r\n\r\n"),
    "space before the first field": (400, b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    "field without colon": (400, b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n"),
    "field without name": (400, b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n"),
    "name that is no token": (400, b"GET / HTTP/1.1\r\nHost: a\r\nX(: b\r\n\r\n"),
    "name beyond ASCII": (400, b"GET / HTTP/1.1\r\nHost: a\r\n\xc3\xa9: b\r\n\r\n"),
    "length and coding": (
        400,
        P + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    "coding and length": (
        400,
        P + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
    ),
    "two equal lengths": (400, P + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n"),
    "two lengths": (400, P + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
    "list of lengths": (400, P + b"Content-Length: 1, 1\r\n\r\n"),
    "signed length": (400, P + b"Content-Length: +1\r\n\r\n"),
    "negative length": (400, P + b"Content-Length: -1\r\n\r\n"),
    "hexadecimal length": (400, P + b"Content-Length: 0x1\r\n\r\n"),
    "empty length": (400, P + b"Content-Length:\r\n\r\n"),
    "length of 30 digits": (400, P + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n"),
    "unknown coding": (501, P + b"Transfer-Encoding: xchunked\r\n\r\n"),
    "identity coding": (501, P + b"Transfer-Encoding: identity\r\n\r\n"),
    "coding list": (501, P + b"Transfer-Encoding: gzip, chunked\r\n\r\n"),
    "coding twice": (
        400,
        P + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    "coding with control character": (400, P + b"Transfer-Encoding: \x0bchunked\r\n\r\n"),
    "chunked under 1.0": (400, b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "two spaces behind the method": (400, b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "two spaces before the version": (400, b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n"),
    "tab in the request line": (400, b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "HTTP/0.9": (400, b"GET /\r\n\r\n"),
    "HTTP/1.2": (505, b"GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
    "HTTP/2": (505, b"PRI * HTTP/2.0\r\n\r\n"),
    "lower-case protocol": (400, b"GET / http/1.1\r\nHost: a\r\n\r\n"),
    "RTSP": (400, b"GET / RTSP/1.0\r\n\r\n"),
    "unknown method": (501, b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "lower-case method": (501, b"get / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "CONNECT": (501, b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"),
    "method that is no token": (400, b"G[T / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "relative target": (400, b"GET v1/models HTTP/1.1\r\nHost: a\r\n\r\n"),
    "asterisk for GET": (400, b"GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
    "fragment": (400, b"GET /#a HTTP/1.1\r\nHost: a\r\n\r\n"),
    "target beyond ASCII": (400, b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n"),
    "control character in the target": (400, b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n"),
    "absolute target with a user": (400, b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "absolute target of another scheme": (400, b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "no Host": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "two Hosts": (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    "unknown expectation": (417, P + b"Expect: 200-ok\r\n\r\n"),
    "too many fields": (431, b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: b\r\n" * 100 + b"\r\n"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_ambiguous_or_malformed_head_is_refused(name: str) -> None:
    status, head = REFUSED[name]
    with pytest.raises(HeadRefused) as refused:
        parse(head)
    assert refused.value.status == status
    assert str(refused.value)


def test_a_head_is_read_with_lower_cased_names_in_their_order() -> None:
    head = b"POST /v1/x%2Fy?key=a&b=?c HTTP/1.1\r\nHost: h:1\r\nX-B:  two words \t\r\nx-a:1\r\nX-B: \xff\r\n\r\n"
    request, length = parse_request(head, 100)
    assert (request.method, request.target) == ("POST", "/v1/x%2Fy?key=a&b=?c")
    assert (request.path, request.query, request.host) == ("/v1/x%2Fy", "key=a&b=?c", b"h:1")
    assert request.headers == [(b"host", b"h:1"), (b"x-b", b"two words"), (b"x-a", b"1"), (b"x-b", b"\xff")]
    assert request.header(b"x-b") == b"two words"
    assert request.header(b"x-c") is None
    assert length == 0
    assert request.keep_alive


@pytest.mark.parametrize(
    ("target", "path", "query", "host"),
    [
        (b"http://other:80/v1?a", "/v1", "a", b"other:80"),
        (b"HTTPS://other", "/", "", b"other"),
        (b"http://other?a=b", "/", "a=b", b"other"),
    ],
)
def test_an_absolute_target_is_stripped_and_its_authority_wins(
    target: bytes, path: str, query: str, host: bytes
) -> None:
    request = parse(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target)
    assert (request.path, request.query, request.host) == (path, query, host)
    assert request.target == target.decode()


@pytest.mark.parametrize(
    ("version", "connection", "kept"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.1", b"Connection: x, Close\r\n", False),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: Keep-Alive\r\n", True),
        (b"1.0", b"Connection: keep-alive, close\r\n", False),
    ],
)
def test_the_connection_persists_as_the_version_and_the_client_say(
    version: bytes, connection: bytes, kept: bool
) -> None:
    assert parse(b"GET / HTTP/%b\r\nHost: a\r\n%b\r\n" % (version, connection)).keep_alive is kept


def test_an_upgrade_is_ignored() -> None:
    head = P + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n"
    assert body_bytes(head) == 2


def test_options_for_the_whole_server_has_a_path_of_its_own() -> None:
    assert parse(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").path == "*"


def test_statuses_have_lines() -> None:
    assert status_line(404) == b"HTTP/1.1 404 Not Found\r\n"
    assert status_line(529).startswith(b"HTTP/1.1 529 ")


def recalled(memo: HeadMemo, head: bytes) -> tuple[RequestHead, int | None]:
    return memo.parse(head.removesuffix(b"\r\n\r\n"))


HEAD = b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\nX-Y: z\r\n\r\n"
LENGTH_LAST = b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nX-Y: z\r\nContent-Length: 12\r\n\r\n"


def test_the_same_head_on_a_connection_is_read_once() -> None:
    memo = HeadMemo(100)
    assert recalled(memo, HEAD)[0] is recalled(memo, HEAD)[0]


@pytest.mark.parametrize("head", [HEAD, LENGTH_LAST])
def test_a_head_with_another_length_is_the_same_but_for_that(head: bytes) -> None:
    memo = HeadMemo(100)
    first, length = recalled(memo, head)
    other, other_length = recalled(memo, head.replace(b"12", b"3456"))
    assert other is first
    assert (length, other_length) == (12, 3456)
    assert first.headers == [(b"host", b"x"), (b"x-y", b"z")]
    assert (first.path, first.query, first.header(b"x-y"), first.header(b"content-length")) == ("/a", "b=c", b"z", None)


@pytest.mark.parametrize(
    "other",
    [
        HEAD.replace(b"X-Y: z", b"X-Y: w"),
        HEAD.replace(b"/a", b"/b"),
        HEAD.replace(b"12", b"12\r\nX-More: 1"),
        HEAD.replace(b"12\r\n", b"12 \r\n"),
        HEAD.removesuffix(b"\r\n\r\n") + b"z\r\n\r\n",
        LENGTH_LAST,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_any_other_difference_is_read_anew(other: bytes) -> None:
    memo = HeadMemo(100)
    known, _ = recalled(memo, HEAD)
    assert recalled(memo, other)[0] is not known


@pytest.mark.parametrize("value", [b"", b"+1", b"1_0", b"0x1", b"1 2", b"1,1", b"1\r\nContent-Length: 2", b"9" * 5000])
def test_a_recalled_head_is_as_strict_about_its_length(value: bytes) -> None:
    memo = HeadMemo(100)
    recalled(memo, HEAD)
    with pytest.raises(HeadRefused):
        recalled(memo, HEAD.replace(b"12", value))


def read_response(data: bytes, *, head_request: bool = False) -> ResponseReader:
    reader, _ = read_with_body(data, head_request=head_request)
    return reader


def read_with_body(data: bytes, *, head_request: bool = False) -> tuple[ResponseReader, bytes]:
    reader = ResponseReader(head_request=head_request)
    body = reader.feed_bytes(data)
    return reader, body


def test_interim_responses_are_skipped() -> None:
    reader, body = read_with_body(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nX-Y: z\r\nContent-Length: 2\r\n\r\nab"
    )
    assert (reader.status, reader.reason, reader.length) == (200, b"OK", 2)
    assert reader.headers == [(b"x-y", b"z"), (b"content-length", b"2")]
    assert body == b"ab"
    assert reader.ended
    assert reader.keep_alive


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body_end_with_their_head(status: int) -> None:
    assert read_response(b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n" % status).ended


def test_the_answer_to_head_ends_with_its_head() -> None:
    reader = read_response(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", head_request=True)
    assert reader.ended
    assert reader.length == 5
    assert reader.keep_alive


def test_a_body_in_answer_to_head_spoils_the_connection() -> None:
    reader, body = read_with_body(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", head_request=True)
    assert not reader.keep_alive
    assert not body


@pytest.mark.parametrize("more", [b"x", b"H", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
def test_bytes_behind_the_end_spoil_the_connection_but_not_the_answer(more: bytes) -> None:
    reader, body = read_with_body(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab" + more)
    assert reader.ended
    assert not reader.broken
    assert body == b"ab"
    assert not reader.keep_alive
    assert len(reader.headers) == 1


def test_trailers_are_dropped() -> None:
    reader = read_response(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX: y\r\n\r\n")
    assert reader.ended
    assert reader.headers == [(b"transfer-encoding", b"chunked")]


@pytest.mark.parametrize(
    "data",
    [
        b"garbage",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
    ],
)
def test_an_invalid_response_is_called_broken(data: bytes) -> None:
    assert read_response(data).broken


def test_a_body_without_framing_ends_with_the_connection() -> None:
    reader = read_response(b"HTTP/1.1 200 OK\r\n\r\nab")
    assert not reader.ended
    assert reader.until_close
    reader.feed_close()
    assert reader.ended
    assert not reader.keep_alive
