"""Vouchers: each code pays once, to one account."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from proxyapi.errors import Conflict, InvalidRequest, NotFound
from proxyapi.payments.vouchers import digest_of, new_code

ROUBLE = 10**9


def _make(till: Any, number: int = 1, **changed: Any) -> tuple[Any, list[str]]:
    values = {"amount": 50 * ROUBLE, "number": number, "days": 30} | changed
    with till.database.transaction() as transaction:
        made: tuple[Any, list[str]] = till.vouchers.make(transaction, "spring", **values)
    return made


def test_a_code_pays_its_amount_once(till: Any, account: int) -> None:
    _, (code,) = _make(till)
    assert till.vouchers.redeem(account, code).new
    again = till.vouchers.redeem(account, code)
    assert (again.new, again.amount) == (False, 50 * ROUBLE)
    assert till.balance(account) == 50 * ROUBLE
    assert [p.provider for p in till.cashier.records.payments(account_id=account, limit=9)] == ["voucher"]


def test_a_code_that_paid_somebody_else_looks_like_one_that_never_was(till: Any, account: int) -> None:
    _, (code,) = _make(till)
    till.vouchers.redeem(account, code)
    other = till.accounts.create("other").id
    with pytest.raises(NotFound) as used:
        till.vouchers.redeem(other, code)
    with pytest.raises(NotFound) as unknown:
        till.vouchers.redeem(other, "00000-00000-00000-00000")
    assert str(used.value) == str(unknown.value)
    assert till.balance(other) == 0


def test_expired_and_revoked_codes_pay_nothing(till: Any, account: int) -> None:
    batch, (late, early) = _make(till, 2)
    till.vouchers.redeem(account, early)
    till.clock.now = batch.expires_at
    with pytest.raises(NotFound):
        till.vouchers.redeem(account, late)
    batch, (code,) = _make(till)
    with till.database.transaction() as transaction:
        till.vouchers.revoke(transaction, batch.id)
    with pytest.raises(NotFound):
        till.vouchers.redeem(account, code)
    with till.database.transaction() as transaction, pytest.raises(Conflict):
        till.vouchers.revoke(transaction, batch.id)
    assert till.balance(account) == 50 * ROUBLE


def test_a_code_is_read_as_people_write_it(till: Any, account: int) -> None:
    _, (code,) = _make(till)
    written = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert till.vouchers.redeem(account, f" {written} ").new


def test_codes_are_stored_as_digests_only(till: Any) -> None:
    batch, codes = _make(till, 20)
    rows = till.database.fetch_now("SELECT * FROM voucher ORDER BY id")
    assert [row[2] for row in rows] == [digest_of(code) for code in codes]
    assert not any(code in repr(rows) or code.replace("-", "") in repr(rows) for code in codes)
    assert batch.number == len(set(codes)) == 20


def test_many_who_redeem_one_code_at_once_are_paid_once(till: Any, others: Any) -> None:
    _, (code,) = _make(till)
    accounts = [till.accounts.create(f"racer-{n}").id for n in range(4)]
    tills = [others(till.clock) for _ in accounts]
    barrier = Barrier(len(accounts))

    def redeem(at: tuple[Any, int]) -> int:
        barrier.wait()
        try:
            return int(at[0].vouchers.redeem(at[1], code).new)
        except NotFound:
            return 0

    with ThreadPoolExecutor(len(accounts)) as pool:
        assert sum(pool.map(redeem, zip(tills, accounts, strict=True))) == 1
    assert sum(till.balance(account) for account in accounts) == 50 * ROUBLE


@pytest.mark.parametrize(
    "changed", [{"amount": 0}, {"amount": 10**18}, {"number": 0}, {"number": 10_001}, {"days": 0}, {"days": 4_000}]
)
def test_a_batch_has_bounds(till: Any, changed: Any) -> None:
    with pytest.raises(InvalidRequest):
        _make(till, **changed)


def test_batches_say_how_many_codes_have_paid(till: Any, account: int) -> None:
    _, codes = _make(till, 3)
    till.vouchers.redeem(account, codes[1])
    (batch,) = till.vouchers.batches(limit=10)
    assert (batch.number, batch.redeemed) == (3, 1)


def test_a_code_has_a_hundred_random_bits() -> None:
    counter = itertools.count(2**100 - 3)

    def numbers(count: int) -> bytes:
        return (next(counter) % 2**104).to_bytes(count, "big")

    codes = [new_code(numbers) for _ in range(5)]
    assert len(set(codes)) == 5
    assert all(len(code) == 23 and code.count("-") == 3 for code in codes)
