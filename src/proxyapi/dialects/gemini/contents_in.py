"""Gemini: a client's `contents` and `systemInstruction` to canonical messages."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from binascii import Error
from collections.abc import Callable
from itertools import zip_longest
from typing import Any

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from proxyapi.dialects.codec import Unseal
from proxyapi.dialects.gemini import hosted
from proxyapi.dialects.media import sniffed
from proxyapi.dialects.model import (
    ABSENT,
    Audio,
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
    Role,
    Source,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Video,
    given,
)
from proxyapi.errors import InvalidRequest

OWN_FILES = re.compile(r"gs://|https://generativelanguage\.googleapis\.com/")
"""Addresses of files that Google keeps for an account; any other is a page or a picture somewhere."""
VIDEO_PAGES = re.compile(r"https://(?:www\.|m\.)?(?:youtube\.com|youtu\.be)/")
"""Films without a file: Google reads them by the address of their page."""
_ROLES: dict[str | None, Role] = {None: "user", "": "user", "user": "user", "model": "assistant", "function": "user"}
_DETAILS: dict[str, Detail] = {"LOW": "low", "MEDIUM": "medium", "HIGH": "high", "ULTRA_HIGH": "original"}
_OPTIONAL = frozenset(
    {"partMetadata", "speechMetadata", "documentMetadata", "spreadsheetMetadata", "audioMetadata", "toolCall"}
    | {"toolResponse"}
)
"""Parts and members of parts whose loss changes nothing that the model needs."""


# --- wire ---------------------------------------------------------------------------------------------------------


class _Blob(Struct, rename="camel"):
    data: str | None = None
    mime_type: str | None = None
    display_name: str | None = None


class _File(Struct, rename="camel"):
    file_uri: str | None = None
    mime_type: str | None = None
    display_name: str | None = None


class _Call(Struct):
    id: str | None = None
    name: str | None = None
    args: Raw = ABSENT


class _Response(Struct):
    id: str | None = None
    name: str | None = None
    response: Raw = ABSENT
    parts: list[_Part] | None = None


class _Video(Struct, rename="camel"):
    start_offset: str | None = None
    end_offset: str | None = None
    fps: float | None = None


class _Resolution(Struct):
    level: str | None = None


class _Part(Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    inline_data: _Blob | None = None
    file_data: _File | None = None
    function_call: _Call | None = None
    function_response: _Response | None = None
    executable_code: Raw = ABSENT
    code_execution_result: Raw = ABSENT
    tool_call: Raw = ABSENT
    tool_response: Raw = ABSENT
    video_metadata: _Video | None = None
    media_resolution: _Resolution | str | None = None
    part_metadata: Raw = ABSENT
    media_processing: Raw = ABSENT
    audio_transcription: Raw = ABSENT
    speech_metadata: Raw = ABSENT
    document_metadata: Raw = ABSENT
    spreadsheet_metadata: Raw = ABSENT
    audio_metadata: Raw = ABSENT


class Content(Struct):
    role: str | None = None
    parts: list[_Part] | _Part | None = None


Contents = list[Content | str] | Content | str | None
"""As clients send it: a list, one content, or the user's words."""
Instruction = Content | list[_Part] | str | None

_BESIDE = {
    "part_metadata": "partMetadata",
    "media_processing": "mediaProcessing",
    "audio_transcription": "audioTranscription",
    "speech_metadata": "speechMetadata",
    "document_metadata": "documentMetadata",
    "spreadsheet_metadata": "spreadsheetMetadata",
    "audio_metadata": "audioMetadata",
}
"""Members of parts that only this dialect knows."""
_RESULT_WORDS = ("result", "output", "error")
_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
_STRING = msgspec.json.Decoder(str)


# --- messages -----------------------------------------------------------------------------------------------------


def instruction(wire: Instruction) -> tuple[Message, ...]:
    """`systemInstruction`; its role says nothing."""
    if isinstance(wire, Content):
        wire = wire.parts if isinstance(wire.parts, list) else [wire.parts] if wire.parts else []
    texts = [wire] if isinstance(wire, str) else [part.text for part in wire or ()]
    parts = tuple([Text(text) for text in texts if text])
    return (Message(role="system", parts=parts),) if parts else ()


def conversation(wire: Contents, unseal: Unseal) -> tuple[Message, ...]:
    """The messages. InvalidRequest names the place."""
    reader = _Reader(unseal)
    for place, content in enumerate(wire if isinstance(wire, list) else [wire] if wire else ()):
        reader.take(Content(parts=[_Part(text=content)]) if isinstance(content, str) else content, place)
    return tuple([_message(role, parts) for role, parts in reader.turns])


def _message(role: Role, parts: list[Part]) -> Message:
    if len(parts) > 1 and role == "user":
        parts.sort(key=lambda part: not isinstance(part, ToolResult))
    elif len(parts) > 1:
        parts = _joined(parts)
    return Message(role=role, parts=tuple(parts))


def _joined(pieces: list[Part]) -> list[Part]:
    """Neighbouring fragments of one text as one part: clients send a turn back as the stream had cut it.

    A signature ends a part.
    """
    parts: list[Part] = []
    fragments: list[str] = []
    for part, after in zip_longest(pieces, pieces[1:]):
        if isinstance(part, Text | Thinking):
            if part.state is None and type(after) is type(part):
                fragments.append(part.text)
                continue
            if fragments:
                part = replace(part, text="".join((*fragments, part.text)))
                fragments.clear()
        parts.append(part)
    return parts


class _Reader:
    def __init__(self, unseal: Unseal) -> None:
        self.turns: list[tuple[Role, list[Part]]] = []
        """Neighbours of one role share a list that grows: copied for each of them, it would cost quadratic time."""
        self._unseal = unseal
        self._names: dict[str, str] = {}
        """Calls so far: their ids, each unique, and the functions they call."""
        self._latest: dict[str, str] = {}
        """By the id on the wire, the last call that had it: some clients count anew in every turn."""
        self._open: dict[str, None] = {}
        """Calls without an answer yet, for answers that have no id."""

    def take(self, content: Content, place: int) -> None:
        role = _ROLES.get(content.role)
        if role is None:
            param = f"contents[{place}].role"
            raise InvalidRequest(f"Invalid value for {param}: {content.role!r}; it is user or model", param=param)
        is_new = not self.turns or self.turns[-1][0] != role
        parts: list[Part] = [] if is_new else self.turns[-1][1]
        wire = content.parts
        for number, part in enumerate(wire if type(wire) is list else [wire] if isinstance(wire, _Part) else ()):
            if part == _Part(text=part.text):
                # Words and nothing else, as most are.
                if part.text:
                    parts.append(Text(part.text))
                continue
            _check_speaker(part, role, f"contents[{place}].parts[{number}]")
            self._part(part, parts, role)
        if is_new and (parts or role == "assistant"):
            self.turns.append((role, parts))

    def _part(self, wire: _Part, parts: list[Part], role: Role) -> None:
        state = self._state(wire.thought_signature) if role == "assistant" else None
        if wire.text is not None:
            if role == "assistant" or not wire.thought:
                self._text(wire, state, parts)
        elif (found := self._read(wire)) is not None:
            parts.append(replace(found, state=state) if state is not None else found)
        elif state is not None:
            _hang(state, parts)
        for name, encoded in () if _is_bare(wire) else _BESIDE.items():
            if given(raw := getattr(wire, name)):
                parts.append(Native("gemini", encoded, raw, optional=encoded in _OPTIONAL))

    def _text(self, wire: _Part, state: ReasoningState | None, parts: list[Part]) -> None:
        text = wire.text or ""
        if wire.thought and (text or state is not None):
            parts.append(Thinking(text=text, state=state))
        elif text:
            parts.append(Text(text, state=state))
        elif state is not None:
            _hang(state, parts)

    def _read(self, wire: _Part) -> Part | None:
        if wire.function_call is not None:
            return self._call(wire.function_call)
        if wire.function_response is not None:
            return self._result(wire.function_response)
        if wire.inline_data is not None or wire.file_data is not None:
            return _medium(wire)
        for name, field, read in _HOSTED:
            if given(raw := getattr(wire, name)):
                return read(raw) or Native("gemini", field, raw, optional=True)
        return None

    def _state(self, signature: str | None) -> ReasoningState | None:
        """The state in a signature: an envelope of ours in base64, in either alphabet. A provider's own is none."""
        if not signature:
            return None
        try:
            envelope = urlsafe_b64decode(signature.replace("+", "-").replace("/", "_") + "=" * (-len(signature) % 4))
        except (Error, ValueError):
            return None
        return self._unseal(envelope.decode("ascii", "replace")) or self._unseal(signature)

    # --- calls and results ---------------------------------------------------------------------------------------

    def _call(self, call: _Call) -> ToolUse:
        name = call.name or ""
        identity = call.id or f"call_{len(self._names)}"
        if identity in self._names:
            identity = f"{identity}_{len(self._names)}"
        self._names[identity] = name
        self._latest[call.id or identity] = identity
        self._open[identity] = None
        arguments = bytes(call.args).decode("utf-8", "replace") if given(call.args) else "{}"
        return ToolUse(identity, name, arguments)

    def _result(self, wire: _Response) -> ToolResult:
        identity = self._answered(wire)
        parts, is_object, failed = _outcome(wire.response)
        media = (found for part in wire.parts or () if (found := _medium(part)) is not None)
        return ToolResult(
            tool_use_id=identity,
            parts=(*parts, *media),
            name=wire.name or self._names.get(identity, ""),
            is_error=failed or None,
            is_object=is_object,
        )

    def _answered(self, wire: _Response) -> str:
        """The call that a result answers: of that id, else the first one of that name that has no answer."""
        if wire.id:
            identity = self._latest.get(wire.id, wire.id)
        else:
            identity = next((call for call in self._open if self._names[call] == wire.name), wire.name or "")
        self._open.pop(identity, None)
        return identity


_HOSTED: tuple[tuple[str, str, Callable[[Raw], Any]], ...] = (
    ("executable_code", "executableCode", hosted.read_code),
    ("code_execution_result", "codeExecutionResult", hosted.read_output),
    ("tool_call", "toolCall", hosted.read_call),
    ("tool_response", "toolResponse", hosted.read_response),
)


def _is_bare(wire: _Part) -> bool:
    """Nothing of `_BESIDE` is there, nor a call of the provider's own tools."""
    return wire == _Part(
        wire.text,
        wire.thought,
        wire.thought_signature,
        wire.inline_data,
        wire.file_data,
        wire.function_call,
        wire.function_response,
    )


def _check_speaker(wire: _Part, role: Role, place: str) -> None:
    """The model calls, the user answers. InvalidRequest: it is the other way round, which Google refuses too."""
    names = _OF_MODEL if role == "user" else _OF_USER
    for name, field in names.items():
        value = getattr(wire, name)
        if value is not None and value is not ABSENT:
            param = f"{place}.{field}"
            raise InvalidRequest(f"Invalid value for {param}: it can't stand in a content of this role", param=param)


_OF_USER = {"function_response": "functionResponse"}
_OF_MODEL = {"function_call": "functionCall"} | {name: field for name, field, _ in _HOSTED}


def _hang(state: ReasoningState, parts: list[Part]) -> None:
    """A state that came in an empty part: it belongs to the part before, or stands alone."""
    if parts and parts[-1].state is None:
        parts[-1] = replace(parts[-1], state=state)
    else:
        parts.append(Thinking(state=state))


def _outcome(response: Raw) -> tuple[tuple[Text, ...], bool, bool]:
    """What a function returned: its parts, whether they are a JSON object, and whether it failed."""
    if not given(response):
        return (), False, False
    text = bytes(response).decode("utf-8", "replace")
    try:
        members = _MEMBERS.decode(response)
    except msgspec.DecodeError:
        return (Text(text),), False, False
    if len(members) == 1:
        ((name, value),) = members.items()
        if name in _RESULT_WORDS and bytes(value).startswith(b'"'):
            words = _STRING.decode(value)
            return ((Text(words),) if words else ()), False, name == "error"
        if name == "error":
            return (Text(bytes(value).decode("utf-8", "replace")),), False, True
    return (Text(text),), True, False


# --- media --------------------------------------------------------------------------------------------------------


def _medium(wire: _Part) -> Image | Audio | Video | Document | None:
    blob, file = wire.inline_data, wire.file_data
    title = ""
    source: Source
    if blob is not None:
        # google-genai writes URL-safe base64, which no other provider reads.
        data = (blob.data or "").replace("-", "+").replace("_", "/")
        media_type, title = sniffed(data, blob.mime_type or ""), blob.display_name or ""
        source = Inline(data + "=" * (-len(data) % 4), media_type)
    elif file is not None:
        uri, title = file.file_uri or "", file.display_name or ""
        media_type = file.mime_type or ("video/*" if VIDEO_PAGES.match(uri) else "")
        source = FileRef(uri, media_type=media_type) if OWN_FILES.match(uri) else Link(uri, media_type)
    else:
        return None
    match media_type.partition("/")[0].lower():
        case "image":
            return Image(source, detail=detail(wire.media_resolution))
        case "audio":
            return Audio(source)
        case "video":
            return _video(wire, source)
        case _:
            return Document(source, title=title, detail=detail(wire.media_resolution))


def _video(wire: _Part, source: Source) -> Video:
    span = wire.video_metadata or _Video()
    return Video(
        source,
        start_seconds=_seconds(span.start_offset),
        end_seconds=_seconds(span.end_offset),
        frames_per_second=span.fps,
        detail=detail(wire.media_resolution),
    )


def detail(resolution: _Resolution | str | None) -> Detail | None:
    """`MEDIA_RESOLUTION_…`, as of the whole request or of one part."""
    level = resolution.level if isinstance(resolution, _Resolution) else resolution
    return _DETAILS.get((level or "").upper().removeprefix("MEDIA_RESOLUTION_"))


def _seconds(duration: str | None) -> float | None:
    """A protobuf duration: `12.5s`."""
    try:
        return float(duration.removesuffix("s")) if duration else None
    except ValueError:
        return None
