"""Receipts: rows and a price become what a customer, or the operator, is shown of one request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from proxyapi.ids import IdSource, format_id
from proxyapi.ledger.ledger import Ledger
from proxyapi.ledger.ops import Ending, Hold
from proxyapi.ledger.plan import correction_id
from proxyapi.ledger.reaper import reap
from proxyapi.ledger.receipt import (
    ENDINGS,
    Entry,
    Held,
    Receipt,
    ReceiptLine,
    customer_json,
    find_receipt,
    operator_json,
    receipt_now,
    receipt_of,
)
from proxyapi.pricing.charge import charge
from proxyapi.pricing.price import Price, make_price
from proxyapi.store.database import Database
from proxyapi.usage import Unit

PRICE = make_price(
    provider="openai",
    model="gpt-4o",
    rates={**dict.fromkeys(Unit, 0), Unit.INPUT: 100_000_000_000, Unit.OUTPUT: 500_000_000_000},
    markup="0.2",
)
ID = IdSource(clock_ns=lambda: 1_764_108_000_123_000_000, random_bytes=bytes)()


def entry(kind: str = "settle", **fields: Any) -> Entry:
    usual: dict[str, Any] = {
        "id": ID, "kind": kind, "account_id": 1, "key_id": 7, "held": 200_000_000, "actual": 145_000_000,
        "charged": 145_000_000, "loss": 0, "price_id": PRICE.id, "variant": "",
        "units": '{"input_tokens":850,"output_tokens":120}', "source": "reported", "ending": "completed", "status": 200,
        "operation": "chat", "provider": "openai", "model": "openai/gpt-4o", "latency_ms": 900, "first_byte_ms": 80,
        "attempts": 1, "upstream_id": "req_1", "upstream_cost": 120_000_000, "created_at": 1_764_108_001_023,
    }  # fmt: skip
    return Entry(**(usual | fields))


def receipt(row: Entry | Held, correction: Entry | None = None) -> Receipt:
    return receipt_of(row, correction, PRICE.to_json())


def told(value: dict[str, object]) -> Any:
    return json.loads(msgspec.json.encode(value), parse_float=Decimal)


def test_an_answered_request_shows_its_lines_and_what_returned() -> None:
    found = told(customer_json(receipt(entry()), "RUB"))
    assert found == {
        "id": format_id(ID), "state": "settled", "model": "openai/gpt-4o", "operation": "chat",
        "started_at": "2025-11-25T22:00:00.123Z", "ended_at": "2025-11-25T22:00:01.023Z", "currency": "RUB",
        "held": Decimal("0.2"), "price_version": str(PRICE.id), "latency_ms": 900, "first_byte_ms": 80,
        "lines": [
            {"unit": "input_tokens", "quantity": 850, "price_per_million": 100, "amount": Decimal("0.085")},
            {"unit": "output_tokens", "quantity": 120, "price_per_million": 500, "amount": Decimal("0.06")},
        ],
        "variant": "", "usage_source": "reported", "cost": Decimal("0.145"), "charged": Decimal("0.145"),
        "returned": Decimal("0.055"), "covered_by_operator": 0, "provider": "openai", "attempts": 1, "tried": [],
        "status": 200, "ending": "completed", "ending_text": "answered", "corrected_at": None,
    }  # fmt: skip


def test_a_request_that_went_on_to_another_provider_says_who_did_not_answer_and_why() -> None:
    note = '[{"provider":"openai","model":"openai/gpt-4o","status":503,"ending":"upstream_refused"}]'
    found = told(customer_json(receipt(entry(provider="openrouter", attempts=2, note=note)), "RUB"))
    assert (found["provider"], found["attempts"]) == ("openrouter", 2)
    assert found["tried"] == [
        {
            "provider": "openai", "model": "openai/gpt-4o", "status": 503, "ending": "upstream_refused",
            "ending_text": "the provider refused it",
        }
    ]  # fmt: skip


def test_only_the_operator_is_told_what_it_paid_and_lost() -> None:
    row = entry(actual=300_000_000, charged=200_000_000, loss=100_000_000)
    customer, operator = (told(show(receipt(row), "RUB")) for show in (customer_json, operator_json))
    assert not {"loss", "upstream_cost", "upstream_id", "account_id"} & customer.keys()
    assert customer["covered_by_operator"] == Decimal("0.1")
    assert (operator["loss"], operator["upstream_cost"]) == (Decimal("0.1"), Decimal("0.12"))
    assert operator.items() >= customer.items()


def test_a_running_request_is_held_with_its_amount() -> None:
    found = told(customer_json(receipt(Held(ID, 1, 7, 200_000_000, PRICE.id, "chat", "openai", "m", 5)), "RUB"))
    assert (found["state"], found["held"]) == ("held", Decimal("0.2"))
    assert "charged" not in found and "lines" not in found


def test_a_lost_worker_is_no_loss_of_the_customers() -> None:
    lost = entry("expire", actual=0, charged=0, loss=200_000_000, units="{}", ending="worker_lost", upstream_cost=None)
    found = told(customer_json(receipt(lost), "RUB"))
    assert (found["state"], found["charged"], found["covered_by_operator"], found["lines"]) == ("expired", 0, 0, [])
    assert found["returned"] == Decimal("0.2")


def test_a_correction_tells_what_it_really_was() -> None:
    lost = entry("expire", actual=0, charged=0, loss=200_000_000, units="{}", ending="worker_lost", upstream_cost=None)
    late = entry("correction", id=correction_id(ID), held=0, loss=-200_000_000, created_at=1_764_108_100_000)
    found = receipt(lost, late)
    assert (found.state, found.actual, found.charged, found.loss) == ("corrected", 145_000_000, 145_000_000, 0)
    assert (found.ending, found.corrected_at, found.ended_at) == ("completed", 1_764_108_100_000, 1_764_108_001_023)
    assert (found.returned, len(found.lines), found.id) == (55_000_000, 2, ID)


def test_a_word_without_a_sentence_stands_for_itself() -> None:
    assert receipt(entry(ending="something_new")).words == "something new"
    assert all(words and not words.endswith(".") for words in ENDINGS.values())


quantities = st.dictionaries(st.sampled_from([u for u in Unit if u is not Unit.REPORTED_COST]), st.integers(0, 10**7))


@given(quantities, st.dictionaries(st.sampled_from(list(Unit)), st.integers(0, 10**13)))
def test_lines_sum_to_the_cost_rounded_up(usage: dict[Unit, int], rates: dict[Unit, int]) -> None:
    price: Price = make_price(provider="p", model="m", rates={**dict.fromkeys(Unit, 0), **rates})
    units = json.dumps({unit.value: quantity for unit, quantity in usage.items()})
    found = receipt_of(entry(units=units), None, price.to_json())
    total = sum((Decimal(line.amount) for line in found.lines), Decimal(0)) * 10**9
    assert total <= charge(usage, price) < total + 1


def test_an_amount_is_exact_to_the_last_digit() -> None:
    assert ReceiptLine("x", 1, 1).amount == "0.000000000000001"
    assert ReceiptLine("x", 2_000_000, 10**9).amount == "2"
    assert ReceiptLine("x", 0, 5).amount == "0"


def test_the_journal_is_asked_for_the_entry_its_correction_or_the_hold(
    database: Database, new_hold: Callable[..., Hold], ending_of: Callable[..., Ending]
) -> None:
    async def scenario() -> None:
        ledger = Ledger(database, worker="test", ids=IdSource())
        await ledger.open()
        holds = [new_hold(100) for _ in range(3)]
        for hold in holds:
            hold.price = PRICE
            await ledger.hold(hold)
        running = await find_receipt(database, holds[0].id)
        assert running is not None and (running.state, running.held, running.lines) == ("held", 100, ())
        await ledger.settle(ending_of(holds[0], 60))
        settled = await find_receipt(database, holds[0].id)
        assert settled is not None and (settled.state, settled.charged, settled.returned) == ("settled", 60, 40)
        await ledger.write("UPDATE hold SET worker_id = 999 WHERE id = ?", (holds[1].id,))
        assert await reap(database, ledger) == 1
        expired = await find_receipt(database, holds[1].id)
        assert expired is not None and (expired.state, expired.loss, expired.upstream_cost) == ("expired", 100, None)
        await ledger.settle(ending_of(holds[1], 30))
        corrected = receipt_now(database, holds[1].id)
        assert corrected is not None and (corrected.state, corrected.charged, corrected.loss) == ("corrected", 30, 0)
        assert receipt_now(database, correction_id(holds[1].id)) is None
        assert receipt_now(database, b"\0" * 16) is None
        deposit = database.fetch_now("SELECT id FROM entry WHERE kind = 'deposit'")
        assert all(receipt_now(database, row[0]) is None for row in deposit)
        await ledger.close()

    asyncio.run(scenario())
