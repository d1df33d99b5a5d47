"""What of a translation needs no provider: names of fields, what is told of losses, and states that are refused."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from proxyapi.dialects import faults
from proxyapi.dialects.codec import Encoded
from proxyapi.dialects.model import (
    Message,
    ReasoningState,
    Request,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from proxyapi.errors import InvalidRequest
from proxyapi.gateway.translate import (
    FIELDS_TOLD_MAX,
    given_id,
    is_about_states,
    refuse_loss,
    spelled,
    told,
    without_states,
)

SIGNED = ReasoningState("anthropic_signature", "c2ln", "anthropic-claude")


class Client:
    """As much of a codec as names fields."""

    fields: Mapping[str, str] = {
        "choices": "n",
        "sampling.top_k": "top_k",
        "reasoning": "thinking",
        "reasoning.effort": "output_config.effort",
    }


CLIENT: Any = Client()


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("choices", "n"),
        ("sampling.top_k", "top_k"),
        ("reasoning.effort", "output_config.effort"),
        ("reasoning.budget_tokens", "thinking.budget_tokens"),
        ("messages.audio", "messages.audio"),
        ("seed", "seed"),
    ],
)
def test_a_field_is_named_as_the_client_spells_it(field: str, words: str) -> None:
    assert spelled(CLIENT, field) == words


def test_a_translation_without_loss_is_exact() -> None:
    assert told(CLIENT, Encoded(body=b"")) == b"x-proxyapi-translation: exact\r\n"


def test_what_is_lost_is_told_once_in_the_clients_words() -> None:
    encoded = Encoded(body=b"", dropped=("sampling.top_k", "seed", "seed"), approximated=("choices",))
    assert told(CLIENT, encoded).split(b"\r\n") == [
        b"x-proxyapi-translation: lossy",
        b"x-proxyapi-dropped: top_k, seed",
        b"x-proxyapi-approximated: n",
        b"",
    ]


def test_names_that_clients_invent_cannot_break_a_header() -> None:
    names = ("extra.a\r\nset-cookie: b", *(f"extra.f{number}" for number in range(100)))
    lines = told(CLIENT, Encoded(body=b"", dropped=names)).split(b"\r\n")
    assert len(lines) == 3
    assert lines[1].startswith(b"x-proxyapi-dropped: extra.aset-cookieb, extra.f0")
    assert lines[1].count(b",") == FIELDS_TOLD_MAX - 1


def test_a_strict_client_has_losses_refused_and_named() -> None:
    refuse_loss(CLIENT, Encoded(body=b""))
    with pytest.raises(InvalidRequest) as caught:
        refuse_loss(CLIENT, Encoded(body=b"", dropped=("sampling.top_k",), approximated=("messages.system",)))
    assert "drop top_k and say messages.system in another way" in caught.value.detail
    assert caught.value.param == "top_k"


# --- reasoning states that a provider refuses -------------------------------------------------------------------------

REFUSED = [
    (b'{"type":"error","error":{"type":"invalid_request_error","message":"messages.1: Invalid `signature` in '
     b'`thinking` block"}}'),
    b'{"error":{"message":"The encrypted content gAAA could not be verified.","code":"invalid_encrypted_content"}}',
    b'{"error":{"message":"Item \'rs_1\' of type \'reasoning\' was provided without its required following item."}}',
    b'{"error":{"code":400,"message":"Thought signature is not valid.","status":"INVALID_ARGUMENT"}}',
    b'{"error":{"code":400,"message":"Function call is missing a thought_signature","status":"INVALID_ARGUMENT"}}',
]  # fmt: skip


@pytest.mark.parametrize("body", REFUSED)
def test_a_refusal_of_states_is_recognised(body: bytes) -> None:
    assert is_about_states(faults.read_error(body, 400))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b'{"error":{"message":"temperature: range: 0..1","type":"invalid_request_error"}}'),
        (429, b'{"error":{"message":"signature rate limit","type":"rate_limit_error"}}'),
        (401, b'{"error":{"message":"bad signature"}}'),
    ],
)
def test_other_refusals_are_not(status: int, body: bytes) -> None:
    assert not is_about_states(faults.read_error(body, status))


def test_a_conversation_without_states_keeps_everything_else() -> None:
    user = Message(role="user", parts=(Text("Hi"),))
    turn = Message(
        role="assistant",
        parts=(
            Thinking("hm", state=SIGNED),
            Thinking(id="rs_1"),
            Thinking("open"),
            ToolUse("c", "f", "{}", state=SIGNED),
        ),
    )
    result = Message(role="user", parts=(ToolResult("c", (Text("7"),)),))
    stripped = without_states(Request(model="m", messages=(user, turn, result)))
    assert stripped is not None
    assert stripped.messages == (
        user,
        Message(role="assistant", parts=(Thinking("open"), ToolUse("c", "f", "{}"))),
        result,
    )


def test_a_turn_of_states_alone_is_no_turn_without_them() -> None:
    turn = Message(role="assistant", parts=(Thinking(state=SIGNED),))
    stripped = without_states(Request(model="m", messages=(turn, Message(role="user", parts=(Text("Hi"),)))))
    assert stripped is not None and len(stripped.messages) == 1


def test_a_conversation_that_has_no_states_is_not_sent_again() -> None:
    turn = Message(role="assistant", parts=(Thinking("open"), Text("Hi")))
    assert without_states(Request(model="m", messages=(turn,))) is None


def test_replies_whose_ids_mean_something_to_the_client_get_ids_of_the_gateways_own() -> None:
    """Claude Code takes replies of one id for one reply, and some providers give all the same."""
    visit: Any = SimpleNamespace(id=bytes(range(16)))
    hexadecimal = "000102030405060708090a0b0c0d0e0f"
    assert given_id(visit, "anthropic") == f"msg_{hexadecimal}"
    assert given_id(visit, "openai_responses") == f"resp_{hexadecimal}"
    assert given_id(visit, "openai_chat") == given_id(visit, "gemini") == ""
