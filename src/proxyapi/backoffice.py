"""The composition of what operators and payments need: settings become the office, its API and the payment desk.

It belongs to the console's process. Nothing of it is imported by gateway workers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from proxyapi import __version__
from proxyapi.admin.api.answer import Api
from proxyapi.admin.api.server import AdminServer, forwarded_address
from proxyapi.admin.office import Installed, Office
from proxyapi.admin.tokens import Tokens
from proxyapi.console.users import Users
from proxyapi.identity.accounts import Accounts, KeyRing
from proxyapi.ids import IdSource
from proxyapi.ledger.ledger import now_ms
from proxyapi.ledger.offline import OfflineLedger
from proxyapi.money import nanos_ceil
from proxyapi.payments.cashier import Cashier
from proxyapi.payments.desk import PaymentDesk
from proxyapi.payments.port import Provider
from proxyapi.payments.refunds import Refunds
from proxyapi.payments.vouchers import Vouchers
from proxyapi.sale import shelf
from proxyapi.settings import shown

if TYPE_CHECKING:
    from proxyapi.settings import Settings
    from proxyapi.store.database import Database, Transaction

RECONCILE_SECONDS = 5.0
"""Between two rounds that ask for what is open and due."""
PRUNE_SECONDS = 3_600.0
TELLERS = 4
"""Threads that wait for payment providers."""


class BackOffice:
    """Made once for a process; safe beside others on the same database."""

    def __init__(self, settings: Settings, database: Database, *, problem: Callable[[str], None]) -> None:
        """`problem` hears, without secrets, what an operator has to look at."""
        self._ledger = OfflineLedger(database, ids=IdSource())
        self.clerk = ThreadPoolExecutor(1, thread_name_prefix="clerk")
        self.tellers = ThreadPoolExecutor(TELLERS, thread_name_prefix="teller")
        accounts = Accounts(database, time.time)

        def funded(within: Transaction, account_id: int) -> None:
            accounts.end_pauses(account_id, within=within)

        ids, providers = IdSource(), payment_providers(settings)
        shop = settings.yookassa
        self.vouchers = Vouchers(
            database, self._ledger, ids=ids, clock_ms=now_ms, random_bytes=os.urandom, currency=settings.currency,
            funded=funded,
        )  # fmt: skip
        self.cashier = Cashier(
            database, self._ledger, providers=providers, currency=settings.currency,
            amount_min=nanos_ceil(shop.amount_min), amount_max=nanos_ceil(shop.amount_max),
            return_url=shop.return_url, ids=ids, clock_ms=now_ms, funded=funded, problem=problem,
        )  # fmt: skip
        refunds = Refunds(database, self._ledger, providers=providers, ids=ids, clock_ms=now_ms, problem=problem)
        self.payments = PaymentDesk(self.cashier, refunds, providers=providers, clock_ms=now_ms, problem=problem)
        self.office = Office(
            database=database,
            ledger=self._ledger,
            accounts=accounts,
            keys=KeyRing(database, self._ledger, time.time, os.urandom),
            users=Users(database, time.time),
            vouchers=self.vouchers,
            cashier=self.cashier,
            refunds=refunds,
            shelf=shelf(settings, database),
            installed=Installed(
                exchange_rate=str(settings.exchange_rate), markup=str(settings.markup), settings=tuple(shown(settings))
            ),
            currency=settings.currency,
            clock_ms=now_ms,
        )
        self.api = Api(self.office, Tokens(database, now_ms, os.urandom))

    def server(self) -> AdminServer:
        """The routes of `/admin/v1` and of the payment providers' notices."""
        return AdminServer(
            self.api, self.payments, version=__version__, clerk=self.clerk, tellers=self.tellers,
            address_of=forwarded_address,
        )  # fmt: skip

    def close(self) -> None:
        """Waits for what runs."""
        self.tellers.shutdown(wait=True)
        self.clerk.shutdown(wait=True)
        self._ledger.close()


@contextmanager
def opened(settings: Settings, database: Database) -> Iterator[BackOffice]:
    """For the command line: closed again at the end."""
    back = BackOffice(settings, database, problem=lambda _: None)
    try:
        yield back
    finally:
        back.close()


def payment_providers(settings: Settings) -> dict[str, Provider]:
    """Those that are configured, by name."""
    shop = settings.yookassa
    if not shop.shop_id:
        return {}
    from proxyapi.payments.yookassa import API_URL, NETWORKS, YooKassa  # with it come `requests` and its kin

    return {
        "yookassa": YooKassa(
            shop_id=shop.shop_id,
            secret_key=shop.secret_key.reveal(),
            api_url=shop.api_url or API_URL,
            networks=shop.networks or NETWORKS,
        )
    }
