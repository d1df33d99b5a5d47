"""Laws of replies: what a client is told is what the events said, as a body and as a stream, wherever it was cut."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest
from google import genai
from google.genai import errors
from hypothesis import given
from hypothesis import strategies as st

from proxyapi.dialects.codec import Asked, TargetModel
from proxyapi.dialects.gemini.array import ArrayEncoder
from proxyapi.dialects.gemini.codec import GeminiCodec
from proxyapi.dialects.model import (
    Audio,
    DocumentCitation,
    Event,
    Failed,
    Finish,
    Image,
    Inline,
    KeepAlive,
    Metered,
    PartCitation,
    PartData,
    PartDelta,
    PartEnd,
    PartStart,
    PartState,
    ReasoningState,
    Request,
    SearchResult,
    ServerToolResult,
    ServerToolUse,
    Start,
    Text,
    Thinking,
    ToolUse,
    UrlCitation,
)
from proxyapi.usage import Unit

FORMS = ("body", "sse", "array")
TARGET = TargetModel(model="gemini-3-flash")

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10)
states = st.none() | st.integers(0, 10**6).map(lambda n: ReasoningState("google_signature", f"sig{n}", "o"))
counts = st.integers(0, 10_000)
usages = st.dictionaries(
    st.sampled_from([unit for unit in Unit if unit not in (Unit.REPORTED_COST, Unit.OTHER_MODELS)]),
    st.integers(1, 10_000),
    max_size=6,
)


def asked(seal: Any = lambda state: state.data) -> Asked:
    return Asked(request=Request(model="m", choices=3), model="shown", reply_id="r", created_at=1, seal=seal)


def written(events: list[Event], form: str) -> bytes:
    encoder: Any = GeminiCodec().encoder(stream=form != "body", asked=asked())
    encoder = ArrayEncoder(encoder) if form == "array" else encoder
    return b"".join([*(encoder.feed([event]) for event in events), encoder.close()])


def read(data: bytes, form: str, sizes: list[int]) -> list[Event]:
    decoder = GeminiCodec().decoder(stream=form != "body", target=TARGET)
    found: list[Event] = []
    at = turn = 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        found += decoder.feed(data[at : at + size])
        at, turn = at + size, turn + 1
    found += decoder.close()
    assert decoder.finished
    return found


# --- replies ------------------------------------------------------------------------------------------------------


@st.composite
def text_parts(draw: st.DrawFn) -> list[Any]:
    deltas = draw(st.lists(texts, min_size=1, max_size=3))
    kind = draw(st.sampled_from([Text(""), Thinking()]))
    state = draw(states)
    return [kind, *deltas, *([state] if state else [])]


calls = st.builds(
    lambda n, name, state: [
        ToolUse(f"c{n}", name, ""), '{"a": ', '"ж\\n"}', *([state] if state else []),
    ],
    st.integers(0, 10**9),
    st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
    states,
)  # fmt: skip
pictures = st.just([Image(Inline("", "image/png")), ("iVBORw0KGgoA",)])
sounds = st.just([Audio(Inline("", "audio/wav")), ("UklGRgAA", "V0FWRWZt")])


def _ran(n: int, words: str, failed: bool) -> list[list[Any]]:
    word = "OUTCOME_FAILED" if failed else ""
    return [
        [ServerToolUse(f"s{n}", "code_execution", "code_execution"), '{"language":"PYTHON","code":"1"}'],
        [ServerToolResult(f"s{n}", "code_execution", (Text(words),), is_error=failed, error_code=word)],
    ]


code = st.builds(_ran, st.integers(0, 10**9), texts, st.booleans())


@st.composite
def choices(draw: st.DrawFn, number: int, first: int) -> list[Event]:
    """Events of one alternative; its parts are counted from `first`."""
    kinds = draw(st.lists(st.one_of(text_parts(), calls, pictures, sounds, code), max_size=5))
    flat = [part for kind in kinds for part in (kind if isinstance(kind[0], list) else [kind])]
    events: list[Event] = []
    before = None
    for offset, (part, *pieces) in enumerate(flat):
        index = first + offset
        if type(part) is before and isinstance(part, Text | Thinking | Audio):
            # Neighbours of one kind are one part.
            part = ToolUse(f"between{index}", "f", "")
            pieces = ["{}"]
        before = type(part)
        events.append(PartStart(index, part, number))
        for piece in pieces:
            match piece:
                case str():
                    events.append(PartDelta(index, piece))
                case tuple():
                    events += [PartData(index, data) for data in piece]
                case _:
                    events.append(PartState(index, piece))
        events.append(PartEnd(index))
    reason = draw(st.sampled_from(["end", "length", "content_filter", "recitation", "pause"]))
    return [*events, Finish(reason=reason, choice=number, message=draw(st.just("") | texts))]


@st.composite
def replies(draw: st.DrawFn) -> list[Event]:
    start = Start(id="r1", model="m", created_at=draw(st.none() | st.integers(10**9, 2 * 10**9)))
    body: list[Event] = []
    for number in range(draw(st.integers(1, 2))):
        body += draw(choices(number, 100 * number))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(body)))
        body.insert(at, draw(st.sampled_from([KeepAlive(), Metered({Unit.INPUT: 3})])))
    return [start, *body, Metered(draw(usages))]


class Told:
    """A part as far as it was told."""

    def __init__(self, start: PartStart) -> None:
        self.part = start.part
        self.choice = start.choice
        self.text = ""
        self.data = ""
        self.state: str | None = None

    def said(self, *, sealed: bool) -> Any:
        """Without what only this dialect adds, and with its state as it was before it was sealed."""
        state = b64decode(self.state).decode() if sealed and self.state else self.state
        match self.part:
            case ServerToolResult() as result:
                return (result.tool_use_id, result.kind, result.parts, result.is_error, result.error_code)
            case ToolUse(id=identity, name=name) | ServerToolUse(id=identity, name=name):
                return (type(self.part), identity, name, self.text.replace(" ", ""), state)
            case Image(source=source) | Audio(source=source):
                return (type(self.part), source, self.data, state)
            case _:
                return (type(self.part), self.text, state) if self.text or state else None


def meaning(events: list[Event], *, sealed: bool) -> Any:
    """What a reply says: its parts by alternative, how each ended, what was used."""
    parts: dict[int, Told] = {}
    used: dict[Unit, int] = {}
    ends, start = {}, None
    for event in events:
        match event:
            case Start():
                start = (event.id, event.created_at)
            case Metered():
                used = {unit: quantity for unit, quantity in event.usage.items() if quantity}
            case Finish():
                ends[event.choice] = (event.reason, event.message)
            case PartStart():
                parts[event.index] = Told(event)
            case PartDelta():
                parts[event.index].text += event.text
            case PartData():
                parts[event.index].data += event.data
            case PartState():
                parts[event.index].state = event.state.data
            case _:
                pass
    said: dict[int, list[Any]] = {}
    for part in parts.values():
        if (told := part.said(sealed=sealed)) is not None:
            said.setdefault(part.choice, []).append(told)
    return start, used, ends, said


@given(replies(), st.sampled_from(FORMS), st.lists(st.integers(1, 40), min_size=1, max_size=4))
def test_what_a_client_reads_is_what_the_events_said(events: list[Event], form: str, sizes: list[int]) -> None:
    back = read(written(events, form), form, sizes)
    assert meaning(back, sealed=True) == meaning(events, sealed=False)


@given(replies())
def test_a_stream_and_a_body_say_the_same(events: list[Event]) -> None:
    told = [meaning(read(written(events, form), form, [1 << 20]), sealed=True) for form in FORMS]
    assert told[0] == told[1] == told[2]


@given(replies())
def test_every_frame_is_one_line_of_a_whole_object(events: list[Event]) -> None:
    for frame in written(events, "sse").split(b"\n\n")[:-1]:
        assert frame.startswith(b"data: {") and frame.endswith(b"}")
        assert b"\n" not in frame and b"\r" not in frame


spans = st.lists(st.tuples(st.integers(0, 11), st.integers(1, 12)).filter(lambda span: span[0] < span[1]), max_size=4)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=12, max_size=12), spans, st.sampled_from(FORMS), texts
)
def test_spans_of_citations_survive_the_way_over_bytes(
    answer: str, spans: list[tuple[int, int]], form: str, before: str
) -> None:
    cited = [UrlCitation(f"https://{n}", "T", start, end, answer[start:end]) for n, (start, end) in enumerate(spans)]
    cited += [DocumentCitation("file", 5, quote="Q", title="T", file_id="f")]
    pages = tuple(SearchResult(citation.url, "T", ()) for citation in cited if isinstance(citation, UrlCitation))
    events: list[Event] = [
        Start(id="r", model="m"),
        PartStart(0, Thinking()), PartDelta(0, before), PartEnd(0),
        PartStart(1, Text("")), PartDelta(1, answer[:5]), PartDelta(1, answer[5:]),
        *(PartCitation(1, citation) for citation in cited), PartEnd(1),
        PartStart(2, ServerToolUse("s", "web_search", "google_search")), PartDelta(2, '{"queries":["q"]}'),
        PartEnd(2, ServerToolResult("s", "web_search", pages)),
        Finish(reason="end"),
    ]  # fmt: skip
    back = read(written(events, form), form, [7])
    found = [event.citation for event in back if isinstance(event, PartCitation)]
    assert sorted(map(repr, found)) == sorted(map(repr, cited))


# --- the official SDK ---------------------------------------------------------------------------------------------

EVENTS: list[Event] = [
    Start(id="r", model="m"),
    PartStart(0, Thinking()), PartDelta(0, "hm"), PartEnd(0),
    PartStart(1, Text("")), PartDelta(1, "При"), KeepAlive(), PartDelta(1, "вет"), PartEnd(1),
    PartStart(2, ToolUse("c1", "f", "")), PartDelta(2, '{"a":1}'), PartEnd(2),
    Finish(reason="tool_use"),
    Metered({Unit.INPUT: 3, Unit.OUTPUT: 4}),
]  # fmt: skip


def test_the_sdk_reads_a_stream_and_its_chats_remember_the_turn(sdk: Any) -> None:
    client: genai.Client = sdk(written(EVENTS, "sse"))
    chat = client.chats.create(model="m")
    chunks = list(chat.send_message_stream("Hi"))
    assert "".join(chunk.text or "" for chunk in chunks) == "Привет"
    assert chunks[-1].usage_metadata.total_token_count == 7
    answered = [part for content in chat.get_history(curated=True)[1:] for part in content.parts]
    assert [part.function_call.args for part in answered if part.function_call] == [{"a": 1}]


def test_the_sdk_reads_a_body(sdk: Any) -> None:
    response = sdk(written(EVENTS, "body")).models.generate_content(model="m", contents="Hi")
    assert (response.text, response.function_calls[0].id, response.response_id) == ("Привет", "c1", "r")


def test_the_sdk_raises_on_an_error_inside_a_stream(sdk: Any) -> None:
    encoder = GeminiCodec().encoder(stream=True, asked=asked())
    data = encoder.feed(EVENTS[:6]) + encoder.fail(Failed(kind="overloaded", message="busy", status=503), "")
    stream = sdk(data).models.generate_content_stream(model="m", contents="Hi")
    with pytest.raises(errors.APIError, match="busy"):
        list(stream)
