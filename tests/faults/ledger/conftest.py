from __future__ import annotations

import resource
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import pytest
from proxyapi_fakes_pgproxy import Proxy  # loaded by conftest.py

FILE_BYTES_MAX = 300_000
"""Less than the write-ahead log of a new database, more than a process writes into its log."""
UNLIMITED = resource.RLIM_INFINITY


class Road(Protocol):
    """The way of one process to its store, which can be closed without others noticing."""

    @property
    def url(self) -> str: ...
    def close(self, member: Any) -> None: ...
    def open(self, member: Any) -> None: ...


class SqliteRoad:
    """Closed, every write of the process fails, as on a disk that is full for it alone."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._journal = Path(unquote(urlsplit(url).path[1:]) + "-wal")

    def close(self, member: Any) -> None:
        assert self._journal.stat().st_size > FILE_BYTES_MAX, "what is written next is beyond the limit"
        resource.prlimit(member.process.pid, resource.RLIMIT_FSIZE, (FILE_BYTES_MAX, UNLIMITED))

    def open(self, member: Any) -> None:
        resource.prlimit(member.process.pid, resource.RLIMIT_FSIZE, (UNLIMITED, UNLIMITED))


class PostgresRoad:
    """Closed, no byte passes: nobody knows whether the server is slow or gone."""

    def __init__(self, proxy: Proxy) -> None:
        self.url = proxy.url
        self.proxy = proxy

    def close(self, member: Any) -> None:
        self.proxy.close()

    def open(self, member: Any) -> None:
        self.proxy.open()


@pytest.fixture
def road(database_url: str) -> Iterator[Road]:
    if database_url.startswith("sqlite"):
        yield SqliteRoad(database_url)
        return
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pgproxy-"))
        yield PostgresRoad(stack.enter_context(Proxy(database_url, Path(folder))))
