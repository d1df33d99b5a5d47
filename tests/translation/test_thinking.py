"""Statements 37-52: what models think, how much, and the proofs that they want back."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from proxyapi_fakes_pairs import WAYS, Pair
from proxyapi_fakes_wires import (
    call_chunk,
    call_item,
    chunk,
    completion,
    conversation,
    function_call,
    generated,
    message,
    output_text,
    response,
    text,
    tool_use,
)

from proxyapi.dialects.codec import Untranslatable
from proxyapi.dialects.state import Sealer

USER = {"role": "user", "content": "Go", "parts": [{"text": "Go"}]}
SIGNATURE = "c2lnbmVkIGJ5IG1l"
TO_CHAT = ("C->R", "C->M", "C->G")
TO_MESSAGES = ("C->M", "R->M", "G->M")
TO_GEMINI = ("C->G", "R->G", "M->G")
ADAPTIVE: Any = {"thinking_form": "adaptive", "efforts": ("low", "medium", "high", "xhigh", "max")}
BUDGET: Any = {"thinking_form": "budget"}
both = pytest.mark.parametrize("sse", [True, False], ids=["stream", "body"])


def thought(words: str = "Hm.", signature: str = SIGNATURE) -> dict[str, Any]:
    """A block of Messages."""
    return {"type": "thinking", "thinking": words, "signature": signature}


def reasoning(words: str = "Hm.", encrypted: str = SIGNATURE, id: str = "rs_1") -> dict[str, Any]:
    """An item of Responses."""
    summary = [{"type": "summary_text", "text": words}] if words else []
    return {"type": "reasoning", "id": id, "summary": summary, "encrypted_content": encrypted}


def again(pair: Pair, reply: Any, *calls: tuple[str, str]) -> Any:
    """What the provider gets when the client sends the reply back, with results for the calls (id, name)."""
    results: list[dict[str, Any]] = []
    match pair.client.name:
        case "openai_chat":
            results = [{"role": "tool", "tool_call_id": identity, "content": "7"} for identity, _ in calls]
        case "openai_responses":
            results = [{"type": "function_call_output", "call_id": identity, "output": "7"} for identity, _ in calls]
        case "anthropic":
            blocks = [{"type": "tool_result", "tool_use_id": identity, "content": "7"} for identity, _ in calls]
            results = [{"role": "user", "content": blocks}] if blocks else []
        case _:
            answers = [{"functionResponse": {"id": c, "name": name, "response": {"a": 7}}} for c, name in calls]
            results = [{"role": "user", "parts": answers}] if answers else []
    turns = [USER, *reply.turn, *(results or [USER])]
    return pair.sent(conversation(pair.client.name, turns))


def calls_of(reply: Any) -> list[tuple[str, str]]:
    return [(call.id, call.name) for call in reply.said.calls]


# --- proofs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", TO_MESSAGES)
@both
def test_signed_thinking_reaches_the_client_and_comes_back_unchanged(way: str, sse: bool) -> None:
    """Statement 37. M thinking + `signature`: in a documented field to C clients, and sent back unchanged."""
    pair = Pair(way, **ADAPTIVE)
    reply = pair.reply(message(thought(), tool_use(), stop="tool_use"), sse=sse)
    if way.startswith("C"):
        (told,) = reply.turn
        assert told["reasoning_content"] == "Hm."
        assert [detail["text"] for detail in told["reasoning_details"]] == ["Hm."]
    wire = again(pair, reply, *calls_of(reply))
    assert wire["messages"][1]["content"][0] == thought()


@pytest.mark.parametrize("way", TO_MESSAGES)
@both
def test_redacted_thinking_is_kept_and_nothing_of_it_is_shown(way: str, sse: bool) -> None:
    """Statement 38. `redacted_thinking` never crashes."""
    redacted = {"type": "redacted_thinking", "data": SIGNATURE}
    pair = Pair(way, **ADAPTIVE)
    reply = pair.reply(message(redacted, text("Hi")), sse=sse)
    assert (reply.said.text, reply.said.thoughts) == ("Hi", "")
    wire = again(pair, reply)
    assert wire["messages"][1]["content"] == [redacted, text("Hi")]


@pytest.mark.parametrize("way", TO_MESSAGES)
def test_thinking_stands_before_the_call_in_a_replayed_turn(way: str) -> None:
    """Statement 39. M rejects a tool_use before its thinking."""
    pair = Pair(way, **ADAPTIVE)
    reply = pair.reply(message(thought(), text("I look."), tool_use(), stop="tool_use"), sse=False)
    wire = again(pair, reply, *calls_of(reply))
    assert [block["type"] for block in wire["messages"][1]["content"]] == ["thinking", "text", "tool_use"]


@pytest.mark.parametrize("way", TO_MESSAGES)
def test_thinking_that_another_model_signed_is_not_sent(way: str) -> None:
    """Statement 40. Signed by another provider or model: stripped, not forwarded ("Invalid signature")."""
    maker, other = Pair(way, **ADAPTIVE), Pair(way, origin="other_family", **ADAPTIVE)
    reply = maker.reply(message(thought(), text("Hi")), sse=False)
    wire = again(other, reply)
    assert wire["messages"][1] == {"role": "assistant", "content": "Hi"}
    forged = Pair(way, **ADAPTIVE)
    forged.sealer = Sealer(b"another key")
    assert SIGNATURE not in json.dumps(again(forged, reply))


SIGNED = {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": SIGNATURE}


@pytest.mark.parametrize("way", TO_GEMINI)
@both
def test_a_signature_of_a_call_survives_the_client(way: str, sse: bool) -> None:
    """Statement 41. G `thoughtSignature` on functionCall, stream and body, C, M and R.

    Of clients of Chat that send back standard fields only: `tests/contract/test_memory.py`.
    """
    pair = Pair(way, signature_required=True)
    reply = pair.reply(generated(SIGNED), sse=sse)
    wire = again(pair, reply, *calls_of(reply))
    (call,) = wire["contents"][1]["parts"]
    assert (call["functionCall"]["name"], call["thoughtSignature"]) == ("f", SIGNATURE)


@pytest.mark.parametrize("way", TO_GEMINI)
@pytest.mark.parametrize("trailing", [True, False])
@both
def test_a_signature_of_a_text_is_kept_also_if_it_comes_in_an_empty_part_behind_it(
    way: str, trailing: bool, sse: bool
) -> None:
    """Statement 42. On a text part, or in a trailing empty part."""
    parts = [{"text": "Hi", "thoughtSignature": SIGNATURE}]
    if trailing:
        parts = [{"text": "Hi"}, {"text": "", "thoughtSignature": SIGNATURE}]
    pair = Pair(way)
    wire = again(pair, pair.reply(generated(*parts), sse=sse))
    assert wire["contents"][1]["parts"] == [{"text": "Hi", "thoughtSignature": SIGNATURE}]


@pytest.mark.parametrize("way", TO_GEMINI)
@both
@pytest.mark.parametrize("signed", [True, False])
def test_of_parallel_calls_the_first_one_alone_has_a_signature(way: str, sse: bool, signed: bool) -> None:
    """Statement 43. The rest are sent without one; a lost one is stood for by Google's own word."""
    pair = Pair(way, signature_required=True)
    first = SIGNED if signed else {"functionCall": {"name": "f", "args": {}}}
    reply = pair.reply(generated(first, {"functionCall": {"name": "g", "args": {}}}), sse=sse)
    wire = again(pair, reply, *calls_of(reply))
    signatures = [part.get("thoughtSignature") for part in wire["contents"][1]["parts"]]
    assert signatures == [SIGNATURE if signed else "skip_thought_signature_validator", None]


# --- thoughts and answers -----------------------------------------------------------------------------------------

THINKING: dict[str, Any] = {
    "C": completion({"reasoning_content": "Hm.", "content": "Hi"}),
    "R": response(reasoning(), output_text("Hi")),
    "M": message(thought(), text("Hi")),
    "G": generated({"text": "Hm.", "thought": True}, {"text": "Hi"}),
}


@pytest.mark.parametrize("way", WAYS)
@both
def test_thoughts_are_no_content_and_answers_are_no_thoughts(way: str, sse: bool) -> None:
    """Statement 44. Nothing leaks into `content`, nothing ends in `reasoning_content`."""
    reply = Pair(way).reply(THINKING[way[-1]], sse=sse, size=3)
    assert (reply.said.text, reply.said.thoughts) == ("Hi", "Hm.")
    if way.startswith("C"):
        (told,) = reply.turn
        assert (told["content"], told["reasoning_content"]) == ("Hi", "Hm.")


@both
@pytest.mark.parametrize(
    "item",
    [
        reasoning("Hm.", encrypted=""),
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]},
        reasoning("Hm.") | {"content": [{"type": "reasoning_text", "text": "Hm."}]},
    ],
    ids=["summary", "raw", "both"],
)
def test_reasoning_of_responses_is_told_once_to_a_client_of_chat(item: Any, sse: bool) -> None:
    """Statement 45. Raw `reasoning_text` and summary: once as `reasoning_content`, stream and body."""
    (told,) = Pair("C->R").reply(response(item, output_text("Hi")), sse=sse).turn
    assert (told["reasoning_content"], told["content"]) == ("Hm.", "Hi")


@both
def test_a_preamble_and_the_final_answer_are_one_choice(sse: bool) -> None:
    """Statement 46. Several R `message` items give one C choice."""
    items = [output_text("I look.", "msg_1"), reasoning(), output_text("It rains.", "msg_2")]
    reply = Pair("C->R").reply(response(*items), sse=sse)
    assert set(reply.said.reasons) == {0}
    (told,) = reply.turn
    assert told["content"] == "I look.\n\nIt rains."


@pytest.mark.parametrize("way", ["C->R", "M->R", "G->R"])
@both
def test_encrypted_reasoning_goes_to_the_deployment_that_made_it_only(way: str, sse: bool) -> None:
    """Statement 47. `encrypted_content`: otherwise stripped; a refused one is left out and retried once.

    The second half: `tests/contract/translation/test_reasoning.py`.
    """
    said = response(reasoning(), call_item("f", "{}", "call_1"))
    maker, other = Pair(way), Pair(way, origin="other_family")
    reply = maker.reply(said, sse=sse)
    items = again(maker, reply, *calls_of(reply))["input"]
    (kept,) = [item for item in items if item["type"] == "reasoning"]
    assert kept["encrypted_content"] == SIGNATURE
    assert items[items.index(kept) + 1]["type"] == "function_call"
    assert SIGNATURE not in json.dumps(again(other, reply, *calls_of(reply)))


# --- how much -----------------------------------------------------------------------------------------------------

SCALE: Any = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
LEVELS: dict[str, tuple[Any, Any, Any, Any]] = {
    # M by budget of at most 50,000, M adaptive, G by level, G by budget
    "none": ({"type": "disabled"}, ({"type": "disabled"}, None), {}, {"thinkingBudget": 0}),
    "minimal": (1_024, ({"type": "adaptive"}, "low"), {"thinkingLevel": "MINIMAL"}, {"thinkingBudget": 512}),
    "low": (1_024, ({"type": "adaptive"}, "low"), {"thinkingLevel": "LOW"}, {"thinkingBudget": 1_024}),
    "medium": (8_192, ({"type": "adaptive"}, "medium"), {"thinkingLevel": "MEDIUM"}, {"thinkingBudget": 8_192}),
    "high": (24_576, ({"type": "adaptive"}, "high"), {"thinkingLevel": "HIGH"}, {"thinkingBudget": 24_576}),
    "xhigh": (32_768, ({"type": "adaptive"}, "xhigh"), {"thinkingLevel": "HIGH"}, {"thinkingBudget": 24_576}),
    "max": (49_999, ({"type": "adaptive"}, "max"), {"thinkingLevel": "HIGH"}, {"thinkingBudget": 24_576}),
}


@pytest.mark.parametrize("client", ["C", "R"])
@pytest.mark.parametrize("level", SCALE)
def test_an_effort_is_said_in_the_words_of_every_model(client: str, level: str) -> None:
    """Statement 48. reasoning_effort <-> budget_tokens or adaptive effort <-> thinkingLevel or thinkingBudget."""
    ceiling = {"C": "max_completion_tokens", "R": "max_output_tokens"}[client]
    asked: Any = {"reasoning_effort": level} if client == "C" else {"reasoning": {"effort": level}}
    asked |= {ceiling: 50_000}
    budget, adaptive, by_level, by_budget = LEVELS[level]
    wire = Pair(f"{client}->M", **BUDGET).sent(asked)
    assert wire["thinking"] == (budget if isinstance(budget, dict) else {"type": "enabled", "budget_tokens": budget})
    wire = Pair(f"{client}->M", **ADAPTIVE).sent(asked)
    assert (wire["thinking"], wire.get("output_config", {}).get("effort")) == adaptive
    gemini: Any = {"thinking_form": "level", "efforts": ("minimal", "low", "medium", "high")}
    config = Pair(f"{client}->G", **gemini).sent(asked)["generationConfig"].get("thinkingConfig", {})
    config.pop("includeThoughts", None)
    assert config == (by_level or config)
    gemini = {"thinking_form": "gemini_budget", "thinking_budget_min": 0, "thinking_budget_max": 24_576}
    config = Pair(f"{client}->G", **gemini).sent(asked)["generationConfig"]["thinkingConfig"]
    config.pop("includeThoughts", None)
    assert config == by_budget


@pytest.mark.parametrize(
    ("way", "asked", "level"),
    [
        ("M->C", {"thinking": {"type": "enabled", "budget_tokens": 1_024}}, "low"),
        ("M->C", {"thinking": {"type": "enabled", "budget_tokens": 8_000}}, "medium"),
        ("M->C", {"thinking": {"type": "disabled"}}, "none"),
        ("M->C", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}, "high"),
        ("G->C", {"generationConfig": {"thinkingConfig": {"thinkingLevel": "low"}}}, "low"),
        ("G->C", {"generationConfig": {"thinkingConfig": {"thinkingBudget": 20_000}}}, "high"),
        ("G->C", {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}, "none"),
        ("G->C", {"generationConfig": {"thinkingConfig": {"thinkingBudget": -1}}}, None),
    ],
)
def test_budgets_and_levels_of_others_are_efforts_of_openai(way: str, asked: Any, level: str | None) -> None:
    assert Pair(way, efforts=SCALE).sent(asked).get("reasoning_effort") == level
    wire = Pair(way.replace("C", "R"), efforts=SCALE).sent(asked)
    assert wire.get("reasoning", {}).get("effort") == level


def test_a_model_of_messages_that_thinks_gets_legal_settings_or_the_client_a_clear_error() -> None:
    """Statement 49. Temperature forced legal; budget_tokens < max_tokens and >= 1024, else not a provider's 400."""
    pair = Pair("C->M", **BUDGET)
    wire = pair.sent({"reasoning_effort": "high", "temperature": 0.2, "top_p": 0.5, "max_tokens": 5_000})
    assert wire["thinking"] == {"type": "enabled", "budget_tokens": 4_999}
    assert "temperature" not in wire and wire["top_p"] == 0.95
    encoded = pair.encoded({"reasoning_effort": "high", "max_tokens": 1_000})
    assert "thinking" not in json.loads(encoded.body) and "reasoning.effort" in encoded.dropped
    for budget, ceiling in ((500, 5_000), (6_000, 5_000)):
        with pytest.raises(Untranslatable, match="budget") as refused:
            pair.encoded({"reasoning": {"max_tokens": budget}, "max_tokens": ceiling})
        assert refused.value.field == "reasoning.budget_tokens"


@pytest.mark.parametrize("way", ["M->C", "R->C", "G->C"])
@both
def test_thoughts_of_turns_with_calls_go_back_to_providers_that_want_them(way: str, sse: bool) -> None:
    """Statement 50. DeepSeek, Kimi: `reasoning_content` is returned on tool turns."""
    pair = Pair(way, echo_reasoning=True)
    said = completion({"reasoning_content": "Hm.", "tool_calls": [function_call()]}, "tool_calls")
    reply = pair.reply(said, sse=sse)
    wire = again(pair, reply, *calls_of(reply))
    assert wire["messages"][1]["reasoning_content"] == "Hm."
    reply = pair.reply(completion({"reasoning_content": "Hm.", "content": "Hi"}), sse=sse)
    assert "reasoning_content" not in again(pair, reply)["messages"][1]


@pytest.mark.parametrize("way", ["M->C", "R->C", "G->C"])
@pytest.mark.parametrize("size", [1, 5, 1 << 20])
def test_think_tags_are_read_wherever_they_are_cut(way: str, size: int) -> None:
    """Statement 51. `<think>` split across chunks."""
    words = "<think>\nHm. 1 < 2</think>\n\nHi </b>"
    cut = [chunk({"content": words[at : at + 3]}) for at in range(0, len(words), 3)]
    reply = Pair(way, reasoning_field="think_tags").reply([*cut, chunk({}, "stop")], size=size)
    assert (reply.said.thoughts, reply.said.text) == ("Hm. 1 < 2", "Hi </b>")


@pytest.mark.parametrize("way", ["M->C", "M->R", "M->G"])
def test_a_signature_comes_before_the_end_of_its_block(way: str) -> None:
    """Statement 52. M stream with thinking: `signature_delta`, once, before `content_block_stop`."""
    said: dict[str, Any] = {
        "M->C": [
            chunk({"reasoning_content": "Hm."}),
            chunk({"reasoning_details": [{"type": "reasoning.encrypted", "data": SIGNATURE, "format": "x"}]}),
            call_chunk(0, "{}", id="call_1", name="f"),
            chunk({}, "tool_calls"),
        ],
        "M->R": response(reasoning(), call_item()),
        "M->G": generated({"text": "Hm.", "thought": True}, SIGNED),
    }
    events = Pair(way).reply(said[way], sse=True).events
    block = [event for event in events if event.get("index") == 0]
    kinds = [event["delta"]["type"] if "delta" in event else event["type"] for event in block]
    assert kinds[0] == "content_block_start" and kinds[-2:] == ["signature_delta", "content_block_stop"]
    assert kinds.count("signature_delta") == 1
    assert re.fullmatch(r"[A-Za-z0-9._/-]+", block[-2]["delta"]["signature"])
