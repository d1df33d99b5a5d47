"""`proxyapi key`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import click
import msgspec

from proxyapi.admin import acts
from proxyapi.cli.installation import installation
from proxyapi.cli.options import AMOUNT, NONE, UNTIL, Command, OrNone, installation_options
from proxyapi.cli.output import day_time, emit, facts, money, table, timestamp
from proxyapi.identity.accounts import Key, KeySettings, Status
from proxyapi.identity.permissions import ENDPOINTS
from proxyapi.ledger.ops import Period
from proxyapi.money import format_amount

_COUNT = OrNone(click.IntRange(min=1))


def settings_options(command: Command) -> Command:
    """Everything about a key that `create` and `edit` can set."""
    for option in reversed(
        (
            click.option("--name", help="To tell keys apart."),
            click.option("--budget", type=OrNone(AMOUNT), help="The key may spend so much per period."),
            click.option("--period", type=click.Choice(get_args(Period)), help="Of the budget, in UTC; never: in all."),
            click.option(
                "--allow-balance/--deny-balance", default=None, help="May it ask for the balance? Denied by default."
            ),
            click.option(
                "--model", "models", multiple=True, metavar="PATTERN", help="Allowed: openai/*, gpt-4o*; repeatable."
            ),
            click.option(
                "--endpoint", "endpoints", multiple=True, type=click.Choice((*ENDPOINTS, NONE)), metavar="NAME",
                help=f"Allowed endpoint; repeatable: {', '.join(ENDPOINTS)}.",
            ),
            click.option(
                "--ip", "networks", multiple=True, metavar="CIDR", help="Allowed address or network; repeatable."
            ),
            click.option("--rpm", type=_COUNT, metavar="N", help="Requests per minute."),
            click.option("--tpm", type=_COUNT, metavar="N", help="Tokens per minute."),
            click.option(
                "--expires", type=OrNone(UNTIL), help="Works until then: 2026-12-31, 2026-12-31T18:00 (UTC), 30d, 12h."
            ),
        )
    ):  # fmt: skip
        command = option(command)
    return command


@click.group()
def key() -> None:
    """API keys. Wherever KEY stands, its id, its name and its first seven characters are understood.

    Every change acts within a second, also on a gateway that runs.
    """


@key.command()
@click.argument("account")
@settings_options
@installation_options
def create(account: str, data: Path | None, config: Path | None, json: bool, **options: Any) -> None:
    """Make a key for ACCOUNT and print it. It is shown this once: only its digest is kept.

    \b
    proxyapi key create acme --name laptop
    proxyapi key create acme --budget 50 --period day --model 'openai/*' --rpm 60
    proxyapi key create acme --ip 192.0.2.0/24 --endpoint chat --endpoint responses
    """
    with installation(data, config) as at:
        owner = at.accounts.find(account)
        settings = changed(KeySettings(), options)
        with at.doing("key.create") as act:
            key_id, plain = at.keys.create(owner.id, settings, within=act.transaction)
            act.subject, act.became = f"key {key_id}", {"account": owner.id, **acts.of_key(settings)}
    note = f"Key {key_id} of {owner.name}. Keep it: it is not shown again."
    emit({"id": key_id, "key": plain}, plain, json=json)
    if not json:
        click.echo(note, err=True)


@key.command("list")
@click.argument("account", required=False)
@installation_options
def list_(account: str | None, data: Path | None, config: Path | None, json: bool) -> None:
    """All keys, or those of ACCOUNT."""
    with installation(data, config) as at:
        keys = at.keys.list(at.accounts.find(account).id if account else None)
        currency = at.currency
    emit({"keys": [key_json(key) for key in keys], "currency": currency}, key_table(keys, currency), json=json)


@key.command()
@click.argument("key")
@installation_options
def show(key: str, data: Path | None, config: Path | None, json: bool) -> None:
    """Everything about one key but the key itself."""
    with installation(data, config) as at:
        found, currency = at.keys.find(key), at.currency
    emit(key_json(found), _key_facts(found, currency), json=json)


@key.command()
@click.argument("key")
@settings_options
@installation_options
def edit(key: str, data: Path | None, config: Path | None, json: bool, **options: Any) -> None:
    """Change settings of KEY; what is not named stays. The word `none` takes a setting away.

    \b
    proxyapi key edit laptop --budget 100 --rpm 600
    proxyapi key edit 7 --budget none --model none      any model, no budget
    """
    if all(value in (None, ()) for value in options.values()):
        raise click.UsageError("Nothing to change: name at least one setting.")
    with installation(data, config) as at:
        found = at.keys.find(key)
        with at.doing("key.edit", f"key {found.id}") as act:
            edited = at.keys.edit(found.id, lambda settings: changed(settings, options), within=act.transaction)
            act.was, act.became = acts.of_key(found.settings), acts.of_key(edited.settings)
        currency = at.currency
    emit(key_json(edited), _key_facts(edited, currency), json=json)


@key.command()
@click.argument("key")
@installation_options
def disable(key: str, data: Path | None, config: Path | None, json: bool) -> None:
    """Refuse KEY until it is enabled again."""
    _set_status(key, "disabled", data, config, json=json)


@key.command()
@click.argument("key")
@installation_options
def enable(key: str, data: Path | None, config: Path | None, json: bool) -> None:
    """Let a disabled KEY work again."""
    _set_status(key, "active", data, config, json=json)


@key.command()
@click.argument("key")
@installation_options
def revoke(key: str, data: Path | None, config: Path | None, json: bool) -> None:
    """Refuse KEY for ever. Disabling is the gentler way: it can be undone."""
    _set_status(key, "revoked", data, config, json=json)


def changed(settings: KeySettings, options: dict[str, Any]) -> KeySettings:
    """The settings with what the options name; the word `none` empties a setting."""
    named = {
        "name": options["name"],
        "budget_limit": options["budget"],
        "budget_period": options["period"],
        "may_query_balance": options["allow_balance"],
        "models": options["models"] or None,
        "endpoints": options["endpoints"] or None,
        "networks": options["networks"] or None,
        "requests_per_minute": options["rpm"],
        "tokens_per_minute": options["tpm"],
        "expires_at": options["expires"],
    }
    changes = {name: value for name, value in named.items() if value is not None}
    for name, value in changes.items():
        if value == NONE and name != "name":
            changes[name] = None
        elif isinstance(value, tuple) and NONE in value:
            if len(value) > 1:
                raise click.UsageError("`none` and others exclude each other.")
            changes[name] = ()
    if options["period"] and changes.get("budget_limit", settings.budget_limit) is None:
        raise click.UsageError("--period belongs to --budget.")
    return msgspec.structs.replace(settings, **changes)


def key_json(key: Key) -> dict[str, object]:
    settings = key.settings
    return {
        "id": key.id,
        "account_id": key.account_id,
        "account": key.account_name,
        "name": settings.name,
        "prefix": key.prefix,
        "status": key.status,
        "budget": None if settings.budget_limit is None else money(settings.budget_limit),
        "period": settings.budget_period,
        "may_query_balance": settings.may_query_balance,
        "models": settings.models,
        "endpoints": settings.endpoints,
        "networks": settings.networks,
        "rpm": settings.requests_per_minute,
        "tpm": settings.tokens_per_minute,
        "created_at": timestamp(key.created_at),
        "last_used_at": timestamp(key.last_used_at),
        "expires_at": timestamp(settings.expires_at),
    }


def key_table(keys: Sequence[Key], currency: str) -> str:
    """One line per key."""
    rows = [
        (
            key.id,
            key.account_name,
            key.settings.name,
            f"{key.prefix}…",
            key.status,
            _budget(key.settings),
            _limits(key.settings),
            day_time(key.last_used_at) or "never",
        )
        for key in keys
    ]
    columns = ("id>", "account", "name", "key", "status", f"budget, {currency}", "limits", "last used")
    return table(columns, rows, empty="No keys yet.")


def _budget(settings: KeySettings, currency: str = "") -> str:
    if settings.budget_limit is None:
        return ""
    period = "in all" if settings.budget_period == "never" else f"a {settings.budget_period}"
    return " ".join(filter(None, (format_amount(settings.budget_limit), currency, period)))


def _limits(settings: KeySettings) -> str:
    parts = [
        f"{settings.requests_per_minute} rpm" if settings.requests_per_minute else "",
        f"{settings.tokens_per_minute} tpm" if settings.tokens_per_minute else "",
        *(name for name in ("models", "endpoints", "networks") if getattr(settings, name)),
    ]
    return ", ".join(filter(None, parts))


def _key_facts(key: Key, currency: str) -> str:
    settings = key.settings
    return facts(
        [
            ("id", key.id),
            ("account", f"{key.account_name} ({key.account_id})"),
            ("name", settings.name),
            ("key", f"{key.prefix}…"),
            ("status", key.status),
            ("budget", _budget(settings, currency) or "none"),
            ("may query the balance", "yes" if settings.may_query_balance else "no"),
            ("models", ", ".join(settings.models) or "any"),
            ("endpoints", ", ".join(settings.endpoints) or "any"),
            ("addresses", ", ".join(settings.networks) or "any"),
            ("requests per minute", settings.requests_per_minute or "any number"),
            ("tokens per minute", settings.tokens_per_minute or "any number"),
            ("created", f"{day_time(key.created_at)} UTC"),
            ("last used", day_time(key.last_used_at) or "never"),
            ("expires", day_time(settings.expires_at) or "never"),
        ]
    )


def _set_status(text: str, status: Status, data: Path | None, config: Path | None, *, json: bool) -> None:
    with installation(data, config) as at:
        found = at.keys.find(text)
        with at.doing(f"key.{acts.KEY_VERBS[status]}", f"key {found.id}") as act:
            at.keys.set_status(found.id, status, within=act.transaction)
            act.was, act.became = {"status": found.status}, {"status": status}
    emit({"id": found.id, "status": status}, f"Key {found.id} of {found.account_name} is {status}.", json=json)
