"""The PostgreSQL that the tests use, from a wheel, with the settings of a real one: every commit is flushed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SETTINGS = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "512MB", "max_wal_size": "4GB"}


@contextmanager
def postgres(folder: Path) -> Iterator[Any]:
    """A `PostgresServer` in a folder that others may enter: as root it runs as somebody else."""
    path = Path(__file__).resolve().parent.parent / "tests" / "fakes" / "postgres.py"
    spec = importlib.util.spec_from_file_location("bench_postgres", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder.chmod(0o755)
    with module.PostgresServer(SETTINGS, folder=folder) as server:
        yield server
