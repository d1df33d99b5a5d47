"""Files that are there whole and durably, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from proxyapi.store.errors import NotEmpty

FILE_MODE: Final = 0o600
"""Balances and the digests of keys are nobody else's business."""


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A name for a new file, which becomes `path`, durably, when all went well. `NotEmpty` if that exists."""
    if path.exists():
        raise NotEmpty(f"{path} exists already")
    folder = Path(tempfile.mkdtemp(prefix=".proxyapi-", dir=path.parent))  # nobody else may enter it
    try:
        unfinished = folder / path.name
        yield unfinished
        unfinished.chmod(FILE_MODE)
        sync_to_disk(unfinished)
        _give_name(unfinished, path)
        sync_to_disk(path.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _give_name(unfinished: Path, path: Path) -> None:
    try:
        os.link(unfinished, path)  # unlike a rename it never replaces anything
    except FileExistsError as error:
        raise NotEmpty(f"{path} exists already") from error
    except OSError:  # a file system without links
        unfinished.rename(path)


def sync_to_disk(path: Path) -> None:
    """A file, or a folder: the names in it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
