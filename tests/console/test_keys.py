"""Keys in the console: made, shown once, edited, disabled, revoked; and never somebody else's."""

from __future__ import annotations

import re
from typing import Any

import requests

_KEY = re.compile(r"sk-[A-Za-z0-9]{48}")


def create(customer: Any, **fields: Any) -> tuple[str, str]:
    """The key and its id."""
    customer.get("/keys/new")
    page = customer.post("/keys", {"period": "never", **fields})
    found = _KEY.search(page.text)
    assert found, page.text
    ids = re.findall(r'href="/console/keys/(\d+)"', customer.get("/keys").text)
    return found[0], max(ids, key=int)


def chat(url: str, key: str, model: str = "openai/gpt-4o-mini") -> requests.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}
    return requests.post(
        f"{url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"}, timeout=20
    )


def test_a_key_is_shown_once_and_works(house: Any, customer: Any) -> None:
    house.cli("deposit", customer.email, "100")
    key, key_id = create(customer, name="Support bot")
    assert key not in customer.get("/keys").text and key not in customer.get(f"/keys/{key_id}").text
    assert chat(house.url, key).status_code == 200


def test_every_setting_of_the_form_reaches_the_key(house: Any, customer: Any, visiting: Any) -> None:
    _, key_id = create(
        customer,
        name="Каталог",
        budget="3 000,50",
        period="month",
        models="anthropic/claude-*\nopenai/gpt-4o*",
        endpoints=["chat", "messages"],
        networks="203.0.113.0/24, 2001:db8::/32",
        requests_per_minute="60",
        tokens_per_minute="200 000",
        expires="2100-01-31",
        may_query_balance="1",
    )
    shown = house.cli("key", "show", key_id)
    assert shown["name"] == "Каталог" and str(shown["budget"]) == "3000.5" and shown["period"] == "month"
    assert shown["models"] == ["anthropic/claude-*", "openai/gpt-4o*"] and shown["endpoints"] == ["chat", "messages"]
    assert shown["networks"] == ["203.0.113.0/24", "2001:db8::/32"]
    page = customer.get(f"/keys/{key_id}")
    for value in ('value="3,000.5"', "anthropic/claude-*\nopenai/gpt-4o*", 'value="2100-01-31"', 'value="200,000"'):
        assert value in page.text, value


def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_lost(customer: Any) -> None:
    customer.get("/keys/new")
    page = customer.post("/keys", name="kept", budget="many", networks="198.51.100.300", requests_per_minute="0")
    assert page.status_code == 400
    assert "198.51.100.300 is not an address" in page.text and "This is not a sum" in page.text
    assert 'value="kept"' in page.text and 'value="many"' in page.text and page.text.count('aria-invalid="true"') == 3


def test_a_budget_that_is_used_up_refuses_until_it_is_raised(house: Any, customer: Any, eventually: Any) -> None:
    house.cli("deposit", customer.email, "100")
    key, key_id = create(customer, budget="0.001")
    assert chat(house.url, key).status_code == 402
    customer.get(f"/keys/{key_id}")
    customer.post(f"/keys/{key_id}", budget="5", period="never")
    eventually(lambda: chat(house.url, key).status_code == 200)


def test_a_disabled_key_can_be_enabled_and_a_revoked_one_cannot(house: Any, customer: Any, eventually: Any) -> None:
    house.cli("deposit", customer.email, "100")
    key, key_id = create(customer)
    customer.get(f"/keys/{key_id}")
    customer.post(f"/keys/{key_id}/disable")
    eventually(lambda: chat(house.url, key).status_code == 401)
    customer.get(f"/keys/{key_id}")
    customer.post(f"/keys/{key_id}/enable")
    eventually(lambda: chat(house.url, key).status_code == 200)
    customer.get(f"/keys/{key_id}")
    customer.post(f"/keys/{key_id}/revoke")
    eventually(lambda: chat(house.url, key).status_code == 401)
    assert customer.post(f"/keys/{key_id}/enable").status_code == 409


def test_another_accounts_key_does_not_exist(house: Any, customer: Any, visiting: Any, new_user: Any) -> None:
    _, key_id = create(customer, name="mine")
    other = visiting.Visitor(house.url)
    other.sign_in(new_user(), "correct horse battery")
    assert other.get(f"/keys/{key_id}").status_code == 404
    other.get("/keys/new")
    for action in ("", "/disable", "/enable", "/revoke"):
        assert other.post(f"/keys/{key_id}{action}", name="stolen").status_code == 404
    assert house.cli("key", "show", key_id)["name"] == "mine"


def test_a_name_is_text_not_markup(customer: Any) -> None:
    create(customer, name="<img src=x onerror=alert(1)>")
    text = customer.get("/keys").text
    assert "<img" not in text and "&lt;img src=x" in text
