"""Proves the invariants of the ledger from its journal. Everything is read from one snapshot, while servers run.

I1  held(a)   = sum of the holds that name a
I2  spent(a)  = closing + sum of what entries charged a
I3  funded(a) = closing + sum of deposits, adjustments and limits of a
I4  held >= 0, spent >= 0, funded + credit - spent - held >= 0
I5  an id is in `hold` or in `entry`, never both; the entry that a correction names exists and expired
I6  charged <= actual; charged + loss = actual
I7  the rollups = sums of entries
I8  actual = ceil(sum of units x price), recomputed from the price row
I10 no hold is older than its worker's death + grace
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from proxyapi.ids import format_id
from proxyapi.ledger.commit import DAY_MS, HOUR_MS
from proxyapi.ledger.plan import COLUMN_OF_UNIT, SUMS
from proxyapi.ledger.reaper import GRACE_SECONDS
from proxyapi.money import format_amount
from proxyapi.store.database import Database, Transaction
from proxyapi.store.queries import load_queries

SQL = load_queries("proxyapi.ledger", "audit.sql")

STALE_SECONDS = GRACE_SECONDS + 120.0
"""The grace, and time for some worker to notice."""
VIOLATIONS_MAX = 1_000
"""Kept; more say nothing new."""

Recompute = Callable[[bytes, Mapping[str, int], str], int]
"""Price row, units, variant -> amount."""


class Violation(NamedTuple):
    """One thing that is wrong."""

    invariant: str
    text: str


def audit(
    database: Database,
    *,
    since: int | None = None,
    recompute: Recompute | None = None,
    stale_seconds: float = STALE_SECONDS,
    full: bool = True,
) -> list[Violation]:
    """Empty if all is well. `since` (milliseconds) spares older entries I6 and I8, the sums are always taken over all;
    without `recompute` I8 is not checked; `full` includes the engine's own check of its files."""
    with database.snapshot() as snapshot:
        auditor = _Auditor(snapshot, since or 0, recompute)
        if full:
            auditor.check_files(database.faults())
        auditor.check_holds(stale_seconds)
        auditor.check_entries()
        auditor.check_corrections()
        auditor.check_accounts()
        auditor.check_rollups()
    return auditor.violations


_Name = tuple[Any, ...]


class _Auditor:
    def __init__(self, snapshot: Transaction, since: int, recompute: Recompute | None) -> None:
        self.snapshot = snapshot
        self.since = since
        self.recompute = recompute
        self.violations: list[Violation] = []
        self.funded: dict[int, int] = defaultdict(int)
        self.spent: dict[int, int] = defaultdict(int)
        self.held: dict[int, int] = defaultdict(int)
        self.rollup: dict[_Name, list[int]] = defaultdict(lambda: [0] * (len(SUMS) + 1))
        self.total: dict[_Name, list[int]] = defaultdict(lambda: [0] * (len(SUMS) + 1))
        self.prices: dict[int, bytes] = {}

    def wrong(self, invariant: str, text: str) -> None:
        if len(self.violations) < VIOLATIONS_MAX:
            self.violations.append(Violation(invariant, text))

    def check_files(self, faults: Sequence[str]) -> None:
        for text in faults:
            self.wrong("file", f"the database's files are damaged: {text}")

    def check_holds(self, stale_seconds: float) -> None:
        for _, account_id, budget_id, amount in self.snapshot.execute(SQL["holds"]):
            self.held[account_id] += amount
            if budget_id is not None:
                self.held[budget_id] += amount
        for id, kind in self.snapshot.execute(SQL["holds_with_an_entry"]):
            self.wrong("I5", f"request {format_id(id)} is held although its {kind} is in the journal")
        for id, worker_id, age_ms in self.snapshot.execute(SQL["stale_holds"], (int(stale_seconds * 1000),)):
            self.wrong(
                "I10", f"request {format_id(id)} is held by worker {worker_id}, not seen for {age_ms // 1000} seconds"
            )

    def check_entries(self) -> None:
        self.prices = {id: body.encode() for id, body in self.snapshot.execute(SQL["prices"])}
        for row in self.snapshot.iterate(SQL["entries"]):
            self.check_entry(*row)

    def check_entry(
        self, id: bytes, kind: str, account_id: int, budget_id: int | None, key_id: int | None, amount: int, held: int,
        actual: int, charged: int, loss: int, price_id: int | None, variant: str | None, units: str | None,
        model: str | None, provider: str | None, created_at: int,
    ) -> None:  # fmt: skip
        self.funded[account_id] += amount
        self.spent[account_id] += charged
        if budget_id is not None:
            self.spent[budget_id] += charged
        if kind in {"deposit", "adjust", "limit"}:
            if charged or held or actual or loss:
                self.wrong("I6", f"{kind} {format_id(id)} charges or holds something")
            return
        if kind not in {"settle", "release", "expire", "correction"}:
            self.wrong("I5", f"entry {format_id(id)} is of an unknown kind: {kind!r}")
        usage: Mapping[str, int] = msgspec.json.decode(units or "{}", type=dict[str, int])
        for name, cells in (
            ((created_at // HOUR_MS, account_id, key_id or 0, model), self.rollup),
            ((created_at // DAY_MS, model, provider), self.total),
        ):
            sums = cells[name]
            sums[SUMS.index("requests")] += kind == "settle"
            sums[SUMS.index("failed")] += kind in {"release", "expire"}
            for unit, quantity in usage.items():
                sums[COLUMN_OF_UNIT[unit]] += quantity
            for column, value in (("actual", actual), ("charged", charged), ("loss", loss)):
                sums[SUMS.index(column)] += value
        if created_at >= self.since:
            self.check_amounts(id, kind, amount, held, actual, charged, loss)
            self.check_price(id, kind, price_id, variant or "", usage, actual)

    def check_amounts(self, id: bytes, kind: str, amount: int, held: int, actual: int, charged: int, loss: int) -> None:
        name = f"{kind} {format_id(id)}"
        if amount:
            self.wrong("I6", f"{name} funds its account with {format_amount(amount)}")
        if charged > actual or charged < 0:
            self.wrong("I6", f"{name} charged {format_amount(charged)} for what cost {format_amount(actual)}")
        if kind == "settle" and charged + loss != actual:
            self.wrong("I6", f"{name}: charge {charged} and loss {loss} are not the cost {actual}, in nanos")
        if kind == "settle" and charged < min(actual, held):
            self.wrong("I6", f"{name} charged {charged} nanos although {min(actual, held)} were held for it")
        if kind in {"release", "expire"} and (charged or actual):
            self.wrong("I6", f"{name} charged something")

    def check_price(
        self, id: bytes, kind: str, price_id: int | None, variant: str, usage: Mapping[str, int], actual: int
    ) -> None:
        if price_id is None or price_id not in self.prices:
            self.wrong("I8", f"{kind} {format_id(id)} names the price {price_id}, which is not kept")
        elif self.recompute is not None and kind in {"settle", "correction"}:
            expected = self.recompute(self.prices[price_id], usage, variant) if usage else 0
            if expected != actual:
                self.wrong(
                    "I8",
                    f"{kind} {format_id(id)} costs {format_amount(expected)} by its price row, "
                    f"but {format_amount(actual)} was booked",
                )

    def check_corrections(self) -> None:
        for id, ref, kind, actual, charged, loss, corrected, expired in self.snapshot.execute(SQL["corrections"]):
            name = f"{kind} {format_id(id)}"
            if kind != "correction" or corrected != "expire":
                to = "nothing" if ref is None else f"{format_id(ref)}, which is {corrected or 'no entry'}"
                self.wrong("I5", f"{name} refers to {to}")
            elif charged + loss + expired != actual:
                self.wrong("I6", f"{name}: charge {charged}, loss {loss} and the loss {expired} are not {actual}")

    def check_accounts(self) -> None:
        for account_id, funded, spent in self.snapshot.execute(SQL["closings"]):
            self.funded[account_id] += funded
            self.spent[account_id] += spent
        known = set()
        for id, kind, name, key_id, funded, spent, held, credit in self.snapshot.execute(SQL["accounts"]):
            known.add(id)
            who = f"account {name!r} ({id})" if kind == "wallet" else f"budget {id} of key {key_id}"
            for invariant, word, booked, proved in (
                ("I1", "holds", held, self.held[id]),
                ("I2", "spent", spent, self.spent[id]),
                ("I3", "was funded with", funded, self.funded[id]),
            ):
                if booked != proved:
                    self.wrong(
                        invariant, f"{who} {word} {format_amount(booked)}, but its rows sum to {format_amount(proved)}"
                    )
            if held < 0 or spent < 0 or funded + credit - spent - held < 0:
                self.wrong("I4", f"{who} is overdrawn: funded {funded}, credit {credit}, spent {spent}, held {held}")
        for id in (set(self.funded) | set(self.spent) | set(self.held)) - known:
            self.wrong("I2", f"entries or holds name account {id}, which does not exist")

    def check_rollups(self) -> None:
        for table, width, expected in (("rollup", 4, self.rollup), ("rollup_total", 3, self.total)):
            left = {name: sums[:-1] for name, sums in expected.items()}
            for row in self.snapshot.iterate(SQL[table]):
                sums = left.pop(row[:width], None)
                if sums is None:
                    self.wrong("I7", f"{table} {row[:width]} has no entries")
                elif sums != list(row[width:]):
                    different = [
                        f"{column} {booked} instead of {proved}"
                        for column, booked, proved in zip(SUMS, row[width:], sums, strict=True)
                        if booked != proved
                    ]
                    self.wrong("I7", f"{table} {row[:width]} says {', '.join(different)}")
            for name in left:
                self.wrong("I7", f"{table} lacks {name}")
