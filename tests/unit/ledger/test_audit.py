"""Every invariant is broken once, by hand, and the auditor has to say so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest

from proxyapi.ids import IdSource
from proxyapi.ledger.audit import audit
from proxyapi.ledger.ledger import Ledger
from proxyapi.ledger.ops import Budget, Ending, Hold
from proxyapi.ledger.reaper import reap
from proxyapi.store.sqlite import SqliteDatabase

NewHold = Callable[..., Hold]
EndingOf = Callable[..., Ending]


def one_nano_per_token(body: bytes, units: Mapping[str, int], variant: str) -> int:
    assert body == b'{"per_token":1}'
    return sum(units.values())


@pytest.fixture
def used(database: SqliteDatabase, new_hold: NewHold, ending_of: EndingOf) -> SqliteDatabase:
    """One of everything: a settle with loss, a release, an expiry with its correction, a hold in flight."""

    async def main() -> None:
        ledger = Ledger(database, worker="test", ids=IdSource())
        await ledger.open()
        budget = Budget(11, "never", 500)
        holds = [new_hold(100, budget=budget) for _ in range(4)]
        await asyncio.gather(*map(ledger.hold, holds))
        await ledger.settle(ending_of(holds[0], 950))
        await ledger.release(ending_of(holds[1], 0))
        await ledger.write("UPDATE hold SET worker_id = 999 WHERE id = ?", (holds[2].id,))
        assert await reap(database, ledger) == 1
        await ledger.settle(ending_of(holds[2], 60))
        await ledger.close()

    asyncio.run(main())
    return database


def test_a_used_ledger_audits_clean(used: SqliteDatabase) -> None:
    assert audit(used, recompute=one_nano_per_token) == []


@pytest.mark.parametrize(
    ("damage", "invariants"),
    [
        ("UPDATE account SET held = held + 1 WHERE id = 1", {"I1"}),
        ("UPDATE hold SET amount = amount - 1", {"I1"}),
        ("DELETE FROM hold", {"I1"}),
        ("UPDATE account SET spent = spent - 1 WHERE kind = 'budget'", {"I2"}),
        ("UPDATE account SET funded = funded + 1 WHERE kind = 'budget'", {"I3"}),
        ("UPDATE account SET funded = funded + 1 WHERE id = 2", {"I3"}),
        ("DELETE FROM entry WHERE kind = 'deposit' AND account_id = 1", {"I3"}),
        (
            "INSERT INTO hold SELECT id, 1, NULL, 11, 0, 1, 7, '', '', '', 0 FROM entry WHERE kind = 'settle'",
            {"I5"},
        ),
        ("UPDATE entry SET ref = x'00' WHERE kind = 'correction'", {"I5"}),
        ("UPDATE entry SET ref = id WHERE kind = 'release'", {"I5"}),
        ("UPDATE entry SET loss = loss + 1 WHERE kind = 'correction'", {"I6", "I7"}),
        ("UPDATE entry SET charged = charged - 1 WHERE kind = 'settle'", {"I2", "I6", "I7"}),
        ("UPDATE entry SET actual = actual + 1, loss = loss + 1 WHERE kind = 'settle'", {"I7", "I8"}),
        ("UPDATE entry SET units = '{\"output_tokens\":1}' WHERE kind = 'settle'", {"I7", "I8"}),
        ("UPDATE entry SET price_id = 1 WHERE kind = 'settle'", {"I8"}),
        ("UPDATE rollup SET other = 1", {"I7"}),
        ("UPDATE rollup_total SET requests = 0", {"I7"}),
        ("DELETE FROM rollup_total", {"I7"}),
        ("INSERT INTO rollup SELECT 1, account_id, key_id, model, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM rollup", {"I7"}),
        ("UPDATE worker SET seen_at = 0", {"I10"}),
        ("DELETE FROM account WHERE id = 1", {"I2"}),
    ],
)
def test_damage_is_found_and_named(used: SqliteDatabase, damage: str, invariants: set[str]) -> None:
    with used.transaction() as transaction:
        transaction.execute(damage)
    found = audit(used, recompute=one_nano_per_token)
    assert {violation.invariant for violation in found} == invariants
    assert all(len(violation.text) > 20 for violation in found)


def test_an_overdrawn_account_is_found(used: SqliteDatabase) -> None:
    with used.transaction() as transaction:
        transaction.execute("PRAGMA ignore_check_constraints=ON")
        transaction.execute("UPDATE account SET held = -1 WHERE id = 2")
        transaction.execute("PRAGMA ignore_check_constraints=OFF")
    assert "I4" in {violation.invariant for violation in audit(used, full=False)}


def test_a_damaged_file_is_found(used: SqliteDatabase) -> None:
    with used.transaction() as transaction:
        transaction.execute("PRAGMA writable_schema=ON")
        transaction.execute("UPDATE sqlite_schema SET rootpage = 3 WHERE name = 'entry_account'")
        transaction.execute("PRAGMA writable_schema=OFF")
    assert "file" in {violation.invariant for violation in audit(SqliteDatabase(used.path))}


def test_old_entries_can_be_spared_the_costly_checks(used: SqliteDatabase) -> None:
    with used.transaction() as transaction:
        transaction.execute("UPDATE entry SET price_id = 1 WHERE kind = 'settle'")
    assert audit(used, since=10**15, recompute=one_nano_per_token) == []
