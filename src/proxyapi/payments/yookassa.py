"""YooKassa through its official SDK (https://yookassa.ru/developers/api).

Of the SDK we use the calls, the request and response objects and the list of addresses that notices come from. Its HTTP
client is replaced in one method: the SDK's own waits without any timeout, follows redirects with the credentials, turns
every failure of the network into an AttributeError, and keeps shop and secret in class attributes of the process.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

import msgspec
import requests
from msgspec import Struct
from yookassa import Payment, Refund
from yookassa.client import ApiClient
from yookassa.configuration import Configuration
from yookassa.domain.common import RequestObject, UserAgent
from yookassa.domain.common.security_helper import SecurityHelper

from proxyapi.errors import PaymentRefused, PaymentUnknown
from proxyapi.money import NANOS_PER_UNIT
from proxyapi.payments.port import Notice, Order, RefundState, Remote, RemoteRefund, State

API_URL: str = Configuration.api_url
NETWORKS: tuple[str, ...] = tuple(SecurityHelper.YOOKASSA_NETWORKS)
"""Where notices come from: https://yookassa.ru/developers/using-api/webhooks#ip."""
CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
"""A payment is made within seconds; who waits is a thread, and behind it a customer."""
ANSWER_BYTES_MAX = 2**20
NOTICE_BYTES_MAX = 65_536
ID_CHARACTERS_MAX = 64
REFUNDS_PAGE = 100
REFUNDS_MAX = 1_000
"""Of one payment; nobody sends a payment back in so many parts."""

KOPECK = NANOS_PER_UNIT // 100
_CURRENCIES = frozenset({"RUB"})
_REFUSALS = frozenset({400, 401, 403, 404, 405, 410, 415, 422})
"""Answers after which nothing was made. Any other may follow a payment that was: 202, 429, 500, or none at all."""
_NOT_FOUND = 404
_STATES: Mapping[str, State] = {
    "pending": "pending", "waiting_for_capture": "waiting", "succeeded": "succeeded", "canceled": "canceled",
}  # fmt: skip
_REFUND_STATES: Mapping[str, RefundState] = {"pending": "pending", "succeeded": "succeeded", "canceled": "canceled"}
_ORDER = "order_id"
"""Of the metadata: our id."""

_Answer = TypeVar("_Answer")


class _Absent(PaymentRefused):
    """404."""


class _Client(ApiClient):  # type: ignore[misc]
    """The SDK's client with bounds on time and size, and failures that say whether something may have been made."""

    def __init__(self, shop_id: str, secret_key: str, api_url: str) -> None:
        # Not the SDK's own constructor: it reads the process-wide configuration.
        self.endpoint = api_url.rstrip("/")
        self.shop_id = shop_id
        self.shop_password = secret_key
        self.auth_token = None
        self.user_agent = UserAgent()

    def __repr__(self) -> str:
        return f"_Client({self.endpoint!r}, shop {self.shop_id})"

    def request(self, method: str = "", path: str = "", query_params: Any = None, headers: Any = None,
                body: Any = None) -> Any:  # fmt: skip
        """The answer's JSON."""
        if isinstance(body, RequestObject):
            body.validate()
            body = dict(body)
        try:
            with requests.Session() as session:
                session.trust_env = False  # ~/.netrc would replace the credentials
                response = session.request(
                    method, self.endpoint + path, params=query_params, headers=self.prepare_request_headers(headers),
                    json=body, timeout=(CONNECT_SECONDS, READ_SECONDS), allow_redirects=False, stream=True,
                )  # fmt: skip
                content = response.raw.read(ANSWER_BYTES_MAX + 1, decode_content=True)
        except (requests.RequestException, OSError) as error:  # the error may quote the request: its kind is enough
            raise PaymentUnknown(f"YooKassa cannot be reached ({type(error).__name__}).") from None
        except Exception as error:  # noqa: BLE001 - urllib3's own, which are neither of both, while the body is read
            raise PaymentUnknown(f"YooKassa's answer broke off ({type(error).__name__}).") from None
        return _decoded(response.status_code, content)


def _decoded(status: int, content: bytes) -> Any:
    try:
        value = msgspec.json.decode(content) if len(content) <= ANSWER_BYTES_MAX else None
    except msgspec.DecodeError:
        value = None
    if status == 200 and isinstance(value, dict):
        return value
    if status in _REFUSALS:
        told = value if isinstance(value, dict) else {}
        words = [str(told[name])[:200] for name in ("code", "parameter", "description") if told.get(name)]
        raise (_Absent if status == _NOT_FOUND else PaymentRefused)(f"YooKassa refused ({status}): {', '.join(words)}")
    raise PaymentUnknown(f"YooKassa answered {status}, which says neither yes nor no.")


class _Object(Struct):
    id: str = ""
    payment_id: str = ""
    metadata: dict[str, Any] = {}


class _Notice(Struct):
    """https://yookassa.ru/developers/using-api/webhooks: what is read of it."""

    event: str
    object: _Object


_NOTICES = msgspec.json.Decoder(_Notice)


class YooKassa:
    """`port.Provider`. One shop."""

    currencies = _CURRENCIES
    step = KOPECK

    def __init__(
        self, *, shop_id: str, secret_key: str, api_url: str = API_URL, networks: Sequence[str] = NETWORKS
    ) -> None:
        """`networks` that notices may come from; none: from anywhere. ValueError if one of them is no network."""
        self._networks = tuple(ipaddress.ip_network(text, strict=False) for text in networks)
        client = _Client(shop_id, secret_key, api_url)

        class Payments(Payment):  # type: ignore[misc]
            """The SDK's calls on this shop: they make an instance for every call."""

            def __init__(self) -> None:
                self.client = client

        class Returns(Refund):  # type: ignore[misc]
            def __init__(self) -> None:
                self.client = client

        self._payments, self._refunds = Payments, Returns

    def create(self, order: Order) -> Remote:
        body = {
            "amount": _amount(order.amount, order.currency),
            "capture": True,
            "confirmation": {"type": "redirect", "return_url": order.return_url},
            "description": order.description,
            "metadata": {_ORDER: order.id, "account_id": str(order.account_id)},
        }
        return _remote(lambda: self._payments.create(body, order.id))

    def ask(self, id: str) -> Remote | None:
        try:
            return _remote(lambda: self._payments.find_one(_checked(id)))
        except _Absent:
            return None

    def capture(self, remote: Remote) -> Remote:
        return _remote(lambda: self._payments.capture(_checked(remote.id), None, f"capture-{remote.id}"))

    def refund(self, id: str, order_id: str, amount: int, currency: str) -> RemoteRefund:
        body = {"payment_id": _checked(id), "amount": _amount(amount, currency), "metadata": {_ORDER: order_id}}
        return _read(lambda: self._refunds.create(body, order_id), _refund_of)

    def ask_refund(self, id: str) -> RemoteRefund | None:
        try:
            return _read(lambda: self._refunds.find_one(_checked(id)), _refund_of)
        except _Absent:
            return None

    def refunds(self, payment_id: str) -> list[RemoteRefund]:
        found: list[RemoteRefund] = []
        query: dict[str, str | int] = {"payment_id": _checked(payment_id), "limit": REFUNDS_PAGE}
        while len(found) < REFUNDS_MAX:
            page, cursor = _read(partial(self._refunds.list, query), _page)
            found += page
            if not cursor:
                break
            query["cursor"] = cursor
        return found

    def notice(self, body: bytes, address: str) -> Notice | None:
        if self._networks and not self._comes_from_yookassa(address):
            return None
        try:
            notice = _NOTICES.decode(body) if len(body) <= NOTICE_BYTES_MAX else None
        except msgspec.DecodeError:
            return None
        if notice is None:
            return None
        subject, order_id = notice.object, notice.object.metadata.get(_ORDER, "")
        kind = notice.event.partition(".")[0]
        payment_id = subject.id if kind == "payment" else subject.payment_id
        if kind not in ("payment", "refund") or not (_is_id(subject.id) and _is_id(payment_id)):
            return None
        return Notice(
            kind="payment" if kind == "payment" else "refund",
            id=subject.id,
            payment_id=payment_id,
            order_id=order_id if kind == "payment" and isinstance(order_id, str) else "",
        )

    def _comes_from_yookassa(self, address: str) -> bool:
        try:
            at = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(at in network for network in self._networks)


def _is_id(text: str) -> bool:
    """It becomes a part of a path."""
    return 0 < len(text) <= ID_CHARACTERS_MAX and all(c.isascii() and (c.isalnum() or c == "-") for c in text)


def _checked(id: str) -> str:
    if not _is_id(id):
        raise PaymentRefused("That is no id of YooKassa's.")
    return id


def _amount(nanos: int, currency: str) -> dict[str, str]:
    """Whole kopecks; the SDK carries them through a float, which is exact up to 10^13 of them."""
    roubles, kopecks = divmod(nanos // KOPECK, 100)
    return {"value": f"{roubles}.{kopecks:02d}", "currency": currency}


def _nanos(amount: Any) -> int:
    return int(Decimal(amount.value) * NANOS_PER_UNIT)


def _read(call: Callable[[], Any], convert: Callable[[Any], _Answer]) -> _Answer:
    """The SDK's answer in our words. What it cannot read may still be a payment."""
    try:
        return convert(call())
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise PaymentUnknown(f"YooKassa's answer could not be read ({type(error).__name__}).") from None


def _remote(call: Callable[[], Any]) -> Remote:
    return _read(call, _payment_of)


def _payment_of(answer: Any) -> Remote:
    return Remote(
        id=_checked(answer.id),
        order_id=str((answer.metadata or {}).get(_ORDER, "")),
        state=_STATES[answer.status],
        amount=_nanos(answer.amount),
        currency=answer.amount.currency,
        link=getattr(answer.confirmation, "confirmation_url", None) or "",
        reason=_reason(answer),
    )


def _refund_of(answer: Any) -> RemoteRefund:
    return RemoteRefund(
        id=_checked(answer.id),
        payment_id=str(answer.payment_id),
        order_id=str((answer.metadata or {}).get(_ORDER, "")),
        state=_REFUND_STATES[answer.status],
        amount=_nanos(answer.amount),
        currency=answer.amount.currency,
        reason=_reason(answer),
    )


def _page(answer: Any) -> tuple[list[RemoteRefund], str | None]:
    return [_refund_of(item) for item in answer.items or []], answer.next_cursor


def _reason(answer: Any) -> str:
    details = answer.cancellation_details
    return "" if details is None else str(details.reason)
