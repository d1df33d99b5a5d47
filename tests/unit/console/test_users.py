"""Users, their links, their second factor and how often anything may be tried."""

from __future__ import annotations

from typing import Any

import pytest

from proxyapi.console import totp
from proxyapi.console.users import BY_EMAIL, HOUR_MS, UNCONFIRMED_MS, Users, normal_email
from proxyapi.errors import Conflict, InvalidRequest, NotFound, TooManyRequests
from proxyapi.store.database import Database

SECRET = b"12345678901234567890"


def test_an_address_is_one_whatever_its_capitals() -> None:
    assert normal_email("  Maria@Example.RU ") == "maria@example.ru"
    for wrong in ("", "maria", "a@b", "a b@c.de", "a@b.c\nBcc: x@y.z", "a" * 250 + "@b.cd", "<a@b.cd>"):
        with pytest.raises(InvalidRequest):
            normal_email(wrong)


def test_an_account_is_opened_when_the_address_is_confirmed(users: Users, database: Database) -> None:
    user = users.add("maria@example.ru", "hash")
    assert user.account_id == 0 and not user.confirmed
    token = users.ticket(user.id, "confirm")
    confirmed = users.confirm(token, "hash")
    assert confirmed.confirmed and confirmed.account_id
    assert users.get(user.id) == confirmed
    rows = database.fetch_now("SELECT name, funded FROM account WHERE id = ?", (confirmed.account_id,))
    assert [tuple(row) for row in rows] == [("maria@example.ru", 0)]


def test_a_link_works_once_and_not_for_another_purpose(users: Users) -> None:
    user = users.add("maria@example.ru", "hash")
    token = users.ticket(user.id, "confirm")
    with pytest.raises(NotFound):
        users.reset(token, "other")
    users.confirm(token, "hash")
    with pytest.raises(NotFound):
        users.confirm(token, "hash")


def test_a_link_confirms_only_the_password_that_its_holder_has_proved(users: Users) -> None:
    user = users.add("maria@example.ru", "hers")
    token = users.ticket(user.id, "confirm")
    assert users.password_to_confirm(token) == "hers"
    users.set_password(user.id, "a stranger's, who signed up with the address in between")
    with pytest.raises(NotFound):
        users.confirm(token, "hers")
    assert not users.get(user.id).confirmed


def test_a_link_ends_with_its_time_and_with_the_next_one(users: Users, clock: Any) -> None:
    user = users.add("maria@example.ru", "hash", confirmed=True)
    first = users.ticket(user.id, "reset")
    second = users.ticket(user.id, "reset")
    assert users.ticket_holder(first, "reset") is None
    assert users.ticket_holder(second, "reset") == user.id
    clock.now += 2 * HOUR_MS / 1000
    assert users.ticket_holder(second, "reset") is None


def test_two_users_cannot_have_one_address(users: Users) -> None:
    users.add("maria@example.ru", "hash")
    with pytest.raises(Conflict):
        users.add("maria@example.ru", "other")


def test_an_account_name_that_is_taken_gets_a_number(users: Users, database: Database) -> None:
    with database.transaction() as transaction:
        transaction.execute("INSERT INTO account (kind, name, created_at) VALUES ('wallet', 'maria@example.ru', 1)")
    user = users.add("maria@example.ru", "hash", confirmed=True)
    rows = database.fetch_now("SELECT name FROM account WHERE id = ?", (user.account_id,))
    assert rows[0][0] == "maria@example.ru #2"


def test_a_sign_up_that_nobody_confirms_is_forgotten(users: Users, clock: Any) -> None:
    users.add("maria@example.ru", "hash", confirmed=True)
    users.add("nobody@example.ru", "hash")
    users.prune()
    assert users.find("nobody@example.ru")
    clock.now += UNCONFIRMED_MS / 1000
    users.prune()
    assert users.find("nobody@example.ru") is None and users.find("maria@example.ru")


def test_codes_are_those_of_the_rfc() -> None:
    # RFC 6238, appendix B, the last six of eight digits
    assert totp.code_at(SECRET, 59 // 30) == "287082"
    assert totp.code_at(SECRET, 1111111109 // 30) == "081804"
    assert totp.code_at(SECRET, 20000000000 // 30) == "353130"


def test_a_code_works_once_and_its_neighbours_too(users: Users, clock: Any) -> None:
    user = users.add("maria@example.ru", "hash", confirmed=True)
    users.set_factor(user.id, SECRET)
    step = int(clock.now) // 30
    assert users.passes_factor(user.id, totp.code_at(SECRET, step - 1))
    assert users.passes_factor(user.id, f" {totp.code_at(SECRET, step)[:3]} {totp.code_at(SECRET, step)[3:]}")
    assert not users.passes_factor(user.id, totp.code_at(SECRET, step))
    assert not users.passes_factor(user.id, totp.code_at(SECRET, step - 1))
    assert not users.passes_factor(user.id, totp.code_at(SECRET, step + 3))


def test_a_recovery_code_works_once(users: Users) -> None:
    user = users.add("maria@example.ru", "hash", confirmed=True)
    codes = list(totp.recovery_codes(lambda n: bytes(range(n))))
    users.set_factor(user.id, SECRET, codes[:1])
    assert users.codes_left(user.id) == 1
    assert users.passes_factor(user.id, codes[0].upper())
    assert not users.passes_factor(user.id, codes[0])


def test_too_many_attempts_have_to_wait_for_the_window(users: Users, clock: Any) -> None:
    for _ in range(BY_EMAIL.times):
        users.count((BY_EMAIL, "maria@example.ru"))
    with pytest.raises(TooManyRequests) as refused:
        users.count((BY_EMAIL, "maria@example.ru"))
    assert refused.value.retry_after_seconds == BY_EMAIL.window_ms // 1000 + 1
    users.count((BY_EMAIL, "somebody.else@example.ru"))
    clock.now += BY_EMAIL.window_ms / 1000
    users.count((BY_EMAIL, "maria@example.ru"))


def test_a_new_password_ends_sessions_and_links(users: Users, sessions: Any, database: Database) -> None:
    user = users.add("maria@example.ru", "hash", confirmed=True)
    sessions.start(user.id, agent="a", address="b", kept=True)
    users.ticket(user.id, "reset")
    users.set_password(user.id, "new")
    assert users.password_of(user.id) == "new"
    assert not database.fetch_now("SELECT 1 FROM console_session") and not database.fetch_now(
        "SELECT 1 FROM console_ticket"
    )
