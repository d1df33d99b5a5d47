"""Every invariant is broken once, by hand, and the auditor has to say so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest

from proxyapi.ids import IdSource, format_id
from proxyapi.ledger.audit import audit, examine
from proxyapi.ledger.ledger import Ledger
from proxyapi.ledger.ops import Budget, Ending, Hold
from proxyapi.ledger.reaper import reap
from proxyapi.store.migrate import scripts
from proxyapi.store.script import statements
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


LOST = "DELETE FROM entry WHERE kind = 'deposit' AND account_id = 1"
TWICE = """INSERT INTO hold SELECT id, 1, NULL, 11, 0, (SELECT max(id) FROM worker), 7, '', '', '', 0
           FROM entry WHERE kind = 'settle'"""
UNTAKEN = "UPDATE entry SET reference = 'invoice 1' WHERE kind = 'deposit' AND account_id = 1"
IDLE = "INSERT INTO reference VALUES ('invoice 2', x'7f000000000000000000000000000000', 1, 5)"
COSTLIER = "UPDATE entry SET actual = actual + 1, loss = loss + 1 WHERE kind = 'settle'"
FEWER = "UPDATE entry SET units = '{\"output_tokens\":1}' WHERE kind = 'settle'"
EMPTY = "INSERT INTO rollup SELECT 1, account_id, key_id, model, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM rollup"


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (
            "UPDATE account SET held = held + 1 WHERE id = 1",
            {"I1": "Account 'wallet 1' (1) has 0.000000101 on hold, but its holds sum to 0.0000001. No request does"},
        ),
        ("UPDATE hold SET amount = amount - 1", {"I1": "its holds sum to 0.000000099"}),
        ("DELETE FROM hold", {"I1": " of key 11 has 0.0000001 on hold, but its holds sum to 0"}),
        ("UPDATE account SET spent = spent - 1 WHERE kind = 'budget'", {"I2": "has spent 0.000000259, but its"}),
        ("UPDATE account SET funded = funded + 1 WHERE kind = 'budget'", {"I3": "limits sum to 0.0000005"}),
        ("UPDATE account SET funded = funded + 1 WHERE id = 2", {"I3": "`proxyapi deposit`"}),
        (LOST, {"I3": "was funded with 0.000001, but its deposits, adjustments and limits sum to 0"}),
        (TWICE, {"I5": "is held although its settle is in the journal"}),
        (UNTAKEN, {"I5": "does not hold its reference 'invoice 1': it could be booked again"}),
        (IDLE, {"I5": "reference 'invoice 2' is held by 7f000000-0000-0000-0000-000000000000, which is no"}),
        ("UPDATE entry SET ref = x'00' WHERE kind = 'correction'", {"I5": "which is no entry"}),
        ("UPDATE entry SET ref = NULL WHERE kind = 'correction'", {"I5": "corrects nothing, and not one that"}),
        ("UPDATE entry SET ref = id WHERE kind = 'release'", {"I5": "which is release"}),
        ("UPDATE entry SET kind = 'gift' WHERE kind = 'deposit'", {"I5": "is of the unknown kind 'gift'"}),
        ("UPDATE entry SET loss = loss + 1 WHERE kind = 'correction'", {"I6": "of what it corrects", "I7": "loss by"}),
        (
            "UPDATE entry SET charged = charged - 1 WHERE kind = 'settle'",
            {"I2": "but its entries charged", "I6": "are not the cost", "I7": "charged by 0.000000001 more"},
        ),
        (
            "UPDATE entry SET charged = 99, loss = actual - 99 WHERE kind = 'settle'",
            {"I2": "its entries charged", "I6": "although 0.0000001 were held for it", "I7": "loss by"},
        ),
        ("UPDATE entry SET amount = 1 WHERE kind = 'settle'", {"I3": "was funded", "I6": "which only deposits do"}),
        ("UPDATE entry SET held = 1 WHERE kind = 'deposit'", {"I6": "which only requests do"}),
        ("UPDATE entry SET actual = 1 WHERE kind = 'release'", {"I6": "nothing was generated", "I7": "actual by"}),
        ("UPDATE entry SET loss = loss - 1 WHERE kind = 'expire'", {"I6": "account for its hold", "I7": "loss"}),
        (COSTLIER, {"I7": "loss", "I8": "costs 0.00000095 by its price row, but 0.000000951 was booked"}),
        (FEWER, {"I7": "output 1010 instead of 61", "I8": "costs 0.000000001 by its price row"}),
        ("UPDATE entry SET price_id = 1 WHERE kind = 'settle'", {"I8": "names the price 1, which is not kept"}),
        ("UPDATE rollup SET other = 1", {"I7": "other 1 instead of 0"}),
        ("UPDATE rollup SET charged = charged + 1", {"I7": "differ from its entries: charged by 0.000000001 more"}),
        ("UPDATE rollup_total SET requests = 0", {"I7": "requests 0 instead of 1"}),
        ("UPDATE rollup_total SET upstream_cost = 5", {"I7": "upstream_cost 5 instead of 0"}),
        ("UPDATE rollup_total SET provider = 'google'", {"I7": "lacks the sums for"}),
        ("DELETE FROM rollup_total", {"I7": "lacks the sums for"}),
        (EMPTY, {"I7": "of which there is no entry"}),
        ("UPDATE worker SET seen_at = 0, died_at = NULL", {"I10": "start one, then it is gone within two minutes"}),
        ("UPDATE worker SET died_at = died_at - 61000", {"I10": "dead for 61 seconds. No worker that reaches"}),
        ("DELETE FROM account WHERE id = 1", {"I2": "name the account 1, which does not exist"}),
    ],
)  # fmt: skip
def test_damage_is_found_and_explained(used: SqliteDatabase, damage: str, expected: dict[str, str]) -> None:
    with used.transaction() as transaction:
        transaction.execute(damage)
    found = audit(used, recompute=one_nano_per_token)
    assert {violation.invariant for violation in found} == set(expected)
    for invariant, words in expected.items():
        assert words in " ".join(violation.text for violation in found if violation.invariant == invariant)
    told = [violation.text for violation in found]
    assert len(told) == len(set(told)), "each thing is said once"
    assert all(text[0].isupper() and text.endswith(".") for text in told)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_overdrawn_account_is_found(used: SqliteDatabase) -> None:
    with used.transaction() as transaction:
        transaction.execute("PRAGMA ignore_check_constraints=ON")
        transaction.execute("UPDATE account SET held = -1 WHERE id = 2")
        transaction.execute("PRAGMA ignore_check_constraints=OFF")
    (overdrawn,) = (violation for violation in audit(used, full=False) if violation.invariant == "I4")
    assert "funded 0, credit 0, spent 0, held -0.000000001. Block it" in overdrawn.text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_damaged_file_is_found(used: SqliteDatabase) -> None:
    with used.transaction() as transaction:
        transaction.execute("PRAGMA writable_schema=ON")
        transaction.execute("UPDATE sqlite_schema SET rootpage = 3 WHERE name = 'entry_account'")
        transaction.execute("PRAGMA writable_schema=OFF")
    assert "file" in {violation.invariant for violation in audit(SqliteDatabase(used.path))}


def test_a_violation_names_the_request(used: SqliteDatabase) -> None:
    with used.transaction() as transaction:
        transaction.execute("UPDATE entry SET price_id = 1 WHERE kind = 'settle'")
    ((settled,),) = used.fetch_now("SELECT id FROM entry WHERE kind = 'settle'")
    (violation,) = audit(used, recompute=one_nano_per_token)
    assert violation.ids == (format_id(settled),)
    assert format_id(settled) in violation.text


def test_old_entries_can_be_spared_the_costly_checks_but_never_the_sums(used: SqliteDatabase) -> None:
    with used.transaction() as transaction:
        transaction.execute("UPDATE entry SET price_id = 1 WHERE kind = 'settle'")
    assert audit(used, since=10**15, recompute=one_nano_per_token) == []
    with used.transaction() as transaction:
        transaction.execute("UPDATE entry SET charged = charged - 1, loss = loss + 1 WHERE kind = 'settle'")
    assert {violation.invariant for violation in audit(used, since=10**15)} == {"I2", "I7"}


def test_a_fast_audit_proves_all_sums_and_reads_the_last_day_one_by_one(used: SqliteDatabase) -> None:
    fast = examine(used, full=False, recompute=one_nano_per_token)
    assert fast.ok and fast.checked["I8"] == 4 and set(fast.unchecked) == {"file", "archive"}
    with used.transaction() as transaction:
        transaction.execute("UPDATE entry SET created_at = created_at - 172800000 WHERE created_at > 0")
        transaction.execute("UPDATE rollup SET hour = hour - 48")
        transaction.execute("UPDATE rollup_total SET day = day - 2")
    fast = examine(used, full=False, recompute=one_nano_per_token)
    assert fast.ok and fast.checked["I8"] == 0
    assert fast.checked["I2"] == fast.checked["I6"] == examine(used).checked["I2"] > 4
    with used.transaction() as transaction:
        transaction.execute("UPDATE rollup_total SET loss = loss + 1, output = output + 1")
        transaction.execute("UPDATE rollup SET failed = failed + 1, output = output + 1")
    assert {violation.invariant for violation in audit(used, full=False)} == {"I7"}
    assert len(audit(used, full=False)) == 2
    assert len(audit(used)) == 3, "a full one also finds the quantity"


def test_an_upgrade_finds_in_the_journal_what_was_sold_at_which_cost(used: SqliteDatabase) -> None:
    fill = statements(scripts()["0011_upstream_cost.sql"])[-1]
    with used.transaction() as transaction:
        transaction.execute("UPDATE entry SET upstream_cost = 7 WHERE kind = 'settle'")
        transaction.execute("UPDATE rollup_total SET upstream_cost = 0, costed = 0")
        transaction.execute(fill)
    assert used.fetch_now("SELECT sum(upstream_cost), sum(costed) FROM rollup_total") == [(7, 950 + 60)]
    assert audit(used, recompute=one_nano_per_token) == []
