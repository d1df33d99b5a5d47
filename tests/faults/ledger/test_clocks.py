"""Time that jumps, stands still, or passes midnight."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest
from proxyapi_fakes_crowd import Crowd, freeze_between_transactions, say  # loaded by conftest.py
from proxyapi_fakes_gateway import eventually

from proxyapi.ledger.audit import audit

AMOUNT = 1_000_003
"""Of a hold in `load.py`."""
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
LONG = pytest.mark.long
STREAMS = 20


def proved(crowd: Crowd, what: str) -> Any:
    """Nothing promised is lost or wrong, nothing is held, the books are right."""
    counts = crowd.counts()
    assert (counts.lost, counts.wrong) == (0, 0), counts
    assert crowd.held() == (0, 0)
    assert audit(crowd.database) == []
    say(f"{what}: {counts}")
    return counts


def test_a_clock_that_jumps_an_hour_expires_no_hold_of_the_living_and_makes_no_id_twice(
    database_url: str, tmp_path: Path
) -> None:
    """F6."""
    with Crowd(database_url, tmp_path) as crowd:
        (streams,) = crowd.join(mode="streams", count=STREAMS, jumps_ms=HOUR_MS)
        assert streams.hear() == "held"
        (load,) = crowd.join(mode="load", jumps_ms=HOUR_MS)
        for jump in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR2, signal.SIGUSR1):
            for member in (streams, load):
                member.signal(jump)
            enough = crowd.answers + 300
            eventually(lambda enough=enough: crowd.answers >= enough, seconds=30)
            assert crowd.recover(age=False, grace_seconds=60) == 0, "the store's clock decides who lives"
        streams.tell()
        streams.ended()
        load.end()
        counts = proved(crowd, "F6 clock jumps of an hour")
        assert counts.refused == 0, "an id that was made twice is refused"
        assert set(counts.outcomes) == {"settled", "released"}


@pytest.mark.parametrize(
    ("seconds", "grace", "unseen"), [(2.5, 2.0, 1.0), pytest.param(70, 60, 20, marks=LONG)], ids=["short", "70 seconds"]
)
def test_a_worker_that_was_frozen_is_expired_once_corrects_and_admits_nothing_until_it_was_seen(
    database_url: str, tmp_path: Path, seconds: float, grace: float, unseen: float
) -> None:
    """F10."""
    with Crowd(database_url, tmp_path) as crowd:
        (worker,) = crowd.join(mode="streams", count=STREAMS, unseen_seconds=unseen, heartbeat_seconds=unseen / 4)
        assert worker.hear() == "held"
        freeze_between_transactions(worker.process.pid, crowd.database, crowd.url)
        began, answers = time.monotonic(), worker.answers
        eventually(lambda: time.monotonic() - began > seconds, seconds=seconds + 20)
        expired = crowd.recover(age=False, grace_seconds=grace)
        assert STREAMS <= expired <= STREAMS + 1
        assert crowd.recover(age=False, grace_seconds=grace) == 0
        worker.signal(signal.SIGCONT)
        enough = worker.answers + 6
        eventually(lambda: worker.answers >= enough and worker.log.read_text().splitlines()[-1][0] in "HS", seconds=60)
        # Whether a hold or the heartbeat comes first is chance; a hold that comes first is refused.
        lines = [line.split() for line in worker.log.read_text().splitlines()[answers:]]
        refused = next((number for number, words in enumerate(lines) if words[0] == "R"), 0)
        assert sum(words[0] == "H" for words in lines[:refused]) <= 1, "at most the one that was under way"
        worker.tell()
        worker.ended()
        counts = proved(crowd, f"F10 frozen for {seconds} s, expired {expired}")
        assert STREAMS <= counts.outcomes["corrected"] <= expired


@pytest.mark.parametrize("count", [200, pytest.param(5_000, marks=LONG)])
def test_a_budget_whose_period_ends_under_load_adds_up_in_both_periods(
    database_url: str, tmp_path: Path, count: int
) -> None:
    """F13. Each period has room for nearly all requests of one, not for those of both; a 402 would end the process."""
    workers = 3
    midnight = 20_500 * DAY_MS
    limit = (workers * count * 3 // 2) * AMOUNT
    with Crowd(database_url, tmp_path) as crowd:
        options = {"mode": "periods", "count": count, "limit": limit, "midnight_ms": midnight, "accounts": (1,)}
        for member in crowd.join(workers, **options):
            member.ended()
        counts = proved(crowd, f"F13 midnight among {2 * workers * count} requests")
        assert counts.refused == 0
        budgets = crowd.database.fetch_now(
            "SELECT period_start, funded, spent, held FROM account WHERE kind = 'budget' ORDER BY period_start"
        )
        spent = workers * count * AMOUNT
        assert budgets == [(midnight - DAY_MS, limit, spent, 0), (midnight, limit, spent, 0)]
