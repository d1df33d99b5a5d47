"""What a reply of Chat Completions holds beside its texts and calls: citations, pictures, proofs, probabilities.

All of it is read leniently: what is odd is not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects.model import (
    ABSENT,
    Citation,
    DocumentCitation,
    Inline,
    Link,
    ReasoningState,
    TokenLogprob,
    UrlCitation,
)
from proxyapi.dialects.openai_chat.details import kind_of
from proxyapi.dialects.openai_chat.reply_wire import Logprobs
from proxyapi.dialects.stream import lenient

# --- probabilities ------------------------------------------------------------------------------------------------


class _Token(Struct):
    token: str
    logprob: float
    bytes: tuple[int, ...] | None = None
    top_logprobs: list[_Token] | None = None


_TOKENS = msgspec.json.Decoder(list[_Token] | None)


def token_logprobs(wire: Logprobs) -> Iterator[tuple[Literal["text", "refusal", "thinking"], tuple[TokenLogprob, ...]]]:
    """By the kind of part that the tokens are of."""
    for kind, raw in (("text", wire.content), ("refusal", wire.refusal), ("thinking", wire.reasoning_content)):
        if raw is not ABSENT and (tokens := lenient(_TOKENS, raw)):
            yield kind, tuple(_token(token) for token in tokens)  # type: ignore[misc]


def _token(wire: _Token) -> TokenLogprob:
    top = tuple(_token(token) for token in wire.top_logprobs or ())
    return TokenLogprob(wire.token, wire.logprob, wire.bytes, top)


# --- sources ------------------------------------------------------------------------------------------------------


class _Source(Struct):
    url: str
    title: str | None = None


_ADDRESSES = msgspec.json.Decoder(list[str])
_SOURCES = msgspec.json.Decoder(list[_Source])


def citation(note: dict[str, Any]) -> Citation | None:
    """Of an annotation. None: it is of a kind that nobody else knows."""
    page, file = note.get("url_citation"), note.get("file_citation")
    if isinstance(page, dict):
        start, end = _number(page, "start_index"), _number(page, "end_index")
        if not end:
            # OpenRouter's zeros are no span: the source is one of all of the text.
            start = end = None
        return UrlCitation(_word(page, "url"), _word(page, "title"), start, end, _word(page, "content"))
    if isinstance(file, dict):
        index, title = _number(file, "index") or 0, _word(file, "filename")
        return DocumentCitation("file", index, title=title, file_id=_word(file, "file_id"), quote=_word(file, "quote"))
    return None


def web_sources(citations: Raw, results: Raw) -> Iterator[UrlCitation]:
    """Perplexity's: sources of the whole answer, by address; some have a title in the list of search results."""
    addresses = lenient(_ADDRESSES, citations)
    if addresses:
        titles = {source.url: source.title or "" for source in lenient(_SOURCES, results) or ()}
        for address in addresses:
            yield UrlCitation(address, titles.get(address, ""))


def _word(wire: dict[str, Any], name: str) -> str:
    value = wire.get(name)
    return value if isinstance(value, str) else ""


def _number(wire: dict[str, Any], name: str) -> int | None:
    value = wire.get(name)
    return value if type(value) is int else None


# --- pictures -----------------------------------------------------------------------------------------------------


def image_source(wire: dict[str, Any]) -> Inline | Link:
    """Without its data, which follow."""
    url = _image_url(wire)
    return Inline("", url[5 : url.find(";")]) if url.startswith("data:") else Link(url)


def image_data(wire: dict[str, Any]) -> str:
    url = _image_url(wire)
    return url.partition(",")[2] if url.startswith("data:") else ""


def _image_url(wire: dict[str, Any]) -> str:
    address = wire.get("image_url")
    url = address.get("url") if isinstance(address, dict) else address
    return url if isinstance(url, str) else ""


# --- proofs of reasoning ------------------------------------------------------------------------------------------


def signature(extra: dict[str, Any]) -> ReasoningState | None:
    """Google's, in `extra_content`: https://ai.google.dev/gemini-api/docs/thought-signatures"""
    google = extra.get("google")
    data = _word(google, "thought_signature") if isinstance(google, dict) else ""
    return ReasoningState("google_signature", data) if data else None


def proof_of(detail: dict[str, Any]) -> ReasoningState | None:
    """Of an element of `reasoning_details`. None: it is text alone."""
    data = _word(detail, "signature") or _word(detail, "data")
    if not data:
        return None
    is_encrypted = detail.get("type") == "reasoning.encrypted"
    return ReasoningState(kind_of(_word(detail, "format"), is_encrypted=is_encrypted), data, id=_word(detail, "id"))
