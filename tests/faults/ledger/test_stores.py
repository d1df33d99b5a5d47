"""A store that is sick: killed, full, unreachable, cut off in the middle of a COMMIT."""

from __future__ import annotations

import random
import resource
import time
from pathlib import Path
from typing import Any

import pytest
from proxyapi_fakes_crowd import Crowd, say  # loaded by conftest.py
from proxyapi_fakes_gateway import eventually
from proxyapi_fakes_postgres import TEMPLATE, PostgresServer

from proxyapi.ledger.audit import audit

LONG = pytest.mark.long
FULL_BYTES = 2 * 2**20
"""No file of a process may become larger: SQLite's write-ahead log is then."""
STREAMS = 20
PROMPT_MS = 5_000
"""A request is refused within two seconds, if the machine is not busy with something else."""


def proved(crowd: Crowd, what: str) -> Any:
    """Nothing promised is lost or wrong, nothing is held, the books are right."""
    counts = crowd.counts()
    assert (counts.lost, counts.wrong) == (0, 0), counts
    assert crowd.held() == (0, 0)
    assert audit(crowd.database) == []
    say(f"{what}: {counts}")
    return counts


def more(crowd: Crowd, answers: int, seconds: float = 60) -> None:
    """Wait for so many more answers that are no refusals."""
    enough = crowd.answers + answers
    eventually(lambda: crowd.answers >= enough, seconds=seconds)


# --- F3 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=LONG)])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_full_disk_refuses_with_503_loses_nothing_and_works_again(
    database_url: str, tmp_path: Path, rounds: int
) -> None:
    """F3. The limit on the size of files stands for the disk: it needs no rights and takes from nobody else."""
    with Crowd(database_url, tmp_path) as crowd:
        members = crowd.join(2, mode="load")
        journal = Path(str(tmp_path / "proxyapi.db") + "-wal")
        eventually(lambda: journal.stat().st_size > FULL_BYTES, seconds=30)
        for _ in range(rounds):
            limit(members, FULL_BYTES)
            before = crowd.noted("store_unavailable")
            eventually(lambda before=before: crowd.noted("store_unavailable") > before + 100, seconds=30)
            limit(members, resource.RLIM_INFINITY)
            before = crowd.noted("settled")
            eventually(lambda before=before: crowd.noted("settled") > before + 300, seconds=30)
        for member in members:
            member.end()
        counts = proved(crowd, f"F3 disk full {rounds} times")
        refusals = set(counts.outcomes) - {"settled", "released"}
        assert refusals == {"store_unavailable"}, "each refused operation is a 503"


def limit(members: list[Any], file_bytes_max: int) -> None:
    for member in members:
        resource.prlimit(member.process.pid, resource.RLIMIT_FSIZE, (file_bytes_max, resource.RLIM_INFINITY))


# --- F7 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [3, pytest.param(5, marks=LONG), pytest.param(30, marks=LONG)])
def test_while_its_store_is_unreachable_a_worker_admits_nothing_and_settles_what_ended_once_it_is_back(
    database_url: str, road: Any, tmp_path: Path, seconds: float
) -> None:
    """F7, 5 and 30 s."""
    with Crowd(database_url, tmp_path) as crowd:
        (worker,) = crowd.join(url=road.url, mode="streams", count=STREAMS)
        assert worker.hear() == "held"
        began = time.monotonic()
        road.close(worker)
        eventually(lambda: crowd.noted("store_unavailable") > 0, seconds=seconds + 20)
        worker.tell()
        eventually(lambda: time.monotonic() - began > seconds, seconds=seconds + 20)
        assert crowd.noted("settled") < STREAMS, "nothing is settled that could not be written"
        road.open(worker)
        worker.ended()
        counts = proved(crowd, f"F7 unreachable for {seconds} s")
        assert counts.outcomes["corrected"] == counts.outcomes["expired"] == 0
        assert slowest_refusal(worker) < PROMPT_MS


@pytest.mark.parametrize(
    ("seconds", "grace"), [(2.5, 1.5), pytest.param(90, 60, marks=LONG)], ids=["short", "90 seconds"]
)
def test_holds_of_a_worker_that_is_cut_off_for_too_long_expire_and_are_corrected_when_it_is_back(
    database_url: str, road: Any, tmp_path: Path, seconds: float, grace: float
) -> None:
    """F7, 90 s."""
    with Crowd(database_url, tmp_path) as crowd:
        (worker,) = crowd.join(url=road.url, mode="streams", count=STREAMS, heartbeat_seconds=0.2)
        assert worker.hear() == "held"
        began = time.monotonic()
        road.close(worker)
        eventually(lambda: time.monotonic() - began > seconds, seconds=seconds + 20)
        eventually(lambda: crowd.noted("store_unavailable") > 0)
        expired = eventually(lambda: crowd.recover(age=False, grace_seconds=grace), seconds=100)
        assert STREAMS <= expired <= STREAMS + 1, "the request that was just asked for may be among them"
        worker.tell()
        road.open(worker)
        worker.ended()
        counts = proved(crowd, f"F7 unreachable for {seconds} s, expired {expired}")
        assert STREAMS <= counts.outcomes["corrected"] <= expired
        assert slowest_refusal(worker) < PROMPT_MS


def slowest_refusal(member: Any) -> int:
    """Milliseconds."""
    lines = [line.split() for line in member.log.read_text().splitlines()]
    return max(int(words[1]) for words in lines if words[0] == "R")


# --- F8 --------------------------------------------------------------------------------------------------------------


ALONE_OR_NOT = pytest.mark.parametrize("processes", [1, 2])
"""Alone, a process knows its accounts, and a batch is one statement."""


@ALONE_OR_NOT
@pytest.mark.parametrize("answers", [1_500, pytest.param(200_000, marks=LONG)])
def test_acknowledgements_of_commits_that_are_lost_change_nothing(
    database_url: str, tmp_path: Path, processes: int, answers: int
) -> None:
    """F8 at the driver: statements fail anywhere, COMMIT before or after it was done."""
    with Crowd(database_url, tmp_path) as crowd:
        members = crowd.join(processes, mode="load", commit_faults=0.01)
        more(crowd, answers, seconds=600)
        for member in members:
            member.end()
        counts = proved(crowd, "F8 failing statements and COMMITs")
        assert counts.refused > 0, "some failed before they were done"


@ALONE_OR_NOT
@pytest.mark.parametrize("answers", [1_500, pytest.param(100_000, marks=LONG)])
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_connections_that_are_cut_in_commit_change_nothing(
    database_url: str, road: Any, tmp_path: Path, processes: int, answers: int
) -> None:
    """F8 on the wire: the proxy cuts before the server gets COMMIT, or after the server has done it."""
    with Crowd(database_url, tmp_path) as crowd:
        members = crowd.join(processes, url=road.url, mode="load")
        road.proxy.cut_share = 0.1
        more(crowd, answers, seconds=600)
        road.proxy.cut_share = 0.0
        for member in members:
            member.end()
        proved(crowd, f"F8 {road.proxy.cuts} connections cut in COMMIT")
        assert road.proxy.cuts > 5


# --- F2 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kills", [2, pytest.param(25, marks=LONG)])
def test_kill_9_of_every_postgres_process_loses_nothing_and_workers_come_back_by_themselves(
    tmp_path: Path, kills: int
) -> None:
    """F2."""
    with PostgresServer() as server:
        server.make_template()
        killed_under_load(server, Crowd(server.create(TEMPLATE), tmp_path), kills)


def killed_under_load(server: PostgresServer, idle: Crowd, kills: int) -> None:
    chance = random.Random(kills)
    with idle as crowd:
        members = crowd.join(2, mode="load")
        for _ in range(kills):
            more(crowd, chance.randrange(500, 2_000))
            server.kill()
            server.start()
            before = crowd.noted("settled")
            eventually(lambda before=before: crowd.noted("settled") > before + 100, seconds=30)
        for member in members:
            member.end()
        proved(crowd, f"F2 PostgreSQL killed {kills} times")
