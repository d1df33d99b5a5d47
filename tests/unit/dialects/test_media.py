"""Types of pictures, sounds and files: what the bytes say counts before what the client says."""

from base64 import b64encode, urlsafe_b64encode

import pytest

from proxyapi.dialects.media import from_url, sniffed, sound_type, sound_word, to_url
from proxyapi.dialects.model import Inline, Link

PNG = b64encode(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR").decode()


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"RIFF\x10\x00\x00\x00WAVEfmt ", "audio/wav"),
        (b"BM\x36\x00", "image/bmp"),
        (b"II*\x00", "image/tiff"),
        (b"\x00\x00\x00\x18ftypheic", "image/heic"),
        (b"\x00\x00\x00\x18ftypisom", "video/mp4"),
        (b"%PDF-1.7", "application/pdf"),
        (b"ID3\x04", "audio/mpeg"),
        (b"\xff\xfb\x90\x64", "audio/mpeg"),
        (b"OggS\x00\x02", "audio/ogg"),
        (b"fLaC\x00", "audio/flac"),
        (b"\x1aE\xdf\xa3", "video/webm"),
        (b"no signature", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_a_type_that_nobody_declared_is_read_from_the_bytes(head, media_type):
    assert sniffed(b64encode(head).decode()) == media_type


def test_a_wrong_type_is_corrected():
    assert sniffed(PNG, "image/jpeg") == "image/png"
    assert sniffed(b64encode(b"%PDF-1.4 x").decode(), "application/octet-stream") == "application/pdf"


def test_a_declared_type_stands_where_the_bytes_prove_nothing():
    assert sniffed(b64encode(b"hello").decode(), "text/plain") == "text/plain"
    assert sniffed(b64encode(b"BM a text").decode(), "text/plain") == "text/plain"
    assert sniffed(b64encode(b"\xff\xfb\x90\x64").decode(), "audio/L16;rate=24000") == "audio/L16;rate=24000"


def test_a_container_of_films_and_sounds_is_what_the_client_calls_it():
    assert sniffed(b64encode(b"\x1aE\xdf\xa3").decode(), "audio/webm") == "audio/webm"
    assert sniffed(b64encode(b"\x00\x00\x00\x18ftypmp42").decode(), "audio/mp4") == "audio/mp4"
    assert sniffed(b64encode(b"\x00\x00\x00\x18ftypheic").decode(), "video/mp4") == "image/heic"


def test_other_spellings_of_a_type_become_the_registered_one():
    assert sniffed("AAAA", "image/jpg") == "image/jpeg"
    assert sniffed("AAAA", "Audio/MP3") == "audio/mpeg"


def test_url_safe_base64_and_broken_base64_are_no_obstacle():
    assert sniffed(urlsafe_b64encode(b"\xff\xd8\xff\xfe\xfb\xff").decode()) == "image/jpeg"
    assert sniffed(PNG[:20] + "\n" + PNG[20:]) == "image/png"
    assert sniffed("é§", "image/png") == "image/png"


def test_a_data_url_is_its_bytes():
    assert from_url(f"data:image/png;base64,{PNG}") == Inline(PNG, "image/png")
    assert from_url(f"data:;base64,{PNG}") == Inline(PNG, "image/png")
    assert from_url(f"DATA:image/gif;charset=x;base64,{PNG}") == Inline(PNG, "image/png")


def test_a_data_url_in_percent_encoding_becomes_base64():
    assert from_url("data:text/plain,a%20b") == Inline(b64encode(b"a b").decode(), "text/plain")


@pytest.mark.parametrize(
    "url", ["https://example.com/a.png", "gs://bucket/a", "data:nothing", "data:" + "x" * 600 + ",y"]
)
def test_another_address_is_a_link(url):
    assert from_url(url) == Link(url)


def test_there_and_back_again():
    for source in (Inline(PNG, "image/png"), Inline("AAAA", "audio/L16;rate=24000"), Link("https://example.com/a.png")):
        assert from_url(to_url(source)) == source


def test_formats_of_sounds_have_a_word_and_a_type():
    assert sound_type("mp3") == "audio/mpeg"
    assert sound_word("audio/mpeg") == sound_word("audio/mp3") == "mp3"
    assert all(sound_word(sound_type(word)) == word for word in ("wav", "mp3", "flac", "opus", "pcm16"))
    assert sound_type("xyz") == "audio/xyz"
    assert sound_word("audio/xyz") == ""
