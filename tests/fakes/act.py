"""One customer and one request of a case of `endings.py`, over real sockets, and what it must come to."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from proxyapi_fakes_endings import Case, Form, Heard  # loaded by conftest.py
from proxyapi_fakes_gateway import eventually, free_port
from proxyapi_fakes_upstream_scripts import Stage, acting

PATIENCE_SECONDS = 20.0
HELLO: Any = [{"role": "user", "content": "Hello"}]
PATHS = {"passed through": "/v1/chat/completions", "translated": "/v1/messages"}
"""The provider speaks Chat Completions."""
PROVIDERS = ("openai", "drained", "nowhere", "spared", "unspared", "unreached", "fallback", "failing")
MODELS = {name: f"{name}/gpt-4o" for name in PROVIDERS} | {"openrouter": "openrouter/openai/gpt-4o"}
MAX_TOKENS = 2_000
"""A hold of one unit and a little."""
DRAINS_MAX = 2

CONFIG = """
[pause]
enabled = false
[sandbox]
enabled = false
[timeouts]
idle_seconds = {silence_seconds}
first_byte_seconds = {silence_seconds}
drain_seconds = 0.5
stop_seconds = {stop_seconds}
[limits]
drains_max = {drains_max}
drains_amount_max = 5
[providers.openai]
base_url = "{url}/v1"
api_key = "sk-upstream"
[providers.openrouter]
base_url = "{url}/v1"
api_key = "sk-upstream"
[providers.drained]
base_url = "{url}/v1"
api_key = "sk-upstream"
on_gone = "drain"
[providers.nowhere]
base_url = "http://127.0.0.1:{nowhere}/v1"
api_key = "sk-upstream"
[providers.spared]
base_url = "{url}/v1"
[providers.unspared]
base_url = "{url}/v1"
[providers.unreached]
base_url = "http://127.0.0.1:{nowhere}/v1"
[providers.fallback]
base_url = "{url}/fallback/v1"
[providers.failing]
base_url = "{url}/v1"
[fallbacks]
"spared/gpt-4o" = ["fallback/gpt-4o"]
"unreached/gpt-4o" = ["failing/gpt-4o-of-nobody", "fallback/gpt-4o"]
"unspared/gpt-4o" = ["failing/gpt-4o"]
"""


class Act:
    """One customer and one request of a case."""

    def __init__(self, gateway: Any, upstream: Any, case: Case, form: Form, way: str) -> None:
        self.gateway, self.upstream, self.case, self.form, self.way = gateway, upstream, case, form, way
        self.stage = Stage(form)
        self.account, self.key = gateway.customer(str(case.funds / 10**9))
        self.body: dict[str, Any] = {"model": MODELS[case.provider], "messages": HELLO, "max_tokens": MAX_TOKENS}
        self.body |= {"stream": True} if form == "stream" else {}
        upstream.reply = acting(case.upstream, self.stage)

    def ask(self, body: bytes | None = None, key: str = "", headers: str = "") -> socket.socket:
        data = json.dumps(self.body).encode() if body is None else body
        connection: socket.socket = self.gateway.send(
            "POST", PATHS[self.way], key=key or self.key, body=data, headers=headers
        )
        return connection

    def wait(self, moment: str) -> None:
        assert getattr(self.stage, moment).wait(PATIENCE_SECONDS), f"the provider never was at {moment!r}"


def read(connection: socket.socket) -> Heard:
    """Everything until the end, a cut or a reset."""
    status, text, whole = 0, b"", False
    with suppress(ConnectionResetError), connection, connection.makefile("rb") as file:
        status = int((file.readline().split() or [b"", b"0"])[1])
        headers = {}
        while (line := file.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            headers[name.lower()] = value.strip()
        if headers.get(b"transfer-encoding") != b"chunked":
            text = file.read(int(headers.get(b"content-length", 0)))
            return Heard(status, text, status > 0)
        while (line := file.readline()) and (size := int(line, 16)):
            text += file.read(size)
            file.readline()
        whole = bool(line) and file.readline() == b"\r\n"
    return Heard(status, text, whole)


def cut(connection: socket.socket) -> Heard:
    """Close with a reset, as a killed client does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    return Heard(0, b"", False)


def settings(
    upstream: Any, stop_seconds: float = 30, silence_seconds: float = 0.5, providers: Sequence[str] = tuple(MODELS)
) -> dict[str, Any]:
    """Arguments of a `Gateway` in which the cases of `providers` can be acted out. `silence_seconds`: how long
    providers may think."""
    config = CONFIG.format(
        url=upstream.url,
        nowhere=free_port(),
        stop_seconds=stop_seconds,
        silence_seconds=silence_seconds,
        drains_max=DRAINS_MAX,
    )
    return {"config": config, "prices": dict.fromkeys((MODELS[name] for name in providers), ("100", "500"))}


def acted(cases: tuple[Case, ...], *, engines: bool = False) -> pytest.MarkDecorator:
    """Parameters `case`, `form` and `way`. `engines`: and `database_url`, of both for what passes through."""
    forms: tuple[Form, ...] = ("body", "stream")
    every = [
        pytest.param(case, form, way, *engine, id=", ".join((f"{case.group}: {case.happens}: {form}", way, *engine)))
        for case in cases
        for form in forms
        if case.outcome(form) is not None
        for way in case.ways
        for engine in (((),) if not engines else (("sqlite",), ("postgres",))[: 2 if way == "passed through" else 1])
    ]
    names = ("case", "form", "way", *(["database_url"] if engines else []))
    return pytest.mark.parametrize(names, every, indirect=["database_url"] if engines else False)


def check(act: Act, heard: Heard) -> None:
    outcome = act.case.outcome(act.form)
    assert outcome is not None
    seen = (act.way == "translated" and outcome.translated) or outcome.seen
    assert seen.check(heard), f"not {seen.words!r}: {heard}"
    charged = 0
    if outcome.journal is None:
        assert act.gateway.entries(act.account) == []
    else:
        kind, ending, source = outcome.journal
        entry = eventually(lambda: of_kind(act, kind))
        assert (entry["kind"], entry["ending"], source and entry["source"]) == (kind, ending, source), entry
        assert outcome.charge.check(entry), f"not {outcome.charge.words!r}: {entry}"
        assert outcome.loss.check(entry), f"not {outcome.loss.words!r}: {entry}"
        charged = entry["charged"]
    eventually(lambda: not of_account(act, "SELECT hold.id FROM hold JOIN account ON account.id = hold.account_id"))
    (state,) = of_account(act, "SELECT funded - spent AS balance, held FROM account")
    assert (state["balance"], state["held"]) == (act.case.funds - act.case.paid_before - charged, 0)


def of_kind(act: Act, kind: str) -> dict[str, Any] | None:
    """The newest such ending: one that expired is corrected, one that is sent again may run again."""
    return next((entry for entry in reversed(act.gateway.entries(act.account)) if entry["kind"] == kind), None)


def of_account(act: Act, select: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = act.gateway.rows(f"{select} WHERE account.name = ?", act.account)
    return rows
