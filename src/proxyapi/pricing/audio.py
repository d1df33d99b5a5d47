"""Durations of sound and video from their headers, whatever the name says and however the header lies.

Own readers for what tinytag can't or gets wrong: WAV, FLAC, WebM, fragmented MP4, ADTS; tinytag for MP3, OGG and MP4.
A hostile file costs at most a bounded scan, and is never shorter than its bytes at the highest bit rate of its format.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from math import ceil, isfinite
from struct import error as StructError
from struct import unpack
from typing import IO, Literal

UNKNOWN_BITS_PER_SECOND = 16_000
"""Of a file that nothing can be told of: the lowest bit rate of recorded speech, so the longest duration."""
SECONDS_MAX = 86_400
"""No provider takes more than a day of sound."""

_BITRATES_MAX = {"mp3": 320_000, "mp4": 512_000, "aac": 512_000, "ogg": 510_000, "webm": 510_000}
"""A file of so many bytes can't be shorter. WAV and FLAC say themselves how they are packed. Not for video."""
_SCAN_BYTES_MAX = 262_144
_BOXES_MAX = 200_000
_FRAMES_MAX = 2_000_000

_SUFFIXES = {
    "mp3": ".mp3", "mpeg": ".mp3", "mpga": ".mp3", "ogg": ".ogg", "oga": ".ogg", "opus": ".opus", "m4a": ".m4a",
    "mp4": ".m4a", "flac": ".flac", "wav": ".wav",
}  # fmt: skip
_ADTS_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)


def duration_seconds(source: bytes | IO[bytes], name: str = "", *, video: bool = False) -> int | None:
    """Whole seconds, rounded up; None for an empty file. `name`: its name or media type, where the bytes say nothing.

    At least what the bytes make at the format's highest bit rate (sound only: pictures have no such bound). A file
    without a readable duration is as long as its bytes at the lowest bit rate.
    """
    data = source if isinstance(source, bytes) else _read(source)
    if not data:
        return None
    kind = _kind(data, name)
    seconds = _exact(data, kind)
    if seconds is None or not isfinite(seconds) or seconds <= 0:
        seconds = len(data) * 8 / UNKNOWN_BITS_PER_SECOND
    elif not video and kind in _BITRATES_MAX and not _has_pictures(data, kind):
        seconds = max(seconds, len(data) * 8 / _BITRATES_MAX[kind])
    return min(ceil(seconds - 1e-6), SECONDS_MAX) or 1


def _read(source: IO[bytes]) -> bytes:
    at = source.tell()
    source.seek(0)
    data = source.read()
    source.seek(at)
    return data


def _kind(data: bytes, name: str) -> str:
    if data[:4] in (b"RIFF", b"RF64", b"RIFX"):
        return "wav"
    if data[:4] == b"fLaC":
        return "flac"
    if data[:4] == b"OggS":
        return "ogg"
    if data[:4] == b"\x1aE\xdf\xa3":
        return "webm"
    if data[4:8] in (b"ftyp", b"moov", b"styp", b"mdat", b"free", b"wide", b"moof"):
        return "mp4"
    if data[:3] == b"ID3":
        return "mp3"
    if data[0] == 0xFF and len(data) > 1:
        if data[1] & 0xF6 == 0xF0:
            return "aac"
        if data[1] & 0xE0 == 0xE0:
            return "mp3"
    return "mp3" if name.lower().endswith(("mp3", "mpeg", "mpga")) else ""


def _has_pictures(data: bytes, kind: str) -> bool:
    """A video's sound track is shorter than its bytes suggest."""
    head = data[:_SCAN_BYTES_MAX]
    if kind == "mp4":
        return b"vide" in head or b"vide" in data[-_SCAN_BYTES_MAX:]
    return kind == "webm" and (b"V_VP" in head or b"V_AV1" in head or b"V_MPEG" in head)


def _exact(data: bytes, kind: str) -> float | None:
    try:
        match kind:
            case "wav":
                return wav_seconds(data)
            case "flac":
                return flac_seconds(data)
            case "webm":
                return webm_seconds(data)
            case "aac":
                return adts_seconds(data)
            case "mp4":
                return fragments_seconds(data) or _tagged(data, ".m4a")
            case "mp3" | "ogg":
                return _tagged(data, _SUFFIXES[kind])
    except (IndexError, StructError, OverflowError, ZeroDivisionError, ValueError):
        # A header that promises more than there is: the size of the file decides.
        return None
    return None


def _tagged(data: bytes, suffix: str) -> float | None:
    """By tinytag."""
    from tinytag import TinyTag

    try:
        return TinyTag.get(filename="x" + suffix, file_obj=io.BytesIO(data), tags=False, duration=True).duration
    except Exception:  # noqa: BLE001 - a tag reader meets a hostile file: whatever it stumbles over, nothing is known
        return None


# --- formats ----------------------------------------------------------------------------------------------------------


def wav_seconds(data: bytes) -> float | None:
    """By the bytes that are there: recorders that pipe write 0xFFFFFFFF for their number, and a liar a small one."""
    order: Literal["big", "little"] = "big" if data[:4] == b"RIFX" else "little"
    at, rate = 12, 0
    for _ in range(_BOXES_MAX):
        if at + 8 > len(data):
            return None
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], order)
        if name == b"fmt ":
            samples, bytes_per_second = (int.from_bytes(data[p : p + 4], order) for p in (at + 12, at + 16))
            rate = min(bytes_per_second, samples * int.from_bytes(data[at + 20 : at + 22], order))
        if name == b"data":
            return (len(data) - at - 8) / rate if rate else None
        at += 8 + size + (size & 1)
    return None


def flac_seconds(data: bytes) -> float | None:
    """STREAMINFO is the first block: rate, channels, bits, samples. Never shorter than if it weren't packed."""
    bits = int.from_bytes(data[18:26], "big")
    rate, samples = bits >> 44, bits & 0xFFFFFFFFF
    raw = rate * ((bits >> 41 & 7) + 1) * ((bits >> 36 & 31) + 1)
    return max(samples / rate, len(data) * 8 / raw) if rate and samples else None


def adts_seconds(data: bytes) -> float | None:
    """Raw AAC: its frames counted."""
    at = frames = rate = 0
    while at + 7 <= len(data) and data[at] == 0xFF and data[at + 1] & 0xF6 == 0xF0 and frames < _FRAMES_MAX:
        rate = _ADTS_RATES[data[at + 2] >> 2 & 15]
        frames += 1
        at += ((data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5) or 7
    return frames * 1_024 / rate if rate else None


def webm_seconds(data: bytes) -> float | None:
    """The duration of its header; a live recording has none: the time of its last cluster and block."""
    head = data[:4_096]
    at = head.find(b"\x44\x89")
    scale = _webm_scale(head)
    if at > 0 and (size := head[at + 2] & 0x7F) in (4, 8):
        (duration,) = unpack(">f" if size == 4 else ">d", head[at + 3 : at + 3 + size])
        if duration > 0:
            return float(duration) * scale / 1e9
    tail = data[-_SCAN_BYTES_MAX:]
    cluster = tail.rfind(b"\x1f\x43\xb6\x75")
    at = tail.find(b"\xe7", cluster) if cluster >= 0 else -1
    if at < 0:
        return None
    size = tail[at + 1] & 0x7F
    start = int.from_bytes(tail[at + 2 : at + 2 + size], "big")
    return (start + _last_block(tail, at + 2 + size) + 20) * scale / 1e9


def _webm_scale(head: bytes) -> int:
    at = head.find(b"\x2a\xd7\xb1")
    if at < 0:
        return 1_000_000
    size = head[at + 3] & 0x7F
    return int.from_bytes(head[at + 4 : at + 4 + size], "big") or 1_000_000


def _last_block(tail: bytes, at: int) -> int:
    """The relative time of the last block of a cluster."""
    last = 0
    while at < len(tail) - 4 and tail[at] in (0xA3, 0xA0):
        first, length = tail[at + 1], 1
        while length <= 8 and not first & (0x80 >> (length - 1)):
            length += 1
        size = int.from_bytes(tail[at + 1 : at + 1 + length], "big") & ((1 << (7 * length)) - 1)
        content = at + 1 + length
        if tail[at] == 0xA3:
            (last,) = unpack(">h", tail[content + 1 : content + 3])
        at = content + max(size, 1) if tail[at] == 0xA3 else content
    return last


Box = tuple[bytes, int, int]


def _boxes(data: bytes, at: int, end: int) -> Iterator[Box]:
    """The boxes of a piece of an MP4: name, begin and end of the content."""
    for _ in range(_BOXES_MAX):
        if at + 8 > end:
            return
        size, header = int.from_bytes(data[at : at + 4], "big"), 8
        name = data[at + 4 : at + 8]
        if size == 1:
            size, header = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif size == 0:
            size = end - at
        if size < header:
            return
        yield name, at + header, min(at + size, end)
        at += size


def fragments_seconds(data: bytes) -> float | None:
    """A fragmented MP4 names no duration: the sum of its fragments, of the longest track. None: it has none."""
    scales: dict[int, int] = {}
    defaults: dict[int, int] = {}
    totals: dict[int, int] = {}
    for name, begin, end in _boxes(data, 0, len(data)):
        if name == b"moov":
            for inner, b, e in _boxes(data, begin, end):
                if inner == b"trak":
                    _track(data, b, e, scales)
                elif inner == b"mvex":
                    for extends, b2, _ in _boxes(data, b, e):
                        if extends == b"trex":
                            track, _, duration = unpack(">III", data[b2 + 4 : b2 + 16])
                            defaults[track] = duration
        elif name == b"moof":
            for inner, b, e in _boxes(data, begin, end):
                if inner == b"traf":
                    track, ticks = _fragment(data, b, e, defaults)
                    totals[track] = totals.get(track, 0) + ticks
    lengths = [ticks / scales[track] for track, ticks in totals.items() if scales.get(track)]
    return max(lengths, default=None)


def _track(data: bytes, begin: int, end: int, scales: dict[int, int]) -> None:
    track = 0
    for name, b, e in _boxes(data, begin, end):
        if name == b"tkhd":
            track = int.from_bytes(data[b + 12 : b + 16] if data[b] == 0 else data[b + 20 : b + 24], "big")
        elif name == b"mdia":
            for inner, b2, _ in _boxes(data, b, e):
                if inner == b"mdhd":
                    scales[track] = int.from_bytes(
                        data[b2 + 12 : b2 + 16] if data[b2] == 0 else data[b2 + 20 : b2 + 24], "big"
                    )


def _fragment(data: bytes, begin: int, end: int, defaults: dict[int, int]) -> tuple[int, int]:
    track = duration = total = 0
    for name, b, e in _boxes(data, begin, end):
        flags = int.from_bytes(data[b + 1 : b + 4], "big")
        if name == b"tfhd":
            track = int.from_bytes(data[b + 4 : b + 8], "big")
            duration = defaults.get(track, 0)
            at = b + 8 + (8 if flags & 1 else 0) + (4 if flags & 2 else 0)
            if flags & 8:
                duration = int.from_bytes(data[at : at + 4], "big")
        elif name == b"trun":
            samples = int.from_bytes(data[b + 4 : b + 8], "big")
            at = b + 8 + (4 if flags & 1 else 0) + (4 if flags & 4 else 0)
            if flags & 0x100:
                stride = 4 * (flags & 0xF00).bit_count()
                samples = min(samples, (e - at) // stride)
                total += sum(int.from_bytes(data[at + i * stride : at + i * stride + 4], "big") for i in range(samples))
            else:
                total += min(samples, len(data)) * duration
    return track, total
