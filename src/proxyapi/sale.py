"""What is on sale: settings, what the operator changed since in the store, and published prices become a catalog."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from proxyapi.identity.queries import QUERIES
from proxyapi.identity.stored import stored_of
from proxyapi.pricing.book import PriceBook, parse_override
from proxyapi.pricing.snapshot import load_snapshot
from proxyapi.providers.catalog import Catalog
from proxyapi.providers.provider import ProviderConfig, load_providers
from proxyapi.providers.shelf import Shelf

if TYPE_CHECKING:
    from proxyapi.settings import Settings
    from proxyapi.store.database import Database

Rows = Iterable[Sequence[Any]]


def build_catalog(settings: Settings, database: Database, sandbox_port: int) -> Catalog:
    """What is on sale, with the operator's own prices. `sandbox_port` 0: without an address for the sandbox."""
    configs = {
        name: ProviderConfig(
            enabled=provider.enabled,
            base_url=provider.base_url,
            key=provider.api_key.reveal(),
            on_gone=provider.on_gone,
            forwarded_headers=frozenset(header.lower().encode() for header in provider.forward_headers),
            passes_credential_errors=provider.credential_errors == "pass",
            quirks=provider.quirks,
            models=provider.models,
        )
        for name, provider in settings.providers.items()
    }
    if settings.sandbox.enabled:
        configs["sandbox"] = ProviderConfig(base_url=f"http://127.0.0.1:{sandbox_port or 1}")
    book = PriceBook(load_snapshot(), exchange_rate=settings.exchange_rate, markup=settings.markup)
    catalog = Catalog(
        load_providers(configs),
        book,
        clock=time.time,
        aliases=settings.aliases,
        fallbacks=settings.fallbacks,
        hold_factors=settings.hold.factors,
    )
    renew_now(catalog, settings, database)
    return catalog


def shelf(settings: Settings, database: Database) -> Shelf:
    """A catalog that follows the edits of prices, for those who sell nothing: without a sandbox to be asked."""
    return Shelf(
        lambda: build_catalog(settings, database, 0),
        renew=lambda catalog: renew_now(catalog, settings, database),
        edition=lambda: next(at for name, at in database.fetch_now(QUERIES["revisions"]) if name == "price"),
    )


def renew_now(catalog: Catalog, settings: Settings, database: Database) -> None:
    """After an edit, blocking."""
    renew(catalog, settings, database.fetch_now(QUERIES["settings_stored"]), database.fetch_now(QUERIES["prices"]))


async def reload(catalog: Catalog, settings: Settings, database: Database) -> None:
    """After an edit, on the event loop. StoreError."""
    stored = await database.fetch(QUERIES["settings_stored"])
    renew(catalog, settings, stored, await database.fetch(QUERIES["prices"]))


def renew(catalog: Catalog, settings: Settings, stored: Rows, prices: Rows) -> None:
    """After an edit: `stored` and `prices` are rows of the queries `settings_stored` and `prices`."""
    changed = stored_of(stored)
    catalog.convert(
        exchange_rate=settings.exchange_rate if changed.exchange_rate is None else changed.exchange_rate,
        markup=settings.markup if changed.markup is None else changed.markup,
    )
    catalog.switch(changed.providers)
    catalog.set_overrides({model: parse_override(body) for model, body in prices})
