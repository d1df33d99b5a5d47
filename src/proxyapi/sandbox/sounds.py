"""Sound files of an exact length, in every format that OpenAI's speech endpoint has; 24 kHz, one channel.

WAV and PCM are a quiet tone; the compressed formats are silence, because a silent frame of each is a constant that its
specification lets one write by hand:

* MP3   MPEG-2 Layer III, 32 kbit/s, 96 bytes a frame; a granule without main data is silence (ISO/IEC 13818-3)
* FLAC  constant subframes (RFC 9639)
* Opus  the three-byte silent CELT packet, in Ogg (RFC 6716, RFC 7845)
* AAC   a single channel element without sections, in ADTS (ISO/IEC 14496-3)
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator

FORMATS = ("wav", "pcm", "mp3", "flac", "opus", "aac")
MEDIA_TYPES = {
    "wav": "audio/wav", "pcm": "audio/pcm", "mp3": "audio/mpeg", "flac": "audio/flac", "opus": "audio/opus",
    "aac": "audio/aac",
}  # fmt: skip
SAMPLES_PER_SECOND = 24_000
CHARACTERS_PER_SECOND = 14
"""Normal speech is 11 to 14 characters a second."""
_SECONDS_MIN = 0.2

_TONE_SAMPLES = 100
"""One period of 240 Hz."""
_TONE_PEAK = 1_000
_PIECE_BYTES = 24_000
"""Half a second of PCM: long answers go out in such pieces."""
_FRAMES_PER_PIECE = 50

_MP3_FRAME = b"\xff\xf3\x44\xc0" + bytes(92)
_MP3_SAMPLES = 576
_FLAC_SAMPLES = 4_096
_AAC_SAMPLES = 1_024
_AAC_SILENCE = b"\x00\xc8\x00\x07"
_OPUS_SILENCE = b"\xf8\xff\xfe"
_OPUS_SAMPLES = 960
_OPUS_RATE = 48_000
_OPUS_PRE_SKIP = 312
_OPUS_PACKETS_PER_PAGE = 50


def seconds_of(text: str, speed: float = 1.0) -> float:
    """How long the text takes to say."""
    return max(_SECONDS_MIN, len(text) / CHARACTERS_PER_SECOND / speed)


def speak(kind: str, seconds: float) -> Iterator[bytes]:
    """The file of this format and length, in pieces. KeyError if the format is none of FORMATS."""
    return _WRITERS[kind](round(seconds * SAMPLES_PER_SECOND))


def _pcm(samples: int) -> Iterator[bytes]:
    period = struct.pack(
        f"<{_TONE_SAMPLES}h",
        *(round(_TONE_PEAK * math.sin(2 * math.pi * at / _TONE_SAMPLES)) for at in range(_TONE_SAMPLES)),
    )
    piece = period * (_PIECE_BYTES // len(period))
    whole, rest = divmod(samples * 2, len(piece))
    for _ in range(whole):
        yield piece
    if rest:
        yield piece[:rest]


def _wav(samples: int) -> Iterator[bytes]:
    size = samples * 2
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", 36 + size, b"WAVE",
        b"fmt ", 16, 1, 1, SAMPLES_PER_SECOND, SAMPLES_PER_SECOND * 2, 2, 16,
        b"data", size,
    )  # fmt: skip
    yield head
    yield from _pcm(samples)


def _mp3(samples: int) -> Iterator[bytes]:
    frames = -(-samples // _MP3_SAMPLES)
    for at in range(0, frames, _FRAMES_PER_PIECE):
        yield _MP3_FRAME * min(_FRAMES_PER_PIECE, frames - at)


def _aac(samples: int) -> Iterator[bytes]:
    size = 7 + len(_AAC_SILENCE)
    bits = (
        0xFFF << 44  # sync word
        | 0b0001 << 40  # MPEG-4, layer 0, no CRC
        | 0b01 << 38  # AAC LC
        | 6 << 34  # 24 kHz
        | 1 << 30  # one channel
        | size << 13
        | 0x7FF << 2  # variable rate
    )
    frame = bits.to_bytes(7, "big") + _AAC_SILENCE
    frames = -(-samples // _AAC_SAMPLES)
    for at in range(0, frames, _FRAMES_PER_PIECE):
        yield frame * min(_FRAMES_PER_PIECE, frames - at)


def _checksum_table(polynomial: int, width: int) -> tuple[int, ...]:
    """For a checksum that takes the highest bit first."""
    top, mask = 1 << (width - 1), (1 << width) - 1
    table = []
    for byte in range(256):
        value = byte << (width - 8)
        for _ in range(8):
            value = ((value << 1) ^ polynomial if value & top else value << 1) & mask
        table.append(value)
    return tuple(table)


_CRC8 = _checksum_table(0x07, 8)
_CRC16 = _checksum_table(0x8005, 16)
_CRC32 = _checksum_table(0x04C11DB7, 32)


def _checksum(data: bytes, table: tuple[int, ...], width: int) -> int:
    value, shift, mask = 0, width - 8, (1 << width) - 1
    for byte in data:
        value = (value << 8 & mask) ^ table[(value >> shift) ^ byte]
    return value


def _flac(samples: int) -> Iterator[bytes]:
    block = min(_FLAC_SAMPLES, max(16, samples))
    stream_info = struct.pack(">HH", block, block) + bytes(6)
    stream_info += (SAMPLES_PER_SECOND << 44 | 0 << 41 | 15 << 36 | samples).to_bytes(8, "big") + bytes(16)
    yield b"fLaC" + (0x80 << 24 | len(stream_info)).to_bytes(4, "big") + stream_info
    for number, start in enumerate(range(0, samples, _FLAC_SAMPLES)):
        size = min(_FLAC_SAMPLES, samples - start)
        head = b"\xff\xf8" + bytes((0x77, 0x08)) + chr(number).encode() + (size - 1).to_bytes(2, "big")
        frame = head + bytes((_checksum(head, _CRC8, 8), 0, 0, 0))
        yield frame + _checksum(frame, _CRC16, 16).to_bytes(2, "big")


def _ogg_page(packets: list[bytes], *, number: int, granule: int, flags: int) -> bytes:
    """All packets are shorter than 255 bytes."""
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, granule, 0x5A4D, number, 0, len(packets))
    page = head + bytes(len(packet) for packet in packets) + b"".join(packets)
    return page[:22] + _checksum(page, _CRC32, 32).to_bytes(4, "little") + page[26:]


def _opus(samples: int) -> Iterator[bytes]:
    length = samples * _OPUS_RATE // SAMPLES_PER_SECOND + _OPUS_PRE_SKIP
    head = struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, _OPUS_PRE_SKIP, SAMPLES_PER_SECOND, 0, 0)
    vendor = b"proxyapi sandbox"
    tags = b"OpusTags" + struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", 0)
    yield _ogg_page([head], number=0, granule=0, flags=2) + _ogg_page([tags], number=1, granule=0, flags=0)
    packets = -(-length // _OPUS_SAMPLES)
    for page, at in enumerate(range(0, packets, _OPUS_PACKETS_PER_PAGE)):
        count = min(_OPUS_PACKETS_PER_PAGE, packets - at)
        last = at + count == packets
        granule = length if last else (at + count) * _OPUS_SAMPLES
        yield _ogg_page([_OPUS_SILENCE] * count, number=page + 2, granule=granule, flags=4 if last else 0)


_WRITERS: dict[str, Callable[[int], Iterator[bytes]]] = {
    "wav": _wav, "pcm": _pcm, "mp3": _mp3, "flac": _flac, "opus": _opus, "aac": _aac,
}  # fmt: skip
