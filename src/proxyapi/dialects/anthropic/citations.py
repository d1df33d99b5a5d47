"""Anthropic Messages: citations of a text block, as they are read and written in requests and replies alike.

https://docs.anthropic.com/en/docs/build-with-claude/citations
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from proxyapi.dialects.model import Citation, DocumentCitation, UrlCitation

_Unit = Literal["char", "page", "block", "search_result"]


class _Form(Struct, frozen=True):
    """How the citations of one unit are spelled."""

    type: str
    start: str
    end: str
    index: str = "document_index"
    title: str = "document_title"


_FORMS: dict[_Unit, _Form] = {
    "char": _Form("char_location", "start_char_index", "end_char_index"),
    "page": _Form("page_location", "start_page_number", "end_page_number"),
    "block": _Form("content_block_location", "start_block_index", "end_block_index"),
    "search_result": _Form(
        "search_result_location", "start_block_index", "end_block_index", "search_result_index", "title"
    ),
}
_UNITS = {form.type: unit for unit, form in _FORMS.items()}


def read(wire: dict[str, Any]) -> Citation:
    """Any citation object; what it lacks is empty."""
    unit = _UNITS.get(_text(wire, "type"))
    quote = _text(wire, "cited_text")
    if unit is None:
        token = _text(wire, "encrypted_index")
        return UrlCitation(_text(wire, "url"), _text(wire, "title"), quote=quote, token=token)
    form = _FORMS[unit]
    return DocumentCitation(
        unit,
        _number(wire, form.index),
        _number(wire, form.start),
        _number(wire, form.end),
        quote,
        _text(wire, form.title),
        file_id=_text(wire, "file_id"),
        source=_text(wire, "source"),
    )


def write(citation: Citation) -> dict[str, Any] | None:
    """A citation of a reply. None: the dialect has no form for it (files of other providers)."""
    if isinstance(citation, UrlCitation):
        return {
            "type": "web_search_result_location",
            "cited_text": citation.quote,
            "url": citation.url,
            "title": citation.title or None,
            "encrypted_index": citation.token,
        }
    if citation.unit == "file":
        return None
    form = _FORMS[citation.unit]
    wire: dict[str, Any] = {
        "type": form.type,
        "cited_text": citation.quote,
        form.index: citation.index,
        form.title: citation.title or None,
        form.start: citation.start,
        form.end: citation.end,
    }
    if citation.unit == "search_result":
        wire["source"] = citation.source
    elif citation.file_id:
        wire["file_id"] = citation.file_id
    return wire


def write_back(citation: Citation) -> dict[str, Any] | None:
    """A citation of an earlier reply, for the provider. None: the provider can't have made it, and would refuse it."""
    if isinstance(citation, UrlCitation) and not citation.token:
        return None
    wire = write(citation)
    if wire is not None:
        wire.pop("file_id", None)
    return wire


def _text(wire: dict[str, Any], name: str) -> str:
    value = wire.get(name)
    return value if isinstance(value, str) else ""


def _number(wire: dict[str, Any], name: str) -> int:
    value = wire.get(name)
    return value if isinstance(value, int) else 0
