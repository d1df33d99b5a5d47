"""What the gateway remembers: by account and id, for a while, in chains."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxyapi.identity.kept import PRUNE, PUT, TOUCH, TRIM, Kept, Memory


@pytest.fixture
def put(desk: Any) -> Any:
    def put(id: str, *, account: int = 1, previous: str = "", body: str = "{}", at: int = 100) -> None:
        write(desk, PUT, (account, id, previous, body, at))

    return put


def write(desk: Any, sql: str, parameters: tuple[Any, ...]) -> None:
    with desk.database.transaction() as transaction:
        transaction.execute(sql, parameters)


def find(desk: Any, *ids: str, account: int = 1, since: int = 0) -> list[str]:
    return sorted(asyncio.run(Kept(desk.database.fetch).find(account, ids, since=since)))


def chain(desk: Any, id: str, *, account: int = 1, since: int = 0) -> list[str] | None:
    found = asyncio.run(Kept(desk.database.fetch).chain(account, id, since=since))
    return found if found is None else [memory.id for memory in found]


def test_an_account_finds_its_own_and_nobody_elses(desk: Any, put: Any) -> None:
    put("a", body="[1]", at=7)
    put("b", account=2)
    assert find(desk, "a", "b", "c") == ["a"]
    assert asyncio.run(Kept(desk.database.fetch).find(1, ["a"], since=0)) == {"a": Memory("a", "[1]", 7)}
    assert find(desk, *[f"x{number}" for number in range(600)], "a") == ["a"]


def test_what_was_not_needed_for_long_is_forgotten(desk: Any, put: Any) -> None:
    put("old", at=10)
    put("needed", at=10)
    write(desk, TOUCH, (50, 1, "needed"))
    assert find(desk, "old", "needed", since=10) == ["needed"]
    write(desk, PRUNE, (10,))
    assert find(desk, "old", "needed") == ["needed"]


def test_the_same_id_is_put_again(desk: Any, put: Any) -> None:
    put("a", body="[1]")
    put("a", body="[2]", at=200)
    assert asyncio.run(Kept(desk.database.fetch).find(1, ["a"], since=0))["a"] == Memory("a", "[2]", 200)


def test_a_chain_is_told_from_its_beginning(desk: Any, put: Any) -> None:
    put("r1")
    put("r2", previous="r1")
    put("r3", previous="r2")
    assert chain(desk, "r3") == ["r1", "r2", "r3"]
    assert chain(desk, "r1") == ["r1"]


def test_a_chain_with_a_missing_link_is_none(desk: Any, put: Any) -> None:
    put("r2", previous="r1")
    assert chain(desk, "r2") is None
    assert chain(desk, "r9") is None
    put("r1", account=2)
    assert chain(desk, "r2") is None


def test_a_chain_in_a_circle_ends(desk: Any, put: Any) -> None:
    put("r1", previous="r2")
    put("r2", previous="r1")
    assert chain(desk, "r2") is None


def test_of_each_account_only_the_ones_needed_last_stay(desk: Any, put: Any) -> None:
    for number in range(5):
        put(f"a{number}", at=number)
    put("b", account=2, at=1)
    write(desk, TRIM, (2,))
    assert find(desk, *[f"a{number}" for number in range(5)]) == ["a3", "a4"]
    assert find(desk, "b", account=2) == ["b"]
