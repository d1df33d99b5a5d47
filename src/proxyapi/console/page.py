"""One request for a page: who asks, in which language, and the ways to answer. `get` and `post` make the routes.

A handler takes a `Page` and returns a response. Before it is called the session is looked up, a form's token is proved,
and who may not see the page is sent to sign in; errors of ours become pages.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from proxyapi.console.desk import Desk
from proxyapi.console.done import DONE
from proxyapi.console.sessions import Session, form_token, is_token, new_token
from proxyapi.console.speech import Speech, language_of, zone_of
from proxyapi.console.users import User
from proxyapi.console.words import problem_of
from proxyapi.errors import Forbidden, GatewayError, NotFound, PayloadTooLarge, StoreUnavailable
from proxyapi.identity.addresses import subscriber
from proxyapi.store.errors import StoreError

PREFIX = "/console"
FORM_BYTES_MAX = 262_144
"""The longest form has lists of 200 patterns."""
FIELDS_MAX = 500
VISIT_SECONDS = 24 * 3600
"""How long a form that was opened before signing in can be sent."""

Who = Literal["anyone", "half", "user", "operator"]
"""Who may ask: anyone; who gave the password but not yet the second factor's code; users; operators."""
Handler = Callable[["Page"], Awaitable[Response]]


class Balance(NamedTuple):
    """The wallet, as every page shows it. Nanos."""

    funded: int
    spent: int
    held: int

    @property
    def total(self) -> int:
        return self.funded - self.spent

    @property
    def free(self) -> int:
        return self.funded - self.spent - self.held


class Page:
    """What a handler knows of its request, and how it answers."""

    def __init__(self, request: Request, desk: Desk, session: Session | None) -> None:
        self.request = request
        self.desk = desk
        self.session = session
        cookie = request.cookies.get(visit_cookie(desk), "")
        self._fresh_visit = session is None and not is_token(cookie)
        self.token = session.token if session is not None else new_token() if self._fresh_visit else cookie
        """What the forms of this browser are tied to."""
        user = session.user if session is not None else None
        chosen = user.language if user is not None else request.cookies.get("language", "")
        language = language_of(chosen, request.headers.get("accept-language", ""))
        zone = zone_of(user.time_zone if user is not None and user.time_zone else desk.zone)
        self.speech: Speech = desk.languages.speech(language, currency=desk.currency, zone=zone, now=desk.clock())
        self._form: FormData | None = None
        self._cookies: list[tuple[str, str, int | None]] = []

    # --- the request -------------------------------------------------------------------------------------------------

    @property
    def user(self) -> User:
        """Whoever asks. Only for handlers that are not for anyone."""
        assert self.session is not None, "the route is for users"
        return self.session.user

    @property
    def account_id(self) -> int:
        return self.user.account_id

    @property
    def address(self) -> str:
        """The client's address, as the gateway says."""
        return self.request.headers.get("x-forwarded-for", "")

    @property
    def subscriber(self) -> str:
        """Whose the address is, for limits."""
        return subscriber(self.address)

    @property
    def agent(self) -> str:
        return self.request.headers.get("user-agent", "")

    @property
    def origin(self) -> str:
        """Where the browser thinks it is. For examples on pages; links in messages use `desk.address`."""
        headers = self.request.headers
        host = headers.get("x-forwarded-host", "")
        return f"{headers.get('x-forwarded-proto', 'http')}://{host}" if host else self.desk.address

    def path(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])

    def number(self, name: str) -> int:
        """An id in the path. NotFound if it is no number."""
        text = self.path(name)
        if not text.isascii() or not text.isdecimal() or len(text) > 18:
            raise NotFound("There is no such page.")
        return int(text)

    def asked(self, name: str, default: str = "") -> str:
        """A value of the query."""
        return self.request.query_params.get(name, default).replace("\0", "")

    def field(self, name: str) -> str:
        """A text field of the form; empty if it is missing."""
        value = self._form.get(name, "") if self._form is not None else ""
        return _typed(value)

    def fields(self, name: str) -> list[str]:
        """All values of a field, as of check boxes."""
        values = self._form.getlist(name) if self._form is not None else []
        return [_typed(value) for value in values if isinstance(value, str)]

    def secret_field(self, name: str) -> str:
        """A password, as typed."""
        value = self._form.get(name, "") if self._form is not None else ""
        return value if isinstance(value, str) else ""

    @property
    def form_token(self) -> str:
        """What every form sends as `_csrf`, and scripts as the header `x-csrf-token`."""
        return form_token(self.token)

    async def take_form(self) -> None:
        """Read the form and prove its token. Forbidden, PayloadTooLarge, InvalidRequest."""
        request = self.request
        given = request.headers.get("x-csrf-token", "")
        if not given:
            if int(request.headers.get("content-length") or 0) > FORM_BYTES_MAX:
                raise PayloadTooLarge("The form is too large.")
            self._form = await request.form(max_files=0, max_fields=FIELDS_MAX)
            given = self.field("_csrf")
        if not hmac.compare_digest(given.encode(), self.form_token.encode()):
            raise Forbidden("The form is not from this page, or has been open for too long. Nothing was changed.")

    # --- the answer --------------------------------------------------------------------------------------------------

    async def render(self, template: str, *, status: int = 200, nav: str = "", **values: Any) -> Response:
        """A page of HTML. `nav`: its entry in the menu."""
        balance = await self._balance() if self.session is not None and not self.session.factor_due else None
        done = DONE.get(self.asked("done"))
        pen = self.request.app.state.pen
        text = pen.write(
            template, self, nav=nav, balance=balance, done=self.speech.gettext(done) if done else "", **values
        )
        return self.dress(Response(text, status, media_type="text/html"))

    def go(self, path: str, *, done: str = "") -> Response:
        """On to another page of the console, by GET. `done`: a name in `DONE`, said there."""
        mark = ("&" if "?" in path else "?") + f"done={done}" if done else ""
        return self.dress(RedirectResponse(PREFIX + path + mark, 303))

    def set_cookie(self, name: str, value: str, seconds: int | None) -> None:
        """With the answer. None: until the browser is closed; 0: away with it."""
        self._cookies.append((name, value, seconds))

    def dress(self, response: Response) -> Response:
        """Add the cookies."""
        if self._fresh_visit:
            self._cookies.append((visit_cookie(self.desk), self.token, VISIT_SECONDS))
        for name, value, seconds in self._cookies:
            response.set_cookie(
                name, value, max_age=seconds, path="/", secure=self.desk.secure, httponly=True, samesite="lax"
            )
        self._cookies = []
        return response

    async def balance(self) -> Balance:
        """Of the user's wallet, now."""
        return await self._balance()

    async def _balance(self) -> Balance:
        rows = await self.desk.database.fetch(BALANCE, (self.account_id,))
        return Balance(*rows[0]) if rows else Balance(0, 0, 0)


def _typed(value: object) -> str:
    """Text without what nobody types: blanks around it, and NUL, which PostgreSQL has no place for."""
    return value.replace("\0", "").strip() if isinstance(value, str) else ""


BALANCE = "SELECT funded, spent, held FROM account WHERE id = ?"


def session_cookie(desk: Desk) -> str:
    """With its prefix browsers take the cookie from this very host only (RFC 6265bis, section 4.1.3.2)."""
    return "__Host-session" if desk.secure else "session"


def visit_cookie(desk: Desk) -> str:
    return "__Host-visit" if desk.secure else "visit"


# --- routes ----------------------------------------------------------------------------------------------------------


def get(path: str, handler: Handler, *, who: Who = "user") -> Route:
    """A page that shows something. `path` is below /console."""
    return Route(PREFIX + path, _Endpoint(handler, who, form=False).answer, methods=["GET"])


def post(path: str, handler: Handler, *, who: Who = "user") -> Route:
    """A form that is sent; its token is proved before the handler sees it."""
    return Route(PREFIX + path, _Endpoint(handler, who, form=True).answer, methods=["POST"])


class _Endpoint:
    """What happens around every handler."""

    def __init__(self, handler: Handler, who: Who, *, form: bool) -> None:
        self._handler = handler
        self._who = who
        self._form = form

    async def answer(self, request: Request) -> Response:
        desk: Desk = request.app.state.desk
        try:
            session = await desk.sessions.find(request.cookies.get(session_cookie(desk), ""))
        except StoreError:
            return await problem(Page(request, desk, None), StoreUnavailable())
        page = Page(request, desk, session)
        try:
            if (elsewhere := self._refusal(page)) is not None:
                return elsewhere
            if session is not None and desk.sessions.is_due(session):
                await desk.write(desk.sessions.see, session, page.address)
            if self._form:
                await page.take_form()
            return await self._handler(page)
        except StoreError:
            return await problem(page, StoreUnavailable())
        except GatewayError as error:
            return await problem(page, error)

    def _refusal(self, page: Page) -> Response | None:
        """Where somebody goes who may not see the page. NotFound: it is none of their business that there is one."""
        session = page.session
        if self._who == "anyone":
            return None
        if session is None:
            back = page.request.url.path.removeprefix(PREFIX) if not self._form else "/"
            return page.go(f"/signin?next={quote(back)}" if back not in ("", "/") else "/signin")
        if session.factor_due != (self._who == "half"):
            return page.go("/signin/code" if session.factor_due else "/")
        if self._who == "operator" and session.user.role != "operator":
            raise NotFound("There is no such page.")
        return None


async def problem(page: Page, error: GatewayError) -> Response:
    """An error as a page: what happened, what still works, and whether money moved."""
    words: Mapping[str, str] = problem_of(error, page.speech)
    page_or_none = page if not isinstance(error, StoreUnavailable) else Page(page.request, page.desk, None)
    response = await page_or_none.render("error.html", status=error.status, error=error, words=words)
    if error.retry_after_seconds is not None:
        response.headers["retry-after"] = str(error.retry_after_seconds)
    return response
