"""Names and ids that a target would refuse, as ones that it takes: always the same for the same name."""

from __future__ import annotations

import re
from hashlib import sha256

_HASH_CHARACTERS = 8


def legal(text: str, *, refused: re.Pattern[str], length_max: int) -> str:
    """`text` itself where the target takes it; else what it takes of it, and a hash that keeps it apart from others.

    `refused` matches one character that must not occur.
    """
    if text and len(text) <= length_max and not refused.search(text):
        return text
    kept = refused.sub("_", text)[: length_max - _HASH_CHARACTERS - 1]
    return f"{kept}_{sha256(text.encode()).hexdigest()[:_HASH_CHARACTERS]}"
