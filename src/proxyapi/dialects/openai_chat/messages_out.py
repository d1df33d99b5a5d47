"""OpenAI Chat Completions: canonical messages as a provider takes them, as its quirks demand.

Results of calls are messages of their own, which hold text only: their pictures and files follow in a message of the
user. What a model of another origin thought is not told; what hosted tools did there is told in words.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Sequence, Set
from hashlib import sha256
from typing import Any

from msgspec.structs import replace

from proxyapi.dialects.codec import TargetModel, Untranslatable
from proxyapi.dialects.functions import as_object, spoken
from proxyapi.dialects.history import answered
from proxyapi.dialects.losses import Losses
from proxyapi.dialects.media import sound_word, to_url
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
from proxyapi.dialects.names import legal
from proxyapi.dialects.openai_chat.details import details
from proxyapi.dialects.openai_chat.marks import Marks
from proxyapi.dialects.turns import reminded, summarised
from proxyapi.dialects.wording import as_text, prefixed_error

_ID_REFUSED = re.compile(r"[^\x21-\x7e]")
_ID_CHARACTERS_MAX = 40
"""OpenAI refuses longer ids of calls: `string too long`."""
_ID_OF_NINE = re.compile(r"[a-zA-Z0-9]{9}")
_PARAGRAPH = "\n\n"
_MOVED = "The result is in the next message."
_NO_THOUGHT = " "
"""Moonshot takes an empty thought for a missing one: https://github.com/theopenco/llmgateway/pull/2093"""

Wire = dict[str, Any]


class MessageWriter:
    def __init__(self, target: TargetModel, losses: Losses, marks: Marks, *, detail: Detail | None) -> None:
        """`detail`: of pictures that say nothing of it themselves."""
        self._target = target
        self._quirks = target.quirks
        self._losses = losses
        self._marks = marks
        self._detail = detail
        self._wire: list[Wire] = []

    def write(self, system: Sequence[Message], messages: Sequence[Message], kinds: Set[type]) -> list[Wire]:
        """Untranslatable names what this dialect or this provider has no way to say. `kinds`: of all their parts."""
        if Compaction in kinds:
            messages = summarised(messages, kept=lambda part: False)
        if ToolUse in kinds or ToolResult in kinds:
            messages = answered(messages)
        if system and self._quirks.system_role == "user":
            self._losses.approximate("system")
            messages = _prepended(system, messages)
            system = ()
        for message in (*system, *messages):
            _ROLES[message.role](self, message)
        self._prefill(messages)
        return self._wire

    def _prefill(self, messages: Sequence[Message]) -> None:
        """A turn of the assistant that the model is to go on with."""
        last = messages[-1] if messages else None
        if last is None or last.role != "assistant" or any(isinstance(part, ToolUse) for part in last.parts):
            return
        if self._quirks.no_prefill:
            raise Untranslatable("messages", "this model takes no message of the assistant at the end")
        if self._quirks.prefix_prefill:
            self._wire[-1]["prefix"] = True

    # --- roles ---------------------------------------------------------------------------------------------------

    def _instruction(self, message: Message) -> None:
        role = self._quirks.system_role
        if role == "user":
            self._losses.approximate("messages.system")
            self._user(reminded(message))
        elif (text := _one_text(message.parts)) is not None:
            self._add(role, message, text)
        elif parts := self._parts(message.parts):
            self._add(role, message, self._content(parts))

    def _user(self, message: Message) -> None:
        if (text := _one_text(message.parts)) is not None:
            self._add("user", message, text)
            return
        moved: list[Wire] = []
        for part in message.parts:
            if isinstance(part, ToolResult):
                self._result(part, moved)
        if parts := [*moved, *self._parts(part for part in message.parts if not isinstance(part, ToolResult))]:
            self._add("user", message, self._content(parts))

    def _add(self, role: str, message: Message, content: Any) -> Wire:
        wire: Wire = {"role": role, "content": content}
        if message.name:
            wire["name"] = message.name
        self._wire.append(wire)
        return wire

    def _result(self, result: ToolResult, moved: list[Wire]) -> None:
        if not result.is_error and result.cache is None and (text := _one_text(result.parts)) is not None:
            identity = self._call_id(result.tool_use_id)
            self._wire.append({"role": "tool", "tool_call_id": identity, "content": text})
            return
        texts: list[Part] = []
        media: list[Part] = []
        for part in result.parts:
            (media if _is_medium(part) else texts).append(part)
        if media:
            self._losses.approximate("messages.tool_result")
            moved.append(_text(f"Result of {result.name or result.tool_use_id}:"))
            moved += self._parts(media)
            texts = texts or [Text(text=_MOVED)]
        parts = self._parts(texts)
        if result.is_error:
            self._losses.approximate("messages.tool_result.is_error")
            parts = parts or [_text("")]
            parts[0]["text"] = prefixed_error(parts[0]["text"])
        if parts:
            self._marks.on_content(parts[-1], result.cache, "messages.cache")
        identity = self._call_id(result.tool_use_id)
        self._wire.append({"role": "tool", "tool_call_id": identity, "content": self._content(parts)})

    # --- an assistant's turn -------------------------------------------------------------------------------------

    def _assistant(self, message: Message) -> None:
        if (text := _one_text(message.parts)) is not None and message.parts[0].state is None:
            self._add("assistant", message, text)
            return
        calls = [self._tool_use(part) for part in message.parts if isinstance(part, ToolUse)]
        parts = self._answer(message.parts)
        wire = self._add("assistant", message, self._content(parts, joint="") if parts or not calls else None)
        kinds = {type(part) for part in message.parts}
        if Refusal in kinds and (refusal := "".join(part.text for part in message.parts if isinstance(part, Refusal))):
            wire["refusal"] = refusal
        for part in message.parts:
            if isinstance(part, Text) and self._is_native(part):
                wire["extra_content"] = _extra(part)
            elif isinstance(part, Audio) and self._is_kept(part):
                wire.setdefault("audio", {"id": part.id})
        if calls:
            wire["tool_calls"] = calls
        if Thinking in kinds or self._quirks.echo_reasoning:
            self._thoughts([part for part in message.parts if isinstance(part, Thinking)], wire, calls=bool(calls))

    def _answer(self, parts: Sequence[Part]) -> list[Wire]:
        """Its texts. Where some of them are words about other parts, all are one, so that they stay apart."""
        told = [part for part in parts if not isinstance(part, _ASIDE) and not self._is_kept(part)]
        if all(isinstance(part, Text) for part in told):
            return self._parts(told)
        whole, plain_before = "", True
        for part in told:
            words = self._words(part)
            if words:
                plain = isinstance(part, Text)
                whole += words if not whole or (plain and plain_before) else _PARAGRAPH + words
                plain_before = plain
        return [_text(whole)] if whole else []

    def _words(self, part: Part) -> str:
        if isinstance(part, Text):
            return part.text
        if _is_medium(part) and not isinstance(part, Audio):
            raise Untranslatable(f"messages.{_tag(part)}", "a message of the assistant holds text only")
        if isinstance(part, Native | Compaction):
            _PARTS[type(part)](self, part)
            return ""
        words = as_text(part) or ""
        if isinstance(part, Audio) and not words:
            raise Untranslatable("messages.audio", "only its maker has the sound, and there is no transcript")
        self._losses.approximate(f"messages.{_tag(part)}")
        return words

    def _tool_use(self, call: ToolUse) -> Wire:
        wire: Wire = {"id": self._call_id(call.id)}
        name = self._losses.tool_name(spoken(call.name or call.kind, call.namespace))
        if call.kind == "custom" and not self._quirks.no_custom_tools:
            wire |= {"type": "custom", "custom": {"name": name, "input": call.arguments}}
        else:
            # Arguments that are no JSON were written so by a model: Chat takes them back.
            text = as_object(call) if call.kind == "custom" else call.arguments
            arguments = text if text.strip() else "{}"
            wire |= {"type": "function", "function": {"name": name, "arguments": arguments}}
        if self._is_native(call):
            wire["extra_content"] = _extra(call)
        self._marks.on_object(wire, call.cache, "messages.cache")
        return wire

    def _thoughts(self, thoughts: Sequence[Thinking], wire: Wire, *, calls: bool) -> None:
        """Proofs go back to who made them; the text alone only to providers that ask for it."""
        kept = [part for part in thoughts if self._is_native(part)]
        told: list[Wire] = []
        for part in kept:
            if part.state is not None:
                summary = _PARAGRAPH.join(part.summaries)
                told += details(part.state, part.state.data, index=len(told), text=part.text, summary=summary)
        if told:
            wire["reasoning_details"] = told
        echoed = self._quirks.echo_reasoning and calls
        said = [part.text or _PARAGRAPH.join(part.summaries) for part in (thoughts if echoed else kept)]
        text = _PARAGRAPH.join(filter(None, said))
        if text or echoed:
            self._say_thought(text or _NO_THOUGHT, wire)

    def _say_thought(self, text: str, wire: Wire) -> None:
        field = self._quirks.reasoning_field
        if field == "content_parts":
            thought = {"type": "thinking", "thinking": [_text(text)]}
            content = wire["content"]
            wire["content"] = [
                thought,
                *(content if isinstance(content, list) else [_text(content)] if content else []),
            ]
        elif field != "think_tags":
            wire[field] = text

    def _is_native(self, part: Part) -> bool:
        return part.state is not None and part.state.origin == self._target.origin

    def _is_kept(self, part: Part) -> bool:
        """A sound that this provider made, and keeps."""
        return isinstance(part, Audio) and isinstance(part.source, FileRef) and self._is_own(part.source)

    def _is_own(self, source: FileRef) -> bool:
        return source.origin == self._target.origin

    # --- content -------------------------------------------------------------------------------------------------

    def _content(self, parts: Sequence[Wire], joint: str = _PARAGRAPH) -> str | list[Wire]:
        """One text is a string; several are a list, unless the provider knows strings only. (A mark needs a list.)"""
        if (len(parts) < 2 or self._quirks.no_content_lists) and all(part.keys() == _PLAIN for part in parts):
            return joint.join(part["text"] for part in parts)
        return list(parts)

    def _parts(self, parts: Iterable[Part]) -> list[Wire]:
        wire: list[Wire] = []
        for part in parts:
            if isinstance(part, Text) and part.cache is None:
                wire.append(_text(part.text))
                continue
            written = _PARTS[type(part)](self, part)
            if written:
                self._marks.on_content(written[-1], part.cache, "messages.cache")
                wire += written
            elif wire:
                # A mark on nothing belongs to what stands before it.
                self._marks.on_content(wire[-1], part.cache, "messages.cache")
        return wire

    def _in_words(self, part: Part) -> list[Wire]:
        words = as_text(part)
        if words:
            self._losses.approximate(f"messages.{_tag(part)}")
        return [_text(words)] if words else []

    def _image(self, part: Image) -> list[Wire]:
        wire: Wire = {"url": to_url(self._inline_or_link(part.source, "messages.image"))}
        detail = part.detail or self._detail
        if detail == "original":
            self._losses.approximate("messages.image.detail")
            detail = "high"
        if detail and detail != "auto":
            wire["detail"] = detail
        return [{"type": "image_url", "image_url": wire}]

    def _video(self, part: Video) -> list[Wire]:
        if (part.start_seconds, part.end_seconds, part.frames_per_second) != (None, None, None):
            self._losses.drop("messages.video.metadata")
        url = to_url(self._inline_or_link(part.source, "messages.video"))
        return [{"type": "video_url", "video_url": {"url": url}}]

    def _audio(self, part: Audio) -> list[Wire]:
        word = sound_word(part.source.media_type) if isinstance(part.source, Inline) else ""
        if not isinstance(part.source, Inline) or not word:
            raise Untranslatable("messages.audio", "Chat Completions takes sounds as data, of the usual formats")
        return [{"type": "input_audio", "input_audio": {"data": part.source.data, "format": word}}]

    def _document(self, part: Document) -> list[Wire]:
        if part.citations:
            self._losses.drop("messages.document.citations")
        if part.source is None:
            words = as_text(replace(part, parts=tuple(one for one in part.parts if isinstance(one, Text))))
            pictures = [wire for one in part.parts if isinstance(one, Image) for wire in self._image(one)]
            return [*([_text(words)] if words else []), *pictures]
        context = [_text(part.context)] if part.context else []
        return [*context, self._file(part.source, part.title)]

    def _file(self, source: Source, title: str) -> Wire:
        match source:
            case FileRef() if self._is_own(source):
                return {"type": "file", "file": {"file_id": source.id}}
            case FileRef():
                raise Untranslatable("messages.document", "its file is kept by another provider")
            case Link():
                return self._linked(source, title)
            case Inline(media_type=media_type):
                if media_type.startswith("text/") and (text := _decoded(source.data)) is not None:
                    return _text("\n".join(filter(None, (title, text))))
                return {
                    "type": "file",
                    "file": {"filename": title or _file_name(media_type), "file_data": to_url(source)},
                }

    def _linked(self, source: Link, title: str) -> Wire:
        match self._quirks.file_link_field:
            case "":
                raise Untranslatable("messages.document", "this provider takes files as data, not by their address")
            case "file_data":
                return {"type": "file", "file": {"filename": title or _file_name(""), "file_data": source.url}}
            case "document_url":
                return {"type": "document_url", "document_url": source.url} | (
                    {"document_name": title} if title else {}
                )
            case "file_url":
                return {"type": "file_url", "file_url": {"url": source.url}}

    def _unread(self, part: Compaction) -> list[Wire]:
        """A summary without words; others are the user's by now."""
        raise Untranslatable("messages.compaction", "only its maker can read it")

    def _native(self, part: Native) -> list[Wire]:
        if not part.optional:
            raise Untranslatable(f"messages.{part.wire_type}", "Chat Completions has nothing like it")
        return []

    def _inline_or_link(self, source: Source, field: str) -> Inline | Link:
        if isinstance(source, FileRef):
            raise Untranslatable(field, "Chat Completions takes data or an address, not the id of a file")
        return source

    def _call_id(self, identity: str) -> str:
        """Always the same for the same id."""
        if not self._quirks.call_ids_of_nine:
            return legal(identity, refused=_ID_REFUSED, length_max=_ID_CHARACTERS_MAX)
        return identity if _ID_OF_NINE.fullmatch(identity) else sha256(identity.encode()).hexdigest()[:9]


_ROLES: dict[str, Callable[[MessageWriter, Message], None]] = {
    "system": MessageWriter._instruction,
    "developer": MessageWriter._instruction,
    "user": MessageWriter._user,
    "assistant": MessageWriter._assistant,
}
_PARTS: dict[type, Callable[[MessageWriter, Any], list[Wire]]] = {
    Text: lambda writer, part: [_text(part.text)],
    Image: MessageWriter._image,
    Audio: MessageWriter._audio,
    Video: MessageWriter._video,
    Document: MessageWriter._document,
    Refusal: MessageWriter._in_words,
    SearchResult: MessageWriter._in_words,
    ToolReference: MessageWriter._in_words,
    ServerToolUse: MessageWriter._in_words,
    ServerToolResult: MessageWriter._in_words,
    Compaction: MessageWriter._unread,
    Native: MessageWriter._native,
    # The tools of a request are those that it has at the end, and only an assistant thinks and calls.
    ToolChange: lambda writer, part: [],
    Thinking: lambda writer, part: [],
    ToolUse: lambda writer, part: [],
}
_ASIDE = (Thinking, ToolUse, Refusal, ToolChange)
"""Parts of an assistant's turn that have a place beside its content."""
_PLAIN = {"type", "text"}


def _prepended(system: Sequence[Message], messages: Sequence[Message]) -> tuple[Message, ...]:
    """For models without instructions: the user says them first."""
    parts = tuple(part for message in system for part in message.parts)
    first = messages[0] if messages else None
    if first is None or first.role != "user" or first.name:
        return (Message(role="user", parts=parts), *messages)
    return (replace(first, parts=(*parts, *first.parts)), *messages[1:])


def _one_text(parts: Sequence[Part]) -> str | None:
    """Of a turn that is one text without a mark, as most are. None: there is more to it."""
    if len(parts) == 1 and isinstance(part := parts[0], Text) and part.cache is None:
        return part.text
    return None


def _is_medium(part: Part) -> bool:
    """There is more to it than text."""
    if isinstance(part, Document):
        return part.source is not None or any(isinstance(one, Image) for one in part.parts)
    return isinstance(part, Image | Audio | Video)


def _text(text: str) -> Wire:
    return {"type": "text", "text": text}


def _extra(part: Part) -> Wire:
    return {"google": {"thought_signature": part.state.data if part.state else ""}}


def _tag(part: Part) -> str:
    return str(part.__struct_config__.tag)


def _decoded(data: str) -> str | None:
    try:
        return b64decode(data, validate=True).decode()
    except ValueError:
        return None


def _file_name(media_type: str) -> str:
    """OpenAI wants one."""
    return "document.pdf" if media_type in ("", "application/pdf") else "document"
