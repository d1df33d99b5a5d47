"""One catalog for a process: replaced when somebody edits prices, never changed under those who read it."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

from proxyapi.pricing.book import PriceBook
from proxyapi.pricing.snapshot import load_snapshot
from proxyapi.providers.catalog import Catalog
from proxyapi.providers.provider import ProviderConfig, load_providers
from proxyapi.providers.shelf import Shelf
from proxyapi.usage import Unit

MODEL = "openai/gpt-4o"


class Edits:
    """What operators have written: how often, and the price of now."""

    def __init__(self) -> None:
        self.number = 0
        self.price: int | None = None
        self.made = self.renewed = 0

    def set(self, price: int) -> None:
        self.number += 1
        self.price = price

    def make(self) -> Catalog:
        self.made += 1
        providers = load_providers({"sandbox": ProviderConfig(base_url="http://127.0.0.1:1")})
        return Catalog(providers, PriceBook(load_snapshot(), exchange_rate=Decimal(100)), clock=lambda: 1.7e9)

    def renew(self, catalog: Catalog) -> None:
        self.renewed += 1
        catalog.set_overrides({MODEL: {Unit.INPUT: self.price}} if self.price is not None else {})


def _shelf(edits: Edits) -> Shelf:
    return Shelf(edits.make, renew=edits.renew, edition=lambda: edits.number)


def _price(catalog: Catalog) -> Any:
    found = catalog.find(MODEL)
    assert found is not None
    return found.pricing[Unit.INPUT.value]


def test_an_edit_is_seen_by_whoever_looks_and_by_nobody_who_reads_on() -> None:
    edits = Edits()
    shelf = _shelf(edits)
    before = shelf.look()
    assert before is shelf.catalog and _price(before) == 250 * 10**9
    edits.set(7)
    assert shelf.catalog is before
    assert _price(shelf.look()) == 7 and _price(shelf.catalog) == 7
    assert _price(before) == 250 * 10**9


def test_nothing_is_made_again_without_an_edit() -> None:
    edits = Edits()
    shelf = _shelf(edits)
    shelf.list()
    listed = shelf.look().models()
    assert shelf.look().models() is listed
    edits.set(5)
    shelf.look()
    shelf.look()
    assert (edits.made, edits.renewed) == (1, 1)
    assert shelf.catalog.models() is shelf.catalog.models() and shelf.catalog.models() is not listed


def test_threads_that_look_at_once_see_the_last_edit() -> None:
    edits = Edits()
    shelf = _shelf(edits)
    edits.set(9)
    seen: list[Any] = []
    threads = [threading.Thread(target=lambda: seen.append(_price(shelf.look()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [9] * 4 and edits.renewed == 1
