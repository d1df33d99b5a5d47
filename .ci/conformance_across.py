"""Recorded provider traffic asked across dialects: each conversation in the three APIs that it was not recorded in.

    conformance_across.py KIT [--sample N] [--turned] [--chunk event|bytes:7] [--processes 3] [--out FILE]

KIT is as for conformance.py. Each recorded answer of Chat Completions, Responses, Messages and generateContent is asked
for by the official SDKs of the other three dialects, on the unified addresses, with `replay:<id>` in the prompt, which
survives translation. What they read has to be what was recorded: text, thoughts, calls, reason of the end, usage; and
the ledger has to have the recorded units. Errors have to be errors of the asking SDK, with the same status and words.

Prints totals for each pair of dialects, and every difference; exit 1 if there is one without a named reason.
"""

from __future__ import annotations

import argparse
import collections
import json
import lzma
import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from across_values import DIALECTS, Json

from conformance import cli, free_port, wait_for

SETTLING_SECONDS = 1.0
"""For the last settlements."""
SHIPPED = ("openai", "openrouter", "deepseek")
"""Providers that speak more than one dialect: a recorded answer of one has to be asked for in exactly that one."""
CUSTOM = {
    "mistral": 'max_tokens_field = "max_tokens"\nrequired_word = "any"\nseed_field = "random_seed"\n'
    'reasoning_field = "content_parts"\nprefix_prefill = true\ncall_ids_of_nine = true\n'
    'file_link_field = "document_url"\n',
    "groq": 'max_tokens_field = "max_tokens"\nreasoning_field = "reasoning"\n',
    "xai": 'max_tokens_field = "max_tokens"\n',
    "azure": "",
    "perplexity": 'max_tokens_field = "max_tokens"\n',
    "google-chat": 'max_tokens_field = "max_tokens"\n',
}
"""Quirks of providers that don't ship with the gateway, as their operators would say them."""
OUTSIDE = {
    "mistral": ("*voxtral*", "audio_outside_prompt"),
    "azure": ("*grok*", "cached_outside_prompt"),
}
SERVED_BY = {("responses", "azure"): "openai", ("responses", "xai"): "openai", ("gemini", "vertex"): "google"}
"""Answers of providers for whom the gateway knows only Chat: from an address of one who speaks the same API."""
OTHERS = "has what other models spent in the same answer on top"
ENTRIES = "SELECT id, units, source FROM entry"


GATEWAYS = ("chat", "others")
"""One whose providers speak Chat, and one where they speak Responses."""


def gateway_of(row: Json) -> str:
    return "chat" if row["endpoint"] == "chat.completions" else "others"


def model_of(row: Json) -> str:
    """Under its unified name."""
    provider, endpoint = row["provider"], row["endpoint"].partition(".")[0]
    provider = SERVED_BY.get((endpoint, provider), provider)
    if endpoint == "chat" and provider == "google":
        provider = "google-chat"
    name = row["model"] or deployment(row) or "unnamed"
    return f"{provider}/{name.removeprefix('models/')}"


def deployment(row: Json) -> str:
    """The model that a path of Azure names."""
    return row["path"].partition("/deployments/")[2].partition("/")[0] if row["path"] else ""


def config(replay: str, gateway: str) -> str:
    lines = ["access_log = false", "[limits]", "link_bytes_max = 0", "[pause]", "enabled = false"]
    addresses = {name: f"{replay}/{name}/v1" for name in ("openai", "openrouter", *CUSTOM)}
    addresses |= {name: f"{replay}/{name}" for name in ("anthropic", "google", "deepseek")}
    for name, address in addresses.items():
        lines += [f"[providers.{name}]", f'base_url = "{address}"', 'api_key = "replay"', 'credential_errors = "pass"']
        if name in CUSTOM:
            lines += [f"[providers.{name}.quirks]", CUSTOM[name]]
        if name in OUTSIDE:
            pattern, flag = OUTSIDE[name]
            lines += [f"[[providers.{name}.models]]", f'match = "{pattern}"', f"{flag} = true"]
        if name in SHIPPED:
            speaks, lacks = ("openai_chat", "openai_responses")[:: 1 if gateway == "chat" else -1]
            lines += [f"[[providers.{name}.models]]", 'match = "*"', f'chat_dialect = "{speaks}"']
            lines += [f'lacks = ["{lacks}", "anthropic"]', "chat_tools_no_effort = false"]
    return "\n".join(lines) + "\n"


def prices(settings: Path, data: Path, names: Iterable[str]) -> None:
    """Prices for names that are not on sale, as `proxyapi price set` writes them."""
    from proxyapi import sale
    from proxyapi import settings as configuration
    from proxyapi.errors import GatewayError
    from proxyapi.identity.queries import QUERIES
    from proxyapi.store.database import open_database

    found = configuration.load(settings, {}, flags={"data": str(data)})
    database = open_database(found.database)
    catalog = sale.build_catalog(found, database, 0)
    with database.transaction() as transaction:
        for name in names:
            try:
                catalog.resolve("chat", "openai_chat", name, None)
            except GatewayError:
                transaction.execute(QUERIES["price_put"], (name, '{"input_tokens":"1","output_tokens":"2"}', 0))
        transaction.execute(QUERIES["bump_price"])
    database.close()


# --- asking, in processes of their own --------------------------------------------------------------------------------

_clients: Any = {}


def connect(addresses: dict[str, tuple[str, str]], turned: bool) -> None:
    """Once in each process; `addresses` and keys by gateway."""
    from across_clients import Clients

    _clients["turned"] = turned
    _clients.update({name: Clients(address, key) for name, (address, key) in addresses.items()})


def ask(row: Json) -> list[Json]:
    """One recorded row in the three other dialects; an outcome for each."""
    from across_rules import outcome

    asked = []
    for dialect in dict.fromkeys(DIALECTS.values()):
        if dialect != DIALECTS[row["endpoint"]]:
            clients, stream = _clients[gateway_of(row)], row["stream"] is not _clients["turned"]
            asked.append(outcome(clients, row, dialect, model_of(row), stream=stream))
    return asked


# --- the whole run ----------------------------------------------------------------------------------------------------


def rows_of(recorded: Path, sample: int) -> list[Json]:
    """Rows of the four APIs; with `sample`, so many, spread evenly over each endpoint and provider."""
    rows = [json.loads(line) for line in recorded.open(encoding="utf-8")]
    rows = [row for row in rows if row["endpoint"] in DIALECTS and row["method"] in ("POST", "", None)]
    if not sample or sample >= len(rows):
        return rows
    rows.sort(key=lambda row: (row["endpoint"], row["provider"], row["stream"], row["id"]))
    return [rows[at * len(rows) // sample] for at in range(sample)]


def run(kit: Path, work: Path, arguments: argparse.Namespace) -> list[Json]:
    """Outcomes of all rows, with what the ledger has of them."""
    recorded = work / "recorded.jsonl"
    with lzma.open(kit / "recorded.jsonl.xz") as packed, recorded.open("wb") as plain:
        shutil.copyfileobj(packed, plain)
    rows = rows_of(recorded, arguments.sample)
    if arguments.turned:  # generateContent has an address of its own for streams
        rows = [row for row in rows if DIALECTS[row["endpoint"]] != "gemini"]
    if arguments.only:
        rows = [row for row in rows if row["id"] in arguments.only.split(",")]
    port = free_port()
    replay = f"http://127.0.0.1:{port}"
    command = [sys.executable, str(kit / "replay_upstream.py"), "--data", str(recorded)]
    started = [start([*command, "--port", str(port), "--chunk", arguments.chunk], work)]
    try:
        wait_for(f"{replay}/__rows?endpoint=models.list", work / "log")
        addresses = {}
        for name in GATEWAYS:
            process, *addresses[name] = open_gateway(name, work, replay, rows)
            started.append(process)
        workers = multiprocessing.get_context("spawn").Pool(
            arguments.processes, connect, (addresses, arguments.turned)
        )  # fmt: skip
        with workers as pool:
            outcomes = [asked for row in pool.imap_unordered(ask, rows, chunksize=8) for asked in row]
        time.sleep(SETTLING_SECONDS)
        check_ledger(outcomes, [work / name / "proxyapi.db" for name in GATEWAYS])
        for name in GATEWAYS:
            print(f"gateway {name}: audit {'clean' if cli(work / name, 'audit')['ok'] else 'FAILED'}")
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(30)
    return outcomes


def start(command: list[str], work: Path) -> subprocess.Popen[bytes]:
    environ = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    with (work / "log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environ)


def open_gateway(name: str, work: Path, replay: str, rows: list[Json]) -> tuple[subprocess.Popen[bytes], str, str]:
    """Its process, its address and a key for it."""
    settings, data, port = work / f"{name}.toml", work / name, free_port()
    settings.write_text(config(replay, name))
    cli(data, "account", "create", "across")
    cli(data, "deposit", "across", "100000000")
    key = cli(data, "key", "create", "across")["key"]
    prices(settings, data, sorted({model_of(row) for row in rows if gateway_of(row) == name}))
    command = [sys.executable, "-m", "proxyapi", "serve", "--listen", f"127.0.0.1:{port}"]
    process = start([*command, "--config", str(settings), "--data", str(data)], work)
    address = f"http://127.0.0.1:{port}"
    wait_for(f"{address}/readyz", work / "log")
    return process, address, key


def check_ledger(outcomes: list[Json], databases: list[Path]) -> None:
    """The journal has to have the recorded units, and their source; what it has not is a difference like any other."""
    entries: dict[str, tuple[str, str]] = {}
    for database in databases:
        store = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        entries |= {str(uuid.UUID(bytes=key)): (units, source) for key, units, source in store.execute(ENTRIES)}
        store.close()
    for outcome in outcomes:
        if outcome["used"] is None or outcome["refused"]:
            continue
        units, source = entries.get(outcome["request_id"], ("{}", "none"))
        counts = json.loads(units).items()
        prompt = sum(count for name, count in counts if name.startswith(("input_", "cache_")))
        output = sum(count for name, count in counts if name.startswith(("output_", "reasoning_")))
        told, expected = (prompt, output), (outcome["used"]["prompt"], outcome["used"]["output"])
        on_top = outcome["others"] and prompt >= expected[0] and output >= expected[1]
        outcome["ledger"] = "equal" if told == expected else OTHERS if on_top else "differs"
        if source != "reported" or outcome["ledger"] == "differs":
            outcome["differences"].append(["ledger", f"{expected} reported", f"{told} {source}"])
            outcome["reason"] = ""


def report(outcomes: list[Json]) -> int:
    """Totals of each pair, all that differs; how much of it without a reason."""
    pairs: dict[tuple[str, str], collections.Counter[str]] = collections.defaultdict(collections.Counter)
    unexplained = 0
    for outcome in outcomes:
        pair = pairs[outcome["native"], outcome["asking"]]
        kind = "error" if outcome["error"] else "answer"
        pair[f"{kind}s"] += 1
        pair[f"form {outcome['form']}"] += kind == "answer"
        pair[f"ledger {outcome['ledger']}"] += bool(outcome["ledger"])
        if not outcome["differences"]:
            pair[f"{kind}s equal"] += 1
        elif outcome["reason"]:
            pair[outcome["reason"]] += 1
        else:
            pair["UNEXPLAINED"] += 1
            unexplained += 1
    for (native, asking), counts in sorted(pairs.items()):
        print(f"{native} answers asked by {asking}:")
        for name, count in sorted((+counts).items()):
            print(f"{count:7} {name}")
    for outcome in outcomes:
        if outcome["differences"] and not outcome["reason"]:
            told = "; ".join(f"{one} {a[:300]!r} -> {b[:300]!r}" for one, a, b in outcome["differences"])
            print(f"DIFF {outcome['id']} {outcome['native']} {outcome['asking']} {outcome['model']}: {told}")
    return unexplained


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kit", type=Path)
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--chunk", default="event", help="how the replay server cuts streams: event, whole or bytes:7")
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument(
        "--turned", action="store_true", help="ask for a body where a stream is recorded, and vice versa"
    )
    parser.add_argument("--only", default="", help="ids of rows, with commas between")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="proxyapi-across-"))
    began = time.monotonic()
    try:
        outcomes = run(arguments.kit.resolve(), work, arguments)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if arguments.out:
        arguments.out.write_text("".join(json.dumps(outcome, ensure_ascii=False) + "\n" for outcome in outcomes))
    unexplained = report(outcomes)
    print(f"{len(outcomes)} asked in {time.monotonic() - began:.0f} s, {unexplained} differ without a reason")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
