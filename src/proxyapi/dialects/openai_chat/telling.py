"""OpenAI Chat Completions: what Chat says of each event of a reply, whether as a chunk or as a part of one body."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Literal

import msgspec
from msgspec import Raw

from proxyapi.dialects.codec import Asked, Encoder
from proxyapi.dialects.model import (
    Audio,
    Citation,
    Event,
    Failed,
    Finish,
    Image,
    Inline,
    KeepAlive,
    Link,
    Metered,
    Notice,
    Part,
    PartCitation,
    PartData,
    PartDelta,
    PartEnd,
    PartStart,
    PartState,
    PartSummary,
    Refusal,
    ServerToolKind,
    ServerToolResult,
    ServerToolUse,
    Start,
    StopReason,
    Text,
    Thinking,
    TokenLogprob,
    ToolUse,
    UrlCitation,
)
from proxyapi.dialects.openai_chat.details import details
from proxyapi.dialects.openai_chat.sound import is_raw
from proxyapi.dialects.openai_usage import written
from proxyapi.dialects.wording import as_text
from proxyapi.usage import Usage

Fields = dict[str, Any]
TextField = Literal["content", "reasoning_content", "refusal"]

_PARAGRAPH = "\n\n"
_REASONS: dict[StopReason, str] = {
    "end": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "context_window": "length",
    "tool_use": "tool_calls",
    "pause": "stop",
    "refusal": "content_filter",
    "content_filter": "content_filter",
    "recitation": "content_filter",
    "malformed": "stop",
    "compacted": "stop",
    "cancelled": "stop",
    "other": "stop",
}
_TIERS = {"standard": "default", "default": "default", "on_demand": "default"} | {
    tier: tier for tier in ("auto", "flex", "priority", "fast", "scale")
}
_SHOWN_RUNS: frozenset[ServerToolKind] = frozenset({"code_execution", "bash", "shell", "local_shell"})
"""Hosted tools whose work is a part of the answer; of others only the citations show."""

encode_json = msgspec.json.Encoder().encode


class Choice:
    """One alternative, as far as it was told."""

    __slots__ = (
        "annotations",
        "calls",
        "characters",
        "head",
        "images",
        "index",
        "is_apart",
        "proofs",
        "refused",
        "thought",
    )

    def __init__(self, index: int) -> None:
        self.index = index
        self.head = b""
        """Of a stream: the beginning of its chunks."""
        self.characters = 0
        """Of its content."""
        self.is_apart = False
        """Something else stands between the content so far and what follows."""
        self.thought = False
        """Some reasoning was told."""
        self.refused = False
        """Some refusal was told."""
        self.calls = self.annotations = self.images = self.proofs = 0
        """How many of each there are."""


class Open:
    """A part that grows."""

    __slots__ = ("after", "before", "characters", "choice", "citations", "number", "part", "pieces", "source", "start")

    def __init__(self, part: Part, choice: Choice) -> None:
        self.part = part
        self.choice = choice
        self.before = self.after = b""
        """Of a stream: what stands around the text of its chunks; empty: its text needs more care."""
        self.start = choice.characters
        """Where its text begins in the content."""
        self.characters = 0
        self.pieces: list[str] | None = None
        """Its text, where it is needed once more."""
        self.number = 0
        """Of a call: its place among the calls. Of a thought: the number of its last summary."""
        self.source: Literal["", "text", "summary"] = ""
        """Of a thought: which of its two texts is told. The first one that comes, so that none is told twice."""
        self.citations: list[Citation] = []
        """Without a place of their own: they are about all of the part."""


class Teller(Encoder):
    """Turns events into fields of messages. What a subclass does with them is in the methods at the end."""

    kind: ClassVar[str]
    """`object` of what leaves."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._hides_thoughts = asked.request.reasoning is not None and asked.request.reasoning.show == "none"
        self._is_legacy = asked.request.legacy_calls
        self._open: dict[int, Open] = {}
        self._choices: dict[int, Choice] = {}
        self._usage: Usage | None = None
        self._top: Fields = {}
        """What stands at the top of every chunk and of the body."""

    def feed(self, events: Iterable[Event]) -> bytes:
        for event in events:
            HANDLERS[type(event)](self, event)
        return self._take()

    # --- the reply -----------------------------------------------------------------------------------------------

    def _on_start(self, event: Start) -> None:
        self._top = {
            "id": event.id,
            "object": self.kind,
            "created": self._asked.created_at if event.created_at is None else event.created_at,
            "model": self._asked.model,
        }
        if tier := _TIERS.get(event.tier.lower()):
            self._top["service_tier"] = tier
        self._choice(0)

    def _on_metered(self, event: Metered) -> None:
        self._usage = event.usage

    def _on_finish(self, event: Finish) -> None:
        choice = self._choice(event.choice)
        if event.reason == "refusal" and event.message and not choice.refused:
            self._text(choice, "refusal", event.message)
        reason = _REASONS[event.reason]
        if self._is_legacy and reason == "tool_calls":
            reason = "function_call"
        told: Fields = {}
        if event.native and event.native != reason:
            told["native_finish_reason"] = event.native
        if event.stop_sequence:
            # As vLLM tells which one it was.
            told["stop_reason"] = event.stop_sequence
        self._done(choice, reason, told)

    def _on_nothing(self, event: Event) -> None:
        """Side values of another dialect; and errors, which are told by `fail`."""

    def usage(self) -> Raw:
        usage = self._usage or {}
        cost = self._asked.cost(usage)
        return Raw(written(usage, "chat", cost=cost, currency=self._asked.currency))

    # --- parts ---------------------------------------------------------------------------------------------------

    def _on_part_start(self, event: PartStart) -> None:
        choice = self._choice(event.choice)
        part = self._open[event.index] = Open(event.part, choice)
        self._begin_part(part, choice)
        if event.part.state is not None:
            self._on_state(PartState(event.index, event.part.state))

    def _begin_part(self, part: Open, choice: Choice) -> None:
        match part.part:
            case Text():
                if choice.is_apart and choice.characters:
                    self._text(choice, "content", _PARAGRAPH)
                    choice.characters += len(_PARAGRAPH)
                part.start, choice.is_apart = choice.characters, False
                self._ready(part, "content")
                return
            case Refusal():
                choice.refused = True
                self._ready(part, "refusal")
            case ToolUse() as call:
                part.number, choice.calls = choice.calls, choice.calls + 1
                self._call(part, call)
            case Audio() as sound:
                self._sound(part, sound)
            case Thinking() | ServerToolUse() | Image():
                part.pieces = []
            case _:
                pass
        choice.is_apart = True

    def _on_delta(self, event: PartDelta) -> None:
        part = self._open[event.index]
        part.characters += len(event.text)
        match part.part:
            case Text():
                self._text(part.choice, "content", event.text, event.logprobs)
            case Thinking():
                self._think(part, "text", event.text, event.logprobs)
            case ToolUse():
                self._argue(part, event.text)
            case Refusal():
                self._text(part.choice, "refusal", event.text, event.logprobs)
            case Audio():
                self._write(part.choice, {"audio": {"transcript": event.text}})
            case _:
                if part.pieces is not None:
                    part.pieces.append(event.text)

    def _on_summary(self, event: PartSummary) -> None:
        part = self._open[event.index]
        if part.source == "summary" and event.number != part.number:
            self._think(part, "summary", _PARAGRAPH)
        part.number = event.number
        self._think(part, "summary", event.text)

    def _think(
        self, part: Open, source: Literal["text", "summary"], text: str, logprobs: tuple[TokenLogprob, ...] = ()
    ) -> None:
        choice = part.choice
        if not part.source:
            part.source = source
            if choice.thought and not self._hides_thoughts:
                self._text(choice, "reasoning_content", _PARAGRAPH)
            choice.thought = True
            if source == "text" and not self._hides_thoughts:
                self._ready(part, "reasoning_content")
        if part.source == source and part.pieces is not None and not self._hides_thoughts:
            part.pieces.append(text)
            self._text(choice, "reasoning_content", text, logprobs)

    def _on_data(self, event: PartData) -> None:
        part = self._open[event.index]
        if isinstance(part.part, Audio):
            self._write(part.choice, {"audio": {"data": event.data}})
        elif part.pieces is not None:
            part.pieces.append(event.data)

    def _on_citation(self, event: PartCitation) -> None:
        part, source = self._open[event.index], event.citation
        if isinstance(source, UrlCitation) and source.start is None:
            part.citations.append(source)
        else:
            self._annotate(part, source)

    def _on_state(self, event: PartState) -> None:
        part, state = self._open[event.index], event.state
        choice, sealed = part.choice, self._asked.seal(state)
        signature = {"extra_content": {"google": {"thought_signature": sealed}}}
        match part.part:
            case ToolUse():
                self._sign_call(part, signature)
            case Text():
                self._write(choice, signature)
            case _:
                text = "".join(part.pieces or ()) if isinstance(part.part, Thinking) else ""
                told = {part.source or "text": text} if text else {}
                proof = details(state, sealed, index=choice.proofs, **told)
                choice.proofs += len(proof)
                self._write(choice, {"reasoning_details": proof})

    def _on_end(self, event: PartEnd) -> None:
        part = self._open.pop(event.index)
        match part.part:
            case Text():
                part.choice.characters += part.characters
                for source in part.citations:
                    self._annotate(part, source)
            case ToolUse() if event.incomplete:
                self._cut_call(part)
            case Image() as image:
                self._show(part, image)
            case ServerToolUse() as use if use.kind in _SHOWN_RUNS:
                arguments = use.arguments + "".join(part.pieces or ())
                self._say(part.choice, msgspec.structs.replace(use, arguments=arguments, result=event.result))
            case ServerToolResult() as result if result.kind in _SHOWN_RUNS:
                self._say(part.choice, result)
            case _:
                pass

    def _say(self, choice: Choice, part: Part) -> None:
        """A part that is words here, a paragraph of the content."""
        if words := as_text(part):
            words = _PARAGRAPH + words if choice.characters else words
            self._text(choice, "content", words)
            choice.characters += len(words)
            choice.is_apart = True

    def _annotate(self, part: Open, source: Citation) -> None:
        note = _annotation(source, part.start, part.characters)
        self._write(part.choice, {"annotations": [note | {"index": part.choice.annotations}]})
        part.choice.annotations += 1

    def _show(self, part: Open, image: Image) -> None:
        source = image.source
        match source:
            case Inline():
                url = f"data:{source.media_type or 'image/png'};base64,{source.data}{''.join(part.pieces or ())}"
            case Link():
                url = source.url
            case _:
                return
        shown = {"type": "image_url", "image_url": {"url": url}, "index": part.choice.images}
        part.choice.images += 1
        self._write(part.choice, {"images": [shown]})

    def _sound(self, part: Open, sound: Audio) -> None:
        """An id is what a later turn would point at: this one points at nothing, so it has expired."""
        told: Fields = {
            "id": sound.id or f"audio_{self._asked.reply_id}",
            "expires_at": sound.expires_at or self._asked.created_at,
        }
        media_type = sound.source.media_type
        asked = self._asked.request.audio
        if is_raw(media_type) and (asked is None or asked.format in ("", "wav")):
            told |= self._wave(part.choice, media_type)
        self._write(part.choice, {"audio": told})

    def _choice(self, index: int) -> Choice:
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = Choice(index)
            self._begin(choice)
        return choice

    # --- what leaves ---------------------------------------------------------------------------------------------

    def _take(self) -> bytes:
        """What is ready for the client."""
        raise NotImplementedError

    def _begin(self, choice: Choice) -> None:
        """The role of its message."""
        raise NotImplementedError

    def _ready(self, part: Open, field: TextField) -> None:
        """The text of the part goes into that field."""

    def _text(self, choice: Choice, field: TextField, text: str, logprobs: tuple[TokenLogprob, ...] = ()) -> None:
        raise NotImplementedError

    def _write(self, choice: Choice, fields: Fields) -> None:
        """Fields of the message: lists grow, texts of a sound too, anything else is set."""
        raise NotImplementedError

    def _wave(self, choice: Choice, media_type: str) -> Fields:
        """What stands before bare samples, to make a sound of them that players know."""
        raise NotImplementedError

    def _call(self, part: Open, call: ToolUse) -> None:
        raise NotImplementedError

    def _argue(self, part: Open, text: str) -> None:
        """More of the arguments of a call."""
        raise NotImplementedError

    def _sign_call(self, part: Open, signature: Fields) -> None:
        raise NotImplementedError

    def _cut_call(self, part: Open) -> None:
        """The call must not be executed."""

    def _done(self, choice: Choice, reason: str, told: Fields) -> None:
        raise NotImplementedError

    def _alive(self, event: KeepAlive) -> None:
        """Nothing happened."""


HANDLERS: dict[type, Callable[[Teller, Any], None]] = {
    Start: Teller._on_start,
    PartStart: Teller._on_part_start,
    PartDelta: Teller._on_delta,
    PartSummary: Teller._on_summary,
    PartData: Teller._on_data,
    PartCitation: Teller._on_citation,
    PartState: Teller._on_state,
    PartEnd: Teller._on_end,
    Metered: Teller._on_metered,
    Finish: Teller._on_finish,
    KeepAlive: lambda teller, event: teller._alive(event),
    Notice: Teller._on_nothing,
    Failed: Teller._on_nothing,
}


# --- pieces of the wire -------------------------------------------------------------------------------------------


def wire_logprobs(tokens: Mapping[TextField, list[TokenLogprob]]) -> Fields:
    """OpenAI always has the first two."""
    told: Fields = {"content": None, "refusal": None}
    return told | {field: [_logprob(token) for token in found] for field, found in tokens.items()}


def _logprob(token: TokenLogprob) -> Fields:
    return _alternative(token) | {"top_logprobs": [_alternative(one) for one in token.top]}


def _alternative(token: TokenLogprob) -> Fields:
    return {"token": token.token, "logprob": token.logprob, "bytes": token.bytes}


def _annotation(source: Citation, start: int, characters: int) -> Fields:
    """`start` and `characters`: of the part inside the content; what names no span of its own is about all of it."""
    if isinstance(source, UrlCitation):
        first = start if source.start is None else start + source.start
        last = start + characters if source.end is None else start + source.end
        told: Fields = {"url": source.url, "title": source.title, "start_index": first, "end_index": last}
        if source.quote:
            told["content"] = source.quote
        return {"type": "url_citation", "url_citation": told}
    if source.unit == "search_result" and source.source:
        told = {"url": source.source, "title": source.title, "start_index": start, "end_index": start + characters}
        return {"type": "url_citation", "url_citation": told | ({"content": source.quote} if source.quote else {})}
    told = {"file_id": source.file_id, "filename": source.title, "index": source.index}
    return {"type": "file_citation", "file_citation": told | ({"quote": source.quote} if source.quote else {})}
