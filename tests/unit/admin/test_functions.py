"""What the functions behind pages and API say: revenue, cost, what-if, providers, search."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from proxyapi.admin import revenue
from proxyapi.ledger.ops import Attempt
from proxyapi.ledger.periods import DAY_MS


def _move_to_last_month(house: Any) -> None:
    """Requests of today become requests of a day of the last month."""
    first, _, _ = revenue.month_before(int(time.time() * 1000))
    with house.database.transaction() as transaction:
        transaction.execute("UPDATE rollup_total SET day = ?", (first + 3,))


def test_revenue_is_what_was_charged_and_cost_is_without_the_markup(house: Any) -> None:
    house.do("PATCH", "/pricing", {"markup": 0.2})
    account = house.account(deposit="100000")
    asyncio.run(house.spend(account))  # a million input tokens: $2.50 × 100 × 1.2
    found = house.get("/revenue", by="model")
    assert found["total"]["revenue"] == 300 and found["total"]["cost"] == 250 and found["total"]["margin"] == 50
    assert [line["name"] for line in found["lines"]] == ["openai/gpt-4o"]
    assert house.get("/revenue", by="provider")["lines"][0]["name"] == "openai"
    assert house.get("/revenue", by="day")["lines"][0]["requests"] == 1
    assert found["balances"] == 100_000 - 300


def test_the_cost_of_a_model_with_an_own_price_is_its_tokens_at_published_prices(house: Any) -> None:
    house.do("PUT", "/prices/openai/gpt-4o", {"prices": {"input_tokens": 200, "output_tokens": 900}})
    account = house.account(deposit="1000")
    asyncio.run(house.spend(account))
    total = house.get("/revenue")["total"]
    assert (total["revenue"], total["cost"], total["margin"]) == (200, 250, -50)


def test_the_cost_that_requests_were_recorded_with_wins_over_any_estimate(house: Any) -> None:
    account = house.account(deposit="100000")
    asyncio.run(house.spend(account, upstream_cost=240 * 10**9))  # the markup was another one then
    house.do("PATCH", "/pricing", {"markup": 0.25})
    total = house.get("/revenue")["total"]
    assert (total["revenue"], total["cost"], total["cost_estimated"]) == (250, 240, 0)
    asyncio.run(house.spend(account))  # 312.5, of which nothing was recorded
    total = house.get("/revenue")["total"]
    assert (total["revenue"], total["cost"], total["cost_estimated"]) == (562.5, 490, 250)
    house.do("PUT", "/prices/openai/gpt-4o", {"prices": {"input_tokens": 1000}})
    total = house.get("/revenue")["total"]  # two million tokens cost 500: 312.5 of 562.5 were not recorded
    assert (total["cost"], total["cost_estimated"]) == (517.777777777, 277.777777777)


def test_another_markup_is_put_on_the_recorded_cost(house: Any) -> None:
    account = house.account(deposit="100000")
    asyncio.run(house.spend(account, upstream_cost=200 * 10**9))
    asyncio.run(house.spend(account, provider="sandbox", upstream_cost=0))
    house.do("PATCH", "/pricing", {"markup": 0.25})
    _move_to_last_month(house)
    found = house.get("/pricing/what-if", exchange_rate="100", markup="0.5")
    assert found["was"] == {"revenue": 500, "cost": 200, "margin": 300}
    assert found["would"] == {"revenue": 300 + 300, "cost": 200, "margin": 400}
    assert found["cost_estimated"] == 0


def test_the_sandbox_costs_nothing(house: Any) -> None:
    account = house.account(deposit="1000")
    asyncio.run(house.spend(account, provider="sandbox"))
    total = house.get("/revenue")["total"]
    assert total["revenue"] == 250 and total["cost"] == 0


def test_a_loss_is_told_beside_the_revenue(house: Any) -> None:
    account = house.account(deposit="250")

    async def overrun() -> None:
        price = house.back.office.prices().resolve("chat", "openai_chat", "openai/gpt-4o", None).price
        from proxyapi.ids import IdSource
        from proxyapi.ledger.ledger import Ledger
        from proxyapi.ledger.ops import Ending, Hold

        ledger, id = Ledger(house.database, worker="test", ids=IdSource()), IdSource()()
        await ledger.open()
        told = {"provider": "openai", "model": "openai/gpt-4o", "operation": "chat"}
        await ledger.hold(Hold(id=id, account_id=account, key_id=1, amount=10**9, price=price, **told))
        await ledger.settle(Ending(id=id, account_id=account, price=price, actual=400 * 10**9, **told))
        await ledger.close()

    asyncio.run(overrun())
    total = house.get("/revenue")["total"]
    assert (total["revenue"], total["loss"]) == (250, 150)


def test_what_another_markup_would_have_brought(house: Any) -> None:
    house.do("PATCH", "/pricing", {"markup": 0.2})
    account = house.account(deposit="100000")
    asyncio.run(house.spend(account))
    _move_to_last_month(house)
    found = house.get("/pricing/what-if", exchange_rate="110", markup="0.5")
    assert found["was"] == {"revenue": 300, "cost": 250, "margin": 50}
    assert found["would"] == {"revenue": 412.5, "cost": 275, "margin": 137.5}


def test_own_prices_stay_whatever_the_markup(house: Any) -> None:
    house.do("PUT", "/prices/openai/gpt-4o", {"prices": {"input_tokens": 400, "output_tokens": 900}})
    account = house.account(deposit="1000")
    asyncio.run(house.spend(account))
    _move_to_last_month(house)
    assert house.get("/pricing/what-if", exchange_rate="100", markup="9")["would"]["revenue"] == 400


@pytest.mark.parametrize("wrong", [{"since": "2026-13-01"}, {"since": "yesterday"}, {"since": "2000-01-01"}])
def test_a_report_of_days_that_are_none_is_refused(house: Any, wrong: dict[str, str]) -> None:
    query = "&".join(f"{name}={value}" for name, value in wrong.items())
    assert house.ask("GET", "/revenue", query=query).status == 400


def test_prices_say_what_customers_pay_and_what_it_costs(house: Any) -> None:
    house.do("PATCH", "/pricing", {"markup": 0.1, "exchange_rate": 90})
    found = {price["unit"]: price for price in house.get("/prices/openai/gpt-4o")["prices"]}
    assert found["input_tokens"] == {
        "unit": "input_tokens",
        "price": 247.5,
        "cost": 225,
        "own": False,
        "follows": False,
    }
    house.do("PUT", "/prices/openai/gpt-4o", {"prices": {"input_tokens": 300}})
    own = house.get("/prices", source="own")["items"]
    assert [item["model"] for item in own] == ["openai/gpt-4o"]
    found = {price["unit"]: price for price in own[0]["prices"]}
    assert found["input_tokens"]["own"] and found["input_tokens"]["price"] == 300
    assert not found["output_tokens"]["own"] and found["output_tokens"]["price"] == 990
    house.do("DELETE", "/prices/openai/gpt-4o", status=204)
    assert house.get("/prices", source="own")["items"] == []


def test_every_model_on_sale_is_on_some_page_of_the_prices(house: Any) -> None:
    names, after = [], ""
    while after is not None:
        page = house.get("/prices", limit=200, after=after)
        names += [item["model"] for item in page["items"]]
        after = page["next"]
    assert names == [listing.name for listing in house.back.office.prices().models()]


def test_stored_pricing_wins_until_it_is_taken_away(house: Any) -> None:
    house.do("PATCH", "/pricing", {"markup": 0.3})
    assert house.get("/pricing")["markup"] == 0.3
    house.do("PATCH", "/pricing", {"exchange_rate": 80})
    assert house.get("/pricing")["markup"] == 0.3  # what is left out stays
    house.do("PATCH", "/pricing", {"markup": None})
    found = house.get("/pricing")
    assert (found["markup"], found["exchange_rate"], found["exchange_rate_configured"]) == (0, 80, 100)


def test_a_provider_that_fails_is_told_from_one_that_is_quiet_or_off(house: Any) -> None:
    account = house.account(deposit="100000")

    def state(name: str) -> str:
        return str(house.get(f"/providers/{name}")["state"])

    assert state("openai") == "not_connected"
    assert state("sandbox") == "quiet"
    asyncio.run(house.spend(account, provider="sandbox"))
    found = house.get("/providers/sandbox")
    assert (found["state"], found["requests_today"], found["first_byte_ms"]) == ("working", 1, 420)
    assert found["timeline"][-1] == {"requests": 1, "failed": 0}
    for _ in range(5):
        asyncio.run(house.spend(account, provider="sandbox", ending="upstream_broken"))
    assert state("sandbox") == "failing"
    house.do("PATCH", "/providers/openai", {"enabled": False})
    assert state("openai") == "off"
    house.do("PATCH", "/providers/openai", {"enabled": None})
    assert state("openai") == "not_connected"


def test_an_account_is_found_by_a_part_of_its_name_by_number_and_by_a_user(house: Any) -> None:
    acme, other = house.account("Acme 100%"), house.account("Other_one")
    with house.database.transaction() as transaction:
        transaction.execute(
            "INSERT INTO console_user (email, password, role, account_id, created_at) VALUES (?, ?, ?, ?, ?)",
            ("ann@polden.example", "x", "customer", other, 0),
        )

    def found(query: str) -> list[int]:
        return [item["id"] for item in house.get("/accounts", query=query)["items"]]

    assert found("acme") == found("100%25") == found(str(acme)) == [acme]
    assert found("polden") == found("r_o") == [other]
    assert found("100_") == found("nobody") == []
    assert house.get(f"/accounts/{other}")["users"] == ["ann@polden.example"]


def test_accounts_with_little_money_and_blocked_ones_can_be_listed(house: Any) -> None:
    rich, poor, blocked = house.account("rich", deposit="500"), house.account("poor"), house.account("blocked")
    house.do("PATCH", f"/accounts/{blocked}", {"blocked": True})

    def found(state: str) -> set[int]:
        return {item["id"] for item in house.get("/accounts", state=state)["items"]}

    assert (found("low"), found("blocked"), found("all")) == ({poor}, {blocked}, {rich, poor, blocked})


def test_an_account_says_what_it_spent_this_month(house: Any) -> None:
    account = house.account(deposit="1000")
    asyncio.run(house.spend(account))
    assert house.get(f"/accounts/{account}")["spent_this_month"] == 250
    assert [entry["kind"] for entry in house.get(f"/accounts/{account}/entries")["items"]] == ["settle", "deposit"]


def test_the_journal_leaves_it_to_the_receipt_to_tell_of_providers_that_were_asked_in_vain(house: Any) -> None:
    account = house.account(deposit="1000")
    asyncio.run(house.spend(account, tried=(Attempt("openai", "openai/gpt-4o", 503, "upstream_error"),)))
    assert house.get(f"/accounts/{account}/entries")["items"][0]["note"] is None


def test_an_audit_is_kept_for_whoever_looks_next(house: Any) -> None:
    account = house.account(deposit="1000")
    asyncio.run(house.spend(account))
    assert house.do("POST", "/audit", {})["ok"]
    with house.database.transaction() as transaction:
        transaction.execute("UPDATE account SET spent = spent + 1 WHERE id = ?", (account,))
    assert house.get("/audit")["ok"]  # the one that was asked for
    found = house.do("POST", "/audit", {})
    assert not found["ok"] and found["violations"][0]["sentence"]
    assert not house.get("/audit")["ok"]


def test_a_refund_is_taken_at_once_and_sent_by_the_next_round(house: Any) -> None:
    account = house.account()
    payment = house.back.cashier.start(account, 100 * 10**9, provider="yookassa")
    house.api.pay(payment.provider_id)
    house.back.cashier.refresh(payment)
    (found,) = house.get("/payments", account=account)["items"]
    assert (found["state"], found["refundable"]) == ("succeeded", 100)
    made = house.do("POST", f"/payments/{found['id']}/refunds", {"amount": 30})
    assert (made["state"], house.get(f"/accounts/{account}")["balance"]) == ("new", 70)
    house.back.payments.reconcile()
    assert house.get(f"/payments/{found['id']}")["refunds"][0]["state"] == "succeeded"


def test_months_and_days_are_those_of_utc() -> None:
    leap = 19_783 * DAY_MS  # 1 March 2024
    first, after, name = revenue.month_before(leap)
    assert (revenue.day_name(first), revenue.day_name(after), name) == ("2024-02-01", "2024-03-01", "2024-02")
