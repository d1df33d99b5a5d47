"""The way of a reply to a client of another dialect: decoded, reshaped and encoded as it comes, metered as it passes.

The same interface as `channel.Passthrough`. Both ends may be one body or a stream, in any combination: whatever the
provider sends becomes events, and events become what the client asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from proxyapi.dialects import faults
from proxyapi.dialects.answer import Answer, answer_in
from proxyapi.dialects.channel import Meter
from proxyapi.dialects.codec import Encoder, Terms
from proxyapi.dialects.dialect import Decoder
from proxyapi.dialects.model import Event, Failed, Finish, Metered
from proxyapi.dialects.reshape import Reshape
from proxyapi.errors import GatewayError
from proxyapi.usage import Usage


class Translation:
    """For one reply."""

    __slots__ = (
        "_count",
        "_decoder",
        "_encoder",
        "_observe",
        "_request_id",
        "_reshape",
        "_streams",
        "_terms",
        "_whole",
        "failed",
        "meter",
        "sent",
    )

    def __init__(
        self,
        decoder: Decoder,
        terms: Terms,
        encoder: Encoder,
        meter: Meter,
        *,
        whole: bool,
        stream: bool,
        count: Callable[[Meter], Usage],
        request_id: str,
        observe: Callable[[Sequence[Event]], None] | None = None,
    ) -> None:
        """`decoder`: of what the provider sends. `whole`: one body, whose framing says that this is all of it, whatever
        word the provider has for its end. `stream`: what the client gets. `count`: usage of a reply whose
        provider tells none. `request_id`: as errors tell it. `observe`: sees what the encoder gets."""
        self._decoder = decoder
        self._terms = terms
        self._reshape: Reshape | None = None
        self._encoder = encoder
        self.meter = meter
        self._whole = whole
        self._streams = stream
        self._count = count
        self._request_id = request_id
        self._observe = observe
        self.failed: Failed | None = None
        """The reply ended in an error, of the provider or because of what it sent."""
        self.sent = False
        """Something went to the client. As long as nothing did, an error can still be a status."""

    def feed(self, data: bytes) -> bytes:
        """What goes to the client now."""
        events = self._decoder.feed(data)
        self.meter.body_bytes += len(data)
        return self._send(self._reshaped(events)) if events else b""

    def close(self) -> bytes:
        """The rest and the proper end, once the provider has sent everything; nothing after an error."""
        last = self._decoder.close()
        answer = answer_in(last) if self._whole and not self._streams else None
        if answer is not None and (shown := self._terms.answer(answer)) is not None:
            return self._answered(answer, shown)
        events, reshape = self._reshaped(last), self._shaper()
        if not reshape.failed:
            events += reshape.close(finished=self._whole or self._decoder.finished)
            if self.meter.usage is None and not reshape.failed:
                at = next(place for place, event in enumerate(events) if isinstance(event, Finish))
                events.insert(at, Metered(self._count(self.meter), estimated=True))
        out = self._send(events)
        if self.failed is not None:
            return out
        # Then what the provider reports is not an interim figure.
        self.meter.finished = self.meter.finished or self._whole
        out += self._encoder.close()
        self.sent = self.sent or bool(out)
        return out

    def _answered(self, answer: Answer, shown: Answer) -> bytes:
        self.meter.answered(answer)
        if self._observe is not None:
            self._observe(shown.events())
        self.sent = True
        return self._encoder.answer(shown)

    def cut(self, usage: Usage) -> bytes:
        """A proper end, as at a length, of a stream that the gateway breaks off here; `usage` is all of it."""
        events = self._shaper().cut()
        at = next((place for place, event in enumerate(events) if isinstance(event, Finish)), None)
        if at is None:
            return b""
        events.insert(at, Metered(usage, estimated=True))
        return self._send(events) + self._encoder.close()

    def fail(self, error: GatewayError) -> bytes:
        """An error event and a proper end, after a provider that broke off. Nothing for a client that has no stream."""
        return self._send(self._shaper().feed((faults.from_gateway(error),)))

    def _shaper(self) -> Reshape:
        """Made when it is needed first: a body that is one text needs none."""
        if self._reshape is None:
            self._reshape = Reshape(self._terms)
        return self._reshape

    def _reshaped(self, events: Sequence[Event]) -> list[Event]:
        self.meter.absorb(events)
        self.meter.finished = self._decoder.finished
        return (self._reshape or self._shaper()).feed(events)

    def _send(self, events: Sequence[Event]) -> bytes:
        if self.failed is not None or not events:
            return b""
        whole = events
        if self._reshape is not None and self._reshape.failed:
            self.failed = next(event for event in events if isinstance(event, Failed))
            whole = events[: events.index(self.failed)]
        if self._observe is not None:
            self._observe(whole)
        out = self._encoder.feed(whole) if whole else b""
        self.sent = self.sent or bool(out)
        if self.failed is not None and self._streams and self.sent:
            out += self._encoder.fail(self.failed, self._request_id)
        return out
