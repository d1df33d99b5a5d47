"""The admin API where programs find it: at the gateway's own address, with effect on what it sells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

SECONDS = 2.0
"""How soon an edit counts everywhere."""


class Program(requests.Session):
    """A program with an operator's token."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__()
        self.url = url
        self.headers["authorization"] = f"Bearer {token}"

    def request(self, method: Any, url: Any, *given: Any, **named: Any) -> Any:
        return super().request(method, f"{self.url}/admin/v1{url}", *given, timeout=20, **named)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, gateways: Any, eventually: Any) -> Iterator[Any]:
    """A gateway of two workers whose prices nobody else changes."""
    folder = tmp_path_factory.mktemp("house")
    with gateways.Gateway(folder, "[pause]\nenabled = false", console=True, workers=2) as gateway:
        eventually(
            lambda: requests.get(f"{gateway.url}/admin/v1/openapi.json", timeout=20).status_code == 200, seconds=30
        )
        yield gateway


@pytest.fixture(scope="module")
def program(house: Any) -> Program:
    made = house.cli("operator", "token", "create", "tests", "--scope", "write")
    return Program(house.url, made["token"])


@pytest.fixture(scope="module")
def key(house: Any, program: Program) -> str:
    account = program.post("/accounts", json={"name": "acme"}).json()["id"]
    program.post(f"/accounts/{account}/deposits", json={"amount": 1_000})
    made: str = program.post(f"/accounts/{account}/keys", json={"name": "tests"}).json()["key"]
    return made


def _price(house: Any, key: str) -> float:
    """Of a million input tokens, asked on a connection of its own: any worker may answer. 0: not on sale."""
    headers = {"authorization": f"Bearer {key}", "connection": "close"}
    answer = requests.get(f"{house.url}/v1/models/openai/gpt-4o", headers=headers, timeout=20).json()
    return float(answer.get("pricing", {}).get("input_tokens", 0))


def _chat(house: Any, key: str) -> int:
    body = {"model": "openai/gpt-4o", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
    headers = {"authorization": f"Bearer {key}", "connection": "close"}
    return requests.post(f"{house.url}/v1/chat/completions", json=body, headers=headers, timeout=20).status_code


def test_a_markup_counts_at_every_worker_within_two_seconds(
    house: Any, program: Program, key: str, eventually: Any
) -> None:
    before = _price(house, key)
    assert program.patch("/pricing", json={"markup": 0.5}).status_code == 200
    eventually(lambda: all(_price(house, key) == before * 1.5 for _ in range(8)), seconds=SECONDS)
    program.patch("/pricing", json={"markup": None})
    eventually(lambda: all(_price(house, key) == before for _ in range(8)), seconds=SECONDS)


def test_a_provider_that_is_switched_off_is_sold_nowhere_within_two_seconds(
    house: Any, program: Program, key: str, eventually: Any
) -> None:
    assert _chat(house, key) == 200
    assert program.patch("/providers/openai", json={"enabled": False}).json()["state"] == "off"
    eventually(lambda: all(_chat(house, key) == 400 for _ in range(4)), seconds=SECONDS)
    program.patch("/providers/openai", json={"enabled": None})
    eventually(lambda: all(_chat(house, key) == 200 for _ in range(4)), seconds=SECONDS)


def test_an_own_price_and_a_blocked_account_count_within_two_seconds(
    house: Any, program: Program, key: str, eventually: Any
) -> None:
    program.put("/prices/openai/gpt-4o", json={"prices": {"input_tokens": 77, "output_tokens": 99}})
    eventually(lambda: all(_price(house, key) == 77 for _ in range(8)), seconds=SECONDS)
    assert program.delete("/prices/openai%2Fgpt-4o").status_code == 204
    (account,) = program.get("/accounts", params={"query": "acme"}).json()["items"]
    program.patch(f"/accounts/{account['id']}", json={"blocked": True})
    eventually(lambda: all(_chat(house, key) == 401 for _ in range(4)), seconds=SECONDS)
    program.patch(f"/accounts/{account['id']}", json={"blocked": False})
    eventually(lambda: all(_chat(house, key) == 200 for _ in range(4)), seconds=SECONDS)


def test_the_record_says_who_acted_and_from_where(program: Program) -> None:
    program.post("/accounts", json={"name": "recorded"})
    newest = program.get("/acts", params={"limit": 1}).json()["items"][0]
    assert (newest["operator"], newest["address"]) == ("token tests", "127.0.0.1")


def test_nobody_comes_in_without_a_token(house: Any) -> None:
    answer = requests.get(f"{house.url}/admin/v1/accounts", timeout=20)
    assert answer.status_code == 401 and answer.headers["content-type"] == "application/problem+json"
    assert requests.post(f"{house.url}/payments/yookassa", json={}, timeout=20).status_code == 404
