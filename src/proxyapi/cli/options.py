"""What several commands share: options and the types of their values."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from proxyapi.ledger.months import parse_month
from proxyapi.money import Nanos, parse_amount

if TYPE_CHECKING:
    _Type = click.ParamType[Any]
else:
    _Type = click.ParamType  # not generic before click 8.4

Command = TypeVar("Command", bound=Callable[..., Any])

_SPAN = re.compile(r"(\d{1,6})([dhm])")
_SPAN_SECONDS = {"d": 86_400, "h": 3_600, "m": 60}
NONE = "none"
"""Takes a setting away in `key edit`."""


def installation_options(command: Command) -> Command:
    """--data, --config and --json, which every command has."""
    command = click.option("--json", "json", is_flag=True, help="Print one JSON object instead of text.")(command)
    return place_options(command)


def place_options(command: Command) -> Command:
    """--data and --config."""
    command = click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Settings; else PROXYAPI_CONFIG, else ./proxyapi.toml if there is one.",
    )(command)
    return click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Data directory; else PROXYAPI_DATA, the setting `data`, ./proxyapi-data.",
    )(command)


class Amount(_Type):
    """Money in the installation's currency, as nanos."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Nanos:
        if isinstance(value, int):
            return Nanos(value)
        try:
            return parse_amount(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


class Moment(_Type):
    """A time as milliseconds since 1970: a date, a date and time (UTC unless it says otherwise), or a span from now."""

    name = "time"

    def __init__(self, direction: int) -> None:
        """`direction` of a span such as 7d: -1 is ago, 1 is from now."""
        self._direction = direction

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        if span := _SPAN.fullmatch(value):
            seconds = int(span[1]) * _SPAN_SECONDS[span[2]]
            return int((time.time() + self._direction * seconds) * 1000)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time such as 2026-01-31, 2026-01-31T12:00 or 7d.", param, ctx)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


class Month(_Type):
    """A month such as 2025-11, as 202511."""

    name = "month"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return value if isinstance(value, int) else parse_month(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


class OrNone(_Type):
    """Another type, or the word `none`, which stays a text."""

    def __init__(self, inner: _Type) -> None:
        self.name = inner.name
        self._inner = inner

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return NONE if value == NONE else self._inner.convert(value, param, ctx)


AMOUNT = Amount()
MONTH = Month()
SINCE = Moment(-1)
UNTIL = Moment(1)
