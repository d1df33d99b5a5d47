"""How long the console's pages and the admin API's lists take before a journal of a million requests.

`.venv/bin/python bench/pages.py` writes a book of that size (`book.py`) on SQLite and on PostgreSQL, starts the gateway
on it, and asks for every page of customers and of operators and for every GET of the admin API some times, after one
round to warm up. `--database URL` takes one database, which is kept, and filled if it is empty.

Prints of each the median, the 95th percentile and the first answer in milliseconds; how much of a processor the
console's process took for one: on a busy machine only that says something. Exit code 1 if a median or a 95th
percentile is over the limit, or if something that can be asked for was not.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import requests

from book import ACCOUNTS, Size, write_book
from postgres import postgres
from proxyapi.admin.api.openapi import PREFIX as ADMIN
from proxyapi.admin.api.routes import ROUTES as OPERATIONS
from proxyapi.console.page import PREFIX as CONSOLE
from proxyapi.console.routes import ROUTES as PAGES
from proxyapi.ids import format_id
from proxyapi.store.database import Database, open_database, sqlite_url

EMAIL, PASSWORD = "bench@example.com", "correct horse battery"
LIMIT_MS, FIRST_MS = 100.0, 200.0
PROXYAPI = Path(sys.executable).with_name("proxyapi")

CUSTOMER = (
    "/", "/keys", "/keys/new", "/keys/1", "/usage", "/usage?days=1", "/usage?by=key", "/usage?by=operation",
    "/transactions", "/transactions?state=failed", "/transactions?model=openai/gpt-4.1", "/transactions/{request}",
    "/log", "/log/settings", "/models", "/models?q=gpt&sort=price", "/playground",
    "/playground/price?model=openai/gpt-4o", "/balance", "/settings", "/settings/factor", "/docs",
    "/docs/concepts/errors",
)  # fmt: skip
OPERATOR = (
    "/operator/accounts", "/operator/accounts?q=user77", "/operator/accounts?state=low",
    "/operator/accounts?state=blocked", "/operator/accounts?after=500", "/operator/accounts/1",
    "/operator/accounts/500", "/operator/users", "/operator/users?q=user77", "/operator/users/1",
    "/operator/prices", "/operator/prices?q=claude", "/operator/prices?own=1", "/operator/prices?rate=99&markup=30",
    "/operator/price", "/operator/price?model=openai/gpt-4o", "/operator/providers", "/operator/providers/openai",
    "/operator/revenue", "/operator/revenue?since={year}", "/operator/revenue?by=model&since={year}",
    "/operator/revenue?by=provider&since={year}", "/operator/payments/{payment}", "/operator/vouchers",
    "/operator/record", "/operator/record?subject=account+7", "/operator/record?operator=operator3@example.com",
    "/operator/audit", "/operator/settings",
)  # fmt: skip
API = (
    "/accounts", "/accounts?query=user77", "/accounts?state=low&limit=200", "/accounts/1", "/accounts/1/entries",
    "/accounts/1/entries?limit=200", "/accounts/1/keys", "/keys/1", "/users", "/users?query=user77&limit=200",
    "/users/1", "/requests/{request}", "/prices", "/prices?query=claude&limit=200",
    "/prices?source=own",
    "/prices/openai/gpt-4o", "/pricing", "/pricing/what-if?exchange_rate=99&markup=0.3", "/providers",
    "/providers/openai", "/revenue", "/revenue?since={year}", "/revenue?by=model&since={year}",
    "/revenue?by=provider&since={year}", "/audit", "/vouchers", "/vouchers/1", "/payments", "/payments?limit=200",
    "/payments?account=1", "/payments/{payment}", "/acts", "/acts?subject=account+7&limit=200",
    "/acts?operator=operator3@example.com", "/settings",
)  # fmt: skip
ELSEWHERE = frozenset(
    {
        "/signin", "/signin/code", "/signup", "/confirm", "/forgot", "/reset",  # strangers see these, at no data at all
        "/transactions.csv", "/usage.csv", "/log/{id}", "/log/{id}/{part}.txt",  # files, and what nothing was kept for
        "/balance/payment",
    }
)  # fmt: skip


class Figures(NamedTuple):
    path: str
    median: float
    late: float
    """The 95th percentile."""
    first: float
    used: float
    """Of a processor, in milliseconds."""
    size: int

    @property
    def slow(self) -> bool:
        return self.median > LIMIT_MS or self.late > LIMIT_MS


class Site:
    """A running gateway with its console, somebody who is signed in there, and a token."""

    def __init__(self, pid: int, url: str, token: str) -> None:
        """`pid`: of the supervisor."""
        self.pid = pid
        self.url = url
        self.session = requests.Session()
        self.token = {"authorization": f"Bearer {token}"}

    def sign_in(self) -> None:
        page = self.session.get(f"{self.url}{CONSOLE}/signin", timeout=20)
        token = re.search(r'name="_csrf" value="(\w+)"', page.text)
        assert token
        fields = {"_csrf": token[1], "email": EMAIL, "password": PASSWORD}
        answer = self.session.post(f"{self.url}{CONSOLE}/signin", data=fields, timeout=20)
        assert answer.url.endswith(f"{CONSOLE}/"), answer.url

    def ask(self, path: str) -> requests.Response:
        headers = self.token if path.startswith(ADMIN) else {}
        answer = self.session.get(self.url + path, headers=headers, timeout=60)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:300])
        return answer

    def processor_ms(self) -> float:
        """What the console, the last child of the supervisor, has used of processors so far."""
        console = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()[-1]
        fields = Path(f"/proc/{console}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def paths(database: Database, now: float) -> list[str]:
    """Everything that is asked for, with the ids of this book."""
    ids = {
        name: format_id(database.fetch_now(sql)[0][0])
        for name, sql in (
            ("request", "SELECT id FROM entry WHERE account_id = 1 AND kind = 'settle' ORDER BY id DESC LIMIT 1"),
            ("payment", "SELECT id FROM payment ORDER BY id DESC LIMIT 1"),
        )
    }
    ids["year"] = time.strftime("%Y-%m-%d", time.gmtime(now - 390 * 86_400))
    found = [*(CONSOLE + path for path in (*CUSTOMER, *OPERATOR)), *(ADMIN + path for path in API)]
    return [path.format(**ids) for path in found]


def forgotten(asked: list[str]) -> list[str]:
    """Routes that nobody asks for."""
    routes = [route.path for route in PAGES if "GET" in (route.methods or ())]
    routes += [ADMIN + route.path for route in OPERATIONS if route.method == "GET"]
    plain = [path.partition("?")[0] for path in asked]
    return [
        route
        for route in routes
        if route.removeprefix(CONSOLE) not in ELSEWHERE and not any(map(_pattern(route).fullmatch, plain))
    ]


def _pattern(route: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)(?::path)?\}", route)
    wide = {"name", "model"}
    return re.compile(
        "".join((".+" if part in wide else "[^/]+") if at % 2 else re.escape(part) for at, part in enumerate(parts))
    )


def measure(site: Site, asked: list[str], times: int) -> list[Figures]:
    first = {path: _timed(site, path)[0] for path in asked}
    found = []
    for path in asked:
        site.ask(path)
        used = site.processor_ms()
        took, size = zip(*(_timed(site, path) for _ in range(times)), strict=True)
        used = (site.processor_ms() - used) / times
        ordered = sorted(took)
        late = ordered[min(times - 1, -(-times * 95 // 100) - 1)]
        found.append(Figures(path, ordered[times // 2], late, first[path], used, size[0]))
    return found


def _timed(site: Site, path: str) -> tuple[float, int]:
    began = time.perf_counter()
    answer = site.ask(path)
    return (time.perf_counter() - began) * 1000, len(answer.content)


def table(engine: str, found: list[Figures]) -> None:
    print(f"\n{engine}: milliseconds\n{'':58} median    p95  first  processor   bytes")
    for one in found:
        mark = " slow" if one.slow else " slow at first" if one.first > FIRST_MS else ""
        figures = f"{one.median:8.1f} {one.late:6.1f} {one.first:6.1f} {one.used:10.1f} {one.size:7}"
        print(f"{one.path[:57]:57} {figures}{mark}")
    medians = sorted(one.median for one in found)
    slowest = max(one.late for one in found)
    print(f"{len(found)} pages: median {medians[len(medians) // 2]:.1f}, slowest p95 {slowest:.1f}", flush=True)


# --- the gateway ------------------------------------------------------------------------------------------------------


@contextmanager
def serving(data: Path, environment: Mapping[str, str], command: list[str] | None = None) -> Iterator[Site]:
    """The gateway on a database, ready, with a user and a token. `command`: what it is started by."""
    _user(data, environment)
    token = _run(
        "operator",
        "token",
        "create",
        "bench",
        "--scope",
        "write",
        "--data",
        str(data),
        "--json",
        environment=environment,
    )
    start = [*(command or []), str(PROXYAPI), "serve", "--data", str(data), "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(
        start, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ | environment
    )
    try:
        assert process.stdout is not None
        url = ""
        for line in process.stdout:
            if found := re.search(r"http://[\d.]+:\d+", line):
                url = found[0]
            if line.startswith("Ready"):
                break
        while requests.get(f"{url}{CONSOLE}/signin", timeout=20).status_code != 200:
            time.sleep(0.1)
        yield Site(process.pid, url, json.loads(token)["token"])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _user(data: Path, environment: Mapping[str, str]) -> None:
    listed = _run("user", "list", "--data", str(data), "--json", environment=environment)
    if EMAIL not in listed:
        who = ("user", "create", EMAIL, "--account", "bench", "--operator", "--data", str(data))
        _run(*who, environment=environment, typed=f"{PASSWORD}\n")


def _run(*words: str, environment: Mapping[str, str], typed: str = "") -> str:
    command = [str(PROXYAPI), *words]
    done = subprocess.run(
        command, input=typed, capture_output=True, text=True, env=os.environ | environment, check=True
    )
    return done.stdout


def bench(url: str, folder: Path, size: Size, times: int) -> bool:
    """One engine; is it quick enough?"""
    database = open_database(url)
    if database.schema_version() == 0:
        write_book(database, size, 11, int(time.time() * 1000))
    environment = {"DATABASE_URL": url}
    with serving(folder, environment) as site:
        asked = paths(database, time.time())
        left = forgotten(asked)
        site.sign_in()
        if not database.fetch_now("SELECT 1 FROM setting WHERE name = 'audit_result'"):
            requests.post(f"{site.url}{ADMIN}/audit", headers=site.token, timeout=300).raise_for_status()
        found = measure(site, asked, times)
    database.close()
    table(url.partition(":")[0], found)
    for route in left:
        print(f"not asked for: {route}")
    return not left and not any(one.slow for one in found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=Size().entries)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--database", help="the address of one that is kept; else a new one on each engine")
    given = parser.parse_args()
    size = Size(given.entries, max(given.entries // 10, ACCOUNTS))
    with tempfile.TemporaryDirectory(prefix="proxyapi-pages-") as name:
        folder = Path(name)
        if given.database:
            return 0 if bench(given.database, folder, size, given.times) else 1
        quick = bench(sqlite_url(folder / "proxyapi.db"), folder, size, given.times)
        with postgres(folder) as server:
            quick &= bench(server.create(), folder, size, given.times)
    return 0 if quick else 1


if __name__ == "__main__":
    raise SystemExit(main())
