"""What encoders can rely on, whatever a provider's reply looks like."""

import pytest
from msgspec import Raw

from proxyapi.dialects.codec import Encoded, Terms
from proxyapi.dialects.linear import WAITING_CHARACTERS_MAX
from proxyapi.dialects.model import (
    CustomTool,
    Failed,
    Finish,
    FunctionTool,
    Image,
    Inline,
    KeepAlive,
    Message,
    Metered,
    NativeTool,
    PartData,
    PartDelta,
    PartEnd,
    PartStart,
    PartState,
    PartSummary,
    ReasoningState,
    Request,
    ServerToolResult,
    ServerToolUse,
    Start,
    Text,
    Thinking,
    ToolChange,
    ToolUse,
)
from proxyapi.dialects.reshape import Reshape
from proxyapi.dialects.state import STATE_CHARACTERS_MAX
from proxyapi.usage import Unit

START = Start(id="provider-1", model="m")
REQUEST = Request(model="m")
USED = Metered({Unit.INPUT: 3})


def reshaped(*events, request=REQUEST, encoded=Encoded(body=b""), linear=False, finished=True, close=True):  # noqa: B008
    shaper = Reshape(
        Terms(request=request, encoded=encoded, reply_id="R1", origin="here:m", provider="Acme", linear=linear)
    )
    out = [shaped for event in events for shaped in shaper.feed([event])]
    return out + shaper.close(finished=finished) if close else out


def text(index, *deltas, choice=0):
    return [PartStart(index, Text(""), choice), *(PartDelta(index, delta) for delta in deltas), PartEnd(index)]


def call(index, *deltas, id="c1", name="f", choice=0):
    return [
        PartStart(index, ToolUse(id, name, ""), choice),
        *(PartDelta(index, delta) for delta in deltas),
        PartEnd(index),
    ]


def calls_of(events):
    """Id, name, arguments and whether it is incomplete, of each call in the order of its end."""
    parts = {event.index: event.part for event in events if isinstance(event, PartStart)}
    texts = {}
    for event in events:
        if isinstance(event, PartDelta):
            texts[event.index] = texts.get(event.index, "") + event.text
    return [
        (parts[event.index].id, parts[event.index].name, texts.get(event.index, ""), event.incomplete)
        for event in events
        if isinstance(event, PartEnd) and isinstance(parts[event.index], ToolUse)
    ]


def reason(events):
    return [event.reason for event in events if isinstance(event, Finish)]


# --- start, end, failure --------------------------------------------------------------------------------------------


def test_an_orderly_reply_passes_unchanged():
    events = [START, *text(0, "a", "b"), USED, Finish(reason="end", native="stop")]
    assert reshaped(*events) == events
    assert reshaped(*events[:-2], events[-1], events[-2]) == events


def test_a_start_without_an_id_gets_one_and_further_starts_are_dropped():
    out = reshaped(Start(id="", model="m"), START, *text(0, "a"), START, Finish(reason="end"))
    assert [event.id for event in out if isinstance(event, Start)] == ["R1"]
    assert isinstance(out[0], Start)


def test_a_reply_without_a_start_begins_with_one():
    out = reshaped(USED, *text(0, "a"), Finish(reason="end"))
    assert out[:2] == [Start(id="R1", model=""), USED]


def test_the_start_waits_so_that_a_failure_can_come_alone():
    failed = Failed(kind="overloaded", message="busy")
    assert reshaped(START, USED, failed) == [failed]


def test_a_sign_of_life_lets_the_start_go():
    assert reshaped(KeepAlive(), START, KeepAlive(), close=False) == [START, KeepAlive()]


def test_after_a_failure_only_usage_follows():
    failed = Failed(kind="internal", message="x")
    out = reshaped(START, PartStart(0, Text("")), PartDelta(0, "a"), failed, PartDelta(0, "b"), USED, PartEnd(0))
    assert out == [START, PartStart(0, Text("")), PartDelta(0, "a"), failed, USED]


def test_a_reply_that_simply_ends_has_failed():
    *_, last = reshaped(START, PartStart(0, Text("")), PartDelta(0, "a"), finished=False)
    assert (last.kind, last.status, last.message) == ("internal", 502, "Acme broke off its answer.")


def test_a_finish_is_enough_where_the_last_word_is_missing():
    assert reason(reshaped(START, *text(0, "a"), Finish(reason="end"), finished=False)) == ["end"]


def test_the_last_word_is_enough_where_the_finish_is_missing():
    out = reshaped(START, PartStart(0, Text("")), PartDelta(0, "a"), finished=True)
    assert out[-2:] == [PartEnd(0), Finish(reason="end")]


def test_the_last_word_does_not_make_half_a_call_whole():
    out = reshaped(START, PartStart(0, ToolUse("c", "f", "")), PartDelta(0, '{"a":'), finished=True)
    assert isinstance(out[-1], Failed)
    assert not any(isinstance(event, PartEnd) for event in out)


def test_a_reply_of_nothing_has_failed_even_if_it_ended_properly():
    (failed,) = reshaped(finished=True)
    assert failed.message == "Acme answered with nothing."


def test_every_open_part_ends_before_the_finish_and_there_is_one_finish():
    events = [
        START,
        PartStart(0, Text("")),
        PartDelta(0, "a"),
        PartStart(1, Thinking()),
        PartDelta(1, "b"),
        Finish(reason="end"),
        Finish(reason="length"),
    ]
    out = reshaped(*events)
    assert out[-3:] == [PartEnd(0), PartEnd(1), Finish(reason="length")]


def test_a_provider_may_say_stop_and_go_on():
    events = [START, *text(0, "a"), Finish(reason="length"), *text(1, "b"), Finish(reason="end", native="STOP")]
    assert reshaped(*events) == [START, *text(0, "a"), *text(1, "b"), Finish(reason="end", native="STOP")]


# --- parts ----------------------------------------------------------------------------------------------------------


def test_empty_parts_and_empty_deltas_do_not_exist():
    out = reshaped(START, *text(0), PartStart(1, Thinking()), PartEnd(1), *text(2, "", "a", ""), Finish(reason="end"))
    assert out[1:-1] == text(2, "a")


def test_an_empty_part_with_a_reasoning_state_stays():
    state = ReasoningState("google_signature", "c2ln")
    out = reshaped(START, PartStart(0, Text("")), PartState(0, state), PartEnd(0), Finish(reason="end"))
    told = ReasoningState("google_signature", "c2ln", "here:m")
    assert out[1:-1] == [PartStart(0, Text("")), PartState(0, told), PartEnd(0)]


def test_every_reasoning_state_gets_the_origin_of_the_target():
    redacted = Thinking(state=ReasoningState("anthropic_redacted", "x"))
    out = reshaped(START, PartStart(0, redacted), PartEnd(0), Finish(reason="end"))
    assert out[1].part.state.origin == "here:m"


def test_a_state_beyond_the_bound_is_left_out():
    huge = PartState(0, ReasoningState("other", "x" * (STATE_CHARACTERS_MAX + 1)))
    assert not any(isinstance(event, PartState) for event in reshaped(START, *text(0, "a")[:2], huge, close=False))


def test_alternatives_that_nobody_asked_for_are_dropped():
    out = reshaped(START, *text(0, "a"), *text(1, "b", choice=1), Finish(reason="end"), Finish(reason="end", choice=1))
    assert out == [START, *text(0, "a"), Finish(reason="end")]


def test_events_of_parts_that_are_not_open_are_dropped():
    out = reshaped(START, PartDelta(7, "x"), PartEnd(7), *text(0, "a"), PartDelta(0, "late"), Finish(reason="end"))
    assert out == [START, *text(0, "a"), Finish(reason="end")]


# --- calls ----------------------------------------------------------------------------------------------------------


def test_missing_and_repeated_ids_are_made_up_and_stay_the_same():
    out = reshaped(
        START,
        *call(0, "{}", id=""),
        *call(1, "{}", id="same"),
        *call(2, "{}", id="same"),
        Finish(reason="tool_use"),
    )
    assert [id for id, *_ in calls_of(out)] == ["call_R1_0", "same", "call_R1_1"]


def test_a_result_of_a_hosted_tool_without_an_id_answers_the_call_before_it():
    use, result = ServerToolUse("", "code_execution", "run"), ServerToolResult("", "code_execution")
    out = reshaped(START, PartStart(0, use), PartEnd(0), PartStart(1, result), PartEnd(1), Finish(reason="end"))
    assert out[1].part.id == out[3].part.tool_use_id == "call_R1_0"


def test_names_come_back_as_the_client_declared_them():
    encoded = Encoded(body=b"", names={"long_1a2b": "very long name"})
    assert calls_of(reshaped(START, *call(0, "{}", name="long_1a2b"), Finish(reason="end"), encoded=encoded)) == [
        ("c1", "very long name", "{}", False)
    ]


def test_a_namespace_is_split_off_again():
    request = Request(model="m", tools=(FunctionTool(name="find", namespace="mail"),))
    out = reshaped(START, *call(0, "{}", name="mail__find"), Finish(reason="end"), request=request)
    assert (out[1].part.name, out[1].part.namespace) == ("find", "mail")


def test_a_namespace_that_nobody_declared_is_none():
    request = Request(model="m", tools=(FunctionTool(name="find"), FunctionTool(name="read", namespace="mail")))
    found = PartStart(0, ToolUse("c", "find", "", namespace="find"))
    out = reshaped(START, found, PartEnd(0), Finish(reason="tool_use"), request=request)
    assert (out[1].part.name, out[1].part.namespace) == ("find", "")
    read = PartStart(0, ToolUse("c", "read", "", namespace="mail"))
    out = reshaped(START, read, PartEnd(0), Finish(reason="tool_use"), request=request)
    assert (out[1].part.name, out[1].part.namespace) == ("read", "mail")


def test_a_tool_that_the_conversation_added_comes_back_as_it_was_declared():
    change = ToolChange(added=(FunctionTool(name="find", namespace="mail"), CustomTool(name="patch")))
    request = Request(model="m", messages=(Message(role="developer", parts=(change,)),))
    events = (*call(0, "{}", name="mail__find"), *call(1, '{"input":"a"}', id="c2", name="patch"))
    out = reshaped(START, *events, Finish(reason="tool_use"), request=request)
    parts = [event.part for event in out if isinstance(event, PartStart)]
    assert [(part.name, part.namespace, part.kind) for part in parts] == [
        ("find", "mail", "function"),
        ("patch", "", "custom"),
    ]


@pytest.mark.parametrize("pieces", [['{"input":"*** Begin\\n"}'], ['{"inp', 'ut": "*** Begin\\n"}']])
def test_a_free_text_call_is_unwrapped(pieces):
    request = Request(model="m", tools=(CustomTool(name="patch"),))
    out = reshaped(START, *call(0, *pieces, name="patch"), Finish(reason="tool_use"), request=request)
    assert out[1].part.kind == "custom"
    assert calls_of(out) == [("c1", "patch", "*** Begin\n", False)]


def test_a_free_text_call_that_its_provider_knows_is_left_alone():
    request = Request(model="m", tools=(CustomTool(name="patch"),))
    native = PartStart(0, ToolUse("c", "patch", "", "custom"))
    out = reshaped(START, native, PartDelta(0, '{"input":"x"}'), PartEnd(0), Finish(reason="end"), request=request)
    assert out[1:3] == [native, PartDelta(0, '{"input":"x"}')]


def test_a_typed_tool_comes_back_as_its_own_kind():
    shell = NativeTool(kind="local_shell", dialect="openai_responses", wire_type="local_shell", body=Raw(b"{}"))
    request = Request(model="m", tools=(shell,))
    out = reshaped(START, *call(0, '{"command":["ls"]}', name="local_shell"), Finish(reason="end"), request=request)
    assert out[1].part.kind == "local_shell"


def test_a_search_among_the_clients_tools_comes_back_as_its_own_kind_of_call():
    body = Raw(b'{"execution":"client","parameters":{}}')
    search = NativeTool(kind="tool_search", dialect="openai_responses", wire_type="tool_search", body=body)
    request = Request(model="m", tools=(search,))
    out = reshaped(START, *call(0, '{"query":"q"}', name="tool_search"), Finish(reason="end"), request=request)
    assert out[1].part.kind == "tool_search"


@pytest.mark.parametrize("pieces", [[], ["null"], [" null\n"]])
def test_a_call_without_arguments_has_an_empty_object(pieces):
    assert calls_of(reshaped(START, *call(0, *pieces), Finish(reason="tool_use"))) == [("c1", "f", "{}", False)]


@pytest.mark.parametrize("said", ["end", "stop_sequence", "other", "tool_use", "malformed"])
def test_a_call_makes_the_reason_tool_use_whatever_the_provider_says(said):
    assert reason(reshaped(START, *text(0, "a"), *call(1, "{}"), Finish(reason=said))) == ["tool_use"]


def test_tool_use_without_a_call_is_an_end():
    assert reason(reshaped(START, *text(0, "a"), Finish(reason="tool_use"))) == ["end"]


@pytest.mark.parametrize("said", ["length", "context_window", "refusal", "content_filter", "recitation"])
def test_a_call_that_was_cut_is_incomplete_and_the_reason_stays(said):
    out = reshaped(START, *call(0, '{"a":1}'), *call(1, '{"b":', id="c2"), Finish(reason=said))
    assert calls_of(out) == [("c1", "f", '{"a":1}', False), ("c2", "f", '{"b":', True)]
    assert reason(out) == [said]


def test_a_call_whose_arguments_are_whole_was_not_cut():
    assert calls_of(reshaped(START, *call(0, '{"a":1}'), Finish(reason="length"))) == [("c1", "f", '{"a":1}', False)]


def test_a_call_that_text_follows_was_not_cut():
    out = reshaped(START, *call(0, "{oops"), *text(1, "a"), Finish(reason="length"))
    assert calls_of(out) == [("c1", "f", "{oops", False)]


def test_a_call_that_the_provider_calls_incomplete_is_no_call():
    events = [*call(0, '{"a"')[:-1], PartEnd(0, incomplete=True)]
    out = reshaped(START, *events, Finish(reason="end"))
    assert calls_of(out) == [("c1", "f", '{"a"', True)]
    assert reason(out) == ["end"]


def test_the_end_of_a_call_waits_for_one_event_only():
    shaper = Reshape(
        Terms(request=REQUEST, encoded=Encoded(body=b""), reply_id="R", origin="", provider="Acme", linear=True)
    )
    shaper.feed([START, *call(0, "{}")])
    assert shaper.feed([PartStart(1, ToolUse("c2", "g", ""))])[0] == PartEnd(0)


def test_a_reply_that_is_malformed_and_shows_nothing_has_failed():
    *_, failed = reshaped(START, Finish(reason="malformed", native="MALFORMED_FUNCTION_CALL", message="bad call"))
    assert failed.status == 502
    assert "bad call" in failed.message


def test_a_reply_that_is_malformed_at_its_end_stays():
    assert reason(reshaped(START, *text(0, "a"), Finish(reason="malformed"))) == ["malformed"]


# --- structured output by a tool ------------------------------------------------------------------------------------

BY_TOOL = Encoded(body=b"", json_tool="respond")


def test_the_arguments_of_the_forced_tool_are_the_text():
    out = reshaped(START, *call(0, '{"a":', "1}", name="respond"), Finish(reason="tool_use"), encoded=BY_TOOL)
    assert out == [START, *text(0, '{"a":', "1}"), Finish(reason="end")]


def test_words_before_the_forced_tool_are_no_part_of_the_answer():
    events = [START, *text(0, "Sure:"), *call(1, "{}", name="respond"), *text(2, "Done."), Finish(reason="tool_use")]
    assert reshaped(*events, encoded=BY_TOOL) == [START, *text(1, "{}"), Finish(reason="end")]


def test_words_in_place_of_the_forced_tool_are_the_answer():
    out = reshaped(START, *text(0, "I can", "not."), Finish(reason="end"), encoded=BY_TOOL)
    assert out == [START, *text(0, "I can", "not."), Finish(reason="end")]


# --- stop sequences -------------------------------------------------------------------------------------------------


def test_a_stop_sequence_cuts_the_text_and_names_itself():
    encoded = Encoded(body=b"", stop=("END",))
    out = reshaped(START, *text(0, "a E", "ND b"), *call(1, "{}"), USED, Finish(reason="tool_use"), encoded=encoded)
    assert out == [START, *text(0, "a "), USED, Finish(reason="stop_sequence", stop_sequence="END")]


def test_what_was_held_back_for_a_stop_sequence_comes_at_the_end_of_the_part():
    encoded = Encoded(body=b"", stop=("END",))
    out = reshaped(START, *text(0, "a E"), *call(1, "{}"), Finish(reason="end"), encoded=encoded)
    assert out[1:5] == text(0, "a ", "E")
    assert reason(out) == ["tool_use"]


def test_thinking_and_arguments_are_not_cut():
    encoded = Encoded(body=b"", stop=("END",))
    thought = [PartStart(0, Thinking()), PartDelta(0, "END"), PartEnd(0)]
    out = reshaped(START, *thought, *call(1, '{"a":"END"}'), Finish(reason="end"), encoded=encoded)
    assert out[1:4] == thought
    assert calls_of(out)[0][2] == '{"a":"END"}'


# --- one part at a time ---------------------------------------------------------------------------------------------

INTERLEAVED = [
    START,
    PartStart(0, ToolUse("a", "f", "")),
    PartDelta(0, '{"x"'),
    PartStart(1, ToolUse("b", "g", "")),
    PartDelta(1, '{"y"'),
    PartDelta(0, ":1}"),
    PartDelta(1, ":2}"),
    PartEnd(0),
    PartEnd(1),
    Finish(reason="tool_use"),
]


def test_interleaved_calls_are_put_in_order_with_complete_arguments():
    out = reshaped(*INTERLEAVED, linear=True)
    assert out == [
        START,
        PartStart(0, ToolUse("a", "f", "")),
        PartDelta(0, '{"x"'),
        PartDelta(0, ":1}"),
        PartEnd(0),
        PartStart(1, ToolUse("b", "g", "")),
        PartDelta(1, '{"y"'),
        PartDelta(1, ":2}"),
        PartEnd(1),
        Finish(reason="tool_use"),
    ]


def test_where_parts_may_overlap_they_leave_at_once():
    assert [type(e) for e in reshaped(*INTERLEAVED)] == [type(e) for e in INTERLEAVED]


def test_the_first_open_part_flows_and_usage_overtakes_what_waits():
    shaper = Reshape(
        Terms(request=REQUEST, encoded=Encoded(body=b""), reply_id="R", origin="", provider="Acme", linear=True)
    )
    assert shaper.feed([START, PartStart(0, Text("")), PartDelta(0, "a")])[-1] == PartDelta(0, "a")
    assert shaper.feed([PartStart(1, Thinking()), PartSummary(1, 0, "s"), USED]) == [USED]
    assert shaper.feed([PartDelta(0, "b")]) == [PartDelta(0, "b")]
    assert shaper.feed([PartEnd(0)]) == [PartEnd(0), PartStart(1, Thinking()), PartSummary(1, 0, "s")]
    assert shaper.feed([PartSummary(1, 0, "t")]) == [PartSummary(1, 0, "t")]


def test_the_end_of_a_choice_waits_for_its_parts():
    request = Request(model="m", choices=2)
    events = [
        START,
        PartStart(0, Text(""), 0),
        PartDelta(0, "a"),
        PartStart(1, Text(""), 1),
        PartDelta(1, "b"),
        Finish(reason="end", choice=1),
        Finish(reason="end", choice=0),
    ]
    assert reshaped(*events, request=request, linear=True) == [
        START,
        *text(0, "a"),
        *text(1, "b", choice=1),
        Finish(reason="end", choice=1),
        Finish(reason="end"),
    ]


def test_more_than_any_reply_has_does_not_wait():
    image = Image(Inline("", "image/png"))
    events = [START, PartStart(0, Text("")), PartDelta(0, "a"), PartStart(1, image)]
    *_, last = reshaped(*events, PartData(1, "x" * (WAITING_CHARACTERS_MAX + 1)), linear=True, close=False)
    assert isinstance(last, Failed)


LEVELS = Raw(b'{"type":"object","properties":{"level":{"enum":[1,2]}}}')


def test_numbers_of_a_call_that_were_told_as_texts_are_numbers_again():
    encoded = Encoded(body=b"", names={"set_level_1a2b": "set level"}, rewritten={"set_level_1a2b": LEVELS})
    events = reshaped(
        START, *call(0, '{"lev', 'el":"2"}', name="set_level_1a2b"), Finish(reason="end"), encoded=encoded
    )
    assert [event.text for event in events if isinstance(event, PartDelta)] == ['{"level":2}']
    assert [call[1] for call in calls_of(events)] == ["set level"]


def test_numbers_of_an_answer_that_were_told_as_texts_are_numbers_again():
    for stop in ((), ("STOP",)):
        encoded = Encoded(body=b"", rewritten={"": LEVELS}, stop=stop)
        events = reshaped(START, *text(0, '{"level"', ':"1"}'), Finish(reason="end"), encoded=encoded)
        assert [event.text for event in events if isinstance(event, PartDelta)] == ['{"level":1}']


def test_other_calls_of_a_request_with_such_numbers_still_come_in_pieces():
    encoded = Encoded(body=b"", rewritten={"other": LEVELS})
    events = reshaped(START, *call(0, '{"a"', ":1}"), Finish(reason="end"), encoded=encoded)
    assert [event.text for event in events if isinstance(event, PartDelta)] == ['{"a"', ":1}"]


@pytest.mark.parametrize("given", ["", "ws_1"])
def test_the_outcome_that_ends_a_call_of_a_hosted_tool_answers_that_call(given):
    use, found = ServerToolUse(given, "web_search", "s"), ServerToolResult(given, "web_search")
    events = reshaped(START, PartStart(0, use), PartEnd(0, found), Finish(reason="end"))
    (begun,) = [event.part.id for event in events if isinstance(event, PartStart)]
    (outcome,) = [event.result for event in events if isinstance(event, PartEnd)]
    assert outcome.tool_use_id == begun != ""
