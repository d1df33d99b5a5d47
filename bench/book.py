"""A book of the size that `pages.py` measures pages before: written in bulk, and yet one that the audit proves.

A thousand accounts with three keys each, of which the first has a budget per month; forty models at six providers;
thirteen months of requests, deposits with their payments, batches of vouchers, operators' acts. One account, `bench`,
has a fifth of the requests.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from proxyapi.identity.currency import agree_on_currency
from proxyapi.ledger.commit import SQL as LEDGER
from proxyapi.ledger.periods import DAY_MS, HOUR_MS
from proxyapi.ledger.plan import COLUMN_OF_UNIT, SUMS, TOTALS, EntryRow, derived_id, funding_row
from proxyapi.ledger.writing import add
from proxyapi.money import NANOS_PER_UNIT
from proxyapi.pricing.charge import charge
from proxyapi.pricing.price import Price, make_price
from proxyapi.store.database import Database, Transaction
from proxyapi.store.migrate import migrate
from proxyapi.usage import Unit

ACCOUNTS, KEYS, MODELS, MONTHS = 1_000, 3, 40, 13
BENCH = 1
"""The account that most requests belong to."""
DEPOSIT = 1_000 * NANOS_PER_UNIT
LIMIT = 10_000_000 * NANOS_PER_UNIT
BATCH = 20_000
PROVIDERS = ("openai", "anthropic", "google", "openrouter", "deepseek", "sandbox")
BATCHES, CODES = 20, 1_000
"""Of vouchers; every second code has paid."""

ACCOUNT = "INSERT INTO account (id, kind, name, funded, spent, created_at) VALUES (?, 'wallet', ?, ?, ?, ?)"
BUDGET = """INSERT INTO account (id, kind, key_id, period, period_start, funded, spent, created_at)
VALUES (?, 'budget', ?, 'month', ?, ?, ?, ?)"""
KEY = """INSERT INTO key (id, account_id, digest, prefix, name, budget_limit, budget_period, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
USER = """INSERT INTO console_user (email, password, role, account_id, confirmed_at, created_at)
VALUES (?, '', 'customer', ?, ?, ?)"""
PAYMENT = """INSERT INTO payment (id, account_id, provider, provider_id, state, currency, amount, paid, created_at,
updated_at, next_at) VALUES (?, ?, 'yookassa', ?, 'succeeded', 'RUB', ?, ?, ?, ?, 0)"""
ACT = """INSERT INTO act (at, operator, address, action, subject, was, became) VALUES (?, ?, ?, ?, ?, ?, ?)"""
VOUCHERS = "INSERT INTO voucher_batch (id, name, amount, number, expires_at, created_at) VALUES (?, ?, ?, ?, ?, ?)"
VOUCHER = "INSERT INTO voucher (id, batch_id, digest, account_id, redeemed_at) VALUES (?, ?, ?, ?, ?)"


class Size(NamedTuple):
    entries: int = 1_000_000
    deposits: int = 100_000
    acts: int = 10_000


class Model(NamedTuple):
    name: str
    provider: str
    price: Price
    cost: Price


def write_book(database: Database, size: Size, seed: int, now_ms: int) -> None:
    """Into an empty database. Takes a minute or two for a million."""
    database.prepare()
    migrate(database)
    agree_on_currency(database, "RUB")
    for back in range(MONTHS + 1):
        database.upkeep(now_ms - back * 30 * DAY_MS)
    book = _Book(size, random.Random(seed), now_ms)
    with database.transaction() as transaction:
        prices = [(model.price.id, model.price.to_json().decode(), 0) for model in book.models]
        transaction.executemany(LEDGER["insert_price"], prices)
        transaction.executemany(KEY, book.keys())
        transaction.executemany(USER, [(f"user{id}@example.com", id, now_ms, now_ms) for id in range(2, ACCOUNTS + 1)])
        transaction.executemany(ACT, book.acts())
        transaction.executemany(VOUCHERS, book.batches())
        transaction.executemany(VOUCHER, book.vouchers())
    _pour(database, LEDGER["insert_ending"], book.requests())
    _pour(database, LEDGER["insert_entry"], book.limits())
    _pour(database, LEDGER["insert_entry"], book.deposits())
    _pour(database, LEDGER["insert_reference"], book.references)
    _pour(database, PAYMENT, book.payments)
    _pour(database, LEDGER["add_rollup"], ((*name, *sums) for name, sums in sorted(book.rollup.items())))
    _pour(database, LEDGER["add_rollup_total"], ((*name, *sums) for name, sums in sorted(book.total.items())))
    with database.transaction() as transaction:
        transaction.executemany(ACCOUNT, book.accounts())
        transaction.executemany(BUDGET, book.budget_accounts())
        for table in ("account", "key", "voucher_batch", "voucher"):
            _go_on(transaction, table)


def _go_on(transaction: Transaction, table: str) -> None:
    newest = transaction.execute(f"SELECT max(id) FROM {table}")[0][0]
    transaction.resume_ids(table, "id", newest)


def _pour(database: Database, sql: str, rows: Iterable[tuple[object, ...]]) -> None:
    batch: list[tuple[object, ...]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            with database.transaction() as transaction:
                transaction.executemany(sql, batch)
            batch = []
    with database.transaction() as transaction:
        transaction.executemany(sql, batch)


class _Book:
    """Rows, and the sums of them that the last rows need."""

    def __init__(self, size: Size, chance: random.Random, now_ms: int) -> None:
        self.size = size
        self.chance = chance
        self.now_ms = now_ms
        self.began_ms = now_ms - (MONTHS * 365 // 12) * DAY_MS
        self.models = [_model(number, chance) for number in range(MODELS)]
        self.funded = [0] * (ACCOUNTS + 1)
        self.spent = [0] * (ACCOUNTS + 1)
        self.budgets: dict[tuple[int, int], int] = {}
        """Account of a key's budget, by key and when the month began."""
        self.spent_of_budget: dict[int, int] = defaultdict(int)
        self.rollup: dict[tuple[int | str, ...], list[int]] = {}
        self.total: dict[tuple[int | str, ...], list[int]] = {}
        self.references: list[tuple[object, ...]] = []
        self.payments: list[tuple[object, ...]] = []

    def id_at(self, ms: int) -> bytes:
        return ms.to_bytes(6, "big") + bytes([0x70]) + self.chance.randbytes(9)

    def requests(self) -> Iterator[EntryRow]:
        span = self.now_ms - self.began_ms
        for number in range(self.size.entries):
            yield self.request(self.began_ms + number * span // self.size.entries)

    def request(self, at: int) -> EntryRow:
        chance = self.chance
        account_id = BENCH if chance.random() < 0.2 else chance.randint(2, ACCOUNTS)
        key_id = (account_id - 1) * KEYS + chance.randint(1, KEYS)
        model = chance.choice(self.models)
        failed = chance.random() < 0.02
        given, made = chance.randrange(200, 6000), chance.randrange(20, 900)
        usage = {} if failed else {Unit.INPUT: given, Unit.OUTPUT: made}
        actual = charge(usage, model.price) if usage else 0
        cost = charge(usage, model.cost) if usage else 0
        known = cost if chance.random() < 0.95 else None  # None: as an older release wrote it
        budget_id = self.budget(key_id, at) if key_id % KEYS == 1 else None
        self.book(account_id, key_id, budget_id, model, at, usage, actual, known)
        kind, ending, status = ("release", "upstream_broken", 502) if failed else ("settle", "completed", 200)
        latency = chance.randrange(400, 9000)
        return (
            self.id_at(at), kind, account_id, budget_id, key_id, actual * 3 + 1, actual, actual, 0, model.price.id, "",
            msgspec.json.encode(usage).decode(), "reported", ending, status,
            chance.choice(("chat", "chat", "responses", "messages")), model.provider, model.name, latency,
            latency // 4, 1, f"req_{number_text(chance)}", known, at,
        )  # fmt: skip

    def budget(self, key_id: int, at: int) -> int:
        day = datetime.fromtimestamp(at / 1000, UTC)
        start = int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp()) * 1000
        return self.budgets.setdefault((key_id, start), ACCOUNTS + len(self.budgets) + 1)

    def book(
        self, account_id: int, key_id: int, budget_id: int | None, model: Model, at: int, usage: dict[Unit, int],
        actual: int, cost: int | None,
    ) -> None:  # fmt: skip
        self.spent[account_id] += actual
        if budget_id is not None:
            self.spent_of_budget[budget_id] += actual
        sums = dict.fromkeys(TOTALS, 0) | {
            "requests": int(bool(usage)), "failed": int(not usage), "actual": actual, "charged": actual,
            "upstream_cost": cost or 0, "costed": 0 if cost is None else actual,
        }  # fmt: skip
        cells = [*sums.values(), 0]
        for unit, quantity in usage.items():
            cells[COLUMN_OF_UNIT[unit]] += quantity
        add(self.rollup, (at // HOUR_MS, account_id, key_id, model.name), cells, SUMS)
        add(self.total, (at // DAY_MS, model.name, model.provider), cells, TOTALS)

    def deposits(self) -> Iterator[EntryRow]:
        """Spread over all accounts, and for each what it has spent. Most of them came through a payment provider."""
        span = self.now_ms - self.began_ms
        for number in range(self.size.deposits):
            at = self.began_ms + number * span // self.size.deposits
            account_id = number % ACCOUNTS + 1
            amount = DEPOSIT + (self.spent[account_id] if number < ACCOUNTS else 0)
            self.funded[account_id] += amount
            reference = f"yookassa:pay-{number}" if number % 5 else f"invoice {number}"
            id = self.id_at(at)
            self.references.append((reference, id, account_id, amount))
            if number % 5:
                payment = (self.id_at(at), account_id, f"pay-{number}", amount, amount, at, at)
                self.payments.append(payment)
            yield funding_row(id, "deposit", account_id, None, amount, at, reference)

    def limits(self) -> Iterator[EntryRow]:
        for (key_id, start), id in self.budgets.items():
            at = max(start, self.began_ms)
            entry_id = derived_id(at.to_bytes(6, "big") + id.to_bytes(10, "big"), b"limit")
            yield funding_row(entry_id, "limit", id, key_id, LIMIT, at)

    def accounts(self) -> Iterator[tuple[object, ...]]:
        for id in range(1, ACCOUNTS + 1):
            name = "bench" if id == BENCH else f"user{id}@example.com"
            yield (id, name, self.funded[id], self.spent[id], self.began_ms)

    def budget_accounts(self) -> Iterator[tuple[object, ...]]:
        for (key_id, start), id in self.budgets.items():
            yield (id, key_id, start, LIMIT, self.spent_of_budget[id], start)

    def keys(self) -> Iterator[tuple[object, ...]]:
        names = ("Support bot", "Catalogue", "n8n")
        for id in range(1, ACCOUNTS * KEYS + 1):
            limit = LIMIT if id % KEYS == 1 else None
            digest = hashlib.sha256(b"bench %d" % id).digest()
            period = "month" if limit else "never"
            yield (id, (id - 1) // KEYS + 1, digest, f"sk-{id:05d}", names[id % KEYS], limit, period, self.began_ms)

    def acts(self) -> Iterator[tuple[object, ...]]:
        span = self.now_ms - self.began_ms
        for number in range(self.size.acts):
            action = self.chance.choice(("account.deposit", "account.adjust", "account.block", "key.edit"))
            at = self.began_ms + number * span // self.size.acts
            who, subject = f"operator{number % 5}@example.com", f"account {self.chance.randint(1, ACCOUNTS)}"
            yield (at, who, "192.0.2.7", action, subject, '{"balance":"12.5"}', '{"amount":"100","note":"by phone"}')

    def batches(self) -> Iterator[tuple[object, ...]]:
        for id in range(1, BATCHES + 1):
            yield (id, f"Campaign {id}", DEPOSIT, CODES, self.now_ms + 90 * DAY_MS, self.began_ms + id * DAY_MS)

    def vouchers(self) -> Iterator[tuple[object, ...]]:
        """Those that have paid say to whom; their deposits are among the others."""
        for id in range(1, BATCHES * CODES + 1):
            paid = (id % ACCOUNTS + 1, self.began_ms) if id % 2 else (None, None)
            yield (id, (id - 1) // CODES + 1, hashlib.sha256(b"code %d" % id).digest(), *paid)


def _model(number: int, chance: random.Random) -> Model:
    provider = PROVIDERS[number % len(PROVIDERS)]
    known = NAMES.get(number)
    name, provider = (known, known.partition("/")[0]) if known else (f"{provider}/model-{number}", provider)
    rates = {Unit.INPUT: chance.randrange(10, 400), Unit.OUTPUT: chance.randrange(40, 1600)}
    price, cost = (
        make_price(
            provider=provider, model=name.partition("/")[2],
            rates=dict.fromkeys(Unit, 0) | {unit: rate * NANOS_PER_UNIT * part // 6 for unit, rate in rates.items()},
        )
        for part in (6, 5)
    )  # fmt: skip
    return Model(name, provider, price, cost)


NAMES = {
    0: "openai/gpt-4o", 1: "anthropic/claude-sonnet-4-20250514", 2: "google/gemini-2.0-flash",
    3: "openai/gpt-4o-mini", 4: "deepseek/deepseek-chat", 5: "openai/gpt-4.1",
}  # fmt: skip
"""Some that are really on sale."""


def number_text(chance: random.Random) -> str:
    return chance.randbytes(8).hex()
