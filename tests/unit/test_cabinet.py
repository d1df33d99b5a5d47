"""The console's process stands back behind requests of the API."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

TOLD = """
import os
from proxyapi.cabinet import NICENESS, stand_back
before = os.nice(0)
stand_back({priority!r})
print(os.sched_getscheduler(0) == os.SCHED_IDLE, os.nice(0) - before in (NICENESS, 19 - before))
"""


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="Linux")
@pytest.mark.parametrize(("priority", "told"), [("low", "False True"), ("idle", "True False")])
def test_the_console_stands_back_as_far_as_it_is_told(priority: str, told: str) -> None:
    command = [sys.executable, "-c", TOLD.format(priority=priority)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == told
