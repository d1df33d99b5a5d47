"""Requests in the console: the list, the receipt, and the file."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from typing import Any

import pytest
import requests

from proxyapi.ids import IdSource, format_id, parse_id
from proxyapi.ledger.ledger import Ledger
from proxyapi.ledger.ops import Ending, Hold
from proxyapi.ledger.plan import correction_id
from proxyapi.pricing.price import make_price
from proxyapi.store.database import open_database, sqlite_url
from proxyapi.usage import Unit

PASSWORD = "correct horse battery"


@pytest.fixture
def buyer(house: Any, customer: Any) -> Any:
    """A customer with money, a key, and one request answered."""
    house.cli("deposit", customer.email, "100")
    customer.key = house.key(customer.email, "--name", "Каталог")
    customer.answer = ask(house.url, customer.key)
    return customer


def ask(url: str, key: str, **more: Any) -> requests.Response:
    body = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], **more}
    return requests.post(
        f"{url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"}, timeout=20
    )


def test_a_request_stands_in_the_list_within_two_seconds(buyer: Any, eventually: Any) -> None:
    request_id = buyer.answer.headers["x-request-id"]
    eventually(lambda: request_id in buyer.get("/transactions").text, seconds=2)
    assert eventually(lambda: request_id in (page := buyer.get("/").text) and "Charged" in page, seconds=2)


def test_a_receipt_adds_up_to_what_was_charged(house: Any, buyer: Any, eventually: Any, visiting: Any) -> None:
    request_id = buyer.answer.headers["x-request-id"]
    cost = buyer.answer.headers["x-proxyapi-cost"]
    page = eventually(lambda: "reported" in (found := buyer.get(f"/transactions/{request_id}")).text and found)
    text = visiting.text_of(page)
    whole, _, decimals = cost.partition(".")
    assert f"{whole}.{decimals.ljust(6, '0')}" in text.replace(" ", ""), (cost, text)
    assert "reported by the provider" in text and "Каталог" in text


def test_a_receipt_says_who_was_asked_in_vain(house: Any, buyer: Any, eventually: Any, visiting: Any) -> None:
    answer = ask(house.url, buyer.key, model="sandbox/fail-529")
    assert (answer.status_code, answer.headers["x-proxyapi-model"]) == (200, "sandbox/echo")
    address = f"/transactions/{answer.headers['x-request-id']}"
    text = visiting.text_of(eventually(lambda: "Asked before" in (page := buyer.get(address)).text and page))
    assert "Asked before sandbox 529" in " ".join(text.split())


def test_a_request_of_another_account_does_not_exist(
    house: Any, buyer: Any, visiting: Any, new_user: Any, eventually: Any
) -> None:
    request_id = buyer.answer.headers["x-request-id"]
    eventually(lambda: buyer.get(f"/transactions/{request_id}").status_code == 200)
    other = visiting.Visitor(house.url)
    other.sign_in(new_user(), PASSWORD)
    assert other.get(f"/transactions/{request_id}").status_code == 404
    assert request_id not in other.get("/transactions").text
    assert other.get("/transactions/0000").status_code == 404


def test_the_search_for_a_number_leads_to_the_receipt(buyer: Any, eventually: Any) -> None:
    request_id = buyer.answer.headers["x-request-id"]
    eventually(lambda: buyer.get(f"/transactions/{request_id}").status_code == 200)
    assert buyer.get(f"/transactions?id={request_id.replace('-', '').upper()}").url.endswith(request_id)
    assert "not the number of a request" in buyer.get("/transactions?id=abc").text


def test_the_list_goes_on_by_cursor_without_gaps_or_repeats(house: Any, buyer: Any, eventually: Any) -> None:
    asked = {ask(house.url, buyer.key, max_tokens=10).headers["x-request-id"] for _ in range(54)}
    asked.add(buyer.answer.headers["x-request-id"])

    def listed() -> list[str]:
        found, path = [], "/transactions"
        while path:
            text = buyer.get(path).text
            found += re.findall(r'class="m-1"><a href="/console/transactions/([0-9a-f-]{36})"', text)
            older = re.search(r'href="/console(/transactions\?[^"]*before=[^"]+)"', text)
            path = older[1].replace("&amp;", "&") if older else ""
        return found

    ids = eventually(lambda: len(found := listed()) >= 55 and found)
    assert len(ids) == 55 and set(ids) == asked and ids == sorted(ids, reverse=True)


def test_filters_narrow_the_list(house: Any, buyer: Any, eventually: Any) -> None:
    failed = ask(house.url, buyer.key, model="sandbox/fail-503")
    assert failed.status_code == 503
    number = failed.headers["x-request-id"]
    eventually(lambda: number in buyer.get("/transactions?state=failed").text)
    answered = buyer.answer.headers["x-request-id"]
    assert answered not in buyer.get("/transactions?state=failed").text
    assert number not in buyer.get("/transactions?state=charged").text
    assert answered in buyer.get("/transactions?model=openai/gpt-4o-mini").text
    assert answered not in buyer.get("/transactions?model=openai/gpt-4o-mini&day=2020-01-01").text


def test_the_file_has_exact_sums_and_no_formulas(house: Any, buyer: Any, eventually: Any) -> None:
    (key,) = house.cli("key", "list", buyer.email)["keys"]
    house.cli("key", "edit", str(key["id"]), "--name", "=1+1")
    request_id = buyer.answer.headers["x-request-id"]
    eventually(lambda: request_id in buyer.get("/transactions").text)
    answer = buyer.get("/transactions.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff")))
    assert row["request_id"] == request_id and row["charged"] == buyer.answer.headers["x-proxyapi-cost"]
    assert row["key"] == "'=1+1"


def lose_and_find(house: Any, account_id: int, key_id: int) -> str:
    """A request whose worker is taken for dead, and that tells what it used afterwards. Its number."""

    async def main() -> bytes:
        database = open_database(sqlite_url(house.data / "proxyapi.db"))
        ids = IdSource()
        ledger = Ledger(database, worker="lost", ids=ids)
        await ledger.open()
        price = make_price(provider="p", model="m", rates={**dict.fromkeys(Unit, 0), Unit.OUTPUT: 500_000_000_000})
        hold = Hold(ids(), account_id, key_id, 2_000_000_000, price, "openai", "openai/gpt-4o-mini", "chat")
        await ledger.hold(hold)
        await ledger.write("UPDATE hold SET worker_id = 0 WHERE id = ?", (hold.id,))
        await ledger.expire(hold.id, 0)
        usage = {Unit.OUTPUT: 246}
        await ledger.settle(
            Ending(hold.id, account_id, price, "openai", "openai/gpt-4o-mini", "chat", usage, 123_000_000)
        )
        assert await ledger.close() == 0
        database.close()
        return hold.id

    return format_id(asyncio.run(main()))


def test_a_request_that_told_its_end_late_shows_what_it_was_charged(house: Any, buyer: Any, visiting: Any) -> None:
    (key,) = house.cli("key", "list", buyer.email)["keys"]
    number = lose_and_find(house, key["account_id"], key["id"])
    text = visiting.text_of(buyer.get(f"/transactions/{number}"))
    assert "Charged later" in text and "0.123" in text and number in text
    assert "Nothing was charged" not in text
    late = format_id(correction_id(parse_id(number)))
    listed = buyer.get("/transactions").text
    assert listed.count(f'href="/console/transactions/{number}"') >= 2 and late not in listed
    assert buyer.get(f"/transactions/{late}").status_code == 404
    rows = csv.DictReader(io.StringIO(buyer.get("/transactions.csv").text.removeprefix("\ufeff")))
    assert {row["state"] for row in rows if row["request_id"] == number} == {"lost", "corrected"}
