"""The receipt of a request: who may read it, what it says, and that it agrees with what was charged."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2_000}


@pytest.fixture(scope="module")
def upstream(upstreams: Any) -> Iterator[Any]:
    with upstreams.FakeUpstream(upstreams.Reply()) as fake:
        yield fake


@pytest.fixture(scope="module")
def gateway(gateways: Any, upstream: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    config = 'exchange_rate = "100"\nmarkup = "0.25"\n[pause]\nenabled = false\n' + "".join(
        f'[providers.{name}]\nbase_url = "{upstream.url}/v1"\napi_key = "sk-upstream"\n'
        for name in ("openai", "openrouter")
    )
    with gateways.Gateway(
        tmp_path_factory.mktemp("receipts"), config, prices={"openai/gpt-4o-mini": ("100", "500")}
    ) as running:
        yield running
        running.assert_clean()


@pytest.fixture(autouse=True)
def answered(upstream: Any, upstreams: Any, replies: Any) -> None:
    upstream.reply = lambda _asked: upstreams.Reply(body=replies.chat())


def ask(gateway: Any, key: str, path: str = "/openai/v1/chat/completions", **more: Any) -> str:
    """The id of a request that was answered."""
    status, headers, text = gateway.request("POST", path, key=key, body=BODY | more)
    assert status == 200, text
    gateway.entry(headers["x-request-id"])
    return str(headers["x-request-id"])


def receipt(gateway: Any, key: str, id: str) -> tuple[int, Any]:
    status, _, text = gateway.request("GET", f"/proxyapi/requests/{id}", key=key)
    return status, json.loads(text, parse_float=Decimal)


def test_a_receipt_says_what_was_used_at_which_price_and_what_returned(gateway: Any) -> None:
    account, key = gateway.customer("10")
    id = ask(gateway, key, model="gpt-4o-mini")
    status, told = receipt(gateway, key, id)
    assert status == 200
    assert [(line["unit"], line["quantity"], line["amount"]) for line in told["lines"]] == [
        ("input_tokens", 850, Decimal("0.085")),
        ("output_tokens", 120, Decimal("0.06")),
    ]
    assert (told["cost"], told["charged"], told["covered_by_operator"]) == (Decimal("0.145"), Decimal("0.145"), 0)
    assert told["held"] - told["charged"] == told["returned"]
    assert Decimal(gateway.balance(account)) == 10 - told["charged"]
    assert (told["state"], told["usage_source"], told["ending_text"]) == ("settled", "reported", "answered")
    assert (told["provider"], told["attempts"], told["tried"]) == ("openai", 1, [])
    assert "upstream_cost" not in told


def test_a_key_sees_its_own_requests_and_with_the_permission_those_of_its_account(gateway: Any) -> None:
    account, key = gateway.customer("10")
    other, curious = gateway.key(account), gateway.key(account, "--allow-balance")
    _, stranger = gateway.customer("10", "--allow-balance")
    id = ask(gateway, key)
    assert receipt(gateway, key, id)[0] == receipt(gateway, curious, id)[0] == 200
    for blind in (other, stranger):
        status, told = receipt(gateway, blind, id)
        assert (status, told["error"]["code"]) == (404, "not_found")
    assert receipt(gateway, "", id)[0] == 401


@pytest.mark.parametrize("id", ["nothing", "00000000-0000-7000-8000-000000000000", "a/b", "x" * 300])
def test_what_is_no_request_does_not_exist(gateway: Any, id: str) -> None:
    _, key = gateway.customer("1", "--allow-balance")
    assert receipt(gateway, key, id)[0] == 404


def test_a_request_that_runs_is_held(
    gateway: Any, upstream: Any, upstreams: Any, replies: Any, eventually: Any
) -> None:
    account, key = gateway.customer("100")
    go = threading.Event()
    upstream.reply = lambda _asked: upstreams.Reply(body=replies.chat(), before=lambda: go.wait(10))
    asking = threading.Thread(target=ask, args=(gateway, key))
    asking.start()
    hold = eventually(gateway.holds)[0]
    _, told = receipt(gateway, key, hold["id"].hex())
    assert (told["state"], told["held"] * 10**9) == ("held", hold["amount"])
    assert gateway.cli("usage", "--request", hold["id"].hex())["state"] == "held"
    go.set()
    asking.join()
    assert receipt(gateway, key, hold["id"].hex())[1]["state"] == "settled"
    assert gateway.last_entry(account)["id"] == hold["id"]


def test_the_operator_is_told_the_published_price_without_markup(gateway: Any) -> None:
    account, key = gateway.customer("100")
    told = gateway.cli("usage", "--request", ask(gateway, key))
    assert (told["account"], told["provider"], told["loss"]) == (account, "openai", 0)
    published = Decimal("2.5") * 100 * 850 / 10**6 + 10 * 100 * Decimal(120) / 10**6
    assert Decimal(str(told["upstream_cost"])) == published
    assert Decimal(str(told["cost"])) == published * Decimal("1.25")


def test_of_a_price_of_the_operators_own_the_published_one_is_what_he_pays(gateway: Any) -> None:
    _, key = gateway.customer("100")
    told = gateway.cli("usage", "--request", ask(gateway, key, model="gpt-4o-mini"))
    assert Decimal(str(told["upstream_cost"])) == (Decimal("0.15") * 850 + Decimal("0.6") * 120) * 100 / 10**6


def test_a_reported_cost_is_what_the_operator_pays(gateway: Any, upstream: Any, upstreams: Any, replies: Any) -> None:
    _, key = gateway.customer("100")
    usage = replies.chat_usage((850, 120)) | {"cost": 0.0123}
    upstream.reply = lambda _asked: upstreams.Reply(body=replies.chat(usage=usage))
    id = ask(gateway, key, "/openrouter/v1/chat/completions", model="openai/gpt-4o")
    told = gateway.cli("usage", "--request", id)
    assert [line["unit"] for line in told["lines"]] == ["reported_cost_nanousd"]
    assert Decimal(str(told["upstream_cost"])) == Decimal("1.23")
    assert Decimal(str(told["charged"])) == Decimal("1.23") * Decimal("1.25")


def test_a_refused_request_costs_nobody_anything(gateway: Any, upstream: Any, upstreams: Any) -> None:
    _, key = gateway.customer("100")
    upstream.reply = lambda _asked: upstreams.Reply(status=400, body=b'{"error":{"message":"no"}}')
    _, headers, _ = gateway.request("POST", "/openai/v1/chat/completions", key=key, body=BODY)
    gateway.entry(headers["x-request-id"])
    _, told = receipt(gateway, key, headers["x-request-id"])
    assert (told["state"], told["charged"], told["lines"]) == ("released", 0, [])
    assert told["ending_text"] == "the provider refused it"
    assert gateway.cli("usage", "--request", headers["x-request-id"])["upstream_cost"] == 0


def test_money_short_shows_what_the_operator_covers(gateway: Any) -> None:
    account, key = gateway.customer("0.1")
    gateway.cli("account", "edit", account, "--when-short", "shorten")
    _, told = receipt(gateway, key, ask(gateway, key, model="gpt-4o-mini"))
    assert (told["charged"], told["covered_by_operator"]) == (Decimal("0.1"), Decimal("0.045"))


def test_short_money_and_receipts_are_the_same_on_postgresql(
    gateways: Any, postgres: Any, upstream: Any, tmp_path: Path, eventually: Any
) -> None:
    config = f'[pause]\nenabled = false\n[providers.openai]\nbase_url = "{upstream.url}/v1"\napi_key = "sk-upstream"\n'
    prices = {"openai/gpt-4o": ("100", "500")}
    with gateways.Gateway(tmp_path, config, prices=prices, database_url=postgres.create()) as gateway:
        account, key = gateway.customer("0.1")
        gateway.cli("account", "edit", account, "--when-short", "shorten")
        status, headers, _ = gateway.request("POST", "/openai/v1/chat/completions", key=key, body=BODY)
        assert status == 200 and headers["x-proxyapi-shortened"].startswith("max_tokens=")
        id = headers["x-request-id"]
        told = eventually(lambda: (found := receipt(gateway, key, id)[1])["state"] == "settled" and found)
        assert (told["charged"], told["covered_by_operator"]) == (Decimal("0.1"), Decimal("0.045"))
        assert gateway.cli("usage", "--request", id)["loss"] == 0.045
        assert gateway.cli("audit")["ok"] is True
