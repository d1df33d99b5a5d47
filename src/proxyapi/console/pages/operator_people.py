"""People who sign in, for operators: search, block, role, a lost second factor, sessions."""

from __future__ import annotations

from typing import get_args

from starlette.responses import Response

from proxyapi.admin import people
from proxyapi.console.marks import N_
from proxyapi.console.page import Page, get, post
from proxyapi.console.pages.office import LINES, acting, attempt, show

WHICH = {"all": N_("All"), "operators": N_("Operators"), "blocked": N_("Blocked")}


async def index(page: Page) -> Response:
    which: people.Which = page.asked("which") if page.asked("which") in get_args(people.Which) else "all"  # type: ignore[assignment]
    query, after = page.asked("q"), page.asked("after")
    found = await page.desk.at_office(people.search, query=query, which=which, after=after, limit=LINES)
    return await show(
        page, "operator-users.html", "operator-users", found=found, query=query, which=which, choices=WHICH, after=after
    )


async def one(page: Page) -> Response:
    return await _one(page)


async def _one(page: Page, problem: str = "", status: int = 200) -> Response:
    found = await page.desk.at_office(people.user, page.number("id"))
    return await show(page, "operator-user.html", "operator-users", status=status, person=found, problem=problem)


async def block(page: Page) -> Response:
    blocked = page.field("blocked") == "1"
    _, problem = await attempt(page, people.set_blocked, acting(page), page.number("id"), blocked)
    return await _end(page, problem, "user-blocked" if blocked else "user-unblocked")


async def role(page: Page) -> Response:
    to: people.Role = "operator" if page.field("role") == "operator" else "customer"
    _, problem = await attempt(page, people.set_role, acting(page), page.number("id"), to)
    return await _end(page, problem, "user-role")


async def reset_factor(page: Page) -> Response:
    _, problem = await attempt(page, people.reset_factor, acting(page), page.number("id"))
    return await _end(page, problem, "user-factor")


async def sign_out(page: Page) -> Response:
    await page.desk.at_office(people.sign_out, acting(page), page.number("id"))
    return await _end(page, "", "user-signed-out")


async def _end(page: Page, problem: str, done: str) -> Response:
    if problem:
        return await _one(page, problem, 409)
    return page.go(f"/operator/users/{page.number('id')}", done=done)


ROUTES = (
    get("/operator/users", index, who="operator"),
    get("/operator/users/{id}", one, who="operator"),
    post("/operator/users/{id}/block", block, who="operator"),
    post("/operator/users/{id}/role", role, who="operator"),
    post("/operator/users/{id}/reset-factor", reset_factor, who="operator"),
    post("/operator/users/{id}/sign-out", sign_out, who="operator"),
)
