"""Documents: how many pages a PDF has, told from its bytes without unpacking it."""

from __future__ import annotations

import binascii
import re

_COUNT = re.compile(rb"/Count\s+(\d{1,7})")
_PAGE = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")
_PAGE_BYTES = 2_000
"""Where the page tree is compressed away: no page of a real document is smaller."""


def pages_of(data: bytes, pages_max: int) -> int:
    """The pages of a PDF, at most what the provider accepts. Other documents, and a PDF that packs its page tree, count
    by their size."""
    counts = [int(match.group(1)) for match in _COUNT.finditer(data)]
    pages = max([0, *counts, len(_PAGE.findall(data))])
    if not pages:
        pages = max(1, -(-len(data) // _PAGE_BYTES))
    return min(pages, pages_max)


def decoded(data: str) -> bytes | None:
    """Bytes of base64 text; None if it is none."""
    try:
        return binascii.a2b_base64(data)
    except (binascii.Error, ValueError):
        return None
