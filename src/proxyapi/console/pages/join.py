"""Signing up: an address, a password, and a link that proves the address. The account is made when it is followed."""

from __future__ import annotations

from starlette.background import BackgroundTask
from starlette.responses import Response

from proxyapi.console.page import Page, get, post
from proxyapi.console.pages.signin import send_already, send_confirmation, start_session
from proxyapi.console.passwords import check_strength
from proxyapi.console.speech import LANGUAGES
from proxyapi.console.users import BY_ADDRESS, normal_email
from proxyapi.errors import Conflict, InvalidRequest, NotFound

LANGUAGE_SECONDS = 365 * 24 * 3600


async def form(page: Page) -> Response:
    _open(page)
    return await page.render("signup.html", email="", sent=False, errors={})


async def sign_up(page: Page) -> Response:
    """The same answer and the same work whether or not the address has an account."""
    _open(page)
    desk = page.desk
    typed, password = page.field("email"), page.secret_field("password")
    try:
        email = normal_email(typed)
        check_strength(password)
    except InvalidRequest as error:
        errors = {error.param or "email": page.speech.gettext(error.detail)}
        return await page.render("signup.html", status=400, email=typed, sent=False, errors=errors)
    await desk.write(desk.users.count, (BY_ADDRESS, page.subscriber))
    hashed = await desk.passwords.hash(password)
    answer = await page.render("signup.html", email=email, sent=True, errors={})
    answer.background = BackgroundTask(_enrol, page, email, hashed)
    return answer


async def _enrol(page: Page, email: str, hashed: str) -> None:
    """After the answer. Who signed up before without confirming may do so again: the later password is taken."""
    desk = page.desk
    try:
        user = await desk.write(desk.users.add, email, hashed, language=page.speech.language)
    except Conflict:
        found = await desk.write(desk.users.find, email)
        assert found is not None
        if found.confirmed:
            return await send_already(page, found)
        await desk.write(desk.users.set_password, found.id, hashed)
        user = found
    return await send_confirmation(page, user)


async def confirm_form(page: Page) -> Response:
    """A button, so that a mail program that looks at links in advance confirms nothing."""
    token = page.asked("token")
    known = await page.desk.write(page.desk.users.ticket_holder, token, "confirm")
    if known is None:
        return await page.render("link-old.html", status=404, purpose="confirm")
    return await page.render("confirm.html", token=token, failed=False)


async def confirm(page: Page) -> Response:
    """The address is proved, by whoever chose the password: an account, and the first session.

    The link alone is not enough. Anybody may sign up with an address of somebody else's, who would open, by following
    the link, an account whose password a stranger knows.
    """
    desk, token = page.desk, page.field("token")
    await desk.write(desk.users.count, (BY_ADDRESS, page.subscriber))
    try:
        stored = await desk.write(desk.users.password_to_confirm, token)
        if not await desk.passwords.matches(stored, page.secret_field("password")):
            return await page.render("confirm.html", status=401, token=token, failed=True)
        user = await desk.write(desk.users.confirm, token, stored)
    except NotFound:
        return await page.render("link-old.html", status=404, purpose="confirm")
    await start_session(page, user, kept=False, factor_due=user.second_factor)
    return page.go("/")


async def choose_language(page: Page) -> Response:
    """Before signing in; users have a setting."""
    language = page.field("language")
    if language in LANGUAGES:
        page.set_cookie("language", language, LANGUAGE_SECONDS)
    return page.go("/signin")


def _open(page: Page) -> None:
    if not page.desk.signup:
        raise NotFound("There is no such page.")


ROUTES = (
    get("/signup", form, who="anyone"),
    post("/signup", sign_up, who="anyone"),
    get("/confirm", confirm_form, who="anyone"),
    post("/confirm", confirm, who="anyone"),
    post("/language", choose_language, who="anyone"),
)
