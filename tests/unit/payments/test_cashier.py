"""Payments through YooKassa, from the order to exactly one deposit, whatever is lost, repeated or forged on the way."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from proxyapi.errors import InvalidRequest, NotFound, PaymentRefused, PaymentUnknown, TooManyRequests
from proxyapi.ids import format_id
from proxyapi.money import NANOS_PER_UNIT

ROUBLE = NANOS_PER_UNIT
KOPECK = ROUBLE // 100


def test_a_paid_order_becomes_one_deposit(till: Any, account: int) -> None:
    payment = till.begin(account)
    assert (payment.state, till.balance(account)) == ("pending", 0)
    assert payment.link == f"https://pay.example/{payment.provider_id}"
    till.tell(till.api.pay(payment.provider_id))
    assert till.balance(account) == 100 * ROUBLE
    assert till.cashier.records.payment(payment.id).state == "succeeded"
    assert till.deposits() == [(100 * ROUBLE, f"yookassa:{payment.provider_id}")]


def test_the_provider_is_told_kopecks_our_id_and_where_the_customer_comes_back_to(till: Any, account: int) -> None:
    payment = till.cashier.start(account, 1_234 * ROUBLE + 5 * KOPECK, provider="yookassa")
    ((method, path, body),) = till.api.asked
    assert (method, path) == ("POST", "/v3/payments")
    assert body["amount"] == {"value": "1234.05", "currency": "RUB"}
    assert body["metadata"]["order_id"] == format_id(payment.id)
    assert body["confirmation"]["return_url"] == f"https://gateway.example/balance?payment={format_id(payment.id)}"


@pytest.mark.parametrize("amount", [ROUBLE, 99_999_999 * KOPECK, 10**15, 250_000 * ROUBLE + KOPECK])
def test_every_kopeck_arrives(till: Any, account: int, amount: int) -> None:
    payment = till.cashier.start(account, amount, provider="yookassa")
    till.tell(till.api.pay(payment.provider_id))
    assert till.balance(account) == amount


def test_a_notice_that_comes_again_deposits_nothing(till: Any, account: int) -> None:
    payment = till.begin(account)
    notice = till.api.pay(payment.provider_id)
    for _ in range(3):
        till.tell(notice)
    assert till.balance(account) == 100 * ROUBLE
    assert len(till.deposits()) == 1


def test_an_old_notice_that_comes_late_undoes_nothing(till: Any, account: int) -> None:
    payment = till.begin(account)
    waiting = till.api.notice("payment.waiting_for_capture", till.api.payments[payment.provider_id])
    till.tell(till.api.pay(payment.provider_id))
    till.tell(waiting)
    till.tell(till.api.notice("payment.canceled", till.api.payments[payment.provider_id]))
    assert till.balance(account) == 100 * ROUBLE
    assert till.cashier.records.payment(payment.id).state == "succeeded"


def test_a_forged_notice_is_asked_back_and_deposits_nothing(till: Any, account: int) -> None:
    payment = till.begin(account)
    forged = till.api.notice("payment.succeeded", till.api.payments[payment.provider_id] | {"status": "succeeded"})
    till.tell(forged)
    assert (till.balance(account), till.cashier.records.payment(payment.id).state) == (0, "pending")


def test_a_notice_about_nothing_of_ours_asks_nobody(till: Any, account: int) -> None:
    till.begin(account)
    asked = len(till.api.asked)
    for subject in ({"id": "2c3b0000-0000"}, {"id": "../payments"}, {"id": ""}, {}, {"id": "x" * 65}):
        with pytest.raises(NotFound):
            till.tell(till.api.notice("payment.succeeded", subject))
    assert len(till.api.asked) == asked


def test_a_notice_from_another_address_is_not_heard(till: Any, account: int) -> None:
    payment = till.begin(account)
    notice = till.api.pay(payment.provider_id)
    for address in ("77.75.153.200", "127.0.0.1", "nonsense", ""):
        with pytest.raises(NotFound):
            till.tell(notice, address)
    assert till.balance(account) == 0
    till.tell(notice, "2a02:5180:0:2669::1")
    assert till.balance(account) == 100 * ROUBLE


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"event":1}', b"\xff", b'{"event":"payment.x","object":{}}'])
def test_what_is_no_notice_is_not_found(till: Any, body: bytes) -> None:
    with pytest.raises(NotFound):
        till.desk.notice("yookassa", body, "77.75.153.5")
    with pytest.raises(NotFound):
        till.desk.notice("nobody", body, "77.75.153.5")


def test_a_payment_of_another_order_is_not_booked_for_this_one(till: Any, account: int) -> None:
    mine, theirs = till.begin(account), till.begin(till.accounts.create("theirs").id)
    till.api.payments[mine.provider_id] = till.api.payments[theirs.provider_id] | {"id": mine.provider_id}
    with pytest.raises(NotFound):
        till.tell(till.api.pay(mine.provider_id))
    assert till.balance(account) == 0


def test_what_came_is_deposited_even_if_it_is_not_what_was_asked(till: Any, account: int) -> None:
    payment = till.begin(account)
    till.tell(till.api.pay(payment.provider_id, amount="60.00"))
    assert till.balance(account) == 60 * ROUBLE
    assert till.cashier.records.payment(payment.id).paid == 60 * ROUBLE
    assert "60 came and was deposited" in till.problems[0]


def test_another_currency_is_not_booked(till: Any, account: int) -> None:
    payment = till.begin(account)
    till.tell(till.api.pay(payment.provider_id, currency="USD"))
    found = till.cashier.records.payment(payment.id)
    assert (till.balance(account), found.state, found.reason) == (0, "failed", "currency")


def test_a_canceled_payment_says_why(till: Any, account: int) -> None:
    payment = till.begin(account)
    till.tell(till.api.cancel(payment.provider_id, "insufficient_funds"))
    found = till.cashier.records.payment(payment.id)
    assert (found.state, found.reason, till.balance(account)) == ("canceled", "insufficient_funds", 0)


def test_reserved_money_is_captured(till: Any, account: int) -> None:
    payment = till.begin(account)
    till.tell(till.api.pay(payment.provider_id, state="waiting_for_capture"))
    assert till.balance(account) == 100 * ROUBLE


def test_without_any_notice_the_payment_is_asked_for(till: Any, account: int) -> None:
    payment = till.begin(account)
    till.api.pay(payment.provider_id)
    assert till.desk.reconcile() == 0  # not yet
    till.later(31)
    assert till.desk.reconcile() == 1
    assert till.balance(account) == 100 * ROUBLE
    till.later(7_200)
    assert till.desk.reconcile() == 0


def test_open_payments_are_asked_for_less_and_less_often(till: Any, account: int) -> None:
    till.begin(account)
    rounds = 0
    for _ in range(1_000):
        till.later(60)
        rounds += till.desk.reconcile()
    assert 15 < rounds < 60


# --- faults: each step may be lost ------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["cut", "lost", "500", "202", "429", "garbage", "redirect"])
def test_an_order_whose_answer_is_lost_is_made_once(till: Any, account: int, fault: str) -> None:
    till.api.faults.append(fault)
    with pytest.raises(PaymentUnknown):
        till.begin(account)
    till.later(31)
    till.desk.reconcile()
    (payment,) = till.cashier.records.payments(account_id=account, limit=10)
    assert payment.state == "pending"
    assert list(till.api.payments) == [payment.provider_id]


def test_a_notice_finds_its_payment_though_the_answer_was_lost(till: Any, account: int) -> None:
    till.api.faults.append("lost")
    with pytest.raises(PaymentUnknown):
        till.begin(account)
    (id,) = till.api.payments
    till.tell(till.api.pay(id))
    assert till.balance(account) == 100 * ROUBLE
    till.later(31)
    till.desk.reconcile()
    assert till.balance(account) == 100 * ROUBLE


@pytest.mark.parametrize("fault", ["cut", "lost", "500", "202", "429", "garbage", "redirect"])
def test_a_notice_that_cannot_be_asked_back_is_to_be_said_again(till: Any, account: int, fault: str) -> None:
    payment = till.begin(account)
    notice = till.api.pay(payment.provider_id)
    till.api.faults.append(fault)
    with pytest.raises(PaymentUnknown):
        till.tell(notice)
    assert till.balance(account) == 0
    till.tell(notice)
    assert till.balance(account) == 100 * ROUBLE


def test_a_failure_of_one_payment_does_not_keep_the_others_waiting(till: Any, account: int) -> None:
    payments = [till.begin(account, 10) for _ in range(3)]
    for payment in payments:
        till.api.pay(payment.provider_id)
    till.later(31)
    till.api.faults.extend(["cut"])
    till.desk.reconcile()
    assert till.balance(account) == 20 * ROUBLE
    assert len(till.problems) == 1
    till.later(120)
    till.desk.reconcile()
    assert till.balance(account) == 30 * ROUBLE


def test_a_deposit_that_the_ledger_refuses_does_not_end_the_round(till: Any, account: int) -> None:
    taken, other = till.begin(account, 10), till.begin(account, 20)
    till.ledger.deposit(till.accounts.create("other").id, 5 * ROUBLE, reference=f"yookassa:{taken.provider_id}")
    for payment in (taken, other):
        till.api.pay(payment.provider_id)
    till.later(31)
    till.desk.reconcile()
    assert till.balance(account) == 20 * ROUBLE
    assert till.cashier.records.payment(taken.id).state == "pending"
    assert "could not be followed up" in till.problems[0]


def test_a_refused_order_is_over(till: Any, account: int) -> None:
    till.api.faults.append("refuse")
    with pytest.raises(PaymentRefused):
        till.begin(account)
    (payment,) = till.cashier.records.payments(account_id=account, limit=10)
    assert (payment.state, payment.reason) == ("canceled", "refused_by_provider")


def test_an_order_that_was_never_answered_is_given_up_when_it_cannot_be_repeated(till: Any, account: int) -> None:
    till.api.faults.append("cut")
    with pytest.raises(PaymentUnknown):
        till.begin(account)
    till.later(24 * 3600)
    till.desk.reconcile()
    (payment,) = till.cashier.records.payments(account_id=account, limit=10)
    assert (payment.state, payment.reason) == ("canceled", "not_answered")
    assert len(till.api.payments) == 0


def test_money_that_came_after_all_is_booked(till: Any, account: int) -> None:
    payment = till.begin(account)
    till.tell(till.api.cancel(payment.provider_id))
    till.tell(till.api.pay(payment.provider_id))
    assert till.balance(account) == 100 * ROUBLE


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_that_race_for_one_notice_deposit_once(till: Any, account: int, others: Any, processes: int) -> None:
    payment = till.begin(account)
    notice = till.api.pay(payment.provider_id)
    tills = [others(till.clock) for _ in range(processes)]
    barrier = Barrier(processes)

    def hear(one: Any) -> None:
        barrier.wait()
        one.tell(notice)

    with ThreadPoolExecutor(processes) as pool:
        for done in [pool.submit(hear, one) for one in tills]:
            done.result()
    assert till.balance(account) == 100 * ROUBLE
    assert len(till.deposits()) == 1


def test_of_processes_that_find_a_payment_due_one_asks(till: Any, account: int, others: Any) -> None:
    till.begin(account)
    till.later(31)
    other = others(till.clock)
    asked = len(till.api.asked)
    assert till.desk.reconcile() + other.desk.reconcile() == 1
    assert len(till.api.asked) == asked + 1


# --- limits and secrets -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("amount", [0, -ROUBLE, ROUBLE - 1, ROUBLE + 1, 10**15 + KOPECK])
def test_amounts_outside_the_bounds_and_parts_of_kopecks_are_refused(till: Any, account: int, amount: int) -> None:
    with pytest.raises(InvalidRequest):
        till.cashier.start(account, amount, provider="yookassa")
    assert till.api.asked == []


def test_an_account_has_so_many_open_payments_and_no_more(till: Any, account: int) -> None:
    for _ in range(20):
        till.begin(account, 1)
    with pytest.raises(TooManyRequests):
        till.begin(account, 1)


def test_no_secret_is_in_an_error_a_repr_or_a_log(till: Any, account: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    seen = []
    for fault in ("cut", "401", "500", "refuse", "garbage"):
        till.api.faults.append(fault)
        with pytest.raises((PaymentRefused, PaymentUnknown)) as caught:
            till.begin(account)
        seen += [str(caught.value), repr(caught.value), repr(caught.value.__cause__)]
    seen += [caplog.text, repr(till.cashier.__dict__), repr(till.cashier.records.payments(limit=9))]
    import yookassa

    seen.append(repr(vars(yookassa.Configuration)))
    assert all("test_secret" not in text and "dGVzdF" not in text for text in seen)
