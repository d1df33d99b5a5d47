"""Looking for requests in the log."""

from __future__ import annotations

from typing import Any

import pytest

from proxyapi.ids import format_id
from proxyapi.logbook import reading
from proxyapi.logbook.reading import id_range


@pytest.fixture
def filled(shelf: Any) -> Any:
    """Ten requests, a second apart, of two keys, models and outcomes."""
    for number in range(10):
        shelf.now_ms += 1_000
        even = number % 2 == 0
        shelf.keep(
            key_id=1 + even,
            model="openai/gpt-4o" if even else "anthropic/claude_3%",
            status=200 if number < 7 else 402,
            error="" if number < 7 else "insufficient_balance",
        )
    return shelf


def test_pages_follow_each_other_newest_first_and_end(filled: Any) -> None:
    seen: list[bytes] = []
    before = None
    for length in (4, 4, 2):
        page = filled.search(limit=4, before=before)
        assert len(page.lines) == length
        seen += [line.id for line in page.lines]
        before = page.older
    assert before is None
    assert len(set(seen)) == 10
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({"key_id": 2}, 5),
        ({"model": "GPT"}, 5),
        ({"model": "claude_3%"}, 5),
        ({"model": "e%3"}, 0),
        ({"status_min": 400}, 3),
        ({"status_min": 402, "status_max": 402, "key_id": 2}, 1),
        ({"status_max": 399, "model": "claude"}, 3),
    ],
)
def test_filters_find_what_they_say(filled: Any, wanted: dict[str, Any], count: int) -> None:
    assert len(filled.search(**wanted).lines) == count


def test_times_bound_the_search_to_the_millisecond(filled: Any) -> None:
    newest, *_, oldest = filled.search().lines
    inside = filled.search(since_ms=oldest.at_ms + 1, until_ms=newest.at_ms - 1).lines
    assert len(inside) == 8
    assert len(filled.search(since_ms=oldest.at_ms, until_ms=newest.at_ms).lines) == 10


def test_a_page_looks_through_a_bounded_number_and_the_next_goes_on(filled: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(reading, "LOOKED_AT_MAX", 4)
    found: list[bytes] = []
    page = filled.search(key_id=1)
    lengths = [len(page.lines)]
    while page.older is not None:
        found += [line.id for line in page.lines]
        page = filled.search(key_id=1, before=page.older)
        lengths.append(len(page.lines))
    found += [line.id for line in page.lines]
    assert lengths == [2, 2, 1]
    assert len(set(found)) == 5


def test_the_beginning_of_an_id_is_enough(shelf: Any) -> None:
    id = shelf.keep()
    for text in (format_id(id), id.hex(), format_id(id)[:8], format_id(id)[:13], f" {format_id(id).upper()} "):
        found = id_range(text)
        assert found is not None
        assert found[0] <= id <= found[1]
        assert [line.id for line in shelf.search(ids=found).lines] == [id]
    assert shelf.search(ids=id_range("00000000")).lines == ()
    assert id_range("gpt-4o") is None
    assert id_range("1234567") is None
