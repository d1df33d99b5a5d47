"""`proxyapi operator` and `proxyapi voucher`."""

from __future__ import annotations

from typing import Any


def test_a_token_is_shown_once_and_can_be_revoked(shell: Any) -> None:
    shell("account", "create", "acme")
    made = shell.json("operator", "token", "create", "billing", "--scope", "write", "--expires", "30d")
    assert made["token"].startswith("op-") and made["scope"] == "write"
    listed = shell("operator", "token", "list")
    assert made["token"] not in listed.stdout and "billing" in listed.stdout
    shell("operator", "token", "revoke", "1")
    assert shell.json("operator", "token", "list")["tokens"][0]["state"] == "revoked"
    shell("operator", "token", "revoke", "1", code=2)
    shell("operator", "token", "revoke", "9", code=2)
    shell("operator", "token", "create", " ", code=2)


def test_vouchers_are_made_listed_and_revoked(shell: Any) -> None:
    shell("account", "create", "acme")
    made = shell.json("voucher", "create", "spring", "500", "--number", "3", "--days", "10")
    assert len(set(made["codes"])) == 3 and made["amount"] == 500
    listed = shell("voucher", "list").stdout
    assert "spring" in listed and not any(code in listed for code in made["codes"])
    assert shell.json("voucher", "revoke", "1")["revoked_at"]
    shell("voucher", "revoke", "1", code=2)
    shell("voucher", "create", "spring", "0", code=2)


def test_what_the_command_line_did_is_on_the_record(shell: Any) -> None:
    shell("account", "create", "acme")
    shell("voucher", "create", "spring", "500")
    shell("operator", "token", "create", "billing")
    acts = shell.json("operator", "acts")["acts"]
    assert [act["action"] for act in acts] == ["token.create", "vouchers.make"]
    assert {act["operator"] for act in acts} == {"command line"}
    assert "vouchers.make" in shell("operator", "acts").stdout
