"""Forms with files, read as they pass."""

import pytest

from proxyapi.dialects.call import ImageInput
from proxyapi.dialects.multipart import FIELD_BYTES_MAX, PARTS_MAX, FormScanner, boundary, read_form
from proxyapi.errors import InvalidRequest

FILE = b"RIFF\r\n--not the boundary\r\n\r\n--boun\x00\r\n--"


def part(name, value, extra=""):
    value = value if isinstance(value, bytes) else value.encode()
    return f'--bound\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + value + b"\r\n"


def file(name="file", filename="a.wav", data=FILE):
    head = f'--bound\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
    return head.encode() + b"Content-Type: audio/wav\r\n\r\n" + data + b"\r\n"


def form(*parts):
    return b"".join(parts) + b"--bound--\r\n"


def scan(data, size=1 << 20):
    scanner = FormScanner(b"bound")
    for at in range(0, len(data), size):
        scanner.feed(data[at : at + size])
    return scanner.close()


@pytest.mark.parametrize("size", [1, 2, 7, 1 << 20])
def test_fields_and_places_of_files_are_read_however_the_form_is_cut(size):
    data = form(
        part("model", "whisper-1"),
        part("timestamp_granularities[]", "word"),
        file(),
        part("timestamp_granularities[]", "segment"),
        part("prompt", "Привет"),
        part("language", ""),
    )
    found = scan(data, size)
    assert found.fields == {
        "model": ("whisper-1",),
        "timestamp_granularities[]": ("word", "segment"),
        "prompt": ("Привет",),
        "language": ("",),
    }
    (upload,) = found.files
    assert (upload.name, upload.filename, upload.content_type) == ("file", "a.wav", "audio/wav")
    assert data[upload.start : upload.end] == FILE
    start, end = found.model_span
    assert data[start:end] == b"whisper-1"
    assert found.size == len(data)


def test_a_preamble_and_an_epilogue_are_skipped():
    data = b"hello\r\n" + form(part("model", "m")) + b"bye"
    assert scan(data, 5).fields["model"] == ("m",)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data; charset=utf-8; boundary="a b"', b"a b"),
        ("multipart/form-data;boundary=abc; x=y", b"abc"),
    ],
)
def test_the_boundary_is_read(text, name):
    assert boundary(text) == name


@pytest.mark.parametrize("text", ["application/json", "multipart/form-data", "multipart/form-data; boundary="])
def test_a_content_type_without_boundary_is_refused(text):
    with pytest.raises(InvalidRequest):
        boundary(text)


@pytest.mark.parametrize(
    "data",
    [
        form(part("model", "a"), part("model", "b")),
        form(part("stream", "1"), part("stream", "0")),
        form(part("model", "a"), file("model")),
        form(part('model"; name="x', "a")),
        form(part("model", "a", "; name*=utf-8''prompt")),
        form(
            b'--bound\r\nContent-Disposition: form-data; name="model"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
            b"YQ==\r\n"
        ),
        form(b"--bound\r\nContent-Type: text/plain\r\n\r\nx\r\n"),
        form(part("model", b"\xff")),
        part("model", "a"),
        b"",
        form(*[part(f"x{i}", "") for i in range(PARTS_MAX + 1)]),
        form(part("prompt", "x" * (FIELD_BYTES_MAX + 1))),
    ],
    ids=[
        "model twice",
        "stream twice",
        "model as a file",
        "two names",
        "another name",
        "encoded",
        "no name",
        "not utf-8",
        "cut",
        "empty",
        "too many parts",
        "field too long",
    ],
)
def test_a_form_that_could_be_read_in_two_ways_is_refused(data):
    with pytest.raises(InvalidRequest):
        scan(data)


def test_a_files_bytes_are_not_kept():
    scanner = FormScanner(b"bound")
    scanner.feed(file(data=b"")[:-2])
    for _ in range(50):
        scanner.feed(b"x" * 100_000)
        assert len(scanner._buffer) < 1_000


@pytest.mark.parametrize(
    ("value", "stream"), [("true", True), ("True", True), ("1", True), ("false", False), ("", False)]
)
def test_a_transcription_is_read(value, stream):
    call = read_form(
        scan(form(part("model", "m"), part("stream", value), file(), part("response_format", "srt"))), "transcription"
    )
    assert (call.operation, call.model, call.stream, call.response_format) == ("transcription", "m", stream, "srt")


def test_a_form_without_its_file_or_with_two_is_refused():
    for data in (form(part("model", "m")), form(part("model", "m"), file(), file())):
        with pytest.raises(InvalidRequest) as refused:
            read_form(scan(data), "transcription")
        assert refused.value.param == "file"
    with pytest.raises(InvalidRequest, match="model"):
        read_form(scan(form(file())), "translation")
    with pytest.raises(InvalidRequest, match="stream"):
        read_form(scan(form(part("model", "m"), part("stream", "maybe"), file())), "transcription")


def test_image_edits_are_read_for_pictures_number_and_quality():
    call = read_form(
        scan(
            form(
                file("image[]"),
                file("image[]"),
                file("mask"),
                part("prompt", "a"),
                part("n", "3"),
                part("quality", "low"),
                part("size", "1024x1024"),
            )
        ),
        "image_edit",
    )
    assert (call.choices, call.quality, call.size, call.prompt.media) == (3, "low", "1024x1024", (ImageInput(),) * 3)
    with pytest.raises(InvalidRequest, match="n"):
        read_form(scan(form(file("image"), part("n", "0"))), "image_variation")
