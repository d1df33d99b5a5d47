"""Messages as turns of user and assistant."""

from __future__ import annotations

from proxyapi.dialects.model import Compaction, Image, Link, Message, Part, Role, Text, ToolResult
from proxyapi.dialects.turns import OPENING, merged, named, opened, reminded, summarised


def said(role: Role, *parts: Part | str, name: str = "") -> Message:
    return Message(role=role, parts=tuple(Text(part) if isinstance(part, str) else part for part in parts), name=name)


def test_neighbours_of_one_role_merge_with_results_first() -> None:
    result = ToolResult("c", (Text("42"),))
    messages = [said("user", "a"), said("assistant", "b"), said("user", "c"), said("user", result), said("user")]
    assert merged(messages) == (said("user", "a"), said("assistant", "b"), said("user", result, "c"))


def test_a_conversation_of_instructions_only_gets_a_users_turn() -> None:
    assert opened(()) == (said("user", OPENING),)
    assert opened((said("assistant", "Hi"),)) == (said("assistant", "Hi"),)
    assert opened((said("user", "Hi"),)) == (said("user", "Hi"),)


def test_instructions_in_the_middle_are_marked_words_of_the_user() -> None:
    picture = Image(Link("https://a.example/x"))
    message = reminded(said("developer", "Be brief.", picture))
    assert message == said("user", "<system-reminder>\nBe brief.\n</system-reminder>", picture)


def test_names_are_told_only_where_a_role_has_several() -> None:
    one = [said("user", "a", name="Ann"), said("user", "b"), said("assistant", "c", name="Bot")]
    assert named(one) == tuple(one)
    two = [said("user", "a", "x", name="Ann"), said("user", "b", name="Bob"), said("assistant", "c", name="Bot")]
    assert named(two) == (said("user", "Ann: a", "x"), said("user", "Bob: b"), two[2])


def test_a_summary_is_told_by_the_user_unless_the_target_takes_it_as_it_is() -> None:
    messages = [said("user", "a"), said("assistant", Compaction("It was long."), "b")]
    assert summarised(messages, kept=lambda part: True) == tuple(messages)
    assert summarised(messages, kept=lambda part: False) == (
        said("user", "a"),
        said("user", "Summary so far: It was long."),
        said("assistant", "b"),
    )
