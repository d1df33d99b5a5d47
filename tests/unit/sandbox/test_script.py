"""What the model says, and the magic names."""

import pytest

from proxyapi.sandbox.script import pieces, write
from proxyapi.sandbox.turn import Magic, Result, Tool, Turn, magic_of


def count(text: str) -> int:
    """A token is a word."""
    return len(text.split())


def turn(asked: str = "What is a sandbox?", **fields: object) -> Turn:
    return Turn(**{"model": "gpt-4o", "asked": asked, "prompt_tokens": 10, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "magic"),
    [
        ("echo", Magic("echo")),
        ("sandbox/echo", Magic("echo")),
        ("models/tool", Magic("tool")),
        ("vendor/nousage:free", Magic("nousage")),
        ("fail-429", Magic("fail", 429)),
        ("sandbox/slow-1500", Magic("slow", 1500)),
        ("cut-0", Magic("cut", 0)),
        ("error-3", Magic("error", 3)),
        ("gpt-4o", Magic("")),
        ("echo-1", Magic("")),
        ("fail-", Magic("")),
        ("fail-1234567", Magic("")),
    ],
)
def test_magic_names_are_known_with_and_without_a_vendor(name: str, magic: Magic) -> None:
    assert magic_of(name) == magic


def test_the_answer_mentions_the_question_in_its_own_language() -> None:
    assert "«Как дела?»" in write(turn("Как дела?"), count).text
    assert "“How are you?”" in write(turn("How are you?"), count).text


def test_the_same_turn_has_the_same_answer_and_another_choice_another_text() -> None:
    assert write(turn(), count) == write(turn(), count)
    assert write(turn(), count, choice=1).text != write(turn(), count).text


def test_the_ceiling_of_output_tokens_is_never_passed() -> None:
    for ceiling in range(1, 30):
        script = write(turn(output_tokens_max=ceiling, thinks=True), count)
        assert script.output_tokens <= ceiling
        assert count(script.text) + count(script.thoughts) <= ceiling
        assert script.end == ("length" if script.output_tokens == ceiling else "end")


def test_the_first_stop_sequence_ends_the_text_before_it() -> None:
    script = write(turn("one two three", magic=Magic("echo"), stop=("three", "two")), count)
    assert (script.text, script.end, script.stop) == ("one ", "stop", "two")


def test_echo_answers_verbatim() -> None:
    text = "  две\nстроки \t и 🙂 "
    assert write(turn(text, magic=Magic("echo")), count).text == text


def test_the_pieces_of_a_text_are_the_text() -> None:
    for text in ("", " ", "one", " one  two\n\nthree ", "word " * 3_000):
        assert "".join(pieces(text)) == text
        assert "".join(pieces(text, json=True)) == text
        assert len(pieces(text)) <= 256
    assert pieces("one two") == ["one", " two"]


WEATHER = Tool("weather", {"type": "object", "properties": {"city": {"type": "string"}}})
CLOCK = Tool("clock", {})


def test_tool_calls_the_first_tool_and_then_names_its_result() -> None:
    magic = Magic("tool")
    calls = write(turn(tools=(WEATHER, CLOCK), magic=magic), count).calls
    assert [(call.tool.name, call.arguments) for call in calls] == [("weather", {"city": "Moscow"})]
    after = write(turn(tools=(WEATHER,), magic=magic, results=(Result("weather", "sunny"),)), count)
    assert after.calls == ()
    assert after.text == "The tool weather answered: “sunny”."


def test_several_tools_are_called_when_that_is_asked_for() -> None:
    magic = Magic("tool")
    called = write(turn(tools=(WEATHER, CLOCK), magic=magic, parallel=True), count).calls
    assert [call.tool.name for call in called] == ["weather", "clock"]
    called = write(turn("both in parallel", tools=(WEATHER,), magic=magic), count).calls
    assert [call.tool.name for call in called] == ["weather", "weather"]


def test_another_model_calls_a_tool_only_when_it_must() -> None:
    assert write(turn(tools=(WEATHER, CLOCK)), count).calls == ()
    assert write(turn(tools=(WEATHER, CLOCK), choice="required"), count).calls[0].tool.name == "weather"
    assert write(turn(tools=(WEATHER, CLOCK), choice="clock"), count).calls[0].tool.name == "clock"
    assert write(turn(tools=(WEATHER,), choice="none", magic=Magic("tool")), count).calls == ()


def test_an_inline_citation_covers_the_link_that_it_is_about() -> None:
    script = write(turn(search="inline"), count)
    (citation,) = script.citations
    assert script.text[citation.start : citation.end] == "([example.com](https://example.com/sandbox))"
    assert write(turn(search="inline", output_tokens_max=3), count).citations == ()
