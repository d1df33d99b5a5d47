"""Items of a response to parts, whether they grow piece by piece or come whole.

A stream tells everything twice: in pieces, and whole at each item's end. What came in pieces is not told again; what
did not is taken from the end, so a provider that streams items whole, and a body, are read in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from proxyapi.dialects.model import (
    Event,
    Image,
    Inline,
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
    ServerToolResult,
    ServerToolUse,
    Text,
    TokenLogprob,
    ToolUse,
)
from proxyapi.dialects.openai_responses.items_in import arguments_of, beginning_of, part_of
from proxyapi.dialects.openai_responses.wire import Annotation, Content, Item, citation, citations, logprobs

Place = tuple[int | str, int]
"""Item, by its position or its id, and content of it. Below 0 is what is no content of a message:"""
ITSELF, SUMMARIES = -1, -2

_OPENED_EARLY = frozenset(
    {
        "function_call",
        "custom_tool_call",
        "reasoning",
        "mcp_call",
        "code_interpreter_call",
        "web_search_call",
        "file_search_call",
    }
)
"""Items that are what they are from the beginning. Of others only the end says whether they are a part at all."""
_CODE_START, _CODE_END = '{"code":"', '"}'
"""Code comes as text; arguments are JSON."""
_ENCODER = msgspec.json.Encoder()


class ItemReader:
    """Events of the parts of one response."""

    __slots__ = ("_fed", "_next", "_noted", "_of_item", "_seen", "items", "places")

    def __init__(self) -> None:
        self.places: dict[Place, int] = {}
        """Open parts."""
        self._of_item: dict[int | str, dict[Place, None]] = {}
        """Places of open parts, by their item."""
        self._next = 0
        self._seen: set[Place] = set()
        """Places that have, or had, a part."""
        self._fed: set[Place] = set()
        """Items whose arguments, thoughts or summaries came in pieces."""
        self._noted: dict[Place, int] = {}
        """How many citations of a text were told."""
        self.items: list[Item] = []
        """Whole items so far."""

    @property
    def idle(self) -> bool:
        """Nothing was opened yet."""
        return not self._next

    def part(self, place: Place, events: list[Event]) -> int:
        """The open part of that place; text, if nothing announced it."""
        number = self.places.get(place)
        return self._open(place, Text(""), events) if number is None else number

    def _open(self, place: Place, part: Part, events: list[Event]) -> int:
        number = self.places[place] = self._next
        self._next += 1
        self._of_item.setdefault(place[0], {})[place] = None
        self._seen.add(place)
        events.append(PartStart(number, part))
        return number

    def _shut(
        self, place: Place, events: list[Event], *, result: ServerToolResult | None = None, incomplete: bool = False
    ) -> None:
        number = self.places.pop(place, None)
        if number is not None:
            self._of_item[place[0]].pop(place, None)
            events.append(PartEnd(number, result, incomplete))

    # --- pieces ------------------------------------------------------------------------------------------------------

    def added(self, item: int | str, wire: Item, raw: Raw, events: list[Event]) -> None:
        place = (item, ITSELF)
        if wire.type in _OPENED_EARLY and place not in self._seen:
            self._open(place, beginning_of(wire, raw), events)

    def content_added(self, place: Place, content: Content, events: list[Event]) -> None:
        if place in self.places or content.type == "reasoning_text":
            return
        self._open(place, Refusal("") if content.type == "refusal" else Text(""), events)

    def content_done(self, place: Place, content: Content | None, events: list[Event]) -> None:
        if content is not None and content.annotations and place in self.places:
            self._rest_of_citations(place, content.annotations, events)
        self._shut(place, events)

    def text(self, place: Place, text: str, tokens: tuple[TokenLogprob, ...], events: list[Event]) -> None:
        events.append(PartDelta(self.part(place, events), text, tokens))

    def grown(self, item: int | str, text: str, events: list[Event]) -> None:
        """More of an item's arguments, or of raw thoughts."""
        place = (item, ITSELF)
        self._fed.add(place)
        events.append(PartDelta(self.part(place, events), text))

    def code(self, item: int | str, text: str, events: list[Event]) -> None:
        place = (item, ITSELF)
        escaped = _ENCODER.encode(text)[1:-1].decode()
        self.grown(item, escaped if place in self._fed else _CODE_START + escaped, events)

    def summary(self, item: int | str, number: int, text: str, events: list[Event]) -> None:
        place = (item, ITSELF)
        self._fed.add((item, SUMMARIES))
        events.append(PartSummary(self.part(place, events), number, text))

    def cited(self, place: Place, wire: Annotation, events: list[Event]) -> None:
        self._noted[place] = self._noted.get(place, 0) + 1
        events.append(PartCitation(self.part(place, events), citation(wire)))

    # --- wholes ------------------------------------------------------------------------------------------------------

    def done(self, item: int | str, wire: Item, raw: Raw, events: list[Event]) -> None:
        self.items.append(wire)
        place = (item, ITSELF)
        match wire.type:
            case "message":
                self._message_done(item, wire, events)
            case "reasoning" | "function_call" | "custom_tool_call" if place in self._seen:
                self._growth_done(place, wire, events)
            case "reasoning" | "function_call" | "custom_tool_call":
                self._open(place, beginning_of(wire, raw), events)
                self._growth_done(place, wire, events)
            case _:
                self._other_done(place, wire, raw, events)
        cut = wire.status == "incomplete" and wire.type != "message"
        for open_place in list(self._of_item.get(item, ())):
            self._shut(open_place, events, incomplete=cut)

    def _message_done(self, item: int | str, wire: Item, events: list[Event]) -> None:
        for position, content in enumerate(wire.content or ()):
            place = (item, position)
            if place not in self._seen:
                self.content_added(place, content, events)
                if text := content.text or content.refusal:
                    self.text(place, text, logprobs(content.logprobs), events)
            if content.annotations and place in self.places:
                self._rest_of_citations(place, content.annotations, events)

    def _growth_done(self, place: Place, wire: Item, events: list[Event]) -> None:
        """Thoughts, or a call, that may have come in pieces."""
        number = self.places.get(place)
        if number is None:
            return
        if wire.type != "reasoning":
            if place not in self._fed and (arguments := arguments_of(wire)):
                events.append(PartDelta(number, arguments))
            return
        if wire.summary and (place[0], SUMMARIES) not in self._fed:
            events += [PartSummary(number, n, summary.text) for n, summary in enumerate(wire.summary) if summary.text]
        if wire.content and place not in self._fed:
            events += [PartDelta(number, content.text) for content in wire.content if content.text]
        self._state(number, wire, events)

    def _other_done(self, place: Place, wire: Item, raw: Raw, events: list[Event]) -> None:
        part = part_of(wire, raw)
        if place not in self.places:
            if place in self._seen:
                return
            self._open(place, beginning_of(wire, raw), events)
        number = self.places[place]
        result = None
        match part:
            case ToolUse() | ServerToolUse():
                if place not in self._fed and part.arguments:
                    events.append(PartDelta(number, part.arguments))
                elif place in self._fed and wire.type == "code_interpreter_call":
                    events.append(PartDelta(number, _CODE_END))
                result = part.result if isinstance(part, ServerToolUse) else None
            case Image(source=Inline() as source):
                events.append(PartData(number, source.data))
            case _:
                self._state(number, wire, events)
        self._shut(place, events, result=result, incomplete=wire.status == "incomplete")

    def _state(self, number: int, wire: Item, events: list[Event]) -> None:
        if wire.encrypted_content:
            state = ReasoningState("openai_encrypted", wire.encrypted_content, id=wire.id or "")
            events.append(PartState(number, state))

    def _rest_of_citations(self, place: Place, raws: list[Raw], events: list[Event]) -> None:
        """Those that no event of their own told."""
        number, told = self.places[place], self._noted.get(place, 0)
        events += [PartCitation(number, cited) for cited in citations(raws[told:])]
        self._noted[place] = max(told, len(raws))

    def close(self, events: list[Event]) -> None:
        """The reply is over: what is still open was cut."""
        for place in list(self.places):
            self._shut(place, events, incomplete=True)


def refused(items: Sequence[Item]) -> bool:
    """The model refused, in words."""
    return any(content.type == "refusal" for item in items for content in item.content or ())
