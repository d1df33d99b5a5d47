"""The request log as people see it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

CHAT = {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "Is <b>this</b> bold?\nYes & no"}]}


@pytest.fixture
def keeper(house: Any, customer: Any) -> Any:
    """A customer who keeps requests, has money and a key."""
    customer.get("/log/settings")
    assert customer.post("/log/settings", days="7").url.endswith("/console/log?done=log-on")
    house.cli("deposit", customer.email, "100")
    customer.key = house.key(customer.email, "--name", "robot")
    return customer


@pytest.fixture
def ask(house: Any, keeper: Any, eventually: Any) -> Any:
    """`ask(**changes)`: one request; its id, once the list has it."""

    def ask(path: str = "/v1/chat/completions", body: Any = None, **changes: Any) -> str:
        _, headers, _ = house.request("POST", path, key=keeper.key, body=body or CHAT | changes)
        id = str(headers["x-request-id"])
        eventually(lambda: f"/console/log/{id}" in keeper.get("/log").text)
        return id

    return ask


def test_nothing_is_kept_until_somebody_wants_it(house: Any, customer: Any, visiting: Any) -> None:
    page = customer.get("/log")
    assert "Turn it on" in page.text
    assert house.cli("account", "show", customer.email)["request_log_days"] == 0
    customer.get("/log/settings")
    assert "kept for 30 days" in visiting.text_of(customer.post("/log/settings", days="30"))
    assert house.cli("account", "show", customer.email)["request_log_days"] == 30


def test_only_offered_times_are_taken(house: Any, keeper: Any) -> None:
    keeper.get("/log/settings")
    for days in ("8", "-1", "x", ""):
        keeper.post("/log/settings", days=days)
    assert house.cli("account", "show", keeper.email)["request_log_days"] == 7


def test_a_request_is_shown_as_a_conversation_and_raw(keeper: Any, visiting: Any, ask: Any) -> None:
    id = ask()
    page = keeper.get(f"/log/{id}")
    told = visiting.text_of(page)
    assert "Conversation" in told
    assert "Is <b>this</b> bold? Yes & no" in told
    assert "<b>this</b>" not in page.text, "what customers send is text, not markup"
    for words in (id, "robot", "POST /v1/chat/completions", "sandbox", "Save as a file", "Kept until"):
        assert words in told
    assert keeper.key not in page.text
    raw = keeper.get(f"/log/{id}/request.txt")
    assert json.loads(raw.text) == CHAT
    assert raw.headers["content-disposition"].startswith("attachment")
    assert raw.headers["content-type"].startswith("text/plain")
    assert "choices" in json.loads(keeper.get(f"/log/{id}/response.txt").text)
    assert keeper.get(f"/log/{id}/secrets.txt").status_code == 404


def test_a_refusal_says_why(keeper: Any, visiting: Any, ask: Any) -> None:
    id = ask(model="openai/no-such-model")
    assert "no such model" in visiting.text_of(keeper.get("/log"))
    told = visiting.text_of(keeper.get(f"/log/{id}"))
    assert "400" in told
    assert "Model not supported" in told


def test_what_is_no_conversation_is_shown_raw(keeper: Any, visiting: Any, ask: Any) -> None:
    id = ask("/v1/embeddings", {"model": "openai/text-embedding-3-small", "input": "some words"})
    page = keeper.get(f"/log/{id}")
    assert "Conversation" not in visiting.text_of(page)
    assert "some words" in page.text


def test_the_log_and_the_receipt_lead_to_each_other(house: Any, keeper: Any, ask: Any) -> None:
    id = ask()
    assert f'href="/console/transactions/{id}"' in keeper.get(f"/log/{id}").text
    assert f'href="/console/log/{id}"' in keeper.get(f"/transactions/{id}").text
    house.cli("account", "edit", keeper.email, "--request-log", "off", "--yes")
    assert "/console/log/" + id not in keeper.get(f"/transactions/{id}").text


def test_letters_are_shown_and_not_their_escapes(keeper: Any, ask: Any) -> None:
    id = ask(messages=[{"role": "user", "content": "Привет"}])
    assert r"\u041f" in keeper.get(f"/log/{id}/request.txt").text
    assert keeper.get(f"/log/{id}").text.count("Привет") >= 2


def test_filters_find_what_they_say(keeper: Any, ask: Any) -> None:
    fine, refused = ask(), ask(model="openai/no-such-model")

    def found(query: str) -> set[str]:
        return set(re.findall(r"/console/log/([0-9a-f-]{36})", keeper.get(f"/log?{query}").text))

    assert found("") == {fine, refused}
    assert found("outcome=answered") == {fine}
    assert found("outcome=400") == {refused}
    assert found("outcome=nonsense&key=x&from=never&before=?") == {fine, refused}
    assert found("q=gpt-4O") == {fine}
    assert found(f"q={fine}") == {fine}
    assert found("key=999999") == set()
    assert found("from=2001-01-01&to=2001-01-02") == set()
    assert found("from=2001-01-01") == {fine, refused}


def test_older_requests_are_a_page_away(house: Any, keeper: Any, ask: Any) -> None:
    for _ in range(54):
        house.request("POST", "/v1/chat/completions", key=keeper.key, body=CHAT | {"model": "openai/nothing"})
    newest = ask()
    first = keeper.get("/log")
    assert newest in first.text
    older = re.search(r'href="(/console/log\?before=[^"]+)"', first.text)
    assert older
    second = keeper.get(older[1].removeprefix("/console"))
    assert newest not in second.text
    assert len(re.findall(r'href="/console/log/[0-9a-f-]{36}"', first.text + second.text)) == 55
    assert "Newest" in second.text
    assert "before=" not in second.text


def test_another_accounts_request_does_not_exist(house: Any, visiting: Any, new_user: Any, ask: Any) -> None:
    id = ask()
    other = visiting.Visitor(house.url)
    other.sign_in(new_user(), "correct horse battery")
    for path in (f"/log/{id}", f"/log/{id}/request.txt", "/log/nonsense"):
        assert other.get(path).status_code == 404
    assert f"/console/log/{id}" not in other.get(f"/log?q={id}").text


def test_turning_it_off_deletes_what_was_kept_but_only_when_one_is_sure(house: Any, keeper: Any, ask: Any) -> None:
    id = ask()
    keeper.get("/log/settings")
    question = keeper.post("/log/settings", days="0")
    assert "Delete 1 request?" in question.text
    assert keeper.get(f"/log/{id}").status_code == 200
    keeper.get("/log/settings")
    assert keeper.post("/log/settings", days="0", sure="yes").status_code == 200
    assert keeper.get(f"/log/{id}").status_code == 404
    assert house.cli("account", "show", keeper.email)["request_log_days"] == 0


def test_pages_of_the_log_speak_both_languages_and_hold_no_inline_style_or_script(keeper: Any, ask: Any) -> None:
    id = ask()
    for language, word in (("ru", "Журнал запросов"), ("en", "Request log")):
        keeper.session.headers["accept-language"] = language
        for path in ("/log", f"/log/{id}", "/log/settings"):
            text = keeper.get(path).text
            assert word in text
            assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)
