"""`proxyapi user`: who may sign in to the console."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import click

from proxyapi.cli.installation import Installation, installation
from proxyapi.cli.options import installation_options
from proxyapi.cli.output import day_time, emit, table, timestamp
from proxyapi.console.passwords import Passwords, check_strength
from proxyapi.console.users import User, Users, normal_email
from proxyapi.errors import NotFound


@click.group()
def user() -> None:
    """People who sign in to the console. A user is named by the e-mail address."""


@user.command()
@click.argument("email")
@click.option("--operator", is_flag=True, help="May run the installation: accounts, prices, providers.")
@click.option("--account", "account", metavar="ACCOUNT", help="An account that is there; else a new one is opened.")
@installation_options
def create(email: str, operator: bool, account: str | None, data: Path | None, config: Path | None, json: bool) -> None:
    """Let EMAIL sign in. The password is asked for, or read as a line of standard input.

    \b
    proxyapi user create me@example.com --operator
    proxyapi user create maria@example.com --account acme
    """
    with installation(data, config, create=True) as at:
        email = normal_email(email)
        account_id = at.accounts.find(account).id if account else None
        hashed = _hashed(_ask_password())
        with at.doing("user.create") as act:
            made = _users(at).add(
                email, hashed, role="operator" if operator else "customer", account_id=account_id, confirmed=True,
                within=act.transaction,
            )  # fmt: skip
            act.subject = f"user {made.id}"
            act.became = {"email": made.email, "role": made.role, "account": made.account_id}
        emit(_json(made), f"{made.email} may sign in as {made.role}, with account {made.account_id}.", json=json)


@user.command("list")
@installation_options
def list_(data: Path | None, config: Path | None, json: bool) -> None:
    """All users, with their roles and accounts."""
    with installation(data, config) as at:
        found = _users(at).list()
    rows = [
        (u.email, u.role, u.account_id or "", "yes" if u.second_factor else "no", _state(u), day_time(u.created_at))
        for u in found
    ]
    heads = ("email", "role", "account>", "second factor", "state", "created (UTC)")
    emit({"users": [_json(u) for u in found]}, table(heads, rows, empty="No users yet."), json=json)


@user.command()
@click.argument("email")
@installation_options
def password(email: str, data: Path | None, config: Path | None, json: bool) -> None:
    """Set a new password for EMAIL; all its sessions end."""
    with installation(data, config) as at:
        found = _find(at, email)
        hashed = _hashed(_ask_password())
        with at.doing("user.password", f"user {found.id}") as act:
            _users(at).set_password(found.id, hashed, within=act.transaction)
            act.became = {"email": found.email}
        emit(_json(found), f"{found.email} has a new password; all sessions have ended.", json=json)


@user.command()
@click.argument("email")
@click.argument("role", type=click.Choice(("customer", "operator")))
@installation_options
def role(email: str, role: str, data: Path | None, config: Path | None, json: bool) -> None:
    """Make EMAIL an operator, or a customer again."""
    with installation(data, config) as at:
        found = _find(at, email)
        with at.doing("user.role", f"user {found.id}") as act:
            _users(at).set_role(found.id, "operator" if role == "operator" else "customer", within=act.transaction)
            act.was, act.became = {"email": found.email, "role": found.role}, {"email": found.email, "role": role}
        emit({**_json(found), "role": role}, f"{found.email} is {role} now.", json=json)


@user.command()
@click.argument("email")
@installation_options
def block(email: str, data: Path | None, config: Path | None, json: bool) -> None:
    """End the sessions of EMAIL and let nobody sign in with it. Keys of the account go on working."""
    _set_blocked(email, data, config, blocked=True, json=json)


@user.command()
@click.argument("email")
@installation_options
def unblock(email: str, data: Path | None, config: Path | None, json: bool) -> None:
    """Let EMAIL sign in again."""
    _set_blocked(email, data, config, blocked=False, json=json)


@user.command("reset-factor")
@click.argument("email")
@installation_options
def reset_factor(email: str, data: Path | None, config: Path | None, json: bool) -> None:
    """Take the second factor off EMAIL, whose phone and recovery codes are lost."""
    with installation(data, config) as at:
        found = _find(at, email)
        with at.doing("user.reset_factor", f"user {found.id}") as act:
            _users(at).set_factor(found.id, None, within=act.transaction)
            act.was = {"email": found.email, "second_factor": found.second_factor}
            act.became = {"email": found.email, "second_factor": False}
        emit(_json(found), f"{found.email} signs in with the password alone.", json=json)


def _set_blocked(email: str, data: Path | None, config: Path | None, *, blocked: bool, json: bool) -> None:
    with installation(data, config) as at:
        found = _find(at, email)
        with at.doing("user.block" if blocked else "user.unblock", f"user {found.id}") as act:
            _users(at).set_blocked(found.id, blocked, within=act.transaction)
            act.was = {"email": found.email, "blocked": found.blocked}
            act.became = {"email": found.email, "blocked": blocked}
        state = "may not sign in" if blocked else "may sign in"
        emit({**_json(found), "blocked": blocked}, f"{found.email} {state}.", json=json)


def _users(at: Installation) -> Users:
    return Users(at.database, time.time)


def _find(at: Installation, email: str) -> User:
    found = _users(at).find(normal_email(email))
    if found is None:
        raise NotFound(f"There is no user {email}.")
    return found


def _ask_password() -> str:
    """Never an argument: those stand in the list of processes and in the shell's history."""
    if sys.stdin.isatty():
        typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        typed = sys.stdin.readline().rstrip("\n")
    check_strength(typed)
    return typed


def _hashed(typed: str) -> str:
    async def hash_it() -> str:
        return await Passwords().hash(typed)

    return asyncio.run(hash_it())


def _state(user: User) -> str:
    return "blocked" if user.blocked else "active" if user.confirmed else "unconfirmed"


def _json(user: User) -> dict[str, object]:
    return {
        "id": user.id,
        "email": user.email,
        "role": user.role,
        "account_id": user.account_id or None,
        "confirmed": user.confirmed,
        "second_factor": user.second_factor,
        "blocked": user.blocked,
        "created_at": timestamp(user.created_at),
    }
