"""Pages of documents, from their bytes."""

from __future__ import annotations

from proxyapi.pricing.documents import decoded, pages_of


def test_pages_are_the_larger_of_what_is_named_and_what_is_there() -> None:
    assert pages_of(b"%PDF-1.4 /Type /Pages /Count 7 /Type /Page /Type/Page", 100) == 7
    assert pages_of(b"%PDF-1.4 /Type /Page\n/Type /Page ", 100) == 2


def test_the_providers_limit_holds() -> None:
    assert pages_of(b"%PDF-1.4 /Count 5000", 100) == 100


def test_a_document_without_visible_pages_counts_by_its_size() -> None:
    assert pages_of(b"%PDF-1.7" + b"\0" * 9_000, 100) == 5
    assert pages_of(b"PK\x03\x04", 100) == 1


def test_what_is_no_base64_is_nothing() -> None:
    assert decoded("аб") is None
    assert decoded("YWJj") == b"abc"
