"""Stop sequences cut by the gateway: the same result wherever the text is cut into pieces."""

import pytest

from proxyapi.dialects.stops import StopCutter

CASES = [
    (("END",), "one ENDtwo", "one ", "END"),
    (("END",), "one EN two", "one EN two", ""),
    (("END",), "EEND", "E", "END"),
    (("END", "\n\n"), "a\n\nEND", "a", "\n\n"),
    (("abcd", "c"), "abcd", "ab", "c"),
    (("ab", "abc"), "xabc", "x", "ab"),
    (("xyzzy", "zq"), "xyzq", "xy", "zq"),
    (("aab",), "aaaab", "aa", "aab"),
    (("стоп",), "и стоп!", "и ", "стоп"),
    (("STOP",), "no end STO", "no end STO", ""),
]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize(("stops", "text", "shown", "matched"), CASES)
def test_the_text_ends_before_the_sequence_that_is_complete_first(stops, text, shown, matched, size):
    cutter = StopCutter(stops)
    out = "".join(cutter.feed(text[at : at + size]) for at in range(0, len(text), size)) + cutter.close()
    assert (out, cutter.matched) == (shown, matched)


def test_only_what_may_begin_a_sequence_is_held_back():
    cutter = StopCutter(("STOP",))
    assert cutter.feed("Hello S") == "Hello "
    assert cutter.feed("ome") == "Some"
    assert cutter.feed("STO") == ""
    assert cutter.feed("RY") == "STORY"


def test_nothing_follows_a_match():
    cutter = StopCutter(("X",))
    assert cutter.feed("aXb") + cutter.feed("c") + cutter.close() == "a"
