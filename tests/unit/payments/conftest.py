"""Everything that handles payments, on a database in a file and against a YooKassa on loopback."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from typing import Any

import proxyapi_fakes_yookassa as fake  # type: ignore[import-not-found]
import pytest
from msgspec import Struct

from proxyapi.identity.accounts import Accounts
from proxyapi.ids import IdSource
from proxyapi.ledger.offline import OfflineLedger
from proxyapi.money import NANOS_PER_UNIT
from proxyapi.payments.cashier import Cashier
from proxyapi.payments.desk import PaymentDesk
from proxyapi.payments.records import Payment
from proxyapi.payments.refunds import Refunds
from proxyapi.payments.vouchers import Vouchers
from proxyapi.payments.yookassa import YooKassa
from proxyapi.store.database import Database, open_database
from proxyapi.store.migrate import migrate

ADDRESS = "77.75.153.5"
"""One of YooKassa's."""


class Clock(Struct):
    """Milliseconds since 1970, moved by hand."""

    now: int = 1_800_000_000_000

    def __call__(self) -> int:
        return self.now


class Till(Struct):
    """One process's parts. `other` makes those of a second process on the same database."""

    database: Database
    ledger: OfflineLedger
    accounts: Accounts
    cashier: Cashier
    refunds: Refunds
    desk: PaymentDesk
    vouchers: Vouchers
    clock: Clock
    problems: list[str]
    api: Any

    def balance(self, account_id: int) -> int:
        return self.accounts.find(str(account_id)).balance

    def begin(self, account_id: int, roubles: int = 100) -> Payment:
        return self.cashier.start(account_id, roubles * NANOS_PER_UNIT, provider="yookassa")

    def tell(self, notice: dict[str, Any], address: str = ADDRESS) -> None:
        self.desk.notice("yookassa", json.dumps(notice).encode(), address)

    def deposits(self) -> list[tuple[int, str]]:
        return self.database.fetch_now("SELECT amount, reference FROM entry WHERE kind = 'deposit' ORDER BY id")

    def later(self, seconds: float) -> None:
        self.clock.now += int(seconds * 1000)


def make_till(url: str, api: Any, clock: Clock | None = None) -> Till:
    clock = clock or Clock()
    database = open_database(url, durable=False)
    migrate(database)
    ids = IdSource(clock_ns=lambda: clock() * 1_000_000)
    ledger = OfflineLedger(database, ids=ids, clock_ms=clock)
    accounts = Accounts(database, lambda: clock() / 1000)
    providers = {"yookassa": YooKassa(shop_id=fake.SHOP, secret_key=fake.SECRET, api_url=api.url)}
    problems: list[str] = []
    cashier = Cashier(
        database, ledger, providers=providers, currency="RUB", amount_min=10**9, amount_max=10**15,
        return_url="https://gateway.example/balance", ids=ids, clock_ms=clock, funded=lambda *_: None,
        problem=problems.append,
    )  # fmt: skip
    refunds = Refunds(database, ledger, providers=providers, ids=ids, clock_ms=clock, problem=problems.append)
    desk = PaymentDesk(cashier, refunds, providers=providers, clock_ms=clock, problem=problems.append)
    vouchers = Vouchers(
        database, ledger, ids=ids, clock_ms=clock, random_bytes=os.urandom, currency="RUB", funded=lambda *_: None
    )
    return Till(database, ledger, accounts, cashier, refunds, desk, vouchers, clock, problems, api)


@pytest.fixture
def api() -> Iterator[Any]:
    served = fake.FakeYooKassa()
    yield served
    served.close()


@pytest.fixture
def till(database_url: str, api: Any) -> Iterator[Till]:
    made = make_till(database_url, api)
    yield made
    made.ledger.close()
    made.database.close()


@pytest.fixture
def others(database_url: str, api: Any) -> Iterator[Any]:
    """Makes the parts of further processes on the same database."""
    made: list[Till] = []

    def other(clock: Clock) -> Till:
        made.append(make_till(database_url, api, clock))
        return made[-1]

    yield other
    for one in made:
        one.ledger.close()
        one.database.close()


@pytest.fixture
def account(till: Till) -> int:
    return till.accounts.create(f"acme-{next(_numbers)}").id


_numbers = itertools.count(1)
