"""The answer of a provider of another dialect on its way to the client: sent, translated, settled.

Money is settled from the provider's own words, by the same functions as on passthrough. As long as nothing went to the
client, whatever goes wrong is answered with a status, also where the provider began with 200.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from proxyapi.dialects.channel import Meter
from proxyapi.dialects.codec import Encoder, Terms
from proxyapi.dialects.gemini.array import ArrayEncoder
from proxyapi.dialects.model import Failed
from proxyapi.dialects.translation import Translation
from proxyapi.errors import GatewayError
from proxyapi.gateway.entrance import JSON_HEADERS
from proxyapi.gateway.foreign import Foreign
from proxyapi.gateway.opening import Opening
from proxyapi.gateway.passing import Telling
from proxyapi.gateway.replies import amount_text
from proxyapi.gateway.translate import Translated, Translator, given_id, is_about_states
from proxyapi.gateway.upstream import failure
from proxyapi.money import format_amount
from proxyapi.wire.errors import WireError

if TYPE_CHECKING:
    from proxyapi.gateway.bill import Bill, Bills
    from proxyapi.gateway.memory import Memory, Recorder
    from proxyapi.gateway.replies import Replies
    from proxyapi.gateway.stored import Stored
    from proxyapi.gateway.visit import Visit
    from proxyapi.telemetry import Metrics
    from proxyapi.usage import Usage
    from proxyapi.wire.client import Response

_ESTIMATE = b"%bx-proxyapi-estimate: %b\r\n"
_EVENT_HEADERS = b"content-type: text/event-stream\r\ncache-control: no-cache\r\n"

_LINEAR = frozenset({"anthropic", "gemini"})
"""Dialects whose parts never overlap."""


class TranslatedReplies:
    def __init__(
        self,
        *,
        translator: Translator,
        foreign: Foreign,
        replies: Replies,
        stored: Stored,
        memory: Memory,
        bills: Bills,
        metrics: Metrics,
        currency: str,
    ) -> None:
        self._translator = translator
        self._foreign = foreign
        self._replies = replies
        self._stored = stored
        self._memory = memory
        self._bills = bills
        self._metrics = metrics
        self._currency = currency

    async def answer(self, visit: Visit, bill: Bill, translated: Translated) -> None:
        """Call the provider and bring its answer. GatewayError before the first byte reached the client."""
        response = await self._send(visit, bill, translated)
        try:
            if self._foreign.answers(bill, response):
                return await self._bring(visit, bill, translated, response)
            failed = await self._foreign.refused(bill, response)
            if is_about_states(failed):
                # What the provider signed once it may refuse later: other deployment, edited history. Without its
                # states the conversation is still whole.
                again = self._translator.without_states(visit, bill.target, translated)
                if again is not None:
                    response.close()
                    bill.attempts += 1
                    translated = again
                    response = await self._send(visit, bill, translated)
                    if self._foreign.answers(bill, response):
                        return await self._bring(visit, bill, translated, response)
                    failed = await self._foreign.refused(bill, response)
            self._refuse(visit, bill, translated, failed)
            return None
        finally:
            response.close()

    def _send(self, visit: Visit, bill: Bill, translated: Translated) -> Awaitable[Response]:
        return self._foreign.send(visit, bill, translated.path, translated.lines, translated.encoded.body)

    def _refuse(self, visit: Visit, bill: Bill, translated: Translated, failed: Failed) -> None:
        self._foreign.refuse(visit, bill, translated.client.name, translated.told, failed)

    # --- answers -----------------------------------------------------------------------------------------------------

    def _bring(self, visit: Visit, bill: Bill, translated: Translated, response: Response) -> Awaitable[None]:
        sse = _is_sse(response)
        recorder = None
        if bill.target.quirks.thinking_form != "none":
            recorder = self._memory.recorder(translated.client.name, translated.request)
        channel = self._channel(visit, bill, translated, recorder, sse=sse)
        bring = self._stream if translated.request.stream else self._body
        return bring(visit, bill, translated, channel, response, recorder)

    def _channel(
        self, visit: Visit, bill: Bill, translated: Translated, recorder: Recorder | None, *, sse: bool
    ) -> Translation:
        meter = Meter()

        def cost(usage: Usage) -> str:
            return format_amount(bill.told(self._bills.settled(bill, meter, usage)))

        client, request = translated.client, translated.request
        asked = self._translator.asked(visit, translated, cost, self._currency)
        encoder: Encoder = client.encoder(stream=request.stream, asked=asked)
        return Translation(
            translated.provider.decoder(stream=sse, target=translated.target),
            Terms(
                request=request,
                encoded=translated.encoded,
                reply_id=asked.reply_id,
                origin=translated.target.origin,
                provider=bill.target.provider.title,
                linear=client.name in _LINEAR,
                start_id=given_id(visit, client.name),
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
        channel.feed(await self._foreign.read(bill, response))
        body = channel.close()
        if channel.failed is None:
            # The framing says that this is all of it, whatever word the provider has for its end.
            channel.meter.finished = True
        await self._replies.settle(visit, bill, channel.meter, self._ending(visit, channel), failed="error_body")
        if channel.failed is not None:
            return self._refuse(visit, bill, translated, channel.failed)
        if recorder is not None or visit.turn is not None:
            await self._keep(visit, channel, recorder, body)
        cost = visit.charged if visit.charged < bill.amount else await bill.charged()
        return await self._foreign.respond(visit, bill, translated.told, cost, body)

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

        kind = JSON_HEADERS if translated.as_array else _EVENT_HEADERS
        head = kind + translated.told + _ESTIMATE % (bill.header, amount_text(bill.amount)) + visit.headers()
        telling = Telling(visit, response, channel, head, self._bills.cap(bill))
        broken: GatewayError | None = None
        try:
            if bill.more:
                again = translated.provider.decoder(stream=_is_sse(response), target=translated.target)
                await Opening(bill, again, lambda: None, telling.feed).pipe(response)
            else:
                await response.pipe(telling.feed)
        except WireError as error:
            broken = failure(error, bill.target.provider.title)
        if broken is None or exchange.gone or telling.capped:
            last = telling.end()
            await self._keep(visit, channel, recorder, last)
            telling.write(last)
        else:
            self._metrics.upstream_errors[bill.target.provider.name, broken.code] += 1
            telling.write(channel.fail(broken))
        ending = "capped" if telling.capped and not exchange.gone else self._ending(visit, channel)
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


def _is_sse(response: Response) -> bool:
    """Whatever was asked for."""
    return (response.header(b"content-type") or b"").lower().startswith(b"text/event-stream")
