"""The answer of a provider of another dialect on its way to the client: sent, translated, settled.

Money is settled from the provider's own words, by the same functions as on passthrough. As long as nothing went to the
client, whatever goes wrong is answered with a status, also where the provider began with 200.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from proxyapi.dialects import faults
from proxyapi.dialects.channel import Meter
from proxyapi.dialects.codec import Encoder
from proxyapi.dialects.gemini.array import ArrayEncoder
from proxyapi.dialects.model import Failed
from proxyapi.dialects.reshape import Reshape
from proxyapi.dialects.translation import Translation
from proxyapi.errors import GatewayError, UpstreamBroken
from proxyapi.gateway.entrance import JSON_HEADERS
from proxyapi.gateway.headers import read_foreign_reply
from proxyapi.gateway.replies import REFUSAL_BYTES_MAX, amount_text
from proxyapi.gateway.translate import Translated, Translator, is_about_states, response_id
from proxyapi.gateway.upstream import failure, refused_credential
from proxyapi.money import format_amount
from proxyapi.wire.errors import WireError

if TYPE_CHECKING:
    from proxyapi.gateway.bill import Bill, Bills
    from proxyapi.gateway.memory import Memory, Recorder
    from proxyapi.gateway.replies import Replies
    from proxyapi.gateway.stored import Stored
    from proxyapi.gateway.upstream import Upstream
    from proxyapi.gateway.visit import Visit
    from proxyapi.telemetry import Metrics
    from proxyapi.usage import Usage
    from proxyapi.wire.client import Response

_ESTIMATE = b"%bx-proxyapi-estimate: %b\r\n"
_COSTS = b"%bx-proxyapi-estimate: %b\r\nx-proxyapi-cost: %b\r\n"
_EVENT_HEADERS = b"content-type: text/event-stream\r\ncache-control: no-cache\r\n"

_LINEAR = frozenset({"anthropic", "gemini"})
"""Dialects whose parts never overlap."""
_OURS = frozenset({"unauthenticated", "insufficient_balance"})
"""Refusals that are about the operator's account at the provider."""


class TranslatedReplies:
    def __init__(
        self,
        *,
        translator: Translator,
        upstream: Upstream,
        replies: Replies,
        stored: Stored,
        memory: Memory,
        bills: Bills,
        metrics: Metrics,
        clock: Callable[[], float],
        currency: str,
        reply_bytes_max: int,
    ) -> None:
        """`clock`: monotonic seconds."""
        self._translator = translator
        self._upstream = upstream
        self._replies = replies
        self._stored = stored
        self._memory = memory
        self._bills = bills
        self._metrics = metrics
        self._clock = clock
        self._currency = currency
        self._reply_bytes_max = reply_bytes_max

    async def answer(self, visit: Visit, bill: Bill, translated: Translated) -> None:
        """Call the provider and bring its answer. GatewayError before the first byte reached the client."""
        response = await self._send(visit, bill, translated)
        try:
            failed = await self._refused(bill, response)
            if failed is not None and is_about_states(failed):
                # What the provider signed once it may refuse later: other deployment, edited history. Without its
                # states the conversation is still whole.
                again = self._translator.without_states(visit, bill.target, translated)
                if again is not None:
                    response.close()
                    bill.attempts += 1
                    translated = again
                    response = await self._send(visit, bill, translated)
                    failed = await self._refused(bill, response)
            if failed is not None:
                self._refuse(visit, bill, translated, failed)
            else:
                await self._bring(visit, bill, translated, response)
        finally:
            response.close()

    async def _send(self, visit: Visit, bill: Bill, translated: Translated) -> Response:
        provider = bill.target.provider
        try:
            response = await self._upstream.send_as(
                provider, translated.path, translated.lines, translated.encoded.body
            )
        except WireError as error:
            raise self._upstream.failed(error, provider) from error
        visit.first_byte_ms = (self._clock() - visit.started) * 1000
        bill.status = response.status
        bill.header, bill.upstream_id = read_foreign_reply(response.headers)
        return response

    # --- refusals ----------------------------------------------------------------------------------------------------

    async def _refused(self, bill: Bill, response: Response) -> Failed | None:
        """What the provider says instead of an answer. None: it answers."""
        provider, status = bill.target.provider, response.status
        if 200 <= status < 300:
            return None
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

    def _refuse(self, visit: Visit, bill: Bill, translated: Translated, failed: Failed) -> None:
        """The provider's words in the client's dialect. Its own status, unless the fault is the operator's."""
        provider = bill.target.provider
        ours = refused_credential(401, provider) if failed.kind in _OURS else None
        self._metrics.upstream_errors[provider.name, ours.code if ours is not None else str(failed.status)] += 1
        if ours is not None:
            raise ours
        bill.release("upstream_refused")
        shape = faults.shape_of(translated.client.name)
        status, body = faults.refusal(shape, failed, visit.request_id)
        headers = JSON_HEADERS + bill.header + translated.told
        if failed.retry_after_seconds is not None and b"retry-after: " not in bill.header:
            headers += b"retry-after: %d\r\n" % math.ceil(failed.retry_after_seconds)
        visit.respond(status, headers, body)

    # --- answers -----------------------------------------------------------------------------------------------------

    async def _bring(self, visit: Visit, bill: Bill, translated: Translated, response: Response) -> None:
        self._metrics.first_byte(visit.first_byte_ms)
        encoding = response.header(b"content-encoding") or b"identity"
        if encoding.lower() != b"identity":
            raise UpstreamBroken(f"{bill.target.provider.title} answered in an encoding that nobody asked for.")
        content_type = (response.header(b"content-type") or b"").lower()
        sse = content_type.startswith(b"text/event-stream")
        recorder = None
        if bill.target.quirks.thinking_form != "none":
            recorder = self._memory.recorder(translated.client.name, translated.request)
        channel = self._channel(visit, bill, translated, recorder, sse=sse)
        bring = self._stream if translated.request.stream else self._body
        await bring(visit, bill, translated, channel, response, recorder)

    def _channel(
        self, visit: Visit, bill: Bill, translated: Translated, recorder: Recorder | None, *, sse: bool
    ) -> Translation:
        meter = Meter()

        def cost(usage: Usage) -> str:
            return format_amount(min(bill.price(self._bills.settled(bill, meter, usage)), bill.amount))

        client, request = translated.client, translated.request
        asked = self._translator.asked(visit, translated, cost, self._currency)
        encoder: Encoder = client.encoder(stream=request.stream, asked=asked)
        return Translation(
            translated.provider.decoder(stream=sse, target=translated.target),
            Reshape(
                request,
                translated.encoded,
                reply_id=asked.reply_id,
                origin=translated.target.origin,
                provider=bill.target.provider.title,
                linear=client.name in _LINEAR,
                start_id=response_id(visit) if client.name == "openai_responses" else "",
            ),
            ArrayEncoder(encoder) if request.stream and translated.as_array else encoder,
            meter,
            whole=not sse,
            stream=request.stream,
            count=lambda meter: self._bills.known_usage(bill, meter),
            request_id=visit.request_id,
            observe=recorder.feed if recorder is not None else None,
        )

    async def _keep(self, visit: Visit, channel: Translation, recorder: Recorder | None, last: bytes) -> None:
        """What the client may refer to, or leave out, in its next request: before it gets the end of this answer."""
        if channel.failed is not None:
            return
        if recorder is not None and visit.caller is not None:
            await self._memory.remember(visit.caller.account_id, recorder)
        if visit.turn is not None:
            visit.turn.feed(last)
            await self._stored.keep(visit)

    async def _body(
        self,
        visit: Visit,
        bill: Bill,
        translated: Translated,
        channel: Translation,
        response: Response,
        recorder: Recorder | None,
    ) -> None:
        """One body. A client that has left is charged all the same: the provider generated, and bills, all of it."""
        try:
            data = await response.read(self._reply_bytes_max)
        except WireError as error:
            raise failure(error, bill.target.provider.title) from error
        channel.feed(data)
        body = channel.close()
        if channel.failed is None:
            # The framing says that this is all of it, whatever word the provider has for its end.
            channel.meter.finished = True
        await self._replies.settle(visit, bill, channel.meter, self._ending(visit, channel))
        if channel.failed is not None:
            return self._refuse(visit, bill, translated, channel.failed)
        await self._keep(visit, channel, recorder, body)
        cost = visit.charged if visit.charged < bill.amount else await bill.charged()
        headers = JSON_HEADERS + translated.told + _COSTS % (bill.header, amount_text(bill.amount), amount_text(cost))
        if visit.caller is not None and visit.caller.may_query_balance:
            headers += await self._bills.balance_header(bill)
        visit.respond(200, headers, body)
        return None

    async def _stream(
        self,
        visit: Visit,
        bill: Bill,
        translated: Translated,
        channel: Translation,
        response: Response,
        recorder: Recorder | None,
    ) -> None:
        """Events leave as they arrive. The head waits for the first of them: until then an error is a status."""
        exchange = visit.exchange
        visit.status = response.status
        exchange.couple(response)
        exchange.on_gone(lambda: self._replies.left(bill, response))

        def write(out: bytes) -> None:
            if not out or exchange.gone:
                return
            if not exchange.started:
                kind = JSON_HEADERS if translated.as_array else _EVENT_HEADERS
                told = translated.told + _ESTIMATE % (bill.header, amount_text(bill.amount))
                exchange.start(200, kind + told + visit.headers(), None)
            exchange.write(out)

        def feed(data: bytes, framed: bytes) -> None:
            out = channel.feed(data)
            if visit.turn is not None:
                visit.turn.feed(out)
            write(out)

        broken: GatewayError | None = None
        try:
            await response.pipe(feed)
        except WireError as error:
            broken = failure(error, bill.target.provider.title)
        if broken is None or exchange.gone:
            last = channel.close()
            await self._keep(visit, channel, recorder, last)
            write(last)
        else:
            self._metrics.upstream_errors[bill.target.provider.name, broken.code] += 1
            write(channel.fail(broken))
        ending = self._ending(visit, channel)
        if exchange.started and not exchange.gone:
            exchange.finish()
        await self._replies.settle(visit, bill, channel.meter, ending)
        if not exchange.started and not exchange.gone:
            if broken is not None:
                raise broken
            assert channel.failed is not None, "a reply that is none has failed"
            self._refuse(visit, bill, translated, channel.failed)

    @staticmethod
    def _ending(visit: Visit, channel: Translation) -> str:
        if visit.exchange.gone:
            return "client_gone"
        return "completed" if channel.failed is None else "upstream_broken"
