"""Management of accounts and keys on a real database."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest

from proxyapi.errors import Conflict, InvalidRequest, NotFound, SettingsError
from proxyapi.identity.accounts import KeySettings, checked
from proxyapi.identity.currency import agree_on_currency, recorded_currency
from proxyapi.ledger.ops import Budget


def _revision(desk: Any) -> int:
    number: int = desk.database.fetch_now("SELECT number FROM revision WHERE name = 'identity'")[0][0]
    return number


def test_an_account_is_found_by_name_and_by_id(desk: Any) -> None:
    made = desk.accounts.create(" acme ")
    assert made.name == "acme"
    assert desk.accounts.find("acme") == desk.accounts.find(str(made.id)) == made
    assert desk.accounts.list() == [made]


def test_a_name_is_given_once(desk: Any) -> None:
    desk.accounts.create("acme")
    with pytest.raises(Conflict, match="There is already an account named acme"):
        desk.accounts.create("acme")


@pytest.mark.parametrize("name", ["", "  ", "42", "a" * 101, "a\nb"])
def test_names_that_could_be_mistaken_are_refused(desk: Any, name: str) -> None:
    with pytest.raises(InvalidRequest):
        desk.accounts.create(name)


@pytest.mark.parametrize("text", ["acme", "7", "", "99999999999999999999999"])
def test_a_missing_account_is_not_found(desk: Any, text: str) -> None:
    with pytest.raises(NotFound):
        desk.accounts.find(text)


def test_budgets_of_keys_are_not_accounts_of_customers(desk: Any) -> None:
    account = desk.accounts.create("acme")
    with desk.database.transaction() as transaction:
        transaction.execute(
            "INSERT INTO account (kind, key_id, period, period_start, created_at) VALUES ('budget', 1, 'never', 0, 0)"
        )
    assert [item.id for item in desk.accounts.list()] == [account.id]


def test_the_balance_is_what_was_paid_in_and_not_spent(desk: Any) -> None:
    account = desk.accounts.create("acme")
    desk.ledger.deposit(account.id, 500)
    found = desk.accounts.find("acme")
    assert (found.balance, found.available, found.held) == (500, 500, 0)


def test_only_the_digest_of_a_key_is_stored(desk: Any) -> None:
    key_id, plain = desk.keys.create(desk.accounts.create("acme").id, KeySettings(name="laptop"))
    row = desk.database.fetch_now("SELECT * FROM key WHERE id = ?", (key_id,))[0]
    assert hashlib.sha256(plain.encode()).digest() in row
    assert plain not in map(str, row)
    assert plain not in repr(desk.keys.find("laptop"))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_key_itself_is_nowhere_in_the_file(desk: Any) -> None:
    _, plain = desk.keys.create(desk.accounts.create("acme").id, KeySettings(name="laptop"))
    desk.database.fetch_now("PRAGMA wal_checkpoint(TRUNCATE)")
    written = desk.database.path.read_bytes()
    assert b"laptop" in written and plain.encode() not in written


def test_a_key_is_found_by_id_name_first_characters_and_itself(desk: Any) -> None:
    key_id, plain = desk.keys.create(desk.accounts.create("acme").id, KeySettings(name="laptop"))
    assert {desk.keys.find(text).id for text in (str(key_id), "laptop", plain[:7], plain)} == {key_id}


def test_a_name_of_several_keys_says_which_there_are(desk: Any) -> None:
    account = desk.accounts.create("acme")
    first, second = (desk.keys.create(account.id, KeySettings(name="laptop"))[0] for _ in range(2))
    with pytest.raises(Conflict, match=rf"2 keys are called laptop: use the id \({first}, {second}\)"):
        desk.keys.find("laptop")


def test_a_missing_key_is_not_repeated_in_the_error(desk: Any) -> None:
    with pytest.raises(NotFound, match=r"^There is no such key\.$"):
        desk.keys.find("sk-secret-secret-secret")
    with pytest.raises(NotFound, match=r"^There is no key laptop\.$"):
        desk.keys.find("laptop")


def test_unnamed_keys_are_not_found_by_an_empty_name(desk: Any) -> None:
    desk.keys.create(desk.accounts.create("acme").id, KeySettings())
    with pytest.raises(NotFound):
        desk.keys.find("")


def test_keys_are_listed_by_account(desk: Any) -> None:
    first, second = desk.accounts.create("one"), desk.accounts.create("two")
    for account in (first, second, second):
        desk.keys.create(account.id, KeySettings())
    assert [key.account_name for key in desk.keys.list(second.id)] == ["two", "two"]
    assert len(desk.keys.list()) == 3


def test_everything_about_a_key_can_be_edited(desk: Any) -> None:
    key_id, _ = desk.keys.create(desk.accounts.create("acme").id, KeySettings())
    new = KeySettings(
        name="other",
        models=("a/*",),
        endpoints=("chat",),
        networks=("2001:db8::/32",),
        budget_limit=7,
        budget_period="month",
        requests_per_minute=1,
        tokens_per_minute=2,
        may_query_balance=True,
        expires_at=5,
    )
    before = _revision(desk)
    assert desk.keys.edit(key_id, lambda _: new).settings == new
    assert desk.keys.find(str(key_id)).settings == new
    assert _revision(desk) == before + 1


def test_a_raised_budget_can_be_spent_in_the_period_that_runs(desk: Any) -> None:
    key_id, _ = desk.keys.create(desk.accounts.create("acme").id, KeySettings(budget_limit=50))
    with desk.database.transaction() as transaction:
        transaction.execute(
            "INSERT INTO account (kind, key_id, period, period_start, funded, spent, created_at) "
            "VALUES ('budget', ?, 'never', 0, 50, 20, 0)",
            (key_id,),
        )
    desk.keys.edit(key_id, lambda settings: msgspec.structs.replace(settings, budget_limit=80))
    assert desk.ledger.budget_state(Budget(key_id, "never", 80)).available == 60


def test_the_journal_knows_when_a_key_was_last_used(desk: Any) -> None:
    account_id = desk.accounts.create("acme").id
    key_id, _ = desk.keys.create(account_id, KeySettings())
    assert desk.keys.find(str(key_id)).last_used_at is None
    with desk.database.transaction() as transaction:
        for number, kind in enumerate(("settle", "release", "limit")):
            transaction.execute(
                "INSERT INTO entry (id, kind, account_id, key_id, amount, held, actual, charged, loss, created_at) "
                "VALUES (?, ?, ?, ?, 0, 0, 0, 0, 0, ?)",
                (bytes([number] * 16), kind, account_id, key_id, 1_000 + number),
            )
    assert desk.keys.find(str(key_id)).last_used_at == 1_001


def test_a_revoked_key_stays_revoked(desk: Any) -> None:
    key_id, _ = desk.keys.create(desk.accounts.create("acme").id, KeySettings())
    desk.keys.set_status(key_id, "disabled")
    desk.keys.set_status(key_id, "active")
    desk.keys.set_status(key_id, "revoked")
    desk.keys.set_status(key_id, "revoked")
    with pytest.raises(Conflict, match="cannot be undone"):
        desk.keys.set_status(key_id, "active")
    with pytest.raises(Conflict, match="nothing about it can be changed"):
        desk.keys.edit(key_id, lambda settings: settings)


def test_editing_a_key_that_is_not_there_fails(desk: Any) -> None:
    with pytest.raises(NotFound):
        desk.keys.edit(9, lambda settings: settings)


@pytest.mark.parametrize(
    ("settings", "param"),
    [
        (KeySettings(name="a" * 101), "name"),
        (KeySettings(models=("",)), "models"),
        (KeySettings(models=("a",) * 201), "models"),
        (KeySettings(endpoints=("chats",)), "endpoints"),
        (KeySettings(networks=("10.0.0.0/33",)), "networks"),
        (KeySettings(budget_limit=-1), "budget"),
        (KeySettings(budget_period="week"), "period"),  # type: ignore[arg-type]
        (KeySettings(requests_per_minute=0), "requests_per_minute"),
    ],
)
def test_wrong_settings_of_a_key_are_named(settings: KeySettings, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        checked(settings)
    assert caught.value.param == param


def test_networks_are_kept_in_their_normal_form() -> None:
    assert checked(KeySettings(networks=("192.0.2.7/24", "::1"))).networks == ("192.0.2.0/24", "::1/128")


def test_the_currency_is_recorded_once_and_guarded_by_money(desk: Any) -> None:
    assert recorded_currency(desk.database) is None
    agree_on_currency(desk.database, "RUB")
    agree_on_currency(desk.database, "USD")
    assert recorded_currency(desk.database) == "USD"
    desk.ledger.deposit(desk.accounts.create("acme").id, 5)
    agree_on_currency(desk.database, "USD")
    with pytest.raises(SettingsError, match=r"currency is RUB, but the accounts in .* are kept in USD"):
        agree_on_currency(desk.database, "RUB")
