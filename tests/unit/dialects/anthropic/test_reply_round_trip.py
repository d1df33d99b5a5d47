"""Law 1 for replies: what Messages can express is the same after it was written and read again, however it was cut.

The vendor's own client reads what was written too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import anthropic
import httpx2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyapi.dialects.anthropic.codec import AnthropicCodec
from proxyapi.dialects.codec import Asked, TargetModel
from proxyapi.dialects.model import (
    DocumentCitation,
    Event,
    Failed,
    Finish,
    KeepAlive,
    Metered,
    PartCitation,
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
    StopReason,
    Text,
    Thinking,
    ToolUse,
    UrlCitation,
)
from proxyapi.usage import Unit

CODEC = AnthropicCodec()
TARGET = TargetModel(model="m")
ASKED = Asked(
    request=Request(model="m"), model="m", reply_id="R1", created_at=1, seal=lambda state: f"{state.kind}:{state.data}"
)

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12)
DELTAS = st.lists(WORDS, min_size=1, max_size=3)
STATES = st.builds(ReasoningState, st.just("openai_encrypted"), st.from_regex(r"[A-Za-z0-9]{1,8}", fullmatch=True))
URLS = st.builds(UrlCitation, url=WORDS, title=WORDS, quote=WORDS, token=WORDS)
PAGES = st.builds(DocumentCitation, st.just("page"), st.integers(0, 3), st.integers(1, 3), st.integers(1, 3), WORDS)
USAGES = st.dictionaries(
    st.sampled_from([Unit.INPUT, Unit.OUTPUT, Unit.REASONING, Unit.CACHE_READ, Unit.CACHE_WRITE_1H, Unit.WEB_SEARCH]),
    st.integers(1, 10**6),
)
REASONS: st.SearchStrategy[StopReason] = st.sampled_from(
    ["end", "length", "stop_sequence", "tool_use", "pause", "refusal", "context_window", "compacted"]
)


@st.composite
def replies(draw: st.DrawFn) -> list[Event]:
    """Parts one after another, as they reach an encoder of this dialect."""
    events: list[Event] = [Start(id="r", model="m", tier=draw(st.sampled_from(["", "standard", "priority", "fast"])))]
    for index in range(draw(st.integers(0, 5))):
        events += draw(draw(st.sampled_from(_PARTS))(index))
        if draw(st.booleans()):
            events.append(KeepAlive())
    reason = draw(REASONS)
    stop = draw(WORDS) if reason == "stop_sequence" else ""
    told = {"category": "cyber", "message": draw(WORDS)} if reason == "refusal" else {}
    return [*events, Finish(reason=reason, stop_sequence=stop, **told), Metered(draw(USAGES))]


def _texts(index: int) -> st.SearchStrategy[list[Event]]:
    return st.builds(
        lambda deltas, cited: [
            PartStart(index, Text("")),
            *(PartDelta(index, delta) for delta in deltas),
            *(PartCitation(index, citation) for citation in cited),
            PartEnd(index),
        ],
        DELTAS,
        st.lists(URLS | PAGES, max_size=2),
    )


def _thoughts(index: int) -> st.SearchStrategy[list[Event]]:
    return st.builds(
        lambda deltas, state: [
            PartStart(index, Thinking()),
            *(PartDelta(index, delta) for delta in deltas),
            *([PartState(index, state)] if state else []),
            PartEnd(index),
        ],
        DELTAS,
        st.none() | STATES,
    )


def _calls(index: int) -> st.SearchStrategy[list[Event]]:
    return st.builds(
        lambda value, cut: [
            PartStart(index, ToolUse(f"t{index}", "f", "")),
            *(PartDelta(index, piece) for piece in (value[:cut], value[cut:]) if piece),
            PartEnd(index),
        ],
        WORDS.map(lambda text: msgspec.json.encode({"b": 1.5, "a": text}).decode()),
        st.integers(0, 20),
    )


def _searches(index: int) -> st.SearchStrategy[list[Event]]:
    pages = (SearchResult("https://a.example", "T", ()),)
    return st.just([
        PartStart(index, ServerToolUse(f"ws_{index}", "web_search", "web_search")),
        PartDelta(index, '{"query":"q"}'),
        PartEnd(index, result=ServerToolResult(f"ws_{index}", "web_search", pages)),
    ])  # fmt: skip


_PARTS = [_texts, _texts, _thoughts, _calls, _searches]


def meaning(events: Iterable[Event]) -> tuple[Any, ...]:
    """What a reply says, whatever pieces it came in. Proofs that hold nothing say nothing."""
    parts: dict[int, list[Any]] = {}
    head: dict[str, Any] = {}
    for event in events:
        match event:
            case Start():
                head["start"] = (event.id, event.tier)
            case PartStart(index, part):
                parts[index] = [part, "", [], None]
            case PartDelta(index, text):
                parts[index][1] += text
            case PartCitation(index, citation):
                parts[index][2].append(citation)
            case PartState(index, state):
                parts[index][3] = state.data.partition(":")[2] or state.data
            case PartEnd(index, result) if result is not None:
                parts[index + 1000] = [result, "", [], None]
            case Finish():
                head["end"] = (event.reason, event.stop_sequence, event.category, event.message)
            case Metered():
                head["usage"] = {unit: quantity for unit, quantity in event.usage.items() if quantity}
            case _:
                pass
    said = [(_shape(part), _value(part, text), cited, _proof(proof)) for part, text, cited, proof in parts.values()]
    return said, head


def _shape(part: Any) -> Any:
    return msgspec.structs.replace(part, state=None) if part.state else part


def _value(part: Any, text: str) -> Any:
    return msgspec.json.decode(text) if isinstance(part, ToolUse | ServerToolUse) else text


def _proof(data: str | None) -> str | None:
    return None if data in (None, "other:") else data


def read(data: bytes, *, stream: bool, cuts: Sequence[int] = ()) -> list[Event]:
    decoder = CODEC.decoder(stream=stream, target=TARGET)
    bounds = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    events: list[Event] = []
    for start, end in pairwise(bounds):
        events += decoder.feed(data[start:end])
    events += decoder.close()
    assert decoder.finished
    return events


def streamed(events: Sequence[Event]) -> bytes:
    encoder = CODEC.encoder(stream=True, asked=ASKED)
    return b"".join(encoder.feed([event]) for event in events) + encoder.close()


def whole(events: Sequence[Event]) -> bytes:
    encoder = CODEC.encoder(stream=False, asked=ASKED)
    return b"".join(encoder.feed([event]) for event in events) + encoder.close()


@given(replies(), st.lists(st.integers(0, 100_000), max_size=6))
def test_a_stream_says_the_same_after_it_was_written_and_read_again(events: list[Event], cuts: list[int]) -> None:
    assert meaning(read(streamed(events), stream=True, cuts=cuts)) == meaning(events)


@given(replies())
def test_a_body_says_the_same_after_it_was_written_and_read_again(events: list[Event]) -> None:
    assert meaning(read(whole(events), stream=False)) == meaning(events)


@given(replies())
def test_a_stream_and_a_body_of_one_reply_have_the_same_usage(events: list[Event]) -> None:
    of_stream, of_body = read(streamed(events), stream=True), read(whole(events), stream=False)
    assert meaning(of_stream)[1]["usage"] == meaning(of_body)[1]["usage"]


def test_a_stream_cut_at_any_byte_says_the_same() -> None:
    events: list[Event] = [
        Start(id="r", model="m"),
        PartStart(0, Thinking()),
        PartDelta(0, "гм"),
        PartEnd(0),
        PartStart(1, Text("")),
        PartDelta(1, "Привет, мир 🌍"),
        PartEnd(1),
        Finish(reason="end"),
        Metered({Unit.OUTPUT: 3}),
    ]
    data = streamed(events)
    for cut in range(len(data)):
        assert meaning(read(data, stream=True, cuts=[cut])) == meaning(events)


# --- the vendor's own client ----------------------------------------------------------------------------------------

FULL: list[Event] = [
    Start(id="r", model="m"),
    PartStart(0, Thinking()),
    PartDelta(0, "hm"),
    PartState(0, ReasoningState("openai_encrypted", "enc")),
    PartEnd(0),
    PartStart(1, ServerToolUse("ws_1", "web_search", "web_search")),
    PartDelta(1, '{"query":"q"}'),
    PartEnd(1, result=ServerToolResult("ws_1", "web_search", (SearchResult("https://a.example", "T", ()),))),
    KeepAlive(),
    PartStart(2, Text("")),
    PartDelta(2, "Hel"),
    PartDelta(2, "lo"),
    PartCitation(2, UrlCitation("https://a.example", "T")),
    PartEnd(2),
    PartStart(3, ToolUse("t", "f", "")),
    PartDelta(3, '{"a": '),
    PartDelta(3, "1}"),
    PartEnd(3),
    PartStart(4, ToolUse("u", "g", "")),
    PartEnd(4),
    Finish(reason="tool_use"),
    Metered({Unit.INPUT: 5, Unit.OUTPUT: 7, Unit.CACHE_READ: 11}),
]


def client(data: bytes, content_type: str) -> anthropic.Anthropic:
    transport = httpx2.MockTransport(
        lambda request: httpx2.Response(200, headers={"content-type": content_type}, content=data)
    )
    return anthropic.Anthropic(api_key="k", http_client=httpx2.Client(transport=transport), max_retries=0)


PROMPT: dict[str, Any] = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}


def check(message: Any) -> None:
    assert [block.type for block in message.content] == [
        "thinking", "server_tool_use", "web_search_tool_result", "text", "tool_use", "tool_use",
    ]  # fmt: skip
    thinking, search, found, text, call, empty = message.content
    assert (thinking.thinking, thinking.signature) == ("hm", "openai_encrypted:enc")
    assert (search.input, found.content[0].url) == ({"query": "q"}, "https://a.example")
    assert (text.text, text.citations[0].url) == ("Hello", "https://a.example")
    assert (call.input, empty.input) == ({"a": 1}, {})
    assert (message.stop_reason, message.usage.input_tokens, message.usage.output_tokens) == ("tool_use", 5, 7)
    assert message.usage.cache_read_input_tokens == 11


def test_the_vendors_client_reads_a_written_stream() -> None:
    with client(streamed(FULL), "text/event-stream").messages.stream(**PROMPT) as stream:
        events = [event.type for event in stream]
        check(stream.get_final_message())
    assert events.count("message_stop") == 1


def test_the_vendors_client_reads_a_written_body() -> None:
    check(client(whole(FULL), "application/json").messages.create(**PROMPT))


def test_the_vendors_client_raises_a_written_error() -> None:
    encoder = CODEC.encoder(stream=True, asked=ASKED)
    data = encoder.feed(FULL[:3]) + encoder.fail(Failed(kind="overloaded", message="Too much."), "req_1")
    with (
        pytest.raises(anthropic.APIStatusError, match="Too much"),
        client(data, "text/event-stream").messages.stream(**PROMPT) as stream,
    ):
        stream.until_done()
