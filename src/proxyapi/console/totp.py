"""The second factor: six digits that change every 30 seconds (RFC 6238 with SHA-1, which every app understands)."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Iterator
from urllib.parse import quote

STEP_SECONDS = 30
DIGITS = 6
STEPS_OFF = 1
"""A code of the step before or after is taken too: clocks differ, and people type slowly."""
SECRET_BYTES = 20
"""As long as the digest (RFC 4226, section 4)."""
RECOVERY_CODES = 10
RECOVERY_BYTES = 8
"""60 bits of them are shown: nothing to be guessed within the limits of sign-in."""


def code_at(secret: bytes, step: int) -> str:
    """The code of one step of time."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    at = digest[-1] & 0x0F
    number = int.from_bytes(digest[at : at + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def matching_step(secret: bytes, code: str, now_seconds: float) -> int | None:
    """The step that the code is of, if it is one of now. The caller sees to it that a step is used once."""
    current = int(now_seconds) // STEP_SECONDS
    found = None
    for step in range(current - STEPS_OFF, current + STEPS_OFF + 1):
        if hmac.compare_digest(code_at(secret, step).encode(), code.encode("utf-8", "replace")):
            found = step
    return found


def secret_text(secret: bytes) -> str:
    """As apps take it by hand."""
    return base64.b32encode(secret).decode().rstrip("=")


def secret_of(text: str) -> bytes:
    """ValueError if it is none of ours."""
    secret = base64.b32decode(text + "=" * (-len(text) % 8))
    if len(secret) != SECRET_BYTES:
        raise ValueError("a secret of another length")
    return secret


def address(secret: bytes, email: str, issuer: str) -> str:
    """What a picture for the app's camera says."""
    label = quote(f"{issuer}:{email}")
    return f"otpauth://totp/{label}?secret={secret_text(secret)}&issuer={quote(issuer)}"


def recovery_codes(random_bytes: Callable[[int], bytes]) -> Iterator[str]:
    """Codes for the day on which the phone is lost, as `abcd-efgh-jkmn`."""
    for _ in range(RECOVERY_CODES):
        text = base64.b32encode(random_bytes(RECOVERY_BYTES)).decode().lower()[:12]
        yield f"{text[:4]}-{text[4:8]}-{text[8:]}"


def normal_code(text: str) -> str:
    """A code as typed, without what people put between its parts."""
    return "".join(character for character in text.lower() if character.isalnum())
