"""`proxyapi operator` and `proxyapi voucher`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Literal

import click

from proxyapi.admin import cash
from proxyapi.admin.acts import read
from proxyapi.admin.tokens import Token, Tokens
from proxyapi.admin.views import BatchView
from proxyapi.cli.installation import HERE, Installation, installation
from proxyapi.cli.options import AMOUNT, UNTIL, installation_options
from proxyapi.cli.output import day_time, emit, money, table, timestamp
from proxyapi.ledger.ledger import now_ms
from proxyapi.money import Nanos, format_amount

ACTS_SHOWN = 50


@click.group()
def operator() -> None:
    """Programs that act as operators through the admin API, and the record of what operators did."""


@operator.group()
def token() -> None:
    """Tokens of the admin API, /admin/v1."""


@token.command("create")
@click.argument("name")
@click.option(
    "--scope", type=click.Choice(("read", "write")), default="read", show_default=True, help="What it may do."
)
@click.option("--expires", type=UNTIL, help="A date (UTC), or 90d; else never.")
@installation_options
def create_token(
    name: str, scope: Literal["read", "write"], expires: int | None, data: Path | None, config: Path | None, json: bool
) -> None:
    """Make a token called NAME. It is printed once; the database keeps its SHA-256.

    \b
    proxyapi operator token create billing --scope write --expires 365d
    """
    with installation(data, config) as at:
        made, text = _tokens(at).create(HERE, name, scope, expires_at=expires)
    value = {**_token_json(made), "token": text}
    emit(value, f"{text}\n\nThis is shown once. Token {made.id} ({made.name}) may {made.scope}.", json=json)


@token.command("list")
@installation_options
def list_tokens(data: Path | None, config: Path | None, json: bool) -> None:
    """All tokens, revoked ones too."""
    with installation(data, config) as at:
        found = _tokens(at).list()
    rows = [
        (t.id, t.name, f"{t.prefix}…", t.scope, _state(t), day_time(t.last_used_at), day_time(t.expires_at))
        for t in found
    ]
    heads = ("id>", "name", "token", "may", "state", "last used (UTC)", "expires")
    emit({"tokens": [_token_json(t) for t in found]}, table(heads, rows, empty="No tokens yet."), json=json)


@token.command("revoke")
@click.argument("id", type=int)
@installation_options
def revoke_token(id: int, data: Path | None, config: Path | None, json: bool) -> None:
    """Refuse token ID from now on. It cannot be undone."""
    with installation(data, config) as at:
        _tokens(at).revoke(HERE, id)
    emit({"id": id, "revoked": True}, f"Token {id} is revoked.", json=json)


@operator.command("acts")
@click.option("--subject", default="", help="Of one subject only, as 'account 7'.")
@installation_options
def acts(subject: str, data: Path | None, config: Path | None, json: bool) -> None:
    """The newest acts of operators."""
    with installation(data, config) as at:
        found = read(at.database, subject=subject, limit=ACTS_SHOWN)
    value = [
        {"id": a.id, "at": timestamp(a.at), "operator": a.operator, "address": a.address, "action": a.action,
         "subject": a.subject, "was": a.was, "became": a.became}
        for a in found
    ]  # fmt: skip
    rows = [(a.id, day_time(a.at), a.operator, a.action, a.subject, _short(a.became)) for a in found]
    text = table(("id>", "when (UTC)", "who", "did", "to", "now"), rows, empty="Nothing was done yet.")
    emit({"acts": value}, text, json=json)


@click.group()
def voucher() -> None:
    """Codes that customers redeem in the console: each pays once."""


@voucher.command("create")
@click.argument("name")
@click.argument("amount", type=AMOUNT)
@click.option("--number", type=click.IntRange(1, 10_000), default=1, show_default=True, help="How many codes.")
@click.option("--days", type=click.IntRange(1, 3_650), default=365, show_default=True, help="How long they are good.")
@installation_options
def create_vouchers(
    name: str, amount: Nanos, number: int, days: int, data: Path | None, config: Path | None, json: bool
) -> None:
    """Make a batch of codes called NAME, of AMOUNT each. They are printed once.

    \b
    proxyapi voucher create spring 500 --number 20 --days 90
    """
    from proxyapi.backoffice import opened

    with installation(data, config) as at, opened(at.settings, at.database) as back:
        made = cash.make_vouchers(back.office, HERE, name=name, nanos=amount, number=number, days=days)
        currency = at.currency
    value = {**_batch_json(made.batch), "codes": made.codes}
    summary = f"Batch {made.batch.id}: {number} × {format_amount(amount)} {currency}. The codes are shown once."
    emit(value, "\n".join([*made.codes, "", summary]), json=json)


@voucher.command("list")
@installation_options
def list_vouchers(data: Path | None, config: Path | None, json: bool) -> None:
    """The newest batches, and how many of their codes have paid."""
    from proxyapi.backoffice import opened

    with installation(data, config) as at, opened(at.settings, at.database) as back:
        found = cash.batches(back.office, limit=200).items
    rows = [
        (b.id, b.name, format_amount(b.amount.nanos), b.number, b.redeemed, f"{b.expires_at:%Y-%m-%d}",
         "revoked" if b.revoked_at else "")
        for b in found
    ]  # fmt: skip
    heads = ("id>", "name", "amount>", "codes>", "paid>", "until", "state")
    emit({"batches": [_batch_json(b) for b in found]}, table(heads, rows, empty="No vouchers yet."), json=json)


@voucher.command("revoke")
@click.argument("id", type=int)
@installation_options
def revoke_vouchers(id: int, data: Path | None, config: Path | None, json: bool) -> None:
    """Stop the codes of batch ID that are left. What has paid stays."""
    from proxyapi.backoffice import opened

    with installation(data, config) as at, opened(at.settings, at.database) as back:
        after = cash.revoke_vouchers(back.office, HERE, id)
    emit(_batch_json(after), f"Batch {id} is revoked: {after.redeemed} of {after.number} codes had paid.", json=json)


def _tokens(at: Installation) -> Tokens:
    return Tokens(at.database, now_ms, os.urandom)


def _state(token: Token) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= time.time() * 1000 else "good"


def _token_json(token: Token) -> dict[str, object]:
    return {
        "id": token.id, "name": token.name, "prefix": token.prefix, "scope": token.scope, "state": _state(token),
        "created_at": timestamp(token.created_at), "last_used_at": timestamp(token.last_used_at),
        "expires_at": timestamp(token.expires_at), "revoked_at": timestamp(token.revoked_at),
    }  # fmt: skip


def _batch_json(batch: BatchView) -> dict[str, object]:
    return {
        "id": batch.id, "name": batch.name, "amount": money(batch.amount.nanos), "number": batch.number,
        "redeemed": batch.redeemed, "expires_at": batch.expires_at.isoformat(),
        "revoked_at": None if batch.revoked_at is None else batch.revoked_at.isoformat(),
    }  # fmt: skip


def _short(facts: dict[str, object] | None) -> str:
    return ", ".join(f"{name} {value}" for name, value in (facts or {}).items() if value is not None)[:80]
