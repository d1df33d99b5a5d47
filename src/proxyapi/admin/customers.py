"""Accounts of customers and their keys, as operators see and change them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from proxyapi.admin.acts import KEY_VERBS, SQL, Operator, of_key
from proxyapi.admin.office import LIMIT_MAX, Office, id_cursor, number_cursor
from proxyapi.admin.views import (
    AccountView,
    EntryView,
    KeyView,
    Money,
    NewKeyView,
    Page,
    maybe_moment,
    moment,
    page,
)
from proxyapi.errors import NotFound
from proxyapi.identity.accounts import Key, KeySettings, Status, WhenShort
from proxyapi.ids import format_id, parse_id
from proxyapi.ledger.periods import HOUR_MS
from proxyapi.ledger.receipt import operator_json, receipt_now

State = Literal["all", "low", "blocked"]
LOW_NANOS = 100 * 10**9
"""What is called little money: enough for some requests, and time to say so."""
QUERY_CHARACTERS_MAX = 200

_OF_REQUESTS = frozenset({"settle", "release", "expire", "correction"})
_STATES = {
    "all": "",
    "low": f" AND a.blocked = 0 AND a.funded - a.spent < {LOW_NANOS}",
    "blocked": " AND a.blocked = 1",
}


def month_start(now_ms: int) -> int:
    """Milliseconds of the first of the month, UTC."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    return int(datetime(now.year, now.month, 1, tzinfo=UTC).timestamp()) * 1000


def search(
    office: Office, *, query: str = "", state: State = "all", after: str = "", limit: int = 50
) -> Page[AccountView]:
    """Newest first, by a part of the name or of a user's e-mail address, or by the number."""
    limit = min(limit, LIMIT_MAX)
    where, values = _STATES[state], [number_cursor(after)]
    if query := query.strip()[:QUERY_CHARACTERS_MAX]:
        part = f"%{escaped(query.lower())}%"
        where += (
            " AND (lower(a.name) LIKE ? ESCAPE '!' OR a.id = ?"
            " OR a.id IN (SELECT u.account_id FROM console_user u WHERE u.email LIKE ? ESCAPE '!'))"
        )
        values += [part, int(query) if query.isascii() and query.isdecimal() and len(query) < 19 else -1, part]  # type: ignore[list-item]
    sql = f"{SQL['account_columns']} AND a.id < ?{where} ORDER BY a.id DESC LIMIT ?"
    rows = office.database.fetch_now(sql, (*values, limit + 1))
    found = _accounts(office, rows)
    return page(found, limit, str(found[limit - 1].id) if len(found) > limit else "")


def account(office: Office, id: int) -> AccountView:
    """NotFound."""
    rows = office.database.fetch_now(f"{SQL['account_columns']} AND a.id = ?", (id,))
    if not rows:
        raise NotFound(f"There is no account {id}.")
    return _accounts(office, rows)[0]


def create(office: Office, operator: Operator, name: str) -> AccountView:
    """Conflict if the name is taken."""
    with office.doing(operator, "account.create", "") as act:
        made = office.accounts.create(name, within=act.transaction)
        act.subject, act.became = f"account {made.id}", {"name": made.name}
    return account(office, made.id)


def set_blocked(office: Office, operator: Operator, id: int, blocked: bool) -> AccountView:
    """A blocked account's keys answer 401 within a second; requests that run are finished and charged."""
    before = account(office, id)
    if before.blocked != blocked:
        with office.doing(operator, "account.block" if blocked else "account.unblock", f"account {id}") as act:
            office.accounts.set_blocked(id, blocked, within=act.transaction)
            act.was, act.became = {"blocked": before.blocked}, {"blocked": blocked}
    return account(office, id)


def set_when_short(office: Office, operator: Operator, id: int, when_short: WhenShort) -> AccountView:
    """Refuse or shorten requests that may cost more than there is, from the next ones on."""
    before = account(office, id)
    if before.when_short != when_short:
        with office.doing(operator, "account.when_short", f"account {id}") as act:
            office.accounts.edit(id, when_short=when_short, within=act.transaction)
            act.was, act.became = {"when_short": before.when_short}, {"when_short": when_short}
    return account(office, id)


def receipt(office: Office, request: str) -> dict[str, object]:
    """As `ReceiptView` says. NotFound."""
    try:
        found = receipt_now(office.database, parse_id(request))
    except ValueError:
        found = None
    if found is None:
        raise NotFound(f"There is no request {request[:40]}.")
    return operator_json(found, office.currency)


def entries(office: Office, id: int, *, after: str = "", limit: int = 50) -> Page[EntryView]:
    """The account's journal, newest first."""
    account(office, id)
    limit = min(limit, LIMIT_MAX)
    sql = f"{SQL['entry_columns']} WHERE account_id = ? AND id < ? ORDER BY id DESC LIMIT ?"
    rows = office.database.fetch_now(sql, (id, id_cursor(after), limit + 1))
    return page([_entry(row) for row in rows], limit, format_id(rows[limit - 1][0]) if len(rows) > limit else "")


# --- keys ----------------------------------------------------------------------------------------------------------


def keys(office: Office, account_id: int) -> list[KeyView]:
    """Of one account, oldest first; revoked ones too."""
    account(office, account_id)
    return [key_view(key) for key in office.keys.list(account_id)]


def key(office: Office, id: int) -> KeyView:
    """NotFound."""
    return key_view(office.keys.find(str(id)))


def create_key(office: Office, operator: Operator, account_id: int, settings: KeySettings) -> NewKeyView:
    """InvalidRequest names a wrong setting."""
    account(office, account_id)
    with office.doing(operator, "key.create", "") as act:
        id, text = office.keys.create(account_id, settings, within=act.transaction)
        act.subject, act.became = f"key {id}", {"account": account_id, **of_key(settings)}
    return NewKeyView(key=text, settings=key(office, id))


def edit_key(office: Office, operator: Operator, id: int, settings: KeySettings) -> KeyView:
    """All settings at once. Conflict: the key is revoked."""
    before = office.keys.find(str(id))
    with office.doing(operator, "key.edit", f"key {id}") as act:
        after = office.keys.edit(id, lambda _: settings, within=act.transaction)
        act.was, act.became = of_key(before.settings), of_key(after.settings)
    return key(office, id)


def set_key_status(office: Office, operator: Operator, id: int, status: Status) -> KeyView:
    """Revoking cannot be undone: Conflict."""
    before = office.keys.find(str(id))
    if before.status != status:
        with office.doing(operator, f"key.{KEY_VERBS[status]}", f"key {id}") as act:
            office.keys.set_status(id, status, within=act.transaction)
            act.was, act.became = {"status": before.status}, {"status": status}
    return key(office, id)


def key_view(key: Key) -> KeyView:
    settings = key.settings
    return KeyView(
        id=key.id, account_id=key.account_id, prefix=key.prefix, status=key.status, name=settings.name,
        models=list(settings.models), endpoints=list(settings.endpoints), networks=list(settings.networks),
        budget=None if settings.budget_limit is None else Money(settings.budget_limit), period=settings.budget_period,
        requests_per_minute=settings.requests_per_minute, tokens_per_minute=settings.tokens_per_minute,
        may_query_balance=settings.may_query_balance, created_at=moment(key.created_at),
        last_used_at=maybe_moment(key.last_used_at), expires_at=maybe_moment(settings.expires_at),
    )  # fmt: skip


# --- rows ----------------------------------------------------------------------------------------------------------


def _accounts(office: Office, rows: Sequence[Sequence[Any]]) -> list[AccountView]:
    ids = [row[0] for row in rows]
    since = month_start(office.clock_ms()) // HOUR_MS
    spent: dict[int, int] = dict(office.database.fetch_now(SQL["spent_since"], (since, ids)))
    users: dict[int, list[str]] = {}
    for account_id, email in office.database.fetch_now(SQL["users_of_accounts"], (ids,)):
        users.setdefault(account_id, []).append(email)
    return [_account(row, int(spent.get(row[0], 0)), users.get(row[0], [])) for row in rows]


def _account(row: Sequence[Any], spent_this_month: int, users: list[str]) -> AccountView:
    id, name, funded, spent, held, credit, blocked, created_at, when_short, keys = row
    return AccountView(
        id=id, name=name, balance=Money(funded - spent), held=Money(held),
        available=Money(funded + credit - spent - held), spent_this_month=Money(spent_this_month), spent=Money(spent),
        funded=Money(funded), blocked=bool(blocked), when_short=when_short, keys=keys,
        users=users, created_at=moment(created_at),
    )  # fmt: skip


def _entry(row: Sequence[Any]) -> EntryView:
    id, kind, at, added, charged, loss, provider, model, operation, ending, status, reference, note, ref = row
    request = format_id(ref or id) if kind in _OF_REQUESTS else None  # whose note is the attempts: see its receipt
    return EntryView(
        id=format_id(id), request=request, kind=kind, at=moment(at), amount=Money(added),
        charged=Money(charged), loss=Money(loss), provider=provider, model=model, operation=operation, ending=ending,
        status=status, reference=reference, note=None if request else note,
    )  # fmt: skip


def escaped(text: str) -> str:
    """For a LIKE with `ESCAPE '!'`."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
