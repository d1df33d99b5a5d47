"""The statements of this package, read once."""

from __future__ import annotations

from proxyapi.store.queries import load_queries

QUERIES = load_queries("proxyapi.identity", "identity.sql")
