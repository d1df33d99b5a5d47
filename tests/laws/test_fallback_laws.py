"""Whatever the targets of a request do, one after the other: one entry, one charge, no hold, the books in order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from proxyapi_fakes_gateway import eventually  # loaded by conftest.py
from proxyapi_fakes_upstream_scripts import Stage, acting

EXAMPLES = 60
TARGETS_MAX = 4
COST = 145_000_000
"""Nanos of an answer of the first target; the second costs twice that, and so on."""
GOES_ON = {
    "refuses with 401", "refuses with 402", "refuses with 403", "refuses with 429", "refuses with 500",
    "refuses with 302", "hangs up at once", "hangs up after the head", "answers an error", "answers nothing",
    "answers no JSON", "speaks no HTTP",
}  # fmt: skip
IN_THE_MIDDLE = {"hangs up in the middle"}
"""One body is not there yet; of a stream words have gone out."""
STOPS = {"answers", "answers without usage", "reports zero", "refuses with 400", "refuses with 404"}
OUTCOMES = sorted(GOES_ON | IN_THE_MIDDLE | STOPS)


def models(length: int) -> list[str]:
    """Of a request with so many targets."""
    return [f"acme/of-{length}-number-{place}" for place in range(1, length + 1)]


class Acted:
    """A gateway with a customer, and a provider whose models do what the example says."""

    def __init__(self, gateway: Any, upstream: Any) -> None:
        self.gateway = gateway
        self.upstream = upstream
        self.account, self.key = gateway.customer("100000")

    def balance(self) -> int:
        sql = "SELECT funded - spent AS nanos FROM account WHERE name = ?"
        return int(self.gateway.rows(sql, self.account)[0]["nanos"])

    def ask(self, outcomes: Sequence[str], form: str, path: str) -> dict[str, Any]:
        """The entry of one request."""
        names = models(len(outcomes))
        plays = {name.partition("/")[2]: acting(what, Stage(form)) for name, what in zip(names, outcomes, strict=True)}
        self.upstream.asked.clear()
        self.upstream.reply = lambda asked: plays[json.loads(asked.body)["model"]](asked)
        body = {"model": names[0], "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2_000}
        _, headers, _ = self.gateway.request(
            "POST", path, key=self.key, body=body | ({"stream": True} if form == "stream" else {})
        )
        entry: dict[str, Any] = self.gateway.entry(headers["x-request-id"])
        return entry


@pytest.fixture(scope="module")
def acted(gateways: Any, upstreams: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Acted]:
    chains = [models(length) for length in range(1, TARGETS_MAX + 1)]
    prices = {name: (str(100 * place), str(500 * place)) for names in chains for place, name in enumerate(names, 1)}
    with upstreams.FakeUpstream(upstreams.Reply()) as fake:
        config = f'[pause]\nenabled = false\n[providers.acme]\nbase_url = "{fake.url}/v1"\n[fallbacks]\n' + "".join(
            f'"{first}" = {json.dumps(others)}\n' for first, *others in chains if others
        )
        with gateways.Gateway(tmp_path_factory.mktemp("laws"), config, prices=prices) as running:
            yield Acted(running, fake)
            running.assert_clean()


def last(outcomes: Sequence[str], form: str) -> int:
    """The place of the target whose outcome is the request's."""
    ends = STOPS if form == "body" else STOPS | IN_THE_MIDDLE
    return next((place for place, what in enumerate(outcomes) if what in ends), len(outcomes) - 1)


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=TARGETS_MAX),
    st.sampled_from(["body", "stream"]),
    st.sampled_from(["/v1/chat/completions", "/v1/messages"]),
)
@example(["refuses with 500"] * TARGETS_MAX, "stream", "/v1/messages")
@example(["hangs up in the middle", "answers"], "stream", "/v1/chat/completions")
@example(["answers an error", "hangs up at once", "answers"], "stream", "/v1/chat/completions")
def test_a_request_is_charged_once_for_whoever_ended_it_and_holds_nothing(
    acted: Acted, outcomes: list[str], form: str, path: str
) -> None:
    before = acted.balance()
    entry = acted.ask(outcomes, form, path)
    place = last(outcomes, form)
    assert entry["model"] == models(len(outcomes))[place]
    # A kept connection that hangs up at once is taken for a stale one, and the request is sent once more on a new one.
    assert entry["attempts"] == place + 1 <= len(acted.upstream.asked)
    assert len(json.loads(entry["note"] or "[]")) == place
    assert entry["kind"] in ("settle", "release")
    if outcomes[place] == "answers":
        assert entry["charged"] == COST * (place + 1)
    assert (entry["charged"] > 0) == (
        outcomes[place] in ("answers", "answers without usage")
        or (form == "stream" and outcomes[place] in IN_THE_MIDDLE)
    )
    assert entry["held"] >= entry["charged"]
    assert before - acted.balance() == entry["charged"]
    eventually(lambda: not acted.gateway.holds())
