"""The console through the gateway: one installation per test process, and somebody to visit it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from proxyapi.console.passwords import Passwords
from proxyapi.console.users import Role, Users
from proxyapi.store.database import open_database

PASSWORD = "correct horse battery"
CONFIG = 'trusted_proxies = ["127.0.0.0/8"]\n[pause]\nenabled = false\n'
CONFIG += '[fallbacks]\n"sandbox/fail-529" = ["sandbox/echo"]\n'


@pytest.fixture(scope="session")
def visiting() -> Any:
    """The module with `Visitor`, `mailed` and `text_of`."""
    from proxyapi_fakes_visitor import Visitor  # noqa: F401 - loaded by the conftest above

    return sys.modules["proxyapi_fakes_visitor"]


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory, gateways: Any, eventually: Any) -> Iterator[Any]:
    """A gateway with its console."""
    import requests

    with gateways.Gateway(tmp_path_factory.mktemp("house"), CONFIG, console=True) as gateway:
        eventually(lambda: requests.get(f"{gateway.url}/console/signin", timeout=20).status_code == 200, seconds=30)
        yield gateway


@pytest.fixture(scope="session")
def new_user(house: Any) -> Iterator[Callable[..., str]]:
    """`new_user(operator=True)`: the address of a user whose password is PASSWORD."""
    numbers = count(1)
    hashed = asyncio.run(Passwords().hash(PASSWORD))  # takes long on purpose: one for all
    database = open_database(house.store_url)
    users = Users(database, time.time)

    def make(*, operator: bool = False) -> str:
        role: Role = "operator" if operator else "customer"
        return users.add(f"user-{next(numbers)}@example.com", hashed, role=role, confirmed=True).email

    yield make
    database.close()


@pytest.fixture
def visitor(house: Any, visiting: Any) -> Any:
    """A stranger."""
    return visiting.Visitor(house.url)


@pytest.fixture
def customer(house: Any, visiting: Any, new_user: Callable[..., str]) -> Any:
    """A visitor who is signed in, with an account of its own."""
    visitor = visiting.Visitor(house.url)
    visitor.email = new_user()
    assert visitor.sign_in(visitor.email, PASSWORD).url.endswith("/console/")
    return visitor
