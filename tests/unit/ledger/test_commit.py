from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import pytest
from proxyapi_fakes_faulty import Faults, faulty_writer

from proxyapi.ledger.commit import DOUBT_MS, SQL, Committer
from proxyapi.ledger.ops import Accepted, Budget, Ending, Expire, Hold, Refused, Rejected, Result, Settled
from proxyapi.ledger.periods import period_start
from proxyapi.store.database import Database, open_database
from proxyapi.store.errors import OutcomeUnknown

Answer = TypeVar("Answer")
NewHold = Callable[..., Hold]
EndingOf = Callable[..., Ending]
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


# --- what a process believes of accounts ------------------------------------------------------------------------------


class Heard(Faults):
    """Fails nothing, and knows all statements."""

    def __init__(self) -> None:
        super().__init__()
        self.statements: list[str] = []

    def due(self, sql: str) -> bool:
        self.statements.append(sql)
        return False


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def committer(database: Database, database_url: str, heard: Heard) -> Iterator[Committer]:
    """With a clock that stands."""
    committer = Committer(faulty_writer(database_url, heard), lambda: NOVEMBER_30)
    yield committer
    committer.close()


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_batch_of_known_accounts_is_one_message_to_the_server(
    committer: Committer, heard: Heard, new_hold: NewHold, ending_of: EndingOf
) -> None:
    budget = Budget(11, "day", 300)
    first, early = new_hold(10, budget=budget), new_hold(1)
    committer.apply([first, early])
    committer.apply([ending_of(early, 0)])  # by now it has seen the tables
    heard.statements.clear()
    second, third = new_hold(20), new_hold(30, budget=budget)
    assert committer.apply([second, third, ending_of(first, 7)])[2] == Settled(7, 0, 943, "settled")
    assert committer.apply([ending_of(second, 20), ending_of(third, 33)])[1] == Settled(33, 0, 940, "settled")
    assert len(heard.statements) == 2 and all("SELECT 1 / CASE" in text for text in heard.statements)


def test_a_request_that_is_older_than_one_that_has_ended_is_no_reason_to_doubt(
    committer: Committer, heard: Heard, new_hold: NewHold, ending_of: EndingOf
) -> None:
    """Its body took longer to come."""
    slow, quick = new_hold(10), new_hold(10)
    committer.apply([quick])
    committer.apply([ending_of(quick, 1)])
    assert committer.apply([slow]) == [Accepted()]
    heard.statements.clear()
    assert committer.apply([ending_of(slow, 1)]) == [Settled(1, 0, 998, "settled")]
    assert sum(text.startswith("SELECT id, funded") for text in heard.statements) <= 1


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ("funded = funded - 950", Refused("account", 60, 40, 1010)),
        ("spent = spent + 950", Refused("account", 60, 40, 1010)),
        ("held = held + 950", Refused("account", 60, 40, 1960)),
        ("credit = credit - 950", Refused("account", 60, 40, 1010)),
        ("blocked = 1", Rejected("blocked")),
    ],
)
def test_what_another_process_did_to_an_account_is_noticed(
    database: Database, committer: Committer, new_hold: NewHold, change: str, answer: Result
) -> None:
    with database.transaction() as transaction:
        transaction.change("UPDATE account SET credit = 1000 WHERE id = 1")
    committer.apply([new_hold(1010)])
    with database.transaction() as transaction:
        transaction.change(f"UPDATE account SET {change} WHERE id = 1")
    assert committer.apply([new_hold(60)]) == [answer]
    assert database.fetch_now("SELECT count(*) FROM hold") == [(1,)]


def test_an_account_that_a_batch_does_not_change_is_not_believed(
    database: Database, committer: Committer, new_hold: NewHold
) -> None:
    committer.apply([new_hold(10)])
    with database.transaction() as transaction:
        transaction.change("UPDATE account SET blocked = 1 WHERE id = 1")
    assert committer.apply([new_hold(0)]) == [Rejected("blocked")]


def test_nobody_is_refused_by_what_is_only_believed(
    database: Database, committer: Committer, new_hold: NewHold
) -> None:
    assert committer.apply([new_hold(1000), new_hold(10)]) == [Accepted(), Refused("account", 10, 0, 1000)]
    with database.transaction() as transaction:
        transaction.change("UPDATE account SET funded = funded + 10 WHERE id = 1")
    assert committer.apply([new_hold(10)]) == [Accepted()]


def test_a_hold_that_another_process_has_ended_is_not_charged_again(
    database: Database, committer: Committer, new_hold: NewHold, ending_of: EndingOf
) -> None:
    """Although the accounts look as they did: it was replaced by another one of the same amount."""
    hold = new_hold(10)
    committer.apply([hold])
    with database.transaction() as transaction:
        transaction.change("UPDATE hold SET id = ?", (b"0" * 16,))
    assert committer.apply([ending_of(hold, 5)]) == [Settled(0, 0, 990, "unknown")]
    assert database.fetch_now("SELECT spent, held FROM account WHERE id = 1") == [(0, 10)]


def test_who_was_wrong_reads_for_a_while(
    database: Database, database_url: str, heard: Heard, new_hold: NewHold
) -> None:
    clock = [NOVEMBER_30]
    committer = Committer(faulty_writer(database_url, heard), lambda: clock[0])
    committer.apply([new_hold(1)])
    with database.transaction() as transaction:
        transaction.change("UPDATE account SET funded = funded + 1 WHERE id = 1")

    def questions() -> int:
        heard.statements.clear()
        assert committer.apply([new_hold(1)]) == [Accepted()]
        return sum(text.startswith("SELECT id, funded") for text in heard.statements)

    read_and_compared = 2 if database_url.startswith("sqlite") else 1
    assert questions() == read_and_compared
    clock[0] += DOUBT_MS - 1
    assert questions() == 1
    clock[0] += 1
    assert questions() == read_and_compared - 1
    committer.close()


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
def test_accounts_that_are_known_are_locked_in_order_of_their_ids(
    database: Database, database_url: str, new_hold: Callable[..., Hold]
) -> None:
    with database.transaction() as transaction:
        transaction.change("UPDATE account SET funded = 1000, blocked = 0")
    committer = Committer(open_database(database_url).writer(), lambda: NOVEMBER_30)
    both = lambda: [new_hold(10, account_id=3), new_hold(10, account_id=1)]  # noqa: E731
    assert committer.apply(both()) == [Accepted()] * 2
    with database.transaction() as transaction:  # later in the table than the third now
        transaction.change("UPDATE account SET held = held WHERE id = 1")
    held, next_one = (f"UPDATE account SET credit = credit WHERE id = {id}" for id in (1, 3))
    assert written_in_order(database, held, next_one, lambda: committer.apply(both())) == [Accepted()] * 2
    committer.close()


@beside
def test_whether_an_id_is_used_is_found_without_reading_the_journal(database: Database) -> None:
    """However long it has become: PostgreSQL takes `LIMIT 1` alone for a reason to begin at the first row."""
    plan = database.fetch_now(f"EXPLAIN {SQL['find_used']}", (b"1" * 16, [b"1" * 16, b"2" * 16]))
    assert not [line for (line,) in plan if "Seq Scan" in line]


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
