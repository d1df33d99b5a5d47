"""Both bodies of a request as a conversation, whatever dialect they are in: read by the codecs that also translate.

conversation = read_conversation(entry)      # None: no conversation, or one that is not whole enough to be read
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import Struct

from proxyapi.dialects import faults
from proxyapi.dialects.codec import TargetModel, sealed_nothing
from proxyapi.dialects.codecs import CODECS
from proxyapi.dialects.model import (
    Audio,
    Compaction,
    CustomTool,
    Document,
    Event,
    Failed,
    FileRef,
    FunctionTool,
    Image,
    Inline,
    Link,
    Message,
    Native,
    Part,
    PartDelta,
    PartEnd,
    PartStart,
    PartSummary,
    Refusal,
    SearchResult,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolChange,
    ToolReference,
    ToolResult,
    ToolUse,
    Video,
)
from proxyapi.errors import GatewayError

if TYPE_CHECKING:
    from proxyapi.logbook.reading import Entry

TURNS_MAX: Final = 300
"""Shown of one conversation: its end, which is what the answer is about."""
CHARACTERS_MAX: Final = 50_000
"""Shown of one piece."""

Who = Literal["system", "user", "assistant", "tool"]
Kind = Literal["text", "thinking", "refusal", "call", "result", "media", "search", "note", "error"]


class Piece(Struct, frozen=True):
    """One part of a turn as it is shown."""

    kind: Kind
    text: str
    title: str = ""
    """Name of a tool, media type, and the like."""


class Turn(Struct, frozen=True):
    who: Who
    pieces: tuple[Piece, ...]
    answer: bool = False
    """It is what came back."""


class Conversation(Struct, frozen=True):
    turns: tuple[Turn, ...]
    earlier: int = 0
    """Turns before them that are not shown."""


def read_conversation(entry: Entry) -> Conversation | None:
    """None: the bodies are of another kind, or too much of the request is missing."""
    codec = CODECS.get(entry.line.dialect)
    if codec is None or entry.request.cut or not entry.request.data:
        return None
    try:
        request = codec.decode(entry.request.data, model=entry.line.model or "-", unseal=sealed_nothing)
    except GatewayError:
        return None
    asked = [turn for message in (*request.system, *request.messages) if (turn := _turn(message)).pieces]
    turns = [*asked, *_answers(entry)]
    return Conversation(tuple(turns[-TURNS_MAX:]), max(0, len(turns) - TURNS_MAX))


def _turn(message: Message) -> Turn:
    who: Who = "system" if message.role == "developer" else message.role
    if message.parts and all(isinstance(part, ToolResult) for part in message.parts):
        who = "tool"
    return Turn(who, tuple(_pieces(message.parts)))


# --- the answer -------------------------------------------------------------------------------------------------------


def _answers(entry: Entry) -> Iterator[Turn]:
    """One turn for each choice; what went wrong as the last piece of the first."""
    parts: dict[int, _Growing] = {}
    wrong: list[Piece] = []
    for event in _events(entry):
        match event:
            case PartStart(index, part, choice):
                parts[index] = _Growing(part, choice)
            case PartDelta(index, text) | PartSummary(index, _, text) if index in parts:
                parts[index].text.append(text)
            case PartEnd(index, result) if index in parts:
                parts[index].result = result
            case Failed():
                wrong.append(Piece("error", event.message, event.code))
            case _:
                pass
    for choice in sorted({0, *(growing.choice for growing in parts.values())}):
        whole = [part for growing in parts.values() if growing.choice == choice for part in growing.whole()]
        pieces = (*_pieces(whole), *(wrong if choice == 0 else ()))
        if pieces:
            yield Turn("assistant", pieces, answer=True)


def _events(entry: Entry) -> Iterable[Event]:
    body, dialect = entry.response, entry.line.dialect
    if not body.data:
        return ()
    if entry.line.status >= 400:
        return (faults.read_error(body.data, entry.line.status),)
    stream = body.type == "text/event-stream" or (dialect == "gemini" and body.data[:1] == b"[")
    decoder = CODECS[dialect].decoder(stream=stream, target=TargetModel(model=entry.line.model))
    events = list(decoder.feed(body.data))
    return events if body.cut else [*events, *decoder.close()]


class _Growing:
    """A part of an answer that comes in pieces."""

    def __init__(self, part: Part, choice: int) -> None:
        self.part = part
        self.choice = choice
        self.text: list[str] = []
        self.result: ServerToolResult | None = None

    def whole(self) -> Sequence[Part]:
        text = "".join(self.text)
        match self.part:
            case Text() | Refusal() | Thinking() | Compaction() as part:
                return (msgspec.structs.replace(part, text=part.text + text),)
            case Audio() as part:
                return (msgspec.structs.replace(part, transcript=part.transcript + text),)
            case ToolUse() | ServerToolUse() as call:
                made = msgspec.structs.replace(call, arguments=call.arguments + text)
                return (made, self.result) if self.result is not None else (made,)
            case part:
                return (part,)


# --- pieces -----------------------------------------------------------------------------------------------------------


def _pieces(parts: Iterable[Part]) -> Iterator[Piece]:
    for part in parts:
        for piece in _shown(part):
            if len(piece.text) > CHARACTERS_MAX:
                piece = msgspec.structs.replace(piece, text=piece.text[:CHARACTERS_MAX] + "…")
            yield piece


def _shown(part: Part) -> Iterator[Piece]:
    match part:
        case Text(text=text):
            yield from [Piece("text", text)] if text else ()
        case Refusal(text=text):
            yield Piece("refusal", text)
        case Thinking(text=text, summaries=summaries):
            shown = "\n\n".join((*summaries, *((text,) if text else ())))
            yield from [Piece("thinking", shown)] if shown else ()
        case ToolUse(name=name, arguments=arguments) | ServerToolUse(name=name, arguments=arguments):
            yield Piece("call", _pretty(arguments), name)
        case ToolResult(name=name, parts=inner):
            yield Piece("result", "\n".join(piece.text for piece in _pieces(inner)), name)
        case ServerToolResult(kind=kind, parts=inner, error_code=code):
            yield Piece("search", code or "\n".join(piece.text for piece in _pieces(inner)), kind)
        case Image(source=source) | Video(source=source):
            yield _media(source)
        case Audio(source=source, transcript=transcript):
            yield _media(source)
            yield from [Piece("text", transcript)] if transcript else ()
        case Document(source=source, text=text, title=title, parts=inner):
            yield from [_media(source)] if source is not None else ()
            yield from [Piece("text", text, title)] if text else ()
            yield from _pieces(inner)
        case SearchResult(title=title, source=address, parts=inner):
            yield Piece("search", "\n".join((address, *(text.text for text in inner))), title)
        case Compaction(text=text):
            yield Piece("note", text, "compaction")
        case ToolReference(name=name):
            yield Piece("note", name, "tool")
        case ToolChange(added=added, removed=removed):
            names = [f"+ {tool.name}" for tool in added if isinstance(tool, FunctionTool | CustomTool)]
            yield Piece("note", ", ".join((*names, *(f"- {name}" for name in removed))), "tools")
        case Native(wire_type=wire_type, body=body):
            yield Piece("note", _pretty(bytes(body).decode("utf-8", "replace")), wire_type)


def _media(source: Inline | Link | FileRef) -> Piece:
    match source:
        case Inline(data=data, media_type=media_type):
            size = _STUB.fullmatch(data)
            return Piece("media", size[1] if size else str(len(data) * 3 // 4), media_type)
        case Link(url=url, media_type=media_type):
            return Piece("media", url, media_type)
        case FileRef(id=id, media_type=media_type):
            return Piece("media", id, media_type)


_STUB: Final = re.compile(r"\((\d+) bytes\)")


def _pretty(text: str) -> str:
    """JSON with its members on lines of their own; anything else as it is."""
    try:
        return msgspec.json.format(text.encode(), indent=2).decode()
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return text
