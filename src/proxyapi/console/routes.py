"""Every page of the console, in one list."""

from __future__ import annotations

from starlette.routing import Route

from proxyapi.console.pages import (
    balance,
    docs,
    join,
    keys,
    log,
    models,
    operator_accounts,
    operator_house,
    operator_people,
    operator_prices,
    overview,
    playground,
    settings,
    signin,
    transactions,
    usage,
)

ROUTES: tuple[Route, ...] = (
    *signin.ROUTES,
    *join.ROUTES,
    *overview.ROUTES,
    *log.ROUTES,
    *keys.ROUTES,
    *usage.ROUTES,
    *transactions.ROUTES,
    *balance.ROUTES,
    *models.ROUTES,
    *playground.ROUTES,
    *settings.ROUTES,
    *docs.ROUTES,
    *operator_accounts.ROUTES,
    *operator_people.ROUTES,
    *operator_prices.ROUTES,
    *operator_house.ROUTES,
)
