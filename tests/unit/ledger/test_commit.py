from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import pytest
from proxyapi_fakes_faulty import Faults, faulty_writer

from proxyapi.ledger.commit import Committer, period_start
from proxyapi.ledger.ops import Accepted, Budget, Ending, Expire, Hold, Refused, Settled
from proxyapi.store.database import Database, open_database
from proxyapi.store.errors import OutcomeUnknown

Answer = TypeVar("Answer")
NOVEMBER_30 = 1_764_547_000_000


class Priced:
    """A price version."""

    def __init__(self, id: int) -> None:
        self.id = id

    def to_json(self) -> bytes:
        return b"{}"


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


def test_a_hold_that_expires_in_a_replay_of_its_own_batch_keeps_its_price(
    database: Database, database_url: str, new_hold: Callable[..., Hold]
) -> None:
    committer = Committer(open_database(database_url).writer(), lambda: NOVEMBER_30)  # of a worker that nobody knows
    hold = new_hold(10)
    batch = [hold, Expire(hold.id, 1000)]
    assert committer.apply(batch) == [Accepted(), Settled(0, 0, 0, "unknown")]
    assert committer.apply(batch, replay=True) == [Accepted(), Settled(0, 10, 1000, "expired")]
    assert database.fetch_now("SELECT price_id, model FROM entry WHERE id = ?", (hold.id,)) == [(7, hold.model)]
    committer.close()


def test_periods_begin_at_midnight_utc() -> None:
    assert period_start("never", NOVEMBER_30) == 0
    assert period_start("day", NOVEMBER_30) == 1_764_460_800_000
    assert period_start("month", NOVEMBER_30) == 1_761_955_200_000
    assert period_start("month", 1_764_547_200_000) == period_start("day", 1_764_547_200_000) == 1_764_547_200_000


# --- transactions beside each other, on PostgreSQL -------------------------------------------------------------------

beside = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)


def applied_after(database: Database, change: str, work: Callable[[], Answer]) -> Answer:
    """What `work` answers that begins while a transaction with this change is open: it has to wait for its end."""
    with ThreadPoolExecutor(1) as thread:
        with database.transaction() as transaction:
            transaction.change(change)
            future = thread.submit(work)
            assert not wait([future], timeout=0.2).done, "it did not wait for the lock"
        return future.result(10)


@beside
def test_a_batch_decides_by_what_the_transaction_before_it_left(
    database: Database, database_url: str, new_hold: Callable[..., Hold]
) -> None:
    """Not even the table's own check would notice: the limit was lowered below what the budget was funded with."""
    committer = Committer(open_database(database_url).writer(), lambda: NOVEMBER_30)
    assert committer.apply([new_hold(0, budget=Budget(11, "day", 300))]) == [Accepted()]
    hold = new_hold(10, budget=Budget(11, "day", 15))
    change = "UPDATE account SET held = held + 10 WHERE kind = 'budget'"
    answers = applied_after(database, change, lambda: committer.apply([hold]))
    assert answers == [Refused("key", 10, 5, 10)]
    committer.close()


def written_in_order(database: Database, held: str, next_one: str, work: Callable[[], Answer]) -> Answer:
    """What `work` answers, which waits for the row of the statement `held` and must not have that of `next_one`: two
    batches that took such rows in different orders would wait for each other."""
    with ThreadPoolExecutor(1) as thread:
        with database.transaction() as transaction:
            transaction.execute(held)
            future = thread.submit(work)
            assert not wait([future], timeout=0.2).done, "it did not wait for the row"
            transaction.execute("SET LOCAL lock_timeout = '300ms'")  # less than a deadlock takes to be broken
            transaction.execute(next_one)
        return future.result(10)


def of_model(hold: Hold, model: str) -> Hold:
    hold.model = model
    return hold


@beside
def test_sums_that_accounts_share_are_written_in_order_of_their_names(
    database: Database, database_url: str, new_hold: Callable[..., Hold], ending_of: Callable[..., Ending]
) -> None:
    committer = Committer(open_database(database_url).writer(), lambda: NOVEMBER_30)
    names = ("a", "b")
    holds = [of_model(new_hold(10), name) for name in (*names, *reversed(names))]
    assert committer.apply(holds) == [Accepted()] * 4
    committer.apply([ending_of(hold, 1) for hold in holds[:2]])
    held, next_one = (f"UPDATE rollup_total SET other = other WHERE model = '{name}'" for name in names)
    late = [ending_of(hold, 2) for hold in holds[2:]]
    answers = written_in_order(database, held, next_one, lambda: committer.apply(late))
    assert [answer.charged for answer in answers if isinstance(answer, Settled)] == [2, 2]
    assert database.fetch_now("SELECT model, charged FROM rollup_total ORDER BY model") == [("a", 3), ("b", 3)]
    committer.close()


@beside
def test_prices_are_kept_in_order_of_their_ids(
    database: Database, database_url: str, new_hold: Callable[..., Hold]
) -> None:
    committer = Committer(open_database(database_url).writer(), lambda: NOVEMBER_30)
    holds = [new_hold(10), new_hold(10)]
    holds[0].price, holds[1].price = Priced(8), Priced(7)
    held, next_one = (f"INSERT INTO price (id, body, created_at) VALUES ({id}, '', 0)" for id in (7, 8))
    assert written_in_order(database, held, next_one, lambda: committer.apply(holds)) == [Accepted()] * 2
    committer.close()


@beside
def test_a_budget_begins_with_the_limit_that_is_being_edited(
    database: Database, database_url: str, new_hold: Callable[..., Hold]
) -> None:
    with database.transaction() as transaction:
        transaction.execute(
            "INSERT INTO key (id, account_id, digest, prefix, budget_limit, created_at) VALUES (11, 1, ?, '', 300, 0)",
            (b"",),
        )
    committer = Committer(open_database(database_url).writer(), lambda: NOVEMBER_30)
    hold = new_hold(10, budget=Budget(11, "day", 300))
    change = "UPDATE key SET budget_limit = 40 WHERE id = 11"
    assert applied_after(database, change, lambda: committer.apply([hold])) == [Accepted()]
    assert database.fetch_now("SELECT funded FROM account WHERE kind = 'budget'") == [(40,)]
    committer.close()
