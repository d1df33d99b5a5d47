"""The operators' record in the words of a page."""

from __future__ import annotations

import re
from datetime import UTC
from pathlib import Path

import proxyapi.admin
from proxyapi.console import deeds
from proxyapi.console.speech import Languages

SPEECH = Languages().speech("ru", currency="RUB", zone=UTC, now=0)
ACTION = re.compile(r'"((?:account|key|payment|vouchers|price|pricing|provider|audit|token)\.[a-z_]+)"')


def test_every_act_that_is_recorded_has_its_words() -> None:
    sources = "".join(file.read_text() for file in Path(*proxyapi.admin.__path__).glob("*.py"))
    found = set(ACTION.findall(sources))
    assert len(found) > 10 and found <= deeds.DEEDS.keys()


def test_a_subject_leads_to_its_page() -> None:
    assert deeds.subject(SPEECH, "account 7") == ("счёт 7", "/operator/accounts/7")
    assert deeds.subject(SPEECH, "model openai/gpt-4o mini") == (
        "модель openai/gpt-4o mini",
        "/operator/price?model=openai/gpt-4o%20mini",
    )
    assert deeds.subject(SPEECH, "something 7") == ("something 7", "")


def test_a_subject_is_found_by_the_words_that_the_page_shows_and_by_the_records_own() -> None:
    for subject in ("account 7", "model openai/gpt-4o", "pricing", "ledger", "vouchers 3"):
        assert deeds.subject_of(SPEECH, deeds.subject(SPEECH, subject).words) == subject
        assert deeds.subject_of(SPEECH, subject) == subject
    assert deeds.subject_of(SPEECH, "") == ""


def test_who_acted_is_an_address_a_token_or_the_command_line() -> None:
    assert deeds.operator(SPEECH, "olga@example.com") == "olga@example.com"
    assert deeds.operator(SPEECH, "token ci") == "токен ci"
    assert deeds.operator(SPEECH, "command line") == "командная строка"


def test_facts_are_named_and_what_says_nothing_is_left_out() -> None:
    told = {"blocked": False, "reference": None, "note": "", "models": ["openai/*", "x"], "status": "revoked", "odd": 0}
    assert list(deeds.facts(SPEECH, told)) == [
        ("заблокирован", "нет"), ("модели", "openai/*, x"), ("состояние", "отозван"), ("odd", "0"),
    ]  # fmt: skip
    assert list(deeds.facts(SPEECH, {"name": "active"})) == [("имя", "active")]
    assert list(deeds.facts(SPEECH, None)) == []
