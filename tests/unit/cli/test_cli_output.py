"""Tables and JSON."""

from __future__ import annotations

import msgspec

from proxyapi.cli.output import day_time, facts, money, table, timestamp


def test_amounts_are_exact_numbers_in_json() -> None:
    assert msgspec.json.encode({"a": money(1), "b": money(10**18 + 1)}) == b'{"a":0.000000001,"b":1000000000.000000001}'


def test_times_are_utc() -> None:
    assert timestamp(1_800_000_000_999) == "2027-01-15T08:00:00Z"
    assert day_time(1_800_000_000_999) == "2027-01-15 08:00"
    assert (timestamp(None), day_time(None)) == (None, "")


def test_numbers_are_aligned_to_the_right() -> None:
    assert table(("name", "n>"), [("a", 1), ("bcd", None), ("ы", 100)]) == "name    n\na       1\nbcd\nы     100"


def test_an_empty_table_says_so() -> None:
    assert table(("name",), [], empty="Nothing.") == "Nothing."


def test_facts_without_a_value_are_left_out() -> None:
    assert facts([("a", 0), ("long", "x"), ("b", None), ("c", "")]) == "a     0\nlong  x"


def test_what_customers_named_gives_no_orders_to_the_terminal() -> None:
    assert table(("name",), [("a\x1b[2J\nb",)]).splitlines() == ["name", "a�[2J�b"]
    assert facts([("name", "\x9b31mИмя")]) == "name  �31mИмя"
