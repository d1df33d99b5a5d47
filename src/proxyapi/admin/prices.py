"""What models cost: published prices x exchange rate x (1 + markup), or the operator's own; and what another markup
would have brought."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from msgspec import Struct

from proxyapi.admin.acts import Operator, of_prices
from proxyapi.admin.office import LIMIT_MAX, Office
from proxyapi.admin.revenue import Cost, Sums, cost_of, factor_of, month_before, sums_by_model
from proxyapi.admin.views import Money, Page, page
from proxyapi.errors import InvalidRequest, NotFound
from proxyapi.identity.queries import QUERIES
from proxyapi.identity.stored import EXCHANGE_RATE, MARKUP, drop_own_price, own_price, put_own_price, store, stored_of
from proxyapi.money import NANOS_MAX, format_amount
from proxyapi.pricing.book import PRICED_UNITS, parse_override
from proxyapi.pricing.price import RATE_UNITS
from proxyapi.providers.listing import Listing
from proxyapi.providers.provider import SANDBOX
from proxyapi.usage import Unit

Source = Literal["all", "own"]
MODEL_CHARACTERS_MAX = 200
RATE_MAX = 10**9
"""Of exchange rate and markup, as in the configuration."""


class UnitPrice(Struct, frozen=True, kw_only=True):
    """Amounts are for 1,000,000 units."""

    unit: str
    price: Money
    """What customers pay."""
    cost: Money | None
    """The published price at the exchange rate; null: nobody publishes one."""
    own: bool
    """The price is the operator's own."""
    follows: bool = False
    """It is not, but is taken from one that is: reading a cache costs what the input does."""


class ModelPrice(Struct, frozen=True, kw_only=True):
    model: str
    provider: str
    source: Literal["own", "published"]
    on_sale: bool
    """False: its provider is off, or a price that it needs is missing."""
    prices: list[UnitPrice]


class Pricing(Struct, frozen=True, kw_only=True):
    """How published prices become prices of customers."""

    exchange_rate: Decimal
    """Units of the currency per US dollar."""
    markup: Decimal
    """0.2 is 20 % on published prices."""
    exchange_rate_configured: Decimal
    markup_configured: Decimal
    """What the file says: it counts again when the stored value is taken away."""
    currency: str


class Outcome(Struct, frozen=True, kw_only=True):
    revenue: Money
    cost: Money
    margin: Money


class WhatIf(Struct, frozen=True, kw_only=True):
    """A month as it was, and as it would have been. Requests are taken as they were; own prices stay."""

    month: str
    """As `2026-01`."""
    was: Outcome
    would: Outcome
    cost_estimated: Money
    """The part of the cost as it was that is an estimate; the rest was recorded with the requests."""


# --- models --------------------------------------------------------------------------------------------------------


def models(
    office: Office, *, query: str = "", source: Source = "all", after: str = "", limit: int = 50
) -> Page[ModelPrice]:
    """What is on sale, by name."""
    limit = min(limit, LIMIT_MAX)
    own = _own(office)
    part = query.strip().lower()
    found = [
        item
        for item in office.prices().models()
        if item.name > after and part in item.name.lower() and (source == "all" or item.name.lower() in own)
    ][: limit + 1]
    return page(
        [_price(office, item, own) for item in found], limit, found[limit - 1].name if len(found) > limit else ""
    )


def model(office: Office, name: str) -> ModelPrice:
    """NotFound: not on sale, and without a price of the operator's."""
    found, own = office.prices().find(name), _own(office)
    if found is not None:
        return _price(office, found, own)
    if name.lower() not in own:
        raise NotFound(f"{name[:MODEL_CHARACTERS_MAX]} is not on sale: unknown, or without a complete price.")
    rates = parse_override(own[name.lower()])
    prices = [UnitPrice(unit=unit.value, price=Money(rate), cost=None, own=True) for unit, rate in rates.items()]
    return ModelPrice(model=name, provider=name.partition("/")[0], source="own", on_sale=False, prices=prices)


def set_price(office: Office, operator: Operator, name: str, prices: Mapping[str, Decimal]) -> ModelPrice:
    """Own prices of a model, per million units of the currency; they replace those that there were."""
    name = name.strip()
    if not name or len(name) > MODEL_CHARACTERS_MAX or not name.isprintable() or "/" not in name:
        raise InvalidRequest("a model is named vendor/name", param="model")
    if not prices:
        raise InvalidRequest(f"at least one price: {', '.join(PRICED_UNITS)}", param="prices")
    wire = {unit: str(price) for unit, price in sorted(prices.items())}
    body = "{" + ", ".join(f'"{_checked(unit, price)}": "{price}"' for unit, price in wire.items()) + "}"
    with office.doing(operator, "price.set", f"model {name}") as act:
        before = own_price(act.transaction, name)
        put_own_price(act.transaction, name, body, office.clock_ms())
        act.was, act.became = of_prices(before), of_prices(body)
    return model(office, name)


def reset_price(office: Office, operator: Operator, name: str) -> None:
    """The published price counts again. NotFound: it has no own one."""
    with office.doing(operator, "price.reset", f"model {name}") as act:
        before = own_price(act.transaction, name)
        if before is None:
            raise NotFound(f"{name[:MODEL_CHARACTERS_MAX]} has no price of your own.")
        drop_own_price(act.transaction, name)
        act.was = of_prices(before)


# --- markup and exchange rate --------------------------------------------------------------------------------------


def pricing(office: Office) -> Pricing:
    book = office.prices().book
    return Pricing(
        exchange_rate=Decimal(book.exchange_rate), markup=Decimal(book.markup),
        exchange_rate_configured=Decimal(office.installed.exchange_rate),
        markup_configured=Decimal(office.installed.markup), currency=office.currency,
    )  # fmt: skip


def set_pricing(
    office: Office, operator: Operator, *, exchange_rate: Decimal | None, markup: Decimal | None
) -> Pricing:
    """New versions of all published prices, for requests that begin from now on. None: as the file says."""
    if exchange_rate is not None and not 0 < exchange_rate <= RATE_MAX:
        raise InvalidRequest("an exchange rate is more than zero", param="exchange_rate")
    if markup is not None and not 0 <= markup <= RATE_MAX:
        raise InvalidRequest("a markup is not less than zero: 0.2 is 20 %", param="markup")
    with office.doing(operator, "pricing.set", "pricing") as act:
        before = stored_of(act.transaction.execute(QUERIES["settings_stored"]))
        store(act.transaction, EXCHANGE_RATE, None if exchange_rate is None else str(exchange_rate))
        store(act.transaction, MARKUP, None if markup is None else str(markup))
        act.was = {"exchange_rate": _maybe(before.exchange_rate), "markup": _maybe(before.markup)}
        act.became = {"exchange_rate": _maybe(exchange_rate), "markup": _maybe(markup)}
    return pricing(office)


def what_if(office: Office, *, exchange_rate: Decimal, markup: Decimal) -> WhatIf:
    """Last month at another rate and markup."""
    if not 0 < exchange_rate <= RATE_MAX or not 0 <= markup <= RATE_MAX:
        raise InvalidRequest("exchange rate and markup are not less than zero", param="markup")
    first, last, month = month_before(office.clock_ms())
    book, own = office.prices().book, _own(office)
    rate_factor = Fraction(exchange_rate) / Fraction(Decimal(book.exchange_rate))
    factor, now = rate_factor * (1 + Fraction(markup)), factor_of(book.markup)
    was, would, estimated = [0, 0], [0, 0], 0
    for sums in sums_by_model(office, first, last):
        cost = cost_of(office, sums, own)
        was[0] += sums.charged
        was[1] += cost.total
        estimated += cost.estimated
        would[0] += sums.charged if sums.model.lower() in own else _then(sums, cost, factor, now)
        would[1] += int(cost.total * rate_factor)
    return WhatIf(month=month, was=_outcome(*was), would=_outcome(*would), cost_estimated=Money(estimated))


def _then(sums: Sums, cost: Cost, factor: Fraction, now: Fraction) -> int:
    """What customers would have been charged at `factor` on the cost instead of `now`: the same part of what they were
    asked for. The sandbox, which costs nothing, sells at the prices of what it stands for."""
    if not sums.actual or sums.provider == SANDBOX:
        return int(sums.charged * factor / now)
    return int(cost.total * factor * Fraction(sums.charged, sums.actual))


def _outcome(revenue: int, cost: int) -> Outcome:
    return Outcome(revenue=Money(revenue), cost=Money(cost), margin=Money(revenue - cost))


# --- parts ---------------------------------------------------------------------------------------------------------


def _own(office: Office) -> dict[str, str]:
    """Bodies of own prices by model, in lower case."""
    return {str(model).lower(): str(body) for model, body in office.database.fetch_now(QUERIES["prices"])}


def _price(office: Office, listing: Listing, own: Mapping[str, str]) -> ModelPrice:
    book = office.prices().book
    at_cost, now = book.at(exchange_rate=book.exchange_rate, markup="0"), office.clock_ms() / 1000
    published = at_cost.price(listing.provider, listing.native_name, now)
    usual = book.price(listing.provider, listing.native_name, now) if listing.name.lower() in own else None
    priced = parse_override(own[listing.name.lower()]) if listing.name.lower() in own else {}
    prices = [
        UnitPrice(
            unit=name, price=Money(rate), cost=None if published is None else Money(published.rates[Unit(name)]),
            own=Unit(name) in priced,
            follows=Unit(name) not in priced and usual is not None and usual.rates[Unit(name)] != rate,
        )
        for name, rate in listing.pricing.items()
    ]  # fmt: skip
    return ModelPrice(
        model=listing.name,
        provider=listing.provider,
        source="own" if priced else "published",
        on_sale=True,
        prices=prices,
    )


def _checked(unit: str, price: str) -> str:
    try:
        rates = parse_override(f'{{"{unit}": "{price}"}}' if unit in PRICED_UNITS else f'{{"?": "{price}"}}')
    except ValueError as error:
        raise InvalidRequest(str(error), param=f"prices.{unit[:40]}") from None
    if any(rate > NANOS_MAX // RATE_UNITS for rate in rates.values()):
        raise InvalidRequest(f"more than {format_amount(NANOS_MAX // RATE_UNITS)}", param=f"prices.{unit}")
    return unit


def _maybe(number: Decimal | None) -> str | None:
    return None if number is None else str(number)
