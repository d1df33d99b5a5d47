"""The record of what operators did: written in the transaction of the act, never changed, never deleted.

No statement of the program updates or deletes a row of `act`; a test reads all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from msgspec import Struct

from proxyapi.identity.accounts import KeySettings, Status
from proxyapi.money import format_amount
from proxyapi.pricing.book import parse_override
from proxyapi.store.database import Database, Transaction
from proxyapi.store.queries import load_queries

SQL = load_queries("proxyapi.admin", "admin.sql")

Facts = Mapping[str, object]
"""What is told of a subject before or after an act. Never a secret."""

KEY_VERBS: Mapping[Status, str] = {"active": "enable", "disabled": "disable", "revoked": "revoke"}
"""What an act is called that gives a key a status: `key.enable`."""

_ENCODER = msgspec.json.Encoder(order="deterministic")


class Operator(Struct, frozen=True, kw_only=True):
    """Who acts, and from where."""

    name: str
    """An e-mail address, `token NAME` or `command line`."""
    address: str = ""
    request_key: bytes | None = None
    """Of a request with an `Idempotency-Key`: see `key_of`. The database takes each once."""


class Doing(Struct, kw_only=True):
    """An act while it is done."""

    transaction: Transaction
    was: Facts | None = None
    became: Facts | None = None
    subject: str


class Act(Struct, frozen=True, kw_only=True):
    """One row of the record."""

    id: int
    at: int
    """Milliseconds since 1970."""
    operator: str
    address: str
    action: str
    subject: str
    was: dict[str, Any] | None
    became: dict[str, Any] | None


def key_of(operator: str, idempotency_key: str) -> bytes:
    """One operator's keys are nothing to another."""
    return hashlib.sha256(f"{operator}\n{idempotency_key}".encode()).digest()


def amount(nanos: int) -> str:
    """Money as it stands in the record."""
    return format_amount(nanos)


def of_key(settings: KeySettings) -> dict[str, object]:
    """A key's settings as they stand in the record."""
    told: dict[str, object] = msgspec.to_builtins(settings)
    limit = told.pop("budget_limit")
    return {**told, "budget": None if limit is None else amount(settings.budget_limit or 0)}


def of_prices(body: str | None) -> dict[str, object] | None:
    """A model's own prices, of the text that is stored of them."""
    return None if body is None else {unit.value: amount(rate) for unit, rate in parse_override(body).items()}


@contextmanager
def doing(database: Database, operator: Operator, now: int, action: str, subject: str = "") -> Iterator[Doing]:
    """One transaction: what is done inside and its record. `subject` may be set inside, if it is made there."""
    with database.transaction() as transaction:
        act = Doing(transaction=transaction, subject=subject)
        yield act
        write(transaction, operator, now, action, act.subject, was=act.was, became=act.became)


def write(
    within: Transaction, operator: Operator, now: int, action: str, subject: str, *, was: Facts | None,
    became: Facts | None,
) -> int:  # fmt: skip
    """One act. `ConstraintViolated` if the operator's request was acted on before."""
    values = (now, operator.name, operator.address, action, subject, _json(was), _json(became), operator.request_key)
    return int(within.execute(SQL["act_add"], values)[0][0])


def read(
    database: Database, *, subject: str = "", operator: str = "", before: int | None = None, limit: int
) -> list[Act]:
    """Newest first; `before` is the id of the last one of the page before."""
    where, values = ["id < ?"], [before if before is not None else 2**63 - 1]
    for column, text in (("subject", subject), ("operator", operator)):
        if text:
            where.append(f"{column} = ?")
            values.append(text)  # type: ignore[arg-type]
    sql = f"{SQL['act_columns']} WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?"
    return [_act(row) for row in database.fetch_now(sql, (*values, limit))]


def _act(row: Any) -> Act:
    id, at, operator, address, action, subject, was, became = row
    return Act(
        id=id, at=at, operator=operator, address=address, action=action, subject=subject,
        was=None if was is None else msgspec.json.decode(was),
        became=None if became is None else msgspec.json.decode(became),
    )  # fmt: skip


def _json(facts: Facts | None) -> str | None:
    return None if facts is None else _ENCODER.encode(facts).decode()
