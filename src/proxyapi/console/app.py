"""The console's application: the routes of its pages and of whatever else people and programs reach through it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from proxyapi.console.desk import Desk
from proxyapi.console.page import Page, problem
from proxyapi.console.pen import Pen
from proxyapi.console.routes import ROUTES
from proxyapi.console.security import Application, Door
from proxyapi.console.static_files import StaticFiles
from proxyapi.errors import GatewayError, InvalidRequest, MethodNotAllowed, NotFound

_HTTP_ERRORS: dict[int, type[GatewayError]] = {404: NotFound, 405: MethodNotAllowed}


def build(
    desk: Desk,
    *,
    pen: Pen,
    static: StaticFiles,
    secret: bytes,
    on_crash: Callable[[str, Exception], None],
    more: Sequence[BaseRoute] = (),
) -> Application:
    """`secret` is what the gateway shows; `on_crash` hears of bugs; `more`: routes of other parts, which guard
    themselves."""

    async def answer_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kind = _HTTP_ERRORS.get(error.status_code, InvalidRequest)
        return await _plain_problem(request, kind("There is no such page."))

    async def answer_crash(request: Request, error: Exception) -> Response:
        on_crash(request.url.path, error)
        return await _plain_problem(request, GatewayError("The page could not be shown."))

    async def home(request: Request) -> Response:
        return RedirectResponse("/console/", 308)

    application = Starlette(
        routes=[
            Route("/console", home),
            Route("/console/static/{digest}/{name:path}", static.serve),
            *ROUTES,
            *more,
        ],
        exception_handlers={HTTPException: answer_http, Exception: answer_crash},
    )
    application.state.desk = desk
    application.state.pen = pen
    return Door(application, secret=secret, secure=desk.secure)


async def _plain_problem(request: Request, error: GatewayError) -> Response:
    """For whom there is no page: as if nobody were signed in."""
    return await problem(Page(request, request.app.state.desk, None), error)
