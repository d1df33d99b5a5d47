"""Server-sent events from bytes, wherever they are cut."""

import pytest

from proxyapi.dialects.frames import FRAME_BYTES_MAX, RAW, FrameDecoder, encode


def pieces(data, size):
    decoder = FrameDecoder()
    found = [frame for at in range(0, len(data), size) for frame in decoder.feed(data[at : at + size])]
    return found + decoder.close()


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_events_are_read_with_every_line_end_and_every_cut(end, size):
    text = (
        b'data: {"a":1}\n\nevent: x\ndata:no space\n\n: comment\n\nid: 1\ndata: one\ndata: two\nretry: 5\n\n'
        b"event: y\ndata: z\n\n\ndata: last\n\n"
    ).replace(b"\n", end)
    found = [(frame.event, frame.data) for frame in pieces(text, size) if frame.data]
    assert found == [("", b'{"a":1}'), ("x", b"no space"), ("", b"one\ntwo"), ("y", b"z"), ("", b"last")]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1, 4, 1000])
def test_the_places_of_frames_are_exact(end, size):
    text = b"data: a\n\n: c\n\nevent: e\ndata: b\n\n".replace(b"\n", end)
    for frame in pieces(text, size):
        block = text[frame.start : frame.end]
        assert frame.data in block
        assert block.strip().startswith((b"data", b"event", b":"))


def test_a_line_end_that_is_cut_in_two_belongs_to_the_frame_before():
    text = b"data: a\r\r\ndata: b\r\r\n"
    first, second = pieces(text, 9)
    assert (first.data, second.data, second.start) == (b"a", b"b", text.index(b"data: b"))


def test_a_last_frame_without_its_blank_line_counts():
    assert [frame.data for frame in pieces(b"data: a\n\ndata: b", 3)] == [b"a", b"b"]


def test_a_json_text_among_events_is_told_apart():
    (frame,) = pieces(b'{"error": {\n  "message": "x"}}\n', 4)
    assert frame.event == RAW


def test_pending_bytes_are_those_of_the_frame_that_is_not_whole():
    decoder = FrameDecoder()
    decoder.feed(b"data: a\n\ndat")
    assert decoder.pending == 3
    decoder.feed(b"a: b\n\n")
    assert decoder.pending == 0


def test_a_frame_beyond_the_bound_is_skipped_and_the_next_is_read():
    decoder = FrameDecoder()
    for _ in range(FRAME_BYTES_MAX // 1_000_000 + 2):
        assert decoder.feed(b"x" * 1_000_000) == []
    assert decoder.pending == 0
    size = (FRAME_BYTES_MAX // 1_000_000 + 2) * 1_000_000
    (frame,) = decoder.feed(b"\n\ndata: a\n\n")
    assert (frame.data, frame.start) == (b"a", size + 2)


def test_an_encoded_frame_is_read_back():
    assert encode(b"{}", "x") == b"event: x\ndata: {}\n\n"
    assert encode(b"{}") == b"data: {}\n\n"
