"""Acts out every ending of `fakes/endings.py`: what the client sees, what is charged, whose loss it is, the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from proxyapi_fakes_act import (
    DRAINS_MAX,
    PATHS,
    Act,
    acted,
    check,
    cut,
    read,
    settings,
)  # loaded by conftest
from proxyapi_fakes_endings import CASES, Case, Form, Heard
from proxyapi_fakes_gateway import read_until
from proxyapi_fakes_upstream_scripts import acting

EXPENSIVE_TOKENS = 20_000
"""More than may be on hold for answers that nobody reads."""


# --- clients ---------------------------------------------------------------------------------------------------------


def reads_to_the_end(act: Act) -> Heard:
    return read(act.ask())


def leaves_with_half_a_request_sent(act: Act) -> Heard:
    asked = len(act.upstream.asked)
    connection = act.gateway.connect()
    head = (
        f"POST {PATHS[act.way]} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {act.key}\r\ncontent-length: 100\r\n\r\n"
    )
    connection.sendall(head.encode() + b'{"model":')
    heard = cut(connection)
    assert act.gateway.request("GET", "/v1/models", key=act.key)[0] == 200
    assert len(act.upstream.asked) == asked
    return heard


def leaves_while_the_provider_thinks(act: Act) -> Heard:
    connection = act.ask()
    act.wait("asked")
    heard = cut(connection)
    # Another request on the same worker is answered only after the gateway has seen the first client leave.
    assert act.gateway.request("GET", "/healthz")[0] == 200
    act.stage.go.set()
    return heard


def leaves_in_the_middle(act: Act) -> Heard:
    connection = act.ask()
    act.wait("middle")
    if act.form == "stream":
        read_until(connection, b"two")
    heard = cut(connection)
    assert act.gateway.request("GET", "/healthz")[0] == 200
    if act.case.upstream != "does not end":
        act.stage.go.set()
    return heard


def leaves_after_too_many_others(act: Act) -> Heard:
    before = []
    for _ in range(DRAINS_MAX):
        other = Act(act.gateway, act.upstream, act.case, act.form, act.way)
        connection = other.ask()
        other.wait("middle")
        read_until(connection, b"two")
        cut(connection)
        before.append(other)
    act.upstream.reply = acting(act.case.upstream, act.stage)
    connection = act.ask()
    act.wait("middle")
    read_until(connection, b"two")
    heard = cut(connection)
    act.gateway.last_entry(act.account)
    for other in [*before, act]:
        other.stage.go.set()
    assert [other.gateway.last_entry(other.account)["source"] for other in before] == ["reported"] * DRAINS_MAX
    return heard


def leaves_an_expensive_request(act: Act) -> Heard:
    act.body["max_tokens"] = EXPENSIVE_TOKENS
    connection = act.ask()
    act.wait("middle")
    read_until(connection, b"two")
    heard = cut(connection)
    act.gateway.last_entry(act.account)
    act.stage.go.set()
    return heard


def leaves_before_the_last_event(act: Act) -> Heard:
    connection = act.ask()
    act.wait("middle")
    read_until(connection, b"three")
    assert act.gateway.request("GET", "/healthz")[0] == 200
    heard = cut(connection)
    act.gateway.last_entry(act.account)
    act.stage.go.set()
    return heard


def leaves_after_the_end(act: Act) -> Heard:
    connection = act.ask()
    read_until(connection, b"0\r\n\r\n" if act.form == "stream" else b"three")
    heard = Heard(200, b"", True)
    cut(connection)
    return heard


def asks_with_another_key(*options: str) -> Callable[[Act], Heard]:
    return lambda act: read(act.ask(key=act.gateway.key(act.account, *options)))


def caps_its_request(amount: str) -> Callable[[Act], Heard]:
    return lambda act: read(act.ask(headers=f"x-proxyapi-max-cost: {amount}\r\n"))


def has_its_requests_shortened(act: Act) -> Heard:
    act.gateway.cli("account", "edit", act.account, "--when-short", "shorten")
    return read(act.ask())


def has_a_revoked_key(act: Act) -> Heard:
    key = act.gateway.key(act.account, "--name", "old")
    shown = act.gateway.cli("key", "list", act.account)
    numbers = [entry["id"] for entry in shown["keys"] if entry["name"] == "old"]
    act.gateway.cli("key", "revoke", str(numbers[0]))
    return read(act.ask(key=key))


def asks_for_an_unknown_model(act: Act) -> Heard:
    act.body["model"] = "openai/no-such-model"
    return read(act.ask())


def asks_too_often(act: Act) -> Heard:
    key = act.gateway.key(act.account, "--rpm", "1")
    assert read(act.ask(b"{", key=key)).status == 400
    return read(act.ask(key=key))


CLIENTS: dict[str, Callable[[Act], Heard]] = {
    "reads to the end": reads_to_the_end,
    "leaves with half a request sent": leaves_with_half_a_request_sent,
    "leaves while the provider thinks": leaves_while_the_provider_thinks,
    "leaves in the middle": leaves_in_the_middle,
    "leaves after too many others": leaves_after_too_many_others,
    "leaves an expensive request in the middle": leaves_an_expensive_request,
    "leaves before the last event": leaves_before_the_last_event,
    "leaves after the end": leaves_after_the_end,
    "sends no JSON": lambda act: read(act.ask(b"{")),
    "asks for an unknown model": asks_for_an_unknown_model,
    "caps its request": caps_its_request("0.06"),
    "caps it at nothing": caps_its_request("0.001"),
    "has its requests shortened": has_its_requests_shortened,
    "has a revoked key": has_a_revoked_key,
    "has a key for other models": asks_with_another_key("--model", "anthropic/*"),
    "has a key with a small budget": asks_with_another_key("--budget", "0.001"),
    "asks too often": asks_too_often,
}


# --- the tests -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def upstream(upstreams: Any) -> Iterator[Any]:
    with upstreams.FakeUpstream(upstreams.Reply()) as fake:
        yield fake


@pytest.fixture(scope="module")
def gateway(gateways: Any, upstream: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with gateways.Gateway(tmp_path_factory.mktemp("endings"), **settings(upstream)) as running:
        yield running


@acted(tuple(case for case in CASES if not case.fault))
def test_a_request_ends_as_the_table_of_endings_says(
    gateway: Any, upstream: Any, case: Case, form: Form, way: str
) -> None:
    act = Act(gateway, upstream, case, form, way)
    try:
        check(act, CLIENTS[case.client](act))
    finally:
        act.stage.go.set()


def test_after_all_of_it_the_audit_is_clean_and_nothing_is_held(gateway: Any) -> None:
    gateway.assert_clean()
