"""Bars and charts: nothing but attributes, nothing unescaped, axes that are read easily."""

from __future__ import annotations

import re
from datetime import UTC

import pytest

from proxyapi.console import charts
from proxyapi.console.speech import Languages

UNIT = 10**9


def test_a_bar_is_full_before_it_overflows() -> None:
    assert 'class="full" width="100%"' in charts.bar(120, 100, label="x")
    assert 'class="warn" width="90%"' in charts.bar(90, 100, label="x")
    assert 'class="used" width="40%"' in charts.bar(40, 100, label="x")


def test_a_hold_is_never_too_narrow_to_be_seen() -> None:
    assert 'width="1.40%"' in charts.bar(50, 10**12, 1, label="x")
    assert 'x="98.60%" width="1.40%"' in charts.bar(10**12, 10**12, 1, label="x")


def test_an_axis_holds_the_highest_and_is_divided_by_four() -> None:
    for highest in (0, 1, 3, 7, 11, 99, 100, 12_345, 266 * UNIT, 2**62):
        top = charts.nice_top(highest)
        assert top >= highest and top % 4 == 0 and (highest < 12 or top <= highest * 2)


def test_columns_stand_on_each_other_and_add_up() -> None:
    series = [charts.Series("a", [10, 0]), charts.Series("b", [30, 40])]
    drawn = charts.stacked(series, ["1", "2"], label="l", tell=str, axis=lambda value, _top: str(value))
    columns = re.findall(r'class="f(\d)" x="([\d.]+)" y="([\d.]+)" width="6.8" height="([\d.]+)"', drawn)
    assert columns == [("1", "1.6", "75", "25"), ("2", "1.6", "0", "75"), ("2", "11.6", "0", "100")]
    assert drawn.count('class="day"') == 2 and 'data-tip="1|40|1;a;10|2;b;30"' in drawn


def test_names_cannot_break_out_of_a_chart() -> None:
    evil = '"><script>alert(1)</script>;x|y'
    drawn = charts.stacked(
        [charts.Series(evil, [1])], [evil], label=evil, tell=str, axis=lambda value, _top: str(value)
    )
    assert "<script" not in drawn and "style=" not in drawn


def test_a_chart_of_nothing_is_drawn_too() -> None:
    assert "<svg" in charts.stacked([], [], label="l", tell=str, axis=lambda value, _top: str(value))
    assert "<svg" in charts.line([], [], label="l", axis=lambda value, _top: str(value))
    assert "<svg" in charts.spark([0, 0])


@pytest.mark.parametrize(
    ("highest", "written"),
    [(9_500_000_000, ["10,00", "7,50", "5,00", "2,50", "0"]), (43_000_000_000, ["48", "36", "24", "12", "0"])],
)
def test_all_sums_of_an_axis_have_as_many_decimals_as_their_step_needs(highest: int, written: list[str]) -> None:
    speech = Languages().speech("ru", currency="RUB", zone=UTC, now=0)
    top = charts.nice_top(highest)
    assert [speech.axis(top * at // 4, top) for at in (4, 3, 2, 1, 0)] == written
