"""Expires the holds of workers that died. Any worker may do it, one at a time does: a claim in the store decides."""

from __future__ import annotations

import asyncio
from typing import Final

from proxyapi.ledger.commit import SQL
from proxyapi.ledger.ledger import Ledger
from proxyapi.store.database import Database

GRACE_SECONDS: Final = 60.0
"""How long a worker may be unseen: three times what makes it stop admitting."""
CLAIM_SECONDS: Final = 10.0
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
    grace_ms = int(grace_seconds * 1000)
    lost = await database.fetch(SQL["find_lost_holds"], (grace_ms, HOLDS_MAX))
    answers = await asyncio.gather(*(ledger.expire(id, grace_ms) for (id,) in lost))
    await ledger.write(SQL["delete_lost_workers"], (int(max(WORKER_ROWS_SECONDS, 2 * grace_seconds) * 1000),))
    return sum(answer.outcome == "expired" for answer in answers)
