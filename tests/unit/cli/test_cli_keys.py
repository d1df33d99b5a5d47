"""`proxyapi key`."""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Any

import pytest


@pytest.fixture
def acme(shell: Any) -> Any:
    shell("account", "create", "acme")
    return shell


def test_a_key_is_printed_once_and_never_again(acme: Any) -> None:
    made = acme.json("key", "create", "acme", "--name", "laptop")
    assert set(made) == {"id", "key"}
    plain = made["key"]
    assert plain.startswith("sk-")
    assert len(plain) == 51
    for arguments in (
        ("key", "list"),
        ("key", "show", "laptop"),
        ("key", "show", plain),
        ("key", "edit", plain, "--rpm", "5"),
        ("account", "show", "acme"),
        ("key", "disable", plain),
    ):
        assert plain not in acme(*arguments).output
        assert plain not in acme(*arguments, "--json").output
    with sqlite3.connect(acme.data / "proxyapi.db") as connection:
        assert connection.execute("SELECT digest FROM key").fetchone()[0] == hashlib.sha256(plain.encode()).digest()


def test_for_people_the_key_alone_is_on_standard_output(acme: Any) -> None:
    result = acme("key", "create", "acme")
    assert result.stdout.startswith("sk-")
    assert result.stdout.count("\n") == 1
    assert "Key 1 of acme. Keep it: it is not shown again." in result.stderr


def test_every_setting_can_be_given_and_changed(acme: Any) -> None:
    acme(
        "key", "create", "acme", "--name", "laptop", "--budget", "50", "--period", "day", "--allow-balance",
        "--model", "openai/*", "--model", "gpt-4o*", "--endpoint", "chat", "--ip", "192.0.2.7/24", "--rpm", "60",
        "--tpm", "1000", "--expires", "2031-01-31",
    )  # fmt: skip
    shown = acme.json("key", "show", "laptop")
    created = shown.pop("created_at")
    assert created.endswith("Z")
    assert shown == {
        "id": 1, "account_id": 1, "account": "acme", "name": "laptop", "prefix": shown["prefix"], "status": "active",
        "budget": 50, "period": "day", "may_query_balance": True, "models": ["openai/*", "gpt-4o*"],
        "endpoints": ["chat"], "networks": ["192.0.2.0/24"], "rpm": 60, "tpm": 1000, "last_used_at": None,
        "expires_at": "2031-01-31T00:00:00Z",
    }  # fmt: skip
    edited = acme.json("key", "edit", "laptop", "--budget", "0.5", "--deny-balance", "--model", "x/*", "--name", "desk")
    assert (edited["budget"], edited["may_query_balance"], edited["models"]) == ("0.5", False, ["x/*"])
    assert (edited["name"], edited["period"], edited["rpm"]) == ("desk", "day", 60)
    bare = acme.json(
        "key", "edit", "desk", "--budget", "none", "--model", "none", "--endpoint", "none", "--ip", "none",
        "--rpm", "none", "--tpm", "none", "--expires", "none",
    )  # fmt: skip
    assert [bare[name] for name in ("budget", "rpm", "tpm", "expires_at")] == [None] * 4
    assert [bare[name] for name in ("models", "endpoints", "networks")] == [[], [], []]


def test_keys_are_listed_for_people(acme: Any) -> None:
    acme("key", "create", "acme", "--name", "laptop", "--budget", "50", "--period", "day", "--rpm", "5", "--ip", "::1")
    title, line = acme("key", "list", "acme").stdout.splitlines()
    assert title.split("  ")[0] == "id"
    assert "50 a day" in line
    assert "5 rpm, networks" in line
    assert "never" in line
    assert "50 RUB a day" in acme("key", "show", "1").stdout
    acme("account", "create", "other")
    assert acme("key", "list", "other").stdout == "No keys yet.\n"


def test_a_key_can_be_disabled_enabled_and_revoked_for_ever(acme: Any) -> None:
    acme("key", "create", "acme")
    assert acme.json("key", "disable", "1") == {"id": 1, "status": "disabled"}
    assert acme.json("key", "enable", "1") == {"id": 1, "status": "active"}
    assert acme.json("key", "revoke", "1") == {"id": 1, "status": "revoked"}
    assert "is revoked, which cannot be undone" in acme("key", "enable", "1", code=2).stderr


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--ip", "10.0.0.0/99"), "'10.0.0.0/99' is not an IP address or a network"),
        (("--endpoint", "chats"), "'chats' is not one of"),
        (("--budget", "much"), "'much' is not an amount of money"),
        (("--budget", "-1"), "a budget is from 0 to 100000000"),
        (("--period", "day"), "--period belongs to --budget."),
        (("--rpm", "0"), "0 is not in the range x>=1"),
        (("--tpm", "9999999999999"), "tokens_per_minute has to be a number from 1 to 1000000000000"),
        (("--name", "a\x1b[2Jb"), "name has characters that can't be printed"),
        (("--model", "none", "--model", "a"), "`none` and others exclude each other."),
        (("--expires", "soon"), "'soon' is not a time such as 2026-01-31, 2026-01-31T12:00 or 7d."),
    ],
)
def test_a_wrong_setting_is_explained(acme: Any, options: tuple[str, ...], why: str) -> None:
    assert why in acme("key", "create", "acme", *options, code=2).stderr


def test_an_edit_without_a_change_is_a_mistake(acme: Any) -> None:
    acme("key", "create", "acme")
    assert "Nothing to change" in acme("key", "edit", "1", code=2).stderr


def test_a_key_that_is_not_there_is_not_repeated(acme: Any) -> None:
    result = acme("key", "revoke", "sk-my-own-secret", code=2)
    assert result.stderr == "Error: There is no such key.\n"
    assert acme("key", "revoke", "laptop", code=2).stderr == "Error: There is no key laptop.\n"
