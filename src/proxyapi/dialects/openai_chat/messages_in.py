"""OpenAI Chat Completions: a client's messages, with the additions of those who speak the dialect, to canonical ones.

Tool results are messages of their own here and parts of a user message there; what an assistant thought is a field
beside its content here and a part before it there.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Literal, NamedTuple, get_args

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from proxyapi.dialects.codec import Unseal
from proxyapi.dialects.media import from_url, sniffed, sound_type
from proxyapi.dialects.model import (
    ABSENT,
    Audio,
    CacheMark,
    Detail,
    Document,
    FileRef,
    Image,
    Inline,
    Lifetime,
    Link,
    Message,
    Part,
    ReasoningState,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Video,
)
from proxyapi.errors import InvalidRequest

CallKind = Literal["function", "custom"]
_LIFETIMES: dict[str | None, Lifetime] = {lifetime: lifetime for lifetime in get_args(Lifetime)}
_DETAILS: dict[str | None, Detail] = {detail: detail for detail in get_args(Detail) if detail != "auto"}
"""`auto`, like an empty word, says nothing."""


# --- wire ---------------------------------------------------------------------------------------------------------


class Mark(Struct):
    """`cache_control` of OpenRouter, as Anthropic spells it, and OpenAI's `prompt_cache_breakpoint`."""

    ttl: str | None = None


class _Url(Struct):
    url: str
    detail: str | None = None


class _File(Struct):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class _Sound(Struct):
    data: str
    format: str | None = None


class _Content(Struct):
    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    image_url: str | _Url | None = None
    input_audio: str | _Sound | None = None
    file: _File | None = None
    video_url: str | _Url | None = None
    document_url: str | _Url | None = None
    document_name: str | None = None
    file_url: str | _Url | None = None
    thinking: str | list[_Content] | None = None
    cache_control: Mark | None = None
    prompt_cache_breakpoint: Mark | None = None


class _Google(Struct):
    thought_signature: str | None = None


class _ExtraContent(Struct):
    google: _Google | None = None


class _Function(Struct):
    name: str = ""
    arguments: Raw = ABSENT
    input: str | None = None


class _Call(Struct):
    id: str | None = None
    function: _Function | None = None
    custom: _Function | None = None
    extra_content: _ExtraContent | None = None
    cache_control: Mark | None = None


class _Detail(Struct):
    """An element of OpenRouter's `reasoning_details`: https://openrouter.ai/docs/use-cases/reasoning-tokens"""

    type: str | None = None
    text: str | None = None
    summary: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None


class _AudioId(Struct):
    id: str


class WireMessage(Struct):
    role: str
    content: str | list[_Content | str] | None = None
    name: str | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None
    function_call: _Function | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[_Detail] | None = None
    extra_content: _ExtraContent | None = None
    audio: _AudioId | None = None
    prefix: bool | None = None
    cache_control: Mark | None = None


# --- messages -----------------------------------------------------------------------------------------------------


class Conversation(NamedTuple):
    system: tuple[Message, ...]
    messages: tuple[Message, ...]


class _Known(NamedTuple):
    """A call of the history."""

    name: str
    kind: CallKind


def conversation(wire: Iterable[WireMessage], *, custom: Collection[str], unseal: Unseal) -> Conversation:
    """`custom`: names of the declared tools that take free text. InvalidRequest names the place."""
    reader = _Reader(custom, unseal)
    for place, message in enumerate(wire):
        reader.take(message, f"messages[{place}]")
    return Conversation(tuple(map(_message, reader.system)), tuple(map(_message, reader.messages)))


class _Turn(Struct):
    """Neighbours of one role and name, which become one message."""

    role: Role
    name: str
    parts: list[Part]
    incomplete: bool = False


class _Reader:
    def __init__(self, custom: Collection[str], unseal: Unseal) -> None:
        self.system: list[_Turn] = []
        self.messages: list[_Turn] = []
        self._custom = custom
        self._unseal = unseal
        self._calls: dict[str, _Known] = {}
        self._made = 0
        """The number of the latest made id; all below are taken."""
        self._open: dict[str, str] = {}
        """Calls without a result so far, id to name, for results that name no call."""
        self._waiting: defaultdict[str, deque[str]] = defaultdict(deque)
        """Their ids in order, by name, and all of them without one; some have a result meanwhile."""

    def take(self, wire: WireMessage, place: str) -> None:
        read = _ROLES.get(wire.role)
        if read is None:
            raise InvalidRequest(f"Invalid value for {place}.role: {wire.role!r}", param=f"{place}.role")
        read(self, wire, place)

    # --- roles ---------------------------------------------------------------------------------------------------

    def _instruction(self, wire: WireMessage, place: str) -> None:
        role: Role = "developer" if wire.role == "developer" else "system"
        parts = _marked(_contents(wire.content, place), wire.cache_control)
        if parts:
            _add(self.messages if self.messages else self.system, role, parts, name=wire.name or "")

    def _user(self, wire: WireMessage, place: str) -> None:
        if parts := _marked(_contents(wire.content, place), wire.cache_control):
            _add(self.messages, "user", parts, name=wire.name or "")

    def _assistant(self, wire: WireMessage, place: str) -> None:
        parts = [*self._thoughts(wire), *self._answer(wire, place), *self._tool_uses(wire, place)]
        marked = _marked(parts, wire.cache_control)
        _add(self.messages, "assistant", marked, name=wire.name or "", incomplete=wire.prefix is True)

    def _result(self, wire: WireMessage, place: str) -> None:
        identity = self._answered(wire)
        known = self._calls.get(identity) or _Known(wire.name or "", "function")
        shown = _contents(wire.content, place)
        result = ToolResult(
            tool_use_id=identity,
            parts=tuple(part for part in shown if isinstance(part, Text | Image | Audio | Video | Document)),
            name=known.name,
            kind=known.kind,
            cache=_mark(wire.cache_control),
        )
        _add(self.messages, "user", [result])

    # --- an assistant's turn -------------------------------------------------------------------------------------

    def _thoughts(self, wire: WireMessage) -> list[Part]:
        """What a client kept of `reasoning_details`; without any text in them, the text that is there beside them."""
        thoughts = [self._thought(details) for details in _by_proof(wire.reasoning_details or ())]
        kept: list[Part] = [part for part in thoughts if part.text or part.summaries or part.state]
        text = wire.reasoning_content or wire.reasoning
        if text and not any(part.text or part.summaries for part in thoughts):
            kept.insert(0, Thinking(text=text))
        return kept

    def _thought(self, details: list[_Detail]) -> Thinking:
        state = self._state(
            next((proof for detail in reversed(details) if (proof := detail.signature or detail.data)), None)
        )
        identity = next((detail.id for detail in details if detail.id), "")
        return Thinking(
            text="".join(detail.text for detail in details if detail.text),
            summaries=tuple(detail.summary for detail in details if detail.summary),
            state=state,
            id=identity if state is None else state.id,
        )

    def _answer(self, wire: WireMessage, place: str) -> list[Part]:
        parts = _contents(wire.content, place)
        state = self._state(_signature(wire.extra_content))
        if state is not None:
            at = max((number for number, part in enumerate(parts) if isinstance(part, Text)), default=-1)
            if at >= 0:
                parts[at] = replace(parts[at], state=state)
        if wire.refusal:
            parts.append(Refusal(text=wire.refusal))
        if wire.audio:
            # The sound is at the provider that made it; only its id comes back.
            parts.append(Audio(source=FileRef(wire.audio.id), id=wire.audio.id))
        return parts

    def _tool_uses(self, wire: WireMessage, place: str) -> Iterator[Part]:
        calls = list(wire.tool_calls or ())
        if wire.function_call is not None:
            calls.append(_Call(function=wire.function_call))
        for number, call in enumerate(calls):
            function = call.function or call.custom
            if function is None or not function.name:
                param = f"{place}.tool_calls[{number}].function.name"
                raise InvalidRequest(f"Missing required field: {param}", param=param)
            identity = call.id or self._made_id()
            is_custom = call.custom is not None or function.name in self._custom
            kind: CallKind = "custom" if is_custom else "function"
            self._calls[identity] = _Known(function.name, kind)
            self._open[identity] = function.name
            self._waiting[function.name].append(identity)
            self._waiting[""].append(identity)
            yield ToolUse(
                id=identity,
                name=function.name,
                arguments=_arguments(function),
                kind=kind,
                state=self._state(_signature(call.extra_content)),
                cache=_mark(call.cache_control),
            )

    def _made_id(self) -> str:
        self._made = max(self._made, len(self._calls))
        while f"call_{self._made}" in self._calls:
            self._made += 1
        return f"call_{self._made}"

    def _answered(self, wire: WireMessage) -> str:
        """The call that a result answers; without an id (role `function`) the first open one of that name."""
        identity = wire.tool_call_id or self._first_open(wire.name or "")
        self._open.pop(identity, None)
        return identity

    def _first_open(self, name: str) -> str:
        waiting = self._waiting.get(name)
        while waiting:
            called = self._open.get(waiting[0])
            if called is not None and (not name or called == name):
                return waiting[0]
            waiting.popleft()
        return name

    def _state(self, carried: str | None) -> ReasoningState | None:
        return self._unseal(carried) if carried else None


_ROLES: dict[str, Callable[[_Reader, WireMessage, str], None]] = {
    "system": _Reader._instruction,
    "developer": _Reader._instruction,
    "user": _Reader._user,
    "assistant": _Reader._assistant,
    "tool": _Reader._result,
    "function": _Reader._result,
}


def _add(turns: list[_Turn], role: Role, parts: list[Part], *, name: str = "", incomplete: bool = False) -> None:
    if turns and turns[-1].role == role and turns[-1].name == name:
        turns[-1].parts += parts
        turns[-1].incomplete = incomplete
    else:
        turns.append(_Turn(role, name, parts, incomplete))


def _message(turn: _Turn) -> Message:
    """Results stand before the other parts of a user."""
    parts = turn.parts
    if turn.role == "user" and any(isinstance(part, ToolResult) for part in parts):
        parts.sort(key=lambda part: not isinstance(part, ToolResult))
    return Message(role=turn.role, parts=tuple(parts), name=turn.name, incomplete=turn.incomplete)


def _by_proof(details: Iterable[_Detail]) -> list[list[_Detail]]:
    """The pieces of each thought: its proof is the last one, and what follows belongs to another thought."""
    thoughts: list[list[_Detail]] = []
    is_proven = True
    for detail in details:
        if is_proven:
            thoughts.append([])
        thoughts[-1].append(detail)
        is_proven = bool(detail.signature or detail.data)
    return thoughts


def _signature(extra: _ExtraContent | None) -> str | None:
    return extra.google.thought_signature if extra is not None and extra.google is not None else None


def _arguments(function: _Function) -> str:
    """JSON text as it came: also where a client sends an object in place of a string."""
    raw = bytes(function.arguments)
    if function.arguments is ABSENT or raw == b"null":
        return function.input or ""
    return str(msgspec.json.decode(raw)) if raw.startswith(b'"') else raw.decode()


# --- content ------------------------------------------------------------------------------------------------------


def _contents(content: str | list[_Content | str] | None, place: str) -> list[Part]:
    if isinstance(content, str):
        return [Text(text=content)] if content else []
    parts: list[Part] = []
    for number, piece in enumerate(content or ()):
        if isinstance(piece, str):
            parts += [Text(text=piece)] if piece else []
            continue
        mark = _mark(piece.prompt_cache_breakpoint) or _mark(piece.cache_control)
        found = _content(piece, f"{place}.content[{number}]")
        if found is None:
            # A mark on nothing belongs to what stands before it.
            parts = _last_marked(parts, mark)
        else:
            parts.append(found if mark is None else replace(found, cache=mark))
    return parts


def _content(piece: _Content, place: str) -> Part | None:
    """None: it holds nothing. InvalidRequest names a type that is not known."""
    kind = piece.type or next((kind for kind, read in _CONTENT.items() if getattr(piece, read[0]) is not None), "text")
    read = _CONTENT.get(kind)
    if read is None:
        raise InvalidRequest(f"Invalid value for {place}.type: {kind!r}", param=f"{place}.type")
    field, make = read
    value = getattr(piece, field)
    if value is None:
        raise InvalidRequest(f"Missing required field: {place}.{field}", param=f"{place}.{field}")
    part = make(value, piece)
    return None if isinstance(part, Text | Refusal | Thinking) and not part.text else part


def _image(value: str | _Url, piece: _Content) -> Image:
    detail = value.detail if isinstance(value, _Url) else None
    return Image(source=from_url(_address(value)), detail=_DETAILS.get(detail))


def _audio(value: str | _Sound, piece: _Content) -> Audio:
    if isinstance(value, str):
        return Audio(source=_file(value))
    if value.data.startswith(("data:", "http:", "https:")):
        return Audio(source=from_url(value.data))
    return Audio(source=Inline(value.data, sniffed(value.data, sound_type(value.format or ""))))


def _document(value: _File, piece: _Content) -> Document:
    title = value.filename or ""
    if value.file_data:
        return Document(source=_file(value.file_data), title=title)
    return Document(source=FileRef(value.file_id or ""), title=title)


def _linked(value: str | _Url, piece: _Content) -> Document:
    return Document(source=_file(_address(value)), title=piece.document_name or "")


def _thinking(value: str | list[_Content], piece: _Content) -> Thinking:
    return Thinking(text=value if isinstance(value, str) else "".join(thought.text or "" for thought in value))


def _address(value: str | _Url) -> str:
    return value if isinstance(value, str) else value.url


def _file(value: str) -> Inline | Link:
    """A `data:` URL, an address, or base64 alone."""
    if ":" in value[:16]:
        return from_url(value)
    return Inline(value, sniffed(value))


_CONTENT: dict[str, tuple[str, Callable[[Any, _Content], Part]]] = {
    "text": ("text", lambda value, piece: Text(text=value)),
    "input_text": ("text", lambda value, piece: Text(text=value)),
    "output_text": ("text", lambda value, piece: Text(text=value)),
    "image_url": ("image_url", _image),
    "input_image": ("image_url", _image),
    "input_audio": ("input_audio", _audio),
    "file": ("file", _document),
    "video_url": ("video_url", lambda value, piece: Video(source=from_url(_address(value)))),
    "document_url": ("document_url", _linked),
    "file_url": ("file_url", _linked),
    "thinking": ("thinking", _thinking),
    "refusal": ("refusal", lambda value, piece: Refusal(text=value)),
}
"""By type: the field that holds the value, and what it is."""


# --- cache marks --------------------------------------------------------------------------------------------------


def mark_of(wire: Mark) -> CacheMark:
    return CacheMark(_LIFETIMES.get(wire.ttl))


def _mark(wire: Mark | None) -> CacheMark | None:
    return None if wire is None else mark_of(wire)


def _marked(parts: list[Part], mark: Mark | None) -> list[Part]:
    """A mark on a message is one on its last part."""
    return _last_marked(parts, _mark(mark))


def _last_marked(parts: list[Part], mark: CacheMark | None) -> list[Part]:
    if mark is None or not parts:
        return parts
    return [*parts[:-1], replace(parts[-1], cache=mark)]
