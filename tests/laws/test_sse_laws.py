from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyapi.wire import sse
from proxyapi.wire.errors import ProtocolViolation
from proxyapi.wire.sse import Frame, FrameDecoder, encode_frame

NEWLINES = st.sampled_from(["\n", "\r\n", "\r"])
TEXT = st.text(st.characters(blacklist_characters="\r\n\0", blacklist_categories=("Cs",)), max_size=20)


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[Frame]]:
    """The bytes of a stream and the frames that a reader must see."""
    newline = draw(NEWLINES)
    text, frames = draw(st.sampled_from(["", "\ufeff"])), []
    for _ in range(draw(st.integers(0, 5))):
        event = draw(st.sampled_from(["", "message_start", "error"]))
        data = draw(st.lists(TEXT, max_size=3))
        lines = [f"event: {event}"] if event else []
        lines += [f"data: {line}" if draw(st.booleans()) or line.startswith(" ") else f"data:{line}" for line in data]
        lines += draw(st.lists(st.sampled_from([": ping", "retry: 10", "id: 7", ":"]), max_size=2))
        lines = draw(st.permutations(lines)) if len(data) < 2 else lines
        text += "".join(line + newline for line in lines) + newline * draw(st.integers(1, 2))
        if data:
            frames.append(Frame(event or "message", "\n".join(data).encode()))
    return text.encode(), frames


def decode(pieces: list[bytes]) -> list[Frame]:
    decoder = FrameDecoder()
    frames = [frame for piece in pieces for frame in decoder.feed(piece)]
    return frames + decoder.close()


@given(streams())
def test_frames_are_the_same_wherever_the_bytes_are_cut(stream: tuple[bytes, list[Frame]]) -> None:
    data, frames = stream
    assert decode([data]) == frames
    assert decode([data[at : at + 1] for at in range(len(data))]) == frames
    for cut in range(len(data)):
        assert decode([data[:cut], data[cut:]]) == frames


@given(streams(), st.lists(st.integers(0, 400)))
def test_frames_are_the_same_for_many_cuts(stream: tuple[bytes, list[Frame]], cuts: list[int]) -> None:
    data, frames = stream
    points = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    assert decode([data[a:b] for a, b in pairwise(points)]) == frames


@given(st.lists(st.binary(max_size=300), max_size=10))
def test_any_bytes_decode_without_an_error_and_alike_for_any_cut(pieces: list[bytes]) -> None:
    assert decode(pieces) == decode([b"".join(pieces)])


@given(st.lists(st.tuples(TEXT, st.sampled_from(["", "delta"]))))
def test_what_is_encoded_is_decoded(frames: list[tuple[str, str]]) -> None:
    data = b"".join(encode_frame(text.encode(), event) for text, event in frames)
    assert decode([data]) == [Frame(event or "message", text.encode()) for text, event in frames]


def test_a_last_frame_without_its_blank_line_is_delivered_at_the_close() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(b"data: a\n\ndata: [DONE]\n") == [Frame("message", b"a")]
    assert decoder.close() == [Frame("message", b"[DONE]")]
    assert decoder.close() == []


def test_an_endless_frame_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "FRAME_BYTES_MAX", 1_000)
    decoder = FrameDecoder()
    with pytest.raises(ProtocolViolation):
        for _ in range(20):
            decoder.feed(b"data: " + b"x" * 100)
