"""OpenAI Responses: canonical messages as `instructions` and `input` for a provider.

A message of the assistant becomes items in the order of its parts; of a user's message the results come first. What
the model may see of hosted tools of other providers is told in words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from proxyapi.dialects import openai_knobs as knobs
from proxyapi.dialects.codec import TargetModel, Untranslatable
from proxyapi.dialects.functions import as_object, spoken
from proxyapi.dialects.history import answered
from proxyapi.dialects.losses import Losses, call_id
from proxyapi.dialects.media import sound_word, to_url
from proxyapi.dialects.model import (
    Audio,
    CacheMark,
    Compaction,
    CustomTool,
    Detail,
    Document,
    FileRef,
    FunctionTool,
    Image,
    Inline,
    Link,
    Message,
    Native,
    Part,
    ReasoningState,
    Refusal,
    Request,
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
from proxyapi.dialects.openai_responses.calls_out import HOSTED, Wire, call, result, search_output
from proxyapi.dialects.openai_responses.messages_in import ORIGIN
from proxyapi.dialects.openai_responses.tools_out import write_tools
from proxyapi.dialects.openai_responses.wire import annotation, kind_of, wire_logprobs
from proxyapi.dialects.stream import lenient
from proxyapi.dialects.turns import named, summarised
from proxyapi.dialects.wording import as_text, prefixed_error

_TITLES = {"application/pdf": "document.pdf", "text/plain": "document.txt", "text/csv": "document.csv"}
"""Responses wants a name with a file's data."""
_DETAILS: dict[Detail | None, str] = {"low": "low", "high": "high", "original": "original"}
_DRAWN = "Image drawn by the assistant:"


class _Program(Struct):
    call_id: str = ""


_PROGRAM = msgspec.json.Decoder(_Program)


def write_messages(request: Request, target: TargetModel, losses: Losses) -> Wire:
    """The fields `instructions` and `input`. Untranslatable."""
    return _Writer(request, target, losses).fields()


class _Writer:
    def __init__(self, request: Request, target: TargetModel, losses: Losses) -> None:
        self._request = request
        self._target = target
        self._losses = losses
        self._items: list[Wire | Raw] = []
        self._contents: list[Wire] = []
        """Pieces that can carry a cache mark, in the order of the prompt."""
        self._programs: frozenset[str] = frozenset()
        """Ids of the provider's own programs: calls may name one as their caller."""
        self._thoughts: list[Wire] = []
        """They go only before what they led to: the provider refuses one without the other."""
        self._bare = False
        """Thoughts of this turn were left out: its items must not be known by their ids."""
        self._message: Wire | None = None
        """The assistant's item that grows."""
        self._named = False
        """An item of this turn has its id."""

    def fields(self) -> Wire:
        messages = summarised(named(self._request.messages), kept=self._is_own_summary)
        storage = self._request.storage
        if not (storage.previous_response_id or storage.conversation):
            # Else the calls may be among what the provider keeps.
            messages = answered(messages)
        self._refuse_prefill(messages)
        self._programs = frozenset(_programs(messages))
        instructions = self._system(self._request.system, alone=not messages)
        for message in messages:
            if message.role == "assistant":
                self._assistant(message)
            else:
                self._other(message)
        self._limit_marks()
        wire: Wire = {"instructions": instructions} if instructions else {}
        return wire | {"input": [_compact(item) for item in self._items]}

    def _refuse_prefill(self, messages: Sequence[Message]) -> None:
        last = messages[-1] if messages else None
        if last and last.role == "assistant" and last.incomplete and last.parts and isinstance(last.parts[-1], Text):
            raise Untranslatable("messages.prefill", "OpenAI Responses can't go on from the beginning of an answer")

    # --- instructions ------------------------------------------------------------------------------------------------

    def _system(self, system: Sequence[Message], *, alone: bool) -> str:
        """The first of them, if it is one plain text. The others, and all where nothing else is said, are items."""
        instructions = ""
        for number, message in enumerate(system):
            first = message.parts[0] if len(message.parts) == 1 else None
            plain = isinstance(first, Text) and first.cache is None
            if not number and message.role == "system" and isinstance(first, Text) and plain and not alone:
                instructions = first.text
            else:
                self._other(message)
        return instructions

    # --- turns -------------------------------------------------------------------------------------------------------

    def _other(self, message: Message) -> None:
        """A message of a user, or instructions."""
        contents: list[Wire] = []
        for part in message.parts:
            match part:
                case ToolResult():
                    self._result(part)
                case ToolChange():
                    self._tool_change(part, message.role)
                case Native():
                    self._native(part)
                case _:
                    contents += self._pieces(part)
        if contents:
            self._items.append({"type": "message", "role": message.role, "content": contents})

    def _assistant(self, message: Message) -> None:
        self._message, self._named, self._thoughts = None, False, []
        self._bare = self._loses_thoughts(message)
        if not message.parts:
            self._say(message)
        for part in message.parts:
            write = _ASSISTANT.get(type(part))
            if write is None:
                raise Untranslatable("messages.assistant", f"an assistant of Responses says no {type(part).__name__}")
            write(self, part, message)

    def _loses_thoughts(self, message: Message) -> bool:
        return any(isinstance(part, Thinking) and not self._is_own(part.state) for part in message.parts)

    def _is_own(self, state: ReasoningState | None) -> bool:
        return state is not None and state.kind == "openai_encrypted" and state.origin == self._target.origin

    def _is_own_summary(self, part: Compaction) -> bool:
        return self._is_own(part.state) or kind_of(part.native) == "compaction"

    def _append(self, item: Wire | Raw) -> None:
        """An item of the assistant, after the thoughts that led to it."""
        self._items += self._thoughts
        self._thoughts, self._message = [], None
        self._items.append(item)

    def _identified(self, wire: Wire, identity: str, prefix: str) -> Wire:
        """With its id, if it is one that the provider could have given."""
        return wire | {"id": identity} if identity.startswith(prefix) and not self._bare else wire

    def _say(self, message: Message) -> list[Wire]:
        """The contents of the assistant's message that is being written."""
        if self._message is None or self._thoughts:
            wire: Wire = {"type": "message", "role": "assistant", "content": []}
            if message.phase:
                wire["phase"] = message.phase
            if message.incomplete:
                wire["status"] = "incomplete"
            if not self._named:
                self._named = True
                wire = self._identified(wire, message.id, "msg_")
            self._append(wire)
            self._message = wire
        contents: list[Wire] = self._message["content"]
        return contents

    # --- parts of the assistant --------------------------------------------------------------------------------------

    def _text(self, part: Text, message: Message) -> None:
        wire: Wire = {"type": "output_text", "text": part.text}
        if part.citations or part.logprobs:
            wire["annotations"] = [annotation(cited, len(part.text)) for cited in part.citations]
        if part.logprobs:
            wire["logprobs"] = wire_logprobs(part.logprobs)
        self._say(message).append(wire)
        self._mark_before(part.cache)

    def _refusal(self, part: Refusal, message: Message) -> None:
        self._say(message).append({"type": "refusal", "refusal": part.text})
        self._mark_before(part.cache)

    def _thinking(self, part: Thinking, message: Message) -> None:
        self._mark_before(part.cache)
        own = part.state if self._is_own(part.state) else None
        if own is None and not (self._target.quirks.echo_reasoning and (part.text or part.summaries)):
            return
        wire: Wire = {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": text} for text in part.summaries],
        }
        if part.text:
            wire["content"] = [{"type": "reasoning_text", "text": part.text}]
        if own is not None:
            wire["encrypted_content"] = own.data
            # The provider's own words, whatever they begin with.
            wire |= {"id": identity} if (identity := part.id or own.id) else {}
        self._thoughts.append(wire)

    def _call(self, part: ToolUse, message: Message) -> None:
        self._mark_before(part.cache)
        was_cut = message.incomplete and part is message.parts[-1]
        if part.kind == "custom" and self._target.quirks.no_custom_tools:
            name = spoken(part.name, part.namespace)
            part = replace(part, kind="function", name=name, namespace="", arguments=as_object(part), item_id="")
        known = replace(part, id=call_id(part.id), name=self._losses.tool_name(part.name))
        wire, prefix = call(known, self._programs)
        if was_cut:
            wire["status"] = "incomplete"
        self._append(self._identified(wire, part.item_id, prefix))

    def _hosted(self, part: ServerToolUse | ServerToolResult, message: Message) -> None:
        self._mark_before(part.cache)
        outcome = part.result if isinstance(part, ServerToolUse) else part
        if outcome is not None and kind_of(outcome.native) in HOSTED:
            self._append(outcome.native)
        elif words := as_text(part):
            self._losses.approximate("messages.server_tool_use")
            self._say(message).append({"type": "output_text", "text": words})

    def _words(self, part: Part, message: Message) -> None:
        if words := as_text(part):
            self._say(message).append({"type": "output_text", "text": words})

    def _image(self, part: Image, message: Message) -> None:
        """Pictures are said by users only."""
        self._losses.approximate("messages.image")
        contents = [{"type": "input_text", "text": _DRAWN}, *self._pieces(part)]
        self._append({"type": "message", "role": "user", "content": contents})

    def _summary(self, part: Compaction, message: Message) -> None:
        if kind_of(part.native) == "compaction":
            self._append(part.native)
        elif part.state is not None and self._is_own(part.state):
            wire: Wire = {"type": "compaction", "encrypted_content": part.state.data}
            self._append(self._identified(wire, part.state.id, "cmp_"))
        else:
            raise Untranslatable("messages.compaction", "only the provider that wrote this summary can read it")

    def _native(self, part: Native, message: Message | None = None) -> None:
        if part.dialect == "openai_responses":
            self._append(part.body)
        elif not part.optional:
            raise Untranslatable("messages", f"OpenAI Responses has nothing like {part.wire_type!r}")

    # --- parts of the others -----------------------------------------------------------------------------------------

    def _result(self, part: ToolResult) -> None:
        if part.kind == "tool_search" and all(isinstance(inner, ToolReference) for inner in part.parts):
            self._items.append(search_output(part, self._found(part)))
            return
        if part.kind == "custom" and self._target.quirks.no_custom_tools:
            part = replace(part, kind="function")
        contents = [piece for inner in part.parts for piece in self._pieces(inner)]
        if part.is_error and part.kind != "apply_patch":
            self._losses.approximate("messages.tool_result.is_error")
            text = next((piece for piece in contents if piece["type"] == "input_text"), None)
            if text is None:
                contents.insert(0, text := {"type": "input_text", "text": ""})
            text["text"] = prefixed_error(text["text"]).rstrip()
        self._items.append(result(part, contents))
        self._mark_before(part.cache)

    def _found(self, part: ToolResult) -> list[Wire | Raw]:
        """The tools that a result names."""
        names = {inner.name for inner in part.parts if isinstance(inner, ToolReference)}
        functions = (tool for tool in self._request.tools if isinstance(tool, FunctionTool | CustomTool))
        tools = [tool for tool in functions if spoken(tool.name, tool.namespace) in names]
        return write_tools(tools, self._target.quirks, self._losses, finds=True)

    def _tool_change(self, part: ToolChange, role: str) -> None:
        tools = write_tools(part.added, self._target.quirks, self._losses)
        if tools:
            self._items.append({"type": "additional_tools", "role": role, "tools": tools})

    def _pieces(self, part: Part) -> list[Wire]:
        """Contents that stand for a part of a user's message, of instructions or of a result."""
        write = _PIECES.get(type(part))
        if write is None:
            raise Untranslatable("messages", f"OpenAI Responses takes no {type(part).__name__} here")
        pieces = write(self, part)
        self._contents += pieces
        if pieces:
            self._mark_before(part.cache)
        return pieces

    def _input_text(self, part: Text) -> list[Wire]:
        return [{"type": "input_text", "text": part.text}]

    def _as_words(self, part: Part) -> list[Wire]:
        words = as_text(part)
        return [{"type": "input_text", "text": words}] if words else []

    def _input_image(self, part: Image) -> list[Wire]:
        detail = _DETAILS.get(part.detail or self._request.media_detail, "auto")
        return [{"type": "input_image", "detail": detail} | self._located(part.source, "image_url", to_url)]

    def _input_file(self, part: Document) -> list[Wire]:
        if part.source is None:
            pictures = [piece for inner in part.parts if isinstance(inner, Image) for piece in self._input_image(inner)]
            return [*self._as_words(part), *pictures]
        if part.citations:
            self._losses.drop("messages.document.citations")
        about: list[Wire] = [{"type": "input_text", "text": part.context}] if part.context else []
        wire: Wire = {"type": "input_file"}
        title = part.title
        match part.source:
            case Inline(media_type=media_type):
                title = title or _TITLES.get(media_type, "document")
                wire |= self._located(part.source, "file_data", to_url)
            case source:
                wire |= self._located(source, "file_url", to_url)
        if title:
            wire["filename"] = title
        if part.detail in ("low", "high"):
            wire["detail"] = part.detail
        return [*about, wire]

    def _input_audio(self, part: Audio) -> list[Wire]:
        word = sound_word(part.source.media_type) if isinstance(part.source, Inline) else ""
        if not isinstance(part.source, Inline) or word not in ("wav", "mp3"):
            raise Untranslatable("messages.audio", "OpenAI Responses takes sounds as WAV or MP3 data only")
        return [{"type": "input_audio", "input_audio": {"data": part.source.data, "format": word}}]

    def _no_video(self, part: Video) -> list[Wire]:
        raise Untranslatable("messages.video", "OpenAI Responses takes no videos")

    def _located(self, source: Source, field: str, url_of: Callable[[Inline | Link], str]) -> Wire:
        if not isinstance(source, FileRef):
            return {field: url_of(source)}
        if source.origin not in ("", ORIGIN, self._target.origin) or "://" in source.id:
            raise Untranslatable("messages.file", f"the file {source.id!r} is kept by another provider")
        return {"file_id": source.id}

    # --- cache marks -------------------------------------------------------------------------------------------------

    def _mark_before(self, cache: CacheMark | None) -> None:
        """The last piece that can be marked ends the prefix."""
        if cache is None:
            return
        if not self._contents or self._target.quirks.cache_mark_field != "prompt_cache_breakpoint":
            self._losses.drop("messages.cache")
            return
        self._contents[-1].setdefault("prompt_cache_breakpoint", knobs.mark(cache))

    def _limit_marks(self) -> None:
        marked = [piece for piece in self._contents if "prompt_cache_breakpoint" in piece]
        for piece in marked[: -knobs.MARKS_MAX]:
            self._losses.drop("messages.cache")
            del piece["prompt_cache_breakpoint"]


_ASSISTANT: dict[type, Callable[[_Writer, Any, Message], None]] = {
    Text: _Writer._text,
    Refusal: _Writer._refusal,
    Thinking: _Writer._thinking,
    ToolUse: _Writer._call,
    ServerToolUse: _Writer._hosted,
    ServerToolResult: _Writer._hosted,
    Image: _Writer._image,
    Audio: _Writer._words,
    Document: _Writer._words,
    SearchResult: _Writer._words,
    Compaction: _Writer._summary,
    Native: _Writer._native,
}
_PIECES: dict[type, Callable[[_Writer, Any], list[Wire]]] = {
    Text: _Writer._input_text,
    Refusal: _Writer._as_words,
    Image: _Writer._input_image,
    Document: _Writer._input_file,
    Audio: _Writer._input_audio,
    Video: _Writer._no_video,
    SearchResult: _Writer._as_words,
    ToolReference: _Writer._as_words,
}


def _programs(messages: Iterable[Message]) -> Iterable[str]:
    for message in messages:
        for part in message.parts:
            if isinstance(part, Native) and part.dialect == "openai_responses" and part.wire_type == "program":
                yield (lenient(_PROGRAM, part.body) or _Program()).call_id


def _compact(item: Wire | Raw) -> Wire | Raw:
    """Content that is one plain text is told as that text: every speaker of Responses takes it."""
    if isinstance(item, Raw):
        return item
    field = "content" if item["type"] == "message" else "output"
    contents = item.get(field)
    if not isinstance(contents, list) or item["type"] not in _COMPACTED:
        return item
    if not contents:
        return item | {field: ""}
    text = contents[0].get("text")
    return item | {field: text} if len(contents) == 1 and len(contents[0]) == 2 and text is not None else item


_COMPACTED = frozenset({"message", "function_call_output", "custom_tool_call_output"})
