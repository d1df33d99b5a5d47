"""I5, I6, I8, I10, and of I7 quantities and upstream costs: entries and holds one by one, in little memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby

import msgspec

from proxyapi.ids import format_id, least_id, made_at_ms
from proxyapi.ledger.audit.report import VIOLATIONS_MAX, Report
from proxyapi.ledger.months import label
from proxyapi.ledger.periods import DAY_MS, HOUR_MS
from proxyapi.ledger.plan import COLUMN_OF_UNIT, SUMS, TOTALS
from proxyapi.ledger.reaper import GRACE_SECONDS
from proxyapi.ledger.sealed import Sealed
from proxyapi.money import format_amount
from proxyapi.store.database import Row, Transaction
from proxyapi.store.queries import load_queries

SQL = load_queries("proxyapi.ledger.audit", "audit.sql")
PROGRESS_ROWS = 20_000
"""Between two signs of life: some tenths of a second."""
CLOCKS_MS = DAY_MS
"""Between the clock that made an id and the one that wrote its entry, at the most."""
QUANTITIES = slice(SUMS.index("input"), SUMS.index("other") + 1)
MONEY = tuple(SUMS.index(name) for name in ("requests", "failed", "actual", "charged", "loss"))
_ACTUAL, _CHARGED, _LOSS, _COST, _COSTED = map(TOTALS.index, ("actual", "charged", "loss", "upstream_cost", "costed"))
FUNDING = frozenset({"deposit", "adjust", "limit"})
CHARGING = frozenset({"settle", "release", "expire", "correction"})

Recompute = Callable[[bytes, Mapping[str, int], str], int]
"""Price row, units, variant -> amount."""
_units = msgspec.json.Decoder(dict[str, int]).decode
_Name = tuple[int | str, ...]
_Cells = dict[_Name, list[int]]


def check_holds(snapshot: Transaction, report: Report, stale_seconds: float) -> None:
    """I10, and of I5 that nothing is both in flight and over."""
    for id, kind in snapshot.execute(SQL["holds_with_an_entry"], (VIOLATIONS_MAX,)):
        name = format_id(id)
        report.wrong("I5", f"request {name} is held although its {kind} is in the journal", name)
    holds = snapshot.execute(SQL["count_holds"])[0][0]
    report.checked["I5"] += holds
    report.checked["I10"] = holds
    limits = (int(stale_seconds * 1000), int(max(0.0, stale_seconds - GRACE_SECONDS) * 1000))
    for id, worker_id, died_at, age_ms in snapshot.execute(SQL["stale_holds"], (*limits, VIOLATIONS_MAX)):
        name = format_id(id)
        seconds = age_ms // 1000
        if died_at is None:
            report.wrong("I10", f"request {name} is held by worker {worker_id}, not seen for {seconds} seconds", name)
        else:
            report.wrong("I10", f"request {name} is held by worker {worker_id}, dead for {seconds} seconds", name)


def check_amounts(snapshot: Transaction, report: Report, since: int) -> None:
    """I6 of each entry since then; an unknown kind is against I5."""
    report.progress("amounts of entries", 0, 0)
    count = snapshot.execute(SQL["count_since"], (since,))[0][0]
    report.checked["I6"] += count
    report.checked["I5"] += count
    for row in snapshot.execute(SQL["odd_entries"], (since, VIOLATIONS_MAX)):
        _explain(report, *row)


def _explain(
    report: Report, id: bytes, kind: str, amount: int, held: int, actual: int, charged: int, loss: int
) -> None:
    """Says which rule a row of `odd_entries` breaks."""
    name = format_id(id)
    who = f"{kind} {name}"
    if kind not in FUNDING | CHARGING:
        report.wrong("I5", f"entry {name} is of the unknown kind {kind!r}", name)
    elif kind in FUNDING:
        report.wrong("I6", f"{who} charges or holds something, which only requests do", name)
    elif amount:
        report.wrong("I6", f"{who} funds its account with {format_amount(amount)}, which only deposits do", name)
    elif kind in {"release", "expire"} and (charged or actual):
        report.wrong("I6", f"{who} charged {format_amount(charged)} although nothing was generated", name)
    elif kind == "expire":
        report.wrong(
            "I6",
            f"{who} does not account for its hold: {format_amount(held)} were held and {format_amount(loss)} are "
            "booked as loss",
            name,
        )
    elif charged < 0 or charged > actual:
        report.wrong("I6", f"{who} charged {format_amount(charged)} for what cost {format_amount(actual)}", name)
    elif charged + loss != actual:
        report.wrong(
            "I6",
            f"{who}: {format_amount(charged)} charged and {format_amount(loss)} lost are not the cost "
            f"{format_amount(actual)}",
            name,
        )
    else:
        least = format_amount(min(actual, held))
        report.wrong("I6", f"{who} charged {format_amount(charged)} although {least} were held for it", name)


def check_corrections(snapshot: Transaction, report: Report, sealed: Sealed) -> None:
    """I5 and I6 of corrections: what they name had expired, they take back its loss. I5 alone if that is sealed."""
    for id, ref, kind, actual, charged, loss, corrected, expired in snapshot.iterate(SQL["corrections"]):
        name = format_id(id)
        report.checked["I5"] += 1
        if kind == "correction" and ref is not None and corrected is None and made_at_ms(ref) < sealed.until_ms:
            continue
        if kind != "correction" or corrected != "expire":
            if ref is None:
                report.wrong("I5", f"{kind} {name} corrects nothing, and not one that had expired", name)
            else:
                report.wrong(
                    "I5",
                    f"{kind} {name} corrects {format_id(ref)}, which is {corrected or 'no entry'}, and not one that "
                    "had expired",
                    name,
                )
        elif charged + loss + expired != actual:
            report.wrong(
                "I6",
                f"correction {name}: charge {format_amount(charged)}, loss {format_amount(loss)} and the loss "
                f"{format_amount(expired)} of what it corrects are not the cost {format_amount(actual)}",
                name,
                format_id(ref),
            )


def check_references(snapshot: Transaction, report: Report, sealed: Sealed) -> None:
    """I5 of deposits: whose reference is taken can't be booked twice, also when they are sealed."""
    for id, kind, reference in snapshot.execute(SQL["untaken_references"], (VIOLATIONS_MAX,)):
        name = format_id(id)
        report.wrong("I5", f"{kind} {name} does not hold its reference {reference!r}: it could be booked again", name)
    first_id = least_id(sealed.until_ms + CLOCKS_MS) if sealed.months else bytes(16)
    for reference, id in snapshot.execute(SQL["idle_references"], (first_id, VIOLATIONS_MAX)):
        name = format_id(id)
        report.wrong("I5", f"the reference {reference!r} is held by {name}, which is no entry", name)


def check_units(snapshot: Transaction, report: Report, since: int, recompute: Recompute | None) -> None:
    """I8 of each entry since then, and all columns of the rollups of hours and days that begin since then."""
    reader = _Reader(snapshot, report, since, recompute)
    for hour, rows in groupby(reader.rows(), key=lambda row: int(row[-1]) // HOUR_MS):
        reader.read_hour(hour, rows)
    reader.close()


class _Reader:
    """Goes through the journal hour by hour, and keeps the sums of one hour and one day."""

    def __init__(self, snapshot: Transaction, report: Report, since: int, recompute: Recompute | None) -> None:
        self.snapshot = snapshot
        self.report = report
        self.since = since
        self.recompute = recompute
        self.prices = {id: body.encode() for id, body in snapshot.execute(SQL["prices"])}
        self.day = -1
        self.total: _Cells = {}
        self.hours = {row[0] for row in snapshot.execute(SQL["rollup_hours"], (-(-self.since // HOUR_MS),))}
        self.days = {row[0] for row in snapshot.execute(SQL["rollup_days"], (-(-self.since // DAY_MS),))}
        """Whole hours and days that are left to be compared."""

    def rows(self) -> Iterable[Row]:
        total = self.snapshot.execute(SQL["count_since"], (self.since,))[0][0]
        for number, row in enumerate(self.snapshot.iterate(SQL["metered_entries"], (self.since,))):
            if number % PROGRESS_ROWS == 0:
                self.report.progress("entries, one by one", number, total)
            yield row

    def read_hour(self, hour: int, rows: Iterable[Row]) -> None:
        if hour * HOUR_MS // DAY_MS != self.day:
            self.close_day()
            self.day = hour * HOUR_MS // DAY_MS
        cells: _Cells = defaultdict(lambda: [0] * (len(TOTALS) + 1))
        for row in rows:
            self.read(cells, *row)
        self.compare("rollup", hour, self.hours, cells)

    def read(
        self, cells: _Cells, id: bytes, kind: str, account_id: int, key_id: int | None, actual: int, charged: int,
        loss: int, price_id: int | None, variant: str | None, units: str | None, model: str | None,
        provider: str | None, upstream_cost: int | None, _: int,
    ) -> None:  # fmt: skip
        usage = _units(units or "{}")
        own = cells[account_id, key_id or 0, model or ""]
        total = self.total.setdefault((model or "", provider or ""), [0] * (len(TOTALS) + 1))
        for sums in (own, total):
            for unit, quantity in usage.items():
                sums[COLUMN_OF_UNIT.get(unit, -1)] += quantity
            sums[0] += kind == "settle"
            sums[1] += kind in {"release", "expire"}
            sums[_ACTUAL] += actual
            sums[_CHARGED] += charged
            sums[_LOSS] += loss
        if upstream_cost is not None:
            total[_COST] += upstream_cost
            total[_COSTED] += actual
        self.check_price(id, kind, price_id, variant or "", usage, actual)

    def check_price(
        self, id: bytes, kind: str, price_id: int | None, variant: str, usage: Mapping[str, int], actual: int
    ) -> None:
        body = None if price_id is None else self.prices.get(price_id)
        self.report.checked["I8"] += 1
        if body is None:
            name = format_id(id)
            self.report.wrong("I8", f"{kind} {name} names the price {price_id}, which is not kept", name)
        elif self.recompute is not None and kind in {"settle", "correction"}:
            try:
                expected = self.recompute(body, usage, variant) if usage else 0
            except (KeyError, ValueError) as error:
                name = format_id(id)
                self.report.wrong("I8", f"{kind} {name} can't be priced by its price row: {error!r}", name)
                return
            if expected != actual:
                name = format_id(id)
                self.report.wrong(
                    "I8",
                    f"{kind} {name} costs {format_amount(expected)} by its price row, but {format_amount(actual)} was "
                    "booked",
                    name,
                )

    def close_day(self) -> None:
        self.compare("rollup_total", self.day, self.days, self.total)
        self.total = {}

    def close(self) -> None:
        """Hours and days with sums but without an entry are left."""
        self.close_day()
        for hour in sorted(self.hours):
            self.compare("rollup", hour, self.hours, {})
        for day in sorted(self.days):
            self.compare("rollup_total", day, self.days, {})

    def compare(self, table: str, at: int, left: set[int], cells: _Cells) -> None:
        """Whole hours or days only: of one that began before `since`, some entries were not read. The money of hours
        is compared in `sums`."""
        span = HOUR_MS if table == "rollup" else DAY_MS
        if at * span < self.since:
            return
        left.discard(at)
        names = SUMS if table == "rollup" else TOTALS
        expected = {name: sums[: len(names)] for name, sums in cells.items()}
        width, columns = (3, QUANTITIES) if table == "rollup" else (2, slice(None))
        when = label(at * span)
        for row in self.snapshot.execute(SQL[table], (at,)):
            name, booked = row[:width], list(row[width:])
            proven = expected.pop(name, None)
            if proven is None:
                if columns == slice(None) or not any(booked[column] for column in MONEY):
                    self.report.wrong("I7", f"{table} of {when} has sums for {name}, of which there is no entry")
            elif proven[columns] != booked[columns]:
                difference = _difference(names[columns], booked[columns], proven[columns])
                self.report.wrong("I7", f"{table} of {when} for {name} says {difference}")
        for name, proven in expected.items():
            if any(proven[columns]):
                self.report.wrong("I7", f"{table} of {when} lacks the sums for {name}, of which there are entries")


def _difference(columns: Iterable[str], booked: list[int], proven: list[int]) -> str:
    return ", ".join(
        f"{column} {says} instead of {is_}"
        for column, says, is_ in zip(columns, booked, proven, strict=True)
        if says != is_
    )
