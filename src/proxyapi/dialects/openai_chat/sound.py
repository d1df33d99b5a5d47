"""Raw samples in a container that every player knows: what Google speaks is bare, what clients of Chat ask for is not.

http://soundfile.sapp.org/doc/WaveFormat/
"""

from __future__ import annotations

import re
import struct
from base64 import b64encode

_RATE = re.compile(r"rate=(\d{4,6})")
_RATE_USUAL = 24_000
_SAMPLE_BYTES = 2
_UNKNOWN = 0xFFFFFFFF
"""Of a stream nobody knows the length; players then read to its end."""
_FILLER = struct.pack("<4sI2x", b"JUNK", 2)
"""Makes the head 54 bytes long, so that its base64 can stand before that of the samples."""


def is_raw(media_type: str) -> bool:
    """Bare 16-bit samples of one channel."""
    return media_type.lower().startswith(("audio/l16", "audio/pcm"))


def wav_head(media_type: str, data_bytes: int | None = None) -> str:
    """Base64 of the head of a WAV file, without padding. `data_bytes`: of the samples; None: they are not known yet."""
    found = _RATE.search(media_type)
    rate = int(found[1]) if found else _RATE_USUAL
    size = _UNKNOWN if data_bytes is None else data_bytes
    whole = _UNKNOWN if data_bytes is None else data_bytes + 46
    head = struct.pack("<4sI4s", b"RIFF", whole, b"WAVE")
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate * _SAMPLE_BYTES, _SAMPLE_BYTES, 8 * _SAMPLE_BYTES)
    return b64encode(head + form + _FILLER + struct.pack("<4sI", b"data", size)).decode()


def base64_bytes(data: str) -> int:
    """How many bytes a base64 text stands for."""
    return len(data) * 3 // 4 - data[-2:].count("=")
