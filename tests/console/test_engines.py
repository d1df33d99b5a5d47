"""Every page and every act of customers on each engine: SQL that one of them does not understand shows here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests

from proxyapi.console import totp

PASSWORD = "correct horse battery"
PAGES = (
    "/", "/keys", "/keys/new", "/usage", "/usage?by=key&show=tokens", "/usage?by=operation&days=1", "/usage.csv",
    "/transactions", "/transactions?state=failed&day=2026-01-01", "/transactions?model=openai/gpt-4o-mini&key=1",
    "/transactions.csv", "/balance", "/models", "/playground", "/log", "/settings", "/docs/start/quick-start",
)  # fmt: skip


def test_a_customer_does_everything_on_either_engine(
    gateways: Any, visiting: Any, eventually: Any, tmp_path: Path, database_url: str
) -> None:
    with gateways.Gateway(tmp_path, f'database_url = "{database_url}"\n', console=True) as house:
        eventually(lambda: requests.get(f"{house.url}/console/signin", timeout=20).status_code == 200, seconds=60)
        command = [sys.executable, "-m", "proxyapi", "user", "create", "maria@example.com", "--operator"]
        command += ["--config", str(house.config), "--data", str(house.data)]
        subprocess.run(command, input=f"{PASSWORD}\n", text=True, check=True, capture_output=True)
        visitor = visiting.Visitor(house.url)
        assert visitor.sign_in("maria@example.com", PASSWORD).url.endswith("/console/")
        _pay_in_and_set(house, visitor)
        key = _key(visitor)
        body = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
        headers = {"authorization": f"Bearer {key}"}
        answer = requests.post(f"{house.url}/v1/chat/completions", json=body, headers=headers, timeout=20)
        number = answer.headers["x-request-id"]
        eventually(lambda: "reported" in visitor.get(f"/transactions/{number}").text)
        visitor.get("/playground")
        assert 'class="plain-text"' in visitor.post("/playground", first="openai/gpt-4o-mini", text="Hi").text
        assert {path: visitor.get(path).status_code for path in PAGES} == dict.fromkeys(PAGES, 200)
        assert "crash" not in house.log(), house.log()


def _pay_in_and_set(house: Any, visitor: Any) -> None:
    (code,) = house.cli("voucher", "create", "Spring", "100", "--number", "1")["codes"]
    visitor.get("/balance")
    assert "The voucher is booked" in visitor.post("/balance/voucher", code=code).text
    visitor.get("/balance")
    alert = {"on": "1", "threshold": "50", "email": "maria@example.com", "webhook": ""}
    assert "The alert is saved" in visitor.post("/balance/alert", alert).text
    secret = re.search(r'name="secret" value="(\w+)"', visitor.get("/settings/factor").text)
    assert secret
    wrong = visitor.post("/settings/factor", secret=secret[1], code="000000", password=PASSWORD)
    assert wrong.status_code == 400 and len(totp.secret_of(secret[1])) == totp.SECRET_BYTES
    visitor.get("/settings")
    assert visitor.post("/settings", language="en", time_zone="Asia/Kolkata", theme="").status_code == 200


def _key(visitor: Any) -> str:
    visitor.get("/keys/new")
    created = visitor.post("/keys", name="Support bot", budget="50", period="month", models="openai/*")
    found = re.search(r"sk-[A-Za-z0-9]{48}", created.text)
    assert found
    key_id = re.findall(r'href="/console/keys/(\d+)"', visitor.get("/keys").text)[0]
    visitor.get(f"/keys/{key_id}")
    for action, fields in (("", {"budget": "60", "period": "day"}), ("/disable", {}), ("/enable", {})):
        assert visitor.post(f"/keys/{key_id}{action}", fields).status_code == 200
    return found[0]
