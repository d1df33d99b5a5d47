"""Recorded provider traffic through the gateway's native routes, where a machine has the recordings.

    conformance.py KIT [--chunk event|bytes:7] [--only rows|sdks]

KIT is a folder with recorded.jsonl.xz, replay_upstream.py (it plays the providers) and verify_replay.py.

1. rows: every recorded request with a native route. Bodies must be byte-equal, the units of the ledger as recorded.
2. sdks: the official SDKs must read exactly as many rows through the gateway as straight from the replay server.

What the recordings need besides a running gateway is prepared as an operator would: a price for names that are not on
sale, and the ownership of objects (files, earlier responses) that the recorded requests point at.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PROVIDERS = {
    "openai": "/openai/v1",
    "anthropic": "/anthropic",
    "google": "/google",
    "openrouter": "/openrouter/v1",
    "deepseek": "/deepseek",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, log: Path) -> None:
    for _ in range(400):
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nothing answers at {url}\n{log.read_text()[-2000:]}")


def cli(data: Path, *arguments: str) -> Any:
    command = [sys.executable, "-m", "proxyapi", *arguments, "--data", str(data), "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def config(replay: str) -> str:
    lines = ["access_log = false", "[pause]", "enabled = false"]
    for name, path in PROVIDERS.items():
        lines += [f"[providers.{name}]", f'base_url = "{replay}{path}"', 'api_key = "replay"']
        lines += ['forward_headers = ["x-replay-id"]', 'credential_errors = "pass"']
    return "\n".join(lines) + "\n"


def prepare(recorded: Path, settings: Path, data: Path) -> int:
    """Prices for unknown names, owners for referenced objects. The number of names."""
    from proxyapi import sale
    from proxyapi import settings as configuration
    from proxyapi.dialects import DIALECTS
    from proxyapi.errors import GatewayError
    from proxyapi.gateway import routes
    from proxyapi.store.database import open_database

    found = configuration.load(settings, {}, flags={"data": str(data)})
    database = open_database(found.database)
    catalog = sale.build_catalog(found, database, 0)
    unknown: set[str] = set()
    owned: set[tuple[str, str]] = set()
    for line in recorded.open(encoding="utf-8"):
        row = json.loads(line)
        body = row["request"].get("body")
        if row["provider"] not in PROVIDERS or not isinstance(body, dict) or row["method"] != "POST":
            continue
        prefix = "/openrouter" if row["provider"] == "openrouter" else "/" + row["provider"]
        try:
            route = routes.find("POST", prefix + row["path"].removeprefix("/api"))
            call = DIALECTS[route.dialect].read(json.dumps(body).encode(), model=route.model, stream=route.stream)
        except GatewayError:
            continue
        references = [call.previous_response_id, call.conversation, *call.item_references]
        owned |= {(row["provider"], reference) for reference in references if reference}
        for model in (call.model, *call.fallback_models):
            try:
                catalog.resolve(call.operation, route.dialect, model, route.provider)
            except GatewayError:
                name = model.removeprefix("models/")
                unknown.add(name if row["provider"] == "openrouter" else f"{row['provider']}/{name}")
    with database.transaction() as transaction:
        for provider, name in sorted(owned):
            transaction.execute(
                "INSERT OR IGNORE INTO object (provider, id, account_id, key_id, kind, created_at) "
                "SELECT ?, ?, id, 1, 'response', 0 FROM account WHERE name = 'replay'",
                (provider, name),
            )
    database.close()
    for name in sorted(unknown):
        cli(data, "price", "set", name, "--input", "1", "--output", "2")
    print(f"prepared: {len(unknown)} names without a price, {len(owned)} objects")
    return len(unknown)


def totals(text: str) -> str:
    return re.findall(r"^total .*$", text, re.M)[-1]


def bad(text: str) -> int:
    return int(totals(text).rpartition(" ")[2])


def verify(kit: Path, recorded: Path, base: str, key: str) -> str:
    command = [sys.executable, str(kit / "verify_replay.py"), str(recorded), base, "--key", key]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def sdks(kit: Path, recorded: Path, replay: str, gateway: str, key: str) -> int:
    direct, through = verify(kit, recorded, replay, "k"), verify(kit, recorded, gateway, key)
    print(f"straight from the replay server: {totals(direct)}\nthrough the gateway:             {totals(through)}")
    if direct == through:
        return 0
    ours, theirs = set(through.splitlines()), set(direct.splitlines())
    for line in sorted(ours - theirs):
        print(f"  through: {line[:500]}")
    for line in sorted(theirs - ours):
        print(f"  direct:  {line[:500]}")
    templates = sum("model" not in body for body in responses(recorded))
    print(f"  {templates} requests name no model but a prompt template: nothing can be priced, so they are refused")
    return 0 if bad(through) - bad(direct) == templates else 1


def responses(recorded: Path) -> Iterator[dict[str, Any]]:
    """Bodies of OpenAI's answered Responses requests."""
    for line in recorded.open(encoding="utf-8"):
        row = json.loads(line)
        body = row["request"].get("body")
        asked = row["provider"] == "openai" and row["endpoint"] == "responses" and row["kind"] == "exchange"
        if asked and isinstance(body, dict) and row["response"]["status"] < 400:
            yield body


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kit", type=Path)
    parser.add_argument("--chunk", default="event")
    parser.add_argument("--only", choices=["rows", "sdks"])
    arguments = parser.parse_args()
    kit, work = arguments.kit.resolve(), Path(tempfile.mkdtemp(prefix="proxyapi-conformance-"))
    recorded, data = work / "recorded.jsonl", work / "data"
    with lzma.open(kit / "recorded.jsonl.xz") as packed, recorded.open("wb") as plain:
        shutil.copyfileobj(packed, plain)
    replay_port, port = free_port(), free_port()
    replay, gateway = f"http://127.0.0.1:{replay_port}", f"http://127.0.0.1:{port}"
    settings = work / "proxyapi.toml"
    settings.write_text(config(replay))
    cli(data, "account", "create", "replay")
    cli(data, "deposit", "replay", "10000000")
    key = cli(data, "key", "create", "replay")["key"]
    prepare(recorded, settings, data)
    environ = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    log = work / "log"
    with log.open("wb") as output:
        replaying = [sys.executable, str(kit / "replay_upstream.py"), "--data", str(recorded)]
        replaying += ["--port", str(replay_port), "--chunk", arguments.chunk]
        serving = [sys.executable, "-m", "proxyapi", "serve", "--listen", f"127.0.0.1:{port}"]
        serving += ["--config", str(settings), "--data", str(data)]
        started = [
            subprocess.Popen(command, stdout=output, stderr=output, env=environ) for command in (replaying, serving)
        ]
        code = 0
        try:
            wait_for(f"{replay}/__rows?endpoint=models.list", log)
            wait_for(f"{gateway}/readyz", log)
            if arguments.only != "sdks":
                rows = [
                    sys.executable,
                    str(HERE / "conformance_rows.py"),
                    str(recorded),
                    gateway,
                    key,
                    str(data / "proxyapi.db"),
                ]
                code |= subprocess.run(rows, check=False).returncode
            if arguments.only != "rows":
                code |= sdks(kit, recorded, replay, gateway, key)
            print(f"chunk {arguments.chunk}: audit {'clean' if cli(data, 'audit')['ok'] else 'FAILED'}")
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait(30)
    shutil.rmtree(work, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
