"""What has left the journal: the months that were sealed, and until when the database can't know entries itself."""

from __future__ import annotations

from typing import NamedTuple

from proxyapi.ledger.months import end_of
from proxyapi.store.database import Transaction
from proxyapi.store.queries import load_queries

SQL = load_queries("proxyapi.ledger.audit", "audit.sql")


class SealedMonth(NamedTuple):
    """A row of `sealed_month`."""

    month: int
    file: str
    digest: bytes
    entries: int
    removed: int
    """Fewer than `entries` while the month is being sealed, or was broken off."""


class Sealed(NamedTuple):
    """All sealed months, oldest first."""

    months: tuple[SealedMonth, ...]

    @property
    def until_ms(self) -> int:
        """Entries that were created before are, or may be, in a file; 0: nothing is sealed."""
        return end_of(self.months[-1].month) if self.months else 0


def read_sealed(snapshot: Transaction) -> Sealed:
    """As the snapshot has it."""
    return Sealed(tuple(SealedMonth(*row) for row in snapshot.execute(SQL["sealed_months"])))
