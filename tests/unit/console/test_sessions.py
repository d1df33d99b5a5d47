"""Sessions: what is stored of them, when they end, and what their forms carry."""

from __future__ import annotations

import asyncio
from typing import Any

from proxyapi.console.sessions import IDLE_MS, KEPT_MS, LIFE_MS, Session, Sessions, form_token
from proxyapi.console.users import Users
from proxyapi.store.database import Database


def find(sessions: Sessions, token: str) -> Session | None:
    return asyncio.run(sessions.find(token))


def test_the_store_knows_no_token(users: Users, sessions: Sessions, database: Database) -> None:
    user = users.add("maria@example.ru", "hash", confirmed=True)
    token = sessions.start(user.id, agent="Firefox", address="192.0.2.1", kept=False)
    (row,) = database.fetch_now("SELECT * FROM console_session")
    assert token not in repr(row) and token.encode() not in row and bytes.fromhex(token) not in row
    session = find(sessions, token)
    assert session is not None and session.user.email == "maria@example.ru"


def test_a_sign_in_ends_the_session_before_it(users: Users, sessions: Sessions) -> None:
    user = users.add("maria@example.ru", "hash", confirmed=True)
    before = sessions.start(user.id, agent="a", address="b", kept=False, factor_due=True)
    after = sessions.start(user.id, agent="a", address="b", kept=False, instead_of=before)
    assert find(sessions, before) is None and find(sessions, after) is not None and before != after


def test_a_session_ends_when_it_is_not_used(users: Users, sessions: Sessions, clock: Any) -> None:
    user = users.add("maria@example.ru", "hash", confirmed=True)
    short = sessions.start(user.id, agent="a", address="b", kept=False)
    kept = sessions.start(user.id, agent="a", address="b", kept=True)
    clock.now += IDLE_MS / 1000
    assert find(sessions, short) is None and find(sessions, kept) is not None


def test_a_session_in_use_lasts_but_not_for_ever(users: Users, sessions: Sessions, clock: Any) -> None:
    user = users.add("maria@example.ru", "hash", confirmed=True)
    token = sessions.start(user.id, agent="a", address="b", kept=True)
    started = clock.now
    while clock.now - started < LIFE_MS / 1000 - KEPT_MS / 2000:
        clock.now += KEPT_MS / 2000
        session = find(sessions, token)
        assert session is not None and sessions.is_due(session)
        sessions.see(session, "192.0.2.9")
    clock.now = started + LIFE_MS / 1000
    assert find(sessions, token) is None


def test_only_its_owner_ends_a_session(users: Users, sessions: Sessions) -> None:
    maria = users.add("maria@example.ru", "hash", confirmed=True)
    other = users.add("other@example.ru", "hash", confirmed=True)
    session = find(sessions, sessions.start(maria.id, agent="a", address="b", kept=True))
    assert session is not None
    assert not sessions.revoke(other.id, session.id)
    assert sessions.revoke(maria.id, session.id)
    assert find(sessions, session.token) is None


def test_a_blocked_user_has_no_session(users: Users, sessions: Sessions) -> None:
    user = users.add("maria@example.ru", "hash", confirmed=True)
    token = sessions.start(user.id, agent="a", address="b", kept=True)
    users.set_blocked(user.id, True)
    assert find(sessions, token) is None


def test_what_is_no_token_is_not_looked_up(sessions: Sessions) -> None:
    for text in ("", "x" * 64, "0" * 63, "' OR 1=1 --"):
        assert find(sessions, text) is None


def test_the_token_of_forms_does_not_tell_that_of_the_session() -> None:
    token = "ab" * 32
    assert form_token(token) == form_token(token) != form_token("cd" * 32)
    assert token not in form_token(token)
