"""A client of one dialect and a provider of another, joined as the gateway joins them, without a gateway around them.

`Pair("M->C")`: the client speaks Messages, the provider Chat Completions. C is OpenAI Chat Completions, R OpenAI
Responses, M Anthropic Messages, G Gemini generateContent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from proxyapi_fakes_wires import encode, folded, framed, read_events, streamed, turn_of  # loaded by conftest.py

from proxyapi.dialects.channel import Meter
from proxyapi.dialects.codec import Asked, Codec, Encoded, TargetModel, Terms
from proxyapi.dialects.codecs import CODECS
from proxyapi.dialects.model import (
    Citation,
    Event,
    Failed,
    Finish,
    Image,
    Inline,
    Metered,
    Part,
    PartCitation,
    PartData,
    PartDelta,
    PartEnd,
    PartStart,
    PartState,
    PartSummary,
    ReasoningState,
    Refusal,
    Request,
    Text,
    Thinking,
    ToolUse,
)
from proxyapi.dialects.quirks import Quirks
from proxyapi.dialects.state import Sealer
from proxyapi.dialects.translation import Translation
from proxyapi.usage import Unit

Wire = dict[str, Any]

DIALECTS = {"C": "openai_chat", "R": "openai_responses", "M": "anthropic", "G": "gemini"}
WAYS = tuple(f"{client}->{provider}" for client in DIALECTS for provider in DIALECTS if client != provider)
"""All twelve."""
ORIGIN = "maker_family"
"""Of the provider: whose states it takes back."""
LINEAR = frozenset({"anthropic", "gemini"})
REPLY_ID = "r0"
COUNTED = {Unit.INPUT: 7, Unit.OUTPUT: 9}
"""What the gateway counts where the provider tells no usage."""

_USER = {"role": "user", "content": "Hello"}
HELLO: dict[str, Wire] = {
    "openai_chat": {"model": "m", "messages": [_USER]},
    "openai_responses": {"model": "m", "input": "Hello"},
    "anthropic": {"model": "m", "max_tokens": 9_000, "messages": [_USER]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]},
}
"""The least that a client sends."""


class Pair:
    """One direction. The quirks are those of the provider's model."""

    def __init__(self, way: str, *, origin: str = ORIGIN, output_tokens_max: int | None = None, **quirks: Any) -> None:
        client, _, provider = way.partition("->")
        self.client: Codec = CODECS[DIALECTS[client]]
        self.provider: Codec = CODECS[DIALECTS[provider]]
        self.target = TargetModel(
            model="target", quirks=Quirks(**quirks), origin=origin, output_tokens_max=output_tokens_max
        )
        self.sealer = Sealer(b"k" * 32)

    # --- requests ----------------------------------------------------------------------------------------------------

    def decoded(self, body: Wire | bytes | None = None, *, stream: bool = False) -> Request:
        """A client's request; fields that every request needs are there already."""
        if not isinstance(body, bytes):
            body = encode(HELLO[self.client.name] | (body or {}))
        return self.client.decode(body, model="m", stream=stream, unseal=self.sealer.unseal)

    def encoded(self, body: Wire | bytes | None = None, *, stream: bool = False) -> Encoded:
        """What the provider gets. Untranslatable."""
        return self.provider.encode(self.decoded(body, stream=stream), self.target)

    def sent(self, body: Wire | bytes | None = None, *, stream: bool = False) -> Any:
        """Its body as JSON."""
        return json.loads(self.encoded(body, stream=stream).body)

    # --- replies -----------------------------------------------------------------------------------------------------

    def reply(
        self,
        said: Wire | Sequence[Wire] | bytes,
        asked: Wire | None = None,
        *,
        sse: bool | None = None,
        stream: bool | None = None,
        size: int = 1 << 30,
    ) -> Reply:
        """What the client gets. `said`: the provider's body; or its events, or their bytes, as a stream.

        `sse`: the provider streams; a body is made a stream then. `stream`: the client asked for one; as the provider
        does, if it is not said. `size`: in pieces of so many bytes.
        """
        sse = not isinstance(said, dict) if sse is None else sse
        stream = sse if stream is None else stream
        channel = self.channel(asked, sse=sse, stream=stream)
        data = self.spoken(said, sse=sse)
        pieces = [channel.feed(data[at : at + size]) for at in range(0, len(data), size)]
        return Reply(self, [*pieces, channel.close()], stream=stream, channel=channel)

    def channel(self, asked: Wire | None = None, *, sse: bool = True, stream: bool = True) -> Translation:
        request = self.decoded(asked, stream=stream)
        encoded = self.provider.encode(request, self.target)
        about = Asked(request=request, model="m", reply_id=REPLY_ID, created_at=1, seal=self.sealer.seal)
        return Translation(
            self.provider.decoder(stream=sse, target=self.target),
            Terms(
                request=request,
                encoded=encoded,
                reply_id=REPLY_ID,
                origin=self.target.origin,
                provider="Acme",
                linear=self.client.name in LINEAR,
            ),
            self.client.encoder(stream=stream, asked=about),
            Meter(),
            whole=not sse,
            stream=stream,
            count=lambda meter: COUNTED,
            request_id="req-1",
        )

    def spoken(self, said: Wire | Sequence[Wire] | bytes, *, sse: bool) -> bytes:
        """Bytes of the provider."""
        if isinstance(said, bytes):
            return said
        if not isinstance(said, dict):
            return framed(self.provider.name, said)
        return framed(self.provider.name, streamed(self.provider.name, said)) if sse else encode(said)


class Reply:
    """What a client got."""

    def __init__(self, pair: Pair, pieces: Sequence[bytes], *, stream: bool, channel: Translation) -> None:
        self._pair = pair
        self._stream = stream
        self.pieces = pieces
        """One for each piece that the provider sent, and one for the end."""
        self.data = b"".join(pieces)
        self.channel = channel

    @property
    def body(self) -> Any:
        return json.loads(self.data)

    @property
    def events(self) -> list[Any]:
        """Data of the stream's events, `[DONE]` as that text."""
        return list(read_events(self.data))

    @property
    def said(self) -> Said:
        """As the client's own decoder reads it."""
        decoder = self._pair.client.decoder(stream=self._stream, target=TargetModel(model="m"))
        return said([*decoder.feed(self.data), *decoder.close()])

    @property
    def turn(self) -> list[Wire]:
        """What a client sends back of it in its next request: a message, items or a content."""
        return turn_of(self._pair.client.name, self.final)

    @property
    def final(self) -> Any:
        """The whole reply, also of a stream."""
        return folded(self._pair.client.name, self.events) if self._stream else self.body


# --- what was said ------------------------------------------------------------------------------------------------


@dataclass
class Said:
    """A reply without the pieces in which it came."""

    parts: list[Part] = field(default_factory=list)
    """Whole, in the order in which they began."""
    choices: list[int] = field(default_factory=list)
    """Of each part."""
    incomplete: list[bool] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)
    usage: dict[Unit, int] = field(default_factory=dict)
    failed: Failed | None = None

    def of(self, choice: int) -> list[Part]:
        return [part for part, its in zip(self.parts, self.choices, strict=True) if its == choice]

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def thoughts(self) -> str:
        return "".join(part.text + "".join(part.summaries) for part in self.parts if isinstance(part, Thinking))

    @property
    def calls(self) -> list[ToolUse]:
        return [part for part in self.parts if isinstance(part, ToolUse)]

    @property
    def citations(self) -> list[Citation]:
        return [citation for part in self.parts if isinstance(part, Text) for citation in part.citations]

    @property
    def states(self) -> list[ReasoningState]:
        return [part.state for part in self.parts if part.state is not None]


class _Growing:
    def __init__(self, start: PartStart) -> None:
        self.start = start
        self.text = self.data = ""
        self.summaries: dict[int, str] = {}
        self.citations: list[Citation] = []
        self.state = start.part.state
        self.incomplete = False


def said(events: Iterable[Event]) -> Said:
    whole = Said()
    parts: dict[int, _Growing] = {}
    for event in events:
        match event:
            case PartStart():
                parts[event.index] = _Growing(event)
            case PartDelta(index, text):
                parts[index].text += text
            case PartData(index, data):
                parts[index].data += data
            case PartSummary(index, number, text):
                parts[index].summaries[number] = parts[index].summaries.get(number, "") + text
            case PartCitation(index, citation):
                parts[index].citations.append(citation)
            case PartState(index, state):
                parts[index].state = state
            case PartEnd(index, _, incomplete):
                parts[index].incomplete = incomplete
            case Metered(usage):
                whole.usage = {unit: quantity for unit, quantity in usage.items() if quantity}
            case Finish(reason=reason, choice=choice):
                whole.reasons[choice] = reason
            case Failed():
                whole.failed = event
            case _:
                pass
    for part in parts.values():
        whole.parts.append(_whole(part))
        whole.choices.append(part.start.choice)
        whole.incomplete.append(part.incomplete)
    return whole


def _whole(grown: _Growing) -> Part:
    state, text = grown.state, grown.text
    match grown.start.part:
        case Text() as part:
            return Text(part.text + text, tuple(grown.citations), state=state)
        case Thinking() as part:
            return Thinking(part.text + text, tuple(grown.summaries.values()), state=state)
        case Refusal() as part:
            return Refusal(part.text + text, state=state)
        case ToolUse() as part:
            return ToolUse(part.id, part.name, part.arguments + text, part.kind, part.namespace, state=state)
        case Image(source=Inline(data, media_type)):
            return Image(Inline(data + grown.data, media_type), state=state)
        case part:
            return part
