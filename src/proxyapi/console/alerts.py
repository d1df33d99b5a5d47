"""Word of a balance that runs low: once, until it has been above the threshold again. By e-mail and webhook.

The webhook gets JSON, signed: `x-proxyapi-signature: sha256=HEX` is the HMAC-SHA256 of the body with the secret that
the balance page shows. It is sent once; the e-mail is the one to rely on.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from proxyapi.console.marks import N_
from proxyapi.errors import InvalidRequest
from proxyapi.money import format_amount
from proxyapi.store.database import Database
from proxyapi.store.queries import load_queries

SQL = load_queries("proxyapi.console", "alerts.sql")

SECRET_BYTES = 32
WEBHOOK_CHARACTERS_MAX = 500
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]+\])(?::\d{{1,5}})?")
"""A name of labels that a resolver takes, or an address; no user."""


class Alert(NamedTuple):
    """As its owner has set it. Nanos, milliseconds since 1970."""

    threshold: int
    email: str
    webhook: str
    secret: bytes
    armed: int
    told_at: int | None


class Due(NamedTuple):
    """One that is to be told of now."""

    account_id: int
    threshold: int
    email: str
    webhook: str
    secret: bytes
    language: str
    available: int


class Alerts:
    """Blocking; one transaction each."""

    def __init__(self, database: Database, clock: Callable[[], float], random_bytes: Callable[[int], bytes]) -> None:
        """`clock` is seconds since 1970."""
        self._database = database
        self._clock = clock
        self._random_bytes = random_bytes

    def find(self, account_id: int) -> Alert | None:
        rows = self._database.fetch_now(SQL["alert"], (account_id,))
        return Alert(*rows[0]) if rows else None

    def put(self, account_id: int, *, threshold: int, email: str, webhook: str, language: str) -> None:
        """Set or change it; it tells anew. InvalidRequest names a wrong address."""
        if webhook:
            check_webhook(webhook)
        secret = self._random_bytes(SECRET_BYTES)
        with self._database.transaction() as transaction:
            transaction.execute(SQL["alert_put"], (account_id, threshold, email, webhook, secret, language))

    def drop(self, account_id: int) -> None:
        with self._database.transaction() as transaction:
            transaction.execute(SQL["alert_drop"], (account_id,))

    def due(self) -> list[Due]:
        """Those to be told of: each is given out once, whoever asks. Arms those whose balance is high again."""
        now, found = int(self._clock() * 1000), []
        rows = self._database.fetch_now(SQL["alerts_due"])
        with self._database.transaction() as transaction:
            transaction.execute(SQL["alerts_arm"])
            for row in rows:
                if transaction.execute(SQL["alert_claim"], (now, row[0])):
                    found.append(Due(*row))
        return found


def check_webhook(address: str) -> None:
    """HTTPS, to a named host. Whether the host may be connected to is known when its name is resolved."""
    plain = address.isascii() and address.isprintable() and " " not in address
    try:
        parts = urlsplit(address)
        named = _HOST.fullmatch(parts.netloc) is not None and parts.port != 0
    except ValueError:  # a port beyond 65535, half a bracket
        named = False
    if not named or not plain or parts.scheme != "https" or len(address) > WEBHOOK_CHARACTERS_MAX:
        raise InvalidRequest(N_("An address that begins with https://"), param="webhook")


def webhook_body(due: Due, currency: str, at_ms: int) -> bytes:
    """What the webhook gets."""
    body: dict[str, Any] = {
        "event": "balance_low",
        "available": format_amount(due.available),
        "threshold": format_amount(due.threshold),
        "currency": currency,
        "time": at_ms // 1000,
    }
    return msgspec.json.encode(body)


def signature(secret: bytes, body: bytes) -> str:
    """The value of `x-proxyapi-signature`. The secret is used as it is shown: in hexadecimal."""
    return "sha256=" + hmac.digest(secret.hex().encode(), body, "sha256").hex()
