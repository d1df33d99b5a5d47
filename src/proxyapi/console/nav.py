"""The menu: one row per entry. A page names its entry when it renders, so that the menu shows where one is."""

from __future__ import annotations

from typing import NamedTuple

from proxyapi.console.marks import N_


class Entry(NamedTuple):
    name: str
    """As `render(nav=…)` says it."""
    path: str
    icon: str
    title: str


MONEY = (
    Entry("overview", "/", "home", N_("Overview")),
    Entry("keys", "/keys", "key", N_("Keys")),
    Entry("usage", "/usage", "usage", N_("Usage")),
    Entry("transactions", "/transactions", "tx", N_("Transactions")),
)
"""The first four are the bar at the bottom of a phone."""
TOOLS = (
    Entry("log", "/log", "log", N_("Request log")),
    Entry("playground", "/playground", "play", N_("Playground")),
    Entry("models", "/models", "models", N_("Models and prices")),
    Entry("docs", "/docs", "book", N_("Documentation")),
)
OPERATOR: tuple[Entry, ...] = (
    Entry("operator-accounts", "/operator/accounts", "users", N_("Accounts")),
    Entry("operator-users", "/operator/users", "user", N_("Users")),
    Entry("operator-prices", "/operator/prices", "price", N_("Prices and markup")),
    Entry("operator-providers", "/operator/providers", "pulse", N_("Providers")),
    Entry("operator-revenue", "/operator/revenue", "usage", N_("Revenue")),
    Entry("operator-vouchers", "/operator/vouchers", "wallet", N_("Vouchers")),
    Entry("operator-record", "/operator/record", "log", N_("Operators' record")),
    Entry("operator-audit", "/operator/audit", "shield", N_("Audit")),
    Entry("operator-settings", "/operator/settings", "gear", N_("Configuration")),
)
"""For users with the role `operator`."""
