"""Ledger micro benchmark: hold + settle pairs per second, CPU per pair and latency, on a fresh SQLite file.

    python bench/ledger_pairs.py [--concurrency 64] [--accounts 1] [--seconds 3] [--processes 1]

CPU is that of the whole process: event loop, this load generator (about 3 us a pair) and the writer thread.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import resource
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
from proxyapi.store.sqlite import Database
from proxyapi.usage import Unit

MODELS = [f"vendor/model-{number}" for number in range(20)]


class Price:
    id = 7

    def to_json(self) -> bytes:
        return b"{}"


def prepare(path: Path, accounts: int) -> None:
    database = Database(path)
    migrate(database)
    with database.transaction() as transaction:
        for id in range(1, accounts + 1):
            transaction.execute(
                "INSERT INTO account (id, kind, name, funded, created_at) VALUES (?, 'wallet', ?, ?, 0)",
                (id, f"account {id}", 10**18),
            )
    database.close()


async def load(path: Path, concurrency: int, accounts: int, seconds: float) -> dict[str, Any]:
    ids = IdSource()
    ledger = Ledger(Database(path), worker="bench", ids=ids)
    await ledger.open()
    price, chance = Price(), random.Random(os.getpid())
    usage = {Unit.INPUT: 900, Unit.OUTPUT: 300}
    holds: list[float] = []
    settles: list[float] = []
    end = time.perf_counter() + seconds

    async def client() -> None:
        while (start := time.perf_counter()) < end:
            account = chance.randrange(accounts) + 1
            id, model = ids(), MODELS[account % 20]
            await ledger.hold(
                Hold(id, account, account, 1_000_000, price, "openai", model, "chat", Budget(account, "month", 10**18))
            )
            held = time.perf_counter()
            await ledger.settle(
                Ending(id, account, price, "openai", model, "chat", usage, 500_000, latency_ms=900, first_byte_ms=300)
            )
            holds.append(held - start)
            settles.append(time.perf_counter() - held)

    await client_warm_up(client)
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    holds.clear()
    settles.clear()
    end = start + seconds
    await asyncio.gather(*(client() for _ in range(concurrency)))
    after, took = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - start
    batcher = ledger._batcher
    assert batcher is not None
    answer = {
        "pairs": len(holds),
        "pairs_per_second": round(len(holds) / took),
        "cpu_us_per_pair": round(
            1e6 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / len(holds), 1
        ),
        "hold_ms_p50": quantile(holds, 0.5),
        "hold_ms_p99": quantile(holds, 0.99),
        "settle_ms_p50": quantile(settles, 0.5),
        "ops_per_batch": round(batcher.committed / batcher.batches, 1),
    }
    await ledger.close()
    return answer


async def client_warm_up(client: Any) -> None:
    task = asyncio.ensure_future(client())
    await asyncio.sleep(0.2)
    task.cancel()
    await asyncio.wait([task])


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
