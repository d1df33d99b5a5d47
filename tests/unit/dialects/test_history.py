"""Calls and results of a conversation: paired, moved, made up, or refused."""

import pytest

from proxyapi.dialects.codec import Untranslatable
from proxyapi.dialects.history import answered
from proxyapi.dialects.model import Message, Text, ToolResult, ToolUse


def user(*parts, **fields):
    return Message(role="user", parts=parts, **fields)


def assistant(*parts):
    return Message(role="assistant", parts=parts)


def call(identity, name="f"):
    return ToolUse(id=identity, name=name, arguments="{}")


def result(identity, text="done"):
    return ToolResult(tool_use_id=identity, parts=(Text(text=text),), name="f")


HELLO, BYE = Text(text="Hello"), Text(text="Bye")
NOTHING = ToolResult(tool_use_id="a", parts=(Text(text="No result."),), name="f")


def test_a_conversation_that_is_in_order_stays_as_it_is():
    messages = (user(HELLO), assistant(call("a"), call("b")), user(result("b"), result("a"), BYE), assistant(BYE))
    assert answered(messages) == messages


def test_a_call_that_the_user_spoke_after_gets_a_result():
    assert answered([assistant(call("a")), user(HELLO)]) == (assistant(call("a")), user(NOTHING, HELLO))


def test_one_of_two_calls_without_a_result_gets_one_behind_the_other():
    messages = [assistant(call("a"), call("b")), user(result("b"), HELLO)]
    assert answered(messages)[1] == user(result("b"), NOTHING, HELLO)


def test_results_can_be_told_in_the_order_of_their_calls():
    messages = [assistant(call("a"), call("b"), call("c")), user(result("c"), result("a"), HELLO)]
    unanswered = ToolResult(tool_use_id="b", parts=NOTHING.parts, name="f")
    assert answered(messages, as_called=True)[1] == user(result("a"), unanswered, result("c"), HELLO)


def test_calls_at_the_end_stay_open():
    messages = (user(HELLO), assistant(call("a")))
    assert answered(messages) == messages


def test_a_late_result_moves_to_its_call():
    messages = [assistant(call("a")), user(HELLO), assistant(BYE), user(result("a"), BYE)]
    assert answered(messages) == (assistant(call("a")), user(result("a"), HELLO), assistant(BYE), user(BYE))


def test_a_message_of_results_alone_that_moved_is_gone():
    messages = [assistant(call("a")), user(HELLO), assistant(BYE), user(result("a"))]
    assert answered(messages) == (assistant(call("a")), user(result("a"), HELLO), assistant(BYE))


@pytest.mark.parametrize("between", [Message(role="system", parts=(HELLO,)), user(HELLO, name="ann")])
def test_a_message_that_cannot_hold_results_comes_after_them(between):
    messages = [assistant(call("a")), between, user(result("a"))]
    assert answered(messages) == (assistant(call("a")), user(result("a")), between)


def test_ids_that_are_used_again_in_a_later_turn_are_told_apart():
    messages = (assistant(call("a")), user(result("a", "one")), assistant(call("a")), user(result("a", "two")))
    assert answered(messages) == messages


def test_a_result_of_no_call_is_refused_by_its_id():
    with pytest.raises(Untranslatable, match=r"messages\.tool_result: there is no call with the id 'x'"):
        answered([user(HELLO), assistant(call("a")), user(result("a"), result("x"))])


def test_a_result_before_its_call_is_refused():
    with pytest.raises(Untranslatable, match="'a' before its result"):
        answered([user(result("a")), assistant(call("a"))])


def test_a_second_result_of_a_call_is_refused_by_its_id():
    with pytest.raises(Untranslatable, match="the call with the id 'a' has two results"):
        answered([assistant(call("a")), user(result("a"), result("a"))])


def test_an_empty_turn_of_the_assistant_is_kept_and_an_empty_message_of_the_user_is_not():
    assert answered([user(HELLO), assistant(), user()]) == (user(HELLO), assistant())
