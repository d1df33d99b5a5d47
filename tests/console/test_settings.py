"""What a user sets: looks, password, second factor, sessions; and the catalogue and the usage they are shown."""

from __future__ import annotations

import csv
import io
import re
import time
from typing import Any

import pytest
import requests

from proxyapi.console import totp

PASSWORD = "correct horse battery"


def test_pages_speak_the_chosen_language_and_wear_the_chosen_theme(customer: Any) -> None:
    customer.get("/settings")
    page = customer.post("/settings", language="ru", time_zone="Asia/Vladivostok", theme="dark")
    assert 'lang="ru" data-theme="dark"' in page.text and "Настройки сохранены" in page.text
    assert "Asia/Vladivostok, UTC+10" in page.text
    assert customer.post("/settings", language="ru", time_zone="Mars/Olympus", theme="dark").status_code == 400
    assert customer.post("/settings", language="xx", time_zone="", theme="").status_code == 400


def test_a_new_password_needs_the_old_one_and_ends_other_sessions(house: Any, customer: Any, visiting: Any) -> None:
    elsewhere = visiting.Visitor(house.url)
    elsewhere.sign_in(customer.email, PASSWORD)
    customer.get("/settings")
    assert customer.post("/settings/password", password="wrong", new_password="a new password").status_code == 400
    assert customer.post("/settings/password", password=PASSWORD, new_password="short").status_code == 400
    assert customer.post("/settings/password", password=PASSWORD, new_password="a new password").status_code == 200
    assert customer.get("/settings").url.endswith("/settings")
    assert "/signin" in elsewhere.get("/settings").url


def test_the_second_factor_is_set_up_with_a_code_of_the_app(house: Any, customer: Any, visiting: Any) -> None:
    page = customer.get("/settings/factor")
    text = re.search(r'name="secret" value="(\w+)"', page.text)
    assert text and "<svg" in page.text
    secret = totp.secret_of(text[1])
    assert customer.post("/settings/factor", secret=text[1], code="000000", password=PASSWORD).status_code == 400
    code = totp.code_at(secret, int(time.time()) // 30)
    shown = customer.post("/settings/factor", secret=text[1], code=code, password=PASSWORD)
    codes = re.findall(r"\b[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}\b", shown.text)
    assert len(codes) == totp.RECOVERY_CODES
    visitor = visiting.Visitor(house.url)
    assert visitor.sign_in(customer.email, PASSWORD).url.endswith("/signin/code")
    assert visitor.post("/signin/code", code=codes[0]).url.endswith("/console/")
    assert "9 recovery codes are left" in visitor.get("/settings").text
    assert visitor.post("/settings/factor/off", password="wrong").status_code == 400
    assert visitor.post("/settings/factor/off", password=PASSWORD).url.endswith("done=factor-off")


def test_sessions_are_listed_and_ended_by_their_owner_only(
    house: Any, customer: Any, visiting: Any, new_user: Any
) -> None:
    elsewhere, stranger = visiting.Visitor(house.url), visiting.Visitor(house.url)
    elsewhere.sign_in(customer.email, PASSWORD)
    stranger.sign_in(new_user(), PASSWORD)
    (other,) = re.findall(r"/settings/sessions/(\d+)/end", customer.get("/settings").text)
    stranger.get("/settings")
    assert stranger.post(f"/settings/sessions/{other}/end").status_code == 404
    assert elsewhere.get("/settings").url.endswith("/settings")
    assert customer.post(f"/settings/sessions/{other}/end").status_code == 200
    assert "/signin" in elsewhere.get("/settings").url


def test_the_catalogue_finds_models_by_name_vendor_and_ability(customer: Any) -> None:
    page = customer.get("/models?q=gpt-4o&vendor=openai").text
    assert ">gpt-4o<" in page.replace("<wbr>", ">") and "claude" not in page.partition('id="models"')[2]
    assert "There is no such model" in customer.get("/models?q=no-such-model").text
    assert "text-embedding-3-small" in customer.get("/models?ability=embedding&vendor=openai").text


@pytest.fixture
def spender(house: Any, customer: Any, eventually: Any) -> Any:
    house.cli("deposit", customer.email, "100")
    key = house.key(customer.email, "--name", "Каталог")
    body = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
    answer = requests.post(
        f"{house.url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"}, timeout=20
    )
    customer.cost = answer.headers["x-proxyapi-cost"]
    eventually(lambda: "gpt-4o-mini" in customer.get("/usage").text)
    return customer


def test_usage_is_split_by_model_key_and_part_of_the_api(spender: Any) -> None:
    for query, expected in {
        "": "gpt-4o-mini",
        "?by=key": "Каталог",
        "?by=operation": "Chat",
        "?days=1": "By hour",
    }.items():
        assert expected in spender.get(f"/usage{query}").text, query
    assert "Nothing was used in this time" in spender.get("/usage?from=2020-01-01&to=2020-01-31").text
    assert spender.get("/usage?from=x&to=9999-99-99&days=-1&key=zz&show=%00").status_code == 200


def test_the_file_of_usage_has_the_exact_sum(spender: Any) -> None:
    rows = list(csv.DictReader(io.StringIO(spender.get("/usage.csv").text.removeprefix("\ufeff"))))
    assert [row["charged"] for row in rows] == [spender.cost] and rows[0]["model"] == "openai/gpt-4o-mini"
