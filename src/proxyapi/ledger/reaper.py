"""Expires the holds of workers that died. Any worker may do it, one at a time does: a claim in the store decides.

A death is known or concluded. Known: the supervisor beside the worker saw its process end (`waitpid`), and the worker
that takes its place says so in the store. A process that ended writes nothing more. On PostgreSQL a session may still
finish the last statement that a dead client has sent: if that commits a hold, nobody was told, and the next round ends
it; if it commits a settlement, it had its account locked until then, and whoever wanted to expire that hold finds it
settled. Concluded: a worker that was not seen for the grace, as when its machine is lost. That one may still write, and
what it settles then is a correction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from proxyapi.ledger.commit import SQL
from proxyapi.ledger.ledger import Ledger
from proxyapi.store.database import Database

GRACE_SECONDS: Final = 60.0
"""How long a worker may be unseen: three times what makes it stop admitting."""
CLAIM_SECONDS: Final = 4.0
"""How long a round of one worker keeps the others from starting one."""
HOLDS_MAX: Final = 2_000
"""Per round, so that requests don't wait for it."""
WORKER_ROWS_SECONDS: Final = 3_600.0
"""How long the row of a dead worker is kept to be looked at."""


async def reap(
    database: Database, ledger: Ledger, *, grace_seconds: float = GRACE_SECONDS, claim_seconds: float = CLAIM_SECONDS
) -> int:
    """One round: how many holds were expired. 0 also if another worker has the claim."""
    if not await ledger.write(SQL["claim_reaping"], (int(claim_seconds * 1000),)):
        return 0
    expired = await _expire_lost(database, ledger, grace_seconds)
    await ledger.write(SQL["delete_lost_workers"], (int(max(WORKER_ROWS_SECONDS, 2 * grace_seconds) * 1000),))
    return expired


async def bury(
    database: Database, ledger: Ledger, names: Iterable[str], *, grace_seconds: float = GRACE_SECONDS
) -> int:
    """For who saw the processes of these workers end: what they held expires now. Safe to repeat, and to do at once."""
    for name in names:
        await ledger.write(SQL["mark_dead"], (name,))
    return await _expire_lost(database, ledger, grace_seconds)


async def _expire_lost(database: Database, ledger: Ledger, grace_seconds: float) -> int:
    grace_ms = int(grace_seconds * 1000)
    lost = await database.fetch(SQL["find_lost_holds"], (grace_ms, HOLDS_MAX))
    answers = await asyncio.gather(*(ledger.expire(id, grace_ms) for (id,) in lost))
    return sum(answer.outcome == "expired" for answer in answers)
