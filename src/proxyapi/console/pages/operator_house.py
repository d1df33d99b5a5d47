"""Providers, revenue, vouchers, the record, the audit and the settings, for operators."""

from __future__ import annotations

from datetime import date, timedelta
from typing import get_args

from markupsafe import Markup
from starlette.responses import Response

from proxyapi.admin import acts, cash, house, providers, revenue, views
from proxyapi.admin.office import Office, number_cursor
from proxyapi.console import charts, deeds
from proxyapi.console.forms import Problems, amount_of, count_of
from proxyapi.console.marks import N_
from proxyapi.console.page import Page, get, post
from proxyapi.console.pages.office import LINES, acting, attempt, show
from proxyapi.ledger.audit.report import REMEDIES

STATE_WORDS = {
    "working": ("ok", N_("Works")),
    "failing": ("bad", N_("Failing")),
    "quiet": ("", N_("No requests")),
    "off": ("", N_("Off")),
    "not_connected": ("", N_("No key")),
}
BY_WORDS = {"day": N_("By day"), "model": N_("By model"), "provider": N_("By provider")}
_FAILED_PERCENT_BAD, _FAILED_PERCENT_WARN = 20, 2


# --- providers -------------------------------------------------------------------------------------------------------


async def provider_list(page: Page) -> Response:
    found = await page.desk.at_office(providers.providers)
    return await show(
        page, "operator-providers.html", "operator-providers", found=found, states=STATE_WORDS, timeline=timeline,
        failing=[one for one in found if one.state == "failing"],
    )  # fmt: skip


async def provider(page: Page) -> Response:
    found = await page.desk.at_office(providers.provider, page.path("name"))
    return await show(
        page, "operator-provider.html", "operator-providers", found=found, states=STATE_WORDS, timeline=timeline
    )


async def switch(page: Page) -> Response:
    to = {"on": True, "off": False}.get(page.field("to"))
    await page.desk.at_office(providers.switch, acting(page), page.path("name"), to)
    return page.go("/operator/providers", done="provider-off" if to is False else "provider-on")


def timeline(slices: list[providers.Slice]) -> Markup:
    """A day as a strip of half hours; each says by its colour how many requests failed."""
    marks = Markup("").join(
        Markup('<rect class="tl-{}" x="{}" width="4" height="26" rx="1"/>').format(_look(one), at * 6)
        for at, one in enumerate(slices)
    )
    return Markup(
        '<div class="tl"><svg viewBox="0 0 {} 26" preserveAspectRatio="none" aria-hidden="true">{}</svg></div>'
    ).format(len(slices) * 6, marks)


def _look(one: providers.Slice) -> str:
    if not one.requests:
        return "none"
    percent = one.failed * 100 / one.requests
    return "bad" if percent >= _FAILED_PERCENT_BAD else "warn" if percent >= _FAILED_PERCENT_WARN else "ok"


# --- revenue ---------------------------------------------------------------------------------------------------------


async def revenue_page(page: Page) -> Response:
    by: revenue.By = page.asked("by") if page.asked("by") in get_args(revenue.By) else "day"  # type: ignore[assignment]
    since, until = page.asked("since"), page.asked("until")
    report, problem = await attempt(page, revenue.report, by=by, since=since, until=until)
    if report is None:
        report = await page.desk.at_office(revenue.report, by=by)
    days = report if by == "day" else await page.desk.at_office(
        revenue.report, by="day", since=report.since, until=report.until
    )  # fmt: skip
    chart = _chart(page, days)
    return await show(
        page, "operator-revenue.html", "operator-revenue", report=report, by=by, titles=BY_WORDS, problem=problem,
        chart=chart if days.lines else "", as_date=date.fromisoformat,
    )  # fmt: skip


def _chart(page: Page, days: revenue.Report) -> Markup:
    """Every day of the report, also those on which nothing was sold."""
    speech, by_day = page.speech, {line.name: line.revenue.nanos for line in days.lines}
    first, last = date.fromisoformat(days.since), date.fromisoformat(days.until)
    steps = [first + timedelta(days=at) for at in range((last - first).days + 1)]
    values = [by_day.get(step.isoformat(), 0) for step in steps]
    return charts.stacked(
        [charts.Series(speech.gettext(N_("Revenue")), values)],
        [speech.day(step) for step in steps],
        label=speech.gettext(N_("Revenue by day")),
        axis=speech.axis,
        tell=lambda nanos: speech.plain(nanos),
    )


# --- vouchers --------------------------------------------------------------------------------------------------------


async def vouchers(page: Page) -> Response:
    return await _vouchers(page)


async def _vouchers(page: Page, problem: str = "", status: int = 200) -> Response:
    found = await page.desk.at_office(cash.batches, after=page.asked("after"), limit=LINES)
    return await show(
        page, "operator-vouchers.html", "operator-vouchers", status=status, found=found, after=page.asked("after"),
        problem=problem, typed=page.field, now=page.desk.now_ms(),
    )  # fmt: skip


async def make_vouchers(page: Page) -> Response:
    problems: Problems = {}
    amount = amount_of(page, "amount", problems)
    number, days = count_of(page, "number", problems), count_of(page, "days", problems)
    if problems or not amount or number is None or days is None:
        text = next(iter(problems.values()), page.speech.gettext(N_("Enter a sum, how many codes, and for how long.")))
        return await _vouchers(page, text, 400)
    made, problem = await attempt(
        page, cash.make_vouchers, acting(page), name=page.field("name"), nanos=amount, number=number, days=days
    )
    if made is None:
        return await _vouchers(page, problem, 400)
    return await show(page, "operator-codes.html", "operator-vouchers", made=made)


async def revoke_vouchers(page: Page) -> Response:
    _, problem = await attempt(page, cash.revoke_vouchers, acting(page), page.number("id"))
    return await _vouchers(page, problem, 409) if problem else page.go("/operator/vouchers", done="vouchers-revoked")


# --- record, audit, settings -----------------------------------------------------------------------------------------


async def record(page: Page) -> Response:
    subject, operator, after = page.asked("subject"), page.asked("operator"), page.asked("after")
    found = await page.desk.at_office(_acts, deeds.subject_of(page.speech, subject.strip()), operator.strip(), after)
    return await show(
        page, "operator-record.html", "operator-record", found=found, subject=subject, operator=operator, after=after
    )


def _acts(office: Office, subject: str, operator: str, after: str) -> views.Page[views.ActView]:
    found = acts.read(office.database, subject=subject, operator=operator, before=number_cursor(after), limit=LINES + 1)
    last = str(found[LINES - 1].id) if len(found) > LINES else ""
    return views.page([views.act_view(act) for act in found], LINES, last)


async def audit(page: Page) -> Response:
    last = await page.desk.at_office(house.last_audit)
    return await show(
        page, "operator-audit.html", "operator-audit", last=last, retell=page.speech.retell, sentences=_sentences
    )


def _sentences(wrong: house.Wrong) -> tuple[str, str]:
    """What is wrong, and what to do about it."""
    remedy = REMEDIES[wrong.invariant]
    return wrong.sentence.removesuffix(remedy).strip(), remedy


async def run_audit(page: Page) -> Response:
    await page.desk.at_office(house.run_audit, acting(page))
    return page.go("/operator/audit")


async def settings(page: Page) -> Response:
    found = await page.desk.at_office(house.settings)
    return await show(page, "operator-settings.html", "operator-settings", found=found)


ROUTES = (
    get("/operator/providers", provider_list, who="operator"),
    get("/operator/providers/{name}", provider, who="operator"),
    post("/operator/providers/{name}", switch, who="operator"),
    get("/operator/revenue", revenue_page, who="operator"),
    get("/operator/vouchers", vouchers, who="operator"),
    post("/operator/vouchers", make_vouchers, who="operator"),
    post("/operator/vouchers/{id}/revoke", revoke_vouchers, who="operator"),
    get("/operator/record", record, who="operator"),
    get("/operator/audit", audit, who="operator"),
    post("/operator/audit", run_audit, who="operator"),
    get("/operator/settings", settings, who="operator"),
)
