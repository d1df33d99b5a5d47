"""Sums as the two languages write them, from integers."""

from __future__ import annotations

import pytest

from proxyapi.console import numbers

NANOS = 10**9


@pytest.mark.parametrize(
    ("nanos", "places", "language", "shown"),
    [
        (4218_370_000_000, 2, "ru", "4\u202f218,37"),
        (4218_370_000_000, 2, "en", "4,218.37"),
        (145_000_000, 4, "ru", "0,1450"),
        (0, 2, "en", "0.00"),
        (-1200 * NANOS, 2, "ru", "\u22121\u202f200,00"),
        (5_000_000, 2, "en", "0.01"),
        (4_999_999, 2, "en", "0.00"),
        (-4_999_999, 2, "en", "0.00"),
        (1, 9, "en", "0.000000001"),
        (2**63 - 1, 9, "en", "9,223,372,036.854775807"),
        (3 * NANOS, 0, "ru", "3"),
    ],
)
def test_an_amount_is_written_in_the_readers_way(nanos: int, places: int, language: str, shown: str) -> None:
    assert numbers.amount(nanos, places, language) == shown  # type: ignore[arg-type]


def test_the_sign_of_the_currency_stands_where_the_language_puts_it() -> None:
    assert numbers.plain(12 * NANOS, 2, "ru", "RUB") == "12,00\u00a0₽"
    assert numbers.plain(12 * NANOS, 2, "en", "RUB") == "₽12.00"
    assert numbers.plain(-12 * NANOS, 2, "en", "USD") == "\u2212$12.00"
    assert numbers.plain(12 * NANOS, 2, "en", "CHF") == "CHF\u00a012.00"


def test_what_carries_nothing_is_dimmed() -> None:
    shown = str(numbers.money(145_000_000, 6, "ru", ""))
    assert shown == '<span class="money">0<span class="frac">,</span>145<span class="z">000</span></span>'
    assert '<span class="frac">,37</span>' in str(numbers.money(4218_370_000_000, 2, "ru", "RUB"))


def test_what_was_added_can_carry_its_plus() -> None:
    assert ">+5" in str(numbers.money(5 * NANOS, 2, "en", "", sign=True))
    assert "+" not in str(numbers.money(0, 2, "en", "", sign=True))


def test_shares_and_large_counts_are_rounded_from_integers() -> None:
    assert numbers.percent(1, 3, "en", 1) == "33.3%"
    assert numbers.percent(1, 8, "ru") == "13\u00a0%"
    assert numbers.percent(1, 0, "en") == numbers.DASH
    assert numbers.short(24_612_000, "ru") == "24,6\u00a0млн"
    assert numbers.short(9_999, "en") == "9,999"
    assert numbers.seconds(2_374, "en") == "2.37\u00a0s"


def test_a_sum_says_how_many_decimals_it_needs() -> None:
    assert numbers.exact_places(145_000_000, 6) == 6
    assert numbers.exact_places(145_000_001, 6) == 9
