"""Form bodies."""

import pytest

from proxyapi.sandbox.multipart import read_form
from proxyapi.sandbox.reading import Refused


def test_fields_repeat_and_files_keep_every_byte() -> None:
    data = b"\r\n--not the boundary\r\n\x00\xff"
    body = (
        b'--b\r\nContent-Disposition: form-data; name="t[]"\r\n\r\nword\r\n'
        b'--b\r\nContent-Disposition: form-data; name="t[]"\r\n\r\nsegment\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
        + data
        + b"\r\n--b--\r\n"
    )
    form = read_form(body, 'multipart/form-data; boundary="b"')
    assert form.fields == {"t": ["word", "segment"]}
    assert form.text("t") == "segment"
    assert form.files["file"][0] == ("a.wav", "audio/wav", data)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "multipart/form-data; boundary=b"),
        (b"--b--", "multipart/form-data"),
        (b"--b\r\nno name\r\n\r\n", "multipart/form-data; boundary=b"),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, content_type: str) -> None:
    with pytest.raises(Refused):
        read_form(body, content_type)


FLAGS = [("true", True), ("True", True), ("1", True), ("false", False), ("", False)]


@pytest.mark.parametrize(("value", "flag"), FLAGS)
def test_a_flag_is_true_in_each_of_its_spellings(value: str, flag: bool) -> None:
    body = f'--b\r\nContent-Disposition: form-data; name="stream"\r\n\r\n{value}\r\n--b--'.encode()
    assert read_form(body, "multipart/form-data; boundary=b").flag("stream") is flag
