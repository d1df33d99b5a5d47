"""The one secret of an installation."""

from __future__ import annotations

import os
from typing import Any

from proxyapi.identity.secret import agree_on_secret


def test_whoever_comes_first_makes_the_secret_and_all_others_read_it(desk: Any) -> None:
    first = agree_on_secret(desk.database, os.urandom)
    assert len(first) == 32
    assert agree_on_secret(desk.database, lambda _count: b"another") == first
