"""Sizes from headers, and tokens by the published rules: every documented example."""

from __future__ import annotations

import base64
from struct import pack

import pytest

from proxyapi.pricing.facts import DrawingRule, PictureRule
from proxyapi.pricing.images import (
    claude_tokens,
    drawing_tokens,
    gemini_tile_tokens,
    generated_tokens,
    patches,
    percent_of,
    picture_tokens,
    size_of,
    size_of_base64,
    tile_tokens,
)

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


def jpeg(width: int, height: int, *, before: bytes = b"") -> bytes:
    frame = b"\xff\xc0\x00\x11\x08" + pack(">HH", height, width) + b"\x03" + b"\0" * 9
    return b"\xff\xd8" + before + frame + b"\xff\xda"


@pytest.mark.parametrize(
    ("name", "head", "size"),
    [
        ("png", PNG + pack(">II", 1800, 1200) + b"\x08\x02\0\0\0", (1800, 1200)),
        ("gif", b"GIF89a" + pack("<HH", 320, 200) + b"\0\0\0", (320, 200)),
        ("jpeg", jpeg(640, 480), (640, 480)),
        ("jpeg with metadata", jpeg(640, 480, before=b"\xff\xe2" + pack(">H", 65_000) + b"\0" * 64_998), (640, 480)),
        ("webp", b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a" + pack("<HH", 800, 600), (800, 600)),
        ("webp lossless", b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + pack("<I", 799 | 599 << 14) + b"\0" * 6, (800, 600)),
        ("webp extended", b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0\x1f\x03\0\x57\x02\0", (800, 600)),
    ],
)  # fmt: skip
def test_the_size_is_read_from_the_header(name: str, head: bytes, size: tuple[int, int]) -> None:
    assert size_of(head) == size, name
    assert size_of_base64(base64.b64encode(head + b"\0" * 100_000).decode()) == size


@pytest.mark.parametrize(
    "head",
    [
        b"", b"\xff", PNG, PNG + pack(">II", 0, 5), PNG + pack(">II", 2**31 - 1, 9), b"GIF89a\0\0\0\0\0",
        b"\xff\xd8" + b"\xff" * 5_000, b"\xff\xd8" + b"\xff\xe0\0\0" * 5_000, b"\xff\xd8\xff\xd9",
        b"<svg width='5'/>", b"RIFF\0\0\0\0WEBP", b"RIFF\0\0\0\0WEBPVP8 ",
    ],
)  # fmt: skip
def test_a_hostile_header_has_no_size(head: bytes) -> None:
    assert size_of(head) is None
    assert size_of_base64(base64.b64encode(head).decode()) is None


def test_what_is_no_base64_has_no_size() -> None:
    assert size_of_base64("абв") is None
    assert size_of_base64("!") is None


def test_openai_tiles() -> None:
    assert tile_tokens(1024, 1024, 85, 170) == 765
    assert tile_tokens(2048, 4096, 85, 170) == 1105
    rule = PictureRule(rule="tiles", base=85, tile=170, most=1445)
    assert picture_tokens((4096, 8192), "low", rule) == 85
    assert picture_tokens(None, "low", rule) == 85
    assert picture_tokens(None, "auto", rule) == 1445
    assert max(tile_tokens(w, h, 2833, 5667) for w in (768, 1536, 4096) for h in (768, 1536, 4096)) <= 48_169


def test_openai_patches() -> None:
    assert patches(1024, 1024, 1536, 0) == 1024
    assert patches(1800, 2400, 1536, 0) == 1452
    assert percent_of(patches(1024, 1024, 1536, 2048), 162) == 1659
    assert percent_of(patches(1024, 1024, 2500, 0), 120) == 1229
    assert percent_of(patches(2048, 2048, 2500, 0), 120) == 3000
    assert percent_of(patches(4096, 512, 2500, 0), 120) == 2458
    assert percent_of(patches(640, 480, 2500, 2048), 120) == 360
    assert percent_of(patches(1280, 720, 2500, 2048), 120) == 1104


def test_a_picture_of_unknown_size_takes_the_whole_budget_of_its_detail() -> None:
    rule = PictureRule(
        rule="patches", percent=120, details={"auto": (30_000, 0), "low": (6144, 512), "high": (2500, 0)}
    )
    assert picture_tokens(None, "auto", rule) == 36_000
    assert picture_tokens(None, "high", rule) == 3_000
    assert picture_tokens(None, "low", rule) == 308


def test_a_hair_of_a_picture_stays_within_the_budget() -> None:
    assert patches(65_535, 1, 1536, 0) <= 1536


@pytest.mark.parametrize(
    ("width", "height", "standard", "high"),
    [
        (200, 200, 64, 64), (1000, 1000, 1296, 1296), (1092, 1092, 1521, 1521), (1920, 1080, 1560, 2691),
        (2000, 1500, 1564, 3888), (3840, 2160, 1560, 4784), (4032, 3024, None, 4740), (3024, 1964, None, 4760),
    ],
)  # fmt: skip
def test_claude_squares(width: int, height: int, standard: int | None, high: int) -> None:
    if standard is not None:
        assert claude_tokens(width, height, 1568, 1568) == standard
    assert claude_tokens(width, height, 2576, 4784) == high


def test_gemini_tiles_and_resolutions() -> None:
    assert gemini_tile_tokens(960, 540) == 6 * 258
    assert gemini_tile_tokens(300, 300) == 258
    assert gemini_tile_tokens(1000, 1000) == 1032
    third = PictureRule(rule="gemini3", details={"auto": (1120, 0), "low": (280, 0)})
    assert picture_tokens((9, 9), "MEDIA_RESOLUTION_LOW", third) == 280
    assert picture_tokens(None, "", third) == 1120


def test_generated_pictures() -> None:
    assert generated_tokens(1024, 1024, 48) == 1756
    assert generated_tokens(3840, 2160, 96) == 13_342
    rule = DrawingRule(formula={"high": 48}, most=13_342)
    assert drawing_tokens(rule, "1024x1024", "high") == 1756
    assert drawing_tokens(rule, "auto", "high") == 13_342
    table = DrawingRule(tokens={"low 1024x1024": 272, "low": 408}, most=6250)
    assert drawing_tokens(table, "1024x1024", "low") == 272
    assert drawing_tokens(table, "1024x1536", "low") == 408
    assert drawing_tokens(table, "auto", "low") == 6250
    assert drawing_tokens(table, "", "") == 6250
    assert drawing_tokens(DrawingRule(tokens={"4K": 2000}, most=2520), "4k", "") == 2000
