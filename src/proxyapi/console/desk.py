"""What the pages work with: the parts that the composition root made, in one frozen object."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Concatenate, ParamSpec, TypeVar

from msgspec import Struct

from proxyapi.admin.office import Office
from proxyapi.console.alerts import Alerts
from proxyapi.console.mail import Mailer
from proxyapi.console.passwords import Passwords
from proxyapi.console.playground import Playground
from proxyapi.console.sessions import Sessions
from proxyapi.console.speech import Languages
from proxyapi.console.users import Users
from proxyapi.identity.accounts import Accounts, KeyRing
from proxyapi.ledger.offline import OfflineLedger
from proxyapi.providers.catalog import Catalog
from proxyapi.store.database import Database

Given = ParamSpec("Given")
Result = TypeVar("Result")


class Desk(Struct, frozen=True, kw_only=True):
    """One per console process. Reads are `await desk.database.fetch(…)`, what changes something is
    `await desk.write(function, …)`: in one thread, one after the other."""

    database: Database
    accounts: Accounts
    keys: KeyRing
    ledger: OfflineLedger
    users: Users
    alerts: Alerts
    sessions: Sessions
    passwords: Passwords
    mailer: Mailer
    playground: Playground
    languages: Languages
    currency: str
    address: str
    """Where people reach the installation, as `https://api.example.com`; in links of messages and in examples."""
    signup: bool
    """May strangers make an account?"""
    zone: str
    """The time zone of users who chose none."""
    clock: Callable[[], float]
    """Seconds since 1970."""
    random_bytes: Callable[[int], bytes]
    """`os.urandom`."""
    writer: Executor
    """One thread: transactions and the ledger's connection belong to it."""
    office: Office
    """What operators do (`admin`); also `office.vouchers` and `office.cashier`, for customers who pay."""
    clerk: Executor
    """One thread: the functions of the office run in it."""
    tellers: Executor
    """A few threads that may wait for payment providers."""

    async def at_office(
        self, function: Callable[Concatenate[Office, Given], Result], *arguments: Given.args, **named: Given.kwargs
    ) -> Result:
        """Run an operator's function with the office."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.clerk, lambda: function(self.office, *arguments, **named))

    async def at_till(self, function: Callable[Given, Result], *arguments: Given.args, **named: Given.kwargs) -> Result:
        """Run what may ask a payment provider."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.tellers, lambda: function(*arguments, **named))

    async def write(self, function: Callable[Given, Result], *arguments: Given.args, **named: Given.kwargs) -> Result:
        """Run what blocks and changes the store, after what was asked before."""
        return await asyncio.get_running_loop().run_in_executor(self.writer, lambda: function(*arguments, **named))

    @property
    def catalog(self) -> Catalog:
        """What is on sale, at most some seconds old."""
        return self.office.shelf.catalog

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return int(self.clock() * 1000)

    @property
    def secure(self) -> bool:
        """Do people come over HTTPS?"""
        return self.address.startswith("https://")
