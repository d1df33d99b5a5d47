"""The gateway on PostgreSQL: two nodes with two workers each on one database, which nothing but the address tells apart
from the file of SQLite."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import openai
import pytest

CHAT = "/openai/v1/chat/completions"
BODY: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 200}
ROUTED = "openrouter/openai/gpt-4o"
PASSWORD = "pa55word-of-the-database"
EDIT_SECONDS = 2.0
"""How soon an edit acts on all nodes."""


@pytest.fixture(scope="module")
def upstream(upstreams: Any, replies: Any) -> Iterator[Any]:
    with upstreams.FakeUpstream(upstreams.Reply(body=replies.chat())) as fake:
        yield fake


@pytest.fixture(scope="module")
def nodes(
    gateways: Any, upstream: Any, postgres: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Any, Any]]:
    config = f"""
[pause]
enabled = false
[providers.openai]
base_url = "{upstream.url}/v1"
api_key = "sk-upstream"
[providers.openrouter]
base_url = "{upstream.url}/api/v1"
api_key = "sk-upstream"
"""
    url = postgres.create().replace("@/", f":{PASSWORD}@/")
    prices = {"openai/gpt-4o": ("100", "500")}
    one = gateways.Gateway(tmp_path_factory.mktemp("one"), config, workers=2, prices=prices, database_url=url)
    other = gateways.Gateway(tmp_path_factory.mktemp("other"), config, workers=2, database_url=url)
    with one, other:
        yield one, other
        one.assert_clean()


def ask(gateway: Any, key: str, body: Any = BODY) -> tuple[int, Any]:
    status, _, answer = gateway.request("POST", CHAT, key=key, body=body)
    return status, json.loads(answer, parse_float=Decimal)


def test_both_nodes_spend_one_balance(nodes: Any) -> None:
    one, other = nodes
    account, key = one.customer("1")
    assert [ask(node, key)[0] for node in (one, other, one, other)] == [200] * 4
    assert len({entry["id"] for entry in gather(one, account, 4)}) == 4
    spent = sum(entry["charged"] for entry in one.entries(account))
    assert Decimal(one.balance(account)) == Decimal(other.balance(account)) == 1 - Decimal(spent) / 10**9
    assert spent > 0


def gather(gateway: Any, account: str, count: int) -> Any:
    gateway.last_entry(account, count)
    return gateway.entries(account)


def test_no_node_lets_an_account_spend_what_it_does_not_have(nodes: Any, upstream: Any) -> None:
    one, other = nodes
    _, key = one.customer("0.01")
    asked = len(upstream.asked)
    for node in (one, other):
        status, body = ask(node, key)
        assert (status, body["limit_source"]) == (402, "account")
    assert len(upstream.asked) == asked


def test_a_budget_is_one_for_all_nodes(nodes: Any) -> None:
    one, other = nodes
    _, key = one.customer("100", "--budget", "0.25", "--period", "day")
    answers = [ask(node, key)[0] for node in (one, other) * 12]
    assert answers[0] == 200 and 402 in answers
    status, body = ask(other, key)
    assert (status, body["limit_source"]) == (402, "key")
    assert other.rows("SELECT spent <= funded AS fits FROM account WHERE kind = 'budget'")[-1]["fits"]


def test_edits_reach_the_other_node_within_two_seconds(nodes: Any, eventually: Any) -> None:
    one, other = nodes
    account, key = one.customer("100")
    key_id = str(one.cli("key", "list", account)["keys"][0]["id"])
    assert ask(other, key)[0] == 200
    for command, answer in (
        (("key", "disable", key_id), 401),
        (("key", "enable", key_id), 200),
        (("account", "block", account), 401),
        (("account", "unblock", account), 200),
        (("key", "edit", key_id, "--endpoint", "embeddings"), 403),
    ):
        one.cli(*command)
        eventually(lambda answer=answer: ask(other, key)[0] == answer, seconds=EDIT_SECONDS)


def test_a_price_change_reaches_the_other_node_within_two_seconds(nodes: Any, eventually: Any) -> None:
    one, other = nodes
    key = one.customer("100")[1]

    def estimate() -> Decimal:
        path = f"/proxyapi/estimate?path={CHAT}"
        return Decimal(str(json.loads(other.request("POST", path, key=key, body=BODY)[2])["estimate"]))

    before = estimate()
    one.cli("price", "set", "openai/gpt-4o", "--input", "200", "--output", "1000")
    eventually(lambda: estimate() == 2 * before, seconds=EDIT_SECONDS)
    one.cli("price", "set", "openai/gpt-4o", "--input", "100", "--output", "500")


def test_a_conversation_goes_on_at_the_other_node(nodes: Any, upstream: Any, upstreams: Any, replies: Any) -> None:
    one, other = nodes
    key = one.customer("100")[1]
    usual = upstream.reply
    upstream.reply = lambda _: upstreams.Reply(body=replies.response(text="an answer", id="gen-1"))
    try:
        first, second = (openai.OpenAI(api_key=key, base_url=f"{node.url}/v1", max_retries=0) for node in nodes)
        kept = first.responses.create(model=ROUTED, input="first?")
        second.responses.create(model=ROUTED, input="second?", previous_response_id=kept.id)
        asked = json.loads(upstream.asked[-1].body)["input"]
        assert [item["role"] for item in asked] == ["user", "assistant", "user"]
        with pytest.raises(openai.BadRequestError, match="not found"):
            stranger = openai.OpenAI(api_key=one.customer("1")[1], base_url=f"{other.url}/v1", max_retries=0)
            stranger.responses.create(model=ROUTED, input="?", previous_response_id=kept.id)
    finally:
        upstream.reply = usual


def test_the_password_of_the_database_is_shown_nowhere(nodes: Any) -> None:
    seen = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    for node in nodes:
        assert "postgresql://proxyapi@/" in node.greeting
        seen += node.greeting + node.log()
    assert PASSWORD not in seen


def test_commands_without_an_installation_say_so(gateways: Any, postgres: Any, tmp_path: Any) -> None:
    empty = gateways.Gateway(tmp_path, database_url=postgres.create())
    empty.cli("account", "list", code=2)
    missing = gateways.Gateway(tmp_path, database_url=postgres.url("missing"))
    started = time.monotonic()
    missing.cli("account", "list", code=1)
    assert time.monotonic() - started < 5
