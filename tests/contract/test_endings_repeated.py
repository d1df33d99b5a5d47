"""Acts out `fakes/repeated_endings.py`: requests that are sent again with their `Idempotency-Key`, on both engines."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
from proxyapi_fakes_act import PATIENCE_SECONDS, Act, acted, check, read, settings  # loaded by conftest.py
from proxyapi_fakes_endings import Case, Form, Heard
from proxyapi_fakes_gateway import eventually
from proxyapi_fakes_postgres import children
from proxyapi_fakes_repeated_endings import REPEATED
from proxyapi_fakes_upstream_scripts import acting

from proxyapi.store.database import open_database

KEY = "idempotency-key: order\r\n"
DAY_AND_HOUR_MS = 25 * 3_600_000
SOON_SECONDS = 15.0
"""A start and a round of the reaper: far less than the grace of a minute."""


def asks_beside_it(act: Act) -> Heard:
    first = act.ask(headers=KEY)
    act.wait("middle")
    second = act.ask(headers=KEY)
    if act.form == "body":
        heard = read(second)
        act.stage.go.set()
        assert read(first).whole
        return heard
    eventually(lambda: b"two" in second.recv(65_536, socket.MSG_PEEK))
    act.stage.go.set()
    told = read(first)
    heard = read(second)
    assert heard.text == told.text
    return heard


def asks_after_it(act: Act) -> Heard:
    first = read(act.ask(headers=KEY))
    heard = read(act.ask(headers=KEY))
    assert heard == first
    return heard


def asks_for_something_else(act: Act) -> Heard:
    assert read(act.ask(headers=KEY)).whole
    act.body["max_tokens"] += 1
    return read(act.ask(headers=KEY))


def asks_after_a_refusal(act: Act) -> Heard:
    assert read(act.ask(headers=KEY)).status >= 500
    act.gateway.last_entry(act.account)
    act.upstream.reply = acting("answers", act.stage)
    return read(act.ask(headers=KEY))


def asks_after_its_worker_was_killed(act: Act) -> Heard:
    first = act.ask(headers=KEY)
    act.wait("middle")
    for pid in children(act.gateway.pid):
        os.kill(pid, signal.SIGKILL)
    act.stage.go.set()
    assert not read(first).whole
    eventually(lambda: not act.gateway.holds(), seconds=SOON_SECONDS)
    eventually(lambda: is_ready(act.gateway), seconds=SOON_SECONDS)
    (lost,) = act.gateway.entries(act.account)
    assert (lost["kind"], lost["ending"], lost["charged"]) == ("expire", "worker_lost", 0)
    assert lost["loss"] == lost["held"] > 0
    return read(act.ask(headers=KEY))


def is_ready(gateway: Any) -> bool:
    with suppress(OSError):
        return bool(gateway.request("GET", "/readyz")[0] == 200)
    return False


def asks_when_the_key_is_forgotten(act: Act) -> Heard:
    assert read(act.ask(headers=KEY)).whole
    act.gateway.last_entry(act.account)
    with closing(open_database(act.gateway.store_url)) as database, database.transaction() as transaction:
        transaction.change(f"UPDATE claim SET created_at = created_at - {DAY_AND_HOUR_MS}")
    heard = read(act.ask(headers=KEY))
    assert act.gateway.last_entry(act.account, 2)["kind"] == "settle"
    return heard


CLIENTS: dict[str, Callable[[Act], Heard]] = {
    "asks beside it": asks_beside_it,
    "asks after it": asks_after_it,
    "asks for something else": asks_for_something_else,
    "asks after a refusal": asks_after_a_refusal,
    "asks after its worker was killed": asks_after_its_worker_was_killed,
    "asks when the key is forgotten": asks_when_the_key_is_forgotten,
}


@pytest.fixture(scope="module")
def upstream(upstreams: Any) -> Iterator[Any]:
    with upstreams.FakeUpstream(upstreams.Reply()) as fake:
        yield fake


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def gateway(
    request: pytest.FixtureRequest, gateways: Any, upstream: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """With two workers, so that somebody watches them."""
    url = request.getfixturevalue("postgres").create() if request.param == "postgres" else ""
    folder = tmp_path_factory.mktemp("repeated")
    with gateways.Gateway(
        folder, **settings(upstream, silence_seconds=PATIENCE_SECONDS), workers=2, database_url=url
    ) as running:
        yield running
        running.assert_clean()


@acted(REPEATED)
def test_a_request_that_is_sent_again_ends_as_the_table_of_endings_says(
    gateway: Any, upstream: Any, case: Case, form: Form, way: str
) -> None:
    act = Act(gateway, upstream, case, form, way)
    try:
        check(act, CLIENTS[case.client](act))
    finally:
        act.stage.go.set()
