"""The ladder of pauses, as pure rules and with its statements on a real database."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxyapi.identity import pause as rules
from proxyapi.identity.accounts import KeySettings
from proxyapi.identity.keys import Keys, digest_of
from proxyapi.identity.pause import Pause, PausePolicy, level_now, start_parameters, strike

POLICY = PausePolicy()
MINUTE, HOUR = 60_000, 3_600_000
NOW = 1_800_000_000_000


def test_nineteen_errors_in_a_minute_do_not_pause() -> None:
    assert strike(NOW, [NOW - at for at in range(19)], None, POLICY) is None


def test_the_twentieth_error_within_a_minute_pauses_for_a_minute() -> None:
    recent = [NOW - at * 1000 for at in range(20)]
    assert strike(NOW, recent, None, POLICY) == Pause(level=1, until=NOW + MINUTE, triggered_at=NOW)


def test_errors_older_than_the_window_do_not_count() -> None:
    recent = [NOW - at * 4_000 for at in range(20)]
    assert strike(NOW, recent, None, POLICY) is None


@pytest.mark.parametrize(
    ("level", "length"),
    [(1, 10 * MINUTE), (2, HOUR), (3, 12 * HOUR), (4, 12 * HOUR)],
)
def test_each_further_pause_is_a_step_longer(level: int, length: int) -> None:
    before = Pause(level, NOW - MINUTE, NOW - 2 * MINUTE)
    after = strike(NOW, [NOW] * 20, before, POLICY)
    assert after == Pause(min(level + 1, 4), NOW + length, NOW)


def test_errors_of_before_the_last_pause_do_not_count_again() -> None:
    before = Pause(1, NOW - 1, NOW - 30_000)
    assert strike(NOW, [NOW - 40_000] * 19 + [NOW], before, POLICY) is None


def test_a_key_that_pauses_is_not_paused_again() -> None:
    assert strike(NOW, [NOW] * 50, Pause(1, NOW + 1, NOW - MINUTE), POLICY) is None


@pytest.mark.parametrize(("hours", "level"), [(0, 3), (11, 3), (12, 2), (24, 1), (36, 0), (1_000, 0)])
def test_the_level_counts_back_by_one_every_twelve_hours(hours: int, level: int) -> None:
    assert level_now(NOW + hours * HOUR, Pause(3, NOW + HOUR, NOW), POLICY) == level


def test_a_clock_that_went_back_forgives_nothing() -> None:
    assert level_now(NOW - HOUR, Pause(3, NOW, NOW), POLICY) == 3


def test_the_policy_can_be_another() -> None:
    policy = PausePolicy(strikes=2, window_ms=1_000, steps_ms=(5_000,), forgive_ms=10_000)
    assert strike(NOW, [NOW - 999, NOW], None, policy) == Pause(1, NOW + 5_000, NOW)
    assert strike(NOW, [NOW - 1_000, NOW], None, policy) is None
    assert strike(NOW, [NOW, NOW], Pause(1, NOW, NOW - 9_000), policy) == Pause(1, NOW + 5_000, NOW)


def _strike(desk: Any, key_id: int, now: int) -> Pause | None:
    """What the gateway does through the ledger's writer, statement by statement."""

    def write(sql: str, parameters: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with desk.database.transaction() as transaction:
            return list(transaction.execute(sql, parameters))

    write(rules.ADD, (key_id, now))
    recent = [row[0] for row in write(rules.RECENT, (key_id, now - POLICY.window_ms))]
    rows = write(rules.STATE, (key_id,))
    seen = Pause(*rows[0]) if rows else None
    new = strike(now, recent, seen, POLICY)
    if new is None or not write(rules.START, start_parameters(key_id, seen, new)):
        return None
    write(rules.CLEAR, (key_id, now))
    write(rules.BUMP)
    return new


def test_the_pause_reaches_the_caller_and_a_deposit_ends_it(desk: Any) -> None:
    account = desk.accounts.create("acme")
    key_id, plain = desk.keys.create(account.id, KeySettings())
    digest = digest_of(plain.encode())
    now = int(desk.clock() * 1000)
    pauses = [_strike(desk, key_id, now + at) for at in range(20)]
    assert pauses[:19] == [None] * 19
    assert pauses[19] == Pause(1, now + 19 + MINUTE, now + 19)
    caller = asyncio.run(Keys(desk.database.fetch, desk.clock).find(digest))
    assert (caller.pause_level, caller.paused_until) == (1, now + 19 + MINUTE)
    revision = desk.database.fetch_now("SELECT number FROM revision WHERE name = 'identity'")[0][0]
    desk.clock.now += 1
    desk.accounts.end_pauses(account.id)
    caller = asyncio.run(Keys(desk.database.fetch, desk.clock).find(digest))
    assert caller.paused_until <= int(desk.clock() * 1000)
    assert desk.database.fetch_now("SELECT number FROM revision WHERE name = 'identity'")[0][0] > revision
    assert desk.database.fetch_now("SELECT count(*) FROM strike") == [(0,)]


def test_two_workers_start_a_pause_only_once(desk: Any) -> None:
    key_id, _ = desk.keys.create(desk.accounts.create("acme").id, KeySettings())
    first, second = Pause(1, NOW + MINUTE, NOW), Pause(1, NOW + MINUTE + 5, NOW + 5)
    with desk.database.transaction() as transaction:
        assert transaction.execute(rules.START, start_parameters(key_id, None, first)) == [(1, NOW + MINUTE, NOW)]
        assert transaction.execute(rules.START, start_parameters(key_id, None, second)) == []
        assert transaction.execute(rules.STATE, (key_id,)) == [(1, NOW + MINUTE, NOW)]
        third = Pause(2, NOW + HOUR, NOW + 2 * MINUTE)
        assert transaction.execute(rules.START, start_parameters(key_id, first, third)) == [
            (2, NOW + HOUR, NOW + 2 * MINUTE)
        ]


def test_old_strikes_are_pruned(desk: Any) -> None:
    with desk.database.transaction() as transaction:
        transaction.execute(rules.ADD, (1, NOW))
        transaction.execute(rules.ADD, (1, NOW + 5))
        transaction.execute(rules.PRUNE, (NOW,))
        assert transaction.execute(rules.RECENT, (1, 0)) == [(NOW + 5,)]
