"""`make bench`: this gateway, nginx `proxy_pass` and the bare upstream side by side, in the same run.

The proxy under test is pinned to core 0, the load tool and the fake upstream to core 1. Each figure is the best of
several rounds in which the proxies take turns (of the engines, the median of many), and stands beside its ratio to
nginx: the ratio is the figure to compare between machines. CPU time is that of all processes and threads of the proxy,
from /proc/PID/stat.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from machine import installed_mb, machine
from postgres import postgres

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent / "build" / "bench"
PROXYAPI = Path(sys.executable).with_name("proxyapi")
PROXY_CORE, LOAD_CORE = 0, 1
TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS_MAX = 20.0
WORK = Path(tempfile.gettempdir()) / f"proxyapi-bench-{os.getpid()}"
"""Data, configurations, request bodies and logs of this run."""

Result = dict[str, float]


class Proxy(NamedTuple):
    """Something that answers chat completions: the gateway, nginx, or the upstream itself."""

    name: str
    port: int
    path: str
    pid: int
    fields: tuple[str, ...] = ()
    """Header lines that the load tool adds."""


class Plan(NamedTuple):
    rounds: int
    seconds: float
    warm_seconds: float
    connections: tuple[int, ...]
    paced_streams: int
    open_streams: int
    starts: int
    turns: int
    """Of two that differ by less than rounds do."""


FULL = Plan(3, 3.0, 1.0, (16, 64, 256), paced_streams=200, open_streams=1000, starts=5, turns=15)
QUICK = Plan(1, 1.0, 0.5, (64,), paced_streams=50, open_streams=200, starts=1, turns=1)
TURN_SECONDS, TURN_WARM_SECONDS = 1.2, 0.6


# -- processes --


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def pinned(core: int, *command: object) -> list[str]:
    return ["taskset", "-c", str(core), *map(str, command)]


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            found += map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of the family."""
    total = 0
    for member in family(pid):
        with contextlib.suppress(OSError):
            values = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            total += int(values[11]) + int(values[12])
    return total / TICKS


def resident_mb(pid: int) -> float:
    total = 0
    for member in family(pid):
        with contextlib.suppress(OSError, AttributeError):
            status = Path(f"/proc/{member}/status").read_text()
            total += int(re.search(r"VmRSS:\s+(\d+)", status).group(1))  # type: ignore[union-attr]
    return total / 1024


def post(port: int, path: str, body: bytes, fields: tuple[str, ...]) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"Content-Type": "application/json"})
    for field in fields:
        request.add_header(*field.split(": ", 1))
    try:
        with urllib.request.urlopen(request, timeout=START_SECONDS_MAX) as response:
            response.read()
            return int(response.status)
    except urllib.error.HTTPError as error:
        print(error.read().decode(errors="replace"), file=sys.stderr)
        return error.code


def failed(proxy: Proxy, what: str) -> SystemExit:
    log = (WORK / f"{proxy.name}.log").read_text(errors="replace")
    return SystemExit(f"bench: {proxy.name} {what}\n{log[-2000:]}")


def wait_for_answer(proxy: Proxy, process: subprocess.Popen[bytes]) -> None:
    """Returns at the first answered request."""
    deadline = time.monotonic() + START_SECONDS_MAX
    body = body_file("plain").read_bytes()
    while True:
        try:
            socket.create_connection(("127.0.0.1", proxy.port)).close()
            break
        except ConnectionRefusedError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise failed(proxy, "did not start") from None
            time.sleep(0.002)
    if post(proxy.port, proxy.path, body, proxy.fields) != 200:
        raise failed(proxy, "does not answer with 200")


@contextlib.contextmanager
def started(name: str, command: list[str], **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    with (WORK / f"{name}.log").open("ab") as log:
        environment = os.environ | environ
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def run_load(proxy: Proxy, body: str, connections: int, seconds: float, warm: float, *options: object) -> Result:
    """One run of the load tool; adds the CPU time of the proxy per request and per event."""
    fields = [word for field in proxy.fields for word in ("-H", field)]
    command = pinned(LOAD_CORE, BUILD / "load", "-p", proxy.port, "-P", proxy.path, "-f", body_file(body))
    command += ["-c", str(connections), "-d", str(seconds), "-w", str(warm), *fields, *map(str, options)]
    before = cpu_seconds(proxy.pid)
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    spent = cpu_seconds(proxy.pid) - before
    result: Result = json.loads(output)
    if result["failed"] or result["not_200"] or not result["measured"]:
        raise failed(proxy, f"failed under load: {output}")
    result["cpu_us"] = 1e6 * spent / result["total"]
    result["cpu_us_event"] = 1e6 * spent / max(result["total_events"], 1)
    return result


# -- the parties --


def body_file(name: str) -> Path:
    """A request; the text `fake-N-D` tells the upstream to send N tokens, D ms apart.

    `plain` and streams for Chat; with `-messages` or `-gemini` the same for another dialect.
    """
    path = WORK / f"{name}.json"
    kind, _, dialect = name.partition("-")
    if not path.exists():
        delay = {"plain": 0, "burst": 0, "paced": 20, "slow": 100}[kind]
        system = "You are a helpful assistant that answers briefly and to the point, in the language of the user."
        user = (
            f"fake-50-{delay} Explain in three sentences what an AI gateway does, which problems it solves for a "
            "team that uses several model providers, and what it costs in latency."
        )
        body: dict[str, Any] = {
            "model": "openai/gpt-4o-mini",
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
            "temperature": 0.7,
            "max_tokens": 256,
        }
        if dialect == "messages":
            body = {"model": body["model"], "max_tokens": 256, "temperature": 0.7, "system": system,
                    "messages": body["messages"][1:], "stream": kind != "plain"}  # fmt: skip
        elif dialect == "gemini":
            body = {
                "systemInstruction": {"parts": [{"text": system}]},
                "contents": [{"role": "user", "parts": [{"text": user}]}],
                "generationConfig": {"maxOutputTokens": 256, "temperature": 0.7},
            }
        elif kind != "plain":
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        path.write_text(json.dumps(body, separators=(",", ":")))
    return path


def proxyapi(*arguments: object, **environ: str) -> Any:
    """Runs one command of the gateway's own command line."""
    command = [str(PROXYAPI), *map(str, arguments), "--data", str(WORK / "data"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environ)
    if done.returncode:
        raise SystemExit(f"bench: {' '.join(command)}: {done.stderr or done.stdout}")
    return json.loads(done.stdout)


def gateway_command(port: int) -> list[str]:
    return [
        *pinned(PROXY_CORE, PROXYAPI, "serve", "--listen", f"127.0.0.1:{port}"),
        *("--config", str(WORK / "proxyapi.toml"), "--data", str(WORK / "data")),
    ]


def prepare_gateway(upstream_port: int) -> tuple[str, ...]:
    """Configuration, one account with money and one key; returns the header lines of a client."""
    config = (HERE / "proxyapi.toml").read_text().replace("UPSTREAM_PORT", str(upstream_port))
    (WORK / "proxyapi.toml").write_text(config)
    (WORK / "data").mkdir()
    return open_account()


def open_account(**environ: str) -> tuple[str, ...]:
    """One account with money and one key of it, as the header line of a client."""
    proxyapi("account", "create", "bench", **environ)
    proxyapi("deposit", "bench", "1000000", **environ)
    return (f"Authorization: Bearer {proxyapi('key', 'create', 'bench', **environ)['key']}",)


def nginx_command(port: int, upstream_port: int) -> list[str]:
    config = (HERE / "nginx.conf").read_text().replace("UPSTREAM_PORT", str(upstream_port))
    (WORK / "nginx.conf").write_text(config.replace("LISTEN_PORT", str(port)).replace("WORK", str(WORK)))
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    return pinned(PROXY_CORE, nginx, "-c", WORK / "nginx.conf", "-e", WORK / "nginx.log")


# -- figures --


def table(title: str, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    print(f"\n{title}")
    for row in (header, tuple("-" * width for width in widths), *rows):
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        print("  " + "  ".join([row[0].ljust(widths[0]), *cells[1:]]), flush=True)


def ratio(value: float, reference: float | None) -> str:
    return f"{value / reference:.2f}" if reference else "-"


def best_of(plan: Plan, proxies: list[Proxy], key: str, *arguments: Any) -> dict[str, Result]:
    """The proxies take turns; of each the round with the best `key` (a rate: most; else: least) is kept."""
    best: dict[str, Result] = {}
    sign = 1 if key == "rate" else -1
    for _ in range(plan.rounds):
        for proxy in proxies:
            result = run_load(proxy, *arguments)
            if proxy.name not in best or sign * result[key] > sign * best[proxy.name][key]:
                best[proxy.name] = result
    return best


def beside(turns: int, first: Proxy, second: Proxy, *arguments: Any) -> list[tuple[Result, Result]]:
    """Short rounds one after the other, so that both meet the same machine; who begins takes turns too."""
    pairs = []
    for turn in range(turns):
        sides = (first, second) if turn % 2 == 0 else (second, first)
        found = {side.name: run_load(side, *arguments) for side in sides}
        pairs.append((found[first.name], found[second.name]))
    return pairs


def bodies(plan: Plan, proxies: list[Proxy]) -> None:
    rows = []
    for connections in plan.connections:
        best = best_of(plan, proxies, "rate", "plain", connections, plan.seconds, plan.warm_seconds)
        reference = best.get("nginx", {})
        for name, r in best.items():
            latency = (f"{r['p50_ms']:.2f}", f"{r['p99_ms']:.2f}")
            cpu = (f"{r['cpu_us']:.1f}", ratio(r["cpu_us"], reference.get("cpu_us")))
            rate = (f"{r['rate']:,.0f}", ratio(r["rate"], reference.get("rate")))
            rows.append((name, str(connections), *rate, *(("-", "-") if name == "upstream" else cpu), *latency))
    header = ("", "connections", "requests/s", "x nginx", "CPU us/request", "x nginx", "p50 ms", "p99 ms")
    table("Chat completions, one body: auth, durable hold before, durable settle after (SQLite, FULL)", header, rows)


def engines(plan: Plan, proxies: list[Proxy]) -> None:
    """The same gateway on PostgreSQL, whose server shares core 1 with load and upstream, behind a local socket."""
    gateway = proxies[-1]
    WORK.chmod(0o755)
    with postgres(WORK) as server:
        for pid in family(server.pid):
            with contextlib.suppress(ProcessLookupError):  # what recovers at the start has ended meanwhile
                os.sched_setaffinity(pid, {LOAD_CORE})
        url = server.create()
        other = Proxy("on PostgreSQL", free_port(), gateway.path, 0, open_account(DATABASE_URL=url))
        with started(other.name, gateway_command(other.port), DATABASE_URL=url) as process:
            other = other._replace(pid=process.pid)
            wait_for_answer(other, process)
            lasting = (TURN_SECONDS, TURN_WARM_SECONDS)
            pairs = beside(plan.turns, gateway._replace(name="on SQLite"), other, "plain", 200, *lasting)
        audit = proxyapi("audit", DATABASE_URL=url)
    rows = []
    for at, name in enumerate(("on SQLite", other.name)):
        cells = []
        for key, shown in (("rate", "{:,.0f}"), ("cpu_us", "{:.1f}")):
            cells.append(shown.format(median(pair[at][key] for pair in pairs)))
            cells.append(f"{median(pair[at][key] / pair[0][key] for pair in pairs):.2f}")
        cells += [f"{median(pair[at][key] for pair in pairs):.2f}" for key in ("p50_ms", "p99_ms")]
        rows.append((name, *cells))
    header = ("gateway", "requests/s", "x SQLite", "CPU us/request", "x SQLite", "p50 ms", "p99 ms")
    table(f"Engines: chat completions, one body, 200 connections; medians of {plan.turns} rounds", header, rows)
    print(f"The ledger on PostgreSQL after this: {json.dumps(audit)[:100]}")


def streams(plan: Plan, proxies: list[Proxy]) -> None:
    proxies = [p for p in proxies if p.name != "upstream"]
    rows = []
    for body, count, options in (("burst", 64, ()), ("paced", plan.paced_streams, ("-s", 1.0))):
        seconds = plan.seconds if body == "burst" else max(plan.seconds, 2.5)
        key = "rate" if body == "burst" else "cpu_us_event"
        best = best_of(plan, proxies, key, body, count, seconds, max(plan.warm_seconds, 1.0), *options)
        reference = best.get("nginx", {})
        for name, r in best.items():
            figures = [f"{r['rate']:,.0f}", ratio(r["rate"], reference.get("rate")), f"{r['events_rate']:,.0f}"]
            figures += [f"{r['cpu_us_event']:.1f}", ratio(r["cpu_us_event"], reference.get("cpu_us_event"))]
            rows.append((name, f"{body}, {count} connections", *figures))
    header = ("", "streams of 54 events", "streams/s", "x nginx", "events/s", "CPU us/event", "x nginx")
    table("Streams: burst (the upstream writes all at once) and paced (20 ms between events)", header, rows)


def translated(plan: Plan, proxies: list[Proxy]) -> None:
    """Clients of other dialects in front of the same provider, which speaks Chat; each beside the passed request."""
    gateway = proxies[-1]
    gemini = "/v1beta/models/openai%2Fgpt-4o-mini:"
    rows = []
    for kind, path in (("plain", gemini + "generateContent"), ("burst", gemini + "streamGenerateContent?alt=sse")):
        ways = {"chat": gateway.path, "messages": "/v1/messages", "gemini": path}
        best: dict[str, Result] = {}
        for _ in range(plan.rounds):
            for dialect, way in ways.items():
                body = kind if dialect == "chat" else f"{kind}-{dialect}"
                result = run_load(gateway._replace(path=way), body, 64, plan.seconds, plan.warm_seconds)
                if dialect not in best or result["rate"] > best[dialect]["rate"]:
                    best[dialect] = result
        passed = best["chat"]
        for dialect, r in best.items():
            figures = [f"{r['rate']:,.0f}", ratio(r["rate"], passed["rate"])]
            figures += [f"{r['cpu_us']:.0f}", ratio(r["cpu_us"], passed["cpu_us"])]
            name = f"{dialect}, {'passed' if dialect == 'chat' else 'translated'}"
            rows.append((name, "body" if kind == "plain" else "stream of 54 events", *figures))
    header = ("client", "answer", "requests/s", "x passed", "CPU us/request", "x passed")
    table("Translation: clients of other dialects, a provider of Chat, 64 connections", header, rows)


def latency(plan: Plan, proxies: list[Proxy]) -> None:
    best = best_of(plan, proxies, "p50_ms", "plain", 64, plan.seconds, plan.warm_seconds, "-r", 500)
    direct = best["upstream"]
    keys = ("p50_ms", "p99_ms")
    rows = [
        (name, *(f"{r[key]:.2f}" for key in keys), *(f"{r[key] - direct[key]:+.2f}" for key in keys))
        for name, r in best.items()
    ]
    table("Latency at 500 requests/s, open loop", ("", "p50 ms", "p99 ms", "added p50 ms", "added p99 ms"), rows)


def memory(plan: Plan, proxies: list[Proxy]) -> None:
    rows = []
    for proxy in (p for p in proxies if p.name != "upstream"):
        before = peak = resident_mb(proxy.pid)
        fields = [word for field in proxy.fields for word in ("-H", field)]
        command = pinned(LOAD_CORE, BUILD / "load", "-p", proxy.port, "-P", proxy.path, "-f", body_file("slow"))
        command += ["-c", str(plan.open_streams), "-d", "5", "-w", "0", "-s", "1.5", *fields]
        load = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while load.poll() is None:
            peak = max(peak, resident_mb(proxy.pid))
            time.sleep(0.1)
        rows.append((proxy.name, f"{before:.0f}", f"{peak:.0f}", f"{peak - before:.0f}"))
    table(f"Memory with {plan.open_streams:,} open streams", ("", "before MB", "peak MB", "more MB"), rows)


def starts(plan: Plan, proxies: list[Proxy]) -> None:
    """Cold start to the first answered request, on all cores, with an existing data folder; idle memory after it.

    The gateway of the other tables has stopped by then.
    """
    gateway, seconds, resident = proxies[-1], [], 0.0
    for _ in range(plan.starts):
        proxy = gateway._replace(port=free_port())
        begun = time.monotonic()
        with started("gateway", gateway_command(proxy.port)[3:]) as process:
            wait_for_answer(proxy, process)
            seconds.append(time.monotonic() - begun)
            time.sleep(1.0)
            resident = resident_mb(process.pid)
    megabytes, packages = installed_mb()
    cold = f"{min(seconds):.2f} s (worst of {len(seconds)}: {max(seconds):.2f} s)"
    rows = [
        ("cold start to the first answered request", cold),
        ("idle memory, all processes", f"{resident:.0f} MB"),
        ("installed size", f"{megabytes:.0f} MB in {packages} packages"),
    ]
    table("At rest", ("", "gateway"), rows)


RUNNING: dict[str, Callable[[Plan, list[Proxy]], None]] = {
    "bodies": bodies,
    "engines": engines,
    "streams": streams,
    "translated": translated,
    "latency": latency,
    "memory": memory,
}
"""What is measured while all parties run; the gateway is the last of them."""
STOPPED: dict[str, Callable[[Plan, list[Proxy]], None]] = {"starts": starts}
"""What is measured once the gateway has stopped."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smoke run of half a minute; its figures mean little")
    tables = [*RUNNING, *STOPPED]
    parser.add_argument("--only", nargs="+", choices=tables, default=tables, metavar="TABLE", help=", ".join(tables))
    asked = parser.parse_args()
    plan = QUICK if asked.quick else FULL
    print(machine())
    with contextlib.ExitStack() as stack:
        WORK.mkdir()
        stack.callback(shutil.rmtree, WORK)
        upstream_port, nginx_port, gateway_port = free_port(), free_port(), free_port()
        process = stack.enter_context(started("upstream", pinned(LOAD_CORE, BUILD / "upstream", upstream_port)))
        proxies = [Proxy("upstream", upstream_port, "/v1/chat/completions", process.pid)]
        wait_for_answer(proxies[0], process)
        if shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"):
            process = stack.enter_context(started("nginx", nginx_command(nginx_port, upstream_port)))
            proxies.append(Proxy("nginx", nginx_port, "/v1/chat/completions", process.pid))
            wait_for_answer(proxies[1], process)
        else:
            print("nginx not found: absolute figures only (on Debian: apt-get install nginx)")
        fields = prepare_gateway(upstream_port)
        process = stack.enter_context(started("gateway", gateway_command(gateway_port)))
        gateway = Proxy("gateway", gateway_port, "/v1/chat/completions", process.pid, fields)
        wait_for_answer(gateway, process)
        proxies.append(gateway)
        for name in asked.only:
            if name in RUNNING:
                RUNNING[name](plan, proxies)
        process.terminate()
        process.wait(15)
        for name in asked.only:
            if name in STOPPED:
                STOPPED[name](plan, proxies)
        audit = proxyapi("audit")
        print(f"\nThe ledger after all this: {json.dumps(audit)[:200]}")


if __name__ == "__main__":
    main()
