"""Whatever a decoder makes of a provider's reply, encoders get it in order, complete and once."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxyapi.dialects.codec import Encoded, Terms
from proxyapi.dialects.model import (
    Event,
    Failed,
    Finish,
    KeepAlive,
    Metered,
    PartDelta,
    PartEnd,
    PartStart,
    Request,
    ServerToolUse,
    Start,
    Text,
    Thinking,
    ToolUse,
)
from proxyapi.dialects.reshape import Reshape

CHOICES = 2
INDEXES = st.integers(0, 4)
PARTS: Any = st.one_of(
    st.just(Text("")),
    st.just(Thinking()),
    st.builds(ToolUse, st.sampled_from(["", "a", "b"]), st.sampled_from(["f", "g"]), st.just("")),
    st.builds(ServerToolUse, st.sampled_from(["", "a"]), st.just("web_search"), st.just("web_search")),
)
REASONS: Any = st.sampled_from(["end", "tool_use", "length", "stop_sequence", "malformed"])
EVENTS: Any = st.one_of(
    st.builds(lambda id: Start(id=id, model="m"), st.sampled_from(["", "r"])),
    st.builds(PartDelta, INDEXES, st.text("ab{}", max_size=3)),
    st.builds(PartDelta, INDEXES, st.text("ab{}", max_size=3)),
    st.builds(PartEnd, INDEXES),
    st.builds(lambda reason, choice: Finish(reason=reason, choice=choice), REASONS, st.integers(0, CHOICES)),
    st.just(KeepAlive()),
    st.just(Metered({})),
)


@st.composite
def replies(draw: Any) -> list[Event]:
    """Events in any order; only an index is never opened twice, as decoders count."""
    events: list[Event] = draw(st.lists(EVENTS, max_size=20))
    for index in range(draw(st.integers(0, 4))):
        start = PartStart(index, draw(PARTS), draw(st.integers(0, CHOICES)))
        events.insert(draw(st.integers(0, len(events))), start)
    if draw(st.booleans()):
        events.append(Failed(kind="overloaded", message="busy"))
    return events


def reshaped(events: list[Event], cut: int, *, linear: bool, finished: bool) -> list[Event]:
    request = Request(model="m", choices=CHOICES)
    shaper = Reshape(
        Terms(request=request, encoded=Encoded(body=b""), reply_id="R", origin="o", provider="Acme", linear=linear)
    )
    return [*shaper.feed(events[:cut]), *shaper.feed(events[cut:]), *shaper.close(finished=finished)]


@given(events=replies(), cut=st.integers(0, 25), linear=st.booleans(), finished=st.booleans())
def test_encoders_can_rely_on_the_order(events: list[Event], cut: int, linear: bool, finished: bool) -> None:
    out = reshaped(events, cut, linear=linear, finished=finished)
    failed = any(isinstance(event, Failed) for event in out)
    if any(not isinstance(event, Failed) for event in out):
        assert isinstance(out[0], Start) and out[0].id
    assert sum(isinstance(event, Start) for event in out) <= 1
    assert sum(isinstance(event, Failed) for event in out) <= 1
    choice_of: dict[int, int] = {}
    open_parts: set[int] = set()
    finishes: set[int] = set()
    for event in out:
        match event:
            case PartStart(index, _, choice):
                assert index not in choice_of and choice not in finishes and choice < CHOICES
                assert not (linear and open_parts)
                choice_of[index] = choice
                open_parts.add(index)
            case PartDelta(index, text):
                assert text and index in open_parts
            case PartEnd(index):
                open_parts.remove(index)
            case Finish(choice=choice):
                assert choice not in finishes
                assert not any(choice_of[index] == choice for index in open_parts)
                finishes.add(choice)
            case Failed():
                assert all(isinstance(later, Metered) for later in out[out.index(event) + 1 :])
            case _:
                pass
    assert failed or (not open_parts and finishes >= set(choice_of.values()) and finishes)


@given(events=replies(), cut=st.integers(0, 25), finished=st.booleans())
def test_every_text_arrives_once_and_in_order(events: list[Event], cut: int, finished: bool) -> None:
    told: dict[int, str] = {}
    opened: dict[int, int] = {}
    for event in reshaped(events, cut, linear=False, finished=finished):
        if isinstance(event, PartStart):
            opened[event.index] = len(opened)
            told[event.index] = ""
        elif isinstance(event, PartDelta):
            told[event.index] += event.text
    for index, text in told.items():
        assert text in (_said(events, index), "{}")


@given(events=replies(), cut=st.integers(0, 25), finished=st.booleans())
def test_putting_parts_in_order_changes_nothing_else(events: list[Event], cut: int, finished: bool) -> None:
    free = reshaped(events, cut, linear=False, finished=finished)
    line = reshaped(events, cut, linear=True, finished=finished)
    if not any(isinstance(event, Failed) for event in free):
        assert sorted(map(repr, free)) == sorted(map(repr, line))


@given(events=replies(), cut=st.integers(0, 25), linear=st.booleans())
def test_where_the_events_are_cut_makes_no_difference(events: list[Event], cut: int, linear: bool) -> None:
    whole = reshaped(events, len(events), linear=linear, finished=True)
    assert reshaped(events, cut, linear=linear, finished=True) == whole


@given(events=replies())
def test_ids_of_calls_are_their_own(events: list[Event]) -> None:
    out = reshaped(events, len(events), linear=False, finished=True)
    ids = [
        event.part.id
        for event in out
        if isinstance(event, PartStart) and isinstance(event.part, ToolUse | ServerToolUse)
    ]
    assert all(ids) and len(ids) == len(set(ids))


def _said(events: list[Event], index: int) -> str:
    """All text for a part between its start and its end."""
    text, is_open = "", False
    for event in events:
        match event:
            case PartStart(at) if at == index:
                is_open = True
            case PartDelta(at, more) if at == index and is_open:
                text += more
            case PartEnd(at) if at == index:
                is_open = False
            case _:
                pass
    return text
