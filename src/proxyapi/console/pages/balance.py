"""The balance: its course, what came in, ways to top it up, and word when it runs low."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any, NamedTuple

from starlette.responses import Response

from proxyapi.console import charts
from proxyapi.console.alerts import Alert
from proxyapi.console.forms import Problems, amount_of
from proxyapi.console.marks import N_
from proxyapi.console.page import Balance, Page, get, post
from proxyapi.console.pages.entries import LAST
from proxyapi.console.pages.overview import AVERAGE_DAYS, CHART_DAYS, Forecast, forecast_of
from proxyapi.console.spending import EPOCH, Spending, days_until, spent
from proxyapi.console.users import Limit, normal_email
from proxyapi.errors import InvalidRequest, NotFound, PaymentError
from proxyapi.ids import least_id, parse_id
from proxyapi.payments.records import Payment
from proxyapi.store.queries import load_queries

SQL = load_queries("proxyapi.console.pages", "balance.sql")

ROWS = 50
AMOUNTS = (500, 1000, 3000, 5000)
"""Offered as buttons, in units of the currency."""
BY_VOUCHER = Limit("voucher", 10, 15 * 60_000)
"""A code has 60 bits and more; this is against whoever tries all the same."""
CODE_CHARACTERS_MAX = 60
DASHED_DAYS_MAX = 60
"""Of the forecast in the chart: beyond it the past would be too small to be read."""

PAYMENT_WORDS = {
    "new": ("held", N_("Begun")),
    "pending": ("held", N_("Waits for payment")),
    "waiting": ("held", N_("Being booked")),
    "succeeded": ("ok", N_("Booked")),
    "canceled": ("bad", N_("Did not go through")),
    "failed": ("bad", N_("Did not go through")),
}
"""State of a payment -> its mark and its word."""


class Movement(NamedTuple):
    """Money that came or went, not by requests."""

    id: bytes
    kind: str
    amount: int
    reference: str | None
    note: str | None
    created_at: int

    @property
    def source(self) -> str:
        """Of a deposit: where its payment came through; empty for the operator's own."""
        return (self.reference or "").partition(":")[0] if ":" in (self.reference or "") else ""


async def index(page: Page) -> Response:
    return await _page(page)


async def _page(page: Page, *, status: int = 200, tab: int = 0, problems: Problems | None = None) -> Response:
    desk, speech = page.desk, page.speech
    span = days_until(speech.today(), CHART_DAYS, speech.zone)
    before = _cursor(page.asked("before"))
    balance, spending, funded, rows, alert, payments = await asyncio.gather(
        page.balance(),
        spent(desk.database, page.account_id, span),
        desk.database.fetch(SQL["funded_since"], (page.account_id, least_id(span.milliseconds[0]))),
        desk.database.fetch(SQL["movements"], (page.account_id, before, ROWS + 1)),
        desk.write(desk.alerts.find, page.account_id),
        desk.at_till(desk.office.cashier.records.payments, account_id=page.account_id, limit=10),
    )
    whole_days = [sums for _, sums in spending.by_step()[1 : AVERAGE_DAYS + 1]]
    forecast = forecast_of(balance, whole_days, speech.today())
    providers = desk.office.cashier.providers
    return await page.render(
        "balance.html",
        status=status,
        nav="balance",
        forecast=forecast,
        chart=_chart(page, balance, spending, funded, forecast),
        movements=[Movement(*row) for row in rows[:ROWS]],
        older=bytes(rows[ROWS - 1][0]).hex() if len(rows) > ROWS else "",
        payments=[payment for payment in payments if payment.state != "succeeded"],
        payment_words=PAYMENT_WORDS,
        providers=providers,
        amounts=AMOUNTS,
        tab=tab or (1 if providers else 2),
        alert=alert or Alert(0, page.user.email, "", b"", 1, None),
        alert_on=alert is not None,
        typed=page.field,
        again=bool(problems),
        alert_again=bool(problems) and not tab,
        errors=problems or {},
    )


async def redeem(page: Page) -> Response:
    """A voucher's code. The same words whether it is unknown, used, revoked or too old."""
    desk, code = page.desk, page.field("code")[:CODE_CHARACTERS_MAX]
    await desk.write(desk.users.count, (BY_VOUCHER, str(page.account_id)), (BY_VOUCHER, page.subscriber))
    try:
        await desk.at_till(desk.office.vouchers.redeem, page.account_id, code)
    except (NotFound, InvalidRequest):
        words = page.speech.gettext(N_("This code can't be redeemed: it is mistyped, used or too old"))
        return await _page(page, status=400, tab=2, problems={"code": words})
    return page.go("/balance", done="topped-up")


async def pay(page: Page) -> Response:
    """Begin a payment and show the way to it: forms lead nowhere but to the console, a link may."""
    desk, problems = page.desk, Problems()
    provider = next(iter(desk.office.cashier.providers), "")
    if not provider:
        raise NotFound("There is no such page.")
    amount = amount_of(page, "amount", problems) or amount_of(page, "choice", problems)
    if amount is None and not problems:
        problems["amount"] = page.speech.gettext(N_("How much?"))
    if problems or amount is None:
        return await _page(page, status=400, tab=1, problems=problems)
    try:
        payment = await desk.at_till(desk.office.cashier.start, page.account_id, amount, provider=provider)
    except InvalidRequest:
        words = page.speech.gettext(N_("This sum can't be paid: it is too small or too large"))
        return await _page(page, status=400, tab=1, problems={"amount": words})
    except PaymentError:
        words = page.speech.gettext(N_("The payment service did not answer. No money was taken; try again."))
        return await _page(page, status=502, tab=1, problems={"amount": words})
    return await page.render("pay.html", nav="balance", payment=payment)


async def returned(page: Page) -> Response:
    """Back from the payment service: how it stands."""
    payment = await _own_payment(page)
    if payment.open:
        with suppress(PaymentError):  # it is asked again by itself, and the page says that it is waited for
            payment = await page.desk.at_till(page.desk.office.cashier.refresh, payment)
    return await page.render("paid.html", nav="balance", payment=payment, words=PAYMENT_WORDS[payment.state])


async def _own_payment(page: Page) -> Payment:
    """NotFound: there is none, or it is another account's."""
    try:
        id = parse_id(page.asked("payment"))
    except ValueError:
        raise NotFound("There is no such payment.") from None
    payment: Payment = await page.desk.at_till(page.desk.office.cashier.records.payment, id)
    if payment.account_id != page.account_id:
        raise NotFound("There is no such payment.")
    return payment


async def set_alert(page: Page) -> Response:
    """Switch it on, change it, or off."""
    desk, problems = page.desk, Problems()
    if not page.field("on"):
        await desk.write(desk.alerts.drop, page.account_id)
        return page.go("/balance", done="alert-saved")
    threshold = amount_of(page, "threshold", problems)
    if threshold is None and not problems:
        problems["threshold"] = page.speech.gettext(N_("This is not a sum, such as 500 or 99.50"))
    email = page.field("email")
    try:
        email = normal_email(email) if email else ""
        if not problems and threshold is not None:
            await desk.write(
                desk.alerts.put, page.account_id, threshold=threshold, email=email, webhook=page.field("webhook"),
                language=page.speech.language,
            )  # fmt: skip
    except InvalidRequest as error:
        problems["email" if error.param == "email" else "webhook"] = page.speech.gettext(error.detail)
    if problems:
        return await _page(page, status=400, problems=problems)
    return page.go("/balance", done="alert-saved")


def _chart(page: Page, balance: Balance, spending: Spending, funded: list[Any], forecast: Forecast | None) -> Any:
    """The balance at the end of each day, from today's backwards; the forecast dashed. Empty: there never was any."""
    speech, steps = page.speech, spending.span.steps
    came: dict[int, int] = {}
    for created_at, amount in funded:
        day = (speech.local(created_at).date() - EPOCH).days
        came[day] = came.get(day, 0) + amount
    values, left = [], balance.total
    charged = dict(spending.by_step())
    for step in reversed(steps):
        values.append(left)
        left += charged[step].charged - came.get(step, 0)
    values.reverse()
    if not any(values):
        return ""
    ahead = forecast.days if forecast is not None and 0 < forecast.days <= DASHED_DAYS_MAX else 0
    last = steps[-1] + ahead
    marks = [speech.day(EPOCH + timedelta(steps[0] + (last - steps[0]) * part // 3)) for part in range(4)]
    label = speech.gettext("The balance by day")
    return charts.line(values, marks, label=label, axis=speech.axis, forecast=ahead)


def _cursor(text: str) -> bytes:
    try:
        return bytes.fromhex(text) if len(text) == 32 else LAST
    except ValueError:
        return LAST


ROUTES = (
    get("/balance", index),
    post("/balance/voucher", redeem),
    post("/balance/pay", pay),
    get("/balance/payment", returned),
    post("/balance/alert", set_alert),
)
