"""`proxyapi price`."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from proxyapi.pricing.book import parse_override
from proxyapi.usage import Unit


def _rows(shell: Any, sql: str) -> list[Any]:
    connection = sqlite3.connect(shell.data / "proxyapi.db")
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_prices_are_kept_as_the_price_book_reads_them(shell: Any) -> None:
    done = shell.json(
        "price",
        "set",
        "openai/gpt-4o",
        "--input",
        "300",
        "--output",
        "1200.5",
        "--cached-input",
        "150",
        "--search",
        "4.5",
    )
    assert done == {
        "model": "openai/gpt-4o",
        "source": "own",
        "currency": "RUB",
        "prices": {
            "input_tokens": {"price": 300, "per": 1_000_000},
            "output_tokens": {"price": "1200.5", "per": 1_000_000},
            "cache_read_tokens": {"price": 150, "per": 1_000_000},
            "web_searches": {"price": "4.5", "per": 1},
        },
    }
    ((model, body),) = _rows(shell, "SELECT model, body FROM price_override")
    assert model == "openai/gpt-4o"
    assert parse_override(body) == {
        Unit.INPUT: 300 * 10**9,
        Unit.OUTPUT: 12_005 * 10**8,
        Unit.CACHE_READ: 150 * 10**9,
        Unit.WEB_SEARCH: 45 * 10**8 * 10**6,
    }


def test_running_gateways_hear_of_a_new_price(shell: Any) -> None:
    for arguments in (("set", "a/b", "--input", "1"), ("set", "a/b", "--input", "2"), ("reset", "a/b")):
        shell("price", *arguments)
    assert _rows(shell, "SELECT number FROM revision WHERE name = 'price'") == [(3,)]
    assert _rows(shell, "SELECT * FROM price_override") == []
    assert shell.json("price", "reset", "a/b") == {"model": "a/b", "dropped": False}


def test_prices_are_shown_with_what_they_are_for(shell: Any) -> None:
    assert shell("price", "set", "a/b", "--character", "1800", "--request", "0.5").stdout.splitlines() == [
        "model       a/b",
        "characters  1800 RUB a million",
        "requests    0.5 RUB each",
    ]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ((), "Name at least one price, such as --input 300 --output 1200."),
        (("--input", "-1"), "-1 is not a price."),
        (("--image", "9300"), "9300 is not a price."),
        (("--input", "free"), "'free' is not an amount of money"),
    ],
)
def test_a_wrong_price_is_explained(shell: Any, options: tuple[str, ...], why: str) -> None:
    assert why in shell("price", "set", "a/b", *options, code=2).stderr


def test_prices_on_sale_are_listed_and_the_own_ones_win(shell: Any) -> None:
    shell("account", "create", "acme")
    published = shell.json("price", "show", "openai/gpt-4o")
    assert published["source"] == "published"
    assert published["prices"]["input_tokens"] == {"price": 250, "per": 1_000_000}
    shell("price", "set", "openai/gpt-4o", "--input", "300", "--output", "1200")
    own = shell.json("price", "show", "openai/gpt-4o")
    assert (own["source"], own["prices"]["input_tokens"]["price"]) == ("own", 300)
    listed = shell.json("price", "list", "openai/gpt-4o*")
    sources = {model["model"]: model["source"] for model in listed["models"]}
    assert sources["openai/gpt-4o"] == "own"
    assert sources["openai/gpt-4o-mini"] == "published"
    assert all(name.startswith("openai/gpt-4o") for name in sources)
    assert shell("price", "list", "nothing/*").stdout == "No model on sale has such a name.\n"


def test_a_model_that_is_not_on_sale_is_named(shell: Any) -> None:
    shell("account", "create", "acme")
    assert "openai/gpt-99 is not on sale" in shell("price", "show", "openai/gpt-99", code=2).stderr


@pytest.mark.parametrize("model", ["gpt-4o", "", "a/b\x1b[2J"])
def test_a_price_of_what_can_be_no_model_is_refused(shell: Any, model: str) -> None:
    assert "is not vendor/name, such as openai/gpt-4o" in shell("price", "set", model, "--input", "1", code=2).stderr
    assert not shell.data.exists()


def test_a_price_that_puts_nothing_on_sale_says_so(shell: Any) -> None:
    assert "a/b is not on sale" in shell("price", "set", "a/b", "--character", "1800").stderr
    assert shell("price", "set", "openai/gpt-4o", "--input", "300").stderr == ""
