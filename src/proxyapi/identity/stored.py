"""Settings that the operator has changed while the gateway runs: they lie in the store and win over the file.

Each edit bumps the revision `price`, so that every worker sells by it within a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct

from proxyapi.identity.queries import QUERIES
from proxyapi.store.database import Transaction

EXCHANGE_RATE = "exchange_rate"
MARKUP = "markup"
PROVIDER = "provider."
"""Before the provider's name: `on` or `off`."""


class StoredSettings(Struct, frozen=True, kw_only=True):
    """None, or not among them: as the file says."""

    exchange_rate: Decimal | None = None
    markup: Decimal | None = None
    providers: Mapping[str, bool] = {}


def stored_of(rows: Iterable[Sequence[Any]]) -> StoredSettings:
    """Rows of the query `settings_stored`."""
    values = {str(name): str(value) for name, value in rows}
    rate, markup = values.get(EXCHANGE_RATE), values.get(MARKUP)
    return StoredSettings(
        exchange_rate=None if rate is None else Decimal(rate),
        markup=None if markup is None else Decimal(markup),
        providers={
            name.removeprefix(PROVIDER): value == "on" for name, value in values.items() if name.startswith(PROVIDER)
        },
    )


def store(within: Transaction, name: str, value: str | None) -> None:
    """None: as the file says, from now on."""
    if value is None:
        within.execute(QUERIES["setting_drop"], (name,))
    else:
        within.execute(QUERIES["setting_put"], (name, value))
    within.execute(QUERIES["bump_price"])


def own_price(within: Transaction, model: str) -> str | None:
    """The operator's own prices of a model, as they are stored; None: it has the published ones."""
    return {str(name): str(body) for name, body in within.execute(QUERIES["prices"])}.get(model)


def put_own_price(within: Transaction, model: str, body: str, now_ms: int) -> None:
    """`body`: prices by unit, as JSON. They replace those that there were."""
    within.execute(QUERIES["price_put"], (model, body, now_ms))
    within.execute(QUERIES["bump_price"])


def drop_own_price(within: Transaction, model: str) -> None:
    """The published ones count again."""
    within.execute(QUERIES["price_drop"], (model,))
    within.execute(QUERIES["bump_price"])
