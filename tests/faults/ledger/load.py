"""A worker process under load, for the fault tests: `python load.py {race|load} DATABASE ARGUMENT`.

race: asks for ARGUMENT holds at once, after a line on stdin, and prints the answers as JSON.
load: holds and settles until it is killed, and appends every acknowledgement to the file ARGUMENT.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections import Counter
from pathlib import Path

from proxyapi.errors import InsufficientFunds
from proxyapi.ids import IdSource
from proxyapi.ledger.ledger import Ledger
from proxyapi.ledger.ops import Budget, Ending, Hold
from proxyapi.store.sqlite import SqliteDatabase
from proxyapi.usage import Unit

AMOUNT = 1_000_003
WALLETS = (1, 2, 3)


class Price:
    id = 7

    def to_json(self) -> bytes:
        return b"{}"


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def race(ledger: Ledger, ids: IdSource, count: int) -> None:
    say("ready")
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    limited = Budget(11, "never", 41 * AMOUNT + 12_345)
    answers: Counter[str] = Counter()

    async def client(position: int) -> None:
        wallet, budget = (2, limited) if position % 2 else (1, None)
        try:
            await ledger.hold(Hold(ids(), wallet, 11, AMOUNT, Price(), "openai", "m", "chat", budget))
            answers[f"held by {wallet}"] += 1
        except InsufficientFunds as error:
            answers[f"{error.source} refuses {wallet}"] += 1
            assert error.available < error.required

    await asyncio.gather(*map(client, range(count)))
    say(json.dumps(answers))


async def load(ledger: Ledger, ids: IdSource, log_path: Path) -> None:
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    chance = random.Random(os.urandom(8))

    async def client() -> None:
        while True:
            wallet, id, amount = chance.choice(WALLETS), ids(), chance.randrange(1, 10**6)
            budget = Budget(wallet, "day", 10**15) if chance.random() < 0.7 else None
            await ledger.hold(Hold(id, wallet, wallet, amount, Price(), "openai", "m", "chat", budget))
            os.write(log, f"H {id.hex()} {amount}\n".encode())
            if chance.random() < 0.3:
                await asyncio.sleep(chance.random() * 0.05)
            actual = chance.randrange(amount)
            ending = Ending(id, wallet, Price(), "openai", "m", "chat", {Unit.OUTPUT: actual}, actual)
            ending.released = chance.random() < 0.1
            settled = await ledger.settle(ending)
            if chance.random() < 0.1:
                assert (await ledger.settle(ending)).charged == settled.charged
            os.write(log, f"S {id.hex()} {settled.charged}\n".encode())

    say("ready")
    await asyncio.gather(*(client() for _ in range(40)))


async def main() -> None:
    ids = IdSource()
    ledger = Ledger(SqliteDatabase(Path(sys.argv[2])), worker=f"process {os.getpid()}", ids=ids)
    await ledger.open()
    if sys.argv[1] == "race":
        await race(ledger, ids, int(sys.argv[3]))
        await ledger.close()
    else:
        await load(ledger, ids, Path(sys.argv[3]))


asyncio.run(main())
