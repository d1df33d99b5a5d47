"""The gateway while its PostgreSQL is killed, away and back again."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from proxyapi_fakes_postgres import PostgresServer

CHAT = "/openai/v1/chat/completions"
BODY: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 200}
ANSWER_SECONDS = 2.0
SLACK_SECONDS = 5.0
"""What a busy machine takes beside."""


def test_requests_are_refused_at_once_while_the_database_is_away_and_served_when_it_is_back(
    gateways: Any, upstreams: Any, replies: Any, eventually: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with PostgresServer() as server, upstreams.FakeUpstream(upstreams.Reply(body=replies.chat())) as upstream:
        config = f'[pause]\nenabled = false\n[providers.openai]\nbase_url = "{upstream.url}/v1"\napi_key = "sk-up"\n'
        prices = {"openai/gpt-4o": ("100", "500")}
        folder = tmp_path_factory.mktemp("away")
        with gateways.Gateway(folder, config, workers=2, prices=prices, database_url=server.create()) as gateway:
            account, key = gateway.customer("100")
            unseen = gateway.key(account)  # no worker has it in its memory

            def ask() -> int:
                return int(gateway.request("POST", CHAT, key=key, body=BODY)[0])

            assert [ask() for _ in range(4)] == [200] * 4
            server.pause()
            for some in (key, unseen):
                started = time.monotonic()
                assert gateway.request("POST", CHAT, key=some, body=BODY)[0] == 503
                assert time.monotonic() - started < ANSWER_SECONDS + SLACK_SECONDS
            server.resume()
            eventually(lambda: ask() == 200, seconds=20)
            server.kill()
            asked = len(upstream.asked)
            for _ in range(4):
                started = time.monotonic()
                status, _, body = gateway.request("POST", CHAT, key=key, body=BODY)
                assert status == 503, body
                assert json.loads(body)["detail"]
                assert time.monotonic() - started < ANSWER_SECONDS + SLACK_SECONDS
            assert len(upstream.asked) == asked, "nothing was spent upstream"
            assert gateway.request("GET", "/healthz")[0] == 200
            server.start()
            eventually(lambda: ask() == 200, seconds=20)
            served = eventually(lambda: [ask() for _ in range(4)] == [200] * 4)
            assert served
            eventually(lambda: len(gateway.entries(account)) >= 9)
            gateway.assert_clean()
