"""How much a provider's model is told to think, and what goes with it."""

import pytest

from proxyapi.dialects.codec import Untranslatable
from proxyapi.dialects.model import (
    FunctionTool,
    Message,
    Reasoning,
    ReasoningState,
    Request,
    Sampling,
    Text,
    Thinking,
    ToolChoice,
    ToolResult,
    ToolUse,
)

ASKED = (Message(role="user", parts=(Text("Hi"),)),)
DISABLED = {"thinking": {"type": "disabled"}}
ADAPTIVE = {"type": "adaptive"}


def request(reasoning=None, **fields):
    fields = {"output_tokens_max": 30_000, "messages": ASKED} | fields
    return Request(model="m", reasoning=reasoning, **fields)


def thinking_of(wire):
    return {name: wire[name] for name in ("thinking", "output_config") if name in wire}


def enabled(budget):
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


@pytest.mark.parametrize(
    ("reasoning", "expected"),
    [
        (Reasoning(effort="none"), DISABLED),
        (Reasoning(adaptive=False), DISABLED),
        (Reasoning(budget_tokens=0), DISABLED),
        (Reasoning(between_tools=True), DISABLED),
        (Reasoning(effort="minimal"), enabled(1_024)),
        (Reasoning(effort="low"), enabled(1_024)),
        (Reasoning(effort="medium"), enabled(8_192)),
        (Reasoning(effort="high"), enabled(24_576)),
        (Reasoning(effort="xhigh"), enabled(29_999)),
        (Reasoning(effort="max"), enabled(29_999)),
        (Reasoning(budget_tokens=2_000), enabled(2_000)),
        (Reasoning(budget_tokens=-1), {}),
        (Reasoning(adaptive=True), enabled(8_192)),
        (None, {}),
    ],
)
def test_effort_becomes_a_budget_where_the_model_takes_budgets(sent, reasoning, expected):
    assert thinking_of(sent(request(reasoning), thinking_form="budget")) == expected


@pytest.mark.parametrize("budget", [512, 1_023])
def test_a_budget_below_the_least_one_is_refused_by_name(sent, budget):
    with pytest.raises(Untranslatable, match=r"reasoning\.budget_tokens.*1024"):
        sent(request(Reasoning(budget_tokens=budget)), thinking_form="budget")


@pytest.mark.parametrize("ceiling", [2_000, 1_500])
def test_a_budget_has_to_be_below_the_ceiling(sent, ceiling):
    with pytest.raises(Untranslatable, match=r"reasoning\.budget_tokens"):
        sent(request(Reasoning(budget_tokens=2_000), output_tokens_max=ceiling), thinking_form="budget")


def test_an_effort_is_dropped_where_the_ceiling_leaves_no_room_for_thinking(encoded, sent):
    small = request(Reasoning(effort="high"), output_tokens_max=1_024)
    assert encoded(small, thinking_form="budget").dropped == ("reasoning.effort",)
    assert "thinking" not in sent(small, thinking_form="budget")


@pytest.mark.parametrize(
    ("reasoning", "expected"),
    [
        (Reasoning(effort="none"), DISABLED),
        (Reasoning(effort="low"), {"thinking": ADAPTIVE, "output_config": {"effort": "low"}}),
        (Reasoning(effort="minimal"), {"thinking": ADAPTIVE, "output_config": {"effort": "low"}}),
        (Reasoning(effort="max"), {"thinking": ADAPTIVE, "output_config": {"effort": "max"}}),
        (Reasoning(adaptive=True), {"thinking": ADAPTIVE}),
        (Reasoning(budget_tokens=-1), {"thinking": ADAPTIVE}),
        (Reasoning(budget_tokens=8_000), {"thinking": ADAPTIVE, "output_config": {"effort": "medium"}}),
        (Reasoning(budget_tokens=30_000), {"thinking": ADAPTIVE, "output_config": {"effort": "xhigh"}}),
        (Reasoning(effort="high", adaptive=False), DISABLED | {"output_config": {"effort": "high"}}),
        (Reasoning(show="auto"), {}),
    ],
)
def test_budgets_become_effort_where_the_model_adapts(sent, reasoning, expected):
    assert thinking_of(sent(request(reasoning))) == expected


def test_an_effort_that_the_model_lacks_is_the_next_lower_one_and_named(encoded, sent):
    wanted = request(Reasoning(effort="xhigh"))
    assert encoded(wanted, efforts=("low", "high", "max")).approximated == ("reasoning.effort",)
    assert sent(wanted, efforts=("low", "high", "max"))["output_config"] == {"effort": "high"}


def test_a_budget_stays_one_where_the_model_still_takes_it(sent):
    assert thinking_of(sent(request(Reasoning(budget_tokens=4_000)), budget_too=True)) == enabled(4_000)


def test_thinking_is_off_only_up_to_the_effort_that_the_model_allows(sent):
    off = request(Reasoning(effort="max", adaptive=False))
    assert thinking_of(sent(off, off_effort_max="high")) == DISABLED | {"output_config": {"effort": "high"}}


def test_a_model_that_always_thinks_thinks_as_little_as_it_can(encoded, sent):
    off = request(Reasoning(effort="none"))
    flags = {"thinking_form": "adaptive_always", "thinking_can_be_off": False}
    assert thinking_of(sent(off, **flags)) == {"output_config": {"effort": "low"}}
    assert encoded(off, **flags).approximated == ("reasoning",)


@pytest.mark.parametrize("reasoning", [Reasoning(effort="none"), Reasoning(between_tools=True)])
def test_a_model_that_thinks_between_tools_does_so_at_the_least(sent, reasoning):
    found = thinking_of(sent(request(reasoning), thinking_form="between_tools"))
    assert found == {"thinking": {"type": "between_tools"}}


def test_a_model_that_cannot_be_told_to_think_is_not_told(encoded, sent):
    assert encoded(request(Reasoning(effort="high")), thinking_form="none").dropped == ("reasoning",)
    assert encoded(request(Reasoning(effort="none")), thinking_form="none").dropped == ()
    assert thinking_of(sent(request(Reasoning(effort="high")), thinking_form="none")) == {}


@pytest.mark.parametrize(
    ("show", "display"), [("none", "omitted"), ("auto", "summarized"), ("concise", "summarized"), (None, None)]
)
def test_thinking_is_shown_as_the_client_wants(sent, show, display):
    wire = sent(request(Reasoning(effort="low", show=show)))
    assert wire["thinking"].get("display") == display


def test_a_model_that_hides_its_thinking_shows_it_to_those_who_asked_for_thinking(sent):
    assert sent(request(Reasoning(effort="low")), thinking_hidden=True)["thinking"]["display"] == "summarized"
    assert "thinking" not in sent(request(), thinking_hidden=True)


def test_modes_of_openai_are_refused(sent):
    with pytest.raises(Untranslatable, match=r"reasoning\.mode"):
        sent(request(Reasoning(effort="high", mode="pro")))


# --- sampling -----------------------------------------------------------------------------------------------------


def knobs_of(wire):
    return {name: wire[name] for name in ("temperature", "top_p", "top_k") if name in wire}


def test_zeros_are_sent(sent):
    wire = sent(request(sampling=Sampling(temperature=0.0, top_p=0.0)))
    assert knobs_of(wire) == {"temperature": 0, "top_p": 0}


@pytest.mark.parametrize(("asked", "expected"), [(1.0, 1.0), (2.0, 1.0), (0.7, 0.7)])
def test_temperature_is_clamped_to_the_dialects_scale(encoded, sent, asked, expected):
    wanted = request(sampling=Sampling(temperature=asked))
    assert sent(wanted)["temperature"] == expected
    assert encoded(wanted).approximated == (("sampling.temperature",) if asked > 1 else ())


def test_temperature_wins_where_the_model_refuses_it_together_with_top_p(encoded, sent):
    wanted = request(sampling=Sampling(temperature=0.5, top_p=0.9))
    assert knobs_of(sent(wanted, no_temperature_with_top_p=True)) == {"temperature": 0.5}
    assert encoded(wanted, no_temperature_with_top_p=True).dropped == ("sampling.top_p",)
    assert knobs_of(sent(request(sampling=Sampling(top_p=0.9)), no_temperature_with_top_p=True)) == {"top_p": 0.9}


def test_a_model_without_knobs_gets_none(encoded, sent):
    wanted = request(sampling=Sampling(temperature=0.5, top_p=0.9, top_k=3))
    assert knobs_of(sent(wanted, no_sampling=True)) == {}
    assert encoded(wanted, no_sampling=True).dropped == ("sampling.temperature", "sampling.top_p", "sampling.top_k")


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(temperature=0.5, top_k=3), {}),
        (Sampling(temperature=1.0), {"temperature": 1}),
        (Sampling(top_p=0.5), {"top_p": 0.95}),
        (Sampling(top_p=0.97), {"top_p": 0.97}),
    ],
)
@pytest.mark.parametrize("form", ["budget", "adaptive"])
def test_with_thinking_on_knobs_are_made_legal(sent, sampling, expected, form):
    assert knobs_of(sent(request(Reasoning(effort="low"), sampling=sampling), thinking_form=form)) == expected


def test_knobs_that_the_dialect_lacks_are_named(encoded):
    asked = Sampling(frequency_penalty=1.0, presence_penalty=1.0, seed=0, logit_bias={"5": 1.0})
    assert set(encoded(request(sampling=asked)).dropped) == {
        "sampling.frequency_penalty",
        "sampling.presence_penalty",
        "sampling.seed",
        "sampling.logit_bias",
    }


# --- thinking in the history ----------------------------------------------------------------------------------------

OURS = ReasoningState("anthropic_signature", "sig", "anthropic_claude")
FOREIGN = ReasoningState("google_signature", "sig", "google_gemini")


def loop(*thoughts):
    """A turn in which a call was just answered."""
    call = ToolUse("t", "f", "{}")
    return (
        *ASKED,
        Message(role="assistant", parts=(*thoughts, call)),
        Message(role="user", parts=(ToolResult("t", (Text("42"),)),)),
    )


def types_of(message):
    content = message["content"]
    return ["text"] if isinstance(content, str) else [block["type"] for block in content]


def test_thinking_that_the_model_signed_goes_back_unchanged_before_its_call(sent):
    wire = sent(request(messages=loop(Thinking("hm", state=OURS))))
    assert wire["messages"][1]["content"][0] == {"type": "thinking", "thinking": "hm", "signature": "sig"}
    assert types_of(wire["messages"][1]) == ["thinking", "tool_use"]


def test_redacted_thinking_goes_back_unchanged(sent):
    state = ReasoningState("anthropic_redacted", "data", "anthropic_claude")
    wire = sent(request(messages=loop(Thinking(state=state))))
    assert wire["messages"][1]["content"][0] == {"type": "redacted_thinking", "data": "data"}


@pytest.mark.parametrize(
    "thought",
    [
        Thinking("hm"),
        Thinking("hm", state=FOREIGN),
        Thinking("hm", state=ReasoningState("anthropic_signature", "sig", "elsewhere")),
    ],
)
def test_thinking_that_another_model_signed_or_nobody_is_not_forwarded(sent, thought):
    assert types_of(sent(request(messages=loop(thought)))["messages"][1]) == ["tool_use"]


def test_signed_thinking_is_left_out_when_thinking_is_off(sent):
    wire = sent(request(Reasoning(effort="none"), messages=loop(Thinking("hm", state=OURS))))
    assert types_of(wire["messages"][1]) == ["tool_use"]


def test_a_model_with_a_budget_cannot_think_in_a_turn_whose_thinking_it_cannot_read(encoded, sent):
    foreign = request(Reasoning(effort="high"), messages=loop(Thinking("hm", state=FOREIGN)))
    assert "thinking" not in sent(foreign, thinking_form="budget")
    assert encoded(foreign, thinking_form="budget").approximated == ("reasoning",)
    own = request(Reasoning(effort="high"), messages=loop(Thinking("hm", state=OURS)))
    assert sent(own, thinking_form="budget")["thinking"]["type"] == "enabled"
    assert sent(foreign)["thinking"]["type"] == "adaptive"


def test_a_model_with_a_budget_cannot_think_in_an_answer_that_was_begun_for_it(sent):
    begun = (*ASKED, Message(role="assistant", parts=(Text("{"),), incomplete=True))
    assert "thinking" not in sent(request(Reasoning(effort="high"), messages=begun), thinking_form="budget")


def test_an_assistant_turn_of_nothing_but_foreign_thinking_disappears(sent):
    messages = (*ASKED, Message(role="assistant", parts=(Thinking("hm"),)), Message(role="user", parts=(Text("go"),)))
    assert [message["role"] for message in sent(request(messages=messages))["messages"]] == ["user"]


def test_a_forced_call_and_a_budget_exclude_each_other(sent):

    tools = (FunctionTool(name="f"),)
    forced = ToolChoice(mode="required")
    with pytest.raises(Untranslatable, match="tool_choice"):
        sent(request(Reasoning(effort="low"), tools=tools, tool_choice=forced), thinking_form="budget")
    wire = sent(request(Reasoning(effort="low"), tools=tools, tool_choice=forced))
    assert wire["tool_choice"] == {"type": "any"}
