"""A back office as the console's process has it, on a database in a file and against a YooKassa on loopback."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import proxyapi_fakes_yookassa as fake  # type: ignore[import-not-found]
import pytest
from msgspec import Struct

from proxyapi.admin.acts import Operator
from proxyapi.admin.api.answer import Answer, Question
from proxyapi.admin.tokens import Scope, Tokens
from proxyapi.backoffice import BackOffice
from proxyapi.ids import IdSource
from proxyapi.ledger.ops import Ending, Hold
from proxyapi.settings import Secret, Settings
from proxyapi.settings.model import YooKassa
from proxyapi.store.database import Database, open_database
from proxyapi.store.migrate import migrate
from proxyapi.usage import Unit

OPERATOR = Operator(name="ann@example.com", address="192.0.2.7")


class House(Struct):
    """A back office, and tokens for its API."""

    back: BackOffice
    database: Database
    api: Any
    read: str
    write: str

    def ask(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, key: str = "", query: str = ""
    ) -> Answer:
        return self.back.api.answer(
            Question(
                method=method, path=f"/admin/v1{path}", query=query, address="192.0.2.7",
                body=b"" if body is None else msgspec.json.encode(body), idempotency_key=key,
                token=self.write if token is None else token,
            )
        )  # fmt: skip

    def get(self, path: str, **query: object) -> Any:
        answer = self.ask("GET", path, query="&".join(f"{name}={value}" for name, value in query.items()))
        assert answer.status == 200, answer.body
        return msgspec.json.decode(answer.body)

    def do(self, method: str, path: str, body: Any = None, status: int | None = None, key: str = "") -> Any:
        answer = self.ask(method, path, body, key=key)
        assert answer.status == (status or {"POST": 201}.get(method, 200)), answer.body
        return msgspec.json.decode(answer.body) if answer.body else None

    def account(self, name: str = "acme", deposit: str = "") -> int:
        id: int = self.do("POST", "/accounts", {"name": name})["id"]
        if deposit:
            self.do("POST", f"/accounts/{id}/deposits", {"amount": float(deposit)})
        return id

    def acts(self) -> list[str]:
        return [act["action"] for act in self.get("/acts")["items"][::-1]]

    async def spend(self, account_id: int, model: str = "openai/gpt-4o", **changed: Any) -> bytes:
        """One request of an account, held and settled as a worker does. Its id."""
        from proxyapi.ledger.ledger import Ledger

        listing = self.back.office.prices()
        price = listing.resolve("chat", "openai_chat", model, None).price
        ids = IdSource()
        ledger = Ledger(self.database, worker="test", ids=ids)
        await ledger.open()
        id = ids()
        ending = {
            "provider": "openai", "usage": {Unit.INPUT: 1_000_000}, "actual": price.rates[Unit.INPUT],
            "first_byte_ms": 420, "upstream_cost": None,
        } | changed  # fmt: skip
        await ledger.hold(
            Hold(id=id, account_id=account_id, key_id=1, amount=ending["actual"], price=price,
                 provider=ending["provider"], model=model, operation="chat")
        )  # fmt: skip
        await ledger.settle(Ending(id=id, account_id=account_id, price=price, model=model, operation="chat", **ending))
        await ledger.close()
        return id


def settings_of(url: str, api: Any) -> Settings:
    shop = YooKassa(
        shop_id=fake.SHOP, secret_key=Secret(fake.SECRET), return_url="https://x.example/balance", api_url=api.url,
        networks=("0.0.0.0/0",),
    )  # fmt: skip
    return Settings(database_url=Secret(url), yookassa=shop, exchange_rate=Decimal(100))


@pytest.fixture
def api() -> Iterator[Any]:
    served = fake.FakeYooKassa()
    yield served
    served.close()


@pytest.fixture
def house(database_url: str, api: Any) -> Iterator[House]:
    settings = settings_of(database_url, api)
    database = open_database(settings.database, durable=False)
    database.prepare()
    migrate(database)
    tokens = Tokens(database, lambda: int(time.time() * 1000), os.urandom)
    made: dict[Scope, str] = {}
    for scope in ("read", "write"):
        made[scope] = tokens.create(OPERATOR, scope, scope, expires_at=None)[1]  # type: ignore[arg-type, index]
    back = BackOffice(settings, database, problem=lambda _: None)
    yield House(back, database, api, made["read"], made["write"])
    back.close()
    database.close()
