"""Accounts of all customers, for operators: search, money in and out, keys, payments and refunds."""

from __future__ import annotations

from typing import Any, get_args

from starlette.responses import Response

from proxyapi.admin import acts, cash, customers, people, views
from proxyapi.admin.customers import State
from proxyapi.admin.revenue import report
from proxyapi.console.forms import Problems, amount_of
from proxyapi.console.marks import N_
from proxyapi.console.page import Page, get, post
from proxyapi.console.pages.office import LINES, acting, attempt, show
from proxyapi.identity.accounts import Status, WhenShort
from proxyapi.ledger.receipt import words_of

STATES = {"all": N_("All"), "low": N_("Little money"), "blocked": N_("Blocked")}
ENTRIES = 20
"""Of the journal, on the page of one account; the API has all."""
_WORDS_OF_AMOUNT = N_("Enter a sum, such as 500 or 99.50.")


async def index(page: Page) -> Response:
    state: State = page.asked("state") if page.asked("state") in get_args(State) else "all"  # type: ignore[assignment]
    query, after = page.asked("q"), page.asked("after")
    at_office = page.desk.at_office
    found = await at_office(customers.search, query=query, state=state, after=after, limit=LINES)
    month = await at_office(report)
    return await show(
        page, "operator-accounts.html", "operator-accounts", found=found, sums=month, query=query, state=state,
        states=STATES, after=after, name="",
    )  # fmt: skip


async def create(page: Page) -> Response:
    made, problem = await attempt(page, customers.create, acting(page), page.field("name"))
    if made is None:
        found = await page.desk.at_office(customers.search, limit=LINES)
        return await show(
            page, "operator-accounts.html", "operator-accounts", status=400, found=found, query="", state="all",
            sums=await page.desk.at_office(report), states=STATES, after="", name=page.field("name"), problem=problem,
        )  # fmt: skip
    return page.go(f"/operator/accounts/{made.id}", done="account-created")


async def account(page: Page) -> Response:
    return await _account(page)


async def _account(page: Page, problem: str = "", status: int = 200) -> Response:
    id, at_office = page.number("id"), page.desk.at_office
    found = await at_office(customers.account, id)
    entries = await at_office(customers.entries, id, limit=ENTRIES)
    keys = await at_office(customers.keys, id)
    users = await at_office(people.search, account=id, limit=ENTRIES)
    payments = await at_office(cash.payments, account_id=id, limit=ENTRIES)
    record = await at_office(_acts_of, f"account {id}")
    return await show(
        page, "operator-account.html", "operator-accounts", status=status, account=found, entries=entries.items,
        keys=keys, users=users.items, payments=payments.items, record=record, problem=problem, typed=page.field,
        retell=page.speech.retell, words_of=words_of,
    )  # fmt: skip


def _acts_of(office: Any, subject: str) -> list[views.ActView]:
    return [views.act_view(act) for act in acts.read(office.database, subject=subject, limit=ENTRIES)]


async def deposit(page: Page) -> Response:
    problems: Problems = {}
    amount = amount_of(page, "amount", problems)
    if not amount:
        return await _account(page, problems.get("amount") or page.speech.gettext(_WORDS_OF_AMOUNT), 400)
    done, problem = await attempt(
        page, cash.deposit, acting(page), page.number("id"), amount, reference=page.field("reference") or None,
        note=page.field("note") or None,
    )  # fmt: skip
    if done is None:
        return await _account(page, problem, 400)
    return page.go(f"/operator/accounts/{page.number('id')}", done="deposited" if done.new else "deposited-before")


async def adjust(page: Page) -> Response:
    problems: Problems = {}
    amount = amount_of(page, "amount", problems)
    if not amount:
        return await _account(page, problems.get("amount") or page.speech.gettext(_WORDS_OF_AMOUNT), 400)
    signed = -amount if page.field("direction") == "take" else amount
    done, problem = await attempt(
        page, cash.adjust, acting(page), page.number("id"), signed, reason=page.field("reason")
    )
    if done is None:
        return await _account(page, problem, 400)
    return page.go(f"/operator/accounts/{page.number('id')}", done="adjusted")


async def block(page: Page) -> Response:
    blocked = page.field("blocked") == "1"
    id = page.number("id")
    await page.desk.at_office(customers.set_blocked, acting(page), id, blocked)
    return page.go(f"/operator/accounts/{id}", done="account-blocked" if blocked else "account-unblocked")


async def when_short(page: Page) -> Response:
    chosen: WhenShort = "shorten" if page.field("when_short") == "shorten" else "refuse"
    await page.desk.at_office(customers.set_when_short, acting(page), page.number("id"), chosen)
    return page.go(f"/operator/accounts/{page.number('id')}", done="settings-saved")


async def key_status(page: Page) -> Response:
    statuses: dict[str, Status] = {"disable": "disabled", "enable": "active", "revoke": "revoked"}
    status = statuses.get(page.field("to"), "disabled")
    found = await page.desk.at_office(customers.key, page.number("key"))
    _, problem = await attempt(page, customers.set_key_status, acting(page), found.id, status)
    if problem:
        return await _account(page, problem, 409)
    done = {"disabled": "key-disabled", "active": "key-enabled", "revoked": "key-revoked"}[status]
    return page.go(f"/operator/accounts/{found.account_id}", done=done)


# --- payments --------------------------------------------------------------------------------------------------------


async def payment(page: Page) -> Response:
    return await _payment(page)


async def _payment(page: Page, problem: str = "", status: int = 200) -> Response:
    found = await page.desk.at_office(cash.payment, page.path("payment"))
    account = await page.desk.at_office(customers.account, found.account_id)
    return await show(
        page, "operator-payment.html", "operator-accounts", status=status, payment=found, account=account,
        problem=problem, typed=page.field,
    )  # fmt: skip


async def refund(page: Page) -> Response:
    problems: Problems = {}
    amount = amount_of(page, "amount", problems)
    if problems:
        return await _payment(page, problems["amount"], 400)
    id = page.path("payment")
    done, problem = await attempt(page, cash.refund, acting(page), id, amount, reason=page.field("reason"))
    if done is None:
        return await _payment(page, problem, 400)
    return page.go(f"/operator/payments/{id}", done="refund-begun")


ROUTES = (
    get("/operator/accounts", index, who="operator"),
    post("/operator/accounts", create, who="operator"),
    get("/operator/accounts/{id}", account, who="operator"),
    post("/operator/accounts/{id}/deposit", deposit, who="operator"),
    post("/operator/accounts/{id}/adjust", adjust, who="operator"),
    post("/operator/accounts/{id}/block", block, who="operator"),
    post("/operator/accounts/{id}/when-short", when_short, who="operator"),
    post("/operator/accounts/{id}/keys/{key}", key_status, who="operator"),
    get("/operator/payments/{payment}", payment, who="operator"),
    post("/operator/payments/{payment}/refund", refund, who="operator"),
)
