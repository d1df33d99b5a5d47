"""Sessions: a random token in a cookie, its digest in the store. A new one at every sign-in, so that none can be fixed.

The token against forged forms is made of the session's own: it needs no place to be kept, and dies with it.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct

from proxyapi.console.users import HOUR_MS, MINUTE_MS, TOKEN_BYTES, User, digest_of, user_of
from proxyapi.store.database import Database
from proxyapi.store.queries import load_queries

SQL = load_queries("proxyapi.console", "sessions.sql")

KEPT_MS = 30 * 24 * HOUR_MS
IDLE_MS = 12 * HOUR_MS
"""A session that is not to be kept ends after so long without a request, whatever the browser does with its cookie."""
FACTOR_MS = 10 * MINUTE_MS
"""To type the second factor's code."""
LIFE_MS = 180 * 24 * HOUR_MS
"""However busy it is: then one signs in again."""
SEEN_MS = MINUTE_MS
"""How often it is written down that a session is in use."""
SESSIONS_MAX = 50
"""Of one user; the oldest go."""
AGENT_CHARACTERS_MAX = 300
TOKEN_CHARACTERS = TOKEN_BYTES * 2


class Session(Struct, frozen=True, kw_only=True):
    """One browser that is signed in. Times in milliseconds since 1970."""

    id: int
    token: str
    factor_due: bool
    """The password was right; the code of the second factor is still missing."""
    kept: bool
    created_at: int
    seen_at: int
    user: User


class Listed(NamedTuple):
    """A session as its owner sees it."""

    id: int
    agent: str
    address: str
    created_at: int
    seen_at: int
    kept: int


def new_token() -> str:
    """256 random bits."""
    return secrets.token_hex(TOKEN_BYTES)


def form_token(token: str) -> str:
    """What every form of a session carries. `token`: of the session, or of the visitor before there is one."""
    return hmac.digest(token.encode(), b"form", "sha256").hex()


def is_token(text: str) -> bool:
    return len(text) == TOKEN_CHARACTERS and all(character in "0123456789abcdef" for character in text)


class Sessions:
    """All sessions of the installation. `find` is asynchronous, what changes something is blocking."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        """`clock` is seconds since 1970."""
        self._database = database
        self._clock = clock

    async def find(self, token: str) -> Session | None:
        """The session of a cookie; None: it has ended, or its user is blocked."""
        if not is_token(token):
            return None
        rows = await self._database.fetch(SQL["session_of"], (digest_of(token), self._now()))
        if not rows:
            return None
        session_id, factor_due, kept, created_at, seen_at, _expires_at, *user = rows[0]
        return Session(
            id=session_id, token=token, factor_due=bool(factor_due), kept=bool(kept), created_at=created_at,
            seen_at=seen_at, user=user_of(user),
        )  # fmt: skip

    def start(
        self, user_id: int, *, agent: str, address: str, kept: bool, factor_due: bool = False, instead_of: str = ""
    ) -> str:
        """A new session's token. `instead_of`: the token of the one that ends by this."""
        token, now = new_token(), self._now()
        lasts = FACTOR_MS if factor_due else KEPT_MS if kept else IDLE_MS
        row = (
            digest_of(token), user_id, int(factor_due), int(kept), agent[:AGENT_CHARACTERS_MAX], address, now, now,
            now + lasts,
        )  # fmt: skip
        with self._database.transaction() as transaction:
            if instead_of:
                transaction.execute(SQL["session_end"], (digest_of(instead_of),))
            transaction.execute(SQL["session_add"], row)
            transaction.execute(SQL["sessions_trim"], (user_id, user_id, SESSIONS_MAX))
        return token

    def is_due(self, session: Session) -> bool:
        """Has it to be written down that the session is in use?"""
        return self._now() - session.seen_at >= SEEN_MS and not session.factor_due

    def see(self, session: Session, address: str) -> None:
        """It is in use, and lasts longer for it."""
        now = self._now()
        until = min(now + (KEPT_MS if session.kept else IDLE_MS), session.created_at + LIFE_MS)
        with self._database.transaction() as transaction:
            transaction.execute(SQL["session_seen"], (now, until, address, session.id))

    def end(self, token: str) -> None:
        with self._database.transaction() as transaction:
            transaction.execute(SQL["session_end"], (digest_of(token),))

    def revoke(self, user_id: int, session_id: int) -> bool:
        """False: the user has no such session."""
        with self._database.transaction() as transaction:
            return transaction.change(SQL["session_revoke"], (session_id, user_id)) == 1

    def revoke_others(self, session: Session) -> int:
        """End all sessions of the user but this one; how many."""
        with self._database.transaction() as transaction:
            return transaction.change(SQL["sessions_revoke_others"], (session.user.id, session.id))

    async def list(self, user_id: int) -> list[Listed]:
        """The last used first."""
        return [Listed(*row) for row in await self._database.fetch(SQL["sessions"], (user_id, self._now()))]

    def prune(self) -> None:
        """Forget sessions that have ended."""
        with self._database.transaction() as transaction:
            transaction.execute(SQL["sessions_prune"], (self._now(),))

    def _now(self) -> int:
        return int(self._clock() * 1000)
