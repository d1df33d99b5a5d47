"""The operator's pages, as somebody with a browser and without scripts uses them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

PASSWORD = "correct horse battery"
PAGES = (
    "/operator/accounts", "/operator/users", "/operator/users/1",
    "/operator/prices", "/operator/price?model=openai/gpt-4o", "/operator/price",
    "/operator/providers", "/operator/providers/openai", "/operator/revenue", "/operator/revenue?by=model",
    "/operator/vouchers", "/operator/record", "/operator/audit", "/operator/settings",
)  # fmt: skip


@pytest.fixture
def operator(house: Any, visiting: Any, new_user: Callable[..., str]) -> Any:
    visitor = visiting.Visitor(house.url)
    visitor.email = new_user(operator=True)
    assert visitor.sign_in(visitor.email, PASSWORD).url.endswith("/console/")
    return visitor


@pytest.fixture
def account(house: Any) -> int:
    name, _ = house.customer("500")
    return int(house.cli("account", "show", name)["id"])


@pytest.fixture(scope="module")
def reader(house: Any, visiting: Any, new_user: Callable[..., str]) -> Any:
    """A customer who only looks around: the same for several tests, as signing in takes long on purpose."""
    visitor = visiting.Visitor(house.url)
    assert visitor.sign_in(new_user(), PASSWORD).url.endswith("/console/")
    return visitor


@pytest.mark.parametrize("path", [*PAGES, "/operator/accounts/1"])
def test_for_customers_and_strangers_the_pages_do_not_exist(reader: Any, visitor: Any, path: str) -> None:
    assert reader.get(path).status_code == 404
    assert "/signin" in visitor.get(path).url


def test_a_customer_cannot_send_an_operators_form(customer: Any, account: int, house: Any) -> None:
    customer.get("/keys")
    assert customer.post(f"/operator/accounts/{account}/deposit", amount="100").status_code == 404
    assert house.cli("account", "show", str(account))["balance"] == 500


@pytest.mark.parametrize("language", ["en", "ru"])
def test_every_page_is_shown_in_both_languages_with_its_menu(operator: Any, language: str) -> None:
    operator.session.headers["accept-language"] = language
    for path in PAGES:
        answer = operator.get(path)
        assert answer.status_code == 200, path
        assert {"en": "Prices and markup", "ru": "Цены и наценка"}[language] in answer.text
        assert not re.search(r"<script(?! type=\"module\" src=)|style=", answer.text), path


def test_money_goes_onto_an_account_and_off_it_with_a_reason(operator: Any, account: int, house: Any) -> None:
    here = f"/operator/accounts/{account}"
    operator.get(here)
    done = operator.post(f"{here}/deposit", amount="1 000,50", reference=f"by-hand-{account}")
    assert done.status_code == 200 and "The deposit is booked" in done.text
    again = operator.post(f"{here}/deposit", amount="1 000,50", reference=f"by-hand-{account}")
    assert "nothing was changed" in again.text
    operator.post(f"{here}/adjust", amount="200", direction="take", reason="a mistake of ours")
    assert house.cli("account", "show", str(account))["balance"] == 1300.5
    refused = operator.post(f"{here}/adjust", amount="5000", direction="take", reason="too much")
    assert refused.status_code == 400 and "1,300.50" in refused.text
    assert operator.post(f"{here}/adjust", amount="5", direction="add", reason="").status_code == 400
    assert operator.post(f"{here}/deposit", amount="much").status_code == 400
    record = operator.get(f"/operator/record?subject=account+{account}").text
    assert operator.email in record and "Adjusted a balance" in record and "a mistake of ours" in record


def test_an_operator_acts_on_a_user_but_not_on_himself(
    operator: Any, house: Any, new_user: Callable[..., str], visiting: Any
) -> None:
    email = new_user()
    other = visiting.Visitor(house.url)
    other.sign_in(email, PASSWORD)
    users = {user["email"]: user["id"] for user in house.cli("user", "list")["users"]}
    here = f"/operator/users/{users[email]}"
    assert email in operator.get(f"/operator/users?q={email}").text
    operator.get(here)
    assert "All sessions of the user have ended" in operator.post(f"{here}/sign-out").text
    assert "/signin" in other.get("/keys").url
    assert "The role is changed" in operator.post(f"{here}/role", role="operator").text
    assert "There is no second factor" in operator.post(f"{here}/reset-factor").text
    assert "is blocked and signed out" in operator.post(f"{here}/block", blocked="1").text
    assert "/signin" in other.sign_in(email, PASSWORD).url
    assert "may sign in again" in operator.post(f"{here}/block", blocked="0").text
    mine = f"/operator/users/{users[operator.email]}"
    for form in ({"block": {"blocked": "1"}}, {"role": {"role": "customer"}}):
        ((act, fields),) = form.items()
        refused = operator.post(f"{mine}/{act}", **fields)
        assert refused.status_code == 409 and "Another operator has to do this" in refused.text
    assert "Blocked a user" in operator.get(f"/operator/record?subject=user+{users[email]}").text


def test_what_happens_when_money_is_short_is_chosen_by_operator_and_customer(
    operator: Any, account: int, house: Any, customer: Any
) -> None:
    here = f"/operator/accounts/{account}"
    operator.get(here)
    assert "The settings are saved" in operator.post(f"{here}/when-short", when_short="shorten").text
    assert house.cli("account", "show", str(account))["when_short"] == "shorten"
    customer.get("/settings")
    customer.post("/settings/when-short", when_short="shorten")
    assert house.cli("account", "show", customer.email)["when_short"] == "shorten"
    customer.post("/settings/when-short", when_short="refuse")
    assert house.cli("account", "show", customer.email)["when_short"] == "refuse"


def test_an_account_is_blocked_and_works_again(operator: Any, account: int, house: Any) -> None:
    here = f"/operator/accounts/{account}"
    operator.get(here)
    assert "its keys get 401" in operator.post(f"{here}/block", blocked="1").text
    assert house.cli("account", "show", str(account))["blocked"] is True
    operator.post(f"{here}/block", blocked="0")
    assert house.cli("account", "show", str(account))["blocked"] is False


def test_codes_are_shown_once(operator: Any) -> None:
    operator.get("/operator/vouchers")
    made = operator.post("/operator/vouchers", name="spring", amount="50", number="3", days="10")
    codes = re.findall(r"\b(?:[0-9A-Z]{5}-){3}[0-9A-Z]{5}\b", made.text)
    assert len(codes) == 3
    assert not any(code in operator.get("/operator/vouchers").text for code in codes)
    assert operator.post("/operator/vouchers", name="spring", amount="50", number="0", days="10").status_code == 400


def test_what_another_markup_would_bring_is_seen_before_it_counts(operator: Any, house: Any) -> None:
    seen = operator.get("/operator/prices?rate=110&markup=30").text
    assert "Let it count: 110 and 30 %" in seen
    saved = operator.post("/operator/prices", rate="110", markup="30")
    assert "New prices count" in saved.text and "now 30 %" in saved.text
    operator.post("/operator/prices", rate="x", markup="30")
    operator.get("/operator/prices")
    assert "now 0 %" in operator.post("/operator/prices", rate="1", markup="1", reset="1").text


def test_an_own_price_is_set_and_taken_back(operator: Any) -> None:
    operator.get("/operator/price?model=openai/gpt-4.1")
    own = operator.post(
        "/operator/price", model="openai/gpt-4.1", price_input_tokens="123,4", price_output_tokens="500"
    )
    assert "gpt-4.1" in own.text and "123" in own.text and "yours" in own.text
    assert operator.post("/operator/price", model="openai/gpt-4.1", price_input_tokens="dear").status_code == 400
    assert "counts again" in operator.post("/operator/price", model="openai/gpt-4.1", reset="1").text


def test_a_provider_is_switched_off_and_on(operator: Any) -> None:
    operator.get("/operator/providers")
    assert "its models are not sold" in operator.post("/operator/providers/deepseek", to="off").text
    assert "Off" in operator.get("/operator/providers/deepseek").text
    operator.post("/operator/providers/deepseek", to="file")


def test_the_audit_is_run_from_its_page(operator: Any) -> None:
    operator.get("/operator/audit")
    assert "every balance agrees with the journal" in operator.post("/operator/audit").text


def test_no_secret_is_on_the_page_of_settings(operator: Any) -> None:
    text = operator.get("/operator/settings").text
    assert "yookassa.secret_key" in text and "exchange_rate" in text


def test_what_functions_underneath_refuse_is_said_in_the_language_of_the_page(operator: Any) -> None:
    form = {"name": "Spring", "amount": "5", "number": "2", "days": "9999"}
    said = {"en": "Codes are good for 1 to 3650 days.", "ru": "Коды действуют от 1 до 3650 дней."}
    for language, words in said.items():
        operator.session.headers["accept-language"] = language
        operator.get("/operator/vouchers")
        refused = operator.post("/operator/vouchers", form)
        assert refused.status_code == 400 and words in refused.text


def test_an_audit_and_the_record_are_told_in_russian(operator: Any, account: int) -> None:
    operator.session.headers["accept-language"] = "ru"
    operator.get("/operator/audit")
    audit = operator.post("/operator/audit").text
    assert "Суммы отчётов сходятся с журналом." in audit and "The sums behind" not in audit
    operator.post(f"/operator/accounts/{account}/block", blocked="1")
    record = operator.get("/operator/record").text
    assert "Счёт заблокирован" in record and f"счёт {account}" in record and "account.block" not in record
