"""Reads forms with files as they pass (RFC 7578): the small fields and where the files stand, never a file's bytes.

Strict where a form could be read in two ways: what is given twice, hidden in an encoding, or named by anything but one
plain `name="…"` is refused, because the provider must not see another model than the one that was priced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from proxyapi.dialects.call import Call, ImageInput, Operation, Prompt
from proxyapi.dialects.fields import CHOICES_MAX, named, whole
from proxyapi.errors import InvalidRequest

PARTS_MAX = 256
"""Fields and files of one form; image edits take 16 pictures."""
HEAD_BYTES_MAX = 8_192
"""Headers of one part."""
FIELD_BYTES_MAX = 256 * 1024
"""Value of one field; the longest prompt of the Images API is 32,000 characters."""
FIELDS_BYTES_MAX = 1024 * 1024
"""All values together."""
BOUNDARY_BYTES_MAX = 200
"""RFC 2046 allows 70."""

_SINGLE = frozenset(
    {
        "model",
        "stream",
        "response_format",
        "n",
        "size",
        "quality",
        "prompt",
        "language",
        "temperature",
        "partial_images",
        "input_fidelity",
        "output_format",
        "user",
    }
)
"""Fields that decide routing, price or the form of the answer: each at most once, and never a file."""
_TRUE = frozenset({"true", "1"})
_FALSE = frozenset({"false", "0", ""})
_BOUNDARY = re.compile(r"""^\s*multipart/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]+)"|([^\s;"]+))\s*(?:;.*)?$""", re.I)
_NAME = re.compile(r';\s*name="([^"\\]*)"|;\s*name=([^\s;"\\]+)', re.I)
_FILENAME = re.compile(r';\s*filename="((?:[^"\\]|\\.)*)"|;\s*filename=([^\s;"]+)', re.I)
_NAMES = re.compile(r";\s*(filename|name)(\*?)\s*=", re.I)

IMAGE_MODEL_DEFAULT = "dall-e-2"


class FilePart(NamedTuple):
    name: str
    """Name of the field."""
    filename: str
    content_type: str
    """As sent; empty: not said."""
    start: int
    """First byte of the file within the body."""
    end: int
    """One past its last byte."""


class FormScan(NamedTuple):
    """What was read of a form."""

    fields: Mapping[str, tuple[str, ...]]
    """Values by name, in order; names ending in `[]` may repeat."""
    files: tuple[FilePart, ...]
    model_span: tuple[int, int] | None
    """First byte and end of the value of `model` within the body, for rewriting it."""
    size: int
    """Bytes of the whole body."""

    def first(self, name: str) -> str:
        values = self.fields.get(name)
        return values[0] if values else ""


def boundary(content_type: str) -> bytes:
    """The boundary that a `Content-Type` names. InvalidRequest if it names none."""
    match = _BOUNDARY.match(content_type)
    found = (match.group(1) or match.group(2)) if match else ""
    if not found or len(found) > BOUNDARY_BYTES_MAX or not found.isascii():
        raise InvalidRequest("The request must be multipart/form-data with a boundary")
    return found.encode("ascii")


class FormScanner:
    """Feed it the body in any pieces, then `close` it."""

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._buffer = b"\r\n"
        """Not yet understood bytes. The line end before the first boundary is not sent: it is supplied here."""
        self._base = -2
        """Position of the buffer's first byte within the body."""
        self._state = self._preamble
        self._name = ""
        self._filename: str | None = None
        self._content_type = ""
        self._start = 0
        self._value = bytearray()
        self._values_bytes = 0
        self._parts = 0
        self._fields: dict[str, list[str]] = {}
        self._files: list[FilePart] = []
        self._model_span: tuple[int, int] | None = None

    def feed(self, data: bytes) -> None:
        """InvalidRequest as soon as the form is ambiguous, or beyond a limit."""
        self._buffer += data
        while self._state():
            pass

    def close(self) -> FormScan:
        """What the form holds. InvalidRequest if it was cut short."""
        if self._state != self._epilogue:
            raise InvalidRequest("The form is not complete: its closing boundary is missing")
        fields = {name: tuple(values) for name, values in self._fields.items()}
        return FormScan(fields, tuple(self._files), self._model_span, self._base + len(self._buffer))

    # Each state takes what it can from the buffer; True: there may be more to do.

    def _preamble(self) -> bool:
        return self._until_delimiter(keep=False)

    def _after_delimiter(self) -> bool:
        head = self._buffer[:2]
        if len(head) < 2:
            return False
        if head == b"--":
            self._drop(2)
            self._state = self._epilogue
            return True
        end = self._buffer.find(b"\r\n\r\n")
        if max(end, len(self._buffer) if end < 0 else 0) > HEAD_BYTES_MAX:
            raise InvalidRequest("The headers of a form part are too long")
        if end < 0:
            return False
        if head != b"\r\n":
            raise InvalidRequest("A boundary of the form is not followed by a line end")
        self._open(self._buffer[2:end])
        self._drop(end + 4)
        self._start = self._base
        self._state = self._content
        return True

    def _content(self) -> bool:
        return self._until_delimiter(keep=self._filename is None)

    def _epilogue(self) -> bool:
        self._drop(len(self._buffer))
        return False

    def _until_delimiter(self, *, keep: bool) -> bool:
        at = self._buffer.find(self._delimiter)
        taken = at if at >= 0 else max(0, len(self._buffer) - len(self._delimiter) + 1)
        if keep:
            self._values_bytes += taken
            self._value += self._buffer[:taken]
            if len(self._value) > FIELD_BYTES_MAX or self._values_bytes > FIELDS_BYTES_MAX:
                raise InvalidRequest(f"The form field {self._name} is too long", param=self._name)
        self._drop(taken)
        if at < 0:
            return False
        if self._state == self._content:
            self._end()
        self._drop(len(self._delimiter))
        self._state = self._after_delimiter
        return True

    def _drop(self, size: int) -> None:
        self._buffer = self._buffer[size:]
        self._base += size

    def _open(self, head: bytes) -> None:
        self._parts += 1
        if self._parts > PARTS_MAX:
            raise InvalidRequest(f"The form has more than {PARTS_MAX} parts")
        headers: dict[str, str] = {}
        for line in head.decode("utf-8", "replace").split("\r\n"):
            name, _, value = line.partition(":")
            name = name.strip().lower()
            if name in headers or not name or line[:1].isspace() or "\n" in line or "\r" in line:
                raise InvalidRequest("A form part has a malformed header")
            headers[name] = value.strip()
        if headers.get("content-transfer-encoding", "binary").lower() not in ("binary", "8bit", "7bit"):
            raise InvalidRequest("Form parts must not be encoded")
        self._content_type = headers.get("content-type", "")
        if self._content_type.lower().startswith("multipart/"):
            raise InvalidRequest("Form parts must not be nested")
        self._name, self._filename = _names(headers.get("content-disposition", ""))
        if self._filename is not None and self._name in _SINGLE:
            raise InvalidRequest(f"The form field {self._name} must not be a file", param=self._name)
        if self._name in _SINGLE and self._name in self._fields:
            raise InvalidRequest(f"The field {self._name} is given twice", param=self._name)
        self._value.clear()

    def _end(self) -> None:
        if self._filename is not None:
            part = FilePart(self._name, self._filename, self._content_type, self._start, self._base)
            self._files.append(part)
            return
        if self._name == "model":
            self._model_span = (self._start, self._base)
        try:
            value = self._value.decode()
        except UnicodeDecodeError:
            raise InvalidRequest(f"The form field {self._name} is not UTF-8", param=self._name) from None
        self._fields.setdefault(self._name, []).append(value)


def _names(disposition: str) -> tuple[str, str | None]:
    """Field and file name of a `Content-Disposition`; no file name: a field."""
    given = [kind.lower() + star for kind, star in _NAMES.findall(_FILENAME.sub(";filename=", disposition))]
    name = _NAME.search(_FILENAME.sub("", disposition))
    # `filename*` beside `filename` is harmless: nobody prices by it.
    once = given.count("name") == 1 and given.count("filename") <= 1 and "name*" not in given
    if not disposition.lower().startswith("form-data") or name is None or not once:
        raise InvalidRequest("A form part does not have one plain name")
    file = _FILENAME.search(disposition)
    filename = (file.group(1) or file.group(2) or "") if file else None
    return name.group(1) or name.group(2) or "", "" if filename is None and "filename*" in given else filename


def read_form(scan: FormScan, operation: Operation) -> Call:
    """What the gateway needs of a transcription, a translation, an image edit or a variation."""
    return _read_images(scan, operation) if operation.startswith("image") else _read_audio(scan, operation)


def _read_audio(scan: FormScan, operation: Operation) -> Call:
    files = [part for part in scan.files if part.name == "file"]
    if len(files) != 1 or len(scan.files) != 1:
        raise InvalidRequest("The form must have exactly one file, named file", param="file")
    prompt = scan.first("prompt")
    return Call(
        operation=operation,
        dialect="openai_transcription",
        model=named(scan.first("model")),
        stream=_flag(scan),
        prompt=Prompt(texts=(prompt,) if prompt else ()),
        prompt_bytes=scan.size,
        response_format=scan.first("response_format"),
    )


def _read_images(scan: FormScan, operation: Operation) -> Call:
    pictures = [part for part in scan.files if part.name in ("image", "image[]", "mask")]
    if not pictures:
        raise InvalidRequest("The form must have a file named image", param="image")
    prompt = scan.first("prompt")
    return Call(
        operation=operation,
        dialect="openai_images",
        model=scan.first("model") or IMAGE_MODEL_DEFAULT,
        stream=_flag(scan),
        prompt=Prompt(texts=(prompt,) if prompt else (), media=tuple(ImageInput() for _ in pictures)),
        prompt_bytes=scan.size,
        choices=whole("n", scan.first("n") or None, least=1, most=CHOICES_MAX) or 1,
        output_modalities=("image",),
        response_format=scan.first("response_format") or scan.first("output_format"),
        size=scan.first("size"),
        quality=scan.first("quality"),
        partial_images=whole("partial_images", scan.first("partial_images") or None, most=100) or 0,
        input_fidelity=scan.first("input_fidelity"),
        end_user=scan.first("user"),
    )


def _flag(scan: FormScan) -> bool:
    value = scan.first("stream").strip().lower()
    if value not in _TRUE and value not in _FALSE:
        raise InvalidRequest("Invalid value for stream: expected true or false", param="stream")
    return value in _TRUE
