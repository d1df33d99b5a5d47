"""Vectors from a provider of the other dialect: asked, answered and settled. One body, no stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxyapi.dialects import DIALECTS, embeddings
from proxyapi.dialects.channel import meter_body
from proxyapi.errors import UpstreamBroken
from proxyapi.gateway.headers import to_foreign_provider
from proxyapi.gateway.translate import STRICT_HEADER, loss_lines, refuse_lossy
from proxyapi.money import format_amount
from proxyapi.usage import INPUT_TOKENS

if TYPE_CHECKING:
    from proxyapi.dialects.call import Call
    from proxyapi.dialects.embeddings import Question
    from proxyapi.gateway.bill import Bill, Bills
    from proxyapi.gateway.foreign import Foreign
    from proxyapi.gateway.visit import Visit
    from proxyapi.providers.catalog import Target

_ACTIONS = {"gemini_embed": "batchEmbedContents"}
_SINGLE = "embedContent"


class Embedding:
    def __init__(self, *, foreign: Foreign, bills: Bills, currency: str) -> None:
        self._foreign = foreign
        self._bills = bills
        self._currency = currency

    def question(self, visit: Visit, call: Call, body: bytes, target: Target) -> Question:
        """The request in the provider's dialect. InvalidRequest: it can't be said there."""
        single = visit.route is not None and visit.route.action == _SINGLE
        asked = embeddings.question(call.dialect, body, model=target.model, asked_as=call.model, single=single)
        if visit.exchange.header(STRICT_HEADER) == b"1":
            refuse_lossy(asked.dropped)
        return asked

    async def answer(self, visit: Visit, bill: Bill, asked: Question) -> None:
        """Call the provider and bring its answer. GatewayError: it gave none."""
        provider = bill.target.provider
        action = _ACTIONS.get(asked.provider, "")
        path = provider.path(asked.provider, "embeddings", model=bill.target.model, action=action)
        lines = (
            to_foreign_provider(visit.exchange.head.headers, provider.forwarded_headers)
            + b"content-type: application/json\r\naccept: application/json\r\n"
        )
        told = loss_lines(asked.dropped)
        response = await self._foreign.send(visit, bill, path, lines, asked.body)
        try:
            failed = None if self._foreign.answers(bill, response) else await self._foreign.refused(bill, response)
            data = b"" if failed is not None else await self._foreign.read(bill, response)
        finally:
            response.close()
        if failed is None:
            meter = meter_body(DIALECTS[asked.provider], data, bill.status, bill.call)
            failed = meter.failed
        if failed is not None:
            return self._foreign.refuse(visit, bill, asked.client, told, failed)
        found = embeddings.vectors(asked, data)
        if found is None:
            raise UpstreamBroken(f"{provider.title} answered with other vectors than it was asked for.")
        meter.finished = True
        used = await self._bills.usage_of(bill, meter)
        assert used is not None, "vectors are no empty answer"
        usage, source = used
        bill.settle(usage, source, "completed" if not visit.exchange.gone else "client_gone")
        cost = visit.charged if visit.charged < bill.amount else await bill.charged()
        tokens = sum(quantity for unit, quantity in usage.items() if unit in INPUT_TOKENS)
        body = embeddings.answer(asked, found, tokens=tokens, cost=format_amount(cost), currency=self._currency)
        return await self._foreign.respond(visit, bill, told, cost, body)
