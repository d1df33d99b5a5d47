"""A real gateway for a test: its own process, port and data folder, driven through the command line."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg
from click.testing import CliRunner

from proxyapi.cli.root import proxyapi
from proxyapi.store.database import sqlite_url
from proxyapi.store.postgres.text import numbered

Value = TypeVar("Value")

EVENTUALLY_SECONDS = 20.0
STOP_SECONDS = 45.0
"""More than the gateway's own bound."""


def eventually(check: Callable[[], Value], *, seconds: float = EVENTUALLY_SECONDS) -> Value:
    """The first true answer of `check`, asked again and again until the deadline."""
    deadline = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < deadline, f"not within {seconds} s; the last answer was {value!r}"
        time.sleep(0.01)
    return value


def read_until(connection: socket.socket, text: bytes) -> bytes:
    """What arrives until `text` has. An answer that ends without it fails, with what it was."""
    seen = b""
    while text not in seen:
        data = connection.recv(65_536)
        assert data, f"the answer ended without {text!r}: {seen!r}"
        seen += data
    return seen


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Gateway:
    """`with Gateway(folder, config) as gateway:`; `gateway.url` is its address."""

    def __init__(
        self,
        folder: Path,
        config: str = "",
        *,
        workers: int = 1,
        environ: dict[str, str] | None = None,
        prices: dict[str, tuple[str, str]] | None = None,
        console: bool = False,
        database_url: str = "",
    ) -> None:
        """`prices`: of input and output per million units, set before the start. `console`: with the pages for people,
        which most tests leave out: a process less to start. `database_url`: else it is a file in `folder`."""
        self.folder = folder
        self._prices = prices or {}
        self.config = folder / "proxyapi.toml"
        if not console and "[console]" not in config:
            config += "\n[console]\nenabled = false\n"
        self.config.write_text(config)
        self.data = folder / "data"
        self.workers = workers
        self.log_path = folder / "gateway.log"
        keys = {name for name in os.environ if name.endswith("_API_KEY") or name.startswith("PROXYAPI_")}
        self.on_postgres = database_url.startswith("postgresql:")
        self.store_url = database_url if self.on_postgres else sqlite_url(self.data / "proxyapi.db")
        if self.on_postgres:
            environ = (environ or {}) | {"DATABASE_URL": database_url}
        self.environ = {name: value for name, value in os.environ.items() if name not in keys} | (environ or {})
        self.url = ""
        self.greeting = ""
        self._process: subprocess.Popen[str] | None = None
        self._runner = CliRunner(env=dict.fromkeys(keys) | (environ or {}))
        self._numbers = count(1)

    def __enter__(self) -> Gateway:
        if self._prices:
            self.cli("account", "create", "operator")
        for model, (input_price, output_price) in self._prices.items():
            self.cli("price", "set", model, "--input", input_price, "--output", output_price)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, listen: str = "127.0.0.1:0") -> None:
        command = [sys.executable, "-m", "proxyapi", "serve", "--config", str(self.config), "--data", str(self.data)]
        command += ["--listen", listen, "--workers", str(self.workers)]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env=self.environ, cwd=self.folder
            )
        assert self._process.stdout is not None
        lines: list[str] = []
        for line in self._process.stdout:
            lines.append(line)
            if line.startswith("Ready"):
                break
        self.greeting = "".join(lines)
        found = re.search(r"https?://[^\s/]+:\d+", self.greeting)
        assert found, f"the gateway did not start: {self.greeting}\n{self.log()}"
        self.url = found[0]

    def stop(self) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        if self._process.stdout:
            self._process.stdout.close()
        self._process = None
        return code

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def cli(self, *arguments: str, code: int = 0, typed: str | None = None) -> Any:
        """A command with `--json`; its object. Runs in this process: starting Python takes longer than the command.
        `typed`: what it reads from its standard input."""
        place = ["--data", str(self.data), "--config", str(self.config), "--json"]
        done = self._runner.invoke(proxyapi, [*arguments, *place], prog_name="proxyapi", input=typed)
        assert done.exit_code == code, f"{arguments}: exit {done.exit_code}\n{done.output}\n{done.exception!r}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def account(self, name: str, amount: str) -> str:
        self.cli("account", "create", name)
        self.cli("deposit", name, amount)
        return name

    def key(self, account: str, *options: str) -> str:
        return str(self.cli("key", "create", account, *options)["key"])

    def balance(self, account: str) -> str:
        return str(self.cli("account", "show", account)["balance"])

    def customer(self, amount: str = "1000", *options: str) -> tuple[str, str]:
        """A fresh account with money, and a key of it."""
        name = self.account(f"customer-{next(self._numbers)}", amount)
        return name, self.key(name, *options)

    # --- the store, read as an auditor would ---------------------------------------------------------------------

    def rows(self, sql: str, *parameters: object) -> list[dict[str, Any]]:
        if self.on_postgres:
            return asyncio.run(self._rows_of_postgres(sql, parameters))
        database = self.data / "proxyapi.db"
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute(sql, parameters)]
        finally:
            connection.close()

    async def _rows_of_postgres(self, sql: str, parameters: Sequence[object]) -> list[dict[str, Any]]:
        connection = await asyncpg.connect(self.store_url, timeout=10)
        try:
            return [dict(row) for row in await connection.fetch(numbered(sql), *parameters)]
        finally:
            await connection.close()

    def entry(self, request_id: str) -> dict[str, Any]:
        """The journal entry of a request, as soon as it is there."""
        id = uuid.UUID(request_id).bytes
        return eventually(lambda: self.rows("SELECT * FROM entry WHERE id = ?", id))[0]

    def entries(self, account: str) -> list[dict[str, Any]]:
        """The account's requests in the journal, oldest first."""
        return self.rows(
            "SELECT entry.* FROM entry JOIN account ON account.id = entry.account_id WHERE account.name = ? "
            "AND entry.kind IN ('settle', 'release', 'expire', 'correction') ORDER BY entry.id",
            account,
        )

    def last_entry(self, account: str, number: int = 1) -> dict[str, Any]:
        """The journal entry of the account's request with this number, as soon as it is there."""
        return eventually(lambda: self.entries(account)[number - 1 : number])[0]

    def holds(self) -> list[dict[str, Any]]:
        return self.rows("SELECT * FROM hold")

    def assert_clean(self) -> None:
        """No hold is left, and the audit proves every invariant."""
        eventually(lambda: not self.holds())
        report = self.cli("audit")
        assert report["ok"] is True, report

    # --- requests ------------------------------------------------------------------------------------------------

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return str(parts.hostname), int(parts.port or 0)

    def connect(self) -> socket.socket:
        """A bare connection, for what no client library does."""
        return socket.create_connection(self.address, timeout=10)

    def send(self, method: str, path: str, *, key: str = "", body: bytes = b"", headers: str = "") -> socket.socket:
        """A connection on which a request has been sent; the answer is the caller's to read, or not."""
        head = f"{method} {path} HTTP/1.1\r\nhost: gateway\r\n" + (f"authorization: Bearer {key}\r\n" if key else "")
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
        connection = self.connect()
        connection.sendall(head.encode("latin-1") + body)
        return connection

    def request(
        self, method: str, path: str, *, key: str = "", body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """One request with the standard library; an error status is an answer too."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        send = {"content-type": "application/json"} if data is not None else {}
        send |= {"authorization": f"Bearer {key}"} if key else {}
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=send | (headers or {}))
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, {k.lower(): v for k, v in response.headers.items()}, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()


def temporary_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="proxyapi-test-"))
