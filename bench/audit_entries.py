"""How long the audit takes: fills a new database with entries as the ledger would have left them, and audits it.

.venv/bin/python bench/audit_entries.py [ENTRIES]        a temporary SQLite file, 1,000,000 entries
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from postgres import postgres
from proxyapi.ids import IdSource
from proxyapi.ledger.audit import examine
from proxyapi.ledger.commit import SQL
from proxyapi.ledger.periods import DAY_MS, HOUR_MS
from proxyapi.ledger.plan import COLUMN_OF_UNIT, SUMS, TOTALS, EntryRow, funding_row
from proxyapi.ledger.writing import add
from proxyapi.pricing.charge import charge, recompute
from proxyapi.pricing.price import Price, make_price
from proxyapi.store.database import Database, Transaction, open_database, sqlite_url
from proxyapi.store.migrate import migrate
from proxyapi.usage import Unit

ACCOUNTS = 40
MODELS = tuple(f"openai/gpt-{number}" for number in range(5))
END_MS = 1_760_000_000_000
"""When the newest entry was written; they reach back `SPAN_MS`."""
SPAN_MS = 60 * DAY_MS
BATCH = 10_000


def price_of(model: str) -> Price:
    return make_price(provider="openai", model=model, rates={unit: 700_000_000 + len(unit) for unit in Unit})


PRICES = {model: price_of(model) for model in MODELS}


class Filling:
    """Entries in order of their ids, and the sums that go with them."""

    def __init__(self, entries: int) -> None:
        self.entries = entries
        self.random = random.Random(4)
        self.now_ms = END_MS - SPAN_MS
        self.ids = IdSource(lambda: self.now_ms * 1_000_000, self.random.randbytes)
        self.spent = dict.fromkeys(range(1, ACCOUNTS + 1), 0)
        self.rollup: dict[tuple[int | str, ...], list[int]] = {}
        self.total: dict[tuple[int | str, ...], list[int]] = {}

    def rows(self) -> Iterator[EntryRow]:
        for number in range(self.entries):
            self.now_ms = END_MS - SPAN_MS + SPAN_MS * number // self.entries
            yield self.settle()

    def settle(self) -> EntryRow:
        account_id, model = self.random.randint(1, ACCOUNTS), self.random.choice(MODELS)
        usage = {Unit.INPUT: self.random.randint(1, 20_000), Unit.OUTPUT: self.random.randint(1, 2_000)}
        price = PRICES[model]
        actual = charge(usage, price)
        self.spent[account_id] += actual
        sums = [0] * (len(TOTALS) + 1)
        sums[TOTALS.index("requests")] = 1
        sums[TOTALS.index("actual")] = sums[TOTALS.index("charged")] = sums[TOTALS.index("costed")] = actual
        sums[TOTALS.index("upstream_cost")] = actual // 2
        for unit, quantity in usage.items():
            sums[COLUMN_OF_UNIT[unit]] += quantity
        add(self.rollup, (self.now_ms // HOUR_MS, account_id, account_id, model), sums, SUMS)
        add(self.total, (self.now_ms // DAY_MS, model, "openai"), sums, TOTALS)
        return (
            self.ids(), "settle", account_id, None, account_id, actual * 2, actual, actual, 0, price.id, "",
            msgspec.json.encode(usage).decode(), "reported", "complete", 200, "chat", "openai", model, 900, 200, 1,
            f"req_{number_text(self.random)}", actual // 2, self.now_ms,
        )  # fmt: skip


def number_text(source: random.Random) -> str:
    return source.randbytes(12).hex()


def fill(database: Database, entries: int) -> None:
    """Everything in one transaction."""
    filling = Filling(entries)
    with database.transaction() as transaction:
        transaction.executemany(
            SQL["insert_price"], [(price.id, price.to_json().decode(), 0) for price in PRICES.values()]
        )
        batch: list[EntryRow] = []
        for row in filling.rows():
            batch.append(row)
            if len(batch) == BATCH:
                insert(transaction, batch)
        insert(transaction, batch)
        for id, spent in filling.spent.items():
            transaction.execute(
                "INSERT INTO account (id, kind, name, funded, spent, created_at) VALUES (?, 'wallet', ?, ?, ?, 0)",
                (id, f"customer {id}", spent + 1, spent),
            )
            entry = funding_row(id.to_bytes(16, "big"), "deposit", id, None, spent + 1, 0)
            transaction.executemany(SQL["insert_entry"], [entry])
        for name, cells in (("add_rollup", filling.rollup), ("add_rollup_total", filling.total)):
            transaction.executemany(SQL[name], [(*key, *sums) for key, sums in sorted(cells.items())])


def insert(transaction: Transaction, batch: list[EntryRow]) -> None:
    transaction.executemany(SQL["insert_ending"], batch)
    batch.clear()


def measure(database: Database, entries: int) -> None:
    migrate(database)
    fill(database, entries)
    for full in (False, True):
        began = time.monotonic()
        report = examine(database, full=full, recompute=recompute)
        seconds = time.monotonic() - began
        assert report.ok, report.violations[:3]
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"{'full' if full else 'fast'}: {report.checked['I2']:,} entries in {seconds:.1f} s, {megabytes} MB")
    database.close()


def main() -> None:
    arguments = [argument for argument in sys.argv[1:] if argument != "--postgres"]
    entries = int(arguments[0]) if arguments else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        if "--postgres" not in sys.argv:
            measure(open_database(sqlite_url(Path(folder) / "proxyapi.db"), durable=False), entries)
            return
        with postgres(Path(folder)) as server:
            measure(open_database(server.create()), entries)


if __name__ == "__main__":
    main()
