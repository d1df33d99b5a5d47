"""`make bench-ledger`: pairs of hold and settlement per second, and what they add to a request, on both engines.

Several processes hold and settle through ledgers of their own, as the workers of a gateway do, on a fresh SQLite file
and on a PostgreSQL of this machine behind a local socket; both flush every commit to disk. The engines take turns, so
that a busy machine is busy for both. CPU is that of the ledger's processes, event loop and writer thread, less what the
load generator takes with a ledger that does nothing; PostgreSQL's own processes are not in it.

    python bench/ledger.py [--engines sqlite,postgres] [--concurrency 50,1000] [--accounts 1,1000] [--rate 500]
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
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import uvloop

from postgres import postgres
from proxyapi.ids import IdSource
from proxyapi.ledger.ledger import Ledger
from proxyapi.ledger.ops import Budget, Ending, Hold
from proxyapi.store.database import open_database, sqlite_url
from proxyapi.store.migrate import migrate
from proxyapi.usage import Unit

MODELS = [f"vendor/model-{number}" for number in range(20)]
ANSWER_SECONDS = 120.0
WARM_SECONDS = 0.5

Addresses = Callable[[], str]
"""Gives the address of a new database."""


class Price:
    id = 7

    def to_json(self) -> bytes:
        return b"{}"


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
    """Clients that hold and settle, one after the other or at a rate."""

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

    async def pair(self) -> asyncio.Future[Any]:
        """Returns the settlement, which no client of the gateway waits for."""
        start, price = time.perf_counter(), self.price
        account = self.chance.randrange(self.accounts) + 1
        id, model = self.ids(), MODELS[account % 20]
        budget = Budget(account, "month", 10**18)
        await self.ledger.hold(Hold(id, account, account, 1_000_000, price, "openai", model, "chat", budget))
        held = time.perf_counter()
        self.holds.append(held - start)
        ending = Ending(id, account, price, "openai", model, "chat", self.usage, 500_000, latency_ms=900)
        settlement = asyncio.ensure_future(self.ledger.settle(ending))
        settlement.add_done_callback(lambda _: self.settles.append(time.perf_counter() - held))
        return settlement

    async def client(self) -> None:
        while time.perf_counter() < self.end:
            settlement = await self.pair()
        await settlement

    async def clients(self, concurrency: int, seconds: float) -> None:
        self.end = time.perf_counter() + seconds
        await asyncio.gather(*(self.client() for _ in range(concurrency)))

    async def at_rate(self, rate: float, seconds: float) -> None:
        """Arrivals that do not wait for each other."""
        tasks, due = [], time.perf_counter()
        end = due + seconds
        while due < end:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(self.pair()))
            due += self.chance.expovariate(rate)
        await asyncio.gather(*await asyncio.gather(*tasks))

    async def run(self, concurrency: int, rate: float, seconds: float) -> tuple[float, float]:
        """Microseconds of CPU per pair, and pairs per second, after a warm-up."""
        await self.clients(min(concurrency, 16), WARM_SECONDS)
        self.holds.clear()
        self.settles.clear()
        cpu, start = time.process_time(), time.perf_counter()
        await (self.at_rate(rate, seconds) if rate else self.clients(concurrency, seconds))
        pairs = len(self.holds)
        return 1e6 * (time.process_time() - cpu) / pairs, pairs / (time.perf_counter() - start)


async def load(url: str, concurrency: int, rate: float, accounts: int, seconds: float) -> dict[str, Any]:
    generator, _ = await Load(NoLedger(), accounts).run(concurrency, 0.0, 0.5)
    ledger = Ledger(open_database(url), worker="bench", ids=IdSource())
    await ledger.open()
    work = Load(ledger, accounts)
    cpu, pairs_per_second = await work.run(concurrency, rate, seconds)
    operations, batches = ledger.operations, ledger.batches
    await ledger.close()
    return {
        "pairs_per_second": pairs_per_second,
        "ledger_us": cpu - generator,
        "batch": operations / batches,
        "holds": work.holds,
        "settles": work.settles,
    }


def child(answers: Any, *arguments: Any) -> None:
    answers.put(uvloop.run(load(*arguments)))


def prepare(url: str, accounts: int) -> None:
    database = open_database(url)
    database.prepare()
    migrate(database)
    database.upkeep(time.time_ns() // 1_000_000)
    with database.transaction() as transaction:
        transaction.executemany(
            "INSERT INTO account (id, kind, name, funded, created_at) VALUES (?, 'wallet', ?, ?, 0)",
            [(id, f"account {id}", 10**18) for id in range(1, accounts + 1)],
        )
        transaction.resume_ids("account", "id", accounts)
    database.close()


def measure(address: Addresses, concurrency: int, rate: float, accounts: int, asked: argparse.Namespace) -> Any:
    """One run of all processes on a new database."""
    url = address()
    prepare(url, accounts)
    context = multiprocessing.get_context("spawn")
    answers: Any = context.Queue()
    each = (url, max(1, concurrency // asked.processes), rate / asked.processes, accounts, asked.seconds)
    children = [context.Process(target=child, args=(answers, *each)) for _ in range(asked.processes)]
    for process in children:
        process.start()
    found = [answers.get(timeout=asked.seconds + ANSWER_SECONDS) for _ in children]
    for process in children:
        process.join()
    holds = [seconds for one in found for seconds in one["holds"]]
    settles = [seconds for one in found for seconds in one["settles"]]
    return {
        "pairs_per_second": round(sum(one["pairs_per_second"] for one in found)),
        "ledger_us_per_pair": round(sum(one["ledger_us"] for one in found) / len(found), 1),
        "hold_ms_p50": quantile(holds, 0.5),
        "hold_ms_p99": quantile(holds, 0.99),
        "settle_ms_p50": quantile(settles, 0.5),
        "settle_ms_p99": quantile(settles, 0.99),
        "ops_per_batch": round(sum(one["batch"] for one in found) / len(found), 1),
    }


def quantile(values: list[float], part: float) -> float:
    return round(1000 * sorted(values)[int(len(values) * part)], 2)


@contextmanager
def in_files(folder: Path) -> Iterator[Addresses]:
    numbers = iter(range(1_000_000))
    yield lambda: sqlite_url(folder / f"bench{next(numbers)}.db")


@contextmanager
def behind_a_socket(folder: Path) -> Iterator[Addresses]:
    with postgres(folder) as server:
        yield server.create


ENGINES = {"sqlite": in_files, "postgres": behind_a_socket}


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--engines", default=",".join(ENGINES), type=lambda text: text.split(","))
    parser.add_argument("--concurrency", default="50,1000", type=numbers)
    parser.add_argument("--accounts", default="1,1000", type=numbers)
    parser.add_argument("--rate", default=500, type=int, help="pairs per second of the latency rows; 0: none")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2, help="the best of so many is kept")
    parser.add_argument("--dir", type=Path, default=None, help="a folder on the disk to be measured")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    cases = [(concurrency, 0, accounts) for accounts in asked.accounts for concurrency in asked.concurrency]
    if asked.rate:
        cases.append((2, asked.rate, max(asked.accounts)))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="proxyapi-bench-", dir=asked.dir)))
        addresses = {name: stack.enter_context(ENGINES[name](folder)) for name in asked.engines}
        for concurrency, rate, accounts in cases:
            best: dict[str, Any] = {}
            for _ in range(asked.rounds):
                for name in asked.engines:
                    found = measure(addresses[name], concurrency, rate, accounts, asked)
                    if name not in best or found["pairs_per_second"] > best[name]["pairs_per_second"]:
                        best[name] = found
            what = f"{rate} pairs/s" if rate else f"{concurrency} at once"
            for name, found in best.items():
                print(json.dumps({"engine": name, "load": what, "accounts": accounts, **found}), flush=True)
            if len(best) == 2 and not rate:
                one, other = (best[name]["pairs_per_second"] for name in asked.engines)
                print(f"    {asked.engines[1]} / {asked.engines[0]} = {other / one:.2f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
