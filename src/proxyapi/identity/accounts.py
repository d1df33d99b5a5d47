"""Management of accounts and keys: what the command line and the console do. Blocking; one transaction each.

Every edit bumps the revision `identity`, so that running workers act on it within a second. Errors are those of the
gateway: NotFound, Conflict, and InvalidRequest naming the field.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import msgspec
from msgspec import Struct

from proxyapi.errors import Conflict, InvalidRequest, NotFound
from proxyapi.identity import pause
from proxyapi.identity.addresses import parse_network
from proxyapi.identity.keys import KEY_SHOWN_CHARACTERS, digest_of, new_key, texts
from proxyapi.identity.permissions import ENDPOINTS
from proxyapi.identity.queries import QUERIES
from proxyapi.ledger.offline import OfflineLedger
from proxyapi.ledger.ops import AMOUNT_MAX, Budget, Period
from proxyapi.money import format_amount
from proxyapi.store.database import Database, Transaction, joined
from proxyapi.store.errors import ConstraintViolated

NAME_CHARACTERS_MAX = 100
LIST_ITEMS_MAX = 200
"""Patterns, endpoints or networks of one key: each request looks through them."""
ITEM_CHARACTERS_MAX = 200
PER_MINUTE_MAX = 10**12
LOG_DAYS = (0, 3, 7, 30, 365)
"""How long a request log may reach back."""
NAMESAKES_MAX = 100
"""Accounts whose names differ by their number only."""

Status = Literal["active", "disabled", "revoked"]
WhenShort = Literal["refuse", "shorten"]
"""What happens to a request that may cost more than there is: 402, or a lower output ceiling."""


class Account(Struct, frozen=True, kw_only=True):
    """A customer's wallet. Amounts in nanos, times in milliseconds since 1970."""

    id: int
    name: str
    funded: int = 0
    spent: int = 0
    held: int = 0
    credit: int = 0
    blocked: bool = False
    created_at: int
    when_short: WhenShort = "refuse"
    log_days: int = 0
    """How long its requests and answers are kept for it; 0: not at all."""

    @property
    def balance(self) -> int:
        """What was paid in and not spent."""
        return self.funded - self.spent

    @property
    def available(self) -> int:
        """What a new request can take."""
        return self.balance + self.credit - self.held


class KeySettings(Struct, frozen=True, kw_only=True):
    """Everything about a key that can be edited."""

    name: str = ""
    models: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    budget_limit: int | None = None
    """Nanos; None: no budget of its own."""
    budget_period: Period = "never"
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    may_query_balance: bool = False
    expires_at: int | None = None
    """Milliseconds since 1970; None: never."""


class Key(Struct, frozen=True, kw_only=True):
    """A key as the operator sees it: never the key itself."""

    id: int
    account_id: int
    account_name: str
    prefix: str
    status: Status
    created_at: int
    last_used_at: int | None
    settings: KeySettings


class Accounts:
    """Wallets."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        """`clock` is seconds since 1970."""
        self._database = database
        self._clock = clock

    def create(self, name: str, *, within: Transaction | None = None) -> Account:
        """Conflict if the name is taken. `within`, here and below: a transaction of the caller's to be part of."""
        name = _account_name(name)
        now = int(self._clock() * 1000)
        try:
            with joined(self._database, within) as transaction:
                rows = transaction.execute(QUERIES["account_add"], (name, now))
                transaction.execute(QUERIES["bump_identity"])
        except ConstraintViolated:
            raise Conflict(f"There is already an account named {name}.", param="name") from None
        return Account(id=rows[0][0], name=name, created_at=now)

    def list(self) -> list[Account]:
        """All, oldest first."""
        return [_account(row) for row in self._database.fetch_now(QUERIES["account_columns"] + " ORDER BY id")]

    def find(self, text: str) -> Account:
        """By name or by id. NotFound."""
        rows = self._database.fetch_now(
            QUERIES["account_columns"] + " AND (name = ? OR id = ?) ORDER BY id", (text, _number(text))
        )
        if not rows:
            raise NotFound(f"There is no account {text}.")
        return _account(rows[0])

    def get(self, account_id: int) -> Account:
        """NotFound."""
        rows = self._database.fetch_now(QUERIES["account_columns"] + " AND id = ?", (account_id,))
        if not rows:
            raise NotFound(f"There is no account {account_id}.")
        return _account(rows[0])

    def set_blocked(self, account_id: int, blocked: bool, *, within: Transaction | None = None) -> None:
        """A blocked account's keys answer 401. Requests in flight finish."""
        with joined(self._database, within) as transaction:
            transaction.execute(QUERIES["account_block"], (int(blocked), account_id))
            transaction.execute(QUERIES["bump_identity"])

    def edit(self, account_id: int, *, when_short: WhenShort, within: Transaction | None = None) -> None:
        """Requests that begin within a second from now follow it."""
        with joined(self._database, within) as transaction:
            transaction.execute(QUERIES["account_edit"], (when_short, account_id))
            transaction.execute(QUERIES["bump_identity"])

    def set_log_days(self, account_id: int, days: int, *, within: Transaction | None = None) -> None:
        """0: requests are kept no longer. What was kept stays until somebody, or the next pruning, deletes it."""
        if days not in LOG_DAYS:
            raise InvalidRequest(
                f"the request log is kept for {', '.join(map(str, LOG_DAYS[1:]))} days, or 0", param="days"
            )
        with joined(self._database, within) as transaction:
            transaction.execute(QUERIES["account_log"], (days, account_id))
            transaction.execute(QUERIES["bump_identity"])

    def end_pauses(self, account_id: int, *, within: Transaction | None = None) -> None:
        """After a deposit: the account's keys may call again at once."""
        now = int(self._clock() * 1000)
        with joined(self._database, within) as transaction:
            transaction.execute(pause.END_FOR_ACCOUNT, (now, account_id, now))
            transaction.execute(pause.CLEAR_FOR_ACCOUNT, (account_id,))
            transaction.execute(pause.BUMP)


class KeyRing:
    """The keys of all accounts."""

    def __init__(
        self,
        database: Database,
        ledger: OfflineLedger,
        clock: Callable[[], float],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """`clock` is seconds since 1970, `random_bytes` is `os.urandom`."""
        self._database = database
        self._ledger = ledger
        self._clock = clock
        self._random_bytes = random_bytes

    def create(self, account_id: int, settings: KeySettings, *, within: Transaction | None = None) -> tuple[int, str]:
        """Id and the key in plain text, which nobody can read again. InvalidRequest names a wrong setting."""
        row = _row(checked(settings))
        key = new_key(self._random_bytes)
        start = (account_id, digest_of(key.encode()), key[:KEY_SHOWN_CHARACTERS], int(self._clock() * 1000))
        with joined(self._database, within) as transaction:
            rows = transaction.execute(QUERIES["key_add"], (*start, *row))
            transaction.execute(QUERIES["bump_identity"])
        return int(rows[0][0]), key

    def renew(self, key_id: int, *, expires_at: int) -> str:
        """Another key in the place of this one, which works no more: same id, same settings. In plain text."""
        key = new_key(self._random_bytes)
        with self._database.transaction() as transaction:
            parameters = (digest_of(key.encode()), key[:KEY_SHOWN_CHARACTERS], expires_at, key_id)
            transaction.execute(QUERIES["key_renew"], parameters)
            transaction.execute(QUERIES["bump_identity"])
        return key

    def list(self, account_id: int | None = None) -> list[Key]:
        """All of one account or of all, oldest first; revoked ones too."""
        where, parameters = (" WHERE k.account_id = ?", (account_id,)) if account_id is not None else ("", ())
        rows = self._database.fetch_now(QUERIES["key_columns"] + where + " ORDER BY k.id", parameters)
        return [_key(row) for row in rows]

    def find(self, text: str) -> Key:
        """By id, by a name that only one key has, by its first characters, or by the key itself. NotFound, Conflict."""
        digest = digest_of(text.encode()) if text.startswith("sk-") else b""
        shown = text[:KEY_SHOWN_CHARACTERS] if len(text) == KEY_SHOWN_CHARACTERS else ""
        rows = self._database.fetch_now(
            QUERIES["key_columns"] + " WHERE k.id = ? OR k.digest = ?", (_number(text), digest)
        ) or self._database.fetch_now(
            QUERIES["key_columns"] + " WHERE k.name <> '' AND k.name = ? OR k.prefix = ? ORDER BY k.id", (text, shown)
        )
        if not rows:
            raise NotFound("There is no such key." if digest else f"There is no key {text}.")
        if len(rows) > 1:
            raise Conflict(
                f"{len(rows)} keys are called {text}: use the id ({', '.join(str(row[0]) for row in rows)})."
            )
        return _key(rows[0])

    def edit(
        self, key_id: int, change: Callable[[KeySettings], KeySettings], *, within: Transaction | None = None
    ) -> Key:
        """`change` makes the new settings of the current ones, within the transaction."""
        with joined(self._database, within) as transaction:
            key = _load(transaction, key_id)
            if key.status == "revoked":
                raise Conflict(f"Key {key_id} is revoked: nothing about it can be changed.")
            settings = checked(change(key.settings))
            transaction.execute(QUERIES["key_edit"], (*_row(settings), key_id))
            before = (key.settings.budget_limit, key.settings.budget_period)
            if settings.budget_limit is not None and (settings.budget_limit, settings.budget_period) != before:
                budget = Budget(key_id, settings.budget_period, settings.budget_limit)
                self._ledger.set_limit(budget, within=transaction)
            transaction.execute(QUERIES["bump_identity"])
        return msgspec.structs.replace(key, settings=settings)

    def set_status(self, key_id: int, status: Status, *, within: Transaction | None = None) -> None:
        """Disabling can be undone, revoking can't: Conflict."""
        with joined(self._database, within) as transaction:
            if _load(transaction, key_id).status == "revoked" and status != "revoked":
                raise Conflict(f"Key {key_id} is revoked, which cannot be undone: create another one.")
            transaction.execute(QUERIES["key_status"], (status, key_id))
            transaction.execute(QUERIES["bump_identity"])


def add_account(transaction: Transaction, name: str, now: int) -> int:
    """A new wallet within a transaction; its id. If the name is taken, a number follows it."""
    for number in range(1, NAMESAKES_MAX):
        taken = transaction.execute(QUERIES["account_columns"] + " AND name = ?", (name,))
        if not taken:
            break
        name = f"{name.partition(' #')[0]} #{number + 1}"
    account_id = int(transaction.execute(QUERIES["account_add"], (name, now))[0][0])
    transaction.execute(QUERIES["bump_identity"])
    return account_id


def checked(settings: KeySettings) -> KeySettings:
    """The settings in their normal form. InvalidRequest names the wrong one."""
    if len(settings.name) > NAME_CHARACTERS_MAX:
        raise InvalidRequest(f"name has more than {NAME_CHARACTERS_MAX} characters", param="name")
    if not settings.name.isprintable():
        raise InvalidRequest("name has characters that can't be printed", param="name")
    for name in ("models", "endpoints", "networks"):
        _check_list(name, getattr(settings, name))
    for endpoint in settings.endpoints:
        if endpoint not in ENDPOINTS:
            raise InvalidRequest(f"{endpoint} is no endpoint: {', '.join(ENDPOINTS)}", param="endpoints")
    try:
        networks = tuple(str(parse_network(text)) for text in settings.networks)
    except ValueError as error:
        raise InvalidRequest(str(error), param="networks") from None
    if settings.budget_limit is not None and not 0 <= settings.budget_limit <= AMOUNT_MAX:
        raise InvalidRequest(f"a budget is from 0 to {format_amount(AMOUNT_MAX)}", param="budget")
    if settings.budget_period not in get_args(Period):
        raise InvalidRequest(f"{settings.budget_period} is not one of {', '.join(get_args(Period))}", param="period")
    for name in ("requests_per_minute", "tokens_per_minute"):
        limit = getattr(settings, name)
        if limit is not None and not 0 < limit <= PER_MINUTE_MAX:
            raise InvalidRequest(f"{name} has to be a number from 1 to {PER_MINUTE_MAX}", param=name)
    return msgspec.structs.replace(settings, networks=networks)


def _check_list(name: str, items: Sequence[str]) -> None:
    if len(items) > LIST_ITEMS_MAX:
        raise InvalidRequest(f"{name} has more than {LIST_ITEMS_MAX} items", param=name)
    if any(not item.strip() or len(item) > ITEM_CHARACTERS_MAX for item in items):
        raise InvalidRequest(f"{name} has an item that is empty or longer than {ITEM_CHARACTERS_MAX}", param=name)


def _account_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > NAME_CHARACTERS_MAX or not name.isprintable():
        raise InvalidRequest(f"an account's name has 1 to {NAME_CHARACTERS_MAX} printable characters", param="name")
    if name.isdecimal():
        raise InvalidRequest("an account's name is not a mere number: those are ids", param="name")
    return name


def _number(text: str) -> int:
    """An id, or one that nothing has."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else -1


def _load(transaction: Transaction, key_id: int) -> Key:
    """Locked until the transaction ends, so that two edits come one after the other."""
    transaction.execute(QUERIES["key_lock"], (key_id,))
    rows = transaction.execute(QUERIES["key_columns"] + " WHERE k.id = ?", (key_id,))
    if not rows:
        raise NotFound(f"There is no key {key_id}.")
    return _key(rows[0])


def _account(row: Sequence[Any]) -> Account:
    account_id, name, funded, spent, held, credit, blocked, created_at, when_short, log_days = row
    return Account(
        id=account_id, name=name, funded=funded, spent=spent, held=held, credit=credit, blocked=bool(blocked),
        created_at=created_at, when_short=when_short, log_days=log_days,
    )  # fmt: skip


def _key(row: Sequence[Any]) -> Key:
    key_id, account_id, account_name, prefix, status, created_at, last_used_at, *rest = row
    name, models, endpoints, networks, limit, period, rpm, tpm, may_query, expires_at = rest
    settings = KeySettings(
        name=name,
        models=texts(models),
        endpoints=texts(endpoints),
        networks=texts(networks),
        budget_limit=limit,
        budget_period=period,
        requests_per_minute=rpm,
        tokens_per_minute=tpm,
        may_query_balance=bool(may_query),
        expires_at=expires_at,
    )
    return Key(
        id=key_id,
        account_id=account_id,
        account_name=account_name,
        prefix=prefix,
        status=status,
        created_at=created_at,
        last_used_at=last_used_at,
        settings=settings,
    )


def _row(settings: KeySettings) -> tuple[object, ...]:
    """In the order of `key_add` and `key_edit`."""
    return (
        settings.name,
        *(msgspec.json.encode(getattr(settings, name)).decode() for name in ("models", "endpoints", "networks")),
        settings.budget_limit,
        settings.budget_period,
        settings.requests_per_minute,
        settings.tokens_per_minute,
        int(settings.may_query_balance),
        settings.expires_at,
    )
