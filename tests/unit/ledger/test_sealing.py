"""Months leave the journal: what they were stays in the sums and in the file, whatever breaks off on the way."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxyapi.errors import Conflict, NotFound, SettingsError
from proxyapi.identity.currency import agree_on_currency
from proxyapi.ids import IdSource
from proxyapi.ledger import archive
from proxyapi.ledger.archive import digest_of, entry_table, read_columns
from proxyapi.ledger.audit import audit, examine
from proxyapi.ledger.ledger import Ledger
from proxyapi.ledger.months import after, end_of, format_month, month_of, parse_month, start_of
from proxyapi.ledger.ops import Budget, Ending, Hold
from proxyapi.ledger.reaper import reap
from proxyapi.ledger.sealed import sealed_now
from proxyapi.ledger.sealing import months_to_seal, seal_month
from proxyapi.store.database import Database
from proxyapi.store.sqlite import SqliteDatabase

NewHold = Callable[..., Hold]
EndingOf = Callable[..., Ending]
FIRST, SECOND = 202401, 202402


class Month:
    """A ledger whose clock stands in the middle of a month."""

    def __init__(self, database: Database, month: int, new_hold: NewHold, ending_of: EndingOf) -> None:
        self.now_ms = start_of(month) + 15 * 86_400_000
        self.ids = IdSource(lambda: self.now_ms * 1_000_000)
        self.new_hold, self.ending_of = new_hold, ending_of
        self.ledger = Ledger(database, worker="test", ids=self.ids, clock_ms=lambda: self.now_ms)
        self.database = database

    async def use(self) -> None:
        """Settles on wallet and budget, a release, an expiry, which a late ending corrects in the next month."""
        await self.ledger.open()
        await self.ledger.deposit(1, 5_000, reference=f"payment of {self.now_ms}")
        budget = Budget(11, "month", 2_000)
        holds = [self.new_hold(100, budget=budget, id=self.ids()) for _ in range(5)]
        await asyncio.gather(*map(self.ledger.hold, holds))
        for hold in holds[:3]:
            await self.ledger.settle(self.ending_of(hold, 90))
        await self.ledger.release(self.ending_of(holds[3], 0))
        await self.ledger.write("UPDATE hold SET worker_id = 999 WHERE id = ?", (holds[4].id,))
        assert await reap(self.database, self.ledger, claim_seconds=0) == 1
        self.now_ms += 16 * 86_400_000
        await self.ledger.settle(self.ending_of(holds[4], 60))
        assert await self.ledger.close() == 0


@pytest.fixture
def used(database: Database, new_hold: NewHold, ending_of: EndingOf) -> Database:
    """Two months of use; what the fixture of the database put at the beginning of time is the first one's."""
    with database.transaction() as transaction:
        transaction.execute("UPDATE entry SET created_at = ?", (start_of(FIRST),))
    for month in (FIRST, SECOND):
        asyncio.run(Month(database, month, new_hold, ending_of).use())
    assert audit(database) == []
    return database


def rows(database: Database) -> list[Any]:
    return database.fetch_now("SELECT * FROM entry ORDER BY id")


def in_file(path: Path) -> list[Any]:
    return [row for batch in read_columns(path, entry_table().columns, 1000) for row in batch]


def balances(database: Database) -> list[Any]:
    return database.fetch_now("SELECT id, funded, spent, held FROM account ORDER BY id")


def test_a_sealed_month_is_in_the_file_and_no_longer_in_the_journal(used: Database, tmp_path: Path) -> None:
    before, was = rows(used), balances(used)
    sealed = seal_month(used, FIRST, tmp_path)
    path = tmp_path / "entries-2024-01.parquet"
    assert (sealed.file, sealed.entries, sealed.removed) == (path.name, 9, 9)
    assert sealed.digest == digest_of(path)
    assert sorted(in_file(path) + rows(used)) == before
    assert {month_of(row[entry_table().columns.index("created_at")]) for row in in_file(path)} == {FIRST}
    assert balances(used) == was
    assert path.stat().st_mode & 0o777 == 0o600
    check = subprocess.run(
        ["sha256sum", "--check", f"{path.name}.sha256"], cwd=tmp_path, capture_output=True, text=True
    )
    assert check.stdout == f"{path.name}: OK\n"


def test_the_books_are_proven_with_sealed_months(used: Database, tmp_path: Path) -> None:
    for month in months_to_seal(used, after(SECOND)):
        seal_month(used, month, tmp_path)
        assert audit(used) == audit(used, full=False) == []
    report = examine(used, archive=tmp_path)
    assert report.ok and report.checked["archive"] == 2
    assert len(rows(used)) == 1, "the correction of the third month"


DAMAGES = [
    ("UPDATE closing SET spent = spent + 1 WHERE account_id = 1", "I2", "but its entries charged"),
    ("UPDATE closing SET funded = funded + 1 WHERE account_id = 1", "I3", "limits sum to"),
    ("UPDATE rollup SET charged = charged + 1", "I7", "in the sealed month 202401 charge"),
    ("DELETE FROM sealed_month", "I7", "charged by"),
]


@pytest.mark.parametrize(("damage", "invariant", "words"), DAMAGES)
def test_damage_to_what_is_kept_of_a_sealed_month_is_found(
    used: Database, tmp_path: Path, damage: str, invariant: str, words: str
) -> None:
    seal_month(used, FIRST, tmp_path)
    with used.transaction() as transaction:
        transaction.execute(damage)
    found = [violation.text for violation in audit(used) if violation.invariant == invariant]
    assert any(words in text for text in found), audit(used)


def test_damage_to_the_files_is_found(used: Database, tmp_path: Path) -> None:
    seal_month(used, FIRST, tmp_path)
    path = tmp_path / "entries-2024-01.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    (changed,) = examine(used, archive=tmp_path).violations
    assert "is not the file that 2024-01 was sealed with. Bring the file back" in changed.text
    path.write_bytes(whole[:100])
    with used.transaction() as transaction:
        transaction.execute("UPDATE sealed_month SET digest = ?", (digest_of(path),))
    (unreadable,) = examine(used, archive=tmp_path).violations
    assert "is not a sealed month that can be read" in unreadable.text
    path.unlink()
    (missing,) = examine(used, archive=tmp_path).violations
    assert missing.invariant == "archive" and "is not in" in missing.text
    path.write_bytes(whole)
    with used.transaction() as transaction:
        transaction.execute("UPDATE sealed_month SET digest = ?", (digest_of(path),))
        transaction.execute("UPDATE closing SET spent = spent + 1 WHERE account_id = 1")
    found = {violation.invariant for violation in examine(used, archive=tmp_path).violations}
    assert found == {"I2", "I7", "archive"}


def test_the_same_entries_make_the_same_file(used: Database, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    copy = tmp_path / "copy.db"
    used.backup(copy)
    one = seal_month(used, FIRST, tmp_path)
    assert seal_month(SqliteDatabase(copy, durable=False), FIRST, tmp_path / "again").digest == one.digest


@pytest.mark.parametrize("step", range(2, 9))
def test_a_sealing_that_breaks_off_goes_on_where_it_was(
    used: Database, tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxyapi.ledger.sealing.ROWS_AT_ONCE", 2)
    before, was = rows(used), balances(used)
    told: list[str] = []

    def fail(text: str, done: int, total: int) -> None:
        told.append(text)
        if len(told) == step:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        seal_month(used, FIRST, tmp_path, fail)
    assert audit(used) == []
    (month,) = months_to_seal(used, SECOND)
    seal_month(used, month, tmp_path)
    assert sorted(in_file(tmp_path / "entries-2024-01.parquet") + rows(used)) == before
    assert balances(used) == was
    assert examine(used, archive=tmp_path).ok


def test_months_are_sealed_in_order(used: Database, tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="2024-01 has entries too"):
        seal_month(used, SECOND, tmp_path)
    assert months_to_seal(used, SECOND) == [FIRST]
    assert months_to_seal(used, after(SECOND)) == [FIRST, SECOND]
    seal_month(used, FIRST, tmp_path)
    with pytest.raises(Conflict, match="2023-12 is sealed, or older than 2024-01, which is"):
        seal_month(used, 202312, tmp_path)
    assert months_to_seal(used, SECOND) == []
    with pytest.raises(NotFound, match="no entries of 2024-12 or before"):
        with used.transaction() as transaction:
            transaction.execute("DELETE FROM entry")
        seal_month(used, 202412, tmp_path)


def test_a_month_that_can_still_change_is_not_sealed(used: Database, tmp_path: Path) -> None:
    ((now_ms,),) = used.fetch_now("SELECT @now_ms")
    with pytest.raises(Conflict, match="can be sealed 7 days after its end"):
        seal_month(used, month_of(now_ms), tmp_path)
    hold = "INSERT INTO hold VALUES (?, 1, NULL, 11, 0, 1, 7, '', '', '', 0)"
    with used.transaction() as transaction:
        transaction.execute(hold, ((end_of(FIRST) - 1).to_bytes(6, "big") + bytes(10),))
    with pytest.raises(Conflict, match="which began in 2024-01 or before, is still on hold"):
        seal_month(used, FIRST, tmp_path)
    assert list(tmp_path.glob("*.parquet*")) == []


def test_another_file_of_that_name_is_left_alone(used: Database, tmp_path: Path) -> None:
    (tmp_path / "entries-2024-01.parquet").write_bytes(b"of another installation")
    with pytest.raises(Conflict, match="holds something else"):
        seal_month(used, FIRST, tmp_path)
    assert (tmp_path / "entries-2024-01.parquet").read_bytes() == b"of another installation"
    assert sealed_now(used).months == ()


def test_a_row_leaves_only_as_the_file_says_it_is(
    used: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def edit(text: str, done: int, total: int) -> None:
        if text == "removing entries":
            with used.transaction() as transaction:
                transaction.execute("UPDATE entry SET charged = 1 WHERE kind = 'settle'")

    with pytest.raises(Conflict, match=r"is not what entries-2024-01\.parquet says it is"):
        seal_month(used, FIRST, tmp_path, edit)
    assert used.fetch_now("SELECT count(*) FROM closing") == [(0,)]


def test_a_file_that_is_gone_stops_a_sealing_that_goes_on(used: Database, tmp_path: Path) -> None:
    def fail(text: str, done: int, total: int) -> None:
        if text == "removing entries":
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        seal_month(used, FIRST, tmp_path, fail)
    path = tmp_path / "entries-2024-01.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole + b" ")
    with pytest.raises(Conflict, match="its SHA-256 differs"):
        seal_month(used, FIRST, tmp_path)
    path.unlink()
    with pytest.raises(NotFound, match="bring it back"):
        seal_month(used, FIRST, tmp_path)


def test_a_request_of_a_sealed_month_says_where_it_is(used: Database, tmp_path: Path) -> None:
    seal_month(used, FIRST, tmp_path)
    sealed = sealed_now(used)
    id = start_of(FIRST).to_bytes(6, "big") + bytes(10)
    assert sealed.files_with(id) == ("entries-2024-01.parquet",)
    assert sealed.files_with(start_of(202312).to_bytes(6, "big") + bytes(10)) == ("entries-2024-01.parquet",)
    assert sealed.files_with(start_of(SECOND).to_bytes(6, "big") + bytes(10)) == ()


def test_a_deposit_of_a_sealed_month_is_not_booked_again(
    used: Database, tmp_path: Path, new_hold: NewHold, ending_of: EndingOf
) -> None:
    seal_month(used, FIRST, tmp_path)

    async def again() -> bool:
        ledger = Ledger(used, worker="test", ids=IdSource())
        await ledger.open()
        reference = f"payment of {start_of(FIRST) + 15 * 86_400_000}"
        new = await ledger.deposit(1, 5_000, reference=reference)
        await ledger.close()
        return new

    assert asyncio.run(again()) is False
    assert audit(used) == []


def test_an_ending_that_comes_after_its_month_was_sealed_charges_nothing(
    used: Database, tmp_path: Path, new_hold: NewHold, ending_of: EndingOf
) -> None:
    ((expired,),) = used.fetch_now("SELECT id FROM entry WHERE kind = 'expire' AND created_at < ?", (end_of(FIRST),))
    was = balances(used)
    seal_month(used, FIRST, tmp_path)

    async def late() -> str:
        ledger = Ledger(used, worker="test", ids=IdSource())
        await ledger.open()
        answer = await ledger.settle(ending_of(new_hold(100, id=expired), 60))
        await ledger.close()
        return answer.outcome

    assert asyncio.run(late()) == "unknown"
    assert balances(used) == was and audit(used) == []


def test_the_currency_stays_fixed_when_every_entry_is_sealed(used: Database, tmp_path: Path) -> None:
    agree_on_currency(used, "RUB")
    seal_month(used, FIRST, tmp_path)
    with used.transaction() as transaction:
        transaction.execute("DELETE FROM entry")
    with pytest.raises(SettingsError, match="are kept in RUB"):
        agree_on_currency(used, "USD")


def test_without_pyarrow_it_says_what_to_install(
    used: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(SettingsError, match=r"pip install 'proxyapi\[seal\]'"):
        seal_month(used, FIRST, tmp_path)
    with pytest.raises(SettingsError):
        archive.load_pyarrow()


def test_months_are_counted_over_the_turn_of_the_year() -> None:
    assert after(202512) == 202601 and after(202511) == 202512
    assert month_of(end_of(202512) - 1) == 202512 and month_of(end_of(202512)) == 202601
    assert format_month(parse_month("2025-07")) == "2025-07"
    for text in ("2025-13", "2025-00", "202511", "2025-1", "x"):
        with pytest.raises(ValueError, match="is not a month"):
            parse_month(text)
