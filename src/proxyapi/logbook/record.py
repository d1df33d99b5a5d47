"""One request while it runs. What its bodies are made of passes here on its way; the beginning of each is gathered."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from proxyapi.dialects.multipart import FormScan

GATHERED_BYTES_MAX: Final = 4 * 2**20
"""Of one body. More than is kept in the end: pictures inside it still go."""
ROOM_BYTES_MAX: Final = 64 * 2**20
"""Of all bodies of a worker that were not written yet; beyond it no further bytes are gathered."""
PIECES_MAX: Final = 1_000
"""Of one body before they are joined: a piece of a stream is mostly overhead."""

_MEDIA = re.compile(rb"^content-type:\s*(audio|image|video)/|^content-type:\s*application/octet-stream", re.I | re.M)

Headers = Sequence[tuple[bytes, bytes]]


class Facts(Struct, frozen=True, kw_only=True):
    """What is known of a request at its end."""

    id: bytes
    account_id: int
    key_id: int
    method: str
    path: str
    """With its query, without a key."""
    operation: str
    dialect: str
    provider: str = ""
    model: str = ""
    status: int = 0
    error: str = ""
    """Code of the gateway's own refusal."""
    ending: str = ""
    duration_ms: int = 0
    first_byte_ms: int = 0
    peer: str = ""


class Room:
    """Bytes that the records of a worker may hold together."""

    __slots__ = ("left",)

    def __init__(self, bytes_max: int = ROOM_BYTES_MAX) -> None:
        self.left = bytes_max


class Body:
    """The beginning of a body as it passes."""

    __slots__ = ("_pieces", "_room", "bytes", "cut", "held")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._pieces: list[bytes] = []
        self.bytes = 0
        """All that passed."""
        self.held = 0
        self.cut = False
        """Not all is held."""

    def add(self, data: bytes) -> None:
        self.bytes += len(data)
        if self.cut:
            return
        fits = min(GATHERED_BYTES_MAX - self.held, self._room.left)
        if len(data) > fits:
            self.cut = True
            data = data[:fits]
        self._pieces.append(data)
        self.held += len(data)
        self._room.left -= len(data)
        if len(self._pieces) >= PIECES_MAX:
            self._pieces = [b"".join(self._pieces)]

    def count(self, size: int) -> None:
        """Bytes that passed and are not held."""
        self.bytes += size

    @property
    def data(self) -> bytes:
        return b"".join(self._pieces)

    def release(self) -> None:
        """What was held is written, or lost."""
        self._room.left += self.held
        self._pieces, self.held = [], 0


class Record:
    """What is gathered of one request. The `Witness` of its exchange."""

    __slots__ = ("form", "is_form", "is_sound", "request", "request_headers", "response", "response_headers")

    def __init__(self, request_headers: Headers, room: Room) -> None:
        """`request_headers` with lower-cased names."""
        self.request_headers = request_headers
        self.response_headers = b""
        """Lines as they were sent."""
        self.request = Body(room)
        self.response = Body(room)
        self.is_form = self.header(b"content-type").lower().startswith(b"multipart/")
        """Its files are not kept, and its fields when somebody has read them."""
        self.form: FormScan | None = None
        self.is_sound = False
        """The answer is no text. It is not kept either."""

    def received(self, data: bytes) -> None:
        if self.is_form:
            self.request.count(len(data))
        else:
            self.request.add(data)

    def answers(self, headers: bytes) -> None:
        self.response_headers = headers
        self.is_sound = bool(_MEDIA.search(headers))

    def sent(self, data: bytes) -> None:
        if self.is_sound:
            self.response.count(len(data))
        else:
            self.response.add(data)

    def header(self, name: bytes) -> bytes:
        """Of the request; empty: it is not there."""
        return next((value for key, value in self.request_headers if key == name), b"")

    def release(self) -> None:
        self.request.release()
        self.response.release()
