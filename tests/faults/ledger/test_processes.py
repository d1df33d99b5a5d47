"""Several processes on one ledger: races, kill -9, contention. What they were promised is compared with the books."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from proxyapi_fakes_crowd import RICH, Crowd, say  # loaded by conftest.py
from proxyapi_fakes_gateway import eventually

from proxyapi.ledger.audit import audit

AMOUNT = 1_000_003
"""Of a hold in `load.py`."""
FUNDS = 137 * AMOUNT + 12_345
LIMIT = 41 * AMOUNT + 12_345
LONG = pytest.mark.long


def raced(crowd: Crowd, workers: int, **options: Any) -> tuple[Counter[str], int]:
    """A thousand requests at once: what was answered, and the sum of what was admitted."""
    members = crowd.join(workers, mode="race", count=1000 // workers, **options)
    heard = [json.loads(member.hear()) for member in members]
    for member in members:
        member.ended()
    answers: Counter[str] = Counter()
    for each in heard:
        answers.update(each["answers"])
    return answers, sum(each["amount"] for each in heard)


@pytest.mark.parametrize("workers", [2, pytest.param(8, marks=LONG)])
@pytest.mark.parametrize(("budget", "fits", "refuses"), [(False, 137, "account"), (True, 41, "key")])
def test_a_thousand_racing_requests_admit_exactly_what_the_account_and_the_budget_afford(
    database_url: str, tmp_path: Path, workers: int, budget: bool, fits: int, refuses: str
) -> None:
    """F5."""
    with Crowd(database_url, tmp_path, {1: FUNDS}) as crowd:
        answers, amount = raced(crowd, workers, budget=budget, limit=LIMIT)
        assert answers == {"held": fits, refuses: 1000 - fits}
        assert amount == fits * AMOUNT
        assert crowd.held() == (fits, (2 if budget else 1) * amount)
        assert audit(crowd.database) == []
        say(f"F5 {workers} processes, {refuses}: {fits} of 1000 admitted")


@pytest.mark.parametrize("workers", [2, pytest.param(8, marks=LONG)])
def test_racing_requests_of_many_sizes_never_overdraw_and_are_never_refused_what_fits(
    database_url: str, tmp_path: Path, workers: int
) -> None:
    """F5: each 402 proves itself in `load.py`, that less was free than it asked for."""
    with Crowd(database_url, tmp_path, {1: FUNDS}) as crowd:
        answers, amount = raced(crowd, workers, mixed=True)
        assert answers["held"] + answers["account"] == 1000
        assert FUNDS - 2 * AMOUNT < amount <= FUNDS
        assert crowd.held() == (answers["held"], amount)
        assert audit(crowd.database) == []


@pytest.mark.parametrize("kills", [6, pytest.param(200, marks=LONG)])
def test_kill_9_of_random_workers_loses_nothing_that_was_acknowledged(
    database_url: str, tmp_path: Path, kills: int
) -> None:
    """F1."""
    chance = random.Random(kills)
    with Crowd(database_url, tmp_path) as crowd:
        living = crowd.join(3, mode="load", keys=2)
        for _ in range(kills):
            enough = crowd.answers + chance.randrange(50, 1000)
            eventually(lambda enough=enough: crowd.answers >= enough, seconds=30)
            victim = chance.choice(living)
            victim.kill()
            living.remove(victim)
            living += crowd.join(mode="load", keys=2)
        for member in living:
            member.kill()
        check(crowd, f"F1 kill -9 of {kills} + 3 workers")


def test_workers_that_stop_in_order_leave_nothing_behind(database_url: str, tmp_path: Path) -> None:
    with Crowd(database_url, tmp_path) as crowd:
        for member in crowd.join(2, mode="load"):
            eventually(lambda: crowd.answers >= 500)
            member.end()
        assert crowd.held() == (0, 0)
        check(crowd, "stopped in order", expired=0)


@pytest.mark.parametrize(
    ("workers", "accounts", "seconds"), [(3, 50, 3), pytest.param(8, 1000, 120, marks=LONG)], ids=["short", "long"]
)
def test_many_processes_on_many_accounts_never_wait_for_each_other_in_a_circle(
    database_url: str, tmp_path: Path, workers: int, accounts: int, seconds: float
) -> None:
    """F14."""
    numbers = tuple(range(accounts))
    with Crowd(database_url, tmp_path, dict.fromkeys(numbers, RICH)) as crowd:
        members = crowd.join(workers, mode="load", accounts=numbers, keys=3, clients=60)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            crowd.recover(age=False, grace_seconds=3600)  # the reaper's reads are among them too
            time.sleep(0.5)
        for member in members:
            member.end()
        counts = check(crowd, f"F14 {workers} processes, {accounts} accounts, {seconds} s", expired=0)
        assert counts.refused == 0
        assert deadlocks(crowd) == 0


def deadlocks(crowd: Crowd) -> int:
    """That the engine had to break; SQLite has one writer at a time and none."""
    if not crowd.url.startswith("postgresql"):
        return 0
    sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    return int(crowd.database.fetch_now(sql)[0][0])


def check(crowd: Crowd, what: str, *, expired: int | None = None) -> Any:
    """Nothing promised is lost or wrong, before and after the reaper; the books are proved."""
    counts = crowd.counts()
    assert (counts.lost, counts.wrong) == (0, 0), counts
    assert audit(crowd.database, stale_seconds=10**6) == [], "with the holds of the dead in place, for long or not"
    reaped = crowd.recover()
    assert expired is None or reaped == expired
    assert crowd.held() == (0, 0)
    assert audit(crowd.database) == []
    after = crowd.counts()
    assert (after.lost, after.wrong) == (0, 0), after
    say(f"{what}: {counts}, expired {reaped}")
    return counts
