"""`proxyapi migrate`, `backup` and `restore`."""

from __future__ import annotations

import socket
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from proxyapi.store.migrate import scripts


@pytest.fixture
def used(shell: Any) -> Any:
    """Two accounts, a key, a deposit."""
    shell("account", "create", "acme")
    shell("account", "create", "other")
    shell("deposit", "acme", "50", "--reference", "invoice 1")
    shell("key", "create", "acme", "--budget", "5")
    return shell


def edit(path: Path, sql: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(sql)
    connection.close()


def test_migrate_can_be_repeated(shell: Any) -> None:
    first = shell.json("migrate")
    assert first["applied"][0] == "0001_initial.sql"
    assert first["database"] == str(shell.data / "proxyapi.db")
    assert shell.json("migrate")["applied"] == []


def test_a_backup_is_a_complete_private_copy(shell: Any, tmp_path: Path) -> None:
    shell("account", "create", "acme")
    shell("deposit", "acme", "50")
    copy = tmp_path / "restored" / "proxyapi.db"
    copy.parent.mkdir()
    written = shell.json("backup", str(copy))
    assert written == {"backup": str(copy), "bytes": copy.stat().st_size}
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert shell.json("account", "show", "acme", "--data", str(copy.parent))["balance"] == 50
    assert shell.json("audit", "--data", str(copy.parent))["ok"] is True


def test_a_backup_never_overwrites(shell: Any, tmp_path: Path) -> None:
    shell("account", "create", "acme")
    (tmp_path / "old.db").write_text("precious")
    assert "exists already" in shell("backup", str(tmp_path / "old.db"), code=2).stderr
    assert (tmp_path / "old.db").read_text() == "precious"
    assert "There is no directory" in shell("backup", str(tmp_path / "no" / "b.db"), code=2).stderr


def test_a_backup_leaves_nothing_beside_it(used: Any, tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    used("backup", str(tmp_path / "backups" / "one.db"))
    assert [path.name for path in (tmp_path / "backups").iterdir()] == ["one.db"]


def test_a_restored_backup_has_everything_and_audits_clean(used: Any, tmp_path: Path) -> None:
    used("backup", str(tmp_path / "backup.db"))
    used("deposit", "acme", "7")
    new = tmp_path / "new"
    assert used.json("restore", str(tmp_path / "backup.db"), "--data", str(new)) == {
        "restored": str(new / "proxyapi.db"), "from": str(tmp_path / "backup.db"), "accounts": 2, "entries": 1,
    }  # fmt: skip
    assert used.json("account", "show", "acme", "--data", str(new))["balance"] == 50
    assert stat.S_IMODE((new / "proxyapi.db").stat().st_mode) == 0o600
    assert used.json("deposit", "acme", "50", "--reference", "invoice 1", "--data", str(new))["new"] is False
    assert sorted(path.name.partition("-")[0] for path in new.iterdir()) == ["proxyapi.db", "proxyapi.db.lock"]


def test_a_backup_of_an_older_version_can_be_restored(used: Any, tmp_path: Path) -> None:
    backup = tmp_path / "backup.db"
    with sqlite3.connect(backup) as connection:
        first, script = next(iter(scripts().items()))
        connection.executescript(script)
        connection.execute(f"PRAGMA user_version = {int(first[:4])}")
        connection.execute("INSERT INTO account (kind, name, created_at) VALUES ('wallet', 'ancient', 0)")
        connection.commit()
    connection.close()
    before = backup.read_bytes()
    used("restore", str(backup), "--data", str(tmp_path / "new"))
    assert used.json("account", "show", "ancient", "--data", str(tmp_path / "new"))["balance"] == 0
    assert backup.read_bytes() == before


def test_a_restore_never_writes_over_what_is_there(used: Any, tmp_path: Path) -> None:
    used("backup", str(tmp_path / "backup.db"))
    refused = used("restore", str(tmp_path / "backup.db"), code=2).stderr
    assert "needs an empty database, but this one has rows in account (2)" in refused
    assert used.json("account", "show", "acme")["balance"] == 50


def test_a_restore_fills_a_database_that_only_has_its_schema(used: Any, tmp_path: Path) -> None:
    used("backup", str(tmp_path / "backup.db"))
    used("migrate", "--data", str(tmp_path / "new"))
    used("restore", str(tmp_path / "backup.db"), "--data", str(tmp_path / "new"))
    assert used.json("account", "show", "acme", "--data", str(tmp_path / "new"))["balance"] == 50


def test_a_damaged_backup_is_told_from_a_sound_one(used: Any, tmp_path: Path) -> None:
    used("backup", str(tmp_path / "backup.db"))
    edit(tmp_path / "backup.db", "UPDATE account SET funded = funded + 1 WHERE name = 'acme'")
    failed = used("restore", str(tmp_path / "backup.db"), "--data", str(tmp_path / "new"), code=1).stderr
    assert "finds violations" in failed and "I3  Account 'acme'" in failed
    (tmp_path / "picture.db").write_bytes(b"not a database at all" * 100)
    place = ("--data", str(tmp_path / "n"))
    assert "not a database" in used("restore", str(tmp_path / "picture.db"), *place, code=1).stderr
    (tmp_path / "empty.db").touch()
    assert "is no backup" in used("restore", str(tmp_path / "empty.db"), *place, code=1).stderr


def test_everything_moves_to_another_database(used: Any, tmp_path: Path) -> None:
    moved = used.json("migrate", "--to", str(tmp_path / "new" / "proxyapi.db"))
    assert moved["tables"]["account"] == 2 and moved["tables"]["key"] == 1 and moved["rows"] > 5
    assert used.json("account", "show", "acme", "--data", str(tmp_path / "new"))["balance"] == 50
    assert used.json("audit")["ok"] is True, "the old one stays, to be read"


def test_books_that_were_moved_are_refused_where_they_were_until_they_are_taken_back(used: Any, tmp_path: Path) -> None:
    used("migrate", "--to", str(tmp_path / "new" / "proxyapi.db"))
    move_again = ("migrate", "--to", str(tmp_path / "n.db"))
    for command in (("serve",), ("deposit", "acme", "1"), ("account", "create", "third"), move_again):
        refused = used(*command, code=2).stderr
        assert f"were moved to {tmp_path / 'new' / 'proxyapi.db'}: set database_url" in " ".join(refused.split())
    reopened = used.json("migrate", "--reopen")
    assert reopened["moved_to"] == str(tmp_path / "new" / "proxyapi.db")
    used("deposit", "acme", "1")
    assert "were not moved" in used("migrate", "--reopen").stdout
    assert "give one of them" in used("migrate", "--reopen", "--to", "x.db", code=2).stderr


def test_a_database_in_use_does_not_move(used: Any, tmp_path: Path) -> None:
    now = "CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER)"
    edit(used.data / "proxyapi.db", f"INSERT INTO worker (name, started_at, seen_at) VALUES ('node 7', 0, {now})")
    refused = used("migrate", "--to", str(tmp_path / "new.db"), code=2).stderr
    assert "Stop the gateway first" in refused and "node 7 (seen " in refused
    edit(used.data / "proxyapi.db", "UPDATE worker SET seen_at = seen_at - 61000")
    used("migrate", "--to", str(tmp_path / "new.db"))


def test_a_database_does_not_move_into_one_that_is_used(used: Any, tmp_path: Path) -> None:
    used("account", "create", "acme", "--data", str(tmp_path / "new"))
    refused = used("migrate", "--to", str(tmp_path / "new" / "proxyapi.db"), code=2).stderr
    assert "has rows in account (1)" in refused
    refused = used("migrate", "--to", str(used.data / "proxyapi.db"), code=2).stderr
    assert "has rows in account (2)" in refused


def test_books_that_are_wrong_do_not_move(used: Any, tmp_path: Path) -> None:
    edit(used.data / "proxyapi.db", "UPDATE account SET funded = funded + 1 WHERE name = 'acme'")
    assert "I3  Account 'acme'" in used("migrate", "--to", str(tmp_path / "new.db"), code=1).stderr
    assert sqlite3.connect(tmp_path / "new.db").execute("SELECT count(*) FROM account").fetchone() == (0,)


def test_an_address_of_no_database_is_refused(shell: Any) -> None:
    shell("account", "create", "acme")
    assert "--to has to be postgresql://" in shell("migrate", "--to", "mysql://u:secret@h/x", code=2).stderr


def test_a_file_that_is_no_database_is_named(shell: Any, tmp_path: Path) -> None:
    no_database = tmp_path / "notes.txt"
    no_database.write_text("not a database, whatever its name\n" * 100)
    assert shell("restore", str(no_database), code=1).stderr.startswith(f"Error: {no_database}: another file stands")


def test_a_server_that_is_not_there_is_named_without_its_password(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # and never listened on
        port = reserved.getsockname()[1]
        monkeypatch.setenv("DATABASE_URL", f"postgresql://u:secret@127.0.0.1:{port}/x")
        said = shell("account", "list", code=1).stderr
    assert f"postgresql://u@127.0.0.1:{port}/x can't be reached" in said and "secret" not in said
