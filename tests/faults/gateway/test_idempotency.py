"""A request with an `Idempotency-Key` whose worker dies: sent again, it is answered and charged once."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from proxyapi_fakes_gateway import read_until  # loaded by conftest.py

from proxyapi.ids import IdSource
from proxyapi.ledger.ledger import Ledger
from proxyapi.ledger.reaper import reap
from proxyapi.store.database import open_database

CHAT = "/openai/v1/chat/completions"
BODY: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 200}
EVENTS = {"content-type": "text/event-stream"}
COST = 145_000_000
FOLLOWERS = 8
"""Some of them, by all odds, at another worker than the one that makes the answer."""
SOON_SECONDS = 10.0
"""A start, and a round of the reaper: far less than the grace."""
KILLED = (OSError, EOFError)

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")


@pytest.fixture
def upstream(upstreams: Any, replies: Any) -> Iterator[Any]:
    with upstreams.FakeUpstream(upstreams.Reply(body=replies.chat())) as fake:
        yield fake


@pytest.fixture
def gateway(gateways: Any, upstream: Any, tmp_path: Path, database_url: str) -> Iterator[Any]:
    config = f"""
[pause]
enabled = false
[sandbox]
enabled = false
[providers.openai]
base_url = "{upstream.url}/v1"
api_key = "sk-upstream"
"""
    prices = {"openai/gpt-4o": ("100", "500")}
    with gateways.Gateway(tmp_path, config, workers=2, prices=prices, database_url=database_url) as running:
        yield running


def workers(gateway: Any) -> list[int]:
    found = Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text().split()
    return [int(child) for child in found]


def kill_all(gateway: Any, eventually: Callable[..., Any]) -> None:
    """Whoever has the request; the supervisor starts others."""
    old = workers(gateway)
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: len(workers(gateway)) == len(old) and not set(workers(gateway)) & set(old), seconds=30)
    eventually(lambda: _ready(gateway), seconds=30)


def _ready(gateway: Any) -> bool:
    with suppress(OSError):
        return bool(gateway.request("GET", "/readyz")[0] == 200)
    return False


async def reap_the_dead(url: str) -> int:
    """What happens a minute after workers were last seen, of whose end nobody knows. Holds of some that live expire
    too, as if they had been stopped for so long: what they charge then comes late."""
    database = open_database(url)
    ledger = Ledger(database, worker="heir", ids=IdSource())
    await ledger.open()
    holders = "SELECT worker_id FROM hold"
    await ledger.write(f"UPDATE worker SET seen_at = seen_at - 120000 WHERE id IN ({holders})")
    expired = await reap(database, ledger, grace_seconds=60, claim_seconds=0)
    assert await ledger.close() == 0
    database.close()
    return expired


def send(gateway: Any, key: str, idempotency_key: str, body: Any) -> Any:
    return gateway.request("POST", CHAT, key=key, body=body, headers={"Idempotency-Key": idempotency_key})


@pytest.mark.parametrize("stream", [False, True], ids=["body", "stream"])
def test_a_request_whose_worker_was_killed_runs_again_and_is_charged_once(
    gateway: Any, upstream: Any, upstreams: Any, replies: Any, eventually: Any, stream: bool
) -> None:
    account, key = gateway.customer("10")
    body = BODY | {"stream": stream}
    never, events = threading.Event(), replies.chat_events()

    def stuck() -> Iterator[bytes]:
        yield events[0]
        never.wait(30)

    upstream.reply = lambda asked: (
        upstreams.Reply(headers=EVENTS, chunks=stuck())
        if stream
        else upstreams.Reply(body=replies.chat(), before=lambda: never.wait(30))
    )
    headers = "idempotency-key: order\r\n"
    with gateway.send("POST", CHAT, key=key, body=json.dumps(body).encode(), headers=headers):
        eventually(lambda: upstream.asked)
        if stream:
            eventually(lambda: gateway.rows("SELECT 1 FROM claim_piece"))
        kill_all(gateway, eventually)
    upstream.reply = lambda asked: (
        upstreams.Reply(headers=EVENTS, chunks=events) if stream else upstreams.Reply(body=replies.chat())
    )
    # Its supervisor saw it end, and whoever took its place gave back what it held: nobody waits for a minute.
    eventually(lambda: not gateway.holds(), seconds=SOON_SECONDS)
    status, told, answer = send(gateway, key, "order", body)
    assert (status, told.get("idempotent-replayed")) == (200, None)
    eventually(lambda: not gateway.holds())
    status, told, again = send(gateway, key, "order", body)
    assert (status, told["idempotent-replayed"], again) == (200, "true", answer)
    assert [entry["kind"] for entry in gateway.entries(account)] == ["expire", "settle"]
    assert gateway.balance(account) == "9.855"
    never.set()
    gateway.assert_clean()


def test_who_follows_a_stream_is_cut_off_when_the_worker_that_makes_it_is_found_dead(
    gateway: Any, upstream: Any, upstreams: Any, replies: Any, eventually: Any
) -> None:
    _, key = gateway.customer("10")
    body, never = BODY | {"stream": True}, threading.Event()

    def stuck() -> Iterator[bytes]:
        yield replies.chat_events()[0]
        never.wait(30)

    upstream.reply = lambda asked: upstreams.Reply(headers=EVENTS, chunks=stuck())
    headers = "idempotency-key: order\r\n"
    with gateway.send("POST", CHAT, key=key, body=json.dumps(body).encode(), headers=headers):
        eventually(lambda: gateway.rows("SELECT 1 FROM claim_piece"))
        with ExitStack() as stack:
            texts = {
                stack.enter_context(
                    gateway.send("POST", CHAT, key=key, body=json.dumps(body).encode(), headers=headers)
                ): b""
                for _ in range(FOLLOWERS)
            }
            for follower in texts:
                texts[follower] = read_until(follower, b'"assistant"')
            (maker,) = gateway.rows("SELECT worker.name FROM hold JOIN worker ON worker.id = hold.worker_id")
            os.kill(int(maker["name"].split(":")[1]), signal.SIGKILL)
            for follower in texts:
                with suppress(ConnectionResetError):
                    while data := follower.recv(65_536):
                        texts[follower] += data
            assert not any(text.endswith(b"0\r\n\r\n") for text in texts.values()), "half an answer must not look whole"
    never.set()
    gateway.assert_clean()


@pytest.mark.parametrize("kills", [3, pytest.param(15, marks=pytest.mark.long)])
def test_orders_that_are_sent_until_they_are_answered_are_charged_once_each_while_workers_die(
    gateway: Any, upstream: Any, upstreams: Any, replies: Any, eventually: Any, kills: int
) -> None:
    account, key = gateway.customer("1000000")
    events = replies.chat_events()

    def reply(asked: Any) -> Any:
        if json.loads(asked.body).get("stream"):
            return upstreams.Reply(headers=EVENTS, chunks=events)
        return upstreams.Reply(body=replies.chat())

    upstream.reply = reply
    over, answered = threading.Event(), dict[str, set[bytes]]()

    def client(number: int) -> None:
        """Order after order; each is sent until it is answered, and then once more."""
        for order in range(10_000):
            if over.is_set():
                return
            name, body = f"{number}-{order}", BODY | {"stream": number % 2 == 0}
            heard = answered[name] = set()
            told = 0
            while told < 2:
                with suppress(*KILLED, Exception):
                    status, _, answer = send(gateway, key, name, body)
                    if status == 200 and (b"[DONE]" in answer or b'"usage"' in answer):
                        heard.add(answer)
                        told += 1
                    elif status == 409 and b"not kept" in answer:
                        told = 2
                    elif over.is_set():
                        break

    chance = random.Random(kills)
    with ThreadPoolExecutor(6) as threads:
        clients = [threads.submit(client, number) for number in range(6)]
        for _ in range(kills):
            enough = len(answered) + chance.randrange(20, 60)
            eventually(lambda enough=enough: len(answered) > enough, seconds=60)
            victim = chance.choice(workers(gateway))
            os.kill(victim, signal.SIGKILL)
            eventually(lambda victim=victim: victim not in workers(gateway) and len(workers(gateway)) == 2, seconds=30)
            eventually(lambda: _ready(gateway), seconds=30)
            asyncio.run(reap_the_dead(gateway.store_url))
        over.set()
        for each in clients:
            each.result(60)
    eventually(lambda: not gateway.holds(), seconds=30)
    claims = {row["id"]: row for row in gateway.rows("SELECT id, charged, answer FROM claim")}
    settled = [entry for entry in gateway.entries(account) if entry["charged"]]
    assert {entry["charged"] for entry in settled} == {COST}
    paid = [entry["ref"] or entry["id"] for entry in settled]
    assert sorted(paid) == sorted(id for id, claim in claims.items() if claim["charged"]), "each key, once"
    assert all(len(heard) <= 1 for heard in answered.values()), "one order, one answer"
    gateway.assert_clean()
