from __future__ import annotations

from collections.abc import Callable

import pytest
from proxyapi_fakes_faulty import Faults, faulty_writer

from proxyapi.ledger.commit import Committer, period_start
from proxyapi.ledger.ops import Accepted, Budget, Hold
from proxyapi.store.database import Database
from proxyapi.store.errors import OutcomeUnknown

NOVEMBER_30 = 1_764_547_000_000


class NoCommit(Faults):
    """The first COMMIT fails."""

    def due(self, sql: str) -> bool:
        if sql == "COMMIT" and self.left is None:
            self.left = 0
            return True
        return False


def test_nothing_is_remembered_of_a_batch_that_was_not_kept(
    database: Database, database_url: str, new_hold: Callable[..., Hold]
) -> None:
    committer = Committer(faulty_writer(database_url, NoCommit()), lambda: NOVEMBER_30)
    hold = new_hold(10, budget=Budget(11, "day", 100))
    with pytest.raises(OutcomeUnknown):
        committer.apply([hold])
    assert database.fetch_now("SELECT * FROM price") == []
    assert committer.apply([hold], replay=True) == [Accepted()]
    assert database.fetch_now("SELECT id FROM price") == [(7,)]
    assert database.fetch_now("SELECT held FROM account WHERE kind = 'budget'") == [(10,)]
    committer.close()


def test_periods_begin_at_midnight_utc() -> None:
    assert period_start("never", NOVEMBER_30) == 0
    assert period_start("day", NOVEMBER_30) == 1_764_460_800_000
    assert period_start("month", NOVEMBER_30) == 1_761_955_200_000
    assert period_start("month", 1_764_547_200_000) == period_start("day", 1_764_547_200_000) == 1_764_547_200_000
