"""Pictures: their size from the first bytes, and the tokens that they make, by the published rules of each family.

A picture counts by its pixels, never by the length of its base64 text.
"""

from __future__ import annotations

import binascii
from math import ceil, floor, sqrt
from struct import unpack

from proxyapi.pricing.facts import DrawingRule, PictureRule

SIDE_MAX = 65_535
"""A larger side is no picture that a provider takes."""
_FILL_BYTES_MAX = 256
"""JPEG allows any number of fill bytes between segments; more than this is hostile."""
_PREFIXES = (96, 65_536)
"""Base64 characters tried first: decoding is what costs. Most headers are in the first 72 bytes."""

_EPSILON = 1e-9
_TILE = 512
_TILES_SIDE = 2_048
_SHORT_SIDE = 768
_PATCH = 32
_CLAUDE_PATCH = 28
_GEMINI_TILE_TOKENS = 258

Size = tuple[int, int]


# --- size -----------------------------------------------------------------------------------------------------------


def size_of_base64(data: str) -> Size | None:
    """Width and height of a picture given as base64 text; None if they can't be told."""
    for characters in (*_PREFIXES, len(data)):
        part = data[: min(characters, len(data)) // 4 * 4]
        try:
            head = binascii.a2b_base64(part)
        except (binascii.Error, ValueError):
            return None
        size = size_of(head)
        if size is not None or len(part) + 4 > len(data):
            return size
    return None


def size_of(head: bytes) -> Size | None:
    """Width and height from the header of a PNG, GIF, WebP or JPEG; None if there is none, or an impossible one."""
    size = None
    if head[:8] == b"\x89PNG\r\n\x1a\n" and head[12:16] == b"IHDR" and len(head) >= 24:
        size = unpack(">II", head[16:24])
    elif head[:6] in (b"GIF87a", b"GIF89a") and len(head) >= 10:
        size = unpack("<HH", head[6:10])
    elif head[:4] == b"RIFF" and head[8:12] == b"WEBP" and len(head) >= 30:
        size = _webp(head)
    elif head[:2] == b"\xff\xd8":
        size = _jpeg(head)
    if size is None or not 0 < size[0] <= SIDE_MAX or not 0 < size[1] <= SIDE_MAX:
        return None
    return size[0], size[1]


def _webp(head: bytes) -> Size | None:
    kind = head[12:16]
    if kind == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        width, height = unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and head[20] == 0x2F:
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1
    if kind == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    return None


def _jpeg(head: bytes) -> Size | None:
    """Walks the segments to the start of frame."""
    at, fill = 2, 0
    while at + 9 < len(head):
        if head[at] != 0xFF:
            return None
        marker = head[at + 1]
        if marker == 0xFF:
            at, fill = at + 1, fill + 1
            if fill > _FILL_BYTES_MAX:
                return None
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = unpack(">HH", head[at + 5 : at + 9])
            return width, height
        else:
            length = int.from_bytes(head[at + 2 : at + 4], "big")
            if marker in (0xD9, 0xDA) or length < 2:
                return None
            at += 2 + length
    return None


# --- tokens of a picture in the prompt ------------------------------------------------------------------------------


def picture_tokens(size: Size | None, detail: str, rule: PictureRule) -> int:
    """Tokens of one picture; for an unknown size the most that one can have."""
    match rule.rule:
        case "gemini3":
            return rule.details.get(_resolution(detail), rule.details["auto"])[0]
        case "flat":
            return rule.most
        case "tiles" if detail == "low":
            return rule.base
        case "patches" if size is None:
            budget, edge = rule.details.get(detail, rule.details["auto"])
            return percent_of(min(budget, ceil(edge / _PATCH) ** 2) if edge else budget, rule.percent)
    if size is None:
        return rule.most
    width, height = size
    match rule.rule:
        case "tiles":
            return tile_tokens(width, height, rule.base, rule.tile)
        case "patches":
            budget, edge = rule.details.get(detail, rule.details["auto"])
            return percent_of(patches(width, height, budget, edge), rule.percent)
        case "claude":
            edge, tokens = rule.details["auto"]
            return claude_tokens(width, height, edge, tokens)
    return min(gemini_tile_tokens(width, height), rule.most)


def _resolution(detail: str) -> str:
    """Gemini's `MEDIA_RESOLUTION_HIGH` and the like."""
    return detail.lower().removeprefix("media_resolution_")


def _fit(width: int, height: int, edge: int) -> Size:
    if max(width, height) <= edge:
        return width, height
    ratio = edge / max(width, height)
    return max(1, floor(width * ratio + _EPSILON)), max(1, floor(height * ratio + _EPSILON))


def tile_tokens(width: int, height: int, base: int, tile: int, short_side: int = _SHORT_SIDE) -> int:
    """Squares of 512 pixels. https://platform.openai.com/docs/guides/images-vision"""
    width, height = _fit(width, height, _TILES_SIDE)
    if min(width, height) > short_side:
        ratio = short_side / min(width, height)
        if width <= height:
            width, height = short_side, floor(height * ratio + _EPSILON)
        else:
            width, height = floor(width * ratio + _EPSILON), short_side
    return base + tile * ceil(width / _TILE) * ceil(height / _TILE)


def patches(width: int, height: int, budget: int, edge: int) -> int:
    """Squares of 32 pixels, shrunk to the budget. https://platform.openai.com/docs/guides/images-vision"""
    if edge:
        width, height = _fit(width, height, edge)
    count = ceil(width / _PATCH) * ceil(height / _PATCH)
    if not budget or count <= budget:
        return count
    scale = sqrt(_PATCH * _PATCH * budget / (width * height))
    wide, high = width * scale / _PATCH, height * scale / _PATCH
    if floor(wide) == 0 or floor(high) == 0:
        # So narrow that no whole patch fits across: the rule divides by nothing, the budget still holds.
        return budget
    scale *= min(floor(wide) / wide, floor(high) / high)
    width, height = floor(width * scale + _EPSILON), floor(height * scale + _EPSILON)
    return min(budget, ceil(width / _PATCH) * ceil(height / _PATCH))


def percent_of(count: int, percent: int) -> int:
    """Rounded up, in integers."""
    return -(-count * percent // 100)


def claude_tokens(width: int, height: int, edge: int, tokens: int) -> int:
    """Squares of 28 pixels of the largest size that fits. https://docs.claude.com/en/docs/build-with-claude/vision"""

    def cells(pixels: int) -> int:
        return -(-pixels // _CLAUDE_PATCH)

    def fits(wide: int, high: int) -> bool:
        longest = max(cells(wide), cells(high)) * _CLAUDE_PATCH
        return longest <= edge and cells(wide) * cells(high) <= tokens

    if fits(width, height):
        return cells(width) * cells(height)
    longest = max(width, height)

    def scaled(side: int) -> Size:
        return max(1, round(width * side / longest)), max(1, round(height * side / longest))

    low, high = 1, longest
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(*scaled(middle)) else (low, middle)
    wide, tall = scaled(low)
    return cells(wide) * cells(tall)


def gemini_tile_tokens(width: int, height: int) -> int:
    """258 per tile, by the aspect ratio. https://ai.google.dev/gemini-api/docs/image-understanding"""
    if width <= 384 and height <= 384:
        return _GEMINI_TILE_TOKENS
    unit = floor(min(width, height) / 1.5) or 1
    return _GEMINI_TILE_TOKENS * ceil(width / unit) * ceil(height / unit)


# --- tokens of a generated picture ----------------------------------------------------------------------------------


def drawing_tokens(rule: DrawingRule, size: str, quality: str) -> int:
    """Tokens of one generated picture; the most for `auto`, unknown or absent words."""
    if rule.formula:
        base = rule.formula.get(quality)
        pixels = _pixels(size)
        return generated_tokens(*pixels, base) if base and pixels else rule.most
    for words in (f"{quality} {size}", quality if pixels_named(size) else "", size.upper()):
        if words in rule.tokens:
            return rule.tokens[words]
    return rule.most


def pixels_named(size: str) -> bool:
    """Whether a size such as `1024x1536` is given, not `auto` or nothing."""
    return _pixels(size) is not None


def _pixels(size: str) -> Size | None:
    width, _, height = size.partition("x")
    if not (width.isascii() and width.isdigit() and height.isascii() and height.isdigit()):
        return None
    return (int(width), int(height)) if 0 < int(width) <= SIDE_MAX and 0 < int(height) <= SIDE_MAX else None


def generated_tokens(width: int, height: int, base: int) -> int:
    """gpt-image-2 and later: exact on all published prices by size."""
    short, long = min(width, height), max(width, height)
    quotient, rest = divmod(base * short, long)
    across = quotient + (1 if rest * 2 > long or (rest * 2 == long and quotient % 2) else 0)
    return -(-(base * across * (2_000_000 + width * height)) // 4_000_000)
