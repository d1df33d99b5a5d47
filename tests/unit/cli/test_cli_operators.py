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
    assert [act["action"] for act in acts] == ["token.create", "vouchers.make", "account.create"]
    assert {act["operator"] for act in acts} == {"command line"}
    assert "vouchers.make" in shell("operator", "acts").stdout


def test_accounts_keys_prices_and_users_of_the_command_line_are_on_the_record_with_what_they_were(shell: Any) -> None:
    password = "correct horse battery staple\n"
    for words in (
        ("account", "create", "acme"),
        ("deposit", "acme", "500", "--reference", "invoice-1"),
        ("deposit", "acme", "500", "--reference", "invoice-1"),
        ("account", "edit", "acme", "--when-short", "shorten", "--request-log", "30"),
        ("account", "block", "acme"),
        ("account", "unblock", "acme"),
        ("key", "create", "acme", "--budget", "50"),
        ("key", "edit", "1", "--budget", "100"),
        ("key", "disable", "1"),
        ("price", "set", "openai/gpt-4o", "--input", "300", "--output", "1200"),
        ("price", "reset", "openai/gpt-4o"),
        ("price", "reset", "openai/gpt-4o"),
    ):
        shell(*words)
    shell("user", "create", "maria@example.com", "--account", "acme", typed=password)
    shell("user", "password", "maria@example.com", typed=password)
    shell("user", "role", "maria@example.com", "operator")
    acts = shell.json("operator", "acts")["acts"][::-1]
    assert [act["action"] for act in acts] == [
        "account.create", "account.deposit", "account.deposit", "account.when_short", "account.request_log",
        "account.block", "account.unblock", "key.create", "key.edit", "key.disable", "price.set", "price.reset",
        "user.create", "user.password", "user.role",
    ]  # fmt: skip
    told = {act["action"]: (act["subject"], act["was"], act["became"]) for act in acts}
    again = {"amount": "500", "new": False, "reference": "invoice-1"}
    assert told["account.deposit"] == ("account 1", {"balance": "500"}, again)
    assert told["account.request_log"] == ("account 1", {"days": 0}, {"days": 30})
    assert (told["key.edit"][1]["budget"], told["key.edit"][2]["budget"]) == ("50", "100")
    assert told["price.set"][1:] == (None, {"input_tokens": "300", "output_tokens": "1200"})
    assert told["price.reset"][1:] == ({"input_tokens": "300", "output_tokens": "1200"}, None)
    assert told["user.role"][2]["role"] == "operator"
    assert "horse" not in str(acts) and "sk-" not in str(acts).replace(told["key.create"][2].get("prefix", "-"), "")
