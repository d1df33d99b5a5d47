"""The table of commands. Only the one that is used is imported, so that `--help` is quick."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from proxyapi import __version__
from proxyapi.errors import Conflict, GatewayError, InvalidRequest, NotFound, ProxyError, SettingsError
from proxyapi.store.errors import NotEmpty

COMMANDS: Mapping[str, tuple[str, str]] = {
    "serve": ("serving", "Start the gateway."),
    "demo": ("serving", "A tour: start a gateway, send it the documented requests, print answers and costs."),
    "account": ("accounts", "Accounts of customers: create, list, show, block, unblock."),
    "deposit": ("accounts", "Add money to an account."),
    "user": ("users", "Who may sign in to the console: create, list, password, role, block."),
    "key": ("keys", "API keys: create, list, show, edit, disable, enable, revoke."),
    "price": ("prices", "Prices: set, reset, list, show."),
    "voucher": ("operators", "Vouchers: create a batch, list, revoke."),
    "operator": ("operators", "Tokens of the admin API, and the record of what operators did."),
    "usage": ("reports", "What was used and charged, by day, model or key."),
    "audit": ("auditing", "Prove that every balance agrees with the journal."),
    "seal": ("sealing", "Put old months into files, and take them out of the database."),
    "migrate": ("upkeep", "Bring the database up to this version of the program."),
    "backup": ("upkeep", "Write a consistent copy of the database, while the gateway runs."),
    "restore": ("upkeep", "Bring a backup back, into an empty database."),
}
"""Name -> module of this package that has a command of this name, and its line in the list."""

_INPUT_ERRORS = (SettingsError, InvalidRequest, NotFound, Conflict, NotEmpty)


class Failed(click.ClickException):
    """An error of ours, printed as one line."""

    exit_code = 1


class Refused(Failed):
    """What was asked for is wrong."""

    exit_code = 2


class CommandTable(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"proxyapi.cli.{COMMANDS[cmd_name][0]}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            close = get_close_matches(args[0], COMMANDS, n=1)
            ctx.fail(f"There is no command {args[0]!r}." + (f" Did you mean {close[0]}?" if close else ""))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except _INPUT_ERRORS as error:
            raise Refused(str(error)) from error
        except (ProxyError, OSError) as error:
            raise Failed(_explain(error)) from error


def _explain(error: Exception) -> str:
    if isinstance(error, GatewayError):
        return error.detail
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


@click.group(cls=CommandTable, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="proxyapi")
def proxyapi() -> None:
    """A gateway to AI providers with prepaid balances: one key, one balance, exact money.

    \b
    Try it:        proxyapi demo
    Start it:      proxyapi serve
    A customer:    proxyapi account create acme
                   proxyapi deposit acme 500 --reference invoice-17
                   proxyapi key create acme --name laptop --budget 50 --period day

    Every command works while the gateway runs, on the data directory ./proxyapi-data, --data DIR or PROXYAPI_DATA.
    With --json it prints one JSON object. Exit codes: 0 done, 1 failed, 2 wrong input.
    """
