"""Durations from headers, on tiny files built here: honest ones, piped ones, and ones that lie."""

from __future__ import annotations

import io
from struct import pack

import pytest

from proxyapi.pricing.audio import SECONDS_MAX, UNKNOWN_BITS_PER_SECOND, duration_seconds

MP3_FRAME = b"\xff\xfb\x90\x00" + b"\0" * 413
"""MPEG 1 layer III, 128 kbit/s, 44.1 kHz: 417 bytes, 1,152 samples."""
MP3_FRAMES_PER_SECOND = 44_100 / 1_152


def wav(seconds: float, *, size: int | None = None, rate: int = 8_000) -> bytes:
    data = b"\0" * int(seconds * rate)
    form = pack("<HHIIHH", 1, 1, rate, rate, 1, 8)
    length = len(data) if size is None else size
    return b"RIFF\0\0\0\0WAVEfmt " + pack("<I", 16) + form + b"data" + pack("<I", length) + data


def flac(seconds: int, rate: int = 44_100) -> bytes:
    bits = rate << 44 | 1 << 41 | 15 << 36 | seconds * rate
    return b"fLaC\x80\0\0\x22" + pack(">HH", 4096, 4096) + b"\0" * 6 + bits.to_bytes(8, "big") + b"\0" * 16


def box(name: bytes, content: bytes) -> bytes:
    return pack(">I", len(content) + 8) + name + content


def mp4_head(*, timescale: int, ticks: int, more: bytes = b"") -> bytes:
    mdhd = box(b"mdhd", pack(">IIIIIHH", 0, 0, 0, timescale, ticks, 0, 0))
    tkhd = box(b"tkhd", pack(">IIIII", 0, 0, 0, 7, 0) + b"\0" * 64)
    mdia = box(b"mdia", mdhd + box(b"hdlr", b"\0" * 8 + b"soun" + b"\0" * 13))
    mvhd = box(b"mvhd", pack(">IIIII", 0, 0, 0, timescale, ticks) + b"\0" * 80)
    return box(b"ftyp", b"M4A \0\0\0\0") + box(b"moov", mvhd + box(b"trak", tkhd + mdia) + more)


def fragment(samples: int, duration: int | None) -> bytes:
    tfhd = box(b"tfhd", pack(">II", 0x8 if duration else 0, 7) + (pack(">I", duration) if duration else b""))
    return box(b"moof", box(b"traf", tfhd + box(b"trun", pack(">II", 0, samples))))


def ogg_opus(seconds: int) -> bytes:
    def page(kind: int, granule: int, packet: bytes) -> bytes:
        head = b"OggS\0" + bytes([kind]) + pack("<qIII", granule, 1, 0, 0)
        return head + b"\x01" + bytes([len(packet)]) + packet

    opus = b"OpusHead\x01\x01" + pack("<HIhB", 0, 48_000, 0, 0)
    tags = b"OpusTags" + pack("<I", 1) + b"x" + pack("<I", 0)
    return page(2, 0, opus) + page(0, 0, tags) + page(4, seconds * 48_000, b"\0" * 50)


def webm(*, duration_ms: float | None, last_ms: int = 0) -> bytes:
    info = b"\x2a\xd7\xb1\x83\x0f\x42\x40" + (b"\x44\x89\x88" + pack(">d", duration_ms) if duration_ms else b"")
    block = b"\xa3\x85\x81" + pack(">h", 30) + b"\0\0"
    cluster = b"\x1f\x43\xb6\x75\x01\xff\xff\xff\xff\xff\xff\xff" + b"\xe7\x84" + pack(">I", last_ms) + block
    return b"\x1aE\xdf\xa3\x80" + b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff" + info + cluster


def adts(frames: int) -> bytes:
    size = 64
    head = bytes([0xFF, 0xF1, 0x50 | 0, size >> 11 & 3, size >> 3 & 0xFF, (size & 7) << 5, 0])
    return (head + b"\0" * (size - 7)) * frames


@pytest.mark.parametrize(
    ("name", "data", "seconds"),
    [
        ("wav", wav(3.2), 4),
        ("wav of whole seconds", wav(3), 3),
        ("wav from a pipe", wav(5, size=0xFFFFFFFF), 5),
        ("wav that claims less than it has", wav(2, size=8_000), 2),
        ("flac that claims less than it has", flac(1) + b"\0" * 1_000_000, 6),
        ("flac", flac(61), 61),
        ("mp3", MP3_FRAME * round(5 * MP3_FRAMES_PER_SECOND), 5),
        ("m4a", mp4_head(timescale=1_000, ticks=8_420), 9),
        ("fragmented mp4", mp4_head(timescale=1_000, ticks=0) + fragment(10, 500) + fragment(4, 500), 7),
        ("ogg opus", ogg_opus(12), 12),
        ("webm", webm(duration_ms=8_500), 9),
        ("live webm", webm(duration_ms=None, last_ms=20_000), 21),
        ("raw aac", adts(431), 11),
    ],
)  # fmt: skip
def test_durations(name: str, data: bytes, seconds: int) -> None:
    assert duration_seconds(data) == seconds, name
    assert duration_seconds(io.BytesIO(data)) == seconds


def test_the_defaults_of_a_fragmented_file_are_used() -> None:
    trex = box(b"mvex", box(b"trex", pack(">IIIIII", 0, 7, 1, 250, 0, 0)))
    data = mp4_head(timescale=1_000, ticks=0, more=trex) + fragment(16, None)
    assert duration_seconds(data) == 4


def test_a_header_cannot_make_a_file_shorter_than_its_bytes_allow() -> None:
    lying = mp4_head(timescale=1_000, ticks=100) + box(b"mdat", b"\0" * 640_000)
    assert duration_seconds(lying) == 11, "640 KB at 512 kbit/s are 10 seconds at least"


def test_a_video_has_more_bytes_than_its_sound_needs() -> None:
    video = mp4_head(timescale=1_000, ticks=1_000) + box(b"vide", b"\0" * 640_000)
    assert duration_seconds(video) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"x", b"RIFF", b"RIFF\0\0\0\0WAVE", b"fLaC", b"OggS", b"\x1aE\xdf\xa3", b"ID3", b"\xff\xfb", b"\xff\xf1\x50",
        b"\0\0\0\x08ftyp", b"\0\0\0\x08moov\xff\xff\xff\xffmoof", b"\0\0\0\x01ftyp", b"\x1aE\xdf\xa3\x44\x89\x88",
        wav(1)[:20] + b"\0" * 40, flac(1)[:12],
    ],
)  # fmt: skip
def test_a_hostile_file_counts_by_its_bytes(data: bytes) -> None:
    most = -(-len(data) * 8 // UNKNOWN_BITS_PER_SECOND)
    assert duration_seconds(data) == max(1, most)


def test_an_endless_file_is_a_day() -> None:
    assert duration_seconds(mp4_head(timescale=1, ticks=2**32 - 1)) == SECONDS_MAX


def test_an_empty_file_has_no_duration() -> None:
    assert duration_seconds(b"") is None


def test_a_spooled_file_stays_where_it_was_read() -> None:
    file = io.BytesIO(wav(1))
    file.seek(7)
    assert duration_seconds(file) == 1
    assert file.tell() == 7
