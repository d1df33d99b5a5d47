"""Ledger micro benchmark: hold + settle pairs per second, CPU per pair and latency, on a fresh SQLite file.

    python bench/ledger_pairs.py [--concurrency 64] [--accounts 1] [--seconds 3] [--processes 1]

CPU is that of the whole process, event loop and writer thread; what the load generator takes by itself is measured with
a ledger that does nothing, and subtracted in `ledger_us_per_pair`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from proxyapi.ids import IdSource
from proxyapi.ledger.ledger import Ledger
from proxyapi.ledger.ops import Budget, Ending, Hold
from proxyapi.store.migrate import migrate
from proxyapi.store.sqlite import SqliteDatabase
from proxyapi.usage import Unit

MODELS = [f"vendor/model-{number}" for number in range(20)]


class Price:
    id = 7

    def to_json(self) -> bytes:
        return b"{}"


def prepare(path: Path, accounts: int) -> None:
    database = SqliteDatabase(path)
    migrate(database)
    with database.transaction() as transaction:
        for id in range(1, accounts + 1):
            transaction.execute(
                "INSERT INTO account (id, kind, name, funded, created_at) VALUES (?, 'wallet', ?, ?, 0)",
                (id, f"account {id}", 10**18),
            )
    database.close()


class NoLedger:
    """Answers in the next turn of the event loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()

    def hold(self, _: Hold) -> asyncio.Future[None]:
        future: asyncio.Future[None] = self.loop.create_future()
        self.loop.call_soon(future.set_result, None)
        return future

    def settle(self, _: Ending) -> asyncio.Future[None]:
        return self.hold(None)  # type: ignore[arg-type]


class Load:
    """Clients that hold and settle one after the other."""

    def __init__(self, ledger: Ledger | NoLedger, accounts: int) -> None:
        self.ledger = ledger
        self.accounts = accounts
        self.ids = IdSource()
        self.chance = random.Random(os.getpid())
        self.price = Price()
        self.usage = {Unit.INPUT: 900, Unit.OUTPUT: 300}
        self.holds: list[float] = []
        self.settles: list[float] = []
        self.end = 0.0

    async def client(self) -> None:
        price = self.price
        while (start := time.perf_counter()) < self.end:
            account = self.chance.randrange(self.accounts) + 1
            id, model = self.ids(), MODELS[account % 20]
            budget = Budget(account, "month", 10**18)
            await self.ledger.hold(Hold(id, account, account, 1_000_000, price, "openai", model, "chat", budget))
            held = time.perf_counter()
            ending = Ending(id, account, price, "openai", model, "chat", self.usage, 500_000, latency_ms=900)
            await self.ledger.settle(ending)
            self.holds.append(held - start)
            self.settles.append(time.perf_counter() - held)

    async def run(self, concurrency: int, seconds: float) -> tuple[float, float]:
        """Microseconds of CPU per pair, and pairs per second."""
        self.end = time.perf_counter() + 0.2
        await self.client()
        self.holds.clear()
        self.settles.clear()
        cpu, start = time.process_time(), time.perf_counter()
        self.end = start + seconds
        await asyncio.gather(*(self.client() for _ in range(concurrency)))
        pairs = len(self.holds)
        return 1e6 * (time.process_time() - cpu) / pairs, pairs / (time.perf_counter() - start)


async def load(path: Path, concurrency: int, accounts: int, seconds: float) -> dict[str, Any]:
    generator, _ = await Load(NoLedger(), accounts).run(concurrency, 0.5)
    ledger = Ledger(SqliteDatabase(path), worker="bench", ids=IdSource())
    await ledger.open()
    work = Load(ledger, accounts)
    cpu, pairs_per_second = await work.run(concurrency, seconds)
    answer = {
        "pairs_per_second": round(pairs_per_second),
        "cpu_us_per_pair": round(cpu, 1),
        "ledger_us_per_pair": round(cpu - generator, 1),
        "hold_ms_p50": quantile(work.holds, 0.5),
        "hold_ms_p99": quantile(work.holds, 0.99),
        "settle_ms_p50": quantile(work.settles, 0.5),
        "settle_ms_p99": quantile(work.settles, 0.99),
        "ops_per_batch": round(ledger.operations / ledger.batches, 1),
    }
    await ledger.close()
    return answer


def quantile(values: list[float], part: float) -> float:
    return round(1000 * sorted(values)[int(len(values) * part)], 2)


def child(path: Path, concurrency: int, accounts: int, seconds: float, answers: Any) -> None:
    answers.put(uvloop.run(load(path, concurrency, accounts, seconds)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--accounts", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--dir", default=None)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.dir) as folder:
        path = Path(folder) / "bench.db"
        prepare(path, asked.accounts)
        context = multiprocessing.get_context("spawn")
        answers: Any = context.Queue()
        arguments = (path, asked.concurrency // asked.processes, asked.accounts, asked.seconds, answers)
        children = [context.Process(target=child, args=arguments) for _ in range(asked.processes)]
        for process in children:
            process.start()
        for _ in children:
            sys.stdout.write(json.dumps(answers.get(timeout=asked.seconds + 60)) + "\n")
        for process in children:
            process.join()


if __name__ == "__main__":
    main()
