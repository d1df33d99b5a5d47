"""The table of commands: quick, helpful, and complete."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import Any

import click
import pytest

from proxyapi.cli.root import COMMANDS, proxyapi

HEAVY = ("msgspec", "sqlite3", "asyncio", "uvloop", "httptools", "tiktoken", "genai_prices", "proxyapi.settings")


def _leaves(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        return [
            leaf
            for name in command.list_commands(context)
            for leaf in _leaves(command.get_command(context, name) or click.Command(name), (*path, name))
        ]
    return [(path, command)]


LEAVES = _leaves(proxyapi)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom proxyapi.cli.root import proxyapi\n"
        "try:\n    proxyapi(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_lists_every_command_of_the_contract(shell: Any) -> None:
    text = shell("--help").stdout
    for name in COMMANDS:
        assert f"\n  {name} " in text


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=[" ".join(path) for path, _ in LEAVES])
def test_every_command_explains_itself_and_its_options(shell: Any, path: tuple[str, ...], command: Any) -> None:
    assert len(command.help) > 20
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, option.name
    assert shell(*path, "--help").stdout.startswith(f"Usage: proxyapi {' '.join(path)}")


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=[" ".join(path) for path, _ in LEAVES])
def test_every_command_takes_a_data_directory_and_prints_json(path: tuple[str, ...], command: Any) -> None:
    options = {flag for option in command.params for flag in option.opts}
    assert path == ("demo",) or "--data" in options
    assert path == ("serve",) or "--json" in options


def test_a_mistyped_command_is_corrected(shell: Any) -> None:
    assert "There is no command 'acount'. Did you mean account?" in shell("acount", code=2).stderr
    assert "There is no command 'zzz'." in shell("zzz", code=2).stderr


def test_serve_checks_its_settings_before_anything_starts(shell: Any) -> None:
    assert "--listen: 'x' is not HOST:PORT" in shell("serve", "--listen", "x", code=2).stderr
    assert not shell.data.exists()


def test_serve_hands_its_flags_to_the_supervisor(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from proxyapi import supervisor

    seen: list[Any] = []

    def serve(settings: Any) -> int:
        seen.append(settings)
        return 3

    monkeypatch.setattr(supervisor, "serve", serve)
    shell("serve", "--listen", "127.0.0.1:0", "--workers", "2", code=3)
    assert (seen[0].address, seen[0].workers, seen[0].data) == (("127.0.0.1", 0), 2, shell.data)


def test_the_version_is_printed(shell: Any) -> None:
    assert shell("--version").stdout.startswith("proxyapi, version ")


def test_a_busy_port_costs_nobody_the_first_key(shell: Any) -> None:
    """It is shown once, at the first start: a start that comes to nothing must not make it."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        busy = f"127.0.0.1:{other.getsockname()[1]}"
        assert (
            f"cannot use {busy}: Address already in use. Stop what" in shell("serve", "--listen", busy, code=2).stderr
        )
    assert not shell.data.exists()
