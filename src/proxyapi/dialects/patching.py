"""Changes a request's bytes in place: the few that the gateway must change, and not one more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from proxyapi.dialects.fields import Member, elements, members, place
from proxyapi.errors import InvalidRequest


class Edit(NamedTuple):
    start: int
    end: int
    """One past the last byte replaced; equal to `start`: an insertion."""
    text: bytes


class _Named(msgspec.Struct):
    model: str | None = None


_NAMED = msgspec.json.Decoder(_Named)
_encode = msgspec.json.Encoder().encode
_MODEL = (b'"model":', b'"model": ')
"""As libraries write it: the official SDKs, and Python's own."""
_USAGE = b'"include_usage":true'


def apply(body: bytes, edits: Sequence[Edit], *, model: str | None = None) -> bytes:
    """The body with the edits; `model`: which model it must name then, or else it is refused rather than sent."""
    for edit in sorted(edits, reverse=True):
        body = b"".join((body[: edit.start], edit.text, body[edit.end :]))
    if model is not None and _NAMED.decode(body).model != model:
        raise InvalidRequest("The field model cannot be rewritten", param="model")
    return body


def include_usage(body: bytes) -> Edit:
    """`stream_options.include_usage: true`, beside whatever options are there."""
    options = place(body, "stream_options")
    if options is None:
        return insertion(body, 0, b'"stream_options":{%b}' % _USAGE)
    if body[options.value : options.value + 1] != b"{":
        return Edit(options.value, options.end, b"{%b}" % _USAGE)
    inside = members(body, options.value)
    if asked := _find(inside, "include_usage"):
        return Edit(asked.value, asked.end, b"true")
    return insertion(body, options.value, _USAGE, alone=not inside)


def image_urls(body: bytes) -> list[Edit]:
    """Every `image_url` of a message that is a plain string becomes `{"url": …}`."""
    edits: list[Edit] = []
    messages = place(body, "messages")
    for at, _ in elements(body, messages.value) if messages else ():
        content = _find(members(body, at), "content")
        if content is None or body[content.value : content.value + 1] != b"[":
            continue
        for part, _ in elements(body, content.value):
            image = _find(members(body, part), "image_url") if body[part : part + 1] == b"{" else None
            if image is not None and body[image.value : image.value + 1] == b'"':
                edits.append(Edit(image.value, image.value, b'{"url":'))
                edits.append(Edit(image.end, image.end, b"}"))
    return edits


def _find(found: list[Member], name: str) -> Member | None:
    """The last of that name: what a decoder takes too."""
    return next((member for member in reversed(found) if member.name == name), None)


def insertion(body: bytes, at: int, member: bytes, *, alone: bool = False) -> Edit:
    """A member at the head of the object that begins at or after `at`; `alone`: there is no other."""
    brace = body.index(b"{", at) + 1
    return Edit(brace, brace, member if alone else member + b",")


def renamed(body: bytes, old: str, new: str) -> bytes:
    """The body with another model's name; untouched if it is the same. read() made sure that there is at most one."""
    if old == new:
        return body
    called, name = _encode(old), _encode(new)
    for before in _MODEL:
        at = body.find(before + called)
        if at < 0:
            continue
        start = at + len(before)
        changed = b"".join((body[:start], name, body[start + len(called) :]))
        # Right behind the brace it can be nothing else; further on it may be a member of something inside.
        if at == 1 or _NAMED.decode(changed).model == new:
            return changed
    member = place(body, "model")
    edit = Edit(member.value, member.end, name) if member else insertion(body, 0, b'"model":' + name)
    return apply(body, (edit,), model=new)
