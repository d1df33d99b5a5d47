"""HTTP/1.1 heads, and whole responses, without I/O (RFC 9110, RFC 9112).

Header fields are split by llhttp (through httptools), which refuses in its strict mode bare CR and LF, folded lines,
spaces before the colon, control characters, and Content-Length that is repeated, malformed or beside
Transfer-Encoding. What llhttp lets pass and this module refuses: loose request lines, other versions than 1.0 and 1.1,
fragments in targets, Transfer-Encoding other than exactly `chunked`, chunked bodies under HTTP/1.0, a missing or
repeated Host. A request body's framing is never left to llhttp, so that the bytes of the next pipelined request are
known exactly.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import NoReturn, Protocol, cast

import httptools

from proxyapi.wire.chunks import ChunkedDecoder
from proxyapi.wire.errors import BodyBroken, HeadRefused

Headers = list[tuple[bytes, bytes]]
"""Names lower-cased, in the order of arrival, repeated names kept."""

STATUS_LINES: dict[int, bytes] = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus
}
STATUSES_WITHOUT_BODY = frozenset((204, 304))
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_METHODS = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_ABSOLUTE = re.compile(r"https?://([^/?#@]+)([/?].*)?", re.IGNORECASE)
_FRAMING = frozenset((b"content-length", b"transfer-encoding", b"connection", b"expect", b"host"))
_COUNTED = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)[ \t]*(?:\r|\Z)", re.IGNORECASE)

LENGTH_DIGITS_MAX = 18
"""Of a Content-Length; more is no length, and Python refuses to read some thousands of digits."""


class _Parser(Protocol):
    """What is used of httptools, which has no type stubs."""

    def feed_data(self, data: bytes) -> None: ...
    def get_status_code(self) -> int: ...
    def should_keep_alive(self) -> bool: ...


_request_parser = cast("Callable[[object], _Parser]", httptools.HttpRequestParser)
_response_parser = cast("Callable[[object], _Parser]", httptools.HttpResponseParser)
ParserError = cast("type[Exception]", httptools.HttpParserError)
ParserUpgrade = cast("type[Exception]", httptools.HttpParserUpgrade)


def status_line(status: int) -> bytes:
    """`HTTP/1.1 200 OK` with its line end, also for statuses that have no name."""
    return STATUS_LINES.get(status) or b"HTTP/1.1 %d Status\r\n" % status


class RequestHead:
    """The request line and header fields of one request, but for its Content-Length: so clients repeat it all day."""

    __slots__ = (
        "_first",
        "expects_continue",
        "headers",
        "host",
        "keep_alive",
        "method",
        "notes",
        "path",
        "query",
        "target",
        "version_minor",
    )

    method: str
    target: str
    """As sent."""
    path: str
    """Still percent-encoded, without the query. `*` only for `OPTIONS *`."""
    query: str
    """Without `?`; empty if there is none."""
    host: bytes
    """The Host field, or the authority of an absolute target, which wins (RFC 9112, 3.2.2)."""
    headers: Headers
    """Without Content-Length."""
    keep_alive: bool
    expects_continue: bool
    version_minor: int
    notes: object
    """What the server's handler has derived from this head: kept for the next request of the connection with it."""

    def __init__(self) -> None:
        self.headers = []
        self.notes = None
        self._first: dict[bytes, bytes] | None = None

    def header(self, name: bytes) -> bytes | None:
        """The first value of a field; `name` in lower case."""
        first = self._first
        if first is None:
            first = self._first = dict(reversed(self.headers))
        return first.get(name)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by llhttp."""
        self.headers.append((name.lower(), value))


class HeadMemo:
    """The last head of a connection: most clients send the same one over and over, with another Content-Length."""

    __slots__ = ("_after", "_before", "_head", "_headers_max")

    def __init__(self, headers_max: int) -> None:
        self._headers_max = headers_max
        self._head: RequestHead | None = None
        self._before = self._after = b""

    def parse(self, head: bytes) -> tuple[RequestHead, int | None]:
        """As `parse_request`; of `head` the last two line ends are missing."""
        known, before, after = self._head, self._before, self._after
        if known is not None:
            start, stop = len(before), len(head) - len(after)
            digits = head[start:stop]
            if (
                digits.isdigit()
                and len(digits) <= LENGTH_DIGITS_MAX
                and head[:start] == before
                and head[stop:] == after
            ):
                return known, int(digits)
        request, length = parse_request(head + b"\r\n\r\n", self._headers_max)
        counted = _COUNTED.search(head)
        if counted is not None:
            self._head, self._before, self._after = request, head[: counted.start(1)], head[counted.end(1) :]
        return request, length


def parse_request(head: bytes, headers_max: int) -> tuple[RequestHead, int | None]:
    """Read a complete head (up to and including the empty line).

    Returns it and the length of its body: 0 without one, None when chunked. Raises HeadRefused with the status that
    the client is owed.
    """
    request = RequestHead()
    words = head[: head.find(b"\r\n")].split(b" ")
    if len(words) != 3:
        raise HeadRefused(400, "The request line is malformed")
    if words[2] == b"HTTP/1.1":
        request.version_minor = 1
    elif words[2] == b"HTTP/1.0":
        request.version_minor = 0
    else:
        _refuse_version(words[2])
    method = _METHODS.get(words[0])
    if method is None:
        _refuse_method(words[0])
    request.method = method
    headers = request.headers
    try:
        _request_parser(request).feed_data(head)
    except ParserError as error:
        text = str(error)
        if text == "Request has invalid `Transfer-Encoding`":
            raise HeadRefused(501, "The transfer coding is not supported") from error
        raise HeadRefused(400, f"The request head is malformed: {text}") from error
    except ParserUpgrade:
        pass  # Upgrade may be ignored (RFC 9110, 7.8): the request is answered in HTTP/1.1.
    if len(headers) > headers_max:
        raise HeadRefused(431, f"The request has more than {headers_max} header fields")
    if b" \r\n" in head or b"\t\r\n" in head:
        request.headers = headers = [(name, value.rstrip(b" \t")) for name, value in headers]
    request.target = target = words[1].decode("ascii")
    request.host = b""
    if not target.startswith("/"):
        target = _strip_authority(target, request)
    if "#" in target:
        raise HeadRefused(400, "The request target has a fragment")
    request.path, _, request.query = target.partition("?")
    return request, _read_framing(headers, request)


def _refuse_version(version: bytes) -> NoReturn:
    if re.fullmatch(rb"HTTP/[0-9](\.[0-9])?", version):
        raise HeadRefused(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here")
    raise HeadRefused(400, "The request line is malformed")


def _refuse_method(method: bytes) -> NoReturn:
    if _TOKEN.fullmatch(method):
        raise HeadRefused(501, "The method is not supported")
    raise HeadRefused(400, "The request line is malformed")


def _strip_authority(target: str, request: RequestHead) -> str:
    """The origin form of an absolute target; its authority becomes the host."""
    if match := _ABSOLUTE.fullmatch(target):
        request.host = match[1].encode()
        target = match[2] or "/"
        return "/" + target if target.startswith("?") else target
    if target != "*" or request.method != "OPTIONS":
        raise HeadRefused(400, "The request target is malformed")
    return target


def _read_framing(headers: Headers, request: RequestHead) -> int | None:
    """Returns the length of the body."""
    length: int | None = 0
    request.expects_continue = False
    request.keep_alive = request.version_minor == 1
    hosts = 0
    chunked = counted = False
    for name, value in headers:
        if name not in _FRAMING:
            continue
        if name == b"host":
            hosts += 1
            request.host = request.host or value
        elif name == b"content-length":
            if counted or not value.isdigit() or len(value) > LENGTH_DIGITS_MAX:
                raise HeadRefused(400, "Content-Length is malformed or repeated")
            counted = True
            length = int(value)
        elif name == b"transfer-encoding":
            if chunked or value.lower() != b"chunked":
                raise HeadRefused(501, "The transfer coding is not supported")
            chunked = True
            length = None
        elif name == b"connection":
            options = value.lower().replace(b" ", b"").split(b",")
            if b"close" in options:
                request.keep_alive = False
            elif b"keep-alive" in options and request.version_minor == 0:
                request.keep_alive = True
        elif value.lower() != b"100-continue":
            raise HeadRefused(417, "The expectation can't be met")
        else:
            request.expects_continue = request.version_minor == 1
    if hosts != 1 and (hosts or request.version_minor):
        raise HeadRefused(400, "The request needs exactly one Host")
    if chunked and (counted or not request.version_minor):
        raise HeadRefused(400, "The body's framing is ambiguous")
    if counted:
        request.headers = [field for field in headers if field[0] != b"content-length"]
    return length


class ResponseReader:
    """One response, fed with bytes as they come. Interim responses (1xx) are skipped.

    llhttp reads the head; the framing of the body is read here, so that it is always known where a chunk begins. The
    owner looks at the flags after each `feed_bytes`.
    """

    __slots__ = (
        "_bodiless",
        "_left",
        "_parser",
        "_tail",
        "broken",
        "chunks",
        "ended",
        "head_complete",
        "headers",
        "keep_alive",
        "length",
        "status",
        "until_close",
    )

    def __init__(self, *, head_request: bool) -> None:
        self.status = 0
        self.headers: Headers = []
        self.length: int | None = None
        """The declared length; 0 without a body, None when chunked or up to the close."""
        self.head_complete = False
        self.ended = False
        self.until_close = False
        self.keep_alive = False
        """After the end: the connection may carry another request."""
        self.broken = ""
        """Why the bytes are no valid response; empty if they are."""
        self.chunks: ChunkedDecoder | None = None
        """Of a chunked body."""
        self._left = 0
        self._tail = b""  # the last bytes of an incomplete head, where its end may have begun
        self._bodiless = head_request
        self._parser: _Parser | None = _response_parser(self)

    @property
    def reason(self) -> bytes:
        """The standard phrase of the status; what the upstream wrote there has no meaning (RFC 9112, 4)."""
        return status_line(self.status)[13:-2]

    def header(self, name: bytes) -> bytes | None:
        """The first value of a field; `name` in lower case."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    def feed_bytes(self, data: bytes) -> bytes:
        """Take the next bytes; returns those of the body, de-chunked. Then see `head_complete`, `ended`, `broken`."""
        if not self.head_complete:
            data = self._feed_head(data)
        if not data or self.broken:
            return b""
        if self.ended:
            self.keep_alive = False  # Bytes behind the end: the answer stands, the connection does not.
            return b""
        if self.chunks is not None:
            return self._feed_chunks(self.chunks, data)
        if not self.until_close:
            if len(data) > self._left:
                data = data[: self._left]
                self.keep_alive = False
            self._left -= len(data)
            self.ended = not self._left
        return data

    def _feed_head(self, data: bytes) -> bytes:
        """Returns what follows the head."""
        parser = self._parser
        while data and parser is not None and not self.head_complete and not self.broken:
            seen = self._tail + data
            _, end, rest = seen.partition(b"\r\n\r\n")
            self._tail = b"" if end else seen[-3:]
            try:
                parser.feed_data(data[: len(data) - len(rest)])
            except ParserError as error:
                self.broken = self.broken or str(error)
            except ParserUpgrade:
                self.broken = self.broken or "the upstream switched protocols"
            data = rest
        if self.head_complete or self.broken:
            self._parser = None  # The parser knows our methods: breaking the cycle here spares the garbage collector.
        return data

    def _feed_chunks(self, chunks: ChunkedDecoder, data: bytes) -> bytes:
        pieces: list[bytes] = []
        try:
            end = chunks.feed(data, pieces)
        except BodyBroken as broken:
            self.broken = str(broken)
        else:
            self.ended = end >= 0
            if 0 <= end < len(data):
                self.keep_alive = False
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def feed_close(self) -> None:
        """The upstream closed its side in an orderly way."""
        if self.until_close and self.head_complete and not self.broken:
            self.ended = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by llhttp."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Called by llhttp."""
        parser = self._parser
        assert parser is not None, "it calls"
        self.status = status = parser.get_status_code()
        if status < 200:
            if status == 101:
                self.broken = "the upstream switched protocols"
            self.headers.clear()
            return
        self.head_complete = True
        self.keep_alive = parser.should_keep_alive()
        for name, value in self.headers:
            if name not in _FRAMING:
                continue
            if name == b"content-length":
                self.length = self._left = int(value)
            elif name == b"transfer-encoding":
                if value.strip().lower() != b"chunked":
                    self.broken = "unknown transfer coding"
                self.chunks = ChunkedDecoder()
        if self._bodiless or status in STATUSES_WITHOUT_BODY or self.length == 0:
            self.ended = True
        else:
            self.until_close = self.length is None and self.chunks is None
