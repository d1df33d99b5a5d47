"""Processes that load a ledger and note every answer, so that their promises can be compared with the books."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from proxyapi.ids import IdSource
from proxyapi.ledger.ledger import Ledger
from proxyapi.ledger.offline import OfflineLedger
from proxyapi.ledger.reaper import reap
from proxyapi.store.database import Database, open_database
from proxyapi.store.migrate import migrate

LOAD = Path(__file__).parents[1] / "faults" / "ledger" / "load.py"
RICH = 10**15
END_SECONDS = 60.0


class Counts(NamedTuple):
    """What was promised to the processes, and what became of it."""

    acknowledged: int
    """Holds and endings."""
    lost: int
    """Of which the books know nothing."""
    wrong: int
    """Of which the books say something else."""
    refused: int
    outcomes: Counter[str]

    def __str__(self) -> str:
        return f"acknowledged {self.acknowledged}, lost {self.lost}, wrong {self.wrong}, refused {self.refused}"


class Member:
    """One process. `tell()` sends the line that it waits for."""

    def __init__(self, url: str, log: Path, options: dict[str, Any]) -> None:
        self.log = log
        line = json.dumps({"url": url, "log": str(log)} | options)
        self.process = subprocess.Popen(
            [sys.executable, str(LOAD), line], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def tell(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        """The next line that it says."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._close()

    def end(self) -> None:
        """It stops by itself, and commits what it has; nothing is left uncommitted."""
        self.signal(signal.SIGTERM)
        self.ended()

    def ended(self) -> None:
        assert self.hear() == "left 0"
        assert self.process.wait(END_SECONDS) == 0
        self._close()

    def _close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    @property
    def answers(self) -> int:
        """Answers of any kind so far."""
        return self.log.read_bytes().count(b"\n") if self.log.exists() else 0


class Crowd:
    """`with Crowd(url, folder) as crowd:`; whoever still runs at the end is killed."""

    def __init__(self, url: str, folder: Path, accounts: dict[int, int] | None = None) -> None:
        """`accounts`: their funds, by id."""
        self.url, self.folder = url, folder
        self.members: list[Member] = []
        self.database: Database = open_database(url)
        self.database.prepare()
        migrate(self.database)
        books = OfflineLedger(self.database, ids=IdSource())
        for id, funds in (accounts or dict.fromkeys((1, 2, 3), RICH)).items():
            with self.database.transaction() as transaction:
                transaction.execute(
                    "INSERT INTO account (id, kind, name, created_at) VALUES (?, 'wallet', ?, 0)", (id, f"wallet {id}")
                )
            assert books.deposit(id, funds)
        books.close()

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            if member.process.poll() is None:
                member.signal(signal.SIGCONT)
                member.kill()
        self.database.close()

    def join(self, processes: int = 1, *, url: str = "", **options: Any) -> list[Member]:
        """More processes, which have begun."""
        number = len(self.members)
        new = [Member(url or self.url, self.folder / f"log{number + n}", options) for n in range(processes)]
        self.members += new
        for member in new:
            assert member.hear() == "ready"
        for member in new:
            member.tell()
        return new

    @property
    def answers(self) -> int:
        return sum(member.answers for member in self.members)

    def noted(self, word: str) -> int:
        """How often a word stands in the logs: an outcome, or the code of an error."""
        return sum(member.log.read_bytes().count(word.encode()) for member in self.members if member.log.exists())

    def counts(self) -> Counts:
        """Every log beside the books. Processes may be dead, or must be quiet."""
        held: dict[bytes, int] = dict(self.database.fetch_now("SELECT id, amount FROM hold"))
        entries: dict[bytes, tuple[str, int, int]] = {}
        corrected: dict[bytes, int] = {}
        for id, kind, amount, charged, ref in self.database.fetch_now("SELECT id, kind, held, charged, ref FROM entry"):
            if kind == "correction":
                corrected[ref] = charged
            else:
                entries[id] = (kind, amount, charged)
        outcomes: Counter[str] = Counter()
        acknowledged = lost = wrong = refused = 0
        for member in self.members:
            for line in member.log.read_text().splitlines() if member.log.exists() else ():
                word, *rest = line.split()
                if word == "R":
                    refused += 1
                    outcomes[rest[1]] += 1
                    continue
                acknowledged += 1
                id, amount = bytes.fromhex(rest[0]), int(rest[1])
                entry = entries.get(id)
                if word == "H":
                    known = held.get(id) if entry is None else entry[1]
                else:
                    outcomes[rest[2]] += 1
                    known = corrected.get(id, None if entry is None or entry[0] == "expire" else entry[2])
                lost += known is None
                wrong += known is not None and known != amount
        return Counts(acknowledged, lost, wrong, refused, outcomes)

    def recover(self, *, age: bool = True, grace_seconds: float = 30.0) -> int:
        """What another worker does when these are dead: how many holds it expires. `age`: they have been for long."""

        async def main() -> int:
            heir = Ledger(self.database, worker="heir", ids=IdSource())
            await heir.open()
            if age:
                await heir.write("UPDATE worker SET seen_at = seen_at - 60000 WHERE id <> ?", (heir.worker_id,))
            expired = 0
            while more := await reap(self.database, heir, grace_seconds=grace_seconds, claim_seconds=0):
                expired += more
            assert await heir.close() == 0
            return expired

        return asyncio.run(main())

    def held(self) -> tuple[int, int]:
        """Number of holds, and the sum that accounts say is held."""
        (count,), (amount,) = (
            self.database.fetch_now(sql)[0]
            for sql in ("SELECT count(*) FROM hold", "SELECT coalesce(sum(held), 0) FROM account")
        )
        return int(count), int(amount)


def freeze_between_transactions(pid: int, database: Database, url: str) -> None:
    """SIGSTOP, at a moment at which the process holds no lock of the store: others would wait as long as it stands."""
    while True:
        os.kill(pid, signal.SIGSTOP)
        while not stands(pid):  # the signal is sent: its threads may still run on another core, and take a lock
            time.sleep(0.001)
        if not someone_holds_a_lock(database, url):
            return
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.01)


def stands(pid: int) -> bool:
    """All threads are stopped (proc(5))."""
    stats = [file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(stat.rpartition(")")[2].split()[0] == "T" for stat in stats)


def someone_holds_a_lock(database: Database, url: str) -> bool:
    if url.startswith("postgresql"):
        busy = "state LIKE 'idle in transaction%' AND datname = current_database() AND pid <> pg_backend_pid()"
        return bool(database.fetch_now(f"SELECT count(*) FROM pg_stat_activity WHERE {busy}")[0][0])
    lock = os.open(unquote(urlsplit(url).path[1:]) + ".lock", os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def say(text: str) -> None:
    """For the report of a long run: pytest shows it with `-s`, and appends it to the file that FAULTS_REPORT names."""
    sys.stdout.write(text + "\n")
    if name := os.environ.get("FAULTS_REPORT"):
        with Path(name).open("a") as file:
            file.write(text + "\n")
