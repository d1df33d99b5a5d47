"""Signing up, in and out, through the gateway, as a browser without script does it."""

from __future__ import annotations

import re
import statistics
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from proxyapi.console import totp
from proxyapi.console.users import BY_EMAIL_ANYWHERE, Users
from proxyapi.store.database import open_database, sqlite_url

PASSWORD = "correct horse battery"
COOKIE = "session"


def test_a_browser_that_opens_the_base_address_is_led_to_the_console(house: Any) -> None:
    page = requests.get(f"{house.url}/", headers={"accept": "text/html"}, allow_redirects=False, timeout=20)
    assert (page.status_code, page.headers["location"]) == (302, "/console/")
    program = requests.get(f"{house.url}/", headers={"accept": "application/json"}, timeout=20)
    assert program.json() == {"service": "proxyapi", "status": "ok"}


def test_a_stranger_signs_up_confirms_and_is_in(house: Any, visitor: Any, visiting: Any, eventually: Any) -> None:
    email = "newcomer@example.com"
    visitor.get("/signup")
    assert "Look into your mailbox" in visitor.post("/signup", email=email.upper(), password=PASSWORD).text
    link = eventually(lambda: visiting.mailed(house.log(), email))
    assert "not confirmed" in visitor.sign_in(email, PASSWORD).text
    link = eventually(lambda: (again := visiting.mailed(house.log(), email)) != link and again)
    confirmation = visitor.get(link)
    assert "Confirm and sign in" in confirmation.text
    home = visitor.post("/confirm", token=link.partition("token=")[2], password=PASSWORD)
    assert home.url.endswith("/console/") and "Overview" in home.text
    assert house.cli("account", "show", email)["balance"] == 0


def test_a_link_does_not_open_an_account_with_the_password_of_a_stranger_who_signed_up_last(
    house: Any, visiting: Any, eventually: Any
) -> None:
    email = "victim@example.com"
    stranger, owner = visiting.Visitor(house.url), visiting.Visitor(house.url)
    stranger.get("/signup")
    stranger.post("/signup", email=email, password="known to a stranger")
    link = eventually(lambda: visiting.mailed(house.log(), email))
    owner.get(link)
    refused = owner.post("/confirm", token=link.partition("token=")[2], password=PASSWORD)
    assert refused.status_code == 401 and "not the password of the latest sign-up" in refused.text
    assert "not confirmed" in stranger.sign_in(email, "known to a stranger").text


def test_nobody_learns_which_addresses_have_an_account(house: Any, visiting: Any, new_user: Any) -> None:
    known = new_user()

    def pages(email: str) -> list[str]:
        visitor = visiting.Visitor(house.url)
        texts = [visitor.sign_in(email, "a wrong password").text]
        visitor.get("/forgot")
        texts.append(visitor.post("/forgot", email=email).text)
        visitor.get("/signup")
        texts.append(visitor.post("/signup", email=email, password=PASSWORD).text)
        return [re.sub(r"[0-9a-f]{64}|[0-9a-f-]{36}", "", text).replace(email, "EMAIL") for text in texts]

    assert pages(known) == pages("nobody-at-all@example.com")


def test_a_wrong_password_takes_as_long_for_nobody_as_for_somebody(house: Any, visiting: Any, new_user: Any) -> None:
    visitor = visiting.Visitor(house.url)
    seconds: dict[str, list[float]] = {new_user(): [], "nobody@example.com": []}
    visitor.get("/signin")
    for _ in range(7):
        for email, measured in seconds.items():
            began = time.perf_counter()
            visitor.post("/signin", email=email, password="a wrong password")
            measured.append(time.perf_counter() - began)
    known, unknown = (statistics.median(measured) for measured in seconds.values())
    assert 0.5 < known / unknown < 2, (known, unknown)


def test_a_session_has_another_token_after_signing_in(house: Any, visitor: Any, new_user: Any) -> None:
    visitor.session.cookies.set(COOKIE, "0" * 64, domain="127.0.0.1")
    visitor.sign_in(new_user(), PASSWORD)
    first = visitor.session.cookies[COOKIE]
    assert first != "0" * 64
    visitor.post("/signout")
    assert "/signin" in visitor.get("/").url
    assert "/signin" in visitor.get("/", cookies={COOKIE: first}).url


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(visitor: Any, new_user: Any) -> None:
    visitor.get("/signin")
    answer = visitor.session.post(
        f"{visitor.url}/console/signin",
        data={"_csrf": visitor.token, "email": new_user(), "password": PASSWORD},
        allow_redirects=False,
        timeout=20,
    )
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie


def test_a_form_without_its_token_changes_nothing(customer: Any) -> None:
    for token in ("", "0" * 64):
        assert customer.post("/signout", _csrf=token).status_code == 403
    assert customer.get("/").status_code == 200
    other = requests.post(
        f"{customer.url}/console/signout", cookies=customer.session.cookies.get_dict(), data={}, timeout=20
    )
    assert other.status_code == 403


def test_every_answer_forbids_inline_code_and_frames(visitor: Any) -> None:
    for path in ("/signin", "/no-such-page", "/static/0/js/console.js"):
        headers = visitor.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_pages_hold_no_inline_style_or_script(visitor: Any) -> None:
    for path in ("/signin", "/signup", "/forgot"):
        text = visitor.get(path).text
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)


def test_static_files_are_kept_for_ever_under_their_digest(visitor: Any) -> None:
    page = visitor.get("/signin").text
    address = re.search(r'href="(/console/static/[^"]+\.css)"', page)
    assert address
    answer = visitor.session.get(visitor.url + address[1], timeout=20)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert visitor.session.get(visitor.url + "/console/static/0/../../signin", timeout=20).status_code == 200
    assert visitor.session.get(visitor.url + "/console/static/0/css/none.css", timeout=20).status_code == 404


def test_guessing_at_one_account_is_stopped_and_does_not_lock_its_owner_out(
    house: Any, visitor: Any, visiting: Any, new_user: Any
) -> None:
    email = new_user()
    owner = visiting.Visitor(house.url)
    owner.session.headers["x-forwarded-for"] = "203.0.113.9"
    visitor.get("/signin")
    answers = [visitor.post("/signin", email=email, password="guess") for _ in range(11)]
    assert {answer.status_code for answer in answers[:10]} == {401}
    assert answers[10].status_code == 429 and int(answers[10].headers["retry-after"]) > 0
    assert visitor.post("/signin", email=email, password=PASSWORD).status_code == 429
    assert owner.sign_in(email, PASSWORD).url.endswith("/console/")


def test_guessing_at_one_account_from_many_places_is_stopped_as_well(visiting: Any, house: Any, new_user: Any) -> None:
    email = new_user()
    guesser = visiting.Visitor(house.url)
    guesser.session.headers["x-forwarded-for"] = "203.0.113.9"
    guesser.get("/signin")
    database = open_database(sqlite_url(house.data / "proxyapi.db"))
    try:
        for _ in range(BY_EMAIL_ANYWHERE.times - 1):
            Users(database, time.time).count((BY_EMAIL_ANYWHERE, email))
    finally:
        database.close()
    assert guesser.post("/signin", email=email, password="guess").status_code == 401
    assert guesser.post("/signin", email=email, password="guess").status_code == 429


def test_a_forgotten_password_is_set_anew_by_a_link(
    house: Any, visitor: Any, visiting: Any, new_user: Any, eventually: Any
) -> None:
    email = new_user()
    elsewhere = visiting.Visitor(house.url)
    elsewhere.sign_in(email, PASSWORD)
    visitor.get("/forgot")
    visitor.post("/forgot", email=email)
    link = eventually(lambda: visiting.mailed(house.log(), email))
    visitor.get(link)
    token = link.partition("token=")[2]
    assert "10 to 200" in visitor.post("/reset", token=token, password="short").text
    assert "signin" in visitor.post("/reset", token=token, password="another horse battery").url
    assert "too old" in visitor.get(link).text
    assert "/signin" in elsewhere.get("/").url
    assert visitor.sign_in(email, PASSWORD).status_code == 401
    assert visitor.sign_in(email, "another horse battery").url.endswith("/console/")


def test_the_second_factor_stands_between_password_and_pages(house: Any, visitor: Any, new_user: Any) -> None:
    from proxyapi.console.users import Users
    from proxyapi.store.database import open_database

    email, secret = new_user(), bytes(range(20))
    database = open_database(f"sqlite:///{house.data}/proxyapi.db")
    users = Users(database, time.time)
    user = users.find(email)
    assert user is not None
    users.set_factor(user.id, secret, ["aaaa-bbbb-cccc"])
    database.close()
    assert visitor.sign_in(email, PASSWORD).url.endswith("/signin/code")
    assert visitor.get("/").url.endswith("/signin/code")
    before = visitor.session.cookies[COOKIE]
    assert visitor.post("/signin/code", code="000000").status_code == 401
    assert visitor.post("/signin/code", code=totp.code_at(secret, int(time.time()) // 30)).url.endswith("/console/")
    assert visitor.session.cookies[COOKIE] != before


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example"])
def test_nobody_is_led_elsewhere_after_signing_in(visitor: Any, new_user: Any, target: str) -> None:
    home = visitor.sign_in(new_user(), PASSWORD, next=target)
    assert urlsplit(home.url).netloc == urlsplit(visitor.url).netloc


def test_the_language_is_that_of_the_browser_or_chosen(house: Any, visiting: Any) -> None:
    russian = visiting.Visitor(house.url, language="ru-RU,ru;q=0.9,en;q=0.8")
    assert "Забыли пароль?" in russian.get("/signin").text
    assert "Forgot it?" in russian.post("/language", language="en").text
    assert "Forgot it?" in russian.get("/signin").text


def test_what_the_client_says_of_itself_is_not_believed(house: Any) -> None:
    """Neither its address nor the gateway's secret can be sent from outside."""
    headers = {"x-forwarded-for": "203.0.113.9", "x-proxyapi-door": "0" * 64, "x-forwarded-host": "evil.example"}
    page = requests.get(f"{house.url}/console/signin", headers=headers, timeout=20)
    assert page.status_code == 200 and "evil.example" not in page.text


def test_people_see_a_calm_page_while_the_console_is_away(gateways: Any, tmp_path: Any, eventually: Any) -> None:
    import os
    import signal
    from pathlib import Path

    with gateways.Gateway(tmp_path, console=True) as gateway:
        url = f"{gateway.url}/console/signin"
        eventually(lambda: requests.get(url, timeout=20).status_code == 200, seconds=30)
        children = Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text().split()
        os.kill(int(children[-1]), signal.SIGKILL)
        answers = [requests.get(url, timeout=60).status_code]
        assert set(answers) <= {200, 503}
        assert requests.get(f"{gateway.url}/healthz", timeout=20).status_code == 200
        eventually(lambda: requests.get(url, timeout=60).status_code == 200, seconds=30)
        assert "console ended (SIGKILL)" in gateway.log()
