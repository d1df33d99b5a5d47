"""Vouchers: codes of a stated amount, made in batches, each of which pays once.

Only digests are stored: a code is shown when its batch is made and never again. 100 random bits are not guessed, so
that a code needs no salt and no slow digest. Letters that look alike mean the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from proxyapi.errors import Conflict, InvalidRequest, NotFound
from proxyapi.ids import IdSource
from proxyapi.ledger.offline import OfflineLedger
from proxyapi.ledger.ops import AMOUNT_MAX
from proxyapi.payments.records import SQL, VOUCHER, Funded
from proxyapi.store.database import Database, Transaction

CODES_MAX = 10_000
"""Of one batch: they are made in one transaction and shown on one page."""
NAME_CHARACTERS_MAX = 100
DAYS_MAX = 3_650
DAY_MS = 86_400_000
CODE_BYTES = 13
"""104 random bits, of which 100 are used."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: no I, L, O, U."""
_GROUPS, _GROUP = 4, 5
_ALIKE = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})
_REFUSED = "This code is unknown, used or expired."
"""One text for all three: who guesses learns nothing."""


class Batch(Struct, frozen=True, kw_only=True):
    """Amounts in nanos, times in milliseconds since 1970."""

    id: int
    name: str
    amount: int
    number: int
    expires_at: int
    revoked_at: int | None
    created_at: int
    redeemed: int
    """How many of its codes have paid."""


class Redeemed(Struct, frozen=True):
    amount: int
    new: bool
    """False: this account had redeemed the code before."""


class Vouchers:
    """Blocking; one transaction each, or a part of the caller's."""

    def __init__(
        self,
        database: Database,
        ledger: OfflineLedger,
        *,
        ids: IdSource,
        clock_ms: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        currency: str,
        funded: Funded,
    ) -> None:
        """`random_bytes` is `os.urandom`."""
        self._database = database
        self._ledger = ledger
        self._ids = ids
        self._clock_ms = clock_ms
        self._random_bytes = random_bytes
        self._currency = currency
        self._funded = funded

    def make(self, within: Transaction, name: str, *, amount: int, number: int, days: int) -> tuple[Batch, list[str]]:
        """A batch and its codes, which nobody can read again. InvalidRequest names a wrong value."""
        name = name.strip()
        if not name or len(name) > NAME_CHARACTERS_MAX or not name.isprintable():
            raise InvalidRequest(f"a batch's name has 1 to {NAME_CHARACTERS_MAX} printable characters", param="name")
        if not 0 < amount <= AMOUNT_MAX:
            raise InvalidRequest("the amount of a voucher is more than zero", param="amount")
        if not 0 < number <= CODES_MAX:
            raise InvalidRequest(f"a batch has 1 to {CODES_MAX} codes", param="number")
        if not 0 < days <= DAYS_MAX:
            raise InvalidRequest(f"codes are good for 1 to {DAYS_MAX} days", param="days")
        now = self._clock_ms()
        expires_at = now + days * DAY_MS
        codes = [new_code(self._random_bytes) for _ in range(number)]
        id = within.execute(SQL["batch_add"], (name, amount, number, expires_at, now))[0][0]
        within.executemany(SQL["voucher_add"], [(id, digest_of(code)) for code in codes])
        batch = Batch(
            id=id, name=name, amount=amount, number=number, expires_at=expires_at, revoked_at=None, created_at=now,
            redeemed=0,
        )  # fmt: skip
        return batch, codes

    def revoke(self, within: Transaction, batch_id: int) -> None:
        """Its codes that are left pay no more; what was redeemed stays. NotFound, Conflict."""
        self.batch(batch_id)
        if not within.execute(SQL["batch_revoke"], (self._clock_ms(), batch_id)):
            raise Conflict(f"Batch {batch_id} is revoked already.")

    def redeem(self, account_id: int, code: str) -> Redeemed:
        """The code's amount as a deposit, in one transaction. NotFound: unknown, used, expired or revoked.

        Repeating it changes nothing and says so."""
        digest, now = digest_of(code), self._clock_ms()
        with self._database.transaction() as transaction:
            rows = transaction.execute(SQL["voucher_redeem"], (account_id, now, digest, now))
            before = transaction.execute(SQL["voucher_redeemed"], (digest, account_id))
            if not before:
                raise NotFound(_REFUSED, param="code")
            voucher_id, amount = before[0]
            if rows:
                self._ledger.deposit(account_id, amount, reference=f"{VOUCHER}:{voucher_id}", within=transaction)
                payment = (
                    self._ids(),
                    account_id,
                    VOUCHER,
                    str(voucher_id),
                    "succeeded",
                    self._currency,
                    amount,
                    amount,
                )
                transaction.execute(SQL["payment_add"], (*payment, "", now, now, now))
                self._funded(transaction, account_id)
        return Redeemed(amount, bool(rows))

    def batch(self, batch_id: int) -> Batch:
        """NotFound."""
        rows = self._database.fetch_now(SQL["batch_columns"] + " WHERE b.id = ?", (batch_id,))
        if not rows:
            raise NotFound(f"There is no batch {batch_id}.")
        return _batch(rows[0])

    def batches(self, *, before: int | None = None, limit: int) -> list[Batch]:
        """Newest first."""
        where = " WHERE b.id < ? ORDER BY b.id DESC LIMIT ?"
        last = before if before is not None else 2**63 - 1
        return [_batch(row) for row in self._database.fetch_now(SQL["batch_columns"] + where, (last, limit))]


def new_code(random_bytes: Callable[[int], bytes]) -> str:
    """Four groups of five: `7M4QX-…`."""
    number = int.from_bytes(random_bytes(CODE_BYTES), "big")
    letters = "".join(_ALPHABET[number >> 5 * at & 31] for at in range(_GROUPS * _GROUP))
    return "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))


def digest_of(code: str) -> bytes:
    """Of the code as it was meant: case, spaces and dashes don't count."""
    return hashlib.sha256(
        code[:NAME_CHARACTERS_MAX].upper().translate(_ALIKE).strip().encode("utf-8", "replace")
    ).digest()


def _batch(row: Sequence[Any]) -> Batch:
    return Batch(**dict(zip(Batch.__struct_fields__, row, strict=True)))
