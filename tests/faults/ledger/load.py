"""A worker process under load, for the fault tests: `python load.py OPTIONS`, a JSON object (see `Options`).

It says `ready` and waits for a line. Every answer of the ledger is appended to the log as soon as it is known, in one
write that a kill can't tear:

    H <id> <amount>               the hold is durable
    S <id> <charged> <outcome>    the ending is
    R <milliseconds> <error>      refused, after so long
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).parents[2] / "fakes"))

from proxyapi.errors import GatewayError, InsufficientFunds, StoreUnavailable
from proxyapi.ids import IdSource
from proxyapi.ledger.ledger import UNSEEN_SECONDS_MAX, Ledger, now_ms
from proxyapi.ledger.ops import Budget, Ending, Hold, Period, Settled
from proxyapi.pricing.price import RATE_UNITS, make_price
from proxyapi.store.database import open_database
from proxyapi.usage import Unit

AMOUNT = 1_000_003
"""What a hold of a race takes."""
PAUSE_SECONDS = 0.05
"""After a refusal by a store that is sick."""


class Options(msgspec.Struct, forbid_unknown_fields=True):
    mode: str
    """race, load, streams or periods."""
    url: str
    log: str
    accounts: tuple[int, ...] = (1, 2, 3)
    keys: int = 1
    """Of each account, all with budgets of their own; their ids are 10 × account + n."""
    clients: int = 40
    count: int = 0
    """race: requests; streams: how many are held; periods: requests before midnight, and after it."""
    mixed: bool = False
    """race: with amounts of many sizes."""
    budget: bool = False
    """race: the key is limited too."""
    limit: int = 10**15
    """Of the budgets."""
    period: Period = "day"
    midnight_ms: int = 0
    """periods: the clock stands one second before it, then one after it."""
    heartbeat_seconds: float = 0.5
    unseen_seconds: float = UNSEEN_SECONDS_MAX
    commit_faults: float = 0.0
    """Of so many batches the acknowledgement is lost, after COMMIT or before it."""
    jumps_ms: int = 0
    """How far SIGUSR1 puts the clock forward, and SIGUSR2 back."""


PRICE = make_price(provider="openai", model="gpt", rates=dict.fromkeys(Unit, RATE_UNITS))
"""A nano per token: auditors can prove what was charged."""


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Worker:
    def __init__(self, options: Options) -> None:
        self.options = options
        self.log = os.open(options.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.chance = random.Random(os.urandom(8))
        self.shift_ms = 0
        self.over = asyncio.Event()
        self.ids = IdSource(lambda: self.clock_ms() * 1_000_000 + time.time_ns() % 1_000_000)
        database = open_database(options.url)
        if options.commit_faults:
            from faulty import Faults, faulty_writer

            self.faults = Faults()
            database.writer = lambda: faulty_writer(options.url, self.faults)  # type: ignore[method-assign]
        self.ledger = Ledger(
            database, worker=f"process {os.getpid()}", ids=self.ids, clock_ms=self.clock_ms,
            unseen_seconds=options.unseen_seconds,
        )  # fmt: skip

    def clock_ms(self) -> int:
        midnight = self.options.midnight_ms
        return midnight + self.shift_ms if midnight else now_ms() + self.shift_ms

    def note(self, *words: object) -> None:
        os.write(self.log, (" ".join(map(str, words)) + "\n").encode())

    async def open(self) -> None:
        await self.ledger.open()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.over.set)
        for number, sign in ((signal.SIGUSR1, 1), (signal.SIGUSR2, -1)):
            loop.add_signal_handler(number, self.jump, sign)
        self.beating = loop.create_task(self.beat())
        say("ready")
        await loop.run_in_executor(None, sys.stdin.readline)

    def jump(self, sign: int) -> None:
        self.shift_ms += sign * self.options.jumps_ms

    async def beat(self) -> None:
        while True:
            await asyncio.sleep(self.options.heartbeat_seconds)
            with suppress(StoreUnavailable):
                await self.ledger.heartbeat()

    async def close(self) -> None:
        self.beating.cancel()
        say(f"left {await self.ledger.close()}")

    def new_hold(self, account: int, amount: int, *, limited: bool = True) -> Hold:
        key = 10 * account + self.chance.randrange(self.options.keys)
        budget = Budget(key, self.options.period, self.options.limit) if limited else None
        return Hold(self.ids(), account, key, amount, PRICE, "openai", f"m{amount % 3}", "chat", budget)

    async def held(self, hold: Hold) -> bool:
        """Whether it was admitted; noted either way."""
        began = time.monotonic()
        try:
            await self.ledger.hold(hold)
        except GatewayError as error:
            if isinstance(error, InsufficientFunds):
                assert error.available < error.required, "a 402 although there was enough"
            self.note("R", int((time.monotonic() - began) * 1000), error.code)
            return False
        self.note("H", hold.id.hex(), hold.amount)
        return True

    async def settled(self, hold: Hold, actual: int, *, released: bool = False) -> Settled:
        ending = Ending(
            hold.id, hold.account_id, hold.price, hold.provider, hold.model, hold.operation, {Unit.OUTPUT: actual},
            actual, released=released,
        )  # fmt: skip
        settled = await self.ledger.settle(ending)
        self.note("S", hold.id.hex(), settled.charged, settled.outcome)
        if self.chance.random() < 0.1:  # somebody repeats it
            again = await self.ledger.settle(ending)
            assert (again.outcome, again.charged) == ("duplicate", settled.charged), again
        return settled

    # --- modes -------------------------------------------------------------------------------------------------------

    async def race(self) -> None:
        """All at once for one account; prints how many were admitted, and who refused the others."""
        answers: Counter[str] = Counter()
        admitted: list[int] = []

        async def client() -> None:
            amount = self.chance.randrange(1, 2 * AMOUNT) if self.options.mixed else AMOUNT
            hold = self.new_hold(1, amount, limited=self.options.budget)
            try:
                await self.ledger.hold(hold)
                answers["held"] += 1
                admitted.append(amount)
            except InsufficientFunds as error:
                answers[error.source] += 1
                assert error.available < error.required == amount

        await asyncio.gather(*(client() for _ in range(self.options.count)))
        say(msgspec.json.encode({"answers": answers, "amount": sum(admitted)}).decode())

    async def load(self) -> None:
        """Holds and settles until SIGTERM."""
        faults = self.options.commit_faults

        async def client() -> None:
            while not self.over.is_set():
                account, amount = self.chance.choice(self.options.accounts), self.chance.randrange(1, 10**6)
                if faults and self.chance.random() < faults and self.faults.left is None:
                    self.faults.left, self.faults.kept = self.chance.randrange(30), self.chance.random() < 0.7
                hold = self.new_hold(account, amount, limited=self.chance.random() < 0.7)
                if not await self.held(hold):
                    await asyncio.sleep(PAUSE_SECONDS)
                    continue
                if self.chance.random() < 0.3:
                    await asyncio.sleep(self.chance.random() * 0.05)
                await self.settled(hold, self.chance.randrange(amount), released=self.chance.random() < 0.1)

        await asyncio.gather(*(client() for _ in range(self.options.clients)))

    async def streams(self) -> None:
        """Holds some requests for long, asks for one more now and then; settles all at the next line on stdin."""
        running = [self.new_hold(self.options.accounts[0], AMOUNT) for _ in range(self.options.count)]
        assert all(await asyncio.gather(*map(self.held, running)))
        say("held")
        loop = asyncio.get_running_loop()
        line = loop.run_in_executor(None, sys.stdin.readline)
        ending: list[
            asyncio.Task[Settled]
        ] = []  # nobody waits for them: without a store they take as long as it is away
        while not line.done():
            more = self.new_hold(self.options.accounts[0], 1)
            if await self.held(more):
                ending.append(loop.create_task(self.settled(more, 1)))
            await asyncio.wait([line], timeout=PAUSE_SECONDS)
        await asyncio.gather(*ending, *(self.settled(hold, AMOUNT - 3) for hold in running))

    async def periods(self) -> None:
        """So many requests before a midnight as after it, `clients` at a time."""
        for self.shift_ms in (-1_000, 1_000):
            todo = [self.new_hold(self.options.accounts[0], AMOUNT) for _ in range(self.options.count)]
            while todo:
                some, todo = todo[: self.options.clients], todo[self.options.clients :]
                await asyncio.gather(*(self.whole(hold) for hold in some))

    async def whole(self, hold: Hold) -> None:
        assert await self.held(hold), "a false 402"
        await self.settled(hold, hold.amount)


async def main() -> None:
    options = msgspec.json.decode(sys.argv[1], type=Options)
    worker = Worker(options)
    await worker.open()
    mode = {"race": worker.race, "load": worker.load, "streams": worker.streams, "periods": worker.periods}
    await mode[options.mode]()
    await worker.close()


asyncio.run(main())
