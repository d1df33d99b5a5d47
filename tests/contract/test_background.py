"""Background responses: answered at once, charged when the provider says what they used."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import pytest

DEADLINE_SECONDS = 20


def response(status: str, usage: dict[str, int] | None) -> bytes:
    return json.dumps(
        {"id": "resp_b1", "object": "response", "status": status, "model": "gpt-4o", "output": [], "usage": usage}
    ).encode()


@pytest.fixture(scope="module")
def played(upstreams: Any, gateways: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    looks: list[bytes] = [
        response("in_progress", None),
        response("completed", {"input_tokens": 1000, "output_tokens": 500, "total_tokens": 1500}),
    ]

    def reply(asked: Any) -> Any:
        if asked.method == "POST":
            return upstreams.Reply(body=response("queued", None))
        return upstreams.Reply(body=looks.pop(0) if len(looks) > 1 else looks[0])

    with upstreams.FakeUpstream(reply) as upstream:
        config = f'[providers.openai]\nbase_url = "{upstream.url}/v1"\napi_key = "sk-upstream"\n'
        with gateways.Gateway(tmp_path_factory.mktemp("background"), config) as gateway:
            yield gateway, upstream


def entries(gateway: Any) -> list[tuple[Any, ...]]:
    with sqlite3.connect(gateway.data / "proxyapi.db") as store:
        return store.execute("SELECT kind, ending, units, held FROM entry WHERE operation = 'responses'").fetchall()


def test_a_background_response_is_held_until_it_ends_and_then_charged_by_its_usage(played: tuple[Any, Any]) -> None:
    gateway, upstream = played
    key = gateway.key(gateway.account("waiter", "100"))
    body = {"model": "gpt-4o", "input": "Hello", "background": True, "max_output_tokens": 1000}
    status, headers, text = gateway.request("POST", "/openai/v1/responses", key=key, body=body)
    assert status == 200
    assert json.loads(text)["status"] == "queued"
    assert "x-proxyapi-cost" not in headers, "nobody knows it yet"
    assert gateway.cli("account", "show", "waiter")["held"] > 0
    end = time.monotonic() + DEADLINE_SECONDS
    while not entries(gateway) and time.monotonic() < end:
        time.sleep(0.05)
    ((kind, ending, units, held),) = entries(gateway)
    assert (kind, ending) == ("settle", "background")
    assert json.loads(units) == {"input_tokens": 1000, "output_tokens": 500}
    assert held > 0
    assert [asked.method for asked in upstream.asked] == ["POST", "GET", "GET"]
    assert gateway.cli("account", "show", "waiter")["held"] == 0
    assert gateway.cli("audit")["ok"] is True
