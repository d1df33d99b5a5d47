"""Starts a gateway with the sandbox on a free port and runs the `*.test.mjs` of this folder against it: make test-node.

Further arguments go to `node --test`, as in `make test-node ARGS=--test-name-pattern=CLI`. A gateway of your own can
be tested too: BASE=http://127.0.0.1:8080 KEY=sk-… node --test
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROXYAPI = Path(sys.executable).with_name("proxyapi")
START_SECONDS_MAX = 20.0


def proxyapi(data: Path, *arguments: str) -> dict[str, str]:
    command = [str(PROXYAPI), *arguments, "--data", str(data), "--json"]
    result: dict[str, str] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return result


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def wait_until_ready(base: str, gateway: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while gateway.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{base}/readyz", timeout=2).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise SystemExit("the gateway did not start")


def main() -> int:
    environ = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    with tempfile.TemporaryDirectory(prefix="proxyapi-node-") as folder:
        data, log = Path(folder) / "data", Path(folder) / "gateway.log"
        data.mkdir()
        proxyapi(data, "account", "create", "node")
        proxyapi(data, "deposit", "node", "1000")
        key = proxyapi(data, "key", "create", "node")["key"]
        address = f"127.0.0.1:{free_port()}"
        with log.open("wb") as output:
            command = [str(PROXYAPI), "serve", "--listen", address, "--data", str(data)]
            gateway = subprocess.Popen(command, cwd=folder, env=environ, stdout=output, stderr=output)
        try:
            wait_until_ready(f"http://{address}", gateway)
            environ |= {"BASE": f"http://{address}", "KEY": key}
            tests = ["node", "--test", "--test-reporter=spec", *sys.argv[1:]]
            code = subprocess.run(
                [*tests, *sorted(map(str, HERE.glob("*.test.mjs")))], cwd=HERE, env=environ
            ).returncode
        finally:
            gateway.terminate()
            gateway.wait(30)
        if code:
            print(log.read_text(errors="replace")[-4000:], file=sys.stderr)
        else:
            code = subprocess.run([str(PROXYAPI), "audit", "--data", str(data)], env=environ).returncode
        return code


if __name__ == "__main__":
    sys.exit(main())
