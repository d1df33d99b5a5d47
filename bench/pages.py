"""How long the console's pages take before a journal of a million requests: `.venv/bin/python bench/pages.py`.

Makes a database of the wanted size in a temporary directory (or `--data DIR`, which is kept), starts the gateway on it,
signs in and asks for every page some times. Prints the median and the slowest of each in milliseconds, and how much of
a processor the console's process took for one: on a busy machine only that says something.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import requests

from proxyapi.identity.accounts import Accounts, KeyRing, KeySettings
from proxyapi.identity.currency import agree_on_currency
from proxyapi.ids import IdSource
from proxyapi.ledger.offline import OfflineLedger
from proxyapi.money import NANOS_PER_UNIT
from proxyapi.pricing.charge import charge
from proxyapi.pricing.price import make_price
from proxyapi.store.database import Database, open_database
from proxyapi.store.migrate import migrate
from proxyapi.usage import Unit

EMAIL, PASSWORD = "bench@example.com", "correct horse battery"
DAYS = 60
HOUR_MS = 3_600_000
BATCH = 20_000
MODELS = {  # rubles per million tokens of input and output, and how often it is asked
    "anthropic/claude-sonnet-4-20250514": (330, 1650, 8),
    "openai/gpt-4o": (275, 1100, 6),
    "google/gemini-2.0-flash": (11, 44, 9),
    "openai/gpt-4o-mini": (17, 66, 7),
    "mistralai/mistral-medium-3.1": (44, 220, 4),
    "deepseek/deepseek-chat": (30, 121, 3),
    "openai/gpt-4.1": (220, 880, 2),
}
PAGES = (
    "/", "/keys", "/usage", "/usage?days=1", "/usage?by=key", "/usage?by=operation", "/transactions",
    "/transactions?state=failed", "/transactions?model=openai/gpt-4.1", "/models", "/balance", "/settings",
)  # fmt: skip
ENTRY = """INSERT INTO entry (id, kind, account_id, key_id, amount, held, actual, charged, loss, price_id, variant,
units, source, ending, status, operation, provider, model, latency_ms, first_byte_ms, attempts, created_at)
VALUES (?, ?, ?, ?, 0, ?, ?, ?, 0, ?, '', ?, 'reported', ?, ?, ?, ?, ?, ?, ?, 1, ?)"""
ROLLUP = """INSERT INTO rollup (hour, account_id, key_id, model, requests, failed, input, cached, cache_write, output,
reasoning, other, actual, charged, loss) VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, ?, 0, 0, ?, ?, 0)"""


def fill(database: Database, entries: int, seed: int) -> None:
    """One account with half of the requests, nine with the rest; sums that the audit proves."""
    clock, ids = time.time, IdSource()
    ledger = OfflineLedger(database, ids=ids)
    accounts = Accounts(database, clock)
    ring = KeyRing(database, ledger, clock, os.urandom)
    owners: list[tuple[int, list[int]]] = []
    for number in range(10):
        account = accounts.create("bench" if number == 0 else f"customer {number}")
        ledger.deposit(account.id, 10_000_000 * NANOS_PER_UNIT, reference=f"bench {number}")
        names = ("Support bot", "Catalogue", "n8n", "Claude Code, laptop", "Call transcripts")
        keys = [
            ring.create(account.id, KeySettings(name=name, budget_limit=budget, budget_period="month"))[0]
            for name, budget in zip(names, (3000 * NANOS_PER_UNIT, None, None, None, None), strict=True)
        ]
        owners.append((account.id, keys))
    spent: dict[int, int] = defaultdict(int)
    rollup: dict[tuple[int, int, int, str], list[int]] = defaultdict(lambda: [0] * 6)
    with database.transaction() as transaction:
        prices = {}
        for model, (rate_in, rate_out, _) in MODELS.items():
            rates = dict.fromkeys(Unit, 0) | {
                Unit.INPUT: rate_in * NANOS_PER_UNIT, Unit.OUTPUT: rate_out * NANOS_PER_UNIT
            }  # fmt: skip
            price = prices[model] = make_price(provider=model.split("/")[0], model=model.split("/")[1], rates=rates)
            body = price.to_json().decode()
            transaction.execute("INSERT INTO price (id, body, created_at) VALUES (?, ?, 0)", (price.id, body))
    for rows in _batches(entries, seed, owners, prices, spent, rollup):
        with database.transaction() as transaction:
            transaction.executemany(ENTRY, rows)
    with database.transaction() as transaction:
        transaction.executemany(ROLLUP, [(*key, *values) for key, values in rollup.items()])
        for account_id, sum_of in spent.items():
            transaction.execute("UPDATE account SET spent = spent + ? WHERE id = ?", (sum_of, account_id))
    ledger.close()


def _batches(entries: int, seed: int, owners, prices, spent, rollup) -> Iterator[list[tuple[object, ...]]]:  # type: ignore[no-untyped-def]
    chance = random.Random(seed)
    now = int(time.time() * 1000)
    models, weights = list(MODELS), [row[2] for row in MODELS.values()]
    rows: list[tuple[object, ...]] = []
    for number in range(entries):
        created = now - DAYS * 24 * HOUR_MS + number * (DAYS * 24 * HOUR_MS) // entries
        account_id, keys = owners[0] if chance.random() < 0.5 else chance.choice(owners[1:])
        key_id, model = chance.choice(keys), chance.choices(models, weights)[0]
        given, made = chance.randrange(200, 6000), chance.randrange(20, 900)
        price = prices[model]
        held = charge({Unit.INPUT: given, Unit.OUTPUT: 4096}, price)
        failed = chance.random() < 0.02
        cost = 0 if failed else charge({Unit.INPUT: given, Unit.OUTPUT: made}, price)
        id = created.to_bytes(6, "big") + chance.randbytes(10)
        units = None if failed else f'{{"input_tokens":{given},"output_tokens":{made}}}'
        kind, ending, status = ("release", "upstream_broken", 502) if failed else ("settle", "completed", 200)
        operation = chance.choice(("chat", "chat", "responses", "messages"))
        latency = chance.randrange(400, 9000)
        rows.append(
            (id, kind, account_id, key_id, held, cost, cost, price.id, units, ending, status, operation,
             model.split("/")[0], model, latency, latency // 4, created)
        )  # fmt: skip
        spent[account_id] += cost
        sums = rollup[created // HOUR_MS, account_id, key_id, model]
        for at, value in enumerate((0 if failed else 1, int(failed), 0 if failed else given, 0 if failed else made)):
            sums[at] += value
        sums[4] += cost
        sums[5] += cost
        if len(rows) == BATCH:
            yield rows
            rows = []
    yield rows


def serve(data: Path) -> tuple[subprocess.Popen[str], str]:
    """The gateway on the database, with its console."""
    command = [sys.executable, "-m", "proxyapi", "serve", "--data", str(data), "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http://[\d.]+:\d+", line):
            url = found[0]
        if line.startswith("Ready"):
            break
    while requests.get(f"{url}/console/signin", timeout=20).status_code != 200:
        time.sleep(0.1)
    return process, url


def processor_ms(pid: int) -> float:
    """What the console, the last child of the supervisor, has used of processors so far."""
    console = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[-1]
    fields = Path(f"/proc/{console}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def measure(url: str, times: int, pid: int) -> int:
    session = requests.Session()
    page = session.get(f"{url}/console/signin", timeout=20)
    token = re.search(r'name="_csrf" value="(\w+)"', page.text)
    assert token
    fields = {"_csrf": token[1], "email": EMAIL, "password": PASSWORD}
    assert session.post(f"{url}/console/signin", data=fields, timeout=20).url.endswith("/console/")
    slow = 0
    for path in PAGES:
        took, used = [], processor_ms(pid)
        for _ in range(times):
            began = time.perf_counter()
            answer = session.get(f"{url}/console{path}", timeout=60)
            took.append((time.perf_counter() - began) * 1000)
        median = statistics.median(took)
        slow += median > 100
        used = (processor_ms(pid) - used) / times
        figures = f"{median:7.1f} ms, slowest {max(took):7.1f}, processor {used:6.1f} ms, {len(answer.content):8} bytes"
        print(f"{path:40} {answer.status_code} {figures}")
    return slow


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=15)
    parser.add_argument("--data", type=Path, help="keep the database here, and take it from here if it is there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="proxyapi-pages-") as folder:
        data: Path = given.data or Path(folder)
        if not (data / "proxyapi.db").exists():
            data.mkdir(parents=True, exist_ok=True)
            database = open_database(f"sqlite:///{data.resolve()}/proxyapi.db")
            database.prepare()
            migrate(database)
            agree_on_currency(database, "RUB")
            fill(database, given.entries, seed=11)
            database.close()
            command = [sys.executable, "-m", "proxyapi", "user", "create", EMAIL, "--account", "bench", "--operator"]
            subprocess.run([*command, "--data", str(data)], input=f"{PASSWORD}\n", text=True, check=True)
        process, url = serve(data)
        try:
            return 1 if measure(url, given.times, process.pid) else 0
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


if __name__ == "__main__":
    raise SystemExit(main())
