"""The first page: what there is, what was spent, and how long it lasts."""

from __future__ import annotations

from starlette.responses import Response

from proxyapi.console.page import Page, get


async def index(page: Page) -> Response:
    return await page.render("overview.html", nav="overview")


ROUTES = (get("/", index),)
