"""Signing in and out: password, second factor, forgotten password.

Nothing here tells whether an address is known: the same words, the same work, and messages that are sent after the
answer.
"""

from __future__ import annotations

from starlette.background import BackgroundTask
from starlette.responses import Response

from proxyapi.console.page import PREFIX, Page, get, post, session_cookie, visit_cookie
from proxyapi.console.passwords import check_strength
from proxyapi.console.sessions import KEPT_MS
from proxyapi.console.users import BY_ADDRESS, BY_CODE, BY_EMAIL, BY_EMAIL_ANYWHERE, BY_MAIL, User, normal_email
from proxyapi.errors import InvalidRequest, NotFound, TooManyRequests


async def form(page: Page) -> Response:
    """The form; whoever is signed in already goes home."""
    if page.session is not None and not page.session.factor_due:
        return page.go("/")
    return await page.render("signin.html", email="", failed="", next=page.asked("next"))


async def sign_in(page: Page) -> Response:
    """Password right: a session, or the question for the second factor."""
    typed, password = page.field("email"), page.secret_field("password")
    desk = page.desk
    place, email = page.subscriber, typed.lower()
    await desk.write(desk.users.count, (BY_ADDRESS, place), (BY_EMAIL, f"{place} {email}"), (BY_EMAIL_ANYWHERE, email))
    user = await _known(page, typed)
    stored = await desk.write(desk.users.password_of, user.id) if user is not None else None
    right = await desk.passwords.matches(stored, password)
    if user is None or not right or user.blocked:
        return await page.render("signin.html", status=401, email=typed, failed="wrong", next=page.field("next"))
    if not user.confirmed:
        answer = await page.render("signin.html", status=401, email=typed, failed="unconfirmed", next="")
        answer.background = BackgroundTask(send_confirmation, page, user)
        return answer
    kept = bool(page.field("keep"))
    await start_session(page, user, kept=kept, factor_due=user.second_factor)
    return page.go("/signin/code" if user.second_factor else _next(page))


async def start_session(page: Page, user: User, *, kept: bool, factor_due: bool = False) -> None:
    """A new session with a new token, instead of whatever this browser had."""
    before = page.session.token if page.session is not None else ""
    token = await page.desk.write(
        page.desk.sessions.start, user.id, agent=page.agent, address=page.address, kept=kept, factor_due=factor_due,
        instead_of=before,
    )  # fmt: skip
    page.set_cookie(session_cookie(page.desk), token, KEPT_MS // 1000 if kept else None)
    page.set_cookie(visit_cookie(page.desk), "", 0)


async def code_form(page: Page) -> Response:
    return await page.render("signin-code.html", failed=False)


async def check_code(page: Page) -> Response:
    """The second factor, or a recovery code."""
    desk, session = page.desk, page.session
    assert session is not None
    await desk.write(desk.users.count, (BY_CODE, str(page.user.id)))
    if not await desk.write(desk.users.passes_factor, page.user.id, page.field("code")):
        return await page.render("signin-code.html", status=401, failed=True)
    await start_session(page, page.user, kept=session.kept)
    return page.go("/")


async def sign_out(page: Page) -> Response:
    """Ends the session here and in the store."""
    if page.session is not None:
        await page.desk.write(page.desk.sessions.end, page.session.token)
    page.set_cookie(session_cookie(page.desk), "", 0)
    return page.go("/signin", done="signed-out")


# --- a forgotten password --------------------------------------------------------------------------------------------


async def forgot_form(page: Page) -> Response:
    return await page.render("forgot.html", sent=False, errors={})


async def forgot(page: Page) -> Response:
    """The same answer for every address."""
    desk = page.desk
    try:
        email = normal_email(page.field("email"))
    except InvalidRequest as error:
        errors = {"email": page.speech.gettext(error.detail)}
        return await page.render("forgot.html", status=400, sent=False, errors=errors)
    await desk.write(desk.users.count, (BY_ADDRESS, page.subscriber))
    answer = await page.render("forgot.html", sent=True, errors={})
    answer.background = BackgroundTask(_send_reset, page, email)
    return answer


async def reset_form(page: Page) -> Response:
    token = page.asked("token")
    known = await page.desk.write(page.desk.users.ticket_holder, token, "reset")
    if known is None:
        return await page.render("link-old.html", status=404, purpose="reset")
    return await page.render("reset.html", token=token, errors={})


async def reset(page: Page) -> Response:
    """A new password by a link. All sessions end; the second factor stays."""
    desk, token = page.desk, page.field("token")
    password = page.secret_field("password")
    try:
        check_strength(password)
    except InvalidRequest as error:
        errors = {"password": page.speech.gettext(error.detail)}
        return await page.render("reset.html", status=400, token=token, errors=errors)
    await desk.write(desk.users.count, (BY_ADDRESS, page.subscriber))
    if await desk.write(desk.users.ticket_holder, token, "reset") is None:
        return await page.render("link-old.html", status=404, purpose="reset")
    hashed = await desk.passwords.hash(password)
    try:
        await desk.write(desk.users.reset, token, hashed)
    except NotFound:
        return await page.render("link-old.html", status=404, purpose="reset")
    return page.go("/signin", done="password-saved")


async def _send_reset(page: Page, email: str) -> None:
    """After the answer, which must not take longer for an address that is known."""
    desk = page.desk
    user = await desk.write(desk.users.find, email)
    if user is None or user.blocked or not await _may_mail(page, email):
        return
    token = await desk.write(desk.users.ticket, user.id, "reset")
    await send(page, email, "reset.txt", link=f"{desk.address}{PREFIX}/reset?token={token}")


async def send_confirmation(page: Page, user: User) -> None:
    """The link that proves that the address is theirs."""
    desk = page.desk
    if not await _may_mail(page, user.email):
        return
    token = await desk.write(desk.users.ticket, user.id, "confirm")
    await send(page, user.email, "confirm.txt", link=f"{desk.address}{PREFIX}/confirm?token={token}")


async def send_already(page: Page, user: User) -> None:
    """Somebody signed up with an address that has an account: its owner is told, nobody else."""
    if await _may_mail(page, user.email):
        await send(page, user.email, "already.txt", link=f"{page.desk.address}{PREFIX}/forgot")


async def send(page: Page, to: str, template: str, **values: str) -> None:
    """A message in the language of the page."""
    subject, text = page.request.app.state.pen.message(f"mail/{template}", page.speech, **values)
    await page.desk.mailer.send(to, subject, text)


async def _may_mail(page: Page, email: str) -> bool:
    try:
        await page.desk.write(page.desk.users.count, (BY_MAIL, email))
    except TooManyRequests:
        return False
    return True


async def _known(page: Page, typed: str) -> User | None:
    try:
        email = normal_email(typed)
    except InvalidRequest:
        return None
    return await page.desk.write(page.desk.users.find, email)


def _next(page: Page) -> str:
    """Where they wanted to go: a page of ours, or home."""
    path = page.field("next")
    safe = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isascii() and path.isprintable()
    return path if safe else "/"


ROUTES = (
    get("/signin", form, who="anyone"),
    post("/signin", sign_in, who="anyone"),
    get("/signin/code", code_form, who="half"),
    post("/signin/code", check_code, who="half"),
    post("/signout", sign_out, who="anyone"),
    get("/forgot", forgot_form, who="anyone"),
    post("/forgot", forgot, who="anyone"),
    get("/reset", reset_form, who="anyone"),
    post("/reset", reset, who="anyone"),
)
