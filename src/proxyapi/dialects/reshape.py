"""From the events that a provider's reply makes to the events that an encoder of another dialect can rely on.

What it guarantees: `Start` once and first, with an id; every call with an id of its own, under the declared name and
as the declared kind of tool; no empty parts and no empty deltas; every part ended before its choice's `Finish`, one
`Finish` for each choice, with the reason that the reply's content gives it; a call that was cut is `incomplete`;
structured output by a tool as text; stop sequences cut that the provider did not know; reasoning states with their
origin; one open part at a time where the client's dialect needs it; and a reply that simply ends is `Failed`.

`Start` waits for the first event after it, so that a provider that begins with an error can still be answered with a
status. Nothing else waits, but: the end of a call for the next event, since only then it is known whether it was cut;
and `Finish` for the end of the bytes, since Gemini may say STOP and go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from proxyapi.dialects.codec import Terms
from proxyapi.dialects.declared import Declared, declared_tools
from proxyapi.dialects.functions import NO_ARGUMENTS
from proxyapi.dialects.linear import Line
from proxyapi.dialects.model import (
    Event,
    Failed,
    Finish,
    KeepAlive,
    Metered,
    Notice,
    PartCitation,
    PartData,
    PartDelta,
    PartEnd,
    PartEvent,
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
from proxyapi.dialects.open_part import OpenPart, unwrapped
from proxyapi.dialects.schema import restored
from proxyapi.dialects.state import STATE_CHARACTERS_MAX
from proxyapi.dialects.stops import StopCutter

_CUT: frozenset[StopReason] = frozenset({"length", "context_window", "refusal", "content_filter", "recitation"})
"""Reasons that a call changes nothing about: the last one may even be cut."""


class Reshape:
    """For one reply. Feed it the decoder's events."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._encoded = terms.encoded
        self._provider = terms.provider
        self._choices = max(1, terms.request.choices)
        self._tools: dict[str, Declared] | None = None
        """Read with the first call."""
        self._line = Line() if terms.linear else None
        self._out: list[Event] = []
        self._start: Start | None = None
        self._begun = False
        self._metered: Metered | None = None
        """What came before the start."""
        self._open: dict[int, OpenPart] = {}
        self._ending: dict[int, tuple[OpenPart, bool]] = {}
        """By choice: a call whose end waits, and whether the provider said that it is incomplete."""
        self._ids: set[str] = set()
        self._made = 0
        self._server_ids: dict[int, str] = {}
        """By choice: the last call of the provider's own tools."""
        self._called: set[int] = set()
        self._seen: set[int] = set()
        self._stopped: dict[int, str] = {}
        """By choice: the stop sequence that cut it. Nothing of it follows but its end."""
        self._finishes: dict[int, Finish] = {}
        """By choice: the last word so far. It is told when nothing more can follow."""
        self._shown = False
        self._preamble: list[PartEvent] = []
        """Text before a forced tool that stands for the answer: not part of it, if the tool is called."""
        self._answered = False
        """The forced tool was called."""
        self.failed = False

    def feed(self, events: Iterable[Event]) -> list[Event]:
        """What follows for the client."""
        out: list[Event] = []
        self._out = out
        for event in events:
            kind = type(event)
            if self.failed:
                if kind is Metered:
                    out.append(event)
                continue
            if self._ending and kind not in _QUIET:
                self._release_all()
            _HANDLERS[kind](self, event)
        if self._line is not None and self._line.full and not self.failed:
            self._fail(f"{self._provider} sent more parts at once than can be put in order.")
        return out

    def close(self, *, finished: bool) -> list[Event]:
        """The provider has sent everything; `finished`: and said so itself."""
        out: list[Event] = []
        self._out = out
        if self.failed:
            return out
        if self._start is None and not self._begun:
            self._fail(f"{self._provider} {'answered with nothing' if finished else 'broke off its answer'}.")
            return out
        # Some end without a reason; their word that this is the end stands for one.
        missing = [choice for choice in self._seen or (0,) if choice not in self._finishes]
        if missing:
            partial = any(part.choice in missing and part.is_partial for part in self._open.values())
            if partial or not finished:
                self._fail(f"{self._provider} broke off its answer.")
                return out
            self._finishes |= {choice: Finish(reason="end", choice=choice) for choice in sorted(missing)}
        for event in self._finishes.values():
            if not self.failed:
                self._finish(event)
        return out

    def cut(self) -> list[Event]:
        """The reply is broken off here: all that is open ends, as at a length."""
        out: list[Event] = []
        self._out = out
        if not self.failed:
            for choice in sorted(self._seen or {0}):
                self._finish(self._finishes.get(choice) or Finish(reason="length", choice=choice))
        return out

    # --- out ---------------------------------------------------------------------------------------------------------

    def _emit(self, event: PartEvent) -> None:
        if self._line is None:
            self._out.append(event)
        else:
            self._line.push(event, self._out)

    def _begin(self) -> None:
        """The start, before anything else is sent."""
        if not self._begun:
            self._begun = True
            start = self._start or Start(id="", model="")
            self._out.append(self._terms.named(start))
            if self._metered is not None:
                self._out.append(self._metered)

    def _put(self, part: OpenPart, event: PartEvent) -> None:
        """An event of an open part; its start first, if that waited."""
        if part.start is not None:
            start, part.start = part.start, None
            self._put(part, start)
        if part.target is not None:
            part.target.append(event)
            return
        if self._preamble:
            self._show_preamble()
        if not self._begun:
            self._begin()
        self._shown = True
        if self._line is None:
            self._out.append(event)
        else:
            self._line.push(event, self._out)

    def _show_preamble(self) -> None:
        """No tool stands for the answer, so the text does."""
        held, self._preamble = self._preamble, []
        for part in self._open.values():
            part.target = None
        if not self._answered:
            self._begin()
            self._shown = True
            for event in held:
                self._emit(event)

    def _fail(self, message: str) -> None:
        self._on_failed(Failed(kind="internal", message=message, status=502, code="upstream_broken"))

    # --- the reply ---------------------------------------------------------------------------------------------------

    def _on_start(self, event: Start) -> None:
        if self._start is None:
            self._start = event

    def _on_metered(self, event: Metered) -> None:
        if self._begun:
            self._out.append(event)
        else:
            self._metered = event

    def _on_keep_alive(self, event: KeepAlive | Notice) -> None:
        # A sign of life is passed on only once there is something that lives.
        if self._start is not None or self._begun:
            self._begin()
            self._out.append(event)

    def _on_failed(self, event: Failed) -> None:
        for part in list(self._open.values()):
            if part.cutter is not None and (rest := part.cutter.close()):
                self._put(part, PartDelta(part.index, rest))
        self.failed = True
        self._out.append(event)

    def _on_finish(self, event: Finish) -> None:
        if event.choice < self._choices:
            self._seen.add(event.choice)
            self._finishes[event.choice] = event

    def _finish(self, event: Finish) -> None:
        choice, cut = event.choice, event.reason in _CUT
        if self._open:
            for part in [part for part in self._open.values() if part.choice == choice]:
                self._end(part, incomplete=cut and part.is_partial)
        if self._ending:
            self._release(choice, cut=cut)
        if self._preamble:
            self._show_preamble()
        if event.reason == "malformed" and not self._shown:
            words = event.message or event.native
            self._fail(f"{self._provider} made an answer that it could not read itself: {words}")
            return
        self._begin()
        reason, stop = self._reason(event), event.stop_sequence
        if choice in self._stopped:
            reason, stop = "stop_sequence", self._stopped[choice]
        if reason != event.reason or stop != event.stop_sequence:
            event = msgspec.structs.replace(event, reason=reason, stop_sequence=stop)
        if self._line is None:
            self._out.append(event)
        else:
            self._line.finish(event, self._out)

    def _reason(self, event: Finish) -> StopReason:
        """A call that the client has to execute ends a turn, whatever the provider's word is."""
        if event.choice in self._called:
            return event.reason if event.reason in _CUT else "tool_use"
        return "end" if event.reason == "tool_use" else event.reason

    # --- parts -------------------------------------------------------------------------------------------------------

    def _on_part_start(self, event: PartStart) -> None:
        choice = event.choice
        if choice >= self._choices or choice in self._stopped:
            return
        self._seen.add(choice)
        self._finishes.pop(choice, None)
        part = self._open[event.index] = OpenPart(event.index, choice)
        shown = event.part
        kind = type(shown)
        if kind is Text or kind is Thinking or kind is Refusal:
            if kind is Text:
                self._open_text(part)
            part.start = event
            if shown.state is not None:
                signed = msgspec.structs.replace(shown, state=self._of_origin(shown.state))
                part.start = PartStart(event.index, signed, choice)
                self._reveal(part)
            return
        match shown:
            case ToolUse() as call:
                self._open_call(part, call)
                return
            case ServerToolUse() as use:
                self._server_ids[choice] = part.identity = identity = self._identity(use.id)
                event = PartStart(event.index, msgspec.structs.replace(use, id=identity), choice)
            case ServerToolResult() as result if not result.tool_use_id:
                answered = msgspec.structs.replace(result, tool_use_id=self._server_ids.get(choice, ""))
                event = PartStart(event.index, answered, choice)
            case _:
                pass
        part.start = event
        self._reveal(part)

    def _open_text(self, part: OpenPart) -> None:
        if self._encoded.stop:
            part.cutter = StopCutter(self._encoded.stop)
        if self._encoded.json_tool:
            part.target = self._preamble
        part.schema = self._encoded.rewritten.get("")

    def _open_call(self, part: OpenPart, call: ToolUse) -> None:
        if self._encoded.json_tool and call.name == self._encoded.json_tool:
            self._answered = True
            self._preamble.clear()
            part.start = PartStart(part.index, Text(""), part.choice)
            return
        name = self._encoded.names.get(call.name, call.name)
        if self._tools is None:
            self._tools = declared_tools(self._terms.request)
        tools = self._tools
        declared = tools.get(call.name) or tools.get(name) or Declared(name)
        part.arguments = []
        part.schema = self._encoded.rewritten.get(call.name)
        kind = call.kind if call.kind != "function" else declared.kind
        # OpenAI tells a namespace also of tools that a search found, and that are declared without one.
        spaced = call.namespace and any(call.namespace == tool.namespace for tool in tools.values())
        namespace = call.namespace if spaced else declared.namespace
        part.kind, part.wrapped = kind, kind == "custom" and call.kind == "function"
        named = msgspec.structs.replace(
            call,
            id=self._identity(call.id),
            name=declared.name,
            kind=kind,
            namespace=namespace,
        )
        part.start = PartStart(part.index, named, part.choice)
        if not part.wrapped:
            self._reveal(part)

    def _reveal(self, part: OpenPart) -> None:
        if part.start is not None:
            start, part.start = part.start, None
            self._put(part, start)

    def _identity(self, given: str) -> str:
        """An id of its own for every call; the same in every event, as it is made once."""
        if not given or given in self._ids:
            given = f"call_{self._terms.reply_id}_{self._made}"
            self._made += 1
        self._ids.add(given)
        return given

    def _on_delta(self, event: PartDelta) -> None:
        part = self._open.get(event.index)
        if part is None or not event.text:
            return
        if part.arguments is not None:
            if not part.arguments and part.kind == "function" and event.text.strip() in NO_ARGUMENTS:
                return
            part.arguments.append(event.text)
            if part.wrapped or part.schema is not None:
                return
        if part.cutter is not None:
            self._cut(part, part.cutter, event)
        elif part.schema is not None:
            part.held.append(event.text)
        elif part.start is None and part.target is None and not self._preamble:
            if self._line is None:
                self._out.append(event)
            else:
                self._line.push(event, self._out)
        else:
            self._put(part, event)

    def _cut(self, part: OpenPart, cutter: StopCutter, event: PartDelta) -> None:
        text = cutter.feed(event.text)
        if text and part.schema is not None:
            part.held.append(text)
        elif text:
            self._put(part, PartDelta(event.index, text, event.logprobs))
        if cutter.matched:
            choice = part.choice
            self._end(part)
            self._release(choice, cut=False)
            for other in [other for other in self._open.values() if other.choice == choice]:
                self._end(other, incomplete=other.arguments is not None)
                self._release(choice, cut=False)
            self._stopped[choice] = cutter.matched

    def _on_growth(self, event: PartSummary | PartData | PartCitation) -> None:
        part = self._open.get(event.index)
        if part is not None:
            self._put(part, event)

    def _on_state(self, event: PartState) -> None:
        part = self._open.get(event.index)
        if part is not None and len(event.state.data) <= STATE_CHARACTERS_MAX:
            self._put(part, PartState(event.index, self._of_origin(event.state)))

    def _of_origin(self, state: ReasoningState) -> ReasoningState:
        return msgspec.structs.replace(state, origin=self._terms.origin)

    def _on_part_end(self, event: PartEnd) -> None:
        part = self._open.get(event.index)
        if part is None:
            return
        if event.result is not None:
            del self._open[event.index]
            outcome = msgspec.structs.replace(event.result, tool_use_id=part.identity)
            self._put(part, PartEnd(event.index, outcome, event.incomplete))
        else:
            self._end(part, incomplete=event.incomplete)

    def _end(self, part: OpenPart, *, incomplete: bool = False) -> None:
        del self._open[part.index]
        if part.arguments is not None:
            self._release(part.choice, cut=False)
            self._ending[part.choice] = (part, incomplete)
            return
        if part.cutter is not None and (rest := part.cutter.close()):
            part.held.append(rest)
        if part.held and (text := "".join(part.held)):
            self._put(part, PartDelta(part.index, text if part.schema is None else restored(text, part.schema)))
        if part.start is None:
            self._put(part, PartEnd(part.index, incomplete=incomplete))

    # --- calls whose end waits ---------------------------------------------------------------------------------------

    def _release_all(self) -> None:
        for choice in list(self._ending):
            self._release(choice, cut=False)

    def _release(self, choice: int, *, cut: bool) -> None:
        """The end of the choice's last call. `cut`: the reply ended for a reason that may have cut it."""
        if choice not in self._ending:
            return
        part, incomplete = self._ending.pop(choice)
        incomplete = incomplete or (cut and part.is_partial)
        text = "".join(part.arguments or ())
        if part.wrapped:
            text = unwrapped(text)
            if text:
                self._put(part, PartDelta(part.index, text))
            elif part.start is not None:
                self._reveal(part)
        elif text and part.schema is not None:
            self._put(part, PartDelta(part.index, restored(text, part.schema)))
        elif not text and not incomplete and part.kind == "function":
            self._put(part, PartDelta(part.index, "{}"))
        if not incomplete:
            self._called.add(choice)
        self._put(part, PartEnd(part.index, incomplete=incomplete))


_QUIET = frozenset({Metered, Finish, Failed})
"""What does not let the end of a call go on: a usage says nothing, and the others decide how it ended."""

_HANDLERS: dict[type, Callable[[Reshape, Any], None]] = {
    PartDelta: Reshape._on_delta,
    Start: Reshape._on_start,
    Metered: Reshape._on_metered,
    KeepAlive: Reshape._on_keep_alive,
    Notice: Reshape._on_keep_alive,
    Failed: Reshape._on_failed,
    Finish: Reshape._on_finish,
    PartStart: Reshape._on_part_start,
    PartSummary: Reshape._on_growth,
    PartData: Reshape._on_growth,
    PartCitation: Reshape._on_growth,
    PartState: Reshape._on_state,
    PartEnd: Reshape._on_part_end,
}
