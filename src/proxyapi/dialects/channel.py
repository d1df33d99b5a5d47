"""The way of a reply from the provider to the client, metered as it passes.

Where both ends speak one dialect the bytes pass untouched, frame by frame, so nothing that a provider adds is lost.
Bytes of a frame that is not whole yet wait for its end: no client can use them, and if the provider breaks off there,
an error event can still follow without half an event before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from proxyapi.dialects import faults
from proxyapi.dialects.answer import Answer
from proxyapi.dialects.call import Call
from proxyapi.dialects.dialect import Decoder, Dialect
from proxyapi.dialects.fields import CHOICES_MAX
from proxyapi.dialects.model import (
    Event,
    Failed,
    Finish,
    Metered,
    ModelUsage,
    PartData,
    PartDelta,
    PartStart,
    PartSummary,
    Refusal,
    ServerToolUse,
    Start,
    Text,
    Thinking,
    ToolUse,
)
from proxyapi.errors import GatewayError
from proxyapi.usage import Usage

TEXT_CHARACTERS_MAX = 8_000_000
"""Delivered text that is kept for counting: twice what any model writes. The rest is only measured."""


HEAD_BYTES = 65_536
"""How much of a sound is kept: enough for the header that tells its bit rate."""


class Meter(Struct, eq=False):
    """What is known of a reply so far."""

    usage: Usage | None = None
    """As the provider reported it, in disjoint units. None: not reported; empty or zeros: reported as nothing."""
    others: tuple[ModelUsage, ...] = ()
    """What other models spent in this reply, apart from `usage`."""
    texts: list[str] = []
    """Delivered text, thinking, refusals, tool names and arguments, in order of arrival.

    Empty for a whole body whose provider counted: nothing else of it is read.
    """
    text_characters: int = 0
    """Length of all delivered text, also of what `texts` no longer keeps."""
    data_characters: int = 0
    """Base64 characters of delivered sound or pictures."""
    body_bytes: int = 0
    """Size of what the provider sent."""
    head: bytes = b""
    """First bytes of a sound, for its duration."""
    choices: int = 0
    """Alternatives seen."""
    reply_id: str = ""
    model: str = ""
    """As the provider names it; empty: it did not say."""
    tier: str = ""
    """Service tier that served it."""
    reason: str = ""
    """Why it ended, in the provider's own word; of the last alternative."""
    failed: Failed | None = None
    """The provider reported an error in place of, or inside, an answer with status 200."""
    finished: bool = False
    """A proper end was seen."""
    understood: bool = False
    """Of a whole body: something of a reply was read in it."""

    def sound(self, data: bytes) -> None:
        if len(self.head) < HEAD_BYTES:
            self.head += data[: HEAD_BYTES - len(self.head)]

    def answered(self, answer: Answer) -> None:
        """In place of `absorb`, for a whole reply that is one text."""
        self._start(answer.start)
        self._keep(answer.text)
        self._metered(answer.metered)
        self._finish(answer.finish)
        self.finished = True

    def absorb(self, events: Iterable[Event]) -> None:
        for event in events:
            if type(event) is PartDelta:
                self._keep(event.text)
            elif handle := _ABSORB.get(type(event)):
                handle(self, event)

    def _summary(self, event: PartSummary) -> None:
        self._keep(event.text)

    def _metered(self, event: Metered) -> None:
        self.usage, self.others = event.usage, event.others

    def _start(self, event: Start) -> None:
        self.reply_id, self.model = event.id or self.reply_id, event.model or self.model
        self.tier = event.tier or self.tier

    def _finish(self, event: Finish) -> None:
        if event.choice >= self.choices:
            self.choices = min(event.choice + 1, CHOICES_MAX)
        self.reason = event.native or event.reason

    def _data(self, event: PartData) -> None:
        self.data_characters += len(event.data)

    def _failed(self, event: Failed) -> None:
        self.failed = event

    def _open(self, event: PartStart) -> None:
        if event.choice >= self.choices:
            self.choices = min(event.choice + 1, CHOICES_MAX)
        if told := _TOLD.get(type(event.part)):
            for text in told(event.part):
                self._keep(text)

    def _keep(self, text: str) -> None:
        if text:
            self.text_characters += len(text)
            if self.text_characters <= TEXT_CHARACTERS_MAX:
                self.texts.append(text)


_TOLD: dict[type, Callable[[Any], tuple[str, ...]]] = {
    Text: lambda part: (part.text,),
    Thinking: lambda part: (part.text,),
    Refusal: lambda part: (part.text,),
    ToolUse: lambda part: (part.name, part.arguments),
    ServerToolUse: lambda part: (part.arguments,),
}
"""What a part already tells as it starts."""


_ABSORB: dict[type, Callable[[Meter, Any], None]] = {
    PartSummary: Meter._summary,
    PartData: Meter._data,
    PartStart: Meter._open,
    Start: Meter._start,
    Metered: Meter._metered,
    Finish: Meter._finish,
    Failed: Meter._failed,
}


BATCH_BYTES = 16_384
"""Of a stream that has been passed on and not been read yet: some fifty events."""


_BLANK_LINES = (b"\n\n", b"\r\n\r\n")
_WHOLE = (b"}\n\n", b"}\r\n\r\n")
"""How whole frames end, but for comments and the end of a Chat stream, which are read at once."""


class Passthrough:
    """A stream of the client's own dialect: the same bytes, less the usage frame that the client did not ask for, or
    with one that the provider left out.

    Whole frames in which nothing has to be cut pass at once and are read later, many together: what is read at a
    stretch costs a quarter of what it costs between two system calls.
    """

    __slots__ = (
        "_batch", "_batched", "_call", "_calm", "_comment", "_decoder", "_held", "_held_bytes", "_meter", "_sent",
        "_strip", "_usage",
    )  # fmt: skip

    def __init__(
        self,
        decoder: Decoder,
        call: Call,
        *,
        strip_usage: bool = False,
        usage_frame: Callable[[Meter], bytes] | None = None,
        cost_comment: Callable[[Meter], bytes] | None = None,
    ) -> None:
        """`strip_usage`: the gateway itself asked for usage. `usage_frame`: the client is to get one in any case; this
        makes it where the provider sends none. `cost_comment`: text of the comment before the end."""
        self._meter = Meter()
        self._decoder = decoder
        self._call = call
        self._strip = strip_usage
        self._usage = usage_frame
        self._comment = cost_comment
        self._held: list[bytes] = []
        """Pieces of a frame that is not whole yet."""
        self._held_bytes = 0
        self._sent = 0
        """Bytes of the provider's stream that are behind us, sent or stripped."""
        self._calm = False
        """All that was read were whole frames, and no edit is waited for."""
        self._batch: list[bytes] = []
        self._batched = 0

    @property
    def meter(self) -> Meter:
        """What is known of all that passed."""
        self._read()
        return self._meter

    def feed(self, data: bytes) -> bytes:
        """What goes to the client now: `data` itself, if it ends with a whole frame and nothing is stripped."""
        if self._calm and data.endswith(_WHOLE) and not (self._strip and _may_have_usage(data)):
            self._batch.append(data)
            self._batched += len(data)
            if self._batched > BATCH_BYTES:
                self._read()
            return data
        self._read()
        return self._pass(data)

    def _read(self) -> None:
        """Catch up with what was passed on unread."""
        if not self._batched:
            return
        data = b"".join(self._batch)
        self._batch.clear()
        self._batched = 0
        self._sent += len(data)
        self._absorb(data)

    def _absorb(self, data: bytes) -> None:
        decoder, meter = self._decoder, self._meter
        if events := decoder.feed(data):
            meter.absorb(events)
        meter.finished = decoder.finished
        meter.body_bytes += len(data)
        if decoder.opaque:
            meter.sound(data)

    def _pass(self, data: bytes) -> bytes:
        self._absorb(data)
        decoder = self._decoder
        unedited = decoder.usage_frame is None and not self._comment and (self._usage is None or decoder.ending is None)
        if unedited and not self._held and not decoder.pending:
            self._sent += len(data)
            self._calm = data.endswith(_BLANK_LINES) and decoder.elements is None and not decoder.opaque
            return data
        self._calm = False
        return self._release(data, decoder.pending)

    def close(self) -> bytes:
        """The rest, once the provider has sent everything."""
        meter = self.meter
        meter.absorb(self._decoder.close())
        meter.finished = self._decoder.finished
        rest = self._release(b"", 0)
        if self._usage is not None and meter.finished and self._decoder.usage_frame is None:
            rest += self._usage(meter)
            self._usage = None
        if self._comment and self._decoder.elements is None and not self._decoder.opaque:
            rest += b": %b\n\n" % self._comment(meter)
            self._comment = None
        return rest

    def fail(self, error: GatewayError, request_id: str = "") -> bytes:
        """An error event and a proper end, after a provider that broke off. What was not whole is dropped."""
        self._held.clear()
        meter = self.meter
        return faults.error_event(
            self._call.dialect,
            error,
            request_id,
            reply_id=meter.reply_id,
            model=meter.model,
            elements=self._decoder.elements,
        )

    def _release(self, data: bytes, pending: int) -> bytes:
        """Whole frames of what is held and `data`, with the cuts and the insertion that fall into them."""
        held = self._held
        if data:
            held.append(data)
            self._held_bytes += len(data)
        size = self._held_bytes - pending
        if not size:
            return b""
        data = held[0] if len(held) == 1 else b"".join(held)
        held.clear()
        if pending:
            held.append(data[size:])
            data = data[:size]
        self._held_bytes = pending
        first, self._sent = self._sent, self._sent + size
        edits: list[tuple[int, int, bytes]] = []
        decoder = self._decoder
        if self._strip and decoder.usage_frame is not None and first <= decoder.usage_frame[0] < self._sent:
            edits.append((*decoder.usage_frame, b""))
        if decoder.ending is not None and first <= decoder.ending < self._sent:
            edits.append((decoder.ending, decoder.ending, self._before_end()))
        for start, end, text in sorted(edits, reverse=True):
            data = data[: start - first] + text + data[end - first :]
        return data

    def _before_end(self) -> bytes:
        """What stands before the frame that ends the stream."""
        text = b""
        if self._usage is not None and self._decoder.usage_frame is None:
            text = self._usage(self._meter)
        if self._comment is not None:
            text += b": %b\n\n" % self._comment(self._meter)
        self._usage = self._comment = None
        return text


def _may_have_usage(data: bytes) -> bool:
    """Whether one of these whole frames may have a usage that is not null."""
    return data.count(b'"usage"') != data.count(b'"usage":null')


def meter_body(dialect: Dialect, body: bytes, status: int, call: Call) -> Meter:
    """The meter of one whole body. An error, by status or inside a 200, is `failed` and never output."""
    if status >= 400:
        return Meter(failed=faults.read_error(body, status))
    if (report := dialect.report(body)) is not None:
        # The provider counted: nothing else of the body has to be read.
        return Meter(
            usage=report.usage,
            reply_id=report.reply_id,
            model=report.model,
            tier=report.tier,
            body_bytes=len(body),
            finished=True,
            understood=True,
        )
    meter = Meter()
    decoder = dialect.decoder(stream=False, call=call)
    decoder.feed(body)
    events = decoder.close()
    meter.absorb(events)
    meter.body_bytes = len(body)
    if decoder.opaque:
        meter.sound(body)
    meter.finished = decoder.finished
    meter.understood = bool(events) or decoder.finished
    return meter
