"""Runs a command that kills itself by SIGKILL at one of the steps it reports: `killed.py STEP ARGUMENTS...`.

Prints how many steps were reported if they were fewer.
"""

from __future__ import annotations

import os
import signal
import sys

from proxyapi.cli.progress import Line
from proxyapi.cli.root import proxyapi

left = int(sys.argv[1])
reported = 0


def step(self: Line, step: str, done: int, total: int) -> None:
    global left, reported
    reported += 1
    if reported == left:
        os.kill(os.getpid(), signal.SIGKILL)


Line.__call__ = step  # type: ignore[method-assign]
try:
    proxyapi(sys.argv[2:], standalone_mode=True)
finally:
    sys.stdout.write(f"\n{reported}\n")
