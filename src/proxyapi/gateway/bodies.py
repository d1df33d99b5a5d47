"""Request bodies: read whole with a bound, or spooled to disk while they arrive."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING

import msgspec

from proxyapi.errors import ClientGone, InvalidRequest, PayloadTooLarge, RequestTimeout, UnsupportedMedia
from proxyapi.wire.errors import BodyBroken, BodyTimeout, BodyTooLarge, ClientLeft, WireError
from proxyapi.wire.server import Exchange

if TYPE_CHECKING:
    from proxyapi.dialects.multipart import FormScan

SPOOL_MEMORY_BYTES = 1_048_576
"""An upload smaller than this never touches the disk."""
COPY_BYTES = 262_144
GZIP_RATIO_MAX = 100
"""Prompts shrink to a tenth, logs that repeat themselves to a fiftieth. What shrinks to less is made to keep us busy:
to read JSON of 60 MB takes a worker seconds, in which it answers nobody, and as gzip it may have 60 kB."""
GZIP_BYTES_FREE = 1_048_576
"""So much is unpacked of anything."""


def _ours(error: WireError, bytes_max: int) -> Exception:
    match error:
        case BodyTooLarge():
            return PayloadTooLarge(
                f"The request body is larger than the {bytes_max} bytes allowed here. Split it, or send less."
            )
        case BodyTimeout():
            return RequestTimeout("The request body did not arrive in time.")
        case BodyBroken():
            return InvalidRequest("The request body is not framed as HTTP/1.1 requires.")
        case ClientLeft():
            return ClientGone()
    return error


def _too_large(bytes_max: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The request body is larger than the {bytes_max} bytes allowed here once unpacked.")


def _encoding(exchange: Exchange) -> bytes:
    encoding = (exchange.header(b"content-encoding") or b"identity").strip().lower()
    if encoding not in (b"identity", b"gzip", b""):
        raise UnsupportedMedia(
            f"Content-Encoding {encoding[:40].decode('latin-1')!r} is not supported: send gzip or nothing."
        )
    return encoding


async def read(exchange: Exchange, bytes_max: int) -> bytes:
    """The whole body, unpacked if it came as gzip."""
    encoding = _encoding(exchange) if exchange.header(b"content-encoding") is not None else b""
    try:
        body = await exchange.read(bytes_max)
    except WireError as error:
        raise _ours(error, bytes_max) from error
    if encoding == b"gzip":
        return _gunzip(body, bytes_max)
    return body


async def read_as_sent(exchange: Exchange, bytes_max: int) -> bytes:
    """The whole body, however it is encoded: somebody else reads it."""
    try:
        return await exchange.read(bytes_max)
    except WireError as error:
        raise _ours(error, bytes_max) from error


def _gunzip(data: bytes, bytes_max: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    likely = max(GZIP_BYTES_FREE, len(data) * GZIP_RATIO_MAX)
    try:
        body = unpacker.decompress(data, min(bytes_max, likely) + 1)
    except zlib.error as error:
        raise InvalidRequest(f"The body is not valid gzip: {error}.") from error
    if len(body) > bytes_max:
        raise _too_large(bytes_max)
    if len(body) > likely:
        raise PayloadTooLarge(f"The gzip body unpacks to more than {GZIP_RATIO_MAX} times its size: send it unpacked.")
    if not unpacker.eof:
        raise InvalidRequest("The gzip body ends too early.")
    return body


class Spool:
    """An upload, kept on disk beyond a megabyte, that can be sent more than once."""

    def __init__(self) -> None:
        self.file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=SPOOL_MEMORY_BYTES)  # noqa: SIM115
        self.length = 0

    def write(self, data: bytes) -> None:
        self.file.write(data)
        self.length += len(data)

    def rewind(self) -> None:
        self.file.seek(0)

    def part(self, start: int, end: int) -> IO[bytes]:
        """A copy of some of it as a file of its own."""
        copy = tempfile.SpooledTemporaryFile(max_size=SPOOL_MEMORY_BYTES)  # noqa: SIM115
        self._copy(copy, start, end)
        copy.seek(0)
        return copy

    def replace(self, span: tuple[int, int], value: bytes) -> None:
        """Put other bytes in the place of some."""
        file = tempfile.SpooledTemporaryFile(max_size=SPOOL_MEMORY_BYTES)  # noqa: SIM115
        self._copy(file, 0, span[0])
        file.write(value)
        self._copy(file, span[1], self.length)
        self.file.close()
        self.file = file
        self.length += len(value) - (span[1] - span[0])
        self.rewind()

    def _copy(self, into: IO[bytes], start: int, end: int) -> None:
        for piece in self._pieces(start, end):
            into.write(piece)
        self.rewind()

    def _pieces(self, start: int, end: int) -> Iterator[bytes]:
        self.file.seek(start)
        while start < end and (piece := self.file.read(min(COPY_BYTES, end - start))):
            yield piece
            start += len(piece)

    def contents(self, form: FormScan) -> Iterator[bytes]:
        """What a form says, whatever its boundary: clients make a new one whenever they send it."""
        files = [(part.name, part.filename, part.content_type, part.end - part.start) for part in form.files]
        yield msgspec.json.encode((form.fields, files))
        for part in form.files:
            yield from self._pieces(part.start, part.end)
        self.rewind()

    async def read(self, n: int) -> bytes:
        # Bounded pieces of a file that was just written: served from memory or the page cache.
        return self.file.read(n)

    def close(self) -> None:
        self.file.close()


async def spool(exchange: Exchange, bytes_max: int, scan: Callable[[bytes], None]) -> Spool:
    """Take the upload as it arrives; `scan` sees every unpacked piece once. The caller closes the spool."""
    encoding = _encoding(exchange)
    if exchange.body_bytes is not None and exchange.body_bytes > bytes_max:
        raise _ours(BodyTooLarge(), bytes_max)
    unpacker = zlib.decompressobj(wbits=31) if encoding == b"gzip" else None
    upload = Spool()
    try:
        while data := await exchange.read_some():
            if unpacker is not None:
                data = unpacker.decompress(data, bytes_max - upload.length + 1)
            upload.write(data)
            if upload.length > bytes_max:
                raise _too_large(bytes_max)
            scan(data)
        if unpacker is not None and not unpacker.eof:
            raise InvalidRequest("The gzip body ends too early.")
    except WireError as error:
        upload.close()
        raise _ours(error, bytes_max) from error
    except zlib.error as error:
        upload.close()
        raise InvalidRequest(f"The body is not valid gzip: {error}.") from error
    except BaseException:
        upload.close()
        raise
    upload.rewind()
    return upload
