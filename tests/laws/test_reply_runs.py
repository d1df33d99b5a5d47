"""More of a part is read by a narrow type, run by run. What it makes known is what the full reading does.

Frames whose lines end in \\r\\n are never read in runs, so the same stream with such lines shows the full reading.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxyapi.dialects import DIALECTS
from proxyapi.dialects.call import Call, WireName
from proxyapi.dialects.channel import Passthrough
from proxyapi.dialects.model import Event, PartDelta, PartSummary

Wire = dict[str, Any]
Story = st.SearchStrategy[list[bytes]]
"""The frames of a stream, one after the other."""


class Kind(NamedTuple):
    """Events that a stream may have, and which members of theirs an odd provider may change."""

    events: list[Wire]
    members: list[str]
    inner: list[str]
    """Members of `delta`."""
    places: list[str]
    """Members that say which part grows."""
    named: bool = True
    """Frames have an `event:` line."""


MESSAGE = {"id": "m", "model": "c", "content": [], "usage": {"input_tokens": 3, "output_tokens": 1}}
ENDING = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}


def block(index: int, **members: Any) -> Wire:
    return {"type": "content_block_start", "index": index, "content_block": members}


def growth(index: int, **members: str) -> Wire:
    return {"type": "content_block_delta", "index": index, "delta": {"type": "x_delta"} | members}


MESSAGES = Kind(
    [
        {"type": "message_start", "message": MESSAGE},
        block(0, type="text", text=""),
        block(1, type="thinking", thinking=""),
        block(2, type="tool_use", id="t", name="f", input={}),
        block(0, type="compaction", content=None),
        *(growth(index, text=text) for index in (0, 1) for text in ("a", "b", "я", "")),
        *(growth(1, thinking=text) for text in ("hm", "\n\n")),
        *(growth(2, partial_json=text) for text in ('{"a', '":1}')),
        growth(0, content="all", encrypted_content="e"),
        growth(1, signature="s"),
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_stop", "index": 1},
        {"type": "ping"},
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        ENDING,
        {"type": "message_stop"},
    ],
    ["type", "index", "delta", "usage", "error", "message", "extra"],
    ["type", "text", "partial_json", "thinking", "signature", "content", "stop_reason", "extra"],
    ["index"],
)


def told(name: str, text: str, **members: Any) -> Wire:
    place = {"output_index": 0, "item_id": "i", "sequence_number": 4}
    return {"type": f"response.{name}.delta", "delta": text} | place | members


TEXT_HERE = {"content_index": 0, "logprobs": [], "obfuscation": "x"}
TOKEN = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}
RESPONSE = {"id": "r", "model": "g", "output": [], "usage": {"input_tokens": 3, "output_tokens": 4}}
ITEMS = [
    {"type": "message", "id": "i", "content": []},
    {"type": "reasoning", "id": "i", "summary": []},
    {"type": "function_call", "id": "i", "call_id": "c", "name": "f", "arguments": '{"a":1}'},
    {"type": "code_interpreter_call", "id": "i", "code": "1"},
]
RESPONSES = Kind(
    [
        {"type": "response.created", "response": RESPONSE | {"status": "in_progress", "usage": None}},
        *({"type": "response.output_item.added", "output_index": at, "item": item} for at, item in enumerate(ITEMS)),
        *({"type": "response.output_item.done", "output_index": at, "item": item} for at, item in enumerate(ITEMS)),
        {"type": "response.content_part.added", "output_index": 0, "content_index": 0, "part": {"type": "output_text"}},
        *(told("output_text", text, **TEXT_HERE) for text in ("a", "b", "я", "")),
        told("output_text", "c", output_index=1, content_index=1),
        told("output_text", "p", content_index=0, logprobs=[TOKEN]),
        *(told("refusal", text, content_index=0) for text in ("no", "!")),
        *(told("reasoning_summary_text", "s", output_index=1, summary_index=at) for at in (0, 0, 1)),
        *(told("reasoning_text", text, output_index=1, content_index=0) for text in ("h", "m")),
        *(told("function_call_arguments", text, output_index=2) for text in ('{"a', '":1}')),
        told("function_call_arguments", "d", output_index=3),
        *(told("code_interpreter_call_code", text, output_index=3) for text in ("1", '"')),
        {"type": "error", "code": "server_error", "message": "Broken"},
        {"type": "response.completed", "response": RESPONSE | {"status": "completed"}},
    ],
    ["type", "delta", "output_index", "content_index", "summary_index", "item_id", "logprobs", "message", "extra"],
    [],
    ["output_index", "content_index", "summary_index"],
)


def chunk(index: int = 0, *, finish: str | None = None, **delta: Any) -> Wire:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {"id": "c", "model": "m", "choices": [choice], "usage": None}


CHAT = Kind(
    [
        *(chunk(content=text) for text in ("a", "b", "я", "", None)),
        chunk(1, content="other"),
        chunk(reasoning_content="hm"),
        chunk(tool_calls=[{"index": 0, "id": "t", "function": {"name": "f", "arguments": "{}"}}]),
        chunk(finish="stop"),
        chunk(content="z", finish="length"),
        {"id": "c", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}},
    ],
    ["choices", "usage", "error", "x_groq", "extra"],
    [],
    [],
    named=False,
)
KINDS: dict[WireName, Kind] = {"anthropic": MESSAGES, "openai_responses": RESPONSES, "openai_chat": CHAT}

odd = st.sampled_from([None, 0, 1, True, 0.5, "", "x", [], {}, {"a": 1}, ["x"], 2**70])
others = st.sampled_from(
    [
        b": alive",
        b"data: [DONE]",
        b"data: {",
        b"event: content_block_delta\ndata: {",
        b"event: response.output_text.delta\ndata: \xff",
        b"event: response.output_text.delta",
        b'event: content_block_delta\ndata: {"type":"content_block_delta",\ndata: "index":0,"delta":{"text":"two"}}',
        b'data: {"choices":\ndata: [{"index":0,"delta":{"content":"two"}}]}',
        b'{"error":{"message":"overloaded"}}',
        b"",
    ]
)


@st.composite
def runs(draw: st.DrawFn, kind: Kind) -> list[bytes]:
    """An event once or several times, for one part or for several, as it is sent or with something odd about it."""
    event = draw(st.sampled_from(kind.events))
    name = str(event.get("type"))
    if draw(st.integers(0, 4)) == 0:
        event = event | draw(st.dictionaries(st.sampled_from(kind.members), odd, max_size=2))
    if kind.inner and isinstance(event.get("delta"), dict) and draw(st.integers(0, 4)) == 0:
        changed = draw(st.dictionaries(st.sampled_from(kind.inner), odd, min_size=1, max_size=2))
        event = event | {"delta": event["delta"] | changed}
    events = [event] * draw(st.integers(1, 4))
    if "delta" in event and draw(st.booleans()):
        events += [event | {place: draw(st.integers(0, 1))} for place in kind.places]
    head = b"event: %b\n" % name.encode() if kind.named and draw(st.integers(0, 9)) else b""
    tail = draw(st.sampled_from([b"", b"", b"", b"  ", b"\nid: 7"]))
    return [head + b"data: " + json.dumps(event, ensure_ascii=False).encode() + tail for event in events]


def stories(kind: Kind) -> Story:
    beginning = [b"event: x\ndata: " + json.dumps(event).encode() for event in kind.events[:4]]
    some = st.lists(runs(kind) | others.map(lambda frame: [frame]), max_size=12)
    return some.map(lambda found: beginning + [frame for run in found for frame in run])


def joined(events: list[Event]) -> list[Event]:
    """Neighbours that tell more of the same text, as one."""
    out: list[Event] = []
    for event in events:
        last = out[-1] if out else None
        grows = isinstance(event, PartDelta | PartSummary) and type(last) is type(event)
        if grows and replace(event, text="") == replace(last, text="") and not getattr(event, "logprobs", ()):
            out[-1] = replace(event, text=last.text + event.text)
        else:
            out.append(event)
    return out


def known(name: WireName, stream: bytes, sizes: st.DataObject | None) -> tuple[list[Event], bool]:
    """All that a decoder tells of a stream, in pieces of random sizes or as a whole."""
    decoder = DIALECTS[name].decoder(stream=True, call=call_of(name))
    events, at = list[Event](), 0
    while at < len(stream):
        size = len(stream) if sizes is None else sizes.draw(st.integers(1, 1 + len(stream) // 2))
        events += decoder.feed(stream[at : at + size])
        at += size
    events += decoder.close()
    return joined(events), decoder.finished


def call_of(name: WireName) -> Call:
    return Call(operation="chat", dialect=name, model="m", stream=True)


@pytest.mark.parametrize("name", KINDS)
@given(data=st.data())
def test_runs_tell_what_the_full_reading_tells(name: WireName, data: st.DataObject) -> None:
    stream = b"".join(frame + b"\n\n" for frame in data.draw(stories(KINDS[name])))
    full = known(name, stream.replace(b"\n", b"\r\n"), None)
    assert known(name, stream, None) == full
    assert known(name, stream, data) == full


@pytest.mark.parametrize("name", KINDS)
@given(data=st.data())
def test_a_passed_stream_is_metered_and_edited_as_if_it_were_read_in_full(name: WireName, data: st.DataObject) -> None:
    story = data.draw(stories(KINDS[name]))
    pieces = [b"".join(frame + b"\n\n" for frame in story[at : at + 3]) for at in range(0, len(story), 3)]
    seen: list[Any] = []
    for end in (b"\n", b"\r\n"):
        call = call_of(name)
        decoder = DIALECTS[name].decoder(stream=True, call=call)
        channel = Passthrough(decoder, call, strip_usage=name == "openai_chat", cost_comment=lambda _: b"cost")
        out = b"".join(channel.feed(piece.replace(b"\n", end)) for piece in pieces) + channel.close()
        meter = channel.meter
        text = "".join(meter.texts)
        seen.append((out.replace(b"\r\n", b"\n"), text, replace(meter, texts=[], body_bytes=0)))
    (out, text, meter), (full_out, full_text, full_meter) = seen
    assert (out, text) == (full_out, full_text)
    assert all(getattr(meter, field) == getattr(full_meter, field) for field in meter.__struct_fields__)
