"""I9, which is a report: the journal beside the books of others, the payment provider's export and invoices.

They are never equal to the nano: payments arrive at midnight, invoices round. So nothing here is a violation; what
differs is named, for a person to look at.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from proxyapi.errors import InvalidRequest
from proxyapi.ids import made_at_ms
from proxyapi.ledger.archive import read_columns
from proxyapi.ledger.audit.sums import SQL
from proxyapi.ledger.months import month_of
from proxyapi.ledger.periods import DAY_MS
from proxyapi.ledger.sealed import Sealed
from proxyapi.money import Nanos, parse_amount
from proxyapi.store.database import Transaction

REFERENCE_COLUMNS: Final = ("reference", "payment_id", "payment id", "id")
AMOUNT_COLUMNS: Final = ("amount", "sum")
"""Names that a column of the export may have, in any case."""
DELIMITERS: Final = ",;\t"
ROWS_AT_ONCE: Final = 20_000


class Difference(NamedTuple):
    """A payment that both know, with amounts that differ."""

    reference: str
    booked: int
    exported: int


class DepositsReport(NamedTuple):
    """What was booked beside what the payment provider says; sums in nanos."""

    booked: int
    exported: int
    only_booked: tuple[str, ...]
    """References that the export does not have."""
    only_exported: tuple[str, ...]
    """Payments of the export that were never booked."""
    different: tuple[Difference, ...]

    @property
    def equal(self) -> bool:
        """Both know the same payments."""
        return not (self.only_booked or self.only_exported or self.different)


class UpstreamCost(NamedTuple):
    """What requests to a provider cost the operator in a month."""

    provider: str
    month: int
    cost: int
    """Nanos, of the requests whose cost is known."""
    unknown: int
    """Requests whose cost is not."""
    invoice: int | None
    """Nanos, if somebody gave it."""


def compare_deposits(snapshot: Transaction, export: Mapping[str, int], since: int) -> DepositsReport:
    """Everything that was booked with a reference since then (milliseconds), sealed months included. An export names a
    payment as the journal does (`yookassa:2d…`), or by what comes after the colon."""
    left = dict(export)
    booked = 0
    only_booked, different = [], []
    for reference, amount, entry_id in snapshot.execute(SQL["deposits"]):
        named = next((name for name in (reference, reference.partition(":")[2]) if name and name in left), None)
        if named is None and (amount < 0 or made_at_ms(entry_id) < since):
            continue
        booked += amount
        if named is None:
            only_booked.append(reference)
        elif left.pop(named) != amount:
            different.append(Difference(reference, amount, export[named]))
    return DepositsReport(booked, sum(export.values()), tuple(only_booked), tuple(sorted(left)), tuple(different))


def read_export(path: Path) -> dict[str, int]:
    """Nanos by reference, from a CSV file with a heading. InvalidRequest names the line that can't be read.

    A payment that is named twice counts with its sum."""
    found: dict[str, int] = defaultdict(int)
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        file.seek(0)
        delimiter = max(DELIMITERS, key=first.count)
        rows = csv.DictReader(file, delimiter=delimiter)
        columns = {name.strip().lower(): name for name in rows.fieldnames or ()}
        reference = next((columns[name] for name in REFERENCE_COLUMNS if name in columns), None)
        amount = next((columns[name] for name in AMOUNT_COLUMNS if name in columns), None)
        if reference is None or amount is None:
            raise InvalidRequest(f"{path}: the first line has to name a column `reference` and a column `amount`")
        for row in rows:
            try:
                found[row[reference].strip()] += _amount(row[amount])
            except (ValueError, AttributeError) as error:
                raise InvalidRequest(f"{path}, line {rows.line_num}: {error}") from error
    return dict(found)


def _amount(text: str) -> Nanos:
    """`1 234,50` is what spreadsheets write."""
    return parse_amount(text.replace("\u00a0", "").replace(" ", "").replace(",", "."))


def upstream_costs(
    snapshot: Transaction, sealed: Sealed, folder: Path | None, since: int, invoices: Mapping[tuple[str, int], int]
) -> list[UpstreamCost]:
    """By provider and month, oldest first; sealed months only if `folder` has their files."""
    sums: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    for provider, day, cost, unknown in snapshot.execute(SQL["upstream_costs"], (since,)):
        sums[provider or "", month_of(day * DAY_MS)][0] += cost
        sums[provider or "", month_of(day * DAY_MS)][1] += unknown
    for provider, created_at, cost in _sealed_costs(sealed, folder):
        if created_at >= since:
            sums[provider or "", month_of(created_at)][0] += cost or 0
            sums[provider or "", month_of(created_at)][1] += cost is None
    costs = []
    for provider, month in sorted({*sums, *invoices}, key=lambda name: (name[1], name[0])):
        cost, unknown = sums.get((provider, month), (0, 0))
        costs.append(UpstreamCost(provider, month, cost, unknown, invoices.get((provider, month))))
    return costs


def _sealed_costs(sealed: Sealed, folder: Path | None) -> Iterator[tuple[str, int, int | None]]:
    for month in sealed.months if folder is not None else ():
        assert folder is not None
        if month.whole and (folder / month.file).is_file():
            for batch in read_columns(
                folder / month.file, ("kind", "provider", "created_at", "upstream_cost"), ROWS_AT_ONCE
            ):
                for kind, provider, created_at, cost in batch:
                    if kind in {"settle", "correction"}:
                        yield provider, created_at, cost
