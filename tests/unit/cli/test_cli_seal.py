"""`proxyapi seal`, and the audit of what it leaves."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proxyapi.ids import format_id

DAY_MS = 86_400_000
JANUARY = int(datetime(2024, 1, 10, tzinfo=UTC).timestamp()) * 1000


def edit(shell: Any, sql: str, *parameters: object) -> None:
    with sqlite3.connect(shell.data / "proxyapi.db") as connection:
        connection.execute(sql, parameters)
    connection.close()


@pytest.fixture
def old(shell: Any, tmp_path: Path) -> Any:
    """Deposits of January and February 2024."""
    (tmp_path / "archive").mkdir()
    shell("account", "create", "acme")
    for number, made_at in enumerate((JANUARY, JANUARY + DAY_MS, JANUARY + 30 * DAY_MS)):
        shell("deposit", "acme", "50", "--reference", f"payment {number}")
        id, reference = made_at.to_bytes(6, "big") + bytes(10), f"payment {number}"
        edit(shell, "UPDATE entry SET id = ?, created_at = ? WHERE reference = ?", id, made_at, reference)
        edit(shell, "UPDATE reference SET entry_id = ? WHERE reference = ?", id, reference)
    return shell


def test_old_months_go_into_files_and_the_books_stay_proven(old: Any, tmp_path: Path) -> None:
    archive = str(tmp_path / "archive")
    sealed = old.json("seal", "2024-01", "--to", archive)["sealed"]
    assert [(one["month"], one["entries"]) for one in sealed] == [("2024-01", 2)]
    assert Path(sealed[0]["file"]).name == "entries-2024-01.parquet" and len(sealed[0]["sha256"]) == 64
    assert old.json("account", "show", "acme")["balance"] == 150
    assert "2024-02: 1 entries are in" in old("seal", "--before", "2024-03", "--to", archive).stdout
    assert old("seal", "--before", "2024-03", "--to", archive).stdout == "Nothing to do.\n"
    report = old.json("audit", "--full", "--archive", archive)
    assert report["ok"] is True
    assert report["invariants"]["archive"] == {
        "holds": True, "says": report["invariants"]["archive"]["says"], "checked": 2, "violations": 0,
    }  # fmt: skip
    assert old.json("audit")["invariants"]["archive"]["holds"] is None
    (tmp_path / "archive" / "entries-2024-02.parquet").unlink()
    assert "entries-2024-02.parquet" in old("audit", "--archive", archive, code=1).stdout


def test_a_request_of_a_sealed_month_says_where_it_is(old: Any, tmp_path: Path) -> None:
    id = format_id(JANUARY.to_bytes(6, "big") + bytes(9) + b"x")
    assert f"There is no request {id}." in old("usage", "--request", id, code=2).stderr
    old("seal", "2024-01", "--to", str(tmp_path / "archive"))
    told = old("usage", "--request", id, code=2).stderr
    assert "its month is sealed in entries-2024-01.parquet" in told


def test_only_months_that_can_be_sealed_are(old: Any, tmp_path: Path) -> None:
    archive = str(tmp_path / "archive")
    assert "2024-01 has entries too" in old("seal", "2024-02", "--to", archive, code=2).stderr
    this_month = f"{datetime.now(UTC):%Y-%m}"
    assert "7 days after its end" in old("seal", this_month, "--to", archive, code=2).stderr
    assert "no entries of 2023-12" in old("seal", "2023-12", "--to", archive, code=2).stderr
    assert "Name a MONTH" in old("seal", "--to", archive, code=2).stderr
    assert "is not a month such as 2025-11" in old("seal", "2024-1", "--to", archive, code=2).stderr


def test_books_that_are_wrong_are_not_sealed(old: Any, tmp_path: Path) -> None:
    edit(old, "UPDATE account SET funded = funded + 1")
    failed = old("seal", "2024-01", "--to", str(tmp_path / "archive"), code=1).stderr
    assert "finds violations" in failed and "I3  Account 'acme'" in failed
    assert list((tmp_path / "archive").iterdir()) == []


def test_deposits_are_compared_with_the_export_of_the_payment_provider(old: Any, tmp_path: Path) -> None:
    export = tmp_path / "export.csv"
    export.write_text('Payment ID;Amount\npayment 0;50,00\npayment 1;"1 050,5"\npayment 9;7\n', "utf-8-sig")
    report = old.json("audit", "--deposits", str(export))
    assert report["deposits"] == {
        "equal": False, "booked": 150, "exported": "1107.5",
        "only_booked": ["payment 2"], "only_exported": ["payment 9"],
        "different": [{"reference": "payment 1", "booked": 50, "exported": "1050.5"}],
    }  # fmt: skip
    told = old("audit", "--deposits", str(export)).stdout
    assert "Deposits: 150 booked, 1107.5 in the export." in told
    assert "In the export, but not booked (`proxyapi deposit` books one): payment 9." in told
    export.write_text("reference,amount\npayment 0,50\npayment 1,50\npayment 2,50\n")
    assert old.json("audit", "--deposits", str(export))["deposits"]["equal"] is True
    old("seal", "--before", "2024-03", "--to", str(tmp_path / "archive"))
    assert old.json("audit", "--deposits", str(export))["deposits"]["equal"] is True, "also of sealed months"


def test_a_payment_may_be_named_without_its_provider(old: Any, tmp_path: Path) -> None:
    old("deposit", "acme", "5", "--reference", "yookassa:2d7f")
    (tmp_path / "export.csv").write_text("id\tsum\n2d7f\t5\n")
    report = old.json("audit", "--deposits", str(tmp_path / "export.csv"), "--since", "1d")
    assert report["deposits"]["only_exported"] == [] and "yookassa:2d7f" not in report["deposits"]["only_booked"]


def test_an_export_that_cannot_be_read_says_where(old: Any, tmp_path: Path) -> None:
    (tmp_path / "export.csv").write_text("name,amount\nx,1\n")
    assert "has to name a column" in old("audit", "--deposits", str(tmp_path / "export.csv"), code=2).stderr
    (tmp_path / "export.csv").write_text("reference,amount\nx,1\ny,many\n")
    assert "export.csv, line 3: 'many' is not an amount" in old(
        "audit", "--deposits", str(tmp_path / "export.csv"), code=2
    ).stderr  # fmt: skip


def test_what_requests_cost_stands_beside_the_invoice(old: Any, tmp_path: Path) -> None:
    edit(old, "UPDATE entry SET kind = 'settle', provider = 'openai', upstream_cost = 1500000000 WHERE created_at < ?",
         JANUARY + 1)  # fmt: skip
    invoice = ("--invoice", "openai", "2024-01", "2.25")
    (line,) = old.json("audit", *invoice, code=1)["upstream"]
    assert line == {
        "provider": "openai", "month": "2024-01", "cost": "1.5", "requests_without_cost": 0, "invoice": "2.25",
        "difference": "0.75",
    }  # fmt: skip
    assert "2024-01  openai" in old("audit", *invoice, code=1).stdout
