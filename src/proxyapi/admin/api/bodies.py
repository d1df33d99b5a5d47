"""What requests carry. Amounts are decimal numbers of the installation's currency; unknown fields are refused."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from proxyapi.admin import prices
from proxyapi.admin.customers import State
from proxyapi.admin.people import Which
from proxyapi.admin.revenue import By
from proxyapi.errors import InvalidRequest
from proxyapi.identity.accounts import KeySettings, WhenShort
from proxyapi.ledger.ops import Period
from proxyapi.money import parse_amount

Limit = Annotated[int, Meta(ge=1, le=200, description="Items of one page.")]
After = Annotated[str, Meta(max_length=200, description="The `next` of the page before.")]
Amount = Annotated[Decimal, Meta(description="In the installation's currency, up to nine decimals.")]


def nanos(amount: Decimal, name: str = "amount") -> int:
    """Exactly. InvalidRequest names the field."""
    try:
        return parse_amount(str(amount))
    except ValueError as error:
        raise InvalidRequest(str(error), param=name) from None


class NoQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """An operation without parameters."""


class ListQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    after: After = ""
    limit: Limit = 50


class AccountsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    query: Annotated[str, Meta(max_length=200, description="A part of the name or e-mail address, or the number.")] = ""
    state: State = "all"
    after: After = ""
    limit: Limit = 50


class PaymentsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    account: Annotated[int | None, Meta(description="Of one account only.")] = None
    after: After = ""
    limit: Limit = 50


class PricesQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    query: Annotated[str, Meta(max_length=200, description="A part of the model's name.")] = ""
    source: prices.Source = "all"
    after: After = ""
    limit: Limit = 50


class RevenueQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    by: By = "day"
    since: Annotated[str, Meta(description="First day, as 2026-01-31 (UTC); else the first of the month.")] = ""
    until: Annotated[str, Meta(description="Last day; else today.")] = ""


class WhatIfQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    exchange_rate: Decimal
    markup: Decimal


class ActsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    subject: Annotated[str, Meta(max_length=300, description="As `account 7`.")] = ""
    operator: Annotated[str, Meta(max_length=300)] = ""
    after: After = ""
    limit: Limit = 50


class NewAccount(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str


class AccountChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays."""

    blocked: bool | UnsetType = UNSET
    when_short: Annotated[
        WhenShort | UnsetType, Meta(description="What happens to a request that may cost more than there is.")
    ] = UNSET


class UsersQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    query: Annotated[str, Meta(max_length=200, description="A part of the e-mail address.")] = ""
    which: Which = "all"
    account: Annotated[int | None, Meta(description="Of one account only.")] = None
    after: After = ""
    limit: Limit = 50


class UserChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays."""

    blocked: bool | UnsetType = UNSET
    role: Literal["customer", "operator"] | UnsetType = UNSET


class Deposit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    amount: Amount
    reference: Annotated[str | None, Meta(description="Of the payment: a second deposit with it does nothing.")] = None
    note: str | None = None


class Adjustment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    amount: Annotated[Decimal, Meta(description="Less than zero takes from the balance.")]
    reason: str


class KeyBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of a key; what is left out has its default."""

    name: str = ""
    models: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    budget: Amount | None = None
    period: Period = "never"
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    may_query_balance: bool = False
    expires_at: datetime | None = None

    def settings(self) -> KeySettings:
        return KeySettings(
            name=self.name, models=self.models, endpoints=self.endpoints, networks=self.networks,
            budget_limit=None if self.budget is None else nanos(self.budget, "budget"), budget_period=self.period,
            requests_per_minute=self.requests_per_minute, tokens_per_minute=self.tokens_per_minute,
            may_query_balance=self.may_query_balance, expires_at=_milliseconds(self.expires_at),
        )  # fmt: skip


class KeyStatus(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    status: Literal["active", "disabled", "revoked"]


class Prices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    prices: Annotated[dict[str, Decimal], Meta(description="By unit, as `input_tokens`; for 1,000,000 units each.")]


class PricingChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Null: as the configuration says. Left out: as it is."""

    exchange_rate: Decimal | UnsetType | None = UNSET
    markup: Decimal | UnsetType | None = UNSET


class Switch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    enabled: Annotated[bool | None, Meta(description="Null: as the configuration says.")]


class NewBatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    amount: Amount
    number: Annotated[int, Meta(ge=1, le=10_000, description="Of codes.")]
    days: Annotated[int, Meta(ge=1, le=3_650, description="That the codes are good for.")]


class RefundBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    amount: Annotated[Decimal | None, Meta(description="Null: all of it that is still free on the account.")] = None
    reason: str = ""


def _milliseconds(at: datetime | None) -> int | None:
    if at is None:
        return None
    if at.tzinfo is None:
        raise InvalidRequest("a time names its zone, as 2026-01-31T12:00:00Z", param="expires_at")
    return int(at.timestamp() * 1000)
