"""What a request's JSON says, as typed values, and the refusal of a request that says something wrong."""

from __future__ import annotations

import base64
import hashlib
from typing import cast

import msgspec

JsonObject = dict[str, object]

MISSING = "missing_required_parameter"
"""OpenAI's code for it."""


class Refused(Exception):
    """The request is answered with an error; the dialect's shape comes later."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code


def read_object(body: bytes) -> JsonObject:
    """The body as a JSON object; Refused(400) if it is none."""
    try:
        value = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise Refused(400, f"We could not parse the JSON body of your request: {error}") from error
    except UnicodeDecodeError as error:
        raise Refused(400, "The JSON body of your request is not UTF-8") from error
    if not isinstance(value, dict):
        raise Refused(400, "The body of your request must be a JSON object")
    return cast(JsonObject, value)


def as_object(value: object) -> JsonObject:
    """An object, or an empty one."""
    return cast(JsonObject, value) if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    """A list, or an empty one."""
    return cast("list[object]", value) if isinstance(value, list) else []


def as_objects(value: object) -> list[JsonObject]:
    """The objects of a list; what is no object is left out."""
    return [cast(JsonObject, item) for item in as_list(value) if isinstance(item, dict)]


def as_text(value: object, default: str = "") -> str:
    return value if isinstance(value, str) else default


def as_int(value: object) -> int | None:
    """A whole number; a float with a whole value counts, a boolean does not."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, float) and value == int(value) else None


def as_strings(value: object) -> tuple[str, ...]:
    """One string or a list of them, as a tuple."""
    if isinstance(value, str):
        return (value,)
    return tuple(item for item in as_list(value) if isinstance(item, str))


def either(body: JsonObject, *names: str) -> object:
    """The first of the spellings that is there: Gemini takes camelCase and snake_case."""
    for name in names:
        if body.get(name) is not None:
            return body[name]
    return None


def encode(value: object) -> bytes:
    """Compact JSON, keys in the order they were put in."""
    return msgspec.json.encode(value)


def encode_text(value: object) -> str:
    return msgspec.json.encode(value).decode()


class Ids:
    """Ids and numbers that depend on nothing but the request."""

    _ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

    def __init__(self, *parts: bytes) -> None:
        digest = hashlib.blake2b(digest_size=16)
        for part in parts:
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
        self._root = digest.digest()

    def _digest(self, label: str, size: int) -> bytes:
        return hashlib.shake_256(self._root + label.encode()).digest(size)

    def word(self, label: str, length: int) -> str:
        """Letters and digits."""
        return "".join(self._ALPHABET[byte % 62] for byte in self._digest(label, length))

    def hex(self, label: str, length: int) -> str:
        return self._digest(label, (length + 1) // 2).hex()[:length]

    def number(self, label: str, below: int) -> int:
        return int.from_bytes(self._digest(label, 8), "big") % below

    def opaque(self, label: str, length: int) -> str:
        """Base64 that looks like a signature or an encrypted text."""
        return base64.b64encode(self._digest(label, length)).decode()

    @property
    def created_at(self) -> int:
        """A time in 2025 that is always the same for the same request."""
        return 1_750_000_000 + self.number("created", 10_000_000)
