"""Operator tokens: what programs show at `/admin/v1`. Shown once, kept as a SHA-256, with a scope, revocable."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Any, Literal

from msgspec import Struct

from proxyapi.admin.acts import SQL, Operator, write
from proxyapi.errors import Conflict, InvalidRequest, NotFound
from proxyapi.store.database import Database

Scope = Literal["read", "write"]
PREFIX = "op-"
TOKEN_BYTES = 30
"""240 random bits: as with keys of customers, a plain digest is enough."""
SHOWN_CHARACTERS = 9
TOKEN_CHARACTERS_MAX = 200
NAME_CHARACTERS_MAX = 100
USED_MS = 60_000
"""How exact the time of the last use is: it is not worth a write for every request."""


class Token(Struct, frozen=True, kw_only=True):
    """Never the token itself. Times in milliseconds since 1970."""

    id: int
    name: str
    prefix: str
    scope: Scope
    created_at: int
    last_used_at: int | None
    expires_at: int | None
    revoked_at: int | None


class Tokens:
    """Blocking."""

    def __init__(self, database: Database, clock_ms: Callable[[], int], random_bytes: Callable[[int], bytes]) -> None:
        """`random_bytes` is `os.urandom`."""
        self._database = database
        self._clock_ms = clock_ms
        self._random_bytes = random_bytes

    def create(self, operator: Operator, name: str, scope: Scope, *, expires_at: int | None) -> tuple[Token, str]:
        """The token in plain text, which nobody can read again."""
        name = name.strip()
        if not name or len(name) > NAME_CHARACTERS_MAX or not name.isprintable():
            raise InvalidRequest(f"a token's name has 1 to {NAME_CHARACTERS_MAX} printable characters", param="name")
        text, now = PREFIX + self._random_bytes(TOKEN_BYTES).hex(), self._clock_ms()
        with self._database.transaction() as transaction:
            values = (name, _digest(text), text[:SHOWN_CHARACTERS], scope, now, expires_at)
            id = transaction.execute(SQL["token_add"], values)[0][0]
            became = {"name": name, "scope": scope, "prefix": text[:SHOWN_CHARACTERS]}
            write(transaction, operator, now, "token.create", f"token {id}", was=None, became=became)
        return self.find(id), text

    def revoke(self, operator: Operator, id: int) -> None:
        """NotFound, Conflict."""
        token, now = self.find(id), self._clock_ms()
        with self._database.transaction() as transaction:
            if not transaction.execute(SQL["token_revoke"], (now, id)):
                raise Conflict(f"Token {id} is revoked already.")
            write(transaction, operator, now, "token.revoke", f"token {id}", was={"name": token.name}, became=None)

    def list(self) -> list[Token]:
        """All, oldest first; revoked ones too."""
        return [Token(**dict(zip(_COLUMNS, row, strict=True))) for row in self._rows(" ORDER BY id")]

    def find(self, id: int) -> Token:
        """NotFound."""
        rows = self._rows(" WHERE id = ?", id)
        if not rows:
            raise NotFound(f"There is no token {id}.")
        return Token(**dict(zip(_COLUMNS, rows[0], strict=True)))

    def check(self, text: str) -> Token | None:
        """Whose token it is, if it is good."""
        if not text.startswith(PREFIX) or len(text) > TOKEN_CHARACTERS_MAX or not text.isascii():
            return None
        rows, now = self._rows(" WHERE digest = ?", _digest(text)), self._clock_ms()
        if not rows:
            return None
        token = Token(**dict(zip(_COLUMNS, rows[0], strict=True)))
        same = hmac.compare_digest(token.prefix, text[:SHOWN_CHARACTERS])
        if not same or token.revoked_at is not None or (token.expires_at is not None and now >= token.expires_at):
            return None
        if token.last_used_at is None or now - token.last_used_at > USED_MS:
            with self._database.transaction() as transaction:
                transaction.execute(SQL["token_used"], (now, token.id))
        return token

    def _rows(self, where: str, *values: object) -> Sequence[Sequence[Any]]:
        return self._database.fetch_now(SQL["token_columns"] + where, values)


_COLUMNS = Token.__struct_fields__


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
