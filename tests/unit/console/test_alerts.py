"""Word of a low balance: once, until the balance has been high again; to public HTTPS addresses only."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import msgspec
import pytest

from proxyapi.console.alerts import Alerts, Due, check_webhook, signature, webhook_body
from proxyapi.errors import InvalidRequest
from proxyapi.store.database import Database

UNIT = 10**9


@pytest.fixture
def alerts(database: Database, clock: Any) -> Alerts:
    with database.transaction() as transaction:
        transaction.execute(
            "INSERT INTO account (id, kind, name, funded, created_at) VALUES (1, 'wallet', 'acme', ?, 1)", (100 * UNIT,)
        )
    return Alerts(database, clock, lambda n: b"s" * n)


def spend(database: Database, units: int) -> None:
    with database.transaction() as transaction:
        transaction.execute("UPDATE account SET spent = spent + ? WHERE id = 1", (units * UNIT,))


def test_an_owner_is_told_once_until_the_balance_was_high_again(alerts: Alerts, database: Database) -> None:
    alerts.put(1, threshold=50 * UNIT, email="maria@example.ru", webhook="", language="ru")
    assert alerts.due() == []
    spend(database, 60)
    (due,) = alerts.due()
    assert (due.email, due.available, due.language) == ("maria@example.ru", 40 * UNIT, "ru")
    assert alerts.due() == []
    spend(database, -60)
    assert alerts.due() == []
    spend(database, 60)
    assert len(alerts.due()) == 1


def test_a_changed_alert_tells_anew_and_keeps_its_secret(alerts: Alerts, database: Database) -> None:
    alerts.put(1, threshold=50 * UNIT, email="", webhook="https://example.com/hook", language="en")
    spend(database, 60)
    assert len(alerts.due()) == 1
    alerts.put(1, threshold=45 * UNIT, email="", webhook="https://example.com/hook", language="en")
    found = alerts.find(1)
    assert found is not None and found.secret == b"s" * 32 and len(alerts.due()) == 1
    alerts.drop(1)
    assert alerts.find(1) is None and alerts.due() == []


@pytest.mark.parametrize(
    "address",
    ["http://example.com", "https://", "ftp://example.com", "https://user:pass@example.com", "https://e.com/a b",
     "https://e.com/\r\nHost: x", "javascript:alert(1)", "https://пример.рф/", "https://e.com/" + "x" * 500,
     "https://e.com:99999/", "https://e.com:0/", "https://e.com:x/", "https://[::1", "https://e..com/",
     "https://" + "e" * 64 + ".com/", "https://:pass@e.com/", "https://e%0d%0a.com/", "https://[v1.a]/"],
)  # fmt: skip
def test_only_plain_https_addresses_are_taken(address: str) -> None:
    with pytest.raises(InvalidRequest):
        check_webhook(address)


def test_the_receiver_can_check_the_signature_with_the_secret_it_was_shown() -> None:
    due = Due(1, 50 * UNIT, "", "https://example.com", b"k" * 32, "en", 40 * UNIT + 1)
    body = webhook_body(due, "RUB", 1_800_000_000_000)
    assert msgspec.json.decode(body) == {
        "event": "balance_low",
        "available": "40.000000001",
        "threshold": "50",
        "currency": "RUB",
        "time": 1_800_000_000,
    }
    expected = hmac.new(due.secret.hex().encode(), body, hashlib.sha256).hexdigest()
    assert signature(due.secret, body) == f"sha256={expected}"
