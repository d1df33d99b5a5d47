"""The ways of a provider's answer to the client: a refusal, one body, a stream of events, or sound.

Bytes flow in callbacks from one connection to the other; the coroutine of the request sleeps until the end. Every way
ends its bill exactly once, and says how.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from proxyapi.dialects import DIALECTS, openai_usage
from proxyapi.dialects.channel import Meter, Passthrough, meter_body
from proxyapi.errors import UpstreamBroken
from proxyapi.gateway.background import is_running
from proxyapi.gateway.counting import COUNT_HEADER
from proxyapi.gateway.fallback import after_kind, after_status
from proxyapi.gateway.opening import Opening
from proxyapi.gateway.passing import Passing
from proxyapi.gateway.upstream import failure, refused_credential
from proxyapi.ids import made_at
from proxyapi.money import NANOS_PER_UNIT, format_amount
from proxyapi.usage import OUTPUT_TOKENS
from proxyapi.wire.errors import WireError

if TYPE_CHECKING:
    from proxyapi.gateway.admission import Admission
    from proxyapi.gateway.background import Background
    from proxyapi.gateway.bill import Bill, Bills
    from proxyapi.gateway.drains import Drains
    from proxyapi.gateway.stored import Stored
    from proxyapi.gateway.visit import Visit
    from proxyapi.identity.keys import Caller
    from proxyapi.ledger.ops import Source
    from proxyapi.telemetry import Metrics
    from proxyapi.usage import Usage
    from proxyapi.wire.client import Response

REFUSAL_BYTES_MAX = 1_048_576
"""An error body; the largest recorded one has 12 kB."""
ESTIMATE_HEADER = b"x-proxyapi-translation: none\r\nx-proxyapi-estimate: %b\r\n"
_COSTS = b"%bx-proxyapi-translation: none\r\nx-proxyapi-estimate: %b\r\nx-proxyapi-cost: %b\r\n"


def amount_text(nanos: int) -> bytes:
    """An amount in a header; as `format_amount`, without a detour over text."""
    if nanos < 0:
        return format_amount(nanos).encode()
    whole, rest = divmod(nanos, NANOS_PER_UNIT)
    return (b"%d.%09d" % (whole, rest)).rstrip(b"0") if rest else b"%d" % whole


class Replies:
    def __init__(
        self,
        *,
        bills: Bills,
        stored: Stored,
        background: Background,
        admission: Admission,
        metrics: Metrics,
        currency: str,
        reply_bytes_max: int,
        drains: Drains,
    ) -> None:
        self._bills = bills
        self._stored = stored
        self._background = background
        self._admission = admission
        self._metrics = metrics
        self._currency = currency.encode()
        self._reply_bytes_max = reply_bytes_max
        self._drains = drains

    def bring(self, visit: Visit, bill: Bill, response: Response) -> Awaitable[None]:
        """Pass the answer on in the way that fits it. UpstreamError before the first byte reached the client."""
        status = response.status
        if status >= 300 or status < 200:
            return self._refusal(visit, bill, response)
        self._metrics.first_byte(visit.first_byte_ms)
        content_type = (response.header(b"content-type") or b"").lower()
        if content_type.startswith(b"text/event-stream") or (bill.call.stream and bill.call.dialect == "gemini"):
            return self._stream(visit, bill, response)
        if bill.call.operation == "speech" and not content_type.startswith(b"application/json"):
            return self._sound(visit, bill, response)
        return self._body(visit, bill, response)

    async def _refusal(self, visit: Visit, bill: Bill, response: Response) -> None:
        """The provider said no: its words go on, nothing is charged."""
        provider = bill.target.provider
        ours = refused_credential(response.status, provider)
        if ours is None and response.status < 400:
            ours = UpstreamBroken(f"{provider.title} answered with status {response.status}: no API call expects that.")
        if ours is not None:
            self._metrics.upstream_errors[provider.name, ours.code] += 1
            raise ours
        try:
            body = await response.read(REFUSAL_BYTES_MAX)
        except WireError as error:
            raise failure(error, provider.title) from error
        self._metrics.upstream_errors[provider.name, str(response.status)] += 1
        bill.go_on(after_status(response.status, provider), "upstream_refused")
        bill.release("upstream_refused")
        visit.respond(response.status, bill.header, body)

    # --- one body ------------------------------------------------------------------------------------------------

    async def _body(self, visit: Visit, bill: Bill, response: Response) -> None:
        """One JSON body (or a text): read whole, metered, passed on byte for byte, its cost in a header.

        A client that has left is charged all the same: the provider generated, and bills, the whole answer.
        """
        body = response.arrived(self._reply_bytes_max)
        if body is None:
            try:
                body = await response.read(self._reply_bytes_max)
            except WireError as error:
                raise failure(error, bill.target.provider.title) from error
        caller = visit.caller
        assert caller is not None, "a paid route has a caller"
        meter = meter_body(DIALECTS[bill.call.dialect], body, response.status, bill.call)
        # The framing says that this is all of it, whatever word the provider has for its end.
        meter.finished = meter.failed is None and meter.understood
        if bill.call.background and meter.reply_id and is_running(body):
            await self._stored.remember(visit, bill, meter.reply_id)
            self._background.follow(visit, bill, meter.reply_id)
            headers = bill.header + ESTIMATE_HEADER % amount_text(bill.amount)
            visit.ending = "background"
            visit.respond(response.status, headers, body)
            return
        reported = self._bills.reported(bill, meter)
        used: tuple[Usage, Source] | None = (
            (reported, "reported") if reported is not None else await self._bills.usage_of(bill, meter)
        )
        if used is None:
            ending = "error_body" if meter.failed else "upstream_broken"
            bill.go_on(after_kind(meter.failed), ending)
            bill.release(ending)
            cost = 0
        else:
            usage, source = used
            if caller.tokens_per_minute is not None:
                self._count_tokens(caller, usage)
            bill.settle(usage, source, "completed" if not visit.exchange.gone else "client_gone")
            cost = visit.charged if visit.charged < bill.amount else await bill.charged()
        if visit.turn is not None:
            visit.turn.feed(body)
            await self._stored.keep(visit)
        elif bill.call.operation == "responses" and meter.reply_id:
            await self._stored.remember(visit, bill, meter.reply_id)
        headers = _COSTS % (bill.header, amount_text(bill.amount), amount_text(cost))
        if bill.call.operation == "count_tokens":
            headers += COUNT_HEADER % b"provider"
        if caller.may_query_balance:
            headers += await self._bills.balance_header(bill)
        visit.respond(response.status, headers, body)

    def _count_tokens(self, caller: Caller, usage: Usage) -> None:
        """Of a key that may have so many in a minute."""
        self._admission.count_tokens(caller, sum(usage.get(unit, 0) for unit in OUTPUT_TOKENS))

    # --- a stream ------------------------------------------------------------------------------------------------

    async def _stream(self, visit: Visit, bill: Bill, response: Response) -> None:
        """Events pass as they arrive. From here on an error is an event of the client's dialect."""
        exchange, call = visit.exchange, bill.call
        comment = self._comment(bill) if exchange.header(b"x-proxyapi-cost") == b"1" else None
        strip = call.dialect in ("openai_chat", "openai_completions") and not call.usage_asked and self._native(visit)
        usage = self._usage_frame(bill) if call.dialect == "openai_chat" and not self._native(visit) else None
        decoder = DIALECTS[call.dialect].decoder(stream=True, call=call)
        channel = Passthrough(decoder, call, strip_usage=strip, usage_frame=usage, cost_comment=comment)
        passing = Passing(visit, bill, response, channel, self._stored, self._bills.cap(bill))
        visit.status = response.status
        headers = bill.header + ESTIMATE_HEADER % amount_text(bill.amount) + visit.headers()
        exchange.couple(response)
        exchange.on_gone(lambda: self.left(bill, response))
        ending, broken = "completed", None
        try:
            if bill.more:
                again = DIALECTS[call.dialect].decoder(stream=True, call=call)
                await Opening(bill, again, lambda: exchange.start(response.status, headers, None), passing.feed).pipe(
                    response
                )
            else:
                exchange.start(response.status, headers, None)
                await response.pipe(passing.feed)
        except WireError as error:
            ending, broken = "upstream_broken", failure(error, bill.target.provider.title)
        cap = passing.cap
        if cap is not None and cap.reached:
            ending, broken = "capped", None
            passing.cut(cap, decoder, self._told_usage(visit, bill, channel.meter, cap.usage(channel.meter)))
        await passing.kept()
        if exchange.gone:
            ending = "client_gone"
            channel.close()
        elif broken is None:
            if rest := passing.held + (channel.close() if ending == "completed" else b""):
                exchange.write(rest)
            exchange.finish()
        else:
            # Only whole events were passed on, so the error can follow as one more event.
            self._metrics.upstream_errors[bill.target.provider.name, broken.code] += 1
            exchange.write(passing.held + channel.fail(broken, visit.request_id))
            exchange.finish()
        await self.settle(visit, bill, channel.meter, ending)

    def _native(self, visit: Visit) -> bool:
        return visit.route is not None and visit.route.provider is not None

    def _comment(self, bill: Bill) -> Callable[[Meter], bytes]:
        def comment(meter: Meter) -> bytes:
            return self._cost_comment(bill, self._bills.known_usage(bill, meter))

        return comment

    def _cost_comment(self, bill: Bill, usage: Usage) -> bytes:
        return b"proxyapi cost=%b currency=%b" % (amount_text(bill.told(usage)), self._currency)

    def _usage_frame(self, bill: Bill) -> Callable[[Meter], bytes]:
        """The chunk that ends every Chat stream of the unified API, for providers that tell usage elsewhere, or not."""

        def frame(meter: Meter) -> bytes:
            usage = self._bills.known_usage(bill, meter)
            return self._chat_usage(bill, meter, usage, cost=format_amount(bill.told(usage)))

        return frame

    def _chat_usage(self, bill: Bill, meter: Meter, usage: Usage, *, cost: str = "") -> bytes:
        wire = openai_usage.written(usage, "chat", cost=cost, currency=self._currency.decode())
        return openai_usage.chat_frame(wire, reply_id=meter.reply_id, model=meter.model, at=made_at(bill.visit.id))

    def _told_usage(self, visit: Visit, bill: Bill, meter: Meter, usage: Usage) -> bytes:
        """Of a stream that ends at its cap: the chunk of Chat, and the comment, for clients that are to get them."""
        told = b""
        if bill.call.dialect == "openai_chat" and not self._native(visit):
            told = self._chat_usage(bill, meter, usage, cost=format_amount(bill.told(usage)))
        elif bill.call.dialect == "openai_chat" and bill.call.usage_asked:
            told = self._chat_usage(bill, meter, usage)
        if visit.exchange.header(b"x-proxyapi-cost") == b"1":
            told += b": %b\n\n" % self._cost_comment(bill, usage)
        return told

    def left(self, bill: Bill, response: Response) -> None:
        """The client closed its connection in the middle of a stream."""
        if response.over:
            return
        if bill.target.provider.on_gone == "drain" and bill.visit.tape is None:
            self._drains.begin(response, bill.amount)
        else:  # an answer with a tape has been drained by now: nobody came for it
            response.close()

    async def settle(self, visit: Visit, bill: Bill, meter: Meter, ending: str, *, failed: str = "error_event") -> None:
        """The ending of an answer by what was delivered of it. `failed`: the word for one with an error in it."""
        if bill.call.background and meter.reply_id and not (meter.finished or meter.failed):
            return self._background.follow(visit, bill, meter.reply_id)
        if ending == "completed" and not meter.finished:
            ending = "upstream_broken"
        reported = self._bills.reported(bill, meter)
        used: tuple[Usage, Source] | None = (
            (reported, "reported") if reported is not None else await self._bills.usage_of(bill, meter)
        )
        if used is None:
            return bill.release(failed if meter.failed else ending)
        usage, source = used
        if visit.caller is not None and visit.caller.tokens_per_minute is not None:
            self._count_tokens(visit.caller, usage)
        return bill.settle(usage, source, failed if meter.failed else ending)

    # --- sound ---------------------------------------------------------------------------------------------------

    async def _sound(self, visit: Visit, bill: Bill, response: Response) -> None:
        """Speech: bytes are forwarded as they arrive, and measured on the way."""
        exchange = visit.exchange
        meter = self._bills.sound_meter(bill)
        visit.status = response.status
        headers = bill.header + ESTIMATE_HEADER % amount_text(bill.amount) + visit.headers()
        exchange.start(response.status, headers, response.length)
        exchange.couple(response)
        exchange.on_gone(lambda: self.left(bill, response))

        def feed(data: bytes, framed: bytes) -> None:
            meter.feed(data)
            exchange.pass_on(data, framed)

        ending = "completed"
        try:
            await response.pipe(feed)
        except WireError:
            ending = "upstream_broken"
        if exchange.gone:
            ending = "client_gone"
        elif ending == "completed":
            exchange.finish()
        else:
            # Sound has no error event: a cut connection is the only honest end.
            exchange.abort()
        usage = meter.usage()
        if usage is None:
            bill.release(ending)
        else:
            bill.settle(usage, "counted", ending)
