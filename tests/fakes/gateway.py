"""A real gateway for a test: its own process, port and data folder, driven through the command line."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

START_SECONDS = 20


class Gateway:
    """`with Gateway(folder, config) as gateway:`; `gateway.url` is its address."""

    def __init__(self, folder: Path, config: str = "", *, workers: int = 1, environ: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.config = folder / "proxyapi.toml"
        self.config.write_text(config)
        self.data = folder / "data"
        self.workers = workers
        self.log_path = folder / "gateway.log"
        keys = {name for name in os.environ if name.endswith("_API_KEY") or name.startswith("PROXYAPI_")}
        self.environ = {name: value for name, value in os.environ.items() if name not in keys} | (environ or {})
        self.url = ""
        self.greeting = ""
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Gateway:
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
        code = self._process.wait(timeout=60)
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

    def cli(self, *arguments: str, code: int = 0) -> Any:
        """A command with `--json`; its object."""
        command = [sys.executable, "-m", "proxyapi", *arguments, "--data", str(self.data), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environ, cwd=self.folder, check=False)
        assert done.returncode == code, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def account(self, name: str, amount: str) -> str:
        self.cli("account", "create", name)
        self.cli("deposit", name, amount)
        return name

    def key(self, account: str, *options: str) -> str:
        return str(self.cli("key", "create", account, *options)["key"])

    def balance(self, account: str) -> str:
        return str(self.cli("account", "show", account)["balance"])

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
