"""Anthropic Messages: which blocks a reply has, whether it is told as one body or as a stream. `reply_out` writes them.

A thinking block begins with its first word, because thinking without words is a block of another type; and it ends with
the event after it, because the state of the part that follows is told as its signature.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Raw

from proxyapi.dialects import carriers
from proxyapi.dialects.anthropic import hosted
from proxyapi.dialects.anthropic.usage import written
from proxyapi.dialects.codec import Asked, Encoder
from proxyapi.dialects.functions import as_object, spoken
from proxyapi.dialects.model import (
    Audio,
    Citation,
    Compaction,
    Event,
    Failed,
    Finish,
    Image,
    KeepAlive,
    Metered,
    Native,
    Notice,
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
    Start,
    StopReason,
    Text,
    Thinking,
    ToolUse,
)

_STOP: dict[StopReason, str] = {
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "context_window": "model_context_window_exceeded",
    "tool_use": "tool_use",
    "pause": "pause_turn",
    "refusal": "refusal",
    "content_filter": "refusal",
    "recitation": "refusal",
    "compacted": "compaction",
}
"""Any other reason is the end of a turn."""
_TIERS = {"default": "standard", "auto": "standard", "on_demand": "standard", "ON_DEMAND": "standard"}
"""Words of other vendors for the usual price class."""
_FAST = "fast"
_APART = "\n\n"
"""Between two summaries of one thought."""
_UNSHOWN = "(A picture that cannot be shown here.)"

_UNMETERED, _UNFINISHED = Metered({}), Finish(reason="other")

Block = dict[str, Any]


class Reply(Encoder):
    """One reply: which part and which block are open, and what waits for the end."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._start = Start(id=asked.reply_id, model=asked.model)
        self._metered = _UNMETERED
        self._finish = _UNFINISHED
        self._notices: dict[str, Raw] = {}
        self._piece: Sequence[Event] = ()
        """The events that came together with the present one."""
        self._ahead: dict[int, ReasoningState] | None = None
        """The states among them, by their parts. None: nobody has looked."""
        self._part: Part | None = None
        self._is_open = False
        """A block is open."""
        self._is_unsigned = False
        """The open block is finished thinking, whose signature is not known yet."""
        self._is_carried = False
        """The state of the open part was told before it."""
        self._state: ReasoningState | None = None
        """Of the open part, to be told at its end."""
        self._source: int | None = None
        """Which text of the open thinking is shown: the raw one (-1), or the summary of that number. None: none yet."""
        self._grown = False
        """The open part has text."""
        self._free_text: list[str] = []
        """Arguments of an open call that are no JSON."""

    # --- how blocks are written: for the heirs -----------------------------------------------------------------------

    def _begin(self, block: Block | Raw) -> None:
        """A block begins."""
        raise NotImplementedError

    def _grow(self, kind: str, **fields: Any) -> None:
        """More of the open block."""
        raise NotImplementedError

    def _end(self, *, incomplete: bool) -> None:
        """The open block ends. `incomplete`: a call that must not be executed."""
        raise NotImplementedError

    def _flow(self, kind: str, field: str) -> None:
        """From here on deltas of the open part are nothing but more of this."""

    # --- blocks ------------------------------------------------------------------------------------------------------

    def _open(self, block: Block | Raw) -> None:
        self._sign(None)
        self._is_open = True
        self._begin(block)

    def _shut(self, *, incomplete: bool = False) -> None:
        if self._is_open:
            self._is_open = False
            self._end(incomplete=incomplete)

    def _whole(self, block: Block | Raw) -> None:
        """A block that is finished as it begins."""
        self._open(block)
        self._shut()

    def _sign(self, state: ReasoningState | None) -> bool:
        """Ends thinking that came without a proof. True: it has taken the state of the part that follows."""
        if not self._is_unsigned:
            return False
        self._is_unsigned = False
        place: carriers.Place = "own" if state is None else "next"
        self._grow("signature_delta", signature=self._sealed(state or carriers.UNSIGNED, place))
        self._shut()
        return state is not None

    def _carry(self, state: ReasoningState, place: carriers.Place) -> None:
        """A state beside the part that it belongs to."""
        if place != "next" or not self._sign(state):
            self._whole({"type": "redacted_thinking", "data": self._sealed(state, place)})

    def _sealed(self, state: ReasoningState, place: carriers.Place) -> str:
        return carriers.written(state, place, self._asked.seal)

    # --- parts -------------------------------------------------------------------------------------------------------

    def _on_part_start(self, event: PartStart) -> None:
        part = self._part = event.part
        self._source, self._grown, self._state = None, False, part.state
        kind = type(part)
        if type(part) is Thinking:
            if part.text:
                self._think(part.text, -1)
            return
        if kind is Compaction:
            return
        state, self._state = self._coming(event.index) or part.state, None
        self._is_carried = state is not None
        if state is not None:
            self._carry(state, "next")
        block = _START[kind](part) if kind in _START else None
        if block is not None:
            self._open(block)
        if text := _TEXT[kind](part) if kind in _TEXT else "":
            self._on_text(text)

    def _coming(self, index: int) -> ReasoningState | None:
        """A state that came together with the start of its part: it can still be told before it."""
        if self._ahead is None:
            self._ahead = {event.index: event.state for event in self._piece if type(event) is PartState}
        return self._ahead.get(index)

    def _on_delta(self, event: PartDelta) -> None:
        self._on_text(event.text)

    def _on_text(self, text: str) -> None:
        part = self._part
        if type(part) is Text or type(part) is Refusal:
            self._grow("text_delta", text=text)
            self._grown = True
            self._flow("text_delta", "text")
            return
        match part:
            case Thinking():
                self._think(text, -1)
            case ToolUse(kind="custom"):
                self._free_text.append(text)
            case ToolUse() | ServerToolUse():
                self._grow("input_json_delta", partial_json=text)
                self._grown = True
                self._flow("input_json_delta", "partial_json")
            case Compaction():
                self._part = Compaction(part.text + text)
            case Audio() | Image():
                self._grow("text_delta", text=text)
                self._grown = True
                self._flow("text_delta", "text")
            case _:
                pass

    def _on_summary(self, event: PartSummary) -> None:
        self._think(event.text, event.number)

    def _think(self, text: str, source: int) -> None:
        """Raw thoughts and their summaries say the same: only what comes first is shown."""
        if self._source is None:
            self._open({"type": "thinking", "thinking": "", "signature": ""})
            if source < 0:
                self._flow("thinking_delta", "thinking")
        elif self._source != source:
            if min(self._source, source) < 0:
                return
            text = _APART + text
        self._source = source
        self._grow("thinking_delta", thinking=text)

    def _on_citation(self, event: PartCitation) -> None:
        if isinstance(self._part, Text):
            self._cite(event.citation)

    def _cite(self, citation: Citation) -> None:
        raise NotImplementedError

    def _on_state(self, event: PartState) -> None:
        if not self._is_carried:
            self._state = event.state

    def _on_part_end(self, event: PartEnd) -> None:
        part, state = self._part, self._state
        self._part = self._state = None
        self._is_carried = False
        if type(part) is Thinking:
            self._end_thinking(state)
        elif type(part) is Compaction:
            self._summarise(part, state)
        else:
            self._end_part(part, event, state)

    def _end_part(self, part: Part | None, event: PartEnd, state: ReasoningState | None) -> None:
        if type(part) is ToolUse or type(part) is ServerToolUse:
            self._end_call(part, incomplete=event.incomplete)
        else:
            self._shut()
        if state is not None:
            self._carry(state, "before")
        if event.result is not None:
            self._whole(_result(event.result))

    def _end_call(self, call: ToolUse | ServerToolUse, *, incomplete: bool) -> None:
        if call.kind == "custom":
            free_text, self._free_text = "".join(self._free_text), []
            self._grow("input_json_delta", partial_json=as_object(ToolUse("", "", free_text, "custom")))
        elif not self._grown and not incomplete:
            self._grow("input_json_delta", partial_json="{}")
        self._shut(incomplete=incomplete and type(call) is ToolUse)

    def _end_thinking(self, state: ReasoningState | None) -> None:
        if self._source is None:
            if state is not None:
                self._carry(state, "own")
        elif state is None:
            self._is_unsigned = True
        else:
            self._grow("signature_delta", signature=self._sealed(state, "own"))
            self._shut()

    def _summarise(self, part: Compaction, state: ReasoningState | None) -> None:
        self._open({"type": "compaction", "content": None})
        proof = {} if state is None else {"encrypted_content": self._sealed(state, "own")}
        self._grow("compaction_delta", content=part.text or None, **proof)
        self._shut()

    # --- the message -------------------------------------------------------------------------------------------------

    def _on_start(self, event: Start) -> None:
        self._start = event

    def _on_metered(self, event: Metered) -> None:
        self._metered = event

    def _on_finish(self, event: Finish) -> None:
        self._finish = event

    def _on_notice(self, event: Notice) -> None:
        if event.dialect == "anthropic":
            self._notices[event.name] = event.body

    def _on_nothing(self, event: Event) -> None:
        """What a client of this dialect has no use for."""

    def _usage(self, *, final: bool) -> dict[str, Any]:
        usage = written(self._metered.usage, self._metered.others)
        if final and (cost := self._asked.cost(self._metered.usage)):
            usage["cost"], usage["cost_currency"] = Raw(cost.encode()), self._asked.currency
        return usage

    def _tier(self) -> dict[str, str]:
        tier = self._start.tier
        if tier == _FAST:
            return {"service_tier": "standard", "speed": tier}
        return {"service_tier": _TIERS.get(tier, tier)} if tier else {}

    def _ending(self) -> dict[str, Any]:
        end = self._finish
        reason = _STOP.get(end.reason, "end_turn")
        wire: dict[str, Any] = {"stop_reason": reason, "stop_sequence": end.stop_sequence or None}
        if reason == "refusal" and (end.category or end.message):
            details = {"category": end.category or None, "explanation": end.message or None}
            wire["stop_details"] = {"type": "refusal"} | details
        if "container" in self._notices:
            wire["container"] = self._notices["container"]
        return wire

    def _besides(self) -> dict[str, Any]:
        """Side values of the message."""
        if not self._notices:
            return {}
        return {name: raw for name, raw in self._notices.items() if name != "container"}


# --- parts as blocks ----------------------------------------------------------------------------------------------


def _native(part: Native) -> Raw | None:
    return part.body if part.dialect == "anthropic" else None


def _result(part: ServerToolResult) -> Block | Raw:
    return part.native if hosted.is_native(part) else hosted.write_result(part)


def _call(part: ToolUse) -> Block:
    return {"type": "tool_use", "id": part.id, "name": spoken(part.name, part.namespace), "input": {}}


def empty_text(part: Part | None = None) -> Block:
    return {"type": "text", "text": ""}


_START: dict[type, Callable[[Any], Block | Raw | None]] = {
    Text: empty_text,
    Refusal: empty_text,
    Audio: empty_text,
    Image: empty_text,
    ToolUse: _call,
    ServerToolUse: hosted.write_use,
    ServerToolResult: _result,
    Native: _native,
}
"""Blocks as they begin. A sound is told by what was said, a picture by a word."""
_TEXT: dict[type, Callable[[Any], str]] = {
    Text: lambda part: part.text,
    Refusal: lambda part: part.text,
    Audio: lambda part: part.transcript,
    Image: lambda part: _UNSHOWN,
    ToolUse: lambda part: part.arguments,
    ServerToolUse: lambda part: part.arguments,
}
"""What a part already holds as it starts: nothing, of most providers."""

HANDLERS: dict[type, Callable[[Any, Any], None]] = {
    PartStart: Reply._on_part_start,
    PartSummary: Reply._on_summary,
    PartCitation: Reply._on_citation,
    PartState: Reply._on_state,
    PartData: Reply._on_nothing,
    PartEnd: Reply._on_part_end,
    Start: Reply._on_start,
    Metered: Reply._on_metered,
    Finish: Reply._on_finish,
    Notice: Reply._on_notice,
    KeepAlive: Reply._on_nothing,
    Failed: Reply._on_nothing,
}
