"""A finished request as the row that is kept of it: without media and credentials, cut to size, compressed.

Runs in a thread: nothing of it is quick enough for the event loop.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from proxyapi.logbook.record import GATHERED_BYTES_MAX, Body, Facts, Headers, Record

MEDIA_BYTES_MIN: Final = 1_024
"""Base64 of less is no picture worth a stub; ids and short signatures stay."""
WINDOW_BYTES: Final = 131_072
"""Searched in one go: the search keeps the interpreter from everything else, for a millisecond then."""
LEVEL: Final = 3
"""Of zlib: a megabyte of JSON takes 10 ms, and a quarter of its size."""
TEXT_CHARACTERS_MAX: Final = 500
"""Of a path, a header value and the like."""

_REQUEST_HEADERS = frozenset(
    {
        b"accept",
        b"anthropic-beta",
        b"anthropic-version",
        b"content-encoding",
        b"content-type",
        b"http-referer",
        b"idempotency-key",
        b"openai-beta",
        b"user-agent",
        b"x-proxyapi-cost",
        b"x-proxyapi-max-cost",
        b"x-proxyapi-strict",
        b"x-title",
    }
)
_RESPONSE_HEADERS = frozenset({b"content-type", b"retry-after", b"x-request-id", b"x-upstream-request-id"})
_OWN = b"x-proxyapi-"
"""All that the gateway itself says of an answer."""
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-\\"
"""Both alphabets; `/` is often written `\\/` in JSON."""
_LONG = re.compile(rb'"[^"]{%d,}' % MEDIA_BYTES_MIN)
_DATA_URL = re.compile(rb"data:[^,]{0,200};base64,")
_SAMPLE_BYTES: Final = 512
"""So much of a long text tells whether it can be base64: prose has a blank among its first words."""


class Packed(Struct, frozen=True):
    """One body as it is kept."""

    type: str
    """Media type; empty: not said."""
    size: int
    """Bytes that passed."""
    cut: bool
    """Only its beginning is kept."""
    data: bytes
    """zlib."""


def row(facts: Facts, record: Record, body_bytes_max: int) -> tuple[object, ...]:
    """The parameters of the statement `add`."""
    answered = _fields(record.response_headers)
    request = packed_request(record, body_bytes_max)
    response = _packed(record.response, _type(answered), record.response.data, body_bytes_max)
    headers = msgspec.json.encode(
        {"request": _kept(record.request_headers, _REQUEST_HEADERS), "response": _kept(answered, _RESPONSE_HEADERS)}
    ).decode()
    return (
        facts.id,
        facts.account_id,
        facts.key_id,
        facts.method,
        _text(facts.path),
        facts.operation,
        facts.dialect,
        facts.provider,
        _text(facts.model),
        facts.status,
        facts.error,
        facts.ending,
        facts.duration_ms,
        facts.first_byte_ms,
        facts.peer,
        request.type,
        request.size,
        int(request.cut),
        response.type,
        response.size,
        int(response.cut),
        len(request.data) + len(response.data),
        headers,
        request.data,
        response.data,
    )


def packed_request(record: Record, body_bytes_max: int) -> Packed:
    media_type = _type(record.request_headers)
    if record.is_form:
        return _packed(record.request, media_type, _form(record), body_bytes_max)
    data = record.request.data
    if record.header(b"content-encoding").strip().lower() == b"gzip":
        data = _unpacked(data)
    return _packed(record.request, media_type, data, body_bytes_max)


def _packed(body: Body, media_type: str, data: bytes, bytes_max: int) -> Packed:
    shown = without_media(data)
    cut = body.cut or len(shown) > bytes_max
    return Packed(media_type, body.bytes, cut, zlib.compress(shown[:bytes_max], LEVEL))


def _unpacked(data: bytes) -> bytes:
    """What a client packed; bytes that are no gzip stay, so that one can see what was refused."""
    try:
        return zlib.decompressobj(wbits=31).decompress(data, GATHERED_BYTES_MAX)
    except zlib.error:
        return data


def _form(record: Record) -> bytes:
    """The fields of a form as a JSON object, with a stub for each file. Empty: nobody read it."""
    form = record.form
    if form is None:
        return b""
    fields: dict[str, object] = {
        name: values[0] if len(values) == 1 else values for name, values in form.fields.items()
    }
    files = [
        {"field": file.name, "filename": file.filename, "type": file.content_type, "bytes": file.end - file.start}
        for file in form.files
    ]
    return msgspec.json.encode(fields | {"(files)": files})


# --- media ------------------------------------------------------------------------------------------------------------


def without_media(body: bytes) -> bytes:
    """JSON, or events of it, with a stub in the place of every long base64 text; the rest stays byte for byte.

    `"data:image/png;base64,iVBOR…"` becomes `"data:image/png;base64,(120000 bytes)"`: its size decoded, about.
    """
    pieces, start = [], 0
    while start < len(body):
        # Up to a quotation mark: no text is cut in two.
        end = body.find(b'"', start + WINDOW_BYTES)
        end = len(body) if end < 0 else end
        pieces.append(_LONG.sub(_replaced, body[start:end]))
        start = end
    return b"".join(pieces)


def _replaced(match: re.Match[bytes]) -> bytes:
    text: bytes = match[0]
    stub = _stub(text[1:])
    return b'"' + stub if stub else text


def _stub(text: bytes) -> bytes:
    """Empty: it is no media."""
    match = _DATA_URL.match(text)
    head = match.group() if match else b""
    start = len(head)
    if text[start : start + _SAMPLE_BYTES].translate(None, _BASE64) or text[start:].translate(None, _BASE64):
        return b""
    return b"%b(%d bytes)" % (head, (len(text) - start) * 3 // 4)


# --- headers ----------------------------------------------------------------------------------------------------------


def _fields(lines: bytes) -> Headers:
    pairs = (line.partition(b":") for line in lines.split(b"\r\n") if line)
    return [(name.strip().lower(), value.strip()) for name, _, value in pairs]


def _kept(headers: Headers, names: Iterable[bytes]) -> list[tuple[str, str]]:
    """Those that are known to be nobody's secret."""
    return [
        (name.decode("latin-1"), _text(value.decode("latin-1")))
        for name, value in headers
        if name in names or name.startswith(_OWN)
    ]


def _type(headers: Headers) -> str:
    value = next((value for name, value in headers if name == b"content-type"), b"")
    return _text(value.partition(b";")[0].strip().lower().decode("latin-1"))


def _text(text: str) -> str:
    return text[:TEXT_CHARACTERS_MAX].replace("\0", "")
