"""I1 to I4 and I7: sums, taken by the database, against what accounts and rollups say.

What has no violation here is proven to the last nano, also in a fast audit: every entry and every hold is summed. Only
quantities of use (tokens and the like), which are inside the entries' JSON, and upstream costs are left to `entries`.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from proxyapi.ledger.audit.report import VIOLATIONS_MAX, Report
from proxyapi.ledger.months import end_of, label, start_of
from proxyapi.ledger.periods import DAY_MS, HOUR_MS
from proxyapi.ledger.sealed import Sealed
from proxyapi.money import format_amount
from proxyapi.store.database import Transaction
from proxyapi.store.queries import load_queries

SQL = load_queries("proxyapi.ledger.audit", "audit.sql")
MONEY = ("requests", "failed", "actual", "charged", "loss")
"""The columns of the rollups that are summed without opening an entry."""


class Pot(NamedTuple):
    """A row of `account`."""

    id: int
    kind: str
    name: str | None
    key_id: int | None
    funded: int
    spent: int
    held: int
    credit: int

    @property
    def who(self) -> str:
        """For people."""
        return (
            f"account {self.name!r} ({self.id})" if self.kind == "wallet" else f"budget {self.id} of key {self.key_id}"
        )


def check_accounts(snapshot: Transaction, report: Report) -> None:
    """I1, I2, I3, I4."""
    report.progress("sums of accounts", 0, 0)
    held: dict[int, int] = defaultdict(int)
    spent: dict[int, int] = defaultdict(int)
    funded: dict[int, int] = defaultdict(int)
    for account_id, budget_id, amount, count in snapshot.execute(SQL["holds"]):
        held[account_id] += amount
        if budget_id is not None:
            held[budget_id] += amount
        report.checked["I1"] += count
    for account_id, budget_id, amount, charged, count in snapshot.execute(SQL["entry_sums"]):
        funded[account_id] += amount
        spent[account_id] += charged
        if budget_id is not None:
            spent[budget_id] += charged
        report.checked["I2"] += count
        report.checked["I3"] += count
    for account_id, closed_funded, closed_spent in snapshot.execute(SQL["closings"]):
        funded[account_id] += closed_funded
        spent[account_id] += closed_spent
    pots = [Pot(*row) for row in snapshot.execute(SQL["accounts"])]
    report.checked["I4"] = len(pots)
    for pot in pots:
        _check_pot(report, pot, held[pot.id], spent[pot.id], funded[pot.id])
    for id in sorted({*held, *spent, *funded} - {pot.id for pot in pots}):
        report.wrong("I2", f"entries or holds name the account {id}, which does not exist")


def _check_pot(report: Report, pot: Pot, held: int, spent: int, funded: int) -> None:
    if pot.held != held:
        report.wrong(
            "I1", f"{pot.who} has {format_amount(pot.held)} on hold, but its holds sum to {format_amount(held)}"
        )
    if pot.spent != spent:
        report.wrong(
            "I2", f"{pot.who} has spent {format_amount(pot.spent)}, but its entries charged {format_amount(spent)}"
        )
    if pot.funded != funded:
        report.wrong(
            "I3",
            f"{pot.who} was funded with {format_amount(pot.funded)}, but its deposits, adjustments and limits sum to "
            f"{format_amount(funded)}",
        )
    if pot.held < 0 or pot.spent < 0 or pot.funded + pot.credit - pot.spent - pot.held < 0:
        report.wrong(
            "I4",
            f"{pot.who} is overdrawn or below zero: funded {format_amount(pot.funded)}, "
            f"credit {format_amount(pot.credit)}, spent {format_amount(pot.spent)}, held {format_amount(pot.held)}",
        )


def check_rollups(snapshot: Transaction, report: Report, sealed: Sealed, days_until: int) -> None:
    """I7 but for quantities and upstream costs: hours against entries, sealed months against their closings, days
    against hours; of `days_until` and later, `entries` compares the days with the entries themselves."""
    report.progress("sums of reports", 0, 0)
    report.checked["I7"] = snapshot.execute(SQL["count_rollups"])[0][0]
    since = sealed.until_ms
    rows = snapshot.execute(SQL["rollup_differences"], (since, since // HOUR_MS, VIOLATIONS_MAX))
    for hour, account_id, key_id, model, *differences in rows:
        report.wrong(
            "I7",
            f"the hourly sums (rollup) of hour {label(hour * HOUR_MS)}, account {account_id}, key {key_id}, "
            f"{model or 'no model'} differ from its entries: {_told(differences)}",
        )
    for day, model, *differences in snapshot.execute(
        SQL["total_differences"], (days_until, days_until, VIOLATIONS_MAX)
    ):
        report.wrong(
            "I7",
            f"the daily sums (rollup_total) of day {label(day * DAY_MS)[:10]}, {model or 'no model'} differ from the "
            f"hourly sums: {_told(differences)}",
        )
    for month in sealed.months:
        _check_sealed(snapshot, report, month.month)


def _check_sealed(snapshot: Transaction, report: Report, month: int) -> None:
    """Rollups stay when a month is sealed: per wallet they charge what left, and what may not have left yet."""
    start, end = start_of(month), end_of(month)
    proven: dict[int, int] = defaultdict(int)
    for account_id, _, spent in snapshot.execute(SQL["closings_of_month"], (month,)):
        proven[account_id] += spent
    for account_id, charged in snapshot.execute(SQL["entries_between"], (start, end)):
        proven[account_id] += charged
    booked: dict[int, int] = dict(snapshot.execute(SQL["rollups_between"], (start // HOUR_MS, end // HOUR_MS)))
    budgets = {row[0] for row in snapshot.execute(SQL["accounts"]) if row[1] == "budget"}
    for id in sorted(({*proven} | {*booked}) - budgets):
        if booked.get(id, 0) != proven.get(id, 0):
            report.wrong(
                "I7",
                f"the sums of reports for account {id} in the sealed month {month} charge "
                f"{format_amount(booked.get(id, 0))}, but its sealed entries {format_amount(proven.get(id, 0))}",
            )


def _told(differences: list[int]) -> str:
    """What the sums lack (or have too much, if negative)."""
    parts = []
    for column, difference in zip(MONEY, differences, strict=True):
        if difference:
            amount = format_amount(abs(difference)) if column in {"actual", "charged", "loss"} else str(abs(difference))
            parts.append(f"{column} by {amount} less" if difference > 0 else f"{column} by {amount} more")
    return ", ".join(parts)
