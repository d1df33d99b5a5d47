"""Gemini: sources of an answer as citations, and back. https://ai.google.dev/api/generate-content#GroundingMetadata

Google tells sources after the text: a list of them, and for segments of the text, counted in UTF-8 bytes, which ones
support it. Citations count code points within their part.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from proxyapi.dialects.model import (
    Citation,
    DocumentCitation,
    SearchResult,
    UrlCitation,
    given,
)
from proxyapi.dialects.stream import lenient

SUPPORTS_MAX = 1_000
"""The largest recorded answer has 61."""


class _Web(Struct):
    uri: str | None = None
    title: str | None = None


class _Context(Struct, rename="camel"):
    uri: str | None = None
    title: str | None = None
    text: str | None = None
    document_name: str | None = None
    file_search_store: str | None = None


class _Image(Struct, rename="camel"):
    source_uri: str | None = None
    title: str | None = None


class _Chunk(Struct, rename="camel"):
    web: _Web | None = None
    maps: _Web | None = None
    image: _Image | None = None
    retrieved_context: _Context | None = None


class _Segment(Struct, rename="camel"):
    start_index: int | None = None
    end_index: int | None = None
    text: str | None = None


class _Support(Struct, rename="camel"):
    segment: _Segment | None = None
    grounding_chunk_indices: list[int] | None = None


class _Grounding(Struct, rename="camel"):
    grounding_chunks: list[_Chunk] | None = None
    grounding_supports: list[_Support] | None = None
    web_search_queries: list[str] | None = None


class _Citation(Struct, rename="camel"):
    uri: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class _Citations(Struct, rename="camel"):
    citations: list[_Citation] | None = None
    citation_sources: list[_Citation] | None = None
    """The name in the Gemini API; Vertex has the other one."""


_GROUNDING = msgspec.json.Decoder(_Grounding)
_CITATIONS = msgspec.json.Decoder(_Citations)


class Support(NamedTuple):
    """A source, and the segment of the answer that it supports, in bytes."""

    source: Citation
    start: int
    end: int
    """Not after `start`: of the whole answer."""
    text: str


class Sources(NamedTuple):
    """What one `groundingMetadata` tells."""

    queries: tuple[str, ...]
    pages: tuple[SearchResult, ...]
    supports: tuple[Support, ...]


def read(raw: Raw) -> Sources:
    wire = lenient(_GROUNDING, raw) or _Grounding()
    chunks = [_source(chunk) for chunk in wire.grounding_chunks or ()]
    supports: list[Support] = []
    named: set[int] = set()
    for support in (wire.grounding_supports or ())[:SUPPORTS_MAX]:
        segment = support.segment or _Segment()
        for index in support.grounding_chunk_indices or ():
            if 0 <= index < len(chunks) and (source := chunks[index]) is not None:
                named.add(index)
                supports.append(Support(source, segment.start_index or 0, segment.end_index or 0, segment.text or ""))
    for index, source in enumerate(chunks[:SUPPORTS_MAX]):
        if source is not None and index not in named:
            supports.append(Support(source, 0, 0, ""))
    pages = (source for source in chunks if isinstance(source, UrlCitation))
    return Sources(
        tuple(query for query in wire.web_search_queries or () if query),
        tuple(SearchResult(page.url, page.title, ()) for page in pages),
        tuple(supports),
    )


def read_citations(raw: Raw) -> tuple[Support, ...]:
    """`citationMetadata`: texts of others that the answer repeats. Google tells each several times."""
    wire = lenient(_CITATIONS, raw) if given(raw) else None
    if wire is None:
        return ()
    found = (wire.citations or wire.citation_sources or ())[:SUPPORTS_MAX]
    supports = (
        Support(UrlCitation(one.uri, one.title or ""), one.start_index or 0, one.end_index or 0, "")
        for one in found
        if one.uri
    )
    return tuple(dict.fromkeys(supports))


def _source(chunk: _Chunk) -> Citation | None:
    if (page := chunk.web or chunk.maps) and page.uri:
        return UrlCitation(page.uri, page.title or "")
    if chunk.image and chunk.image.source_uri:
        return UrlCitation(chunk.image.source_uri, chunk.image.title or "")
    if context := chunk.retrieved_context:
        name, store = context.document_name or "", context.file_search_store or ""
        return DocumentCitation(
            "file", 0, quote=context.text or "", title=context.title or "", file_id=context.uri or name, source=store
        )
    return None


def place(supports: Sequence[Support], text: str, base: int) -> tuple[list[Citation], list[Support]]:
    """Citations of the supports that speak of this part of the answer, and the other supports.

    `base`: bytes of the parts before it. Offsets are counted from the beginning of the answer in some replies, from
    that of the part in others: the text of the segment tells.
    """
    data = text.encode()
    points = _Points(data)
    citations: list[Citation] = []
    rest: list[Support] = []
    for support in supports:
        span = _span(support, data, base)
        if span is None:
            rest.append(support)
        else:
            citations.append(_spanning(support, points.at(span[0]), points.at(span[1])))
    return citations, rest


def unplaced(support: Support) -> Citation:
    """A source whose segment is not to be found."""
    if isinstance(support.source, UrlCitation):
        return replace(support.source, quote=support.text)
    return support.source


def _span(support: Support, data: bytes, base: int) -> tuple[int, int] | None:
    start, end = support.start, support.end
    if end <= start:
        return None
    wanted = support.text.encode()
    for first, last in ((start - base, end - base), (start, end)):
        if 0 <= first < last <= len(data) and wanted in (b"", data[first:last]):
            return first, last
    at = data.find(wanted) if wanted else -1
    return (at, at + len(wanted)) if at >= 0 else None


def _spanning(support: Support, start: int, end: int) -> Citation:
    if isinstance(support.source, UrlCitation):
        return replace(support.source, start=start, end=end, quote=support.text)
    return replace(support.source, index=end)


class _Points:
    """Code points before a byte. Segments come in order mostly, so the last place is remembered."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._plain = data.isascii()
        self._byte = self._point = 0

    def at(self, byte: int) -> int:
        if self._plain:
            return byte
        if byte < self._byte:
            self._byte = self._point = 0
        self._point += len(self._data[self._byte : byte].decode("utf-8", "ignore"))
        self._byte = byte
        return self._point


# --- citations to grounding ---------------------------------------------------------------------------------------


class Grounds:
    """The sources of one answer as they come, for the end of it."""

    def __init__(self) -> None:
        self.queries: dict[str, None] = {}
        self._sources: dict[Any, int] = {}
        """Positions of the chunks, by the address of the page or by all of the chunk."""
        self._chunks: list[dict[str, Any]] = []
        self._cited: list[tuple[int, Citation]] = []
        self._texts: dict[int, list[str]] = {}

    def begin(self, part: int) -> list[str]:
        """Where the text of a part is to be kept; parts come one after another."""
        return self._texts.setdefault(part, [])

    def cite(self, part: int, citation: Citation) -> None:
        self._cited.append((part, citation))

    def search(self, queries: Iterable[str], pages: Iterable[SearchResult]) -> None:
        self.queries |= dict.fromkeys(queries)
        for page in pages:
            if page.source:
                self._chunk({"web": _named(uri=page.source, title=page.title)})

    def metadata(self) -> dict[str, Any]:
        """`groundingMetadata`; empty where nothing is cited."""
        supports = self._supports() if self._cited else []
        wire: dict[str, Any] = {}
        if self.queries:
            wire["webSearchQueries"] = list(self.queries)
        if self._chunks:
            wire["groundingChunks"] = self._chunks
        if supports:
            wire["groundingSupports"] = supports
        return wire

    def _supports(self) -> list[dict[str, Any]]:
        bases: dict[int, tuple[int, str]] = {}
        base = 0
        for part, pieces in self._texts.items():
            text = "".join(pieces)
            bases[part] = base, text
            base += len(text.encode())
        found: list[dict[str, Any]] = []
        for part, citation in self._cited:
            index = self._chunk(_chunk(citation))
            base, text = bases.get(part, (0, ""))
            segment = _segment(citation, base, text)
            if segment is None:
                continue
            if found and found[-1]["segment"] == segment:
                found[-1]["groundingChunkIndices"].append(index)
            else:
                found.append({"segment": segment, "groundingChunkIndices": [index]})
        return found

    def _chunk(self, chunk: dict[str, Any]) -> int:
        """Of a page the first time that it is named; only some who name it know its title."""
        page = chunk.get("web", {})
        key = page.get("uri") or msgspec.json.encode(chunk)
        if key not in self._sources:
            self._sources[key] = len(self._chunks)
            self._chunks.append(chunk)
        elif page:
            known = self._chunks[self._sources[key]]["web"]
            known |= page
        return self._sources[key]


def _named(**values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _chunk(citation: Citation) -> dict[str, Any]:
    if isinstance(citation, UrlCitation):
        return {"web": _named(uri=citation.url, title=citation.title)}
    context = _named(uri=citation.file_id, title=citation.title, text=citation.quote, fileSearchStore=citation.source)
    return {"retrievedContext": context}


def _segment(citation: Citation, base: int, text: str) -> dict[str, Any] | None:
    """Where it stands in the answer. None: nowhere."""
    match citation:
        case UrlCitation(start=start, end=int() as end):
            start = start or 0
        case DocumentCitation(unit="file", index=end) if end:
            start = 0
        case UrlCitation(quote="") | DocumentCitation(unit="file"):
            return None
        case _:
            # Anthropic cites a text as a whole.
            start, end = 0, len(text)
    if not text[start:end]:
        return None
    first = base + len(text[:start].encode())
    return {"startIndex": first, "endIndex": first + len(text[start:end].encode()), "text": text[start:end]}
