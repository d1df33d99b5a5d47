"""Keys that collect errors pause: pure rules, and the statements that keep their state for all workers.

An answer with a 4xx status is a strike, but not the 429 that a pause itself gives. So many strikes within the window
start a pause; each further one is a step longer; after `forgive_ms` without a new pause the level counts back by one.
A deposit ends the pause. Times are milliseconds since 1970.

What the gateway runs through `ledger.write`, in this order, after a strike:

    ADD(key_id, now)                        the strike
    RECENT(key_id, now - window_ms)         -> rows (at,), this one included
    STATE(key_id)                           -> at most one row (level, until, triggered_at)
    strike(now, recent, state, policy)      the decision; None: nothing more to do
    START(...)                              -> one row if this worker was the first to start it, else none
    CLEAR(key_id, now)                      old strikes don't count twice
    BUMP()                                  every worker drops its cached caller

`start_parameters` gives those of START. `PRUNE(before)` belongs to the periodic work.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from proxyapi.identity.queries import QUERIES

ADD = QUERIES["strike_add"]
RECENT = QUERIES["strike_recent"]
STATE = QUERIES["pause_state"]
START = QUERIES["pause_start"]
CLEAR = QUERIES["strike_clear"]
PRUNE = QUERIES["strike_prune"]
END_FOR_ACCOUNT = QUERIES["pause_end_for_account"]
"""(now, account_id, now): run it, CLEAR_FOR_ACCOUNT and BUMP after a deposit."""
CLEAR_FOR_ACCOUNT = QUERIES["strike_clear_for_account"]
BUMP = QUERIES["bump_identity"]


class PausePolicy(Struct, frozen=True, kw_only=True):
    """When a key pauses, and for how long."""

    strikes: int = 20
    window_ms: int = 60_000
    steps_ms: tuple[int, ...] = (60_000, 600_000, 3_600_000, 43_200_000)
    forgive_ms: int = 43_200_000


class Pause(Struct, frozen=True):
    """The last pause of a key, over or not."""

    level: int
    """1 is the first step."""
    until: int
    triggered_at: int


def level_now(now: int, pause: Pause | None, policy: PausePolicy) -> int:
    """The level that counts: one less for every `forgive_ms` since the last pause began."""
    if pause is None:
        return 0
    return max(0, pause.level - max(0, now - pause.triggered_at) // policy.forgive_ms)


def strike(now: int, recent: Sequence[int], pause: Pause | None, policy: PausePolicy) -> Pause | None:
    """The pause that this strike starts; None: none, or one is on. `recent` are the times of strikes, this included."""
    if pause is not None and now < pause.until:
        return None
    since = max(now - policy.window_ms, pause.triggered_at if pause is not None else 0)
    if sum(at > since for at in recent) < policy.strikes:
        return None
    level = min(level_now(now, pause, policy) + 1, len(policy.steps_ms))
    return Pause(level, now + policy.steps_ms[level - 1], now)


def start_parameters(key_id: int, seen: Pause | None, new: Pause) -> tuple[int, ...]:
    """Of START: it changes nothing if another worker started a pause since `seen` was read."""
    return (key_id, new.level, new.until, new.triggered_at, seen.triggered_at if seen is not None else -1)
