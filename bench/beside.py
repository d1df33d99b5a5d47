"""What the API loses while pages are asked for as fast as they come: `.venv/bin/python bench/beside.py`.

The gateway has core 0, load and upstream have core 1, as in `bench.py`; whoever asks for pages gets what they leave of
it. The console's process is once on the gateway's core and once on the other. Rounds with and without pages take turns,
in the order ABBA, on a database with a journal of 100,000 requests; the median of the ratios of neighbours counts: what
drifts does not.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from bench import (
    BUILD,
    LOAD_CORE,
    PROXY_CORE,
    WORK,
    Proxy,
    free_port,
    gateway_command,
    pinned,
    prepare_gateway,
    proxyapi,
    run_load,
    started,
    table,
    wait_for_answer,
)  # fmt: skip
from book import Size, write_book
from machine import machine
from pages import EMAIL, PASSWORD, Site
from proxyapi.console.page import PREFIX
from proxyapi.store.database import open_database, sqlite_url

ROUNDS, SECONDS, WARM_SECONDS, CONNECTIONS = 4, 2.0, 0.5, 64
READERS = 4
COOKIES = "BESIDE_COOKIES"
"""The variable with which readers are signed in."""
PATHS = (
    "/", "/usage", "/transactions", "/models", "/operator/accounts", "/operator/revenue", "/operator/prices",
    "/operator/providers",
)  # fmt: skip


def read_pages(url: str) -> None:
    """Some readers, until the process is asked to end; then it says how many pages they saw in a second."""
    seen, began, over = [0] * READERS, time.monotonic(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    sites = [Site(0, url, "") for _ in range(READERS)]

    def read(number: int) -> None:
        sites[number].session.cookies.update(json.loads(os.environ[COOKIES]))
        while not over.is_set():
            sites[number].ask(PREFIX + PATHS[seen[number] % len(PATHS)])
            seen[number] += 1

    for number in range(READERS):
        threading.Thread(target=read, args=(number,), daemon=True).start()
    while not sum(seen):
        time.sleep(0.05)
    print("reading", flush=True)
    over.wait()
    print(sum(seen) / (time.monotonic() - began), flush=True)
    os._exit(0)


@contextlib.contextmanager
def readers(url: str) -> Iterator[list[float]]:
    """While pages are read; pages a second afterwards."""
    rate: list[float] = []
    command = ["chrt", "-i", "0", *pinned(LOAD_CORE, sys.executable, __file__, url)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield rate
    finally:
        process.terminate()
        rate.append(float(process.communicate(timeout=30)[0] or 0))


def console_of(pid: int) -> int:
    """The last child of the supervisor."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[-1])


def compare(gateway: Proxy, url: str, core: int) -> tuple[str, ...]:
    for thread in Path(f"/proc/{console_of(gateway.pid)}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})
    alone: list[float] = []
    beside: list[float] = []
    pages: list[float] = []

    def run() -> float:
        return run_load(gateway, "plain", CONNECTIONS, SECONDS, WARM_SECONDS)["rate"]

    for number in range(ROUNDS):
        if number % 2 == 0:
            alone.append(run())
        with readers(url) as rate:
            beside.append(run())
        pages += rate
        if number % 2:
            alone.append(run())
    ratios = [with_ / without for with_, without in zip(beside, alone, strict=True)]
    place = "the gateway's core" if core == PROXY_CORE else "the other core"
    median = statistics.median
    return (
        place, f"{median(alone):,.0f}", f"{median(beside):,.0f}", f"{median(ratios):.3f}",
        f"{min(ratios):.2f} to {max(ratios):.2f}", f"{median(pages):.0f}",
    )  # fmt: skip


def main() -> None:
    if len(sys.argv) > 1:
        read_pages(sys.argv[1])
    print(machine())
    with contextlib.ExitStack() as stack:
        WORK.mkdir()
        stack.callback(shutil.rmtree, WORK)
        upstream_port, port = free_port(), free_port()
        process = stack.enter_context(started("upstream", pinned(LOAD_CORE, BUILD / "upstream", upstream_port)))
        wait_for_answer(Proxy("upstream", upstream_port, "/v1/chat/completions", process.pid), process)
        prepare_gateway(upstream_port)
        address = sqlite_url(WORK / "book.db")
        database = open_database(address)
        write_book(database, Size(100_000, 10_000), 11, int(time.time() * 1000))
        database.close()
        key = proxyapi("key", "create", "bench", DATABASE_URL=address)["key"]
        who = ["user", "create", EMAIL, "--account", "bench", "--operator", "--data", str(WORK)]
        subprocess.run(
            [Path(sys.executable).with_name("proxyapi"), *who], input=f"{PASSWORD}\n", text=True, check=True,
            capture_output=True, env=os.environ | {"DATABASE_URL": address},
        )  # fmt: skip
        process = stack.enter_context(started("gateway", gateway_command(port), DATABASE_URL=address))
        fields = (f"Authorization: Bearer {key}",)
        gateway = Proxy("gateway", port, "/v1/chat/completions", process.pid, fields)
        wait_for_answer(gateway, process)
        time.sleep(3.0)
        site = Site(process.pid, f"http://127.0.0.1:{port}", "")
        site.sign_in()  # once: attempts are limited
        os.environ[COOKIES] = json.dumps(site.session.cookies.get_dict())
        rows = [compare(gateway, f"http://127.0.0.1:{port}", core) for core in (PROXY_CORE, LOAD_CORE)]
    header = ("console on", "requests/s alone", "beside pages", "ratio", "of rounds", "pages/s")
    table("Chat completions while pages are read as fast as they come (SQLite)", header, rows)


if __name__ == "__main__":
    main()
