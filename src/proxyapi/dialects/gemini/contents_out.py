"""Gemini: canonical messages as `contents` and `systemInstruction`, as the target's quirks demand.

https://ai.google.dev/api/caching#Content, and for signatures https://ai.google.dev/gemini-api/docs/thought-signatures
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Raw

from proxyapi.dialects.codec import TargetModel, Untranslatable
from proxyapi.dialects.functions import as_object, spoken
from proxyapi.dialects.gemini import hosted
from proxyapi.dialects.gemini.contents_in import OWN_FILES, VIDEO_PAGES
from proxyapi.dialects.history import answered
from proxyapi.dialects.losses import Losses
from proxyapi.dialects.media import type_of_address
from proxyapi.dialects.model import (
    Audio,
    Compaction,
    Detail,
    Document,
    FileRef,
    Image,
    Inline,
    Link,
    Message,
    Native,
    Part,
    ReasoningState,
    Refusal,
    SearchResult,
    ServerToolResult,
    ServerToolUse,
    Source,
    Text,
    Thinking,
    ToolChange,
    ToolReference,
    ToolResult,
    ToolUse,
    Video,
)
from proxyapi.dialects.turns import OPENING, merged, named, reminded, summarised
from proxyapi.dialects.wording import as_text

UNSIGNED = "skip_thought_signature_validator"
"""Google's own word for a call whose signature is lost: it lets the call pass."""
LEVELS: dict[Detail, str] = {
    "low": "MEDIA_RESOLUTION_LOW",
    "medium": "MEDIA_RESOLUTION_MEDIUM",
    "high": "MEDIA_RESOLUTION_HIGH",
    "original": "MEDIA_RESOLUTION_ULTRA_HIGH",
}
_MEDIA = (Image, Audio, Video)
_REFERENCES = ('"$ref"', '"$defs"')
"""In the object of a result they would be read as pointers to its files."""

Wire = dict[str, Any]


class ContentWriter:
    """Of one request."""

    def __init__(self, target: TargetModel, losses: Losses) -> None:
        self._target = target
        self._quirks = target.quirks
        self._losses = losses
        self._names: dict[str, str] = {}
        """Functions by the ids of the calls so far."""
        self._native: set[str] = set()
        """Calls of hosted tools whose results came from this dialect."""
        self.tells_invocations = False
        """Some part tells of a hosted tool."""

    def write(
        self, system: Sequence[Message], messages: Sequence[Message], sentences: Iterable[str] = ()
    ) -> tuple[list[Wire], list[Wire]]:
        """Parts of `systemInstruction` and the `contents`. `sentences`: instructions of the gateway's own.

        Untranslatable names what can't be said.
        """
        instructions = [wire for message in system for wire in self._instruction(message)]
        instructions += [{"text": sentence} for sentence in sentences]
        contents: list[Wire] = []
        for message in self._turns(messages):
            self._append(contents, "model" if message.role == "assistant" else "user", self._message(message))
        if contents and contents[-1]["role"] == "model" and not _calls(contents[-1]):
            raise Untranslatable("messages", "Gemini does not go on with a message of the assistant")
        if not contents or contents[0]["role"] == "model":
            contents.insert(0, {"role": "user", "parts": [{"text": OPENING}]})
        if self._quirks.system_role == "user" and instructions:
            self._losses.approximate("system")
            first = next(content for content in contents if content["role"] == "user")
            first["parts"][:0], instructions = instructions, []
        if self._quirks.signature_required:
            _let_pass(contents)
        return instructions, contents

    def _turns(self, messages: Sequence[Message]) -> Sequence[Message]:
        """User and assistant in turns: instructions among them become words of the user, and so do summaries."""
        if any(message.role in ("system", "developer") for message in messages):
            self._losses.approximate("messages.system")
        paired = answered(messages, as_called=not self._quirks.call_ids)
        told = summarised(named(paired), kept=lambda part: False)
        return merged(message if message.role in ("user", "assistant") else reminded(message) for message in told)

    @staticmethod
    def _append(contents: list[Wire], role: str, parts: list[Wire]) -> None:
        if not parts:
            return
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        else:
            contents.append({"role": role, "parts": parts})

    def _instruction(self, message: Message) -> list[Wire]:
        texts = []
        for part in message.parts:
            words = part.text if isinstance(part, Text) else as_text(part)
            if words is None:
                raise Untranslatable("system", "Gemini takes texts only there")
            self._mark(part)
            if words.strip():
                texts.append({"text": words})
        return texts

    def _message(self, message: Message) -> list[Wire]:
        results = (part for part in message.parts if isinstance(part, ServerToolResult))
        self._native |= {result.tool_use_id for result in results if hosted.native_field(result)}
        parts: list[Wire] = []
        held: ReasoningState | None = None
        for part, after in zip(message.parts, (*message.parts[1:], None), strict=True):
            state, held = part.state or held, None
            if isinstance(part, Thinking) and _belongs(part, after) and self._signature(part.state):
                held = part.state
                continue
            written = self._part(part, parts)
            if signature := self._signature(state):
                written = written or [{"text": ""}]
                written[-1]["thoughtSignature"] = signature
            parts += written
        moved = [part for part in message.parts if isinstance(part, ToolResult)] if self._quirks.no_result_media else []
        return self._with_moved(parts, moved)

    def _part(self, part: Part, before: list[Wire]) -> list[Wire]:
        self._mark(part)
        if isinstance(part, Native):
            return self._only_here(part, before)
        return _WRITE[type(part)](self, part)

    def _mark(self, part: Part) -> None:
        if part.cache is not None:
            self._losses.drop("messages.cache")

    def _signature(self, state: ReasoningState | None) -> str:
        """What goes back to its maker; empty: nothing does."""
        is_own = state is not None and state.kind == "google_signature" and state.origin == self._target.origin
        return state.data if state is not None and is_own else ""

    # --- words ---------------------------------------------------------------------------------------------------

    def _text(self, part: Text | Refusal) -> list[Wire]:
        return [{"text": part.text}] if part.text.strip() else []

    def _thinking(self, part: Thinking) -> list[Wire]:
        """What a model thought goes back only with the proof that this one thought it."""
        if not self._signature(part.state):
            return []
        return [{"text": part.text or "\n\n".join(part.summaries), "thought": True}]

    def _words(self, part: Part) -> list[Wire]:
        words = as_text(part)
        if words:
            self._losses.approximate(f"messages.{_kind(part)}")
        return [{"text": words}] if words else []

    def _compaction(self, part: Compaction) -> list[Wire]:
        if not part.text:
            raise Untranslatable("messages.compaction", "only the provider that made the summary can read it")
        return self._words(part)

    def _tool_change(self, part: ToolChange) -> list[Wire]:
        """Tools stand at the top only, with all changes made."""
        self._losses.approximate("messages.tool_change")
        return []

    def _only_here(self, part: Native, before: list[Wire]) -> list[Wire]:
        if part.dialect != "gemini":
            if part.optional:
                return []
            raise Untranslatable(f"messages.{part.wire_type}", "only its own dialect knows it")
        if part.wire_type in ("toolCall", "toolResponse"):
            self.tells_invocations = True
        elif before:
            before[-1][part.wire_type] = part.body
            return []
        return [{part.wire_type: part.body}]

    # --- media ---------------------------------------------------------------------------------------------------

    def _image(self, part: Image) -> list[Wire]:
        return [self._detailed(self._file(part.source, "image", "image/jpeg"), part.detail)]

    def _audio(self, part: Audio) -> list[Wire]:
        if isinstance(part.source, Inline) and part.source.data:
            return [self._file(part.source, "audio", "")]
        if part.transcript or part.id:
            # Of an earlier answer, whose sound only its provider has.
            if not part.transcript:
                raise Untranslatable("messages.audio", "only its maker has the sound, and there is no transcript")
            return self._words(part)
        return [self._file(part.source, "audio", "audio/mpeg")]

    def _video(self, part: Video) -> list[Wire]:
        wire = self._file(part.source, "video", "video/mp4")
        span: Wire = {}
        if part.start_seconds is not None:
            span["startOffset"] = f"{part.start_seconds:.9g}s"
        if part.end_seconds is not None:
            span["endOffset"] = f"{part.end_seconds:.9g}s"
        if part.frames_per_second is not None:
            span["fps"] = part.frames_per_second
        return [self._detailed(wire | {"videoMetadata": span} if span else wire, part.detail)]

    def _document(self, part: Document) -> list[Wire]:
        if part.citations:
            self._losses.drop("messages.document.citations")
        if part.source is None:
            pictures = [wire for inner in part.parts if isinstance(inner, Image) for wire in self._image(inner)]
            return [*self._words(part), *pictures]
        wire = self._file(part.source, "document", "application/pdf", part.title)
        context = [{"text": part.context}] if part.context.strip() else []
        return [*context, self._detailed(wire, part.detail)]

    def _detailed(self, wire: Wire, detail: Detail | None) -> Wire:
        level = LEVELS.get(detail) if detail is not None else None
        if level is None:
            return wire
        if self._quirks.no_part_resolution:
            self._losses.drop("messages.detail")
            return wire
        return wire | {"mediaResolution": {"level": level}}

    def _file(self, source: Source, kind: str, usual: str, title: str = "") -> Wire:
        """`usual`: the type of such files where neither client nor address tell it."""
        match source:
            case Inline(data, media_type):
                field, wire = "inlineData", {"mimeType": media_type or usual, "data": data}
            case FileRef(uri, _, media_type):
                if not OWN_FILES.match(uri):
                    raise Untranslatable(f"messages.{kind}", f"the file {uri!r} is kept by another provider")
                field, wire = "fileData", {"mimeType": media_type, "fileUri": uri}
            case Link(url, media_type):
                if self._quirks.no_link_media and not VIDEO_PAGES.match(url):
                    raise Untranslatable(f"messages.{kind}", "this provider fetches no addresses: send the data itself")
                field, wire = "fileData", {"mimeType": media_type or type_of_address(url) or usual, "fileUri": url}
        if title and self._quirks.display_names:
            wire["displayName"] = title
        elif title:
            self._losses.drop("messages.document.title")
        return {field: {name: value for name, value in wire.items() if value}}

    # --- calls ---------------------------------------------------------------------------------------------------

    def _tool_use(self, part: ToolUse) -> list[Wire]:
        name = self._names[part.id] = self._losses.tool_name(spoken(part.name or part.kind, part.namespace))
        call = {"name": name, "args": Raw(as_object(part).encode())}
        return [{"functionCall": {"id": part.id, **call} if self._quirks.call_ids else call}]

    def _tool_result(self, part: ToolResult) -> list[Wire]:
        media = [inner for inner in part.parts if _is_medium(inner)]
        texts = [self._result_text(inner) for inner in part.parts if not _is_medium(inner)]
        answer: Wire = {"id": part.tool_use_id} if self._quirks.call_ids else {}
        answer["name"] = self._names.get(part.tool_use_id) or self._losses.tool_name(part.name)
        answer["response"] = _response("\n".join(filter(None, texts)), failed=bool(part.is_error))
        if media and not self._quirks.no_result_media:
            answer["parts"] = [wire for inner in media for wire in _WRITE[type(inner)](self, inner)]
        return [{"functionResponse": answer}]

    def _result_text(self, part: Part) -> str:
        if isinstance(part, Text):
            return part.text
        self._losses.approximate(f"messages.{_kind(part)}")
        return as_text(part) or ""

    def _with_moved(self, parts: list[Wire], results: Sequence[ToolResult]) -> list[Wire]:
        """Pictures and files of results, for models whose results have none: right behind the results, in order."""
        moved: list[Wire] = []
        for result in results:
            if media := [inner for inner in result.parts if _is_medium(inner)]:
                self._losses.approximate("messages.tool_result")
                moved.append({"text": f"Result of {result.name or result.tool_use_id}:"})
                moved += [wire for inner in media for wire in _WRITE[type(inner)](self, inner)]
        last = max((at + 1 for at, wire in enumerate(parts) if "functionResponse" in wire), default=0)
        return [*parts[:last], *moved, *parts[last:]]

    def _server_tool_use(self, part: ServerToolUse) -> list[Wire]:
        arguments = Raw(part.arguments.encode() or b"{}")
        identity = {"id": part.id} if part.id else {}
        if part.name in hosted.KINDS:
            self.tells_invocations = True
            return [{"toolCall": identity | {"toolType": part.name, "args": arguments}}]
        if part.name == hosted.CODE and part.id in self._native:
            return [{"executableCode": hosted.write_code(part)}]
        return self._words(part)

    def _server_tool_result(self, part: ServerToolResult) -> list[Wire]:
        field = hosted.native_field(part)
        if field == "toolResponse":
            self.tells_invocations = True
        return [{field: part.native}] if field else self._words(part)


def _belongs(thought: Thinking, after: Part | None) -> bool:
    """The proof came apart from the part that it signs: clients of other dialects have no place for it there."""
    if after is None or isinstance(after, Thinking | ToolResult) or after.state is not None:
        return False
    return isinstance(after, ToolUse) or not (thought.text or thought.summaries)


def _calls(content: Wire) -> list[Wire]:
    return [part for part in content["parts"] if "functionCall" in part]


def _let_pass(contents: Sequence[Wire]) -> None:
    """In the turn that goes on, the first call of each step needs a signature; the others never have one."""
    for content in reversed(contents):
        if content["role"] == "user" and not any("functionResponse" in part for part in content["parts"]):
            return
        if content["role"] == "model" and (calls := _calls(content)):
            calls[0].setdefault("thoughtSignature", UNSIGNED)


def _is_medium(part: Part) -> bool:
    return isinstance(part, _MEDIA) or (isinstance(part, Document) and part.source is not None)


def _response(text: str, *, failed: bool) -> Any:
    """A JSON object as it is, anything else in one."""
    if failed:
        return {"error": text}
    if hosted.is_object(text) and not any(mark in text for mark in _REFERENCES):
        return Raw(text.encode())
    return {"result": text}


_KINDS: dict[type, str] = {
    Audio: "audio",
    Compaction: "compaction",
    Document: "document",
    SearchResult: "search_result",
    ServerToolResult: "server_tool_use",
    ServerToolUse: "server_tool_use",
    ToolReference: "tool_reference",
}


def _kind(part: Part) -> str:
    """A kind of part as fields name it."""
    return _KINDS.get(type(part), "text")


_WRITE: dict[type, Callable[[ContentWriter, Any], list[Wire]]] = {
    Text: ContentWriter._text,
    Refusal: ContentWriter._text,
    Thinking: ContentWriter._thinking,
    Image: ContentWriter._image,
    Audio: ContentWriter._audio,
    Video: ContentWriter._video,
    Document: ContentWriter._document,
    SearchResult: ContentWriter._words,
    ToolReference: ContentWriter._words,
    ToolUse: ContentWriter._tool_use,
    ToolResult: ContentWriter._tool_result,
    ServerToolUse: ContentWriter._server_tool_use,
    ServerToolResult: ContentWriter._server_tool_result,
    Compaction: ContentWriter._compaction,
    ToolChange: ContentWriter._tool_change,
}
