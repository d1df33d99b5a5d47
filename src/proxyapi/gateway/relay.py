"""A paid request, top to bottom. This is the only file that knows the order of the steps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from proxyapi.dialects import DIALECTS
from proxyapi.dialects.multipart import FormScanner, read_form
from proxyapi.errors import GatewayError, UpstreamBroken
from proxyapi.gateway import bodies
from proxyapi.gateway.admission import Admission
from proxyapi.gateway.bill import Bill, Bills
from proxyapi.gateway.headers import upstream_id
from proxyapi.gateway.replies import Replies
from proxyapi.gateway.stored import Stored
from proxyapi.gateway.upstream import Upstream
from proxyapi.gateway.visit import Visit
from proxyapi.identity.keys import check_model
from proxyapi.identity.addresses import strip_key
from proxyapi.pricing import forecast
from proxyapi.pricing.charge import charge
from proxyapi.pricing.tokens import Tokenizer
from proxyapi.usage import INPUT_TOKENS, Usage

if TYPE_CHECKING:
    from proxyapi.dialects.call import Call
    from proxyapi.providers.catalog import Catalog, Target
    from proxyapi.wire.client import BodySource, Response

FORECAST_INLINE_BYTES_MAX = 100_000
"""Larger prompts are counted in a thread: counting would stall the streams of this process."""


class Relay:
    def __init__(
        self,
        *,
        catalog: Catalog,
        bills: Bills,
        upstream: Upstream,
        replies: Replies,
        stored: Stored,
        admission: Admission,
        tokenizer: Tokenizer,
        clock: Callable[[], float],
        body_bytes_max: int,
    ) -> None:
        self._catalog = catalog
        self._bills = bills
        self._upstream = upstream
        self._replies = replies
        self._stored = stored
        self._admission = admission
        self._tokenizer = tokenizer
        self._clock = clock
        self._body_bytes_max = body_bytes_max

    async def paid(self, visit: Visit) -> None:
        """A request with a JSON body."""
        route = visit.route
        assert route is not None, "the entrance found it"
        body = await bodies.read(visit.exchange, self._body_bytes_max)
        dialect = DIALECTS[route.dialect]
        call = dialect.read(body, operation=route.operation, model=route.model, stream=route.stream)
        target = self._target(visit, call)
        await self._stored.check(visit, call)
        bill = await self._hold(visit, call, target)
        await self._answer(visit, bill, dialect.patch(body, call, model=target.model))

    async def upload(self, visit: Visit) -> None:
        """A request with a form: sound or pictures, spooled as they arrive and sent on unchanged."""
        route = visit.route
        assert route is not None, "the entrance found it"
        scanner = FormScanner(visit.exchange.header(b"content-type") or b"")
        upload = await bodies.spool(visit.exchange, self._body_bytes_max, scanner.feed)
        try:
            scan = scanner.close()
            call = read_form(scan, operation=route.operation)
            target = self._target(visit, call)
            call = await self._measured(call, scan, upload)
            bill = await self._hold(visit, call, target)
            await self._answer(visit, bill, upload.renamed(scan.model_span, call.model, target.model))
        finally:
            upload.close()

    def _target(self, visit: Visit, call: Call) -> Target:
        route, caller = visit.route, visit.caller
        assert route is not None and caller is not None, "the entrance found them"
        target = self._catalog.resolve(call.operation, route.dialect, call.model, route.provider)
        visit.provider, visit.model = target.provider.name, target.name
        check_model(caller, target.name, target.model)
        return target

    async def _hold(self, visit: Visit, call: Call, target: Target) -> Bill:
        predicted = await self.forecast(call, target)
        amount = charge(predicted.usage, target.price, variant=predicted.variant)
        assert visit.caller is not None, "the entrance found it"
        self._admission.admit_tokens(visit.caller, prompt_tokens(predicted.usage))
        visit.estimate = amount
        return await self._bills.open(visit, call, target, amount, predicted.variant)

    async def forecast(self, call: Call, target: Target) -> forecast.Forecast:
        """The largest usage of a call; off the event loop when it is much to count."""
        if call.prompt_bytes > FORECAST_INLINE_BYTES_MAX:
            return await asyncio.to_thread(forecast.forecast, call, target, self._tokenizer)
        return forecast.forecast(call, target, self._tokenizer)

    async def _answer(self, visit: Visit, bill: Bill, body: bytes | BodySource) -> None:
        """Call the provider and bring its answer to the client. Whatever happens, the bill is closed once."""
        response: Response | None = None
        try:
            response = await self._upstream.open(visit, bill.target.provider, self._path(visit, bill), body)
            visit.first_byte_ms = (self._clock() - visit.started) * 1000
            bill.status, bill.upstream_id = response.status, upstream_id(response.headers)
            await self._replies.bring(visit, bill, response)
        except GatewayError as error:
            bill.release(error.code)
            raise
        finally:
            # A cancelled or crashed request generated nothing that reached the client.
            bill.release("interrupted")
            if response is not None:
                response.close()

    @staticmethod
    def _path(visit: Visit, bill: Bill) -> str:
        route = visit.route
        assert route is not None, "the entrance found it"
        path = bill.target.provider.path(route.dialect, route.operation, model=bill.target.model, version=route.version,
                                         action=route.action)  # fmt: skip
        query = strip_key(visit.exchange.query)
        return f"{path}?{query}" if query else path


def prompt_tokens(usage: Usage) -> int:
    return sum(quantity for unit, quantity in usage.items() if unit in INPUT_TOKENS)
