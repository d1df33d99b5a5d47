"""One tokenizer and one price book for all tests of this directory: both take a moment to load."""

from __future__ import annotations

import pytest

from proxyapi.pricing.book import PriceBook
from proxyapi.pricing.snapshot import load_snapshot
from proxyapi.pricing.tokens import Tokenizer
from proxyapi.providers.catalog import Catalog, Target
from proxyapi.providers.provider import ProviderConfig, load_providers

NOW = 1_795_000_000.0
"""2026-11-18, a Wednesday, 11:06 UTC: no price changes within the next hour."""


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer()


@pytest.fixture(scope="session")
def book() -> PriceBook:
    return PriceBook(load_snapshot())


class Shelf:
    """Targets by provider and native name, in dollars."""

    def __init__(self, book: PriceBook) -> None:
        providers = load_providers({"sandbox": ProviderConfig(base_url="http://127.0.0.1:9")})
        self.catalog = Catalog(providers, book, clock=lambda: NOW)

    def __call__(self, name: str, operation: str = "chat", dialect: str = "openai_chat") -> Target:
        return self.catalog.resolve(operation, dialect, name, None)


@pytest.fixture(scope="session")
def shelf(book: PriceBook) -> Shelf:
    return Shelf(book)
