"""Sentences of the functions underneath, told again in the reader's language."""

from __future__ import annotations

from datetime import UTC

import pytest

from proxyapi.console.sentences import Sentences
from proxyapi.console.speech import LANGUAGES, Language, Languages, Speech
from proxyapi.ledger.audit.report import INVARIANTS, REMEDIES


def speech(language: Language) -> Speech:
    return Languages().speech(language, currency="RUB", zone=UTC, now=0)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("codes are good for 1 to 3650 days", "Коды действуют от 1 до 3650 дней."),
        ("At most 1300.5 RUB of this payment can go back.", "Из этого платежа можно вернуть не больше 1300,5 RUB."),
        (
            "Account 'acme' (1) has 0.5 on hold, but its holds sum to 0.",
            "Счёт 'acme' (1): удержано 0,5, но сумма удержаний 0.",
        ),
        (
            "The daily sums (rollup_total) of day 2026-11-26, no model differ from the hourly sums: requests by 3 "
            "less, charged by 1.25 more.",
            "Суммы за день 2026-11-26 (rollup_total), без модели, не сходятся с суммами по часам: requests меньше на "
            "3, charged больше на 1,25.",
        ),
    ],
)
def test_a_sentence_is_told_again_with_its_values(said: str, told: str) -> None:
    assert speech("ru").retell(said) == told


def test_in_the_source_language_it_only_gets_a_capital_and_a_full_stop() -> None:
    assert speech("en").retell("codes are good for 1 to 3650 days") == "Codes are good for 1 to 3650 days."


def test_what_no_catalogue_knows_stays_as_it_is() -> None:
    assert speech("ru").retell("Nobody has said this before.") == "Nobody has said this before."
    assert speech("ru").retell("a" * 100_000) == f"A{'a' * 99_999}."


def test_of_two_templates_the_one_that_says_more_is_meant() -> None:
    said = Sentences([("{a} is wrong", "1 {a}"), ("the {a} of {b} is wrong", "2 {b} {a}")])
    assert said.retell("the price of it is wrong") == "2 it price."


def test_values_of_others_are_not_taken_for_templates() -> None:
    assert Sentences([("{a} is taken", "занято: {a}")]).retell("{b} is taken") == "Занято: {b}."


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_what_an_audit_proves_and_advises_is_known_in_every_language(language: Language) -> None:
    for text in (*INVARIANTS.values(), *REMEDIES.values()):
        assert speech(language).retell(text) != speech("en").retell(text)
