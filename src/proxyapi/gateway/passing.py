"""Streams on their way to the client: passed on as they come, or told in its dialect; kept, watched, and ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from proxyapi.dialects.cut import Sent, events_of, length_end
from proxyapi.gateway.capping import whole_frames

if TYPE_CHECKING:
    from proxyapi.dialects.channel import Passthrough
    from proxyapi.dialects.dialect import Decoder
    from proxyapi.dialects.translation import Translation
    from proxyapi.gateway.bill import Bill
    from proxyapi.gateway.capping import Cap
    from proxyapi.gateway.stored import Stored
    from proxyapi.gateway.visit import Visit
    from proxyapi.wire.client import Response


class Passing:
    """Of the client's own dialect. Give its pieces to `feed`; await `kept` before its end."""

    def __init__(
        self, visit: Visit, bill: Bill, response: Response, channel: Passthrough, stored: Stored, cap: Cap | None
    ) -> None:
        self._visit = visit
        self._exchange = visit.exchange
        self._bill = bill
        self._response = response
        self._channel = channel
        self._stored = stored
        self._keeps = bill.call.operation == "responses" or visit.turn is not None
        """Something of the reply is kept, here or at the provider: its pieces are looked at."""
        self._remembers = self._keeps and visit.turn is None
        self._remembered: asyncio.Task[None] | None = None
        self.cap = cap
        self.held = b""
        """The end of a reply that the gateway keeps for its client: it waits until that is done."""

    def feed(self, data: bytes, framed: bytes) -> None:
        """From the provider; `framed`: with the framing that it came in."""
        if self.cap is not None:
            self._watched(self.cap, data)
            return
        out = self._channel.feed(data)
        if self._keeps and self._holds(out):
            return
        if out is data:
            self._exchange.pass_on(data, framed)
        elif out:
            self._exchange.write(out)

    def _watched(self, cap: Cap, data: bytes) -> None:
        """Frame by frame, and no further than the cap."""
        for piece in whole_frames(data):
            if cap.reached:
                return
            out = self._channel.feed(piece)
            if out and not self._holds(out):
                self._visit.exchange.write(out)
            cap.keep(out)
            if cap.check(self._channel.meter):
                self._response.close()

    def _holds(self, out: bytes) -> bool:
        """Whether this is a piece that waits."""
        turn = self._visit.turn
        if turn is not None and turn.feed(out):
            self.held += out
            return True
        if self._remembers and self._channel.meter.reply_id:
            self._remembers = False
            self._remembered = self._stored.remember_soon(self._visit, self._bill, self._channel.meter.reply_id)
        return False

    async def kept(self) -> None:
        """A short stream must not end before its response can be asked for; nor before it is kept here, if the provider
        does not."""
        if self._remembered is not None:
            await asyncio.shield(self._remembered)
        if self.held and self._visit.turn is not None:
            await self._stored.keep(self._visit)

    def cut(self, cap: Cap, decoder: Decoder, told: bytes) -> None:
        """The end of a stream that came to its cap; what was not whole of it is dropped. It waits in `held`."""
        meter = self._channel.meter
        elements = decoder.elements
        sent = Sent(
            events=events_of(cap.sent) if elements is None else (),
            usage=cap.usage(meter),
            reply_id=meter.reply_id,
            model=meter.model,
            choices=meter.choices,
            told=told,
            elements=elements,
        )
        end = length_end(self._bill.call.dialect, sent)
        if self._visit.turn is not None:
            self._visit.turn.feed(end)
        self.held = end


class Telling:
    """Of another dialect than the client's."""

    def __init__(self, visit: Visit, response: Response, channel: Translation, head: bytes, cap: Cap | None) -> None:
        """`head`: header lines of the answer, which wait for its first event."""
        self._visit = visit
        self._response = response
        self._channel = channel
        self._head = head
        self._cap = cap

    @property
    def capped(self) -> bool:
        """The gateway broke it off."""
        return self._cap is not None and self._cap.reached

    def feed(self, data: bytes, framed: bytes) -> None:
        """From the provider."""
        cap = self._cap
        if cap is None:
            self._tell(data)
            return
        for piece in whole_frames(data):
            if cap.reached:
                return
            self._tell(piece)
            if cap.check(self._channel.meter):
                self._response.close()

    def _tell(self, data: bytes) -> None:
        out = self._channel.feed(data)
        if self._visit.turn is not None:
            self._visit.turn.feed(out)
        self.write(out)

    def write(self, out: bytes) -> None:
        """To the client."""
        exchange = self._visit.exchange
        if not out or exchange.gone:
            return
        if not exchange.started:
            exchange.start(200, self._head, None)
        exchange.write(out)

    def end(self) -> bytes:
        """The rest and the proper end."""
        if self._cap is not None and self._cap.reached:
            return self._channel.cut(self._cap.usage(self._channel.meter))
        return self._channel.close()
