"""The documentation."""

from __future__ import annotations

from starlette.responses import Response

from proxyapi.console.handbook import CHAPTERS, FIRST, chapter, shown
from proxyapi.console.page import Page, get
from proxyapi.errors import NotFound


async def index(page: Page) -> Response:
    return page.go(f"/docs/{FIRST}")


async def show(page: Page) -> Response:
    found = chapter(page.path("name"), page.speech.language)
    if found is None:
        raise NotFound("There is no such page.")
    return await page.render(
        "docs.html",
        nav="docs",
        chapters=CHAPTERS,
        current=page.path("name"),
        heading=found.title,
        text=shown(found, page.origin),
        written_in=found.language,
    )


ROUTES = (get("/docs", index), get("/docs/{name:path}", show))
