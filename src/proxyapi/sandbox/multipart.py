"""Form bodies: fields and files of `multipart/form-data`, read whole."""

from __future__ import annotations

import re
from typing import NamedTuple

from proxyapi.sandbox.reading import Refused

_BOUNDARY = re.compile(r'boundary="?([^";,]+)"?', re.IGNORECASE)
_NAME = re.compile(r'[; ]name="([^"]*)"')
_FILENAME = re.compile(r'filename="([^"]*)"')
_TYPE = re.compile(r"content-type:\s*([^\r\n]+)", re.IGNORECASE)
_PARTS_MAX = 1_000
"""More parts than any form of these APIs has."""


class Upload(NamedTuple):
    filename: str
    media_type: str
    data: bytes


class Form(NamedTuple):
    fields: dict[str, list[str]]
    """Values by name, in order; `name[]` is kept as `name`."""
    files: dict[str, list[Upload]]

    def text(self, name: str, default: str = "") -> str:
        """The last value of a field."""
        values = self.fields.get(name)
        return values[-1] if values else default

    def flag(self, name: str) -> bool:
        return self.text(name).lower() in ("true", "1")


def read_form(body: bytes, content_type: str) -> Form:
    """Refused(400) if the body is no form."""
    match = _BOUNDARY.search(content_type)
    if match is None:
        raise Refused(400, "The multipart form has no boundary")
    fields: dict[str, list[str]] = {}
    files: dict[str, list[Upload]] = {}
    for part in (b"\r\n" + body).split(b"\r\n--" + match[1].strip().encode())[1 : _PARTS_MAX + 1]:
        if part.startswith(b"--"):
            break
        head_bytes, separator, data = part.partition(b"\r\n\r\n")
        head = head_bytes.decode("utf-8", "replace")
        name = _NAME.search(head)
        if not separator or name is None:
            raise Refused(400, "The multipart form has a part without a name")
        key = name[1].removesuffix("[]")
        filename = _FILENAME.search(head)
        if filename is None:
            fields.setdefault(key, []).append(data.decode("utf-8", "replace"))
        else:
            media_type = _TYPE.search(head)
            kind = media_type[1].strip() if media_type else "application/octet-stream"
            files.setdefault(key, []).append(Upload(filename[1], kind, data))
    if not fields and not files:
        raise Refused(400, "The multipart form is empty")
    return Form(fields, files)
