"""Who may sign in: users, their links by e-mail, their second factor, and how often anything may be tried.

Blocking, one transaction each, as `identity.accounts`. Tokens and codes are stored as SHA-256 only: they are random, so
there is nothing that a slow hash would protect.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct

from proxyapi.console import totp
from proxyapi.console.marks import N_
from proxyapi.errors import Conflict, InvalidRequest, NotFound, TooManyRequests
from proxyapi.identity.accounts import add_account
from proxyapi.store.database import Database, Transaction, joined
from proxyapi.store.queries import load_queries

SQL = load_queries("proxyapi.console", "users.sql")

EMAIL_CHARACTERS_MAX = 254
"""RFC 5321, section 4.5.3.1.3, less the brackets."""
TOKEN_BYTES = 32
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
TICKET_MS = {"confirm": 72 * HOUR_MS, "reset": 2 * HOUR_MS}
"""How long a link works. A forgotten reset link is a key under the mat."""

UNCONFIRMED_MS = 7 * 24 * HOUR_MS
"""How long a sign-up that nobody confirms is kept: longer than its link works."""

_EMAIL = re.compile(r"[^\s@\x00-\x1f\x7f<>\"(),:;\\\[\]]+@[^\s@\x00-\x1f\x7f<>\"(),:;\\\[\]]+\.[^\s@.<>\"(),:;\\\[\]]+")

Role = Literal["customer", "operator"]
Purpose = Literal["confirm", "reset"]
Theme = Literal["", "light", "dark"]


class User(Struct, frozen=True, kw_only=True):
    """Somebody who can sign in. Times in milliseconds since 1970."""

    id: int
    email: str
    role: Role
    account_id: int
    """The wallet; 0 until the address is confirmed."""
    confirmed: bool
    blocked: bool = False
    language: str = ""
    time_zone: str = ""
    theme: Theme = ""
    second_factor: bool = False
    created_at: int


class Limit(NamedTuple):
    """How often something may be tried."""

    name: str
    times: int
    window_ms: int


BY_ADDRESS = Limit("address", 60, 15 * MINUTE_MS)
"""An office has one address; a guesser has many."""
BY_EMAIL = Limit("email", 10, 15 * MINUTE_MS)
"""At one account from one place: who knows the password elsewhere is not locked out by a stranger."""
BY_EMAIL_ANYWHERE = Limit("email anywhere", 200, 15 * MINUTE_MS)
"""A guesser with many addresses has 20,000 tries a day, of passwords that are no common ones."""
BY_CODE = Limit("code", 6, 15 * MINUTE_MS)
"""Six of a million codes: after a year of trying day and night the odds are one in five."""
BY_MAIL = Limit("mail", 4, HOUR_MS)
"""Messages to one address: nobody's mailbox is filled by our form."""


def normal_email(text: str) -> str:
    """The address as it is stored and compared. InvalidRequest."""
    email = text.strip().lower()
    if len(email) > EMAIL_CHARACTERS_MAX or not _EMAIL.fullmatch(email):
        raise InvalidRequest(N_("This is not an e-mail address."), param="email")
    return email


def digest_of(token: str) -> bytes:
    """What is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


class Users:
    """All users of the installation."""

    def __init__(
        self, database: Database, clock: Callable[[], float], random_bytes: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        """`clock` is seconds since 1970."""
        self._database = database
        self._clock = clock
        self._random_bytes = random_bytes

    # --- who there is ------------------------------------------------------------------------------------------------

    def add(
        self,
        email: str,
        password: str,
        *,
        role: Role = "customer",
        account_id: int | None = None,
        confirmed: bool = False,
        language: str = "",
        within: Transaction | None = None,
    ) -> User:
        """`password` as hashed. A confirmed one without an account gets a new one. Conflict: the address is taken.

        `within`, here and below: a transaction of the caller's to be part of."""
        now = self._now()
        with joined(self._database, within) as transaction:
            confirmed_at = now if confirmed else None
            row = (email, password, role, account_id, confirmed_at, language, now)
            rows = transaction.execute(SQL["user_add"], row)
            if not rows:
                raise Conflict(f"There is already a user {email}.", param="email")
            user_id = int(rows[0][0])
            if confirmed and account_id is None:
                account_id = add_account(transaction, email, now)
                transaction.execute(SQL["user_account"], (account_id, user_id))
        return User(
            id=user_id, email=email, role=role, account_id=account_id or 0, confirmed=confirmed, language=language,
            created_at=now,
        )  # fmt: skip

    def find(self, email: str) -> User | None:
        """By the normal form of the address."""
        rows = self._database.fetch_now(SQL["user_columns"] + " WHERE u.email = ?", (email,))
        return user_of(rows[0]) if rows else None

    def get(self, user_id: int) -> User:
        """NotFound."""
        rows = self._database.fetch_now(SQL["user_columns"] + " WHERE u.id = ?", (user_id,))
        if not rows:
            raise NotFound(f"There is no user {user_id}.")
        return user_of(rows[0])

    def list(self) -> list[User]:
        """All, oldest first."""
        return [user_of(row) for row in self._database.fetch_now(SQL["user_columns"] + " ORDER BY u.id")]

    def any(self) -> bool:
        """Is there a single one?"""
        return bool(self._database.fetch_now(SQL["user_any"]))

    # --- what changes ------------------------------------------------------------------------------------------------

    def set_password(self, user_id: int, password: str, *, within: Transaction | None = None) -> None:
        """`password` as hashed. All sessions end, and links that were sent work no more."""
        with joined(self._database, within) as transaction:
            transaction.execute(SQL["user_password"], (password, user_id))
            transaction.execute(SQL["sessions_end"], (user_id,))
            transaction.execute(SQL["tickets_drop"], (user_id, "reset"))

    def set_role(self, user_id: int, role: Role, *, within: Transaction | None = None) -> None:
        with joined(self._database, within) as transaction:
            transaction.execute(SQL["user_role"], (role, user_id))

    def set_blocked(self, user_id: int, blocked: bool, *, within: Transaction | None = None) -> None:
        """A blocked user's sessions end."""
        with joined(self._database, within) as transaction:
            transaction.execute(SQL["user_block"], (int(blocked), user_id))
            transaction.execute(SQL["sessions_end"], (user_id,))

    def end_sessions(self, user_id: int, *, within: Transaction | None = None) -> None:
        """Signed out everywhere."""
        with joined(self._database, within) as transaction:
            transaction.execute(SQL["sessions_end"], (user_id,))

    def set_preferences(self, user_id: int, language: str, time_zone: str, theme: Theme) -> None:
        with self._database.transaction() as transaction:
            transaction.execute(SQL["user_preferences"], (language, time_zone, theme, user_id))

    def password_of(self, user_id: int) -> str:
        """As stored. NotFound."""
        return str(self._secrets(user_id)[0])

    # --- links -------------------------------------------------------------------------------------------------------

    def ticket(self, user_id: int, purpose: Purpose) -> str:
        """A new token for a link; those sent before for the same purpose work no more."""
        token = self._token()
        with self._database.transaction() as transaction:
            transaction.execute(SQL["tickets_drop"], (user_id, purpose))
            expires_at = self._now() + TICKET_MS[purpose]
            transaction.execute(SQL["ticket_add"], (digest_of(token), user_id, purpose, expires_at))
        return token

    def ticket_holder(self, token: str, purpose: Purpose) -> int | None:
        """Whose link it is; it goes on working."""
        rows = self._database.fetch_now(SQL["ticket_known"], (digest_of(token), purpose, self._now()))
        return int(rows[0][0]) if rows else None

    def password_to_confirm(self, token: str) -> str:
        """As stored, of whoever the link was sent to. NotFound: it is old, used or none of ours."""
        holder = self.ticket_holder(token, "confirm")
        if holder is None:
            raise NotFound("This link has been used or is too old.")
        return self.password_of(holder)

    def confirm(self, token: str, password: str) -> User:
        """The address is theirs, and so is the password (as stored): they get their account.

        NotFound: the link is old, used or none of ours, or somebody has chosen another password meanwhile."""
        now = self._now()
        with self._database.transaction() as transaction:
            user_id = self._use(transaction, token, "confirm", now)
            if transaction.execute(SQL["user_secrets"], (user_id,))[0][0] != password:
                raise NotFound("This link has been used or is too old.")
            rows = transaction.execute(SQL["user_columns"] + " WHERE u.id = ?", (user_id,))
            user = user_of(rows[0])
            if not user.confirmed:
                account_id = add_account(transaction, user.email, now)
                transaction.execute(SQL["user_confirm"], (now, account_id, user_id))
                user = msgspec.structs.replace(user, confirmed=True, account_id=account_id)
        return user

    def reset(self, token: str, password: str) -> int:
        """A new password (as hashed) by a link; the user's id. All sessions end. NotFound as in `confirm`."""
        with self._database.transaction() as transaction:
            user_id = self._use(transaction, token, "reset", self._now())
            transaction.execute(SQL["user_password"], (password, user_id))
            transaction.execute(SQL["sessions_end"], (user_id,))
        return user_id

    @staticmethod
    def _use(transaction: Transaction, token: str, purpose: Purpose, now: int) -> int:
        rows = transaction.execute(SQL["ticket_use"], (digest_of(token), purpose, now))
        if not rows:
            raise NotFound("This link has been used or is too old.")
        return int(rows[0][0])

    # --- the second factor -------------------------------------------------------------------------------------------

    def set_factor(
        self, user_id: int, secret: bytes | None, codes: Iterable[str] = (), *, within: Transaction | None = None
    ) -> None:
        """None takes it off. `codes`: the recovery codes in plain text."""
        with joined(self._database, within) as transaction:
            transaction.execute(SQL["user_factor"], (secret, 0, user_id))
            transaction.execute(SQL["codes_drop"], (user_id,))
            for code in codes:
                transaction.execute(SQL["code_add"], (user_id, digest_of(totp.normal_code(code))))

    def passes_factor(self, user_id: int, typed: str) -> bool:
        """Is it the code of now, or a recovery code? Either is used up by that."""
        code = totp.normal_code(typed)
        secret = self._secrets(user_id)[1]
        step = matching(secret, code, self._clock()) if secret is not None else None
        with self._database.transaction() as transaction:
            if step is not None:
                return transaction.change(SQL["user_step"], (step, user_id, step)) == 1
            return transaction.change(SQL["code_use"], (user_id, digest_of(code))) == 1

    def codes_left(self, user_id: int) -> int:
        """Recovery codes that were not used."""
        return int(self._database.fetch_now(SQL["codes_left"], (user_id,))[0][0])

    def _secrets(self, user_id: int) -> Sequence[Any]:
        rows = self._database.fetch_now(SQL["user_secrets"], (user_id,))
        if not rows:
            raise NotFound(f"There is no user {user_id}.")
        return rows[0]

    # --- limits ------------------------------------------------------------------------------------------------------

    def count(self, *tries: tuple[Limit, str]) -> None:
        """One more try of each subject. TooManyRequests, with the time to wait, if one of them was tried too often."""
        now = self._now()
        with self._database.transaction() as transaction:
            ends = [_counted(transaction, limit, subject, now) for limit, subject in tries]
        wait = max(ends)
        if wait > now:
            raise TooManyRequests("Too many attempts.", retry_after_seconds=(wait - now) // 1000 + 1)

    def prune(self) -> None:
        """Forget links and counts whose time is over, and who never confirmed the address."""
        now = self._now()
        with self._database.transaction() as transaction:
            transaction.execute(SQL["tickets_prune"], (now,))
            transaction.execute(SQL["attempts_prune"], (now,))
            transaction.execute(SQL["users_prune"], (now - UNCONFIRMED_MS,))

    def _token(self) -> str:
        return self._random_bytes(TOKEN_BYTES).hex()

    def _now(self) -> int:
        return int(self._clock() * 1000)


def matching(secret: bytes, code: str, now_seconds: float) -> int | None:
    """The step of a code, or None: then it may still be a recovery code."""
    return totp.matching_step(secret, code, now_seconds) if len(code) == totp.DIGITS else None


def _counted(transaction: Transaction, limit: Limit, subject: str, now: int) -> int:
    """When the subject may try again; 0: now."""
    digest = hashlib.sha256(f"{limit.name}\0{subject}".encode()).digest()
    ((count, until),) = transaction.execute(SQL["attempt"], (digest, now + limit.window_ms, now, now))
    return int(until) if count > limit.times else 0


def user_of(row: Sequence[Any]) -> User:
    """A row of `user_columns`."""
    user_id, email, role, account_id, confirmed_at, blocked, language, zone, theme, factor, created_at = row
    return User(
        id=user_id, email=email, role=role, account_id=account_id or 0, confirmed=confirmed_at is not None,
        blocked=bool(blocked), language=language, time_zone=zone, theme=theme, second_factor=bool(factor),
        created_at=created_at,
    )  # fmt: skip
