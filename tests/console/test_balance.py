"""The balance: vouchers, alerts, and what other accounts never see."""

from __future__ import annotations

from typing import Any

PASSWORD = "correct horse battery"


def voucher(house: Any, amount: str = "100") -> str:
    (code,) = house.cli("voucher", "create", "Spring", amount, "--number", "1")["codes"]
    return str(code)


def test_a_voucher_is_booked_once(house: Any, customer: Any, visiting: Any, new_user: Any) -> None:
    code = voucher(house, "250.50")
    customer.get("/balance")
    page = customer.post("/balance/voucher", code=code.lower())
    assert "The voucher is booked" in page.text and "+250" in page.text
    other = visiting.Visitor(house.url)
    other.sign_in(new_user(), PASSWORD)
    other.get("/balance")
    assert other.post("/balance/voucher", code=code).status_code == 400
    assert str(house.cli("account", "show", customer.email)["balance"]) == "250.5"


def test_guessing_at_vouchers_is_stopped(house: Any, customer: Any) -> None:
    customer.get("/balance")
    answers = [customer.post("/balance/voucher", code=f"AAAA-{number}").status_code for number in range(11)]
    assert answers[:10] == [400] * 10 and answers[10] == 429


def test_the_owner_is_told_when_little_is_left(house: Any, customer: Any, eventually: Any) -> None:
    house.cli("deposit", customer.email, "10")
    customer.get("/balance")
    page = customer.post("/balance/alert", on="1", threshold="50", email=customer.email, webhook="")
    assert "The alert is saved" in page.text
    eventually(
        lambda: f"a message to {customer.email}" in house.log() and "The balance runs low" in house.log(), seconds=30
    )
    assert "told" in customer.get("/balance").text


def test_a_webhook_is_a_public_https_address(customer: Any) -> None:
    customer.get("/balance")
    page = customer.post("/balance/alert", on="1", threshold="50", email="", webhook="http://127.0.0.1/x")
    assert page.status_code == 400 and "begins with https://" in page.text


def test_there_is_no_card_without_a_payment_service_and_no_payment_of_others(customer: Any) -> None:
    page = customer.get("/balance")
    assert "/balance/pay" not in page.text
    assert customer.post("/balance/pay", amount="100").status_code == 404
    assert customer.get("/balance/payment?payment=00000000-0000-7000-8000-000000000000").status_code == 404
    assert customer.get("/balance/payment?payment=x").status_code == 404
