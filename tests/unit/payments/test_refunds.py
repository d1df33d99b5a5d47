"""Money back to the card: never more than came, never more than is still free, never twice."""

from __future__ import annotations

from typing import Any

import pytest

from proxyapi.errors import Conflict, InvalidRequest, NotFound, PaymentRefused, PaymentUnknown
from proxyapi.ids import format_id
from proxyapi.money import NANOS_PER_UNIT

ROUBLE = NANOS_PER_UNIT


@pytest.fixture
def paid(till: Any, account: int) -> Any:
    payment = till.begin(account)
    till.tell(till.api.pay(payment.provider_id))
    return till.cashier.records.payment(payment.id)


def _begin(till: Any, payment: Any, roubles: int | None) -> Any:
    with till.database.transaction() as transaction:
        amount = None if roubles is None else roubles * ROUBLE
        return till.refunds.begin(transaction, payment.id, amount, reason="asked for it")


def _spend(till: Any, account: int, roubles: int) -> None:
    till.ledger.adjust(account, -roubles * ROUBLE, reason="stands for requests")


def test_a_refund_takes_the_money_and_then_sends_it(till: Any, account: int, paid: Any) -> None:
    refund = _begin(till, paid, 40)
    assert (till.balance(account), till.api.refunds) == (60 * ROUBLE, {})
    assert till.refunds.send(refund).state == "succeeded"
    (made,) = till.api.refunds.values()
    assert made["amount"] == {"value": "40.00", "currency": "RUB"}
    assert till.cashier.records.payment(paid.id).refundable == 60 * ROUBLE


def test_no_more_goes_back_than_came(till: Any, account: int, paid: Any) -> None:
    till.ledger.deposit(account, 1_000 * ROUBLE)
    _begin(till, paid, 70)
    with pytest.raises(Conflict, match="At most 30 RUB"):
        _begin(till, paid, 31)
    _begin(till, paid, 30)
    with pytest.raises(Conflict):
        _begin(till, paid, None)


def test_no_more_goes_back_than_is_still_free(till: Any, account: int, paid: Any) -> None:
    _spend(till, account, 75)
    with pytest.raises(Conflict, match="At most 25 RUB"):
        _begin(till, paid, 26)
    assert _begin(till, paid, None).amount == 25 * ROUBLE
    assert till.balance(account) == 0


def test_what_requests_in_flight_hold_is_not_free(till: Any, account: int, paid: Any) -> None:
    with till.database.transaction() as transaction:
        transaction.execute("UPDATE account SET held = ? WHERE id = ?", (90 * ROUBLE, account))
    assert _begin(till, paid, None).amount == 10 * ROUBLE


def test_all_that_is_free_means_whole_kopecks(till: Any, account: int, paid: Any) -> None:
    till.ledger.adjust(account, -1, reason="a nano")
    assert _begin(till, paid, None).amount == 100 * ROUBLE - ROUBLE // 100


@pytest.mark.parametrize("nanos", [0, -ROUBLE, 1, ROUBLE + 1])
def test_parts_of_kopecks_are_refused(till: Any, paid: Any, nanos: int) -> None:
    with till.database.transaction() as transaction, pytest.raises((InvalidRequest, Conflict)):
        till.refunds.begin(transaction, paid.id, nanos, reason="")


def test_an_unpaid_order_and_a_voucher_have_nothing_to_send_back(till: Any, account: int) -> None:
    with pytest.raises(Conflict, match="has succeeded"):
        _begin(till, till.begin(account), 1)
    till.later(1)  # payments are listed by their time
    with till.database.transaction() as transaction:
        _, (code,) = till.vouchers.make(transaction, "x", amount=ROUBLE, number=1, days=1)
    till.vouchers.redeem(account, code)
    payments = till.cashier.records.payments(account_id=account, limit=9)
    voucher = next(payment for payment in payments if payment.provider == "voucher")
    with pytest.raises(Conflict, match="adjust the balance"):
        _begin(till, voucher, 1)


@pytest.mark.parametrize("fault", ["cut", "lost", "500", "202", "429", "garbage"])
def test_a_refund_whose_answer_is_lost_is_made_once(till: Any, account: int, paid: Any, fault: str) -> None:
    refund = _begin(till, paid, 40)
    till.api.faults.append(fault)
    with pytest.raises(PaymentUnknown):
        till.refunds.send(refund)
    assert till.balance(account) == 60 * ROUBLE
    till.later(31)
    till.desk.reconcile()
    assert till.refunds.records.refund(refund.id).state == "succeeded"
    assert len(till.api.refunds) == 1
    assert till.balance(account) == 60 * ROUBLE


@pytest.mark.parametrize(("fault", "state", "balance"), [("lost", "succeeded", 60), ("cut", "canceled", 100)])
def test_a_refund_too_old_to_repeat_is_looked_for(
    till: Any, account: int, paid: Any, fault: str, state: str, balance: int
) -> None:
    refund = _begin(till, paid, 40)
    till.api.faults.append(fault)
    with pytest.raises(PaymentUnknown):
        till.refunds.send(refund)
    till.later(24 * 3600)
    till.desk.reconcile()
    assert till.refunds.records.refund(refund.id).state == state
    assert till.balance(account) == balance * ROUBLE
    assert len(till.api.refunds) == (state == "succeeded")


def test_a_refused_refund_is_put_back_once(till: Any, account: int, paid: Any) -> None:
    refund = _begin(till, paid, 40)
    till.api.faults.append("refuse")
    with pytest.raises(PaymentRefused):
        till.refunds.send(refund)
    till.refunds.send(refund)  # a stale copy
    assert till.api.refunds == {}
    found = till.refunds.records.refund(refund.id)
    assert (found.state, till.balance(account)) == ("canceled", 100 * ROUBLE)
    assert till.cashier.records.payment(paid.id).refundable == 100 * ROUBLE


def test_a_refund_that_was_put_back_and_made_after_all_is_taken_again(till: Any, account: int, paid: Any) -> None:
    refund = _begin(till, paid, 40)
    till.api.faults.append("refuse")
    with pytest.raises(PaymentRefused):
        till.refunds.send(refund)
    made = till.refunds._providers["yookassa"].refund(paid.provider_id, format_id(refund.id), 40 * ROUBLE, "RUB")
    for _ in range(2):
        till.tell(till.api.notice("refund.succeeded", {"id": made.id, "payment_id": made.payment_id}))
    assert till.balance(account) == 60 * ROUBLE
    assert till.cashier.records.payment(paid.id).refundable == 60 * ROUBLE


def test_a_refund_that_the_provider_cancels_later_is_put_back(till: Any, account: int, paid: Any) -> None:
    till.api.refund_state = "pending"
    refund = till.refunds.send(_begin(till, paid, 40))
    assert (refund.state, till.balance(account)) == ("pending", 60 * ROUBLE)
    (made,) = till.api.refunds.values()
    made |= {"status": "canceled", "cancellation_details": {"party": "yoo_money", "reason": "insufficient_funds"}}
    till.later(31)
    till.desk.reconcile()
    found = till.refunds.records.refund(refund.id)
    assert (found.state, found.reason, till.balance(account)) == ("canceled", "insufficient_funds", 100 * ROUBLE)


def test_a_refund_made_in_the_office_is_taken_from_the_account_once(till: Any, account: int, paid: Any) -> None:
    notice = till.api.refund_in_office(paid.provider_id, "30.00")
    till.tell(notice)
    till.tell(notice)
    assert till.balance(account) == 70 * ROUBLE
    assert len(till.refunds.records.refunds(paid.id)) == 1


def test_what_was_spent_before_a_refund_in_the_office_is_a_loss_that_is_told(
    till: Any, account: int, paid: Any
) -> None:
    _spend(till, account, 90)
    till.tell(till.api.refund_in_office(paid.provider_id, "30.00"))
    (refund,) = till.refunds.records.refunds(paid.id)
    assert (refund.amount, refund.taken, till.balance(account)) == (30 * ROUBLE, 10 * ROUBLE, 0)
    assert "20 of it had been spent" in till.problems[0]


def test_a_refund_may_be_noticed_before_its_payment(till: Any, account: int) -> None:
    payment = till.begin(account)
    till.api.pay(payment.provider_id)
    till.tell(till.api.refund_in_office(payment.provider_id, "30.00"))
    assert till.balance(account) == 70 * ROUBLE


def test_the_notice_of_our_own_refund_takes_nothing_twice(till: Any, account: int, paid: Any) -> None:
    refund = _begin(till, paid, 40)
    till.api.faults.append("lost")
    with pytest.raises(PaymentUnknown):
        till.refunds.send(refund)
    (made,) = till.api.refunds.values()
    till.tell(till.api.notice("refund.succeeded", made))
    assert till.refunds.records.refund(refund.id).state == "succeeded"
    assert till.balance(account) == 60 * ROUBLE


def test_a_forged_notice_of_a_refund_takes_nothing(till: Any, account: int, paid: Any) -> None:
    with pytest.raises(NotFound):
        till.tell(till.api.notice("refund.succeeded", {"id": "made-up", "payment_id": paid.provider_id}))
    assert till.balance(account) == 100 * ROUBLE
