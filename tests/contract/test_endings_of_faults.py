"""Acts out the endings of `fakes/endings.py` in which the gateway or its store fails, on both engines."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from proxyapi_fakes_act import PATIENCE_SECONDS, Act, acted, check, read, settings  # loaded by conftest.py
from proxyapi_fakes_crowd import freeze_between_transactions
from proxyapi_fakes_endings import FAILED, Case, Form, Heard
from proxyapi_fakes_gateway import eventually

from proxyapi.ids import IdSource
from proxyapi.ledger.ledger import Ledger
from proxyapi.ledger.reaper import reap
from proxyapi.store.database import Database, open_database


@contextmanager
def store_lost(act: Act) -> Iterator[None]:
    """Somebody has the lock on which all writers queue; readers don't notice."""
    with ExitStack() as stack:
        if act.gateway.on_postgres:
            transaction = stack.enter_context(store_of(act)).transaction()
            stack.enter_context(transaction).execute("LOCK TABLE hold IN EXCLUSIVE MODE")
        else:
            file = stack.enter_context((act.gateway.data / "proxyapi.db.lock").open("w"))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def store_of(act: Act) -> AbstractContextManager[Database]:
    return closing(open_database(act.gateway.store_url))


def kill(act: Act) -> None:
    os.kill(act.gateway.pid, signal.SIGKILL)


def forget_what_it_asked(act: Act) -> None:
    """A server that has the settlement already, and only waits for the lock, would do it for the dead."""
    if act.gateway.on_postgres:
        with store_of(act) as database:
            lockers = (
                "SELECT pid FROM pg_locks WHERE relation = 'hold'::regclass AND mode = 'ExclusiveLock' AND granted"
            )
            others = f"datname = current_database() AND pid <> pg_backend_pid() AND pid NOT IN ({lockers})"
            ended = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"
            eventually(lambda: not database.fetch_now(ended))


def reap_the_dead(act: Act) -> None:
    """What another worker does a minute after the last one was seen."""

    async def main(database: Database) -> None:
        ledger = Ledger(database, worker="heir", ids=IdSource())
        await ledger.open()
        await ledger.write("UPDATE worker SET seen_at = seen_at - 60000 WHERE id <> ?", (ledger.worker_id,))
        await ledger.write("DELETE FROM setting WHERE name = 'reaping_until'")  # by then the dead one's claim is over
        await reap(database, ledger, grace_seconds=30, claim_seconds=0)
        assert await ledger.close() == 0

    with store_of(act) as database:
        asyncio.run(main(database))


def worker_killed(act: Act) -> Heard:
    connection = act.ask()
    act.wait("asked")
    kill(act)
    act.stage.go.set()
    heard = read(connection)
    reap_the_dead(act)
    return heard


def worker_killed_in_the_middle(act: Act) -> Heard:
    connection = act.ask()
    act.wait("middle")
    eventually(lambda: b"two" in connection.recv(65_536, socket.MSG_PEEK))
    kill(act)
    act.stage.go.set()
    heard = read(connection)
    reap_the_dead(act)
    return heard


def worker_killed_unsettled(act: Act) -> Heard:
    connection = act.ask()
    act.wait("asked")
    with store_lost(act):
        act.stage.go.set()
        heard = read(connection)
        kill(act)
        forget_what_it_asked(act)
    reap_the_dead(act)
    return heard


def worker_frozen(act: Act) -> Heard:
    connection = act.ask()
    act.wait("middle")
    with store_of(act) as database:
        freeze_between_transactions(act.gateway.pid, database, act.gateway.store_url)
    reap_the_dead(act)
    os.kill(act.gateway.pid, signal.SIGCONT)
    act.stage.go.set()
    return read(connection)


def store_lost_before(act: Act) -> Heard:
    with store_lost(act):
        return read(act.ask())


def store_known_to_be_lost(act: Act) -> Heard:
    other = Act(act.gateway, act.upstream, act.case, act.form, act.way)
    with store_lost(act):
        assert read(other.ask()).status == 503
        return read(act.ask())


def store_lost_in_the_middle(act: Act) -> Heard:
    connection = act.ask()
    act.wait("middle")
    with store_lost(act):
        act.stage.go.set()
        heard = read(connection)
        assert act.gateway.entries(act.account) == []
    return heard


def stopped_in_the_middle(act: Act) -> Heard:
    connection = act.ask()
    act.wait("middle")
    os.kill(act.gateway.pid, signal.SIGTERM)
    act.stage.go.set()
    return read(connection)


def stopped_too_long(act: Act) -> Heard:
    connection = act.ask()
    act.wait("middle")
    if act.form == "stream":
        eventually(lambda: b"two" in connection.recv(65_536, socket.MSG_PEEK))
    assert act.gateway.stop() == 0
    act.stage.go.set()
    return read(connection)


FAULTS: dict[str, Callable[[Act], Heard]] = {
    "worker killed": worker_killed,
    "worker killed in the middle": worker_killed_in_the_middle,
    "worker killed unsettled": worker_killed_unsettled,
    "worker frozen": worker_frozen,
    "store lost": store_lost_before,
    "store known to be lost": store_known_to_be_lost,
    "store lost in the middle": store_lost_in_the_middle,
    "stopped in the middle": stopped_in_the_middle,
    "stopped, too long": stopped_too_long,
}


@pytest.fixture(scope="module")
def upstream(upstreams: Any) -> Iterator[Any]:
    with upstreams.FakeUpstream(upstreams.Reply()) as fake:
        yield fake


@acted(FAILED, engines=True)
def test_a_request_ends_as_the_table_of_endings_says_where_the_gateway_or_its_store_fails(
    gateways: Any, upstream: Any, tmp_path: Path, database_url: str, case: Case, form: Form, way: str
) -> None:
    stop_seconds = 0.5 if case.fault == "stopped, too long" else 30
    arguments = settings(upstream, stop_seconds, PATIENCE_SECONDS, [case.provider])
    with gateways.Gateway(tmp_path, **arguments, database_url=database_url) as gateway:
        act = Act(gateway, upstream, case, form, way)
        try:
            check(act, FAULTS[case.fault](act))
            gateway.assert_clean()
        finally:
            act.stage.go.set()
