"""Amounts: exact both ways, and refused with a reason."""

from __future__ import annotations

from decimal import Decimal

import pytest

from proxyapi.money import NANOS_MAX, format_amount, nanos_ceil, parse_amount


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("0", 0),
        ("50", 50_000_000_000),
        ("0.145", 145_000_000),
        ("11.81232", 11_812_320_000),
        ("0.000000001", 1),
        (" 1e3 ", 1_000_000_000_000),
        ("-2.5", -2_500_000_000),
        ("1_000", 1_000_000_000_000),
        ("9223372036.854775807", NANOS_MAX),
    ],
)
def test_a_decimal_becomes_nanos_exactly(text: str, nanos: int) -> None:
    assert parse_amount(text) == nanos


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not an amount of money"),
        ("1,5", "is not an amount of money"),
        ("fifty", "is not an amount of money"),
        ("NaN", "is not an amount of money"),
        ("sNaN", "is not an amount of money"),
        ("Infinity", "is not an amount of money"),
        ("-inf", "is not an amount of money"),
        ("0.0000000001", "has more than nine decimals"),
        ("9223372036.854775808", "is larger than"),
        ("1e30", "is larger than"),
        ("-1e30", "is larger than"),
        ("1e999999999", "is not an amount of money"),
        ("1e900", "is larger than"),
        ("1e-999999", "has more than nine decimals"),
        ("0.1" + "0" * 30 + "1", "has more than nine decimals"),
        ("0" * 101, "is not an amount of money"),
    ],
)
def test_what_is_no_amount_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_amount(text)


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "0"),
        (145_000_000, "0.145"),
        (1, "0.000000001"),
        (100_000_000_000, "100"),
        (-1, "-0.000000001"),
        (-2_500_000_000, "-2.5"),
        (NANOS_MAX, "9223372036.854775807"),
    ],
)
def test_nanos_are_shown_without_trailing_zeros(nanos: int, text: str) -> None:
    assert format_amount(nanos) == text


def test_a_remainder_below_a_nano_is_rounded_up() -> None:
    assert nanos_ceil(Decimal("0.0000000001")) == 1
    assert nanos_ceil(Decimal("1.5")) == 1_500_000_000
    assert nanos_ceil(Decimal("-0.0000000001")) == 0
