"""The console in a real browser: one journey from sign-up to the chart, in both languages; every page with axe-core.

Needs Chromium (`CHROMIUM`, or `chromium` in the path) and `npm ci` in this folder: `make test-console` sees to both.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or ""
AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
WIDE, PHONE = (1440, 900), (390, 844)
PAGES = (
    "/", "/keys", "/keys/new", "/usage", "/usage?by=key", "/usage?days=1", "/transactions", "/models?q=gpt-4o",
    "/balance", "/playground", "/settings", "/settings/factor", "/docs/start/quick-start", "/docs/concepts/money",
    "/docs/start/agents", "/docs/concepts/idempotency", "/docs/concepts/endings", "/docs/reference/routes",
    "/log", "/log/settings", "/no-such-page",
)  # fmt: skip
OPERATOR_PAGES = tuple(
    f"/operator/{name}"
    for name in (
        "accounts", "accounts?q=nobody", "prices", "price", "price?model=openai/gpt-4o", "providers",
        "providers/openai", "revenue", "revenue?by=model", "vouchers", "record", "audit", "settings",
    )
)  # fmt: skip
OUTSIDE = ("/signin", "/signup", "/forgot", "/reset?token=old")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    if not CHROMIUM or not AXE.exists():
        pytest.skip("needs chromium and axe-core: make test-console")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


def open_window(
    browser: Any, house: Any, *, size: tuple[int, int] = WIDE, language: str = "en", theme: str = "light"
) -> Any:
    """A page of a fresh browser that complains about everything that the policy forbids."""
    context = browser.new_context(
        base_url=house.url,
        viewport={"width": size[0], "height": size[1]},
        locale="ru-RU" if language == "ru" else "en-US",
        color_scheme=theme,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.complaints = []
    page.on("console", lambda said: page.complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    return page


def sign_in(page: Any, email: str) -> None:
    page.goto("/console/signin")
    page.fill("#email", email)
    page.fill("#password", PASSWORD)
    page.click("form.box button.btn-primary")
    page.wait_for_url("**/console/")


def faults_of(page: Any) -> list[str]:
    """What axe-core finds wrong with the page that is shown."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{fault['id']}: {node['target']} {node['failureSummary']}"
        for fault in found["violations"]
        for node in fault["nodes"][:3]
    ]


@pytest.fixture(scope="module")
def spender(house: Any, new_user: Any) -> str:
    """Somebody with money, two keys and some requests."""
    email = new_user()
    house.cli("deposit", email, "100")
    key = house.key(email, "--name", "Support bot", "--budget", "50", "--model", "openai/*", "--rpm", "60")
    house.key(email, "--name", "Old site", "--budget", "0")
    for model in ("openai/gpt-4o-mini", "openai/gpt-4o", "sandbox/fail-503"):
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}
        headers = {"authorization": f"Bearer {key}"}
        requests.post(f"{house.url}/v1/chat/completions", json=body, headers=headers, timeout=20)
    return email


@pytest.mark.parametrize(
    ("size", "theme", "language"),
    [(WIDE, "light", "ru"), (WIDE, "dark", "en"), (PHONE, "light", "en"), (PHONE, "dark", "ru")],
)
def test_every_page_can_be_read_by_everybody(
    house: Any, browser: Any, spender: str, size: tuple[int, int], theme: str, language: str
) -> None:
    page = open_window(browser, house, size=size, theme=theme, language=language)
    found: dict[str, list[str]] = {}
    for path in OUTSIDE:
        _look_at(page, path, found)
    sign_in(page, spender)
    receipt = re.search(r"/transactions/[0-9a-f-]{36}", page.content())
    key = page.goto("/console/keys") and re.search(r"/keys/\d+", page.content())
    for path in (*PAGES, receipt[0] if receipt else "", key[0] if key else ""):
        _look_at(page, path, found)
    page.context.close()
    assert not any(found.values()), found


@pytest.mark.parametrize(
    ("size", "theme", "language"),
    [(WIDE, "light", "en"), (WIDE, "dark", "ru"), (PHONE, "light", "ru"), (PHONE, "dark", "en")],
)
def test_operators_pages_can_be_read_by_everybody(
    house: Any, browser: Any, spender: str, new_user: Any, size: tuple[int, int], theme: str, language: str
) -> None:
    page = open_window(browser, house, size=size, theme=theme, language=language)
    sign_in(page, new_user(operator=True))
    found: dict[str, list[str]] = {}
    for path in (*OPERATOR_PAGES, f"/operator/accounts/{house.cli('account', 'show', spender)['id']}"):
        _look_at(page, path, found)
    page.context.close()
    assert not any(found.values()), found


@pytest.mark.parametrize(("size", "theme", "language"), [(WIDE, "dark", "en"), (PHONE, "light", "ru")])
def test_what_forms_answer_can_be_read_by_everybody(
    house: Any, browser: Any, new_user: Any, size: tuple[int, int], theme: str, language: str
) -> None:
    page = open_window(browser, house, size=size, theme=theme, language=language)
    found: dict[str, list[str]] = {}
    _send(page, "/signin", {"#email": "a@example.com", "#password": "wrong"}, "form.box .btn-primary", found)
    _send(page, "/signup", {"#email": "no address", "#password": "short"}, "form.box .btn-primary", found)
    sign_in(page, new_user(operator=True))
    _send(page, "/keys/new", {"#budget": "much", "#networks": "here"}, "main form .btn-primary", found)
    _send(page, "/keys/new", {"#name": "Looked at"}, "main form .btn-primary", found)
    _send(page, "/balance", {"#code": "AAAA-BBBB"}, "form[action$='/voucher'] .btn", found)
    _send(page, "/settings", {"#time_zone": "Mars/Base"}, "form[action$='/settings'] .btn-primary", found)
    assert page.input_value("#time_zone") == "Mars/Base"
    batch = {"[name=name]": "Spring", "[name=amount]": "5", "[name=number]": "2", "[name=days]": "9999"}
    _send(page, "/operator/vouchers", batch, "form[action$='/vouchers'] .btn-primary", found)
    batch["[name=days]"] = "30"
    _send(page, "/operator/vouchers", batch, "form[action$='/vouchers'] .btn-primary", found)
    _send(page, "/operator/audit", {}, "main form .btn-primary", found)
    page.context.close()
    assert not any(found.values()), found


def _send(page: Any, path: str, fields: dict[str, str], button: str, found: dict[str, list[str]]) -> None:
    """A form, whatever the browser itself would say of it, and a look at what it answers."""
    page.goto(f"/console{path}")
    page.evaluate("for (const form of document.forms) form.noValidate = true")
    for field, value in fields.items():
        page.fill(f"main {field}", value)
    page.click(button)
    page.wait_for_load_state()
    _look(page, f"{path} {fields}", found)


def _look_at(page: Any, path: str, found: dict[str, list[str]]) -> None:
    page.complaints.clear()
    page.goto(f"/console{path}")
    _look(page, path, found)


def _look(page: Any, path: str, found: dict[str, list[str]]) -> None:
    too_wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    complaints = [text for text in page.complaints if "status of 4" not in text]
    found[path] = faults_of(page) + complaints + (["scrolls sideways"] if too_wide else [])


@pytest.mark.parametrize("language", ["en", "ru"])
def test_one_journey_from_sign_up_to_the_chart(
    house: Any, browser: Any, visiting: Any, eventually: Any, language: str
) -> None:
    email = f"traveller-{language}@example.com"
    page = open_window(browser, house, language=language)
    page.goto("/console/signup")
    page.fill("#email", email)
    page.fill("#password", PASSWORD)
    page.click("form.box button.btn-primary")
    page.goto(eventually(lambda: visiting.mailed(house.log(), email)))
    page.fill("#password", PASSWORD)
    page.click("form.box button.btn-primary")
    page.wait_for_url("**/console/")

    (code,) = house.cli("voucher", "create", "Journey", "100", "--number", "1")["codes"]
    page.goto("/console/balance")
    page.fill("#code", code)
    page.click("form[action$='/voucher'] button")
    page.wait_for_url("**done=topped-up")
    assert "100" in page.inner_text(".hero-n")

    page.goto("/console/keys")
    page.click(".head .btn-primary")
    page.fill("dialog #name", "Journey")
    page.fill("dialog #budget", "0.01")
    page.click("dialog .dlg-foot .btn-primary")
    key = page.inner_text("#newkey")
    assert key in page.inner_text("[data-p='1']")

    def ask() -> requests.Response:
        body = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 40}
        headers = {"authorization": f"Bearer {key}"}
        return requests.post(f"{house.url}/v1/chat/completions", json=body, headers=headers, timeout=20)

    answer = ask()
    assert answer.status_code == 200
    number = answer.headers["x-request-id"]

    def listed() -> bool:
        page.goto("/console/transactions")
        return number in page.content()

    eventually(listed, seconds=2)
    for _ in range(40):
        if ask().status_code == 402:
            break
    else:
        pytest.fail("the budget was not hit")
    page.goto("/console/keys")
    page.click("#keys a.strong")
    page.fill("#budget", "50")
    page.click("form[action*='/keys/'] .panel-foot .btn-primary")
    page.wait_for_url("**done=key-saved")
    eventually(lambda: ask().status_code == 200)
    page.goto("/console/usage")
    assert page.locator(".plot .day").count() == 30 and page.locator(".plot rect.f1").count() >= 1
    page.focus(".plot")
    page.keyboard.press("ArrowLeft")
    assert "gpt-4o-mini" in page.inner_text(".tip")
    assert not page.complaints
    page.context.close()


def test_a_key_is_made_and_copied_without_a_mouse(house: Any, browser: Any, new_user: Any) -> None:
    page = open_window(browser, house)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/console/signin")
    _tab_to(page, "#email")
    page.keyboard.type(new_user())
    _tab_to(page, "#password")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/")
    _tab_to(page, "nav a[href='/console/keys']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/keys")
    _tab_to(page, ".head .btn-primary")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]")
    assert page.evaluate("document.querySelector('dialog').contains(document.activeElement)")
    _tab_to(page, "dialog #name")
    page.keyboard.type("By keyboard")
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    assert page.evaluate("document.activeElement.matches('.head .btn-primary')"), "the dialog gives the focus back"
    page.keyboard.press("Enter")
    _tab_to(page, "dialog .dlg-foot .btn-primary")
    page.keyboard.press("Enter")
    key = page.inner_text("#newkey")
    _tab_to(page, "[data-copy='newkey']")
    page.keyboard.press("Enter")
    page.wait_for_function("key => navigator.clipboard.readText().then(text => text === key)", arg=key)
    assert not page.complaints
    page.context.close()


TABS_MAX = 60


def _tab_to(page: Any, selector: str) -> None:
    """By the tab key alone; every stop on the way shows that it has the focus."""
    for _ in range(TABS_MAX):
        if page.evaluate("selector => !!document.activeElement?.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
        seen = page.evaluate(
            """() => {
              const at = document.activeElement;
              if (!at || at === document.body) return true;
              if (at.type === 'date') return true;  // its parts are the browser's own
              const near = [at, at.nextElementSibling, at.parentElement].filter(Boolean);
              const styles = near.map((element) => getComputedStyle(element));
              return styles.some((style) => style.outlineStyle !== 'none' || style.boxShadow !== 'none');
            }"""
        )
        assert seen, page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
    pytest.fail(f"{selector} is not reached by {TABS_MAX} tabs")
