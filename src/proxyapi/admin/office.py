"""The parts that operators' functions work with. One subject for the process; its functions block.

`doing` is how something is changed: the change and its record are one transaction, or neither is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Literal, Protocol

from msgspec import Struct

from proxyapi.admin import acts
from proxyapi.admin.acts import Doing, Operator
from proxyapi.identity.accounts import Accounts, KeyRing
from proxyapi.ids import parse_id
from proxyapi.ledger.offline import OfflineLedger
from proxyapi.payments.cashier import Cashier
from proxyapi.payments.refunds import Refunds
from proxyapi.payments.vouchers import Vouchers
from proxyapi.providers.catalog import Catalog
from proxyapi.providers.shelf import Shelf
from proxyapi.store.database import Database, Transaction

LIMIT_MAX = 200
"""Rows of one page."""


def number_cursor(text: str) -> int:
    """The number that a page ended with; before all of them if it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 2**62


def id_cursor(text: str) -> bytes:
    """The same for ids."""
    try:
        return parse_id(text)
    except ValueError:
        return b"\xff" * 16


class Installed(Struct, frozen=True, kw_only=True):
    """What the configuration says, for those who show it."""

    exchange_rate: str
    markup: str
    settings: tuple[tuple[str, str], ...]
    """Name and value of every setting; secrets are `***`."""


class Users(Protocol):
    """What changes people who sign in to the console, whose part they are."""

    def set_blocked(self, user_id: int, blocked: bool, *, within: Transaction | None = None) -> None: ...

    def set_role(
        self, user_id: int, role: Literal["customer", "operator"], *, within: Transaction | None = None
    ) -> None: ...

    def set_factor(
        self, user_id: int, secret: bytes | None, codes: Iterable[str] = (), *, within: Transaction | None = None
    ) -> None: ...

    def end_sessions(self, user_id: int, *, within: Transaction | None = None) -> None: ...


class Office(Struct, frozen=True, kw_only=True):
    """Its functions run one after the other."""

    database: Database
    ledger: OfflineLedger
    accounts: Accounts
    keys: KeyRing
    users: Users
    vouchers: Vouchers
    cashier: Cashier
    refunds: Refunds
    shelf: Shelf
    installed: Installed
    currency: str
    clock_ms: Callable[[], int]

    def doing(self, operator: Operator, action: str, subject: str) -> AbstractContextManager[Doing]:
        """One transaction: what is done inside and its record. `subject` may be set inside, if it is made there."""
        return acts.doing(self.database, operator, self.clock_ms(), action, subject)

    def prices(self) -> Catalog:
        """The catalog as it is now, whoever has changed it."""
        return self.shelf.look()
