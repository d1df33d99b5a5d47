"""What is kept of a body: no media, no files, unpacked."""

from __future__ import annotations

import gzip
import json
import zlib
from base64 import b64encode, urlsafe_b64encode

import pytest

from proxyapi.dialects.multipart import FormScanner
from proxyapi.logbook.packing import WINDOW_BYTES, packed_request, without_media
from proxyapi.logbook.record import Record, Room

PICTURE = bytes(range(256)) * 40


def record(*headers: tuple[bytes, bytes]) -> Record:
    return Record(headers, Room())


@pytest.mark.parametrize(
    ("text", "stub"),
    [
        ("data:image/png;base64," + b64encode(PICTURE).decode(), "data:image/png;base64,(10242 bytes)"),
        (b64encode(PICTURE).decode(), "(10242 bytes)"),
        (urlsafe_b64encode(PICTURE).decode(), "(10242 bytes)"),
        (b64encode(PICTURE).decode()[:1_000], None),
        ("word " * 1_000, None),
        ("x" * 600 + " " + "y" * 600, None),
        ("data:text/plain," + "a" * 2_000, None),
    ],
)
def test_long_base64_leaves_a_stub_and_prose_stays(text: str, stub: str | None) -> None:
    body = json.dumps({"a": 'quoted "words"', "data": text, "z": [text]}).encode()
    kept = without_media(body)
    if stub is None:
        assert kept == body
    else:
        assert json.loads(kept) == {"a": 'quoted "words"', "data": stub, "z": [stub]}


def test_pictures_are_found_wherever_they_begin_in_a_long_body() -> None:
    picture = b64encode(PICTURE).decode()
    for filler in (WINDOW_BYTES - 5_000, WINDOW_BYTES - 1, WINDOW_BYTES, WINDOW_BYTES + 1, 3 * WINDOW_BYTES):
        body = json.dumps({"text": "a b " * (filler // 4), "data": picture, "more": ["word", picture]})
        assert without_media(body.encode()) == body.replace(picture, "(10242 bytes)").encode()


def test_base64_with_escaped_slashes_is_seen_too() -> None:
    body = json.dumps({"data": b64encode(PICTURE).decode()}).replace("/", "\\/").encode()
    assert b"bytes)" in without_media(body)


def test_a_body_that_ends_in_the_middle_of_a_picture_loses_it_too() -> None:
    body = b'{"text": "hello", "url": "data:image/jpeg;base64,' + b64encode(PICTURE)
    assert without_media(body) == b'{"text": "hello", "url": "data:image/jpeg;base64,(10242 bytes)'


def test_a_packed_body_is_kept_unpacked() -> None:
    asked = record((b"content-encoding", b"gzip"), (b"content-type", b"application/json; charset=utf-8"))
    asked.received(gzip.compress(b'{"a": 1}'))
    kept = packed_request(asked, 1_000)
    assert (zlib.decompress(kept.data), kept.type) == (b'{"a": 1}', "application/json")


def test_a_body_that_only_claims_to_be_packed_is_kept_as_it_came() -> None:
    asked = record((b"content-encoding", b"gzip"))
    asked.received(b"plain")
    assert zlib.decompress(packed_request(asked, 1_000).data) == b"plain"


def test_of_a_form_the_fields_are_kept_and_of_its_files_what_they_are() -> None:
    parts = [
        b'Content-Disposition: form-data; name="model"\r\n\r\nwhisper-1',
        b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
        + PICTURE.replace(b"\r\n--b", b""),
    ]
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"
    asked = record((b"content-type", b"multipart/form-data; boundary=b"))
    asked.received(body)
    scanner = FormScanner(b"b")
    scanner.feed(body)
    asked.form = scanner.close()
    kept = packed_request(asked, 10_000)
    assert json.loads(zlib.decompress(kept.data)) == {
        "model": "whisper-1",
        "(files)": [{"field": "file", "filename": "a.wav", "type": "audio/wav", "bytes": 10_240}],
    }
    assert kept.size == len(body)


def test_sound_is_counted_and_not_kept() -> None:
    asked = record()
    asked.answers(b"x-request-id: 1\r\nContent-Type: audio/mpeg\r\n")
    asked.sent(b"\xff" * 5_000)
    assert (asked.response.bytes, asked.response.data) == (5_000, b"")
