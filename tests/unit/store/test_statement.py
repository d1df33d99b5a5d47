from __future__ import annotations

import pytest

from proxyapi.store.errors import StatementRefused
from proxyapi.store.statement import LIST_SIZES, statement


def test_a_list_is_filled_up_with_its_last_member() -> None:
    asked = statement("UPDATE revision SET number = ? WHERE name IN (@ids) AND number < ?")
    members = [f"name {number}" for number in range(5)]
    [(text, parameters)] = asked.of_list((1, members, 9))
    assert text == "UPDATE revision SET number = ? WHERE name IN (?,?,?,?,?,?) AND number < ?"
    assert parameters == (1, *members, members[-1], 9) and len(members) == 5
    assert asked.of_list((1, [], 9)) == []
    with pytest.raises(StatementRefused):
        asked.of_list((1, "name 1", 9))


def test_a_list_is_as_long_as_one_of_few_sizes_and_hardly_longer_than_it_has_to_be() -> None:
    asked = statement("SELECT ? WHERE 7 IN (@ids)")
    for count in range(1, 1200):
        lengths = [len(parameters) - 1 for _, parameters in asked.of_list((5, list(range(count))))]
        assert set(lengths) <= set(LIST_SIZES) and count <= sum(lengths) <= count * 1.5


def test_rows_of_an_insert_go_into_one_statement_for_each_32() -> None:
    asked = statement("INSERT INTO setting (name, value) VALUES (?, ?) -- a note")
    parts = asked.of_rows([(f"name {number}", str(number)) for number in range(33)])
    assert [text.count("(?, ?)") for text, _ in parts] == [32, 1]
    assert [len(parameters) for _, parameters in parts] == [64, 2]
    assert asked.of_rows([]) == [] and asked.text.endswith("(?, ?)")
