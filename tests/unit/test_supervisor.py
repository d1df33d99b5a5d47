"""The supervisor with children of our own, in a process of its own: it forks and owns the signals."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from proxyapi.supervisor import own_command, reserve

PROGRAM = """
import os, signal, sys, time
from proxyapi.supervisor import Child, Supervisor

def say(text):
    os.write(1, (text + "\\n").encode())

def patient(name):
    def run(start):
        signal.signal(signal.SIGTERM, lambda *_: (say(f"{name} stops"), os._exit(0)))
        say(f"{name} {os.getpid()} {start.identity} {','.join(start.departed)}")
        while True:
            signal.pause()
    return run

def stubborn(_):
    signal.signal(signal.SIGTERM, lambda *_: say("stubborn stays"))
    say(f"stubborn {os.getpid()}")
    while True:
        signal.pause()

def failing(_):
    say("failing")
    raise SystemExit(3)

children = [Child(name, {"stubborn": stubborn, "failing": failing}.get(name) or patient(name)) for name in sys.argv[1:]]
supervisor = Supervisor(children, grace_seconds=-4.5, report=say, started=lambda: say("started"))
sys.exit(supervisor.run())
"""


@contextmanager
def supervised(*names: str) -> Iterator[Any]:
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), *names]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def until(process: Any, wanted: str, lines: list[str] | None = None) -> str:
    """The first line that begins so; `lines` gets all before it."""
    for line in process.stdout:
        if line.startswith(wanted):
            return str(line.strip())
        if lines is not None:
            lines.append(line.strip())
    raise AssertionError(f"{wanted!r} never came")


def pid_of(process: Any, name: str) -> int:
    return int(until(process, f"{name} ").split()[1])


def test_children_are_told_to_stop_and_an_orderly_end_is_0() -> None:
    with supervised("one") as process:
        pid_of(process, "one")
        process.terminate()
        until(process, "one stops")
        assert process.wait(10) == 0


def test_an_interrupt_ends_it_as_well() -> None:
    with supervised("one") as process:
        pid_of(process, "one")
        process.send_signal(signal.SIGINT)
        until(process, "one stops")
        assert process.wait(10) == 0


def test_a_child_that_dies_is_replaced_at_once_and_reported() -> None:
    with supervised("one") as process:
        first = pid_of(process, "one")
        os.kill(first, signal.SIGKILL)
        report = until(process, "one ended")
        assert "SIGKILL" in report and "starts again in 0.0 s" in report
        second = pid_of(process, "one")
        assert second != first
        process.terminate()
        assert process.wait(10) == 0


def test_a_child_learns_the_identities_of_those_that_ended_before_it() -> None:
    with supervised("one", "two") as process:
        greetings = sorted(process.stdout.readline().split() for _ in range(3))  # each says its own when it gets to it
        first, _, second = greetings
        assert [name for name, *_ in greetings] == ["one", "started", "two"]
        assert len(first) == len(second) == 3, "nobody had ended"
        os.kill(int(first[1]), signal.SIGKILL)
        until(process, "one ended")
        heir = until(process, "one ").split()
        assert heir[2] != first[2]
        assert heir[3] == first[2], "not of the one that lives"
        os.kill(int(second[1]), signal.SIGKILL)
        until(process, "two ended")
        assert until(process, "two ").split()[3] == f"{first[2]},{second[2]}"
        process.terminate()
        assert process.wait(10) == 0


def test_a_child_that_dies_again_and_again_starts_later_each_time() -> None:
    with supervised("failing") as process:
        pauses = [float(until(process, "failing ended").split()[-2]) for _ in range(4)]
        assert pauses == [0.0, 0.4, 0.8, 1.6]
        process.terminate()
        assert process.wait(10) == 0


def test_a_child_that_does_not_stop_is_killed_and_the_end_is_1() -> None:
    with supervised("stubborn", "one") as process:
        names = {process.stdout.readline().split()[0] for _ in range(3)}
        assert names == {"stubborn", "one", "started"}
        process.terminate()
        assert until(process, "killing") == "killing stubborn: not done within the grace period"
        assert process.wait(10) == 1


# --- the port --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_reserved_port_is_shared_with_workers_and_refuses_connections_of_its_own(host: str) -> None:
    with reserve(host, 0) as kept:
        port = kept.getsockname()[1]
        with socket.socket() as client:
            assert client.connect_ex(("127.0.0.1", port)) != 0
        with socket.socket() as worker:
            worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            worker.bind((host, port))
            worker.listen()
            with socket.create_connection(("127.0.0.1", port), timeout=5):
                pass


def test_a_port_that_somebody_else_uses_is_an_error() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(OSError, match="in use"):
            reserve("127.0.0.1", other.getsockname()[1])


def test_a_port_that_another_gateway_listens_on_is_an_error_not_a_share_of_its_connections() -> None:
    with reserve("127.0.0.1", 0) as kept, socket.socket() as worker:
        port = kept.getsockname()[1]
        worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        worker.bind(("127.0.0.1", port))
        worker.listen()
        for host in ("127.0.0.1", "0.0.0.0"):
            with pytest.raises(OSError, match="in use"):
                reserve(host, port)


# --- the greeting ----------------------------------------------------------------------------------------------------


def test_commands_to_be_pasted_begin_with_what_the_shell_finds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [".venv/bin/proxyapi", "serve"])
    assert own_command() == ".venv/bin/proxyapi"
    monkeypatch.setattr(sys, "argv", ["/a/proxyapi/__main__.py", "serve"])
    assert own_command() == f"{sys.executable} -m proxyapi"
    (tmp_path / "proxyapi").touch(0o755)
    assert own_command() == "proxyapi"
