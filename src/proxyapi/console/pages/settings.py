"""What a user sets for oneself: language, time zone, theme; password, second factor, sessions."""

from __future__ import annotations

import io
import re
from typing import cast

import segno
from starlette.responses import Response

from proxyapi.console import totp
from proxyapi.console.marks import N_
from proxyapi.console.page import Page, get, post
from proxyapi.console.pages.signin import start_session
from proxyapi.console.passwords import check_strength
from proxyapi.console.speech import LANGUAGES, ZONES
from proxyapi.console.users import BY_CODE, Theme
from proxyapi.errors import InvalidRequest, NotFound
from proxyapi.identity.accounts import WhenShort

ISSUER = "proxyapi"
USUAL_ZONES = (
    "Europe/Kaliningrad", "Europe/Moscow", "Europe/Samara", "Asia/Yekaterinburg", "Asia/Omsk", "Asia/Novosibirsk",
    "Asia/Krasnoyarsk", "Asia/Irkutsk", "Asia/Yakutsk", "Asia/Vladivostok", "Asia/Magadan", "Asia/Kamchatka",
    "Asia/Almaty", "Asia/Tbilisi", "Asia/Yerevan", "Asia/Tashkent", "Europe/Minsk", "Europe/Berlin", "Europe/London",
    "America/New_York", "America/Los_Angeles", "Asia/Dubai", "Asia/Singapore", "UTC",
)  # fmt: skip
"""Offered first; the field takes any name of the database of time zones."""
_BROWSERS = (("Firefox", "Firefox"), ("Edg", "Edge"), ("OPR", "Opera"), ("YaBrowser", "Yandex"), ("Chrome", "Chrome"),
             ("Safari", "Safari"), ("curl", "curl"))  # fmt: skip
_SYSTEMS = (("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"),
            ("Mac OS", "macOS"), ("Linux", "Linux"))  # fmt: skip


async def index(page: Page) -> Response:
    return await _page(page)


async def _page(page: Page, *, status: int = 200, errors: dict[str, str] | None = None) -> Response:
    assert page.session is not None
    sessions = await page.desk.sessions.list(page.user.id)
    left = await page.desk.write(page.desk.users.codes_left, page.user.id) if page.user.second_factor else 0
    return await page.render(
        "settings.html",
        status=status,
        nav="settings",
        sessions=[(listed, device(listed.agent)) for listed in sessions],
        current=page.session.id,
        codes_left=left,
        zones=USUAL_ZONES,
        if_short=(await page.desk.write(page.desk.accounts.get, page.account_id)).when_short,
        errors=errors or {},
        chosen=_chosen(page, again="time_zone" in (errors or {})),
    )


def _chosen(page: Page, *, again: bool) -> dict[str, str]:
    """How pages look: as it is kept, or as it was typed if that could not be."""
    kept = {"language": page.user.language, "time_zone": page.user.time_zone, "theme": page.user.theme}
    return {name: page.field(name) for name in kept} if again else kept


async def save(page: Page) -> Response:
    """Language, time zone and theme."""
    language, zone, theme = page.field("language"), page.field("time_zone"), page.field("theme")
    if zone and zone not in ZONES:
        words = page.speech.gettext(N_("There is no such time zone; it is written as Europe/Moscow"))
        return await _page(page, status=400, errors={"time_zone": words})
    if language not in ("", *LANGUAGES) or theme not in ("", "light", "dark"):
        raise InvalidRequest("There is no such setting.")
    users = page.desk.users
    await page.desk.write(users.set_preferences, page.user.id, language, zone, cast(Theme, theme))
    return page.go("/settings", done="settings-saved")


async def when_short(page: Page) -> Response:
    """Of the account, whoever of its users chooses."""
    chosen: WhenShort = "shorten" if page.field("when_short") == "shorten" else "refuse"
    await page.desk.write(page.desk.accounts.edit, page.account_id, when_short=chosen)
    return page.go("/settings", done="settings-saved")


async def change_password(page: Page) -> Response:
    """Needs the old one. All other sessions end, this one goes on under a new token."""
    desk, new = page.desk, page.secret_field("new_password")
    await desk.write(desk.users.count, (BY_CODE, f"password {page.user.id}"))
    if not await _knows_password(page):
        return await _page(page, status=400, errors={"password": page.speech.gettext(N_("This is not the password"))})
    try:
        check_strength(new)
    except InvalidRequest as error:
        return await _page(page, status=400, errors={"new_password": page.speech.gettext(error.detail)})
    hashed = await desk.passwords.hash(new)
    await desk.write(desk.users.set_password, page.user.id, hashed)
    assert page.session is not None
    await start_session(page, page.user, kept=page.session.kept)
    return page.go("/settings", done="password-saved")


# --- the second factor -----------------------------------------------------------------------------------------------


async def factor(page: Page) -> Response:
    """A new secret to be put into an app; it counts once a code of it was typed."""
    return await _factor(page, page.desk.random_bytes(totp.SECRET_BYTES))


async def _factor(page: Page, secret: bytes, *, status: int = 200, errors: dict[str, str] | None = None) -> Response:
    picture = io.BytesIO()
    segno.make(totp.address(secret, page.user.email, ISSUER)).save(
        picture, kind="svg", xmldecl=False, svgns=True, scale=4, border=2, omitsize=True, svgclass="qr", lineclass=None
    )
    text = totp.secret_text(secret)
    return await page.render(
        "factor.html",
        status=status,
        nav="settings",
        secret=text,
        grouped=" ".join(re.findall("....", text)),
        picture=picture.getvalue().decode(),
        errors=errors or {},
    )


async def set_factor(page: Page) -> Response:
    """The app shows the right code: from now on it is asked for. The recovery codes are shown once."""
    desk = page.desk
    try:
        secret = totp.secret_of(page.field("secret"))
    except ValueError:
        raise InvalidRequest("This is not the secret that was shown.") from None
    await desk.write(desk.users.count, (BY_CODE, f"factor {page.user.id}"))
    if not await _knows_password(page):
        words = page.speech.gettext(N_("This is not the password"))
        return await _factor(page, secret, status=400, errors={"password": words})
    if totp.matching_step(secret, totp.normal_code(page.field("code")), desk.clock()) is None:
        words = page.speech.gettext(N_("The code did not match"))
        return await _factor(page, secret, status=400, errors={"code": words})
    codes = list(totp.recovery_codes(desk.random_bytes))
    await desk.write(desk.users.set_factor, page.user.id, secret, codes)
    assert page.session is not None
    await desk.write(desk.sessions.revoke_others, page.session)
    return await page.render("factor-codes.html", nav="settings", codes=codes)


async def drop_factor(page: Page) -> Response:
    """Needs the password."""
    desk = page.desk
    await desk.write(desk.users.count, (BY_CODE, f"password {page.user.id}"))
    if not await _knows_password(page):
        words = page.speech.gettext(N_("This is not the password"))
        return await _page(page, status=400, errors={"factor_password": words})
    await desk.write(desk.users.set_factor, page.user.id, None)
    return page.go("/settings", done="factor-off")


async def _knows_password(page: Page) -> bool:
    desk = page.desk
    stored = await desk.write(desk.users.password_of, page.user.id)
    return await desk.passwords.matches(stored, page.secret_field("password"))


# --- sessions --------------------------------------------------------------------------------------------------------


async def end_session(page: Page) -> Response:
    """NotFound: there is none, or it is somebody else's."""
    if not await page.desk.write(page.desk.sessions.revoke, page.user.id, page.number("id")):
        raise NotFound("There is no such session.")
    return page.go("/settings", done="session-ended")


async def end_others(page: Page) -> Response:
    assert page.session is not None
    await page.desk.write(page.desk.sessions.revoke_others, page.session)
    return page.go("/settings", done="sessions-ended")


def device(agent: str) -> str:
    """`Firefox, Linux` of a browser's long name for itself."""
    parts = (next((title for mark, title in table if mark in agent), "") for table in (_BROWSERS, _SYSTEMS))
    return ", ".join(filter(None, parts)) or agent[:60]


ROUTES = (
    get("/settings", index),
    post("/settings", save),
    post("/settings/when-short", when_short),
    post("/settings/password", change_password),
    get("/settings/factor", factor),
    post("/settings/factor", set_factor),
    post("/settings/factor/off", drop_factor),
    post("/settings/sessions/{id}/end", end_session),
    post("/settings/sessions/end-others", end_others),
)
