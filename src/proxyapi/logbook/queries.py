"""The statements of this package."""

from __future__ import annotations

from proxyapi.store.queries import load_queries

QUERIES = load_queries("proxyapi.logbook", "logbook.sql")
