"""What parts share: sources of media, citations, states of reasoning; and raw values that may be absent."""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct

from proxyapi.dialects.model.vocabulary import Lifetime, StateKind

ABSENT = Raw(b"null")
"""A raw value that is not there. (msgspec cannot decode `Raw | None`, and an empty Raw is not JSON.)"""


def given(raw: Raw) -> bool:
    """The field is there, and it is not null."""
    return raw is not ABSENT and raw != ABSENT


class CacheMark(Struct, frozen=True):
    """The prefix that ends here is worth caching."""

    lifetime: Lifetime | None = None
    """None is the provider's default: 5m on M, 30m on R and C."""


class ReasoningState(Struct, frozen=True):
    """Opaque proof of past reasoning. Only its maker can read it: returned byte for byte, or dropped; never changed."""

    kind: StateKind
    """Whose format the data has; decides which dialect can carry it natively."""
    data: str
    """Base64 as received."""
    origin: str = ""
    """Who can read it: provider, account and model family, as the gateway names its targets. Empty: unknown."""
    id: str = ""
    """R item id (`rs_…`), which the provider may check together with the data."""


class Inline(Struct, frozen=True, tag="inline"):
    data: str
    """Base64 without the `data:` prefix."""
    media_type: str
    """IANA type; sniffed from the first bytes when the client gave none or a wrong one."""


class Link(Struct, frozen=True, tag="link"):
    url: str
    """http(s) address that the provider fetches itself."""
    media_type: str = ""
    """Empty where the dialect does not carry it (C, R, M)."""


class FileRef(Struct, frozen=True, tag="file"):
    id: str
    """File id or URI at the provider that stores it."""
    origin: str = ""
    """The provider whose file it is. A target elsewhere refuses with 400."""
    media_type: str = ""
    """Needed by G; empty elsewhere."""


Source = Inline | Link | FileRef


class UrlCitation(Struct, frozen=True, tag="url"):
    url: str
    """Address of the source."""
    title: str = ""
    """Title of the source page."""
    start: int | None = None
    """First code point of the cited span in the text part (G counts UTF-8 bytes: convert)."""
    end: int | None = None
    """One past the last code point of the span."""
    quote: str = ""
    """Text of the source (M `cited_text`) or of the answer's span (G `segment.text`)."""
    token: str = ""
    """M `encrypted_index`, needed when the block is replayed."""


class DocumentCitation(Struct, frozen=True, tag="document"):
    unit: Literal["char", "page", "block", "file", "search_result"]
    """What `start` and `end` count."""
    index: int
    """Which document of the request; for `file` the position of the mark in the text."""
    start: int = 0
    """First unit, inclusive; pages count from 1."""
    end: int = 0
    """End, exclusive."""
    quote: str = ""
    """M `cited_text`."""
    title: str = ""
    """M `document_title`, R `filename`."""
    file_id: str = ""
    """File at the provider."""
    container_id: str = ""
    """R container of the file."""
    source: str = ""
    """M search result source."""


Citation = UrlCitation | DocumentCitation


class TokenLogprob(Struct, frozen=True):
    token: str
    """Token text."""
    logprob: float
    """Natural logarithm of its probability."""
    bytes: tuple[int, ...] | None = None
    """UTF-8 bytes of the token; None where the dialect has none (G)."""
    top: tuple[TokenLogprob, ...] = ()
    """Alternatives at this position, likeliest first."""
