"""Requests that the gateway writes itself, to providers of another dialect: sent, and refused in the client's words."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from proxyapi.dialects import faults
from proxyapi.errors import UpstreamBroken
from proxyapi.gateway.entrance import JSON_HEADERS
from proxyapi.gateway.fallback import after_kind, after_status
from proxyapi.gateway.headers import read_foreign_reply
from proxyapi.gateway.replies import REFUSAL_BYTES_MAX, amount_text
from proxyapi.gateway.upstream import failure, refused_credential
from proxyapi.wire.errors import WireError

if TYPE_CHECKING:
    from proxyapi.dialects.call import WireName
    from proxyapi.dialects.model import Failed
    from proxyapi.gateway.bill import Bill, Bills
    from proxyapi.gateway.upstream import Upstream
    from proxyapi.gateway.visit import Visit
    from proxyapi.telemetry import Metrics
    from proxyapi.wire.client import Response

_COSTS = b"%bx-proxyapi-estimate: %b\r\nx-proxyapi-cost: %b\r\n"
_OURS = frozenset({"unauthenticated", "insufficient_balance"})
"""Refusals that are about the operator's account at the provider."""


class Foreign:
    def __init__(
        self,
        *,
        upstream: Upstream,
        bills: Bills,
        metrics: Metrics,
        clock: Callable[[], float],
        reply_bytes_max: int,
    ) -> None:
        """`clock`: monotonic seconds."""
        self._upstream = upstream
        self._bills = bills
        self._metrics = metrics
        self._clock = clock
        self._reply_bytes_max = reply_bytes_max

    async def send(self, visit: Visit, bill: Bill, path: str, lines: bytes, body: bytes) -> Response:
        """Returns when the head of the answer is there. `lines`: header fields. UpstreamError."""
        provider = bill.target.provider
        try:
            head = self._upstream.send_as(provider, path, lines, body)
            response = await self._upstream.for_client(visit, bill, head)
        except WireError as error:
            raise self._upstream.failed(error, provider) from error
        visit.first_byte_ms = (self._clock() - visit.started) * 1000
        bill.status = response.status
        bill.header, bill.upstream_id = read_foreign_reply(response.headers)
        return response

    def answers(self, bill: Bill, response: Response) -> bool:
        """Whether this is an answer, which is counted then; else `refused` tells what it is."""
        if not 200 <= response.status < 300:
            return False
        encoding = response.header(b"content-encoding")
        if encoding is not None and encoding.lower() != b"identity":
            raise UpstreamBroken(f"{bill.target.provider.title} answered in an encoding that nobody asked for.")
        self._metrics.first_byte(bill.visit.first_byte_ms)
        return True

    async def refused(self, bill: Bill, response: Response) -> Failed:
        """What the provider says instead of an answer."""
        provider, status = bill.target.provider, response.status
        ours = refused_credential(status, provider)
        if ours is None and status < 400:
            ours = UpstreamBroken(f"{provider.title} answered with status {status}: no API call expects that.")
        if ours is not None:
            self._metrics.upstream_errors[provider.name, ours.code] += 1
            raise ours
        try:
            return faults.read_error(await response.read(REFUSAL_BYTES_MAX), status)
        except WireError as error:
            raise failure(error, provider.title) from error

    def refuse(self, visit: Visit, bill: Bill, client: WireName, told: bytes, failed: Failed) -> None:
        """The provider's words in the client's dialect. Its own status, unless the fault is the operator's.

        `told`: further header lines.
        """
        provider = bill.target.provider
        ours = refused_credential(401, provider) if failed.kind in _OURS else None
        self._metrics.upstream_errors[provider.name, ours.code if ours is not None else str(failed.status)] += 1
        decision = after_status(bill.status, provider) if bill.status >= 400 else after_kind(failed)
        bill.go_on(decision, bill.missed or "upstream_refused")
        if ours is not None:
            raise ours
        bill.release("upstream_refused")
        status, body = faults.refusal(faults.shape_of(client), failed, visit.request_id)
        headers = JSON_HEADERS + bill.header + told
        if failed.retry_after_seconds is not None and b"retry-after: " not in bill.header:
            headers += b"retry-after: %d\r\n" % math.ceil(failed.retry_after_seconds)
        visit.respond(status, headers, body)

    async def read(self, bill: Bill, response: Response) -> bytes:
        """The body of an answer. UpstreamError."""
        body = response.arrived(self._reply_bytes_max)
        if body is not None:
            return body
        try:
            return await response.read(self._reply_bytes_max)
        except WireError as error:
            raise failure(error, bill.target.provider.title) from error

    async def respond(self, visit: Visit, bill: Bill, told: bytes, cost: int, body: bytes) -> None:
        """A whole answer. `told`: further header lines; `cost`: nanos."""
        lines = JSON_HEADERS + told + _COSTS % (bill.header, amount_text(bill.amount), amount_text(cost))
        if visit.caller is not None and visit.caller.may_query_balance:
            lines += await self._bills.balance_header(bill)
        visit.respond(200, lines, body)
