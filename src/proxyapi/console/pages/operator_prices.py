"""Prices for operators: markup and exchange rate with what they would have brought, and prices of single models."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Any

from starlette.responses import Response

from proxyapi.admin import prices
from proxyapi.console.forms import plain_number
from proxyapi.console.marks import N_
from proxyapi.console.page import Page, get, post
from proxyapi.console.pages.office import LINES, acting, attempt, show
from proxyapi.console.units import UNITS
from proxyapi.errors import NotFound
from proxyapi.pricing.book import PRICED_UNITS

UNIT_WORDS = {unit.value: word for unit, word in UNITS.items()}
_NOT_A_NUMBER = N_("This is not a number, such as 92.50.")


async def index(page: Page) -> Response:
    return await _index(page)


async def _index(page: Page, problem: str = "", status: int = 200) -> Response:
    query, own, after = page.asked("q"), page.asked("own") == "1", page.asked("after")
    at_office = page.desk.at_office
    found = await at_office(prices.models, query=query, source="own" if own else "all", after=after, limit=LINES)
    pricing = await at_office(prices.pricing)
    rate, markup = _number(page.asked("rate")), _number(page.asked("markup"))
    if page.asked("rate") and page.asked("markup") and (rate is None or markup is None):
        problem = page.speech.gettext(_NOT_A_NUMBER)
    try_rate = pricing.exchange_rate if rate is None else rate
    try_markup = pricing.markup if markup is None else markup / 100
    outcome, wrong = await attempt(page, prices.what_if, exchange_rate=try_rate, markup=try_markup)
    return await show(
        page, "operator-prices.html", "operator-prices", status=status, found=found, pricing=pricing, outcome=outcome,
        query=query, own=own, after=after, rate=_plain(try_rate), markup=_plain(try_markup * 100),
        changed=(try_rate, try_markup) != (pricing.exchange_rate, pricing.markup), words=UNIT_WORDS,
        problem=problem or wrong, plain_number=_plain,
    )  # fmt: skip


async def apply(page: Page) -> Response:
    """Markup and exchange rate; `reset`: as the configuration says."""
    rate, markup = _number(page.field("rate")), _number(page.field("markup"))
    if page.field("reset") == "1":
        await page.desk.at_office(prices.set_pricing, acting(page), exchange_rate=None, markup=None)
        return page.go("/operator/prices", done="pricing-saved")
    if rate is None or markup is None:
        return await _index(page, page.speech.gettext(_NOT_A_NUMBER), 400)
    _, problem = await attempt(page, prices.set_pricing, acting(page), exchange_rate=rate, markup=markup / 100)
    return await _index(page, problem, 400) if problem else page.go("/operator/prices", done="pricing-saved")


async def model(page: Page) -> Response:
    return await _model(page)


async def _model(page: Page, problem: str = "", status: int = 200) -> Response:
    name = page.field("model") or page.asked("model")
    found: Any = None
    if name:
        with suppress(NotFound):  # a model that only the operator has a price for begins here
            found = await page.desk.at_office(prices.model, name)
    units = ["input_tokens", "cache_read_tokens", "output_tokens"] if found is None else [p.unit for p in found.prices]
    units += [unit for unit in PRICED_UNITS if unit not in units]
    return await show(
        page, "operator-price.html", "operator-prices", status=status, name=name, found=found, units=units,
        of_unit={price.unit: price for price in (found.prices if found is not None else [])}, words=UNIT_WORDS,
        problem=problem, typed=page.field,
    )  # fmt: skip


async def save(page: Page) -> Response:
    name = page.field("model")
    if page.field("reset") == "1":
        await page.desk.at_office(prices.reset_price, acting(page), name)
        return page.go("/operator/prices", done="price-reset")
    given: dict[str, Decimal] = {}
    for unit in PRICED_UNITS:
        if text := page.field(f"price_{unit}"):
            number = _number(text)
            if number is None:
                return await _model(page, page.speech.gettext(_NOT_A_NUMBER), 400)
            given[unit] = number
    _, problem = await attempt(page, prices.set_price, acting(page), name, given)
    return await _model(page, problem, 400) if problem else page.go("/operator/prices?own=1", done="price-saved")


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(plain_number(text)) if text else None
    except InvalidOperation:
        return None
    return number if number is None or number.is_finite() else None


def _plain(number: Decimal) -> str:
    """Without zeros at the end, for a field."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


ROUTES = (
    get("/operator/prices", index, who="operator"),
    post("/operator/prices", apply, who="operator"),
    get("/operator/price", model, who="operator"),
    post("/operator/price", save, who="operator"),
)
