"""`proxyapi price`."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import msgspec

from proxyapi.admin import acts
from proxyapi.cli.installation import Installation, installation
from proxyapi.cli.options import AMOUNT, Command, installation_options
from proxyapi.cli.output import emit, facts, money, table
from proxyapi.errors import NotFound
from proxyapi.identity.queries import QUERIES
from proxyapi.identity.stored import drop_own_price, own_price, put_own_price
from proxyapi.ledger.ledger import now_ms
from proxyapi.money import NANOS_MAX, format_amount
from proxyapi.store.database import Database
from proxyapi.usage import Unit

if TYPE_CHECKING:
    from proxyapi.providers.catalog import Catalog, Listing


class PriceOption(NamedTuple):
    """An option of `price set`: whose price it is, and of how many units."""

    flag: str
    unit: Unit
    per: int
    """The amount is for so many units: a million, or one piece."""
    text: str


_MILLION = 1_000_000
OPTIONS = (
    PriceOption("--input", Unit.INPUT, _MILLION, "input tokens"),
    PriceOption("--output", Unit.OUTPUT, _MILLION, "output tokens"),
    PriceOption("--cached-input", Unit.CACHE_READ, _MILLION, "input tokens read from a cache"),
    PriceOption("--cache-write", Unit.CACHE_WRITE_5M, _MILLION, "tokens written to a cache for five minutes"),
    PriceOption("--cache-write-30m", Unit.CACHE_WRITE_30M, _MILLION, "… for thirty minutes"),
    PriceOption("--cache-write-1h", Unit.CACHE_WRITE_1H, _MILLION, "… for an hour"),
    PriceOption("--cache-write-12h", Unit.CACHE_WRITE_12H, _MILLION, "… for twelve hours"),
    PriceOption("--reasoning", Unit.REASONING, _MILLION, "thinking tokens; else the price of output"),
    PriceOption("--audio-input", Unit.INPUT_AUDIO, _MILLION, "audio input tokens"),
    PriceOption("--cached-audio-input", Unit.CACHE_READ_AUDIO, _MILLION, "audio input tokens read from a cache"),
    PriceOption("--audio-output", Unit.OUTPUT_AUDIO, _MILLION, "audio output tokens"),
    PriceOption("--image-input", Unit.INPUT_IMAGE, _MILLION, "image input tokens"),
    PriceOption("--image-output", Unit.OUTPUT_IMAGE, _MILLION, "image output tokens"),
    PriceOption("--character", Unit.CHARACTERS, _MILLION, "characters of speech"),
    PriceOption(
        "--second", Unit.AUDIO_SECONDS, _MILLION, "seconds of transcription (a price per minute × 1000000 / 60)"
    ),
    PriceOption("--image", Unit.IMAGES, 1, "generated image"),
    PriceOption("--search", Unit.WEB_SEARCH, 1, "web search"),
    PriceOption("--fetch", Unit.WEB_FETCH, 1, "web fetch"),
    PriceOption("--file-search", Unit.FILE_SEARCH, 1, "file search"),
    PriceOption("--code-session", Unit.CODE_SESSION, 1, "code execution session"),
    PriceOption("--request", Unit.REQUESTS, 1, "request"),
)
_OF_UNIT = {option.unit: option for option in OPTIONS}


def price_options(command: Command) -> Command:
    """One option for every unit that has a price."""
    for option in reversed(OPTIONS):
        per = "a million" if option.per == _MILLION else "one"
        text = option.text if option.text.startswith("…") else f"Price of {per} {option.text}."
        command = click.option(option.flag, option.unit.name, type=AMOUNT, metavar="P", help=text)(command)
    return command


@click.group()
def price() -> None:
    """Prices, in the installation's currency. Published prices come with the program; your own win."""


@price.command("set")
@click.argument("model")
@price_options
@installation_options
def set_(model: str, data: Path | None, config: Path | None, json: bool, **amounts: int | None) -> None:
    """Set your own prices of MODEL (vendor/name), in the installation's currency. No markup is added to them.

    Tokens, characters and seconds are priced per million, images, searches and requests by the piece. Your prices win
    over published ones, and replace those that you set before. A running gateway uses them within a second; requests
    that run keep the old ones.

    \b
    proxyapi price set openai/gpt-4o --input 300 --cached-input 150 --output 1200
    proxyapi price set openai/tts-1 --character 1800
    proxyapi price set openai/gpt-4o-search-preview --input 300 --output 1200 --search 4.50
    """
    rates = {Unit[name]: _rate(Unit[name], amount) for name, amount in amounts.items() if amount is not None}
    if not rates:
        raise click.UsageError("Name at least one price, such as --input 300 --output 1200.")
    if "/" not in model or not model.isprintable():
        raise click.UsageError(
            f"{model!r} is not vendor/name, such as openai/gpt-4o: `proxyapi price list` shows names."
        )
    with installation(data, config, create=True) as at:
        body = msgspec.json.encode({unit.value: format_amount(rate) for unit, rate in rates.items()}).decode()
        with at.doing("price.set", f"model {model}") as act:
            act.was = acts.of_prices(own_price(act.transaction, model))
            put_own_price(act.transaction, model, body, now_ms())
            act.became = acts.of_prices(body)
        currency, on_sale = at.currency, _catalog(at).find(model, None) is not None
    value = {"model": model, "source": "own", "currency": currency, "prices": rates_json(rates)}
    emit(value, rates_text(model, rates, currency), json=json)
    if not on_sale:
        click.echo(f"{model} is not on sale: nobody serves it, or what it produces has no price yet.", err=True)


@price.command()
@click.argument("model")
@installation_options
def reset(model: str, data: Path | None, config: Path | None, json: bool) -> None:
    """Drop your own prices of MODEL: the published ones count again."""
    with installation(data, config) as at:
        dropped = model in _own(at.database)
        if dropped:
            with at.doing("price.reset", f"model {model}") as act:
                act.was = acts.of_prices(own_price(act.transaction, model))
                drop_own_price(act.transaction, model)
    text = f"Your prices of {model} are dropped." if dropped else f"{model} had no prices of yours."
    emit({"model": model, "dropped": dropped}, text, json=json)


@price.command("list")
@click.argument("pattern", default="*")
@installation_options
def list_(pattern: str, data: Path | None, config: Path | None, json: bool) -> None:
    """Prices of all models on sale, or of those that PATTERN (openai/*, *mini*) names.

    What customers pay: published prices × exchange rate × (1 + markup), or your own.
    """
    with installation(data, config) as at:
        own, currency = _own(at.database), at.currency
        listings = [item for item in _catalog(at).models() if fnmatchcase(item.name, pattern)]
    prices = [
        {"model": item.name, "source": _source(item.name, own), "prices": rates_json(_rates(item))} for item in listings
    ]
    rows = [
        (
            item.name,
            *(_shown(_rates(item), unit) for unit in (Unit.INPUT, Unit.CACHE_READ, Unit.OUTPUT)),
            _source(item.name, own),
        )
        for item in listings
    ]
    columns = ("model", f"input, {currency} a million>", "cached>", "output>", "source")
    empty = "No model on sale has such a name."
    emit({"currency": currency, "models": prices}, table(columns, rows, empty=empty), json=json)


@price.command()
@click.argument("model")
@installation_options
def show(model: str, data: Path | None, config: Path | None, json: bool) -> None:
    """Every price of MODEL."""
    with installation(data, config) as at:
        own, currency = _own(at.database), at.currency
        found = _catalog(at).find(model, None)
    if found is None:
        raise NotFound(f"{model} is not on sale: unknown, or without a complete price. `proxyapi price set` offers it.")
    rates, source = _rates(found), _source(found.name, own)
    value = {"model": found.name, "source": source, "currency": currency, "prices": rates_json(rates)}
    emit(value, f"{rates_text(found.name, rates, currency)}\n{source} prices", json=json)


def _catalog(at: Installation) -> Catalog:
    from proxyapi.sale import build_catalog

    return build_catalog(at.settings, at.database, 0)


def _own(database: Database) -> frozenset[str]:
    """Models with prices of the operator."""
    return frozenset(row[0] for row in database.fetch_now(QUERIES["prices"]))


def _source(model: str, own: frozenset[str]) -> str:
    return "own" if model in own else "published"


def _rates(listing: Listing) -> dict[Unit, int]:
    return {Unit(name): rate for name, rate in listing.pricing.items()}


def _shown(rates: Mapping[Unit, int], unit: Unit) -> str:
    return format_amount(rates[unit]) if unit in rates else ""


def rates_json(rates: Mapping[Unit, int]) -> dict[str, object]:
    """Price by unit, with how many units it is for."""
    return {unit.value: {"price": money(_amount(unit, rate)), "per": _per(unit)} for unit, rate in rates.items()}


def rates_text(model: str, rates: Mapping[Unit, int], currency: str) -> str:
    rows = [("model", model)]
    for unit, rate in rates.items():
        per = "a million" if _per(unit) == _MILLION else "each"
        rows.append((unit.value, f"{format_amount(_amount(unit, rate))} {currency} {per}"))
    return facts(rows)


def _per(unit: Unit) -> int:
    return _OF_UNIT[unit].per if unit in _OF_UNIT else _MILLION


def _rate(unit: Unit, nanos: int) -> int:
    """Nanos per million units."""
    rate = nanos * (_MILLION // _per(unit))
    if nanos < 0 or rate > NANOS_MAX:
        raise click.BadParameter(f"{format_amount(nanos)} is not a price.", param_hint=_OF_UNIT[unit].flag)
    return rate


def _amount(unit: Unit, rate: int) -> int:
    """Nanos for as many units as the price is named for, rounded up."""
    return -(-rate * _per(unit) // _MILLION)
