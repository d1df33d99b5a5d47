"""Several processes on one database: races, kill -9, a full disk."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from proxyapi.errors import StoreUnavailable
from proxyapi.ids import IdSource
from proxyapi.ledger.audit import audit
from proxyapi.ledger.ledger import Ledger
from proxyapi.ledger.offline import OfflineLedger
from proxyapi.ledger.ops import Ending, Hold, Settled
from proxyapi.ledger.reaper import reap
from proxyapi.store.migrate import migrate
from proxyapi.store.sqlite import SqliteDatabase
from proxyapi.usage import Unit

AMOUNT = 1_000_003
LOAD = Path(__file__).with_name("load.py")


class Price:
    id = 7

    def to_json(self) -> bytes:
        return b"{}"


@pytest.fixture
def database(tmp_path: Path) -> SqliteDatabase:
    """Wallet 1 affords exactly 137 holds; 2 and 3 are rich."""
    database = SqliteDatabase(tmp_path / "faults.db")
    migrate(database)
    offline = OfflineLedger(database, ids=IdSource())
    for wallet, funds in ((1, 137 * AMOUNT + 12_345), (2, 10**15), (3, 10**15)):
        with database.transaction() as transaction:
            transaction.execute(
                "INSERT INTO account (id, kind, name, created_at) VALUES (?, 'wallet', ?, 0)", (wallet, str(wallet))
            )
        assert offline.deposit(wallet, funds)
    return database


def start(mode: str, database: SqliteDatabase, argument: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(LOAD), mode, str(database.path), str(argument)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.parametrize("workers", [2, pytest.param(8, marks=pytest.mark.long)])
def test_a_thousand_racing_holds_admit_exactly_what_the_account_and_the_budget_afford(
    database: SqliteDatabase, workers: int
) -> None:
    processes = [start("race", database, 1000 // workers) for _ in range(workers)]
    assert [line_of(process) for process in processes] == ["ready\n"] * workers
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers: Counter[str] = Counter()
    share = workers * ((1000 // workers + 1) // 2)
    for process in processes:
        answers.update(json.loads(line_of(process)))
        assert process.wait(20) == 0
    assert answers == {
        "held by 1": 137, "account refuses 1": share - 137,
        "held by 2": 41, "key refuses 2": 1000 - share - 41,
    }  # fmt: skip
    assert database.fetch_now("SELECT held FROM account WHERE id = 1") == [(137 * AMOUNT,)]
    assert audit(database) == []


def acknowledged(log: Path) -> tuple[dict[bytes, int], dict[bytes, int]]:
    """Amounts of holds and charges of settles, by id."""
    holds: dict[bytes, int] = {}
    settles: dict[bytes, int] = {}
    for line in log.read_text().splitlines() if log.exists() else ():
        kind, id, amount = line.split()
        (holds if kind == "H" else settles)[bytes.fromhex(id)] = int(amount)
    return holds, settles


@pytest.mark.parametrize(
    "round_number", [*range(4), *(pytest.param(number, marks=pytest.mark.long) for number in range(4, 20))]
)
def test_kill_9_loses_nothing_that_was_acknowledged(
    database: SqliteDatabase, tmp_path: Path, round_number: int
) -> None:
    with database.transaction() as transaction:
        transaction.execute("UPDATE account SET credit = 1000000000000000")
    logs = [tmp_path / f"log{number}" for number in range(2)]
    processes = [start("load", database, log) for log in logs]
    assert [line_of(process) for process in processes] == ["ready\n"] * 2
    enough = random.randrange(100, 3000)
    while sum(len(log.read_bytes().splitlines()) for log in logs if log.exists()) < enough:
        time.sleep(0.01)
    for process in processes:
        process.kill()
        process.wait()
    holds: dict[bytes, int] = {}
    settles: dict[bytes, int] = {}
    for log in logs:
        of_holds, of_settles = acknowledged(log)
        holds |= of_holds
        settles |= of_settles
    assert len(holds) > 40
    check_acknowledged(database, holds, settles)
    assert audit(database) == []
    asyncio.run(recover(database))
    assert database.fetch_now("SELECT count(*) FROM hold") == [(0,)]
    assert database.fetch_now("SELECT sum(held) FROM account") == [(0,)]
    assert audit(database) == []


def check_acknowledged(database: SqliteDatabase, holds: Mapping[bytes, int], settles: Mapping[bytes, int]) -> None:
    held: dict[bytes, int] = dict(database.fetch_now("SELECT id, amount FROM hold"))
    entries: dict[bytes, tuple[int, int]] = {
        id: (amount, charged) for id, amount, charged in database.fetch_now("SELECT id, held, charged FROM entry")
    }
    assert [id for id, amount in holds.items() if amount not in (held.get(id), entries.get(id, (None,))[0])] == []
    assert [id for id, charged in settles.items() if entries.get(id, (0, None))[1] != charged] == []


async def recover(database: SqliteDatabase) -> None:
    ledger = Ledger(database, worker="heir", ids=IdSource())
    await ledger.open()
    await ledger.write("UPDATE worker SET seen_at = seen_at - 60000 WHERE id <> ?", (ledger.worker_id,))
    await reap(database, ledger, grace_seconds=30)
    assert await ledger.close() == 0


def test_a_full_disk_refuses_holds_keeps_settles_and_heals(database: SqliteDatabase) -> None:
    problems: list[str] = []

    async def main() -> None:
        ids = IdSource()
        ledger = Ledger(database, worker="test", ids=ids, on_problem=problems.append)
        await ledger.open()
        loop = asyncio.get_running_loop()

        async def held() -> Hold:
            hold = Hold(ids(), 2, 11, AMOUNT, Price(), "openai", "m" * 200, "chat")
            await ledger.hold(hold)
            return hold

        pages = (await ledger.write("PRAGMA page_count"))[0][0]
        await ledger.write(f"PRAGMA max_page_count={pages + 3}")
        holds: list[Hold] = []
        with pytest.raises(StoreUnavailable):
            while True:
                before = loop.time()
                holds.append(await held())
        assert loop.time() - before < 2
        settling = [asyncio.ensure_future(settle(ledger, hold)) for hold in holds]
        before = loop.time()
        await asyncio.wait(settling, timeout=0.3)
        assert not all(future.done() for future in settling)
        with pytest.raises(StoreUnavailable):
            await held()
        assert loop.time() - before < 2
        assert not ledger.well
        while True:  # somebody makes room
            try:
                await ledger.write("PRAGMA max_page_count=1000000")
                break
            except StoreUnavailable:
                await asyncio.sleep(0.05)
        assert {answer.charged for answer in await asyncio.gather(*settling)} == {AMOUNT - 5}
        await settle(ledger, await held())
        assert ledger.well and await ledger.close() == 0

    asyncio.run(main())
    assert problems[0].startswith("the store is sick") and problems[-1] == "the store is well again"
    assert database.fetch_now("SELECT count(*) FROM hold") == [(0,)]
    assert audit(database) == []


async def settle(ledger: Ledger, hold: Hold) -> Settled:
    actual = AMOUNT - 5
    units = {Unit.OUTPUT: actual}
    return await ledger.settle(Ending(hold.id, 2, hold.price, "openai", hold.model, "chat", units, actual))
