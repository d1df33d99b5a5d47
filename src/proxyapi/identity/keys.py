"""A request's key becomes its `Caller`: extraction, digest, and a cache that forgets within a second of an edit.

Keys are `sk-` and 48 random letters and digits. Only their SHA-256 digest is stored: with 285 random bits there is
nothing that a slow hash would protect.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import unquote_plus

import msgspec
from msgspec import Struct

from proxyapi.errors import StoreUnavailable, Unauthenticated
from proxyapi.identity.addresses import Network, is_key, parse_network, strip_key
from proxyapi.identity.permissions import check_address, check_balance_query, check_endpoint, check_model
from proxyapi.identity.queries import QUERIES
from proxyapi.identity.revisions import Fetch
from proxyapi.ledger.ops import Budget

__all__ = [
    "Caller", "Keys", "check_address", "check_balance_query", "check_endpoint", "check_model", "credential",
    "digest_of", "new_key", "strip_key",
]  # fmt: skip

KEY_PREFIX = "sk-"
KEY_CHARACTERS = 48
KEY_SHOWN_CHARACTERS = 7
"""`sk-` and four more tell the keys of an account apart and give 24 of 285 bits away."""
CREDENTIAL_BYTES_MAX = 512
"""Longer ones are no keys of ours and are not worth hashing."""
CALLERS_MAX = 50_000
"""Callers kept in memory, about 1 kB each."""
STRANGERS_MAX = 10_000
STRANGER_SECONDS = 5.0
"""A wrong key is asked of the store once in so long. A new one works at once: creating it drops the cache."""
LOOKUP_SECONDS = 1.5
"""A store that does not answer is one that is away: the client hears so within two seconds."""

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_BYTES_FAIR = 248
"""4 × 62: bytes from here on are thrown away, so that every character is equally likely."""
_HEADERS = {b"x-api-key": 1, b"x-goog-api-key": 2}

Headers = Iterable[tuple[bytes, bytes]]


class Caller(Struct, frozen=True, kw_only=True):
    """Who calls, and what this key may do."""

    account_id: int
    account_name: str = ""
    shortens: bool = False
    """The account's policy: a request that is too dear gets a lower output ceiling instead of a refusal."""
    key_id: int
    key_name: str = ""
    budget: Budget | None = None
    models: tuple[str, ...] = ()
    """Patterns; empty: every model."""
    endpoints: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    may_query_balance: bool = False
    expires_at: int = 0
    """Milliseconds since 1970; 0: never."""
    paused_until: int = 0
    """Milliseconds since 1970; in the past: not paused."""
    pause_level: int = 0
    pause_triggered_at: int = 0
    """Milliseconds since 1970 of the last pause."""
    log_days: int = 0
    """How long the account keeps its requests; 0: not at all."""


def new_key(random_bytes: Callable[[int], bytes]) -> str:
    """A fresh key in plain text, to be shown once. `random_bytes` is `os.urandom`."""
    characters: list[str] = []
    while len(characters) < KEY_CHARACTERS:
        characters += [_ALPHABET[byte % 62] for byte in random_bytes(KEY_CHARACTERS) if byte < _BYTES_FAIR]
    return KEY_PREFIX + "".join(characters[:KEY_CHARACTERS])


def digest_of(credential: bytes) -> bytes:
    """What is stored and looked up of a key."""
    return hashlib.sha256(credential).digest()


def credential(headers: Headers, query: str) -> bytes | None:
    """The key that the client sent; None: none. `Authorization: Bearer` wins over X-API-Key, x-goog-api-key, `?key=`.

    `headers` with lower-cased names; `query` as sent. Unauthenticated if it is absurdly long.
    """
    found, rank = None, 9
    for name, value in headers:
        if name == b"authorization":
            if value[:7].lower() == b"bearer " and (token := value[7:].strip()):
                found = token
                break
        elif name in _HEADERS and _HEADERS[name] < rank and (token := value.strip()):
            found, rank = token, _HEADERS[name]
    if found is None and query:
        found = _key_in(query)
    if found is not None and len(found) > CREDENTIAL_BYTES_MAX:
        raise Unauthenticated
    return found


def _key_in(query: str) -> bytes | None:
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if value and is_key(name):
            return unquote_plus(value).encode("utf-8", "surrogateescape")
    return None


class Keys:
    """Callers by the digest of their key. One per worker, used from its event loop."""

    def __init__(
        self,
        fetch: Fetch,
        clock: Callable[[], float],
        *,
        callers_max: int = CALLERS_MAX,
        strangers_max: int = STRANGERS_MAX,
        stranger_seconds: float = STRANGER_SECONDS,
    ) -> None:
        """`fetch` is `Database.fetch`, `clock` seconds since 1970. Let `Revisions` call `invalidate` on `identity`."""
        self._fetch = fetch
        self._clock = clock
        self._callers_max = callers_max
        self._strangers_max = strangers_max
        self._stranger_seconds = stranger_seconds
        self._callers: OrderedDict[bytes, Caller] = OrderedDict()
        self._strangers: dict[bytes, float] = {}
        self._loading: dict[bytes, asyncio.Task[Caller | None]] = {}
        self._generation = 0

    def cached(self, digest: bytes) -> Caller | None:
        """The caller if it is in memory; None: ask `find`. Costs a dictionary look-up."""
        caller = self._callers.get(digest)
        if caller is None:
            return None
        if caller.expires_at and self._clock() * 1000 >= caller.expires_at:
            del self._callers[digest]
            return None
        self._callers.move_to_end(digest)
        return caller

    async def find(self, digest: bytes) -> Caller:
        """The caller, from the store if need be. Unauthenticated: unknown, disabled, revoked, expired or blocked.

        Any number of requests that ask for one key at once read it once. Raises what `fetch` raises.
        """
        caller = self.cached(digest)
        if caller is not None:
            return caller
        if self._strangers.get(digest, 0.0) > self._clock():
            raise Unauthenticated
        task = self._loading.get(digest)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._load(digest))
            self._loading[digest] = task
            task.add_done_callback(lambda done: self._loaded(digest, done))
        caller = await asyncio.shield(task)
        if caller is None:
            raise Unauthenticated
        return caller

    def invalidate(self) -> None:
        """Forget everything: something about accounts, keys or pauses was edited."""
        self._generation += 1
        self._callers.clear()
        self._strangers.clear()
        self._loading.clear()

    def __len__(self) -> int:
        return len(self._callers)

    def _loaded(self, digest: bytes, task: asyncio.Task[Caller | None]) -> None:
        if self._loading.get(digest) is task:
            del self._loading[digest]
        if not task.cancelled():
            task.exception()  # seen: every waiter may have left, and then nobody else looks

    async def _load(self, digest: bytes) -> Caller | None:
        generation = self._generation
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                rows = await self._fetch(QUERIES["caller"], (digest,))
        except TimeoutError:
            raise StoreUnavailable from None
        caller = caller_of(rows[0]) if rows else None
        now = self._clock()
        if caller is not None and caller.expires_at and now * 1000 >= caller.expires_at:
            caller = None
        if generation == self._generation:
            self._keep(digest, caller, now)
        return caller

    def _keep(self, digest: bytes, caller: Caller | None, now: float) -> None:
        if caller is None:
            if len(self._strangers) >= self._strangers_max:
                self._strangers.clear()
            self._strangers[digest] = now + self._stranger_seconds
            return
        self._callers[digest] = caller
        if len(self._callers) > self._callers_max:
            self._callers.popitem(last=False)


def caller_of(row: Sequence[Any]) -> Caller:
    """A row of the query `caller`."""
    (key_id, key_name, account_id, account_name, models, endpoints, networks, limit, period, rpm, tpm, may_query,
     expires_at, until, level, triggered_at, when_short, log_days) = row  # fmt: skip
    return Caller(
        account_id=account_id,
        account_name=account_name,
        shortens=when_short == "shorten",
        key_id=key_id,
        key_name=key_name,
        budget=None if limit is None else Budget(key_id, period, limit),
        models=texts(models),
        endpoints=texts(endpoints),
        networks=tuple(parse_network(text) for text in texts(networks)),
        requests_per_minute=rpm,
        tokens_per_minute=tpm,
        may_query_balance=bool(may_query),
        expires_at=expires_at or 0,
        paused_until=until or 0,
        pause_level=level or 0,
        pause_triggered_at=triggered_at or 0,
        log_days=log_days,
    )


def texts(json: str) -> tuple[str, ...]:
    """A stored JSON list of texts."""
    return msgspec.json.decode(json, type=tuple[str, ...])
