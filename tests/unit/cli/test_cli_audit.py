"""`proxyapi audit`."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from proxyapi.ledger.audit import INVARIANTS


@pytest.fixture
def funded(shell: Any) -> Any:
    """One account with one deposit."""
    shell("account", "create", "acme")
    shell("deposit", "acme", "50", "--reference", "invoice 1")
    return shell


def edit(shell: Any, sql: str) -> None:
    with sqlite3.connect(shell.data / "proxyapi.db") as connection:
        connection.execute(sql)
    connection.close()


def test_the_audit_of_a_sound_installation_succeeds(funded: Any) -> None:
    assert (
        "All is well: every balance agrees with the journal. 1 accounts, 0 holds, 1 entries" in funded("audit").stdout
    )


def test_the_audit_says_what_it_checked_of_every_invariant(funded: Any) -> None:
    report = funded.json("audit", "--full")
    assert report["ok"] is True and report["full"] is True and report["violations"] == []
    assert set(report["invariants"]) == set(INVARIANTS)
    assert report["invariants"]["I3"] == {
        "holds": True, "says": INVARIANTS["I3"], "checked": 1, "violations": 0,
    }  # fmt: skip
    assert report["invariants"]["file"]["holds"] is True
    assert float(report["seconds"]) > 0
    fast = funded.json("audit", "--since", "2026-01-01")
    assert fast["one_by_one_since"] == "2026-01-01T00:00:00Z"
    assert fast["invariants"]["file"]["holds"] is None, "only with --full"


def test_the_audit_finds_money_from_nowhere_and_says_what_to_do(funded: Any) -> None:
    edit(funded, "UPDATE account SET funded = funded + 1 WHERE name = 'acme'")
    found = funded.json("audit", code=1)
    assert found["ok"] is False
    assert found["invariants"]["I3"]["violations"] == 1
    (violation,) = found["violations"]
    assert violation["invariant"] == "I3" and violation["ids"] == []
    assert violation["sentence"].startswith("Account 'acme' (1) was funded with 50.000000001, but its deposits")
    assert "audit --deposits FILE" in violation["sentence"]
    assert funded("audit", code=1).stdout.startswith("I3  Account 'acme'")


def test_the_audit_names_the_entries_that_are_wrong(funded: Any) -> None:
    edit(funded, "UPDATE entry SET charged = 1")
    found = funded.json("audit", code=1)["violations"]
    wrong = next(violation for violation in found if violation["invariant"] == "I6")
    assert len(wrong["ids"]) == 1 and wrong["ids"][0] in wrong["sentence"]


def test_only_the_first_violations_are_printed_for_people(funded: Any) -> None:
    for number in range(60):
        edit(funded, f"INSERT INTO rollup VALUES ({number}, 1, 1, 'm', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)")
        edit(funded, f"INSERT INTO rollup_total VALUES ({number}, 'm', 'p', 1, {', '.join('0' * 12)})")
    lines = funded("audit", code=1).stdout.splitlines()
    assert len(lines) == 51 and lines[-1].startswith("… and ")
    assert len(funded.json("audit", code=1)["violations"]) > 60
