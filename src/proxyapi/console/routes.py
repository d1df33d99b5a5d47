"""Every page of the console, in one list."""

from __future__ import annotations

from starlette.routing import Route

from proxyapi.console.pages import join, keys, log, overview, signin, transactions

ROUTES: tuple[Route, ...] = (
    *signin.ROUTES,
    *join.ROUTES,
    *overview.ROUTES,
    *log.ROUTES,
    *keys.ROUTES,
    *transactions.ROUTES,
)
