"""`proxyapi usage`, and databases that are none."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from proxyapi.pricing.price import make_price
from proxyapi.usage import Unit

_ROLLUP = "INSERT INTO rollup VALUES (?, 1, ?, ?, 2, 1, 100, 20, 0, 50, 5, 0, 145000000, 145000000, 0)"
_HOUR = 490_000
"""2025-11-24 16:00 UTC."""


@pytest.fixture
def used(shell: Any) -> Any:
    shell("account", "create", "acme")
    shell("key", "create", "acme", "--name", "laptop")
    with sqlite3.connect(shell.data / "proxyapi.db") as connection:
        for hour, key, model in (
            (_HOUR, 1, "openai/gpt-4o"),
            (_HOUR + 24, 1, "openai/o3"),
            (_HOUR + 24, 9, "openai/o3"),
        ):
            connection.execute(_ROLLUP, (hour, key, model))
    connection.close()
    return shell


def test_usage_is_reported_by_day_model_and_key(used: Any) -> None:
    by_day = used.json("usage")
    assert [(line["day"], line["requests"], line["charged"]) for line in by_day["lines"]] == [
        ("2025-11-24", 2, "0.145"),
        ("2025-11-25", 4, "0.29"),
    ]
    assert by_day["total"] == {"requests": 6, "failed": 3, "charged": "0.435", "loss": 0}
    assert [line["model"] for line in used.json("usage", "--by", "model")["lines"]] == ["openai/o3", "openai/gpt-4o"]
    assert [line["key"] for line in used.json("usage", "acme", "--by", "key")["lines"]] == [1, 9]


def test_usage_is_shown_as_a_table_with_a_total(used: Any) -> None:
    lines = used("usage", "--by", "key").stdout.splitlines()
    assert lines[0].split()[:2] == ["key", "requests"]
    assert lines[1].split()[:3] == ["1", "laptop", "4"]
    assert lines[-1].split() == ["total", "6", "3", "300", "60", "0", "150", "15", "0", "0.435"]


def test_usage_can_begin_at_a_date_and_be_empty(used: Any) -> None:
    since = used.json("usage", "--since", "2025-11-25")
    assert since["since"] == "2025-11-25T00:00:00Z"
    assert [line["day"] for line in since["lines"]] == ["2025-11-25"]
    used("account", "create", "other")
    assert used("usage", "other").stdout == "Nothing was used.\n"
    assert "is not a time such as" in used("usage", "--since", "yesterday", code=2).stderr


def test_a_database_that_is_none_is_a_failure_without_a_trace(shell: Any) -> None:
    shell.data.mkdir()
    (shell.data / "proxyapi.db").write_bytes(b"this is not a database, but long enough to look at" * 100)
    result = shell("account", "list", code=1)
    assert result.stderr.startswith("Error: ")
    assert "Traceback" not in result.output


def test_a_database_of_a_later_version_is_a_failure_that_says_so(shell: Any) -> None:
    shell("migrate")
    with sqlite3.connect(shell.data / "proxyapi.db") as connection:
        connection.execute("PRAGMA user_version = 9999")
    connection.close()
    assert "install a newer one" in shell("account", "list", code=1).stderr


_ENTRY = """
INSERT INTO entry (id, kind, account_id, key_id, amount, held, actual, charged, loss, price_id, variant, units, source,
                   ending, status, operation, provider, model, latency_ms, first_byte_ms, attempts, upstream_id,
                   upstream_cost, created_at)
VALUES (?, 'settle', 1, 1, 0, 200000000, 145000000, 145000000, 0, 5, '', ?, 'reported', 'completed', 200, 'chat',
        'openai', 'openai/gpt-4o', 900, 80, 1, 'req_1', 120000000, 1764108001023)"""


def test_the_receipt_of_one_request_is_shown_as_a_bill(used: Any) -> None:
    price = make_price(provider="openai", model="m", rates={**dict.fromkeys(Unit, 0), Unit.OUTPUT: 500_000_000_000})
    with sqlite3.connect(used.data / "proxyapi.db") as connection:
        connection.execute("INSERT INTO price VALUES (5, ?, 0)", (price.to_json().decode(),))
        connection.execute(_ENTRY, (bytes(16), '{"output_tokens":290}'))
    connection.close()
    lines = [" ".join(line.split()) for line in used("usage", "--request", "0" * 32).stdout.splitlines()]
    assert "state settled: answered" in lines
    assert "account acme" in lines
    assert "output_tokens 290 500 0.145" in lines
    assert lines[-6:] == [
        "cost 0.145", "held 0.2", "returned 0.055", "charged 0.145", "loss 0", "upstream cost 0.12",
    ]  # fmt: skip
    assert used.json("usage", "--request", "0" * 32)["upstream_cost"] == "0.12"
    assert "There is no request" in used("usage", "--request", "1" * 32, code=2).stderr
    assert "There is no request" in used("usage", "--request", "what", code=2).stderr
    assert "name no account" in used("usage", "acme", "--request", "1" * 32, code=2).stderr
