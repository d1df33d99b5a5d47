"""What has left the journal: the months that were sealed, and until when the database can't know entries itself."""

from __future__ import annotations

from typing import NamedTuple

from proxyapi.ids import made_at_ms
from proxyapi.ledger.months import after, end_of, month_of
from proxyapi.store.database import Database, Row, Transaction
from proxyapi.store.queries import load_queries

SQL = load_queries("proxyapi.ledger", "sealing.sql")


class SealedMonth(NamedTuple):
    """A row of `sealed_month`."""

    month: int
    file: str
    digest: bytes
    entries: int
    removed: int
    """Fewer than `entries` while the month is being sealed, or was broken off."""

    @property
    def whole(self) -> bool:
        """All its entries have left."""
        return self.removed == self.entries


class Sealed(NamedTuple):
    """All sealed months, oldest first."""

    months: tuple[SealedMonth, ...]

    @property
    def until_ms(self) -> int:
        """Entries that were created before are, or may be, in a file; 0: nothing is sealed."""
        return end_of(self.months[-1].month) if self.months else 0

    def files_with(self, id: bytes) -> tuple[str, ...]:
        """Where the entry of a request may be: in the month that it began in, or in the next, if it ended then."""
        began = month_of(made_at_ms(id))
        return tuple(month.file for month in self.months if month.month in (began, after(began)))


def read_sealed(snapshot: Transaction) -> Sealed:
    """As a transaction has it."""
    return _sealed(snapshot.execute(SQL["sealed_months"]))


def sealed_now(database: Database) -> Sealed:
    """Blocking."""
    return _sealed(database.fetch_now(SQL["sealed_months"]))


def _sealed(rows: list[Row]) -> Sealed:
    return Sealed(tuple(SealedMonth(*row) for row in rows))
