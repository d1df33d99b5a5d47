"""Passwords: argon2id, in threads, a few at a time; and the same work whether or not there is anybody to check."""

from __future__ import annotations

import asyncio
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from proxyapi.console.marks import N_
from proxyapi.errors import InvalidRequest

CHARACTERS_MIN = 10
"""Length is what makes a password hard to guess (NIST SP 800-63B); rules on characters are not."""
CHARACTERS_MAX = 200
AT_ONCE = 2
"""Each takes 64 MiB and most of a core for some 50 ms."""


class Passwords:
    """Hashes and checks. `AT_ONCE` at a time, others wait for their turn."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_hex())
        """What is compared with where there is no user."""
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def hash(self, password: str) -> str:
        """As it is stored. `check_strength` comes first."""
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def matches(self, stored: str | None, password: str) -> bool:
        """None: there is no such user, which takes just as long to find out."""
        if len(password) > CHARACTERS_MAX:
            return False
        async with self._turns:
            return await asyncio.to_thread(self._verify, stored, password)

    def _verify(self, stored: str | None, password: str) -> bool:
        try:
            return self._hasher.verify(stored or self._nobody, password) and stored is not None
        except (Argon2Error, InvalidHashError):
            return False


def check_strength(password: str) -> None:
    """InvalidRequest with the reason."""
    if not CHARACTERS_MIN <= len(password) <= CHARACTERS_MAX:
        raise InvalidRequest(N_("A password has 10 to 200 characters."), param="password")
