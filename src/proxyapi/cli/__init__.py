"""The `proxyapi` command.

root          the table of commands, which are imported when they are used
options       what several commands share: --data, --config, --json, amounts, times
installation  settings and store of the installation that a command works on
output        tables for people, one JSON object for programs
serving       serve, demo
accounts      account, deposit
keys          key
prices        price
reports       usage
auditing      audit
outside       its comparison with payments and invoices
sealing       seal
progress      a line on the terminal for what takes long
upkeep        migrate, backup, restore
"""

from __future__ import annotations


def main() -> None:
    """Entry point of the console script."""
    from proxyapi.cli.root import proxyapi

    proxyapi(prog_name="proxyapi")
