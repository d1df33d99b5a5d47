"""F11: clients that leave at any moment of their answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from proxyapi_fakes_act import cut  # loaded by conftest.py
from proxyapi_fakes_gateway import eventually

CHAT = "/openai/v1/chat/completions"
BODY: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2000, "stream": True}
EVENTS = {"content-type": "text/event-stream"}
COST = 145_000_000
HOLD_SECONDS_MAX = 60.0
CONFIG = """
[pause]
enabled = false
[sandbox]
enabled = false
[providers.openai]
base_url = "{url}/v1"
api_key = "sk-upstream"
"""


@pytest.mark.parametrize("clients", [100, pytest.param(1_000, marks=pytest.mark.long)])
def test_clients_that_leave_at_any_moment_end_each_exactly_once(
    gateways: Any, upstreams: Any, replies: Any, tmp_path: Path, database_url: str, clients: int
) -> None:
    """Cut after every 100th byte of the answer and the next, and the next ... of one that has some 9,000."""
    reply = upstreams.Reply(headers=EVENTS, chunks=replies.chat_events([" word"] * 50))
    prices = {"openai/gpt-4o": ("100", "500")}
    with upstreams.FakeUpstream(reply) as upstream:
        config = CONFIG.format(url=upstream.url)
        with gateways.Gateway(tmp_path, config, prices=prices, database_url=database_url) as gateway:
            account, key = gateway.customer("1000")
            body = json.dumps(BODY).encode()
            for number in range(clients):
                connection = gateway.send("POST", CHAT, key=key, body=body, headers="connection: close\r\n")
                wanted = number % 100 * 100
                while wanted > 0 and (data := connection.recv(min(wanted, 4096))):
                    wanted -= len(data)
                cut(connection)
            eventually(lambda: not gateway.holds(), seconds=HOLD_SECONDS_MAX)
            entries = gateway.entries(account)
            assert len({entry["id"] for entry in entries}) == len(entries) <= clients
            assert len(entries) >= clients * 0.6, (
                "a client may leave before the gateway has read its request, but most have not"
            )
            assert all(entry["charged"] <= COST for entry in entries)
            gateway.assert_clean()
