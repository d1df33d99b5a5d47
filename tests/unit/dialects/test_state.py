"""Sealed reasoning states: what comes back is byte for byte what went out, or nothing."""

import re

import pytest

from proxyapi.dialects.model import ReasoningState
from proxyapi.dialects.state import SEALED_CHARACTERS_MAX, Sealer

SEALER = Sealer(b"k" * 32)
STATES = [
    ReasoningState("anthropic_signature", "EqQBCkYIBhgCIkD+/abc=", "anthropic:claude-sonnet-4"),
    ReasoningState("anthropic_redacted", "Ev+/AA==", "anthropic:claude"),
    ReasoningState("openai_encrypted", "gAAAAABo-_x9==", "openai:gpt-5", "rs_0123abc"),
    ReasoningState("google_signature", "CpwBAQw51sd", "google:gemini-3"),
    ReasoningState("other", "", ""),
    ReasoningState("other", "no base64: ключ.=x", "поставщик", "id.with.dots"),
    ReasoningState("other", "a==b", "o"),
]


@pytest.mark.parametrize("state", STATES)
def test_a_state_comes_back_byte_for_byte(state):
    assert SEALER.unseal(SEALER.seal(state)) == state


@pytest.mark.parametrize("state", STATES)
def test_a_sealed_state_is_text_that_every_carrier_takes(state):
    assert re.fullmatch(r"gw1\.[A-Za-z0-9._-]+", SEALER.seal(state))


def test_base64_does_not_grow_but_by_the_envelope():
    data = "ab+/" * 10_000 + "YQ=="
    assert len(SEALER.seal(ReasoningState("openai_encrypted", data, "openai:gpt-5"))) < len(data) + 100


@pytest.mark.parametrize("at", [5, 30, 60, -1])
def test_one_changed_character_makes_it_no_state(at):
    sealed = SEALER.seal(STATES[0])
    other = "A" if sealed[at] != "A" else "B"
    changed = sealed[:at] + other + sealed[at + 1 :] if at >= 0 else sealed[:-1] + other
    assert SEALER.unseal(changed) is None


@pytest.mark.parametrize(
    "text", ["", "gw1", "gw1.", "gw1.....", "gw1.a.b.c.d.e", "EqQBCkYIBhgCIkD", "gw1." + "ж" * 10, "gw1" + "." * 100]
)
def test_what_is_not_ours_is_no_state(text):
    assert SEALER.unseal(text) is None


def test_another_key_opens_nothing():
    assert Sealer(b"other").unseal(SEALER.seal(STATES[0])) is None


def test_a_text_beyond_the_bound_is_not_looked_at():
    state = ReasoningState("other", "A" * SEALED_CHARACTERS_MAX)
    assert SEALER.unseal(SEALER.seal(state)) is None
