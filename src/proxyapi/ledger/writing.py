"""What a decided batch writes, in the order in which all processes take tables."""

from __future__ import annotations

import operator
from collections.abc import Mapping

from msgspec.structs import astuple

from proxyapi.ledger.ops import Balance
from proxyapi.ledger.periods import DAY_MS, HOUR_MS
from proxyapi.ledger.plan import ENDING_COLUMNS, ENTRY_COLUMNS, SUMS, TOTALS, Plan
from proxyapi.store.database import Step
from proxyapi.store.queries import load_queries

SQL = load_queries("proxyapi.ledger", "ledger.sql")

_ID, _ACCOUNT, _AMOUNT, _REFERENCE = (ENTRY_COLUMNS.index(name) for name in ("id", "account_id", "amount", "reference"))
_Name = tuple[int | str, ...]


def steps_of(
    decided: Plan, worker_id: int, now_ms: int, *, fresh: bool, known: Mapping[int, Balance] | None = None
) -> tuple[list[Step], list[int]]:
    """With how many rows each finds or changes, where all that is believed is so.

    `fresh`: nobody has looked yet whether the ids of new holds are unused. `known`: accounts are believed to be so, and
    nobody has looked."""
    steps: list[Step] = []
    counts: list[int] = []
    if decided.ended:
        steps.append((SQL["delete_holds"], [(decided.ended,)]))
        counts.append(len(decided.ended))
    if known is not None:
        changes = [(*change, *_values(known[change[-1]])) for change in decided.deltas]
        steps.append((SQL["change_known_account"], changes))
        counts.append(len(changes))
    elif decided.deltas:
        steps.append((SQL["change_account"], decided.deltas))
        counts.append(len(decided.deltas))
    if decided.holds:
        made = (worker_id, now_ms)
        steps.append((SQL["insert_hold"], [astuple(row) + made for row in decided.holds.values()]))
        counts.append(len(decided.holds))
        if fresh:
            steps.append((SQL["find_used"], [(min(decided.holds), list(decided.holds))]))
            counts.append(0)
    journal = _journal(decided, now_ms)
    return steps + journal, counts + [len(rows) for _, rows in journal]


def _values(balance: Balance) -> tuple[int, ...]:
    return (*balance[:4], int(balance.blocked))


def _journal(decided: Plan, now_ms: int) -> list[Step]:
    """Entries, and the sums of them. A deposit's reference is taken for good."""
    steps: list[Step] = []
    usual = [row for row in decided.entries if len(row) == ENDING_COLUMNS]
    if usual:
        steps.append((SQL["insert_ending"], usual))
    if len(usual) < len(decided.entries):
        others = [row for row in decided.entries if len(row) != ENDING_COLUMNS]
        steps.append((SQL["insert_entry"], others))
        taken = [row for row in others if row[_REFERENCE] is not None]
        references = [(row[_REFERENCE], row[_ID], row[_ACCOUNT], row[_AMOUNT]) for row in taken]
        if references:
            steps.append((SQL["insert_reference"], sorted(references, key=operator.itemgetter(0))))
    if decided.rollup:
        hour, day = now_ms // HOUR_MS, now_ms // DAY_MS
        rollup: dict[_Name, list[int]] = {}
        total: dict[_Name, list[int]] = {}
        for (account_id, key_id, model, provider), sums in decided.rollup.items():
            add(rollup, (hour, account_id, key_id, model), sums[: len(SUMS)])
            add(total, (day, model, provider), sums[: len(TOTALS)])
        steps.append((SQL["add_rollup"], [(*name, *sums) for name, sums in sorted(rollup.items())]))
        steps.append((SQL["add_rollup_total"], [(*name, *sums) for name, sums in sorted(total.items())]))
    return steps


def add(cells: dict[_Name, list[int]], name: _Name, sums: list[int]) -> None:
    before = cells.get(name)
    cells[name] = sums if before is None else list(map(operator.add, before, sums))
