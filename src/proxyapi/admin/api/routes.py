"""The table of the admin API: a row for every operation. Nothing else decides what exists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from msgspec import UNSET, Struct

from proxyapi.admin import acts, cash, customers, house, people, prices, providers, revenue, views
from proxyapi.admin.acts import Operator
from proxyapi.admin.api import bodies
from proxyapi.admin.api.bodies import nanos
from proxyapi.admin.office import Office, number_cursor
from proxyapi.errors import NotFound
from proxyapi.identity.queries import QUERIES
from proxyapi.identity.stored import stored_of

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Asked(NamedTuple):
    """One request, checked."""

    office: Office
    operator: Operator
    path: Mapping[str, str]
    query: Any
    """Of the row's `query`."""
    body: Any
    """Of the row's `body`."""

    def id(self, name: str = "id") -> int:
        """A number of the path. NotFound."""
        text = self.path[name]
        if not text.isascii() or not text.isdecimal() or len(text) > 18:
            raise NotFound(f"There is no {name} {text[:40]}.")
        return int(text)


class Route(NamedTuple):
    method: Method
    path: str
    """Below `/admin/v1`, as OpenAPI writes it; `{model}` may contain slashes."""
    name: str
    """The operationId."""
    text: str
    act: Callable[[Asked], Any]
    reply: Any
    """The type of what `act` returns; None: nothing, 204."""
    query: type[Struct] = bodies.NoQuery
    body: type[Struct] | None = None
    shows_secret: bool = False
    """The reply shows something once: it is not kept for a repeated request."""

    @property
    def scope(self) -> Literal["read", "write"]:
        return "read" if self.method == "GET" else "write"

    @property
    def status(self) -> int:
        if self.reply is None:
            return 204
        return 201 if self.method == "POST" else 200


def _accounts(asked: Asked) -> views.Page[views.AccountView]:
    query: bodies.AccountsQuery = asked.query
    return customers.search(asked.office, query=query.query, state=query.state, after=query.after, limit=query.limit)


def _change_account(asked: Asked) -> views.AccountView:
    body: bodies.AccountChange = asked.body
    id = asked.id("account")
    if body.when_short is not UNSET:
        customers.set_when_short(asked.office, asked.operator, id, body.when_short)
    if body.blocked is not UNSET:
        customers.set_blocked(asked.office, asked.operator, id, body.blocked)
    return customers.account(asked.office, id)


def _users(asked: Asked) -> views.Page[views.UserView]:
    query: bodies.UsersQuery = asked.query
    return people.search(
        asked.office, query=query.query, which=query.which, account=query.account, after=query.after, limit=query.limit
    )


def _change_user(asked: Asked) -> views.UserView:
    body: bodies.UserChange = asked.body
    id = asked.id("user")
    if body.role is not UNSET:
        people.set_role(asked.office, asked.operator, id, body.role)
    if body.blocked is not UNSET:
        people.set_blocked(asked.office, asked.operator, id, body.blocked)
    return people.user(asked.office, id)


def _deposit(asked: Asked) -> views.FundingView:
    body: bodies.Deposit = asked.body
    return cash.deposit(
        asked.office, asked.operator, asked.id("account"), nanos(body.amount), reference=body.reference, note=body.note
    )


def _adjust(asked: Asked) -> views.FundingView:
    body: bodies.Adjustment = asked.body
    return cash.adjust(asked.office, asked.operator, asked.id("account"), nanos(body.amount), reason=body.reason)


def _entries(asked: Asked) -> views.Page[views.EntryView]:
    query: bodies.ListQuery = asked.query
    return customers.entries(asked.office, asked.id("account"), after=query.after, limit=query.limit)


def _keys(asked: Asked) -> views.Page[views.KeyView]:
    return views.Page(items=customers.keys(asked.office, asked.id("account")))


def _create_key(asked: Asked) -> views.NewKeyView:
    return customers.create_key(asked.office, asked.operator, asked.id("account"), asked.body.settings())


def _edit_key(asked: Asked) -> views.KeyView:
    return customers.edit_key(asked.office, asked.operator, asked.id("key"), asked.body.settings())


def _key_status(asked: Asked) -> views.KeyView:
    return customers.set_key_status(asked.office, asked.operator, asked.id("key"), asked.body.status)


def _prices(asked: Asked) -> views.Page[prices.ModelPrice]:
    query: bodies.PricesQuery = asked.query
    return prices.models(asked.office, query=query.query, source=query.source, after=query.after, limit=query.limit)


def _set_pricing(asked: Asked) -> prices.Pricing:
    body: bodies.PricingChange = asked.body
    now = stored_of(asked.office.database.fetch_now(QUERIES["settings_stored"]))
    return prices.set_pricing(
        asked.office,
        asked.operator,
        exchange_rate=now.exchange_rate if body.exchange_rate is UNSET else body.exchange_rate,
        markup=now.markup if body.markup is UNSET else body.markup,
    )


def _what_if(asked: Asked) -> prices.WhatIf:
    query: bodies.WhatIfQuery = asked.query
    return prices.what_if(asked.office, exchange_rate=query.exchange_rate, markup=query.markup)


def _revenue(asked: Asked) -> revenue.Report:
    query: bodies.RevenueQuery = asked.query
    return revenue.report(asked.office, by=query.by, since=query.since, until=query.until)


def _audit(asked: Asked) -> house.AuditView:
    last = house.last_audit(asked.office)
    if last is None:
        raise NotFound("No audit has been asked for yet.")
    return last


def _batches(asked: Asked) -> views.Page[views.BatchView]:
    query: bodies.ListQuery = asked.query
    return cash.batches(asked.office, after=query.after, limit=query.limit)


def _make_vouchers(asked: Asked) -> views.NewBatchView:
    body: bodies.NewBatch = asked.body
    return cash.make_vouchers(
        asked.office, asked.operator, name=body.name, nanos=nanos(body.amount), number=body.number, days=body.days
    )


def _payments(asked: Asked) -> views.Page[views.PaymentView]:
    query: bodies.PaymentsQuery = asked.query
    return cash.payments(asked.office, account_id=query.account, after=query.after, limit=query.limit)


def _refund(asked: Asked) -> views.RefundView:
    body: bodies.RefundBody = asked.body
    amount = None if body.amount is None else nanos(body.amount)
    return cash.refund(asked.office, asked.operator, asked.path["payment"], amount, reason=body.reason)


def _acts(asked: Asked) -> views.Page[views.ActView]:
    query: bodies.ActsQuery = asked.query
    found = acts.read(
        asked.office.database, subject=query.subject, operator=query.operator, before=number_cursor(query.after),
        limit=query.limit + 1,
    )  # fmt: skip
    last = str(found[query.limit - 1].id) if len(found) > query.limit else ""
    return views.page([views.act_view(act) for act in found], query.limit, last)


ROUTES: tuple[Route, ...] = (
    Route("GET", "/accounts", "listAccounts", "Accounts, newest first.", _accounts, views.Page[views.AccountView],
          query=bodies.AccountsQuery),
    Route("POST", "/accounts", "createAccount", "Open an account, with no money on it.",
          lambda asked: customers.create(asked.office, asked.operator, asked.body.name), views.AccountView,
          body=bodies.NewAccount),
    Route("GET", "/accounts/{account}", "getAccount", "One account.",
          lambda asked: customers.account(asked.office, asked.id("account")), views.AccountView),
    Route("PATCH", "/accounts/{account}", "changeAccount",
          "Block an account's keys or let them work again; choose what happens when money is short.",
          _change_account, views.AccountView, body=bodies.AccountChange),
    Route("POST", "/accounts/{account}/deposits", "deposit", "Add money. Idempotent by `reference`, too.", _deposit,
          views.FundingView, body=bodies.Deposit),
    Route("POST", "/accounts/{account}/adjustments", "adjust", "Add to the balance, or take from it, with a reason.",
          _adjust, views.FundingView, body=bodies.Adjustment),
    Route("GET", "/accounts/{account}/entries", "listEntries", "The account's journal, newest first.", _entries,
          views.Page[views.EntryView], query=bodies.ListQuery),
    Route("GET", "/accounts/{account}/keys", "listKeys", "The account's keys, revoked ones too.", _keys,
          views.Page[views.KeyView]),
    Route("POST", "/accounts/{account}/keys", "createKey", "Make a key. It is in this answer only.", _create_key,
          views.NewKeyView, body=bodies.KeyBody, shows_secret=True),
    Route("GET", "/keys/{key}", "getKey", "One key's settings.",
          lambda asked: customers.key(asked.office, asked.id("key")), views.KeyView),
    Route("PUT", "/keys/{key}", "changeKey", "Replace a key's settings.", _edit_key, views.KeyView,
          body=bodies.KeyBody),
    Route("PATCH", "/keys/{key}", "switchKey", "Disable, enable or revoke a key.", _key_status, views.KeyView,
          body=bodies.KeyStatus),
    Route("GET", "/requests/{request}", "getRequest", "One request's receipt: a late charge is in it.",
          lambda asked: customers.receipt(asked.office, asked.path["request"]), views.ReceiptView),
    Route("GET", "/users", "listUsers", "People who sign in to the console, newest first.", _users,
          views.Page[views.UserView], query=bodies.UsersQuery),
    Route("GET", "/users/{user}", "getUser", "One of them.",
          lambda asked: people.user(asked.office, asked.id("user")), views.UserView),
    Route("PATCH", "/users/{user}", "changeUser", "Block or unblock somebody, or change the role.", _change_user,
          views.UserView, body=bodies.UserChange),
    Route("DELETE", "/users/{user}/factor", "resetFactor", "Take a lost second factor off.",
          lambda asked: people.reset_factor(asked.office, asked.operator, asked.id("user")), views.UserView),
    Route("DELETE", "/users/{user}/sessions", "signOut", "Sign somebody out everywhere.",
          lambda asked: people.sign_out(asked.office, asked.operator, asked.id("user")), views.UserView),
    Route("GET", "/prices", "listPrices", "Models on sale with what they cost, by name.", _prices,
          views.Page[prices.ModelPrice], query=bodies.PricesQuery),
    Route("GET", "/prices/{model}", "getPrice", "One model.",
          lambda asked: prices.model(asked.office, asked.path["model"]), prices.ModelPrice),
    Route("PUT", "/prices/{model}", "setPrice", "Set own prices of a model: they win over published ones.",
          lambda asked: prices.set_price(asked.office, asked.operator, asked.path["model"], asked.body.prices),
          prices.ModelPrice, body=bodies.Prices),
    Route("DELETE", "/prices/{model}", "resetPrice", "Let a model's published price count again.",
          lambda asked: prices.reset_price(asked.office, asked.operator, asked.path["model"]), None),
    Route("GET", "/pricing", "getPricing", "Exchange rate and markup.",
          lambda asked: prices.pricing(asked.office), prices.Pricing),
    Route("PATCH", "/pricing", "setPricing", "Change exchange rate or markup, for requests from now on.", _set_pricing,
          prices.Pricing, body=bodies.PricingChange),
    Route("GET", "/pricing/what-if", "whatIf", "Last month at another rate and markup.", _what_if, prices.WhatIf,
          query=bodies.WhatIfQuery),
    Route("GET", "/providers", "listProviders", "Providers and how they fare.",
          lambda asked: views.Page(items=providers.providers(asked.office)), views.Page[providers.ProviderView]),
    Route("GET", "/providers/{provider}", "getProvider", "One provider.",
          lambda asked: providers.provider(asked.office, asked.path["provider"]), providers.ProviderView),
    Route("PATCH", "/providers/{provider}", "switchProvider", "Switch a provider on or off.",
          lambda asked: providers.switch(asked.office, asked.operator, asked.path["provider"], asked.body.enabled),
          providers.ProviderView, body=bodies.Switch),
    Route("GET", "/revenue", "getRevenue", "What was earned, what it cost, what was lost.", _revenue, revenue.Report,
          query=bodies.RevenueQuery),
    Route("GET", "/audit", "getAudit", "The last audit.", _audit, house.AuditView),
    Route("POST", "/audit", "runAudit", "Prove that every balance agrees with the journal, now.",
          lambda asked: house.run_audit(asked.office, asked.operator), house.AuditView),
    Route("GET", "/vouchers", "listVouchers", "Batches of vouchers, newest first.", _batches,
          views.Page[views.BatchView], query=bodies.ListQuery),
    Route("POST", "/vouchers", "makeVouchers", "Make a batch. Its codes are in this answer only.", _make_vouchers,
          views.NewBatchView, body=bodies.NewBatch, shows_secret=True),
    Route("GET", "/vouchers/{batch}", "getVouchers", "One batch.",
          lambda asked: cash.batch(asked.office, asked.id("batch")), views.BatchView),
    Route("DELETE", "/vouchers/{batch}", "revokeVouchers", "Stop the codes that are left.",
          lambda asked: cash.revoke_vouchers(asked.office, asked.operator, asked.id("batch")), views.BatchView),
    Route("GET", "/payments", "listPayments", "Payments, newest first.", _payments, views.Page[views.PaymentView],
          query=bodies.PaymentsQuery),
    Route("GET", "/payments/{payment}", "getPayment", "One payment with its refunds.",
          lambda asked: cash.payment(asked.office, asked.path["payment"]), views.PaymentView),
    Route("POST", "/payments/{payment}/refunds", "refund", "Send money back, at most what is still free.", _refund,
          views.RefundView, body=bodies.RefundBody),
    Route("GET", "/acts", "listActs", "What operators did, newest first.", _acts, views.Page[views.ActView],
          query=bodies.ActsQuery),
    Route("GET", "/settings", "listSettings", "The configuration as it was read; secrets are not shown.",
          lambda asked: views.Page(items=house.settings(asked.office)), views.Page[house.Setting]),
)  # fmt: skip
