"""Thoughts between tags in the content, wherever the network cut it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyapi.dialects.openai_chat.think_tags import ThinkTags


def told(*pieces):
    tags = ThinkTags()
    found = [one for piece in pieces for one in tags.feed(piece)] + list(tags.close())
    return tuple("".join(text for kind, text in found if kind == wanted) for wanted in ("thinking", "text"))


@pytest.mark.parametrize(
    ("content", "thought", "text"),
    [
        ("<think>Hm.</think>Yes.", "Hm.", "Yes."),
        ("<think>\nHm.\n\nWell.\n</think>\n\nYes.\n", "Hm.\n\nWell.", "Yes.\n"),
        ("\n <think>Hm.</think> Yes.", "Hm.", "Yes."),
        ("<think></think>Yes.", "", "Yes."),
        ("<think>a < b </ think></think>Yes.", "a < b </ think>", "Yes."),
        ("<think>Hm.", "Hm.", ""),
        ("<think>Hm.</thin", "Hm.</thin", ""),
        ("Yes.", "", "Yes."),
        (" Yes.", "", " Yes."),
        ("<thin", "", "<thin"),
        ("<thing>Yes.", "", "<thing>Yes."),
        ("Say <think>no</think>!", "", "Say <think>no</think>!"),
        ("<think>Hm.</think>Say <think>no</think>!", "Hm.", "Say <think>no</think>!"),
        ("", "", ""),
    ],
)
def test_tags_part_thoughts_from_text_at_the_beginning_only(content, thought, text):
    assert told(content) == (thought, text)
    assert told(*content) == (thought, text)


@given(st.lists(st.sampled_from(["<think>", "</think>", "<", "\n", " ", "a", "</"]), max_size=8), st.data())
def test_wherever_the_content_is_cut_the_result_is_the_same(words, data):
    content = "".join(words)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=4)))
    pieces = [content[start:end] for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    assert told(*pieces) == told(content)


def test_text_is_not_held_back():
    tags = ThinkTags()
    assert list(tags.feed("<think>Hm")) == [("thinking", "Hm")]
    assert list(tags.feed(". </th")) == [("thinking", ". ")]
    assert list(tags.feed("ink>Yes")) == [("text", "Yes")]
    assert list(tags.feed(".")) == [("text", ".")]
