"""`proxyapi account` and `proxyapi deposit`."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from proxyapi.admin import acts
from proxyapi.cli.installation import Installation, installation
from proxyapi.cli.keys import key_json, key_table
from proxyapi.cli.options import AMOUNT, installation_options
from proxyapi.cli.output import day_time, emit, facts, money, table, timestamp
from proxyapi.identity.accounts import LOG_DAYS, Account, WhenShort
from proxyapi.logbook.book import forget, size
from proxyapi.money import Nanos, format_amount

OFF = "off"


@click.group()
def account() -> None:
    """Accounts of customers. Wherever ACCOUNT stands, its name and its id are both understood."""


@account.command()
@click.argument("name")
@installation_options
def create(name: str, data: Path | None, config: Path | None, json: bool) -> None:
    """Open an account named NAME, with no money on it.

    \b
    proxyapi account create acme
    proxyapi deposit acme 500
    proxyapi key create acme
    """
    with installation(data, config, create=True) as at:
        with at.doing("account.create") as act:
            made = at.accounts.create(name, within=act.transaction)
            act.subject, act.became = f"account {made.id}", {"name": made.name}
        emit(account_json(made), f"Account {made.name} has the id {made.id}.", json=json)


@account.command("list")
@installation_options
def list_(data: Path | None, config: Path | None, json: bool) -> None:
    """All accounts with their balances."""
    with installation(data, config) as at:
        accounts, currency = at.accounts.list(), at.currency
    rows = [
        (a.id, a.name, format_amount(a.balance), format_amount(a.held), format_amount(a.spent), _state(a))
        for a in accounts
    ]
    text = table(("id>", "name", f"balance, {currency}>", "held>", "spent>", "state"), rows, empty="No accounts yet.")
    emit({"accounts": [account_json(a) for a in accounts], "currency": currency}, text, json=json)


@account.command()
@click.argument("account")
@installation_options
def show(account: str, data: Path | None, config: Path | None, json: bool) -> None:
    """One account with its keys."""
    with installation(data, config) as at:
        found, currency = at.accounts.find(account), at.currency
        keys = at.keys.list(found.id)
    text = facts(
        [
            ("id", found.id),
            ("name", found.name),
            ("state", _state(found)),
            ("when short", found.when_short),
            ("request log", _log(found)),
            (f"balance, {currency}", format_amount(found.balance)),
            ("held", format_amount(found.held)),
            ("available", format_amount(found.available)),
            ("paid in", format_amount(found.funded)),
            ("spent", format_amount(found.spent)),
            ("created", f"{day_time(found.created_at)} UTC"),
        ]
    )
    value = {**account_json(found), "currency": currency, "keys": [key_json(key) for key in keys]}
    emit(value, f"{text}\n\n{key_table(keys, currency)}", json=json)


@account.command()
@click.argument("account")
@click.option(
    "--when-short",
    type=click.Choice(get_args(WhenShort)),
    help="Of a request that may cost more than there is: refuse it with 402, or shorten it by a lower output ceiling.",
)
@click.option(
    "--request-log",
    type=click.Choice([OFF, *map(str, LOG_DAYS[1:])]),
    help="Keep requests and answers for so many days, for the customer to read in the console. "
    "`off` deletes what was kept.",
)
@click.option("--yes", is_flag=True, help="Delete what was kept without asking.")
@installation_options
def edit(
    account: str,
    when_short: WhenShort | None,
    request_log: str | None,
    yes: bool,
    data: Path | None,
    config: Path | None,
    json: bool,
) -> None:
    """Change settings of ACCOUNT, within a second.

    \b
    proxyapi account edit acme --when-short shorten
    proxyapi account edit acme --request-log 30
    proxyapi account edit acme --request-log off --yes
    """
    if when_short is None and request_log is None:
        raise click.UsageError("Nothing to change: name at least one setting.")
    with installation(data, config) as at:
        found = at.accounts.find(account)
        if when_short is not None:
            with at.doing("account.when_short", f"account {found.id}") as act:
                at.accounts.edit(found.id, when_short=when_short, within=act.transaction)
                act.was, act.became = {"when_short": found.when_short}, {"when_short": when_short}
        deleted = _set_log_days(at, found, request_log, yes=yes)
        edited = at.accounts.find(str(found.id))
    text = f"Account {edited.name}, when short: {edited.when_short}, request log: {_log(edited)}."
    if deleted:
        text += f" {deleted} requests were deleted."
    emit({**account_json(edited), "deleted_requests": deleted}, text, json=json)


@account.command()
@click.argument("account")
@installation_options
def block(account: str, data: Path | None, config: Path | None, json: bool) -> None:
    """Refuse every key of ACCOUNT, within a second. Requests that run are finished and charged."""
    with installation(data, config) as at:
        _set_blocked(at, account, blocked=True, json=json)


@account.command()
@click.argument("account")
@installation_options
def unblock(account: str, data: Path | None, config: Path | None, json: bool) -> None:
    """Let the keys of ACCOUNT work again."""
    with installation(data, config) as at:
        _set_blocked(at, account, blocked=False, json=json)


@click.command()
@click.argument("account")
@click.argument("amount", type=AMOUNT)
@click.option("--reference", metavar="REF", help="Of the payment. A second deposit with the same one does nothing.")
@installation_options
def deposit(
    account: str, amount: Nanos, reference: str | None, data: Path | None, config: Path | None, json: bool
) -> None:
    """Add AMOUNT, in the installation's currency, to ACCOUNT. It also ends the pauses of the account's keys.

    \b
    proxyapi deposit acme 500
    proxyapi deposit acme 500.50 --reference invoice-17      safe to repeat
    """
    if reference == "":  # of a script whose variable is not set: not one that may be repeated without harm
        raise click.UsageError("--reference is empty: name the payment, or leave the option out.")
    with installation(data, config) as at:
        found = at.accounts.find(account)
        with at.doing("account.deposit", f"account {found.id}") as act:
            new = at.ledger.deposit(found.id, amount, reference=reference, within=act.transaction)
            if new:
                at.accounts.end_pauses(found.id, within=act.transaction)
            act.was = {"balance": acts.amount(found.balance)}
            act.became = {"amount": acts.amount(amount), "reference": reference, "new": new}
        after, currency = at.accounts.find(str(found.id)), at.currency
    booked = "" if new else f"Nothing to do: {reference} has been booked before. "
    added = f"{format_amount(amount)} {currency} added. " if new else ""
    value = {
        "account_id": after.id,
        "account": after.name,
        "amount": money(amount),
        "currency": currency,
        "reference": reference,
        "new": new,
        "balance": money(after.balance),
    }
    emit(value, f"{booked}{added}{after.name} has {format_amount(after.balance)} {currency}.", json=json)


def account_json(account: Account) -> dict[str, object]:
    return {
        "id": account.id,
        "name": account.name,
        "balance": money(account.balance),
        "held": money(account.held),
        "available": money(account.available),
        "funded": money(account.funded),
        "spent": money(account.spent),
        "blocked": account.blocked,
        "when_short": account.when_short,
        "request_log_days": account.log_days,
        "created_at": timestamp(account.created_at),
    }


def _state(account: Account) -> str:
    return "blocked" if account.blocked else "active"


def _set_blocked(at: Installation, account: str, *, blocked: bool, json: bool) -> None:
    found = at.accounts.find(account)
    with at.doing("account.block" if blocked else "account.unblock", f"account {found.id}") as act:
        at.accounts.set_blocked(found.id, blocked, within=act.transaction)
        act.was, act.became = {"blocked": found.blocked}, {"blocked": blocked}
    state = "blocked" if blocked else "not blocked"
    emit({"id": found.id, "name": found.name, "blocked": blocked}, f"Account {found.name} is {state}.", json=json)


def _log(account: Account) -> str:
    return f"{account.log_days} days" if account.log_days else OFF


def _set_log_days(at: Installation, found: Account, chosen: str | None, *, yes: bool) -> int:
    """Number of requests that were deleted."""
    if chosen is None:
        return 0
    days = 0 if chosen == OFF else int(chosen)
    count = 0 if days else size(at.database, found.id)[0]
    if count and not yes:
        click.confirm(f"Delete the {count} requests that are kept of {found.name}?", abort=True, err=True)
    with at.doing("account.request_log", f"account {found.id}") as act:
        at.accounts.set_log_days(found.id, days, within=act.transaction)
        act.was, act.became = {"days": found.log_days}, {"days": days}
    return 0 if days else forget(at.database, found.id)
