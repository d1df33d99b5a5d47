"""Reads JSON bodies strictly where money depends on it: typed, each field once, every number within reason.

`read` methods decode a body twice: once into a typed Struct of the few fields they need, and once into its top-level
members, to prove that no field that is read stands there twice. Both passes skip what they don't need at about
2 GB/s. The usual small request, a few texts and settings, has a Struct of its own (`plain`), which spares the search
for everything else that a request may hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn, TypeVar

import msgspec
from msgspec import Raw

from proxyapi.dialects.model import ABSENT, given
from proxyapi.errors import InvalidRequest

PLAIN_BYTES_MAX = 32_768
"""Larger bodies are read in full at once: there the saving is lost in the noise."""
CHOICES_MAX = 128
"""OpenAI's own limit of `n`; nobody allows more."""
TOKENS_MAX = 2**31 - 1
"""Providers keep token counts in 32 bits."""

T = TypeVar("T")

_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
_PATH = re.compile(r"^(.*?)(?: - at `(?:key in )?\$\.?(.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"missing required field `([^`]+)`")
_SPACE = re.compile(r"[ \t\r\n]*")
_SCAN: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder(strict=False, parse_int=str).scan_once  # type: ignore[attr-defined]
"""The C scanner of the standard library: a value and where it ends. Undocumented, and there since Python 2.6."""
_ENUM = '"enum":['
_ITEMS = re.compile(r'((?:[^"\]]|"(?:[^"\\]|\\.)*")*)\]')
_ENCODER = msgspec.json.Encoder()


# --- decoding -----------------------------------------------------------------------------------------------------


def decode(decoder: msgspec.json.Decoder[T], body: bytes | Raw) -> T:
    """The typed fields of a request body. InvalidRequest names the field, or the place where the JSON breaks."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        _mistyped(str(error))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The request body is not valid JSON: {error}") from None
    except RecursionError:
        raise InvalidRequest("The request body is not valid JSON: it is nested too deeply") from None


def within(decoder: msgspec.json.Decoder[T], raw: Raw, place: str) -> T:
    """The typed fields of a value somewhere in the body. InvalidRequest names its place."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        _mistyped(str(error), place)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"Invalid value for {place}: {error}", param=place) from None


def _mistyped(text: str, place: str = "") -> NoReturn:
    match = _PATH.match(text)
    what, path = (match.group(1), match.group(2) or "") if match else (text, "")
    path = path.replace("[...]", "[]")
    if place:
        path = f"{place}{'' if not path or path.startswith('[') else '.'}{path}"
    if missing := _MISSING.search(what):
        param = f"{path}.{missing.group(1)}" if path else missing.group(1)
        raise InvalidRequest(f"Missing required field: {param}", param=param)
    if not path:
        raise InvalidRequest(f"The request body must be a JSON object: {what}")
    raise InvalidRequest(f"Invalid value for {path}: {what}", param=path)


def whole(name: str, value: float | str | None, *, least: int = 0, most: int = TOKENS_MAX) -> int | None:
    """A whole number within its bounds; `10.0` and, as protobuf's JSON allows, `"10"` are whole."""
    if value is None or (type(value) is int and least <= value <= most):
        return value
    try:
        number = int(value)
    except (ValueError, OverflowError):
        number = least - 1
    if isinstance(value, float) and number != value:
        number = least - 1
    if not least <= number <= most:
        raise InvalidRequest(f"Invalid value for {name}: expected a whole number from {least} to {most}", param=name)
    return number


def named(model: str | None) -> str:
    """A model name that is there."""
    if not model:
        raise InvalidRequest("Missing required field: model", param="model")
    return model


def plain(decoder: msgspec.json.Decoder[T], body: bytes, *, ours: bool = False) -> T | None:
    """A request with nothing but the usual fields in their usual types, none twice. None: it is to be read in full.

    The decoder forbids unknown names, so no odd spelling gets by; and what was read has to fill the body to the byte
    when it is written as briefly as JSON allows, or else its members have. So its Structs leave out what is a default,
    and have no floats: `1e9` is shorter than what is written of it. `ours`: the gateway wrote it, each field once.
    """
    if len(body) > PLAIN_BYTES_MAX or body.find(b'"tools"') >= 0:
        return None
    try:
        wire = decoder.decode(body)
        whole = ours or len(body) == len(_ENCODER.encode(wire)) or _layout(body, _MEMBERS.decode(body))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return wire if whole else None


# --- no field twice -----------------------------------------------------------------------------------------------


class Member(NamedTuple):
    name: str
    start: int
    """Position of the name's opening quote."""
    value: int
    """Position of the value."""
    end: int
    """One past the value."""


@lru_cache(maxsize=64)
def _lowered(watched: frozenset[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in watched)


def once(body: bytes | Raw, watched: frozenset[str], *, within: str = "") -> dict[str, Raw]:
    """The members of a JSON object, none of `watched` given twice, however its name is spelled (`"\\u006dodel"`)."""
    top = decode(_MEMBERS, body)
    if not watched.issuperset(top):
        for name in top:
            if name not in watched and name.lower() in _lowered(watched):
                # Some decoders (Go's) match names in any case: the provider would take it for the field.
                raise InvalidRequest(f"Unknown field: {name}; names are spelled as documented", param=name)
    if not _layout(body, top):
        seen = set[str]()
        for member in members(bytes(body)):
            if member.name in seen and member.name in watched:
                name = f"{within}.{member.name}" if within else member.name
                raise InvalidRequest(f"The field {name} is given twice", param=name)
            seen.add(member.name)
    return top


def single(top: Mapping[str, Raw], *spellings: tuple[str, str]) -> None:
    """Of two spellings of one field at most one may be there."""
    for one, other in spellings:
        if one in top and other in top:
            raise InvalidRequest(f"The field {one} is given twice, also as {other}", param=one)


def place(body: bytes, name: str) -> Member | None:
    """Where the member of that name stands in the JSON object; None: it is not there."""
    top = decode(_MEMBERS, body)
    if name not in top:
        return None
    gap = _layout(body, top)
    if not gap:
        return next((member for member in reversed(members(body)) if member.name == name), None)
    start = body.index(b"{") + 1
    for key, raw in top.items():
        value = start + len(_ENCODER.encode(key)) + gap
        if key == name:
            return Member(name, start, value, value + len(raw))
        start = value + len(raw) + gap
    return None


def _layout(body: bytes | Raw, top: Mapping[str, Raw]) -> int:
    """1 or 2: the body is exactly its distinct members, parted by `:` and `,` or by `: ` and `, `: none is hidden.

    0: it is written otherwise, and has to be looked through.
    """
    if len(body) == len(_ENCODER.encode(top)):
        # The least that these members can take: not a byte is left for another one.
        return 1
    spaced = b", ".join([b'"%b": %b' % (name.encode(), value) for name, value in top.items()])
    return 2 if bytes(body).strip() == b"{%b}" % spaced else 0


def members(body: bytes, at: int = 0) -> list[Member]:
    """Every member of the JSON object at `at`, duplicates included, with its place in the bytes."""
    text = body.decode("latin-1")
    found: list[Member] = []
    try:
        at = _skip(text, at, "{")
        if text[at] == "}":
            return found
        while True:
            name, end = _SCAN(text, at)
            value = _skip(text, _space(text, end), ":")
            _, end = _SCAN(text, value)
            found.append(Member(str(name), at, value, end))
            at = _space(text, end)
            if text[at] == "}":
                return found
            at = _skip(text, at, ",")
    except (ValueError, StopIteration, IndexError, RecursionError):
        raise InvalidRequest("The request body is not valid JSON") from None


def elements(body: bytes, at: int) -> list[tuple[int, int]]:
    """Places of the elements of the JSON array at `at`."""
    text = body.decode("latin-1")
    found: list[tuple[int, int]] = []
    try:
        at = _skip(text, at, "[")
        if text[at] == "]":
            return found
        while True:
            _, end = _SCAN(text, at)
            found.append((at, end))
            at = _space(text, end)
            if text[at] == "]":
                return found
            at = _skip(text, at, ",")
    except (ValueError, StopIteration, IndexError, RecursionError):
        raise InvalidRequest("The request body is not valid JSON") from None


def _space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _skip(text: str, at: int, mark: str) -> int:
    at = _space(text, at)
    if text[at] != mark:
        raise ValueError(mark)
    return _space(text, at + 1)


# --- text that is tokenised ---------------------------------------------------------------------------------------


def compact(raw: Raw | bytes) -> str:
    """JSON as providers tokenise it: no blanks, no escapes that are not needed."""
    data = bytes(raw)
    try:
        if b"\\" in data and b"\\u" in data:
            return _ENCODER.encode(msgspec.json.decode(data)).decode("utf-8", "replace")
        return msgspec.json.format(data, indent=-1).decode("utf-8", "replace")
    except (msgspec.DecodeError, RecursionError):
        return data.decode("utf-8", "replace")


def enum_items(text: str) -> int:
    """Items of all enums in compact JSON schemas. (A comma inside an item counts as another item.)"""
    items = at = 0
    while (at := text.find(_ENUM, at)) >= 0:
        at += len(_ENUM)
        found = text[at : text.find("]", at)]
        if found.count('"') % 2 or "\\" in found:
            # A bracket inside an item: look at every character.
            match = _ITEMS.match(text, at)
            found = match.group(1) if match else ""
        if found:
            items += found.count(",") + 1
    return items


def as_text(value: Any) -> str:
    """A string as it is, anything else as JSON."""
    return value if isinstance(value, str) else _ENCODER.encode(value).decode()


def data_url(url: str) -> tuple[str, str]:
    """Base64 text and media type of a `data:` URL; two empty strings for any other address."""
    if not url.startswith("data:"):
        return "", ""
    comma = url.find(",", 0, 512)
    if comma < 0:
        return "", ""
    media_type, _, encoding = url[5:comma].partition(";")
    return (url[comma + 1 :], media_type) if encoding.endswith("base64") else ("", media_type)


# --- tools --------------------------------------------------------------------------------------------------------


class ToolHead(msgspec.Struct):
    """What tells a hosted tool from a function."""

    type: str | None = None
    name: str | None = None
    max_uses: int | float | None = None
    search_context_size: str | None = None
    quality: str | None = None
    size: str | None = None
    model: str | None = None
    partial_images: int | float | None = None
    container: str | dict[str, Any] | None = None
    environment: str | dict[str, Any] | None = None
    vector_store_ids: list[str] | None = None
    input_image_mask: dict[str, Any] | None = None
    input_fidelity: str | None = None
    max_num_results: int | float | None = None
    parameters: Raw = ABSENT
    """Settings of OpenRouter's hosted tools; of a function its schema."""


_HEADS = msgspec.json.Decoder(list[ToolHead])


def tool_heads(tools: Raw, path: str = "tools") -> list[ToolHead]:
    """The types and limits of declared tools."""
    if not given(tools):
        return []
    try:
        return _HEADS.decode(tools)
    except msgspec.ValidationError as error:
        text = str(error)
        _mistyped(text.replace("`$", f"`$.{path}", 1) if " - at `$" in text else f"{text} - at `$.{path}`")
    except (msgspec.DecodeError, RecursionError):
        raise InvalidRequest(f"Invalid value for {path}", param=path) from None


def objects_in(container: str | dict[str, Any] | None) -> list[str]:
    """Ids of the upstream account's objects that a container names: itself, files, and skills that were uploaded.

    Skills of the vendor have plain names, as `pptx`, and belong to everybody.
    """
    if not isinstance(container, dict):
        return [container] if container else []
    files, skills = (value if isinstance(value := container.get(name), list) else [] for name in ("file_ids", "skills"))
    own = (skill.get("skill_id") for skill in skills if isinstance(skill, dict))
    found = [container.get("id"), container.get("container_id"), *files]
    found += [id for id in own if isinstance(id, str) and id.startswith("skill_")]
    return [id for id in found if isinstance(id, str)]


class _Settings(msgspec.Struct):
    model: str | None = None


_SETTINGS = msgspec.json.Decoder(_Settings)


def advisor_model(head: ToolHead) -> str:
    """Whom a hosted advisor tool asks; empty: not said."""
    if not head.model and given(head.parameters):
        try:
            return _SETTINGS.decode(head.parameters).model or ""
        except msgspec.MsgspecError:
            return ""
    return head.model or ""


# --- caches -------------------------------------------------------------------------------------------------------


_LETTER_ESCAPE = re.compile(rb"\\u00[4-7]", re.IGNORECASE)
"""A letter that needs no escape: nobody writes it so but to hide a name."""
_CONTROL = re.compile(rb'"cache_control"\s*:\s*\{([^{}]*)\}')
_LIFETIME = re.compile(rb'"ttl"\s*:\s*"(\d{1,6})([smhd])"')
_RETENTION = re.compile(rb'"prompt_cache_retention"\s*:\s*"(\d{1,6})([smhd])"')
_OPTIONS = re.compile(rb'"prompt_cache_options"\s*:\s*\{([^{}]*)\}')
_SECONDS = {b"s": 1, b"m": 60, b"h": 3_600, b"d": 86_400}
_LIFETIMES = ((300, "5m"), (1_800, "30m"), (3_600, "1h"))


def cache_writes(body: bytes) -> str:
    """The longest cache lifetime that a body asks for anywhere, as `Call.cache_writes`; empty: none.

    Looks at the bytes. Quotes inside a text are escaped, so no text is taken for a field; a tool's parameter of that
    name is, which only makes the hold larger.
    """
    if b"\\u00" in body and _LETTER_ESCAPE.search(body):
        body = _ENCODER.encode(msgspec.json.decode(body))
    longest = 0
    if b'"cache_control"' in body:
        for options in _CONTROL.findall(body):
            longest = max(longest, 300, *(_seconds(found) for found in _LIFETIME.findall(options)))
    if b'"prompt_cache_' in body:
        found = _RETENTION.findall(body)
        for options in _OPTIONS.findall(body):
            found += _LIFETIME.findall(options)
        longest = max(longest, *map(_seconds, found), 0)
    if not longest:
        return ""
    return next((name for most, name in _LIFETIMES if longest <= most), "12h")


def _seconds(found: tuple[bytes, bytes]) -> int:
    return int(found[0]) * _SECONDS[found[1]]


def either(one: int | None, other: int | None) -> int | None:
    """The first of two values that was said."""
    return other if one is None else one
