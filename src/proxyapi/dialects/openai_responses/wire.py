"""Items and contents as they stand on the wire, in requests and in replies alike.

Fields that only some kinds of items have stay unread (`Raw`) until their kind is known: an odd one can't hide the rest.
https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects.model import (
    ABSENT,
    Citation,
    DocumentCitation,
    TokenLogprob,
    UrlCitation,
    given,
)
from proxyapi.dialects.stream import lenient


class Annotation(Struct, omit_defaults=True, gc=False):
    type: str | None = None
    url: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None
    index: int | None = None
    file_id: str | None = None
    filename: str | None = None
    container_id: str | None = None


class Logprob(Struct, gc=False):
    token: str
    logprob: float
    bytes: list[int] | None = None
    top_logprobs: list[Logprob] | None = None


class Content(Struct, gc=False):
    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    annotations: list[Raw] | None = None
    logprobs: Raw = ABSENT


class Item(Struct, gc=False):
    """What all kinds of items share, and what the usual ones have."""

    type: str | None = None
    id: str | None = None
    status: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    caller: Raw = ABSENT
    content: list[Content] | None = None
    summary: list[Content] | None = None
    encrypted_content: str | None = None
    arguments: Raw = ABSENT
    """A text of JSON; of a tool search an object."""
    input: str | None = None
    action: Raw = ABSENT
    container_id: str | None = None


class Details(Struct, gc=False):
    """What only the rarer kinds have."""

    actions: Raw = ABSENT
    operation: Raw = ABSENT
    environment: Raw = ABSENT
    code: str | None = None
    outputs: Raw = ABSENT
    queries: list[str] | None = None
    results: Raw = ABSENT
    server_label: str | None = None
    output: Raw = ABSENT
    error: Raw = ABSENT
    result: Raw = ABSENT
    """A picture in base64, or what a program returned."""
    output_format: str | None = None
    revised_prompt: str | None = None
    execution: str | None = None


class Typed(Struct, gc=False):
    """The kind of any object."""

    type: str | None = None
    caller_id: str | None = None


ITEM = msgspec.json.Decoder(Item)
CONTENT = msgspec.json.Decoder(Content)
_DETAILS = msgspec.json.Decoder(Details)
TYPED = msgspec.json.Decoder(Typed)
ANNOTATION = msgspec.json.Decoder(Annotation)
_LOGPROBS = msgspec.json.Decoder(list[Logprob])
_STRING = msgspec.json.Decoder(str)


def text_of(raw: Raw) -> str:
    """A JSON string as its text, anything else as its JSON; nothing for null or absent."""
    if not given(raw):
        return ""
    data = bytes(raw)
    return lenient(_STRING, data) or "" if data.startswith(b'"') else data.decode("utf-8", "replace")


def details_of(raw: Raw) -> Details:
    return lenient(_DETAILS, raw) or Details()


def kind_of(raw: Raw) -> str:
    """The `type` of an object; empty: it is none, or has none."""
    typed = lenient(TYPED, raw) if given(raw) else None
    return (typed.type or "") if typed else ""


def caller_of(raw: Raw) -> str:
    """Id of the program that made a call; empty: the model itself did."""
    typed = lenient(TYPED, raw) if given(raw) else None
    return (typed.caller_id or "") if typed else ""


def citations(raws: Iterable[Raw]) -> Iterable[Citation]:
    for raw in raws:
        wire = lenient(ANNOTATION, raw)
        if wire is not None:
            yield citation(wire)


def citation(wire: Annotation) -> Citation:
    if wire.type == "url_citation":
        return UrlCitation(wire.url or "", wire.title or "", wire.start_index, wire.end_index)
    position = wire.index if wire.index is not None else wire.start_index
    return DocumentCitation(
        "file",
        position or 0,
        wire.start_index or 0,
        wire.end_index or 0,
        title=wire.filename or "",
        file_id=wire.file_id or "",
        container_id=wire.container_id or "",
    )


def annotation(cited: Citation, length: int) -> dict[str, Any]:
    """A citation of a text of `length` characters; one without a span is about all of it."""
    if isinstance(cited, UrlCitation):
        return {
            "type": "url_citation",
            "start_index": 0 if cited.start is None else cited.start,
            "end_index": length if cited.end is None else cited.end,
            "url": cited.url,
            "title": cited.title,
        }
    if cited.container_id:
        return {
            "type": "container_file_citation",
            "container_id": cited.container_id,
            "file_id": cited.file_id,
            "filename": cited.title,
            "start_index": cited.start,
            "end_index": cited.end,
        }
    if cited.file_id and not cited.title:
        return {"type": "file_path", "file_id": cited.file_id, "index": cited.index}
    return {"type": "file_citation", "file_id": cited.file_id, "filename": cited.title, "index": cited.index}


def logprobs(raw: Raw) -> tuple[TokenLogprob, ...]:
    found = lenient(_LOGPROBS, raw) if given(raw) and len(raw) > 2 else None
    return token_logprobs(found or ())


def token_logprobs(wire: Iterable[Logprob]) -> tuple[TokenLogprob, ...]:
    return tuple(
        TokenLogprob(
            token.token,
            token.logprob,
            None if token.bytes is None else tuple(token.bytes),
            token_logprobs(token.top_logprobs or ()),
        )
        for token in wire
    )


def wire_logprobs(tokens: Iterable[TokenLogprob]) -> list[dict[str, Any]]:
    """Of a content: with the bytes of each token, which deltas leave out."""
    return [
        {
            "token": token.token,
            "bytes": list(token.token.encode() if token.bytes is None else token.bytes),
            "logprob": token.logprob,
            "top_logprobs": [
                {
                    "token": other.token,
                    "bytes": list(other.token.encode() if other.bytes is None else other.bytes),
                    "logprob": other.logprob,
                }
                for other in token.top
            ],
        }
        for token in tokens
    ]
