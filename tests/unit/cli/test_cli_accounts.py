"""`proxyapi account` and `proxyapi deposit`."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest


def test_an_account_lives_from_creation_to_block(shell: Any) -> None:
    made = shell.json("account", "create", "acme")
    assert made["id"] == 1
    assert (made["name"], made["balance"], made["blocked"]) == ("acme", 0, False)
    assert shell.json("deposit", "acme", "500.145")["balance"] == "500.145"
    assert shell.json("deposit", "1", "0.000000001")["balance"] == "500.145000001"
    assert shell.json("account", "block", "acme") == {"id": 1, "name": "acme", "blocked": True}
    assert shell.json("account", "show", "1")["blocked"] is True
    assert shell.json("account", "unblock", "acme")["blocked"] is False
    listed = shell.json("account", "list")
    assert listed["currency"] == "RUB"
    assert [account["available"] for account in listed["accounts"]] == ["500.145000001"]


def test_tables_are_aligned_for_people(shell: Any) -> None:
    shell("account", "create", "acme")
    shell("account", "create", "a longer name")
    shell("deposit", "acme", "1234.5")
    assert shell("account", "list").stdout.splitlines() == [
        "id  name           balance, RUB  held  spent  state",
        " 1  acme                 1234.5     0      0  active",
        " 2  a longer name             0     0      0  active",
    ]
    assert shell("account", "show", "acme").stdout.splitlines()[:6] == [
        "id            1",
        "name          acme",
        "state         active",
        "when short    refuse",
        "request log   off",
        "balance, RUB  1234.5",
    ]


def test_an_account_says_what_becomes_of_requests_that_are_too_dear(shell: Any) -> None:
    assert shell.json("account", "create", "acme")["when_short"] == "refuse"
    assert shell.json("account", "edit", "acme", "--when-short", "shorten")["when_short"] == "shorten"
    assert shell.json("account", "show", "acme")["when_short"] == "shorten"
    assert "when short    shorten" in shell("account", "show", "acme").stdout
    told = "Account acme, when short: refuse, request log: off.\n"
    assert shell("account", "edit", "1", "--when-short", "refuse").stdout == told
    assert "Nothing to change" in shell("account", "edit", "acme", code=2).stderr


def test_a_request_log_is_kept_for_so_many_days_and_no_others(shell: Any) -> None:
    assert shell.json("account", "create", "acme")["request_log_days"] == 0
    assert shell.json("account", "edit", "acme", "--request-log", "30")["request_log_days"] == 30
    assert "request log   30 days" in shell("account", "show", "acme").stdout
    assert "'8' is not one of" in shell("account", "edit", "acme", "--request-log", "8", code=2).stderr
    done = shell.json("account", "edit", "acme", "--request-log", "off")
    assert (done["request_log_days"], done["deleted_requests"]) == (0, 0), "nothing was kept, so nobody is asked"


def test_a_deposit_is_booked_once_per_reference(shell: Any) -> None:
    shell("account", "create", "acme")
    first = shell.json("deposit", "acme", "50", "--reference", "invoice-17")
    assert first == {
        "account_id": 1, "account": "acme", "amount": 50, "currency": "RUB", "reference": "invoice-17", "new": True,
        "balance": 50,
    }  # fmt: skip
    again = shell.json("deposit", "acme", "50", "--reference", "invoice-17")
    assert (again["new"], again["balance"]) == (False, 50)
    assert "has been booked before" in shell("deposit", "acme", "50", "--reference", "invoice-17").stdout
    conflict = shell("deposit", "acme", "60", "--reference", "invoice-17", code=2)
    assert "This reference was used for another account or amount." in conflict.stderr
    assert "--reference is empty" in shell("deposit", "acme", "50", "--reference", "", code=2).stderr
    assert conflict.stdout == ""


@pytest.mark.parametrize(
    ("amount", "why"),
    [
        ("1,5", "'1,5' is not an amount of money, such as 50 or 0.145."),
        ("0.0000000001", "has more than nine decimals."),
        ("0", "A deposit is more than zero."),
        ("1e12", "is larger than"),
    ],
)
def test_a_wrong_amount_is_explained(shell: Any, amount: str, why: str) -> None:
    shell("account", "create", "acme")
    assert why in shell("deposit", "acme", amount, code=2).stderr


def test_a_name_is_given_once(shell: Any) -> None:
    shell("account", "create", "acme")
    assert shell("account", "create", "acme", code=2).stderr == "Error: There is already an account named acme.\n"


def test_a_missing_account_is_named(shell: Any) -> None:
    shell("account", "create", "acme")
    assert shell("account", "show", "acne", code=2).stderr == "Error: There is no account acne.\n"
    assert shell("deposit", "acne", "5", code=2).stderr == "Error: There is no account acne.\n"


def test_a_mistyped_directory_does_not_become_an_installation(shell: Any, tmp_path: Path) -> None:
    result = shell("account", "list", "--data", str(tmp_path / "nowhere"), code=2)
    assert "There is no installation in" in result.stderr
    assert not (tmp_path / "nowhere").exists()


def test_the_data_directory_is_the_operators_alone(shell: Any) -> None:
    shell("account", "create", "acme")
    assert stat.S_IMODE(shell.data.stat().st_mode) == 0o700


def test_the_flag_data_wins_over_the_environment(shell: Any, tmp_path: Path) -> None:
    shell("account", "create", "here", "--data", str(tmp_path / "other"))
    assert shell.json("account", "list", "--data", str(tmp_path / "other"))["accounts"][0]["name"] == "here"
    assert not shell.data.exists()


def test_the_currency_of_the_configuration_is_kept_with_the_money(shell: Any, tmp_path: Path) -> None:
    config = tmp_path / "usd.toml"
    config.write_text('currency = "USD"')
    shell("account", "create", "acme", "--config", str(config))
    assert shell.json("deposit", "acme", "5")["currency"] == "USD"


def test_an_error_of_the_configuration_is_bad_input(shell: Any, tmp_path: Path) -> None:
    (tmp_path / "proxyapi.toml").write_text("[limits]\nbody_bytes_mx = 1")
    result = shell("account", "list", code=2)
    assert result.stderr == (
        "Error: proxyapi.toml: [limits] body_bytes_mx is not a setting; did you mean body_bytes_max?\n"
    )
