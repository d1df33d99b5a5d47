"""A steady load for minutes while workers are killed at random: memory stays flat, no hold stays, the books are right.

python tests/faults/soak.py [--seconds 600] [--engine sqlite|postgres] [--rate 30] [--workers 3]     exit code 1 if not

Bodies and streams in equal parts, one in twenty left in the middle, on the sandbox. The first worker is spared, so that
somebody is there to grow for the whole time; one of the others is killed (SIGKILL) every quarter of a minute or so.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))

from gateway import Gateway, eventually

from postgres import TEMPLATE, PostgresServer, children

CONFIG = "access_log = false\n[pause]\nenabled = false\n[sandbox]\npace_ms = 20\n"
CHAT = "/openai/v1/chat/completions"
BODY: Any = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Tell me something"}], "max_tokens": 200}
CLIENTS = 24
LEAVE_SHARE = 0.05
KILL_SECONDS = (8.0, 22.0)
SAMPLE_SECONDS = 5.0
HOLD_SECONDS_MAX = 60.0
"""The longest answer takes seconds, and whoever takes the place of a dead worker gives back what that one held."""
GROWTH_MAX = 0.10
GROWTH_KIB_MAX = 8_192
"""What a process may grow from the second fifth of the time to the last: the allocator's own ups and downs."""


@dataclass
class Load:
    """Clients that ask at a steady rate."""

    gateway: Gateway
    key: str
    rate: float
    over: threading.Event = field(default_factory=threading.Event)
    acknowledged: list[str] = field(default_factory=list)
    """Requests whose answers came whole."""
    left: int = 0
    broken: int = 0
    surprises: list[str] = field(default_factory=list)

    def run(self) -> None:
        chance = random.Random()
        connection = http.client.HTTPConnection(*self.gateway.address, timeout=30)
        while not self.over.wait(chance.expovariate(self.rate / CLIENTS)):
            try:
                if not self.ask(connection, chance):
                    connection.close()
            except (OSError, http.client.HTTPException):
                self.broken += 1  # its worker was killed
                connection.close()
        connection.close()

    def ask(self, connection: http.client.HTTPConnection, chance: random.Random) -> bool:
        """Whether the connection can be used again."""
        stream = chance.random() < 0.5
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        connection.request("POST", CHAT, json.dumps(BODY | {"stream": stream}), headers)
        answer = connection.getresponse()
        if stream and chance.random() < 2 * LEAVE_SHARE:
            answer.read(200)
            self.left += 1
            return False
        text = answer.read()
        if answer.status == 200 and (b"[DONE]" in text or b'"usage"' in text):
            self.acknowledged.append(str(answer.headers["x-request-id"]))
        else:
            self.surprises.append(f"{answer.status} {text[:200]!r}")
        return True


@dataclass
class Watch:
    """What is seen on the way."""

    gateway: Gateway
    memory: dict[str, list[int]] = field(default_factory=dict)
    """KiB of resident memory, by process that lives from the beginning to the end."""
    oldest_seconds: float = 0.0
    holds_max: int = 0
    kills: int = 0

    def sample(self, processes: dict[str, int]) -> None:
        for name, pid in processes.items():
            self.memory.setdefault(name, []).append(resident_kib(pid))
        created = [row["created_at"] for row in self.gateway.rows("SELECT created_at FROM hold")]
        self.holds_max = max(self.holds_max, len(created))
        if created:
            self.oldest_seconds = max(self.oldest_seconds, time.time() - min(created) / 1000)

    def kill_one(self, spared: set[int], chance: random.Random) -> None:
        mortal = [pid for pid in children(self.gateway.pid) if pid not in spared]
        if mortal:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(mortal), signal.SIGKILL)
                self.kills += 1

    def growth(self) -> dict[str, tuple[int, int]]:
        """KiB in the second fifth of the time, and in the last."""
        found = {}
        for name, sizes in self.memory.items():
            fifth = max(1, len(sizes) // 5)
            found[name] = (int(median(sizes[fifth : 2 * fifth] or sizes)), int(median(sizes[-fifth:])))
        return found


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


def resident_kib(pid: int) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1])


def soak(gateway: Gateway, seconds: float, rate: float) -> list[str]:
    """What is wrong afterwards."""
    account, key = gateway.customer("10000000")
    load, watch, chance = Load(gateway, key, rate), Watch(gateway), random.Random()
    sandbox, first, *_ = sorted(children(gateway.pid))
    lasting = {"supervisor": gateway.pid, "sandbox": sandbox, "spared worker": first}
    threads = [threading.Thread(target=load.run, daemon=True) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    next_kill = time.monotonic() + chance.uniform(*KILL_SECONDS)
    while time.monotonic() < end:
        time.sleep(SAMPLE_SECONDS)
        watch.sample(lasting)
        if time.monotonic() > next_kill:
            watch.kill_one(set(lasting.values()), chance)
            next_kill = time.monotonic() + chance.uniform(*KILL_SECONDS)
    load.over.set()
    for thread in threads:
        thread.join(30)
    eventually(lambda: not gateway.holds(), seconds=2 * HOLD_SECONDS_MAX)
    return verdict(gateway, account, load, watch, seconds)


def verdict(gateway: Gateway, account: str, load: Load, watch: Watch, seconds: float) -> list[str]:
    """Prints the figures; what is wrong with them."""
    entries = {entry["id"].hex(): entry["kind"] for entry in gateway.entries(account)}
    kinds = [entries.get(id.replace("-", ""), "nothing") for id in load.acknowledged]
    growth = watch.growth()
    report = gateway.cli("audit")
    say(
        f"{seconds:.0f} s, {len(load.acknowledged)} whole answers, {load.left} left in the middle, {load.broken} "
        f"broken by {watch.kills} kills; at most {watch.holds_max} holds at once, "
        f"the oldest {watch.oldest_seconds:.1f} s; "
        f"journal: {len(entries)} requests, of the whole answers {kinds.count('settle')} settled, "
        f"{kinds.count('expire')} expired, {kinds.count('nothing')} unknown; "
        f"audit {'clean' if report['ok'] else report}"
    )
    for name, (early, late) in growth.items():
        say(f"memory of the {name}: {early / 1024:.1f} MiB early, {late / 1024:.1f} MiB late")
    wrong = [f"unexpected: {text}" for text in load.surprises[:10]]
    wrong += [f"{kinds.count('nothing')} whole answers are not in the journal"] * ("nothing" in kinds)
    wrong += ["the audit is not clean"] * (not report["ok"])
    wrong += [f"a hold was {watch.oldest_seconds:.0f} s old"] * (watch.oldest_seconds > HOLD_SECONDS_MAX)
    for name, (early, late) in growth.items():
        if late > early + max(GROWTH_KIB_MAX, early * GROWTH_MAX):
            wrong.append(f"the {name} grew from {early} to {late} KiB")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--engine", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--rate", type=float, default=30, help="requests per second")
    parser.add_argument("--workers", type=int, default=3)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        url = ""
        if options.engine == "postgres":
            server = stack.enter_context(PostgresServer())
            server.make_template()
            url = server.create(TEMPLATE)
        gateway = stack.enter_context(Gateway(folder, CONFIG, workers=options.workers, database_url=url))
        wrong = soak(gateway, options.seconds, options.rate)
        if gateway.stop() != 0:
            wrong.append("the gateway did not stop in order")
    say("\n".join(wrong) or f"soak on {options.engine}: passed")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
