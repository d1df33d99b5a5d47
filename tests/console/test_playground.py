"""The playground: answers through the gateway's own API, paid from the balance, with a key that nobody sees."""

from __future__ import annotations

import json
import re
from typing import Any

PASSWORD = "correct horse battery"


def run(customer: Any, **asked: Any) -> Any:
    return customer.session.post(
        f"{customer.url}/console/playground/run",
        data=json.dumps({"model": "openai/gpt-4o-mini", "text": "Hello", **asked}),
        headers={"x-csrf-token": customer.token, "content-type": "application/json"},
        timeout=30,
    )


def test_an_answer_streams_with_its_exact_cost(house: Any, customer: Any, eventually: Any) -> None:
    house.cli("deposit", customer.email, "100")
    customer.get("/playground")
    answer = run(customer)
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
    assert "data: [DONE]" in answer.text and re.search(r'cost=\d|"cost":\d', answer.text)
    number = answer.headers["x-request-id"]
    eventually(lambda: "Playground" in customer.get("/transactions").text)
    assert number


def test_the_key_of_the_playground_is_never_shown(house: Any, customer: Any) -> None:
    house.cli("deposit", customer.email, "100")
    customer.get("/playground")
    answer = run(customer)
    pages = [answer.text, *(customer.get(path).text for path in ("/playground", "/keys", "/transactions"))]
    assert not any(re.search(r"sk-[A-Za-z0-9]{20}", page) for page in pages)
    assert "Playground</a>" not in customer.get("/keys").text
    assert len(house.cli("key", "list", customer.email)["keys"]) == 1


def test_two_models_answer_side_by_side_without_a_script(house: Any, customer: Any) -> None:
    house.cli("deposit", customer.email, "100")
    customer.get("/playground")
    page = customer.post("/playground", first="openai/gpt-4o-mini", second="sandbox/echo", text="Echo this", system="")
    assert page.status_code == 200 and page.text.count('class="plain-text"') == 2 and "Echo this" in page.text


def test_a_refusal_is_shown_in_words(customer: Any) -> None:
    customer.get("/playground")
    assert "Insufficient balance" in run(customer).text
    page = customer.post("/playground", first="openai/gpt-4o-mini", second="", text="Hello")
    assert "Insufficient balance" in page.text


def test_only_the_pages_own_script_can_ask(house: Any, customer: Any) -> None:
    house.cli("deposit", customer.email, "100")
    customer.get("/playground")
    customer.token = "0" * 64
    assert run(customer).status_code == 403


def test_what_is_no_request_is_refused(customer: Any) -> None:
    customer.get("/playground")
    assert run(customer, picture="https://example.com/x.png").status_code == 400
    assert run(customer, model=7).status_code == 400
    assert run(customer, text="x" * 200_000).status_code == 413
