"""OpenAI Responses: `instructions` and `input` of a client's request as canonical messages.

Responses tells a conversation in items: messages, thoughts, calls, results, each apart. Here the items of one turn are
one message again: what the model said, thought and called between two user turns, and the results with what the user
says after them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from proxyapi.dialects import carriers
from proxyapi.dialects.codec import Unseal
from proxyapi.dialects.fields import within
from proxyapi.dialects.functions import spoken
from proxyapi.dialects.media import from_url, sniffed, sound_type
from proxyapi.dialects.model import (
    ABSENT,
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
    Lifetime,
    Message,
    Part,
    ReasoningState,
    Refusal,
    Role,
    Source,
    Text,
    Thinking,
    Tool,
    ToolChange,
    ToolReference,
    ToolResult,
    ToolUse,
)
from proxyapi.dialects.openai_responses.items_in import native, part_of
from proxyapi.dialects.openai_responses.tools_in import read_tools
from proxyapi.dialects.openai_responses.wire import ITEM, Item, citations, logprobs
from proxyapi.errors import InvalidRequest

ORIGIN = "openai"
"""Whose files the ids of this dialect are."""

Phase = Literal["", "commentary", "final_answer"]

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system", "developer": "developer"}
_PHASES: dict[str | None, Phase] = {"commentary": "commentary", "final_answer": "final_answer"}
_DETAILS: dict[str | None, Detail] = {"low": "low", "high": "high", "original": "original"}
"""`auto` and an empty word are the default."""
_LIFETIMES: dict[str | None, Lifetime] = {"30m": "30m", "12h": "12h"}
_PDF = "application/pdf"


class _Mark(Struct):
    ttl: str | None = None


class _Sound(Struct):
    data: str
    format: str


class _Content(Struct):
    """A piece of a message or of a tool's output."""

    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    annotations: list[Raw] | None = None
    logprobs: Raw = ABSENT
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    input_audio: _Sound | None = None
    prompt_cache_breakpoint: _Mark | None = None


class _Head(Struct):
    type: str | None = None
    role: str | None = None
    id: str | None = None


class _Message(Struct):
    role: str
    content: str | list[_Content] | None = None
    id: str | None = None
    phase: str | None = None
    status: str | None = None


class _Output(Struct):
    call_id: str | None = None
    id: str | None = None
    name: str | None = None
    status: str | None = None
    output: Raw = ABSENT
    execution: str | None = None
    role: str | None = None
    tools: list[Raw] | None = None


_HEAD = msgspec.json.Decoder(_Head)
_MESSAGE = msgspec.json.Decoder(_Message)
_OUTPUT = msgspec.json.Decoder(_Output)
_CONTENTS = msgspec.json.Decoder(str | list[_Content] | None)
_SCREENSHOT = msgspec.json.Decoder(_Content)


class _Turn:
    """A message that still grows."""

    __slots__ = ("id", "incomplete", "parts", "phase", "role", "spoken")

    def __init__(self, role: Role) -> None:
        self.role = role
        self.parts: list[Part] = []
        self.phase: Phase = ""
        self.id = ""
        self.incomplete = False
        self.spoken = False
        """It has an item of type `message`, so its phase is known."""

    def message(self) -> Message:
        """A user's results stand before what else the user says."""
        parts = self.parts
        if self.role == "user" and any(isinstance(part, ToolResult) for part in parts):
            parts.sort(key=lambda part: not isinstance(part, ToolResult))
        return Message(role=self.role, parts=tuple(parts), phase=self.phase, id=self.id, incomplete=self.incomplete)


class Conversation:
    """Reads items in their order."""

    def __init__(self, unseal: Unseal, tools: Sequence[Tool]) -> None:
        self._unseal = unseal
        self._namespaces = set(_namespaces(tools))
        self._system: list[_Turn] = []
        self._instructions = 0
        """How many of them came as `instructions`."""
        self._turns: list[_Turn] = []
        self._leading = True
        """Only instructions so far."""
        self._calls: dict[str, ToolUse] = {}
        self._state: ReasoningState | None = None
        """Of the part that comes next."""
        self.offered: list[Tool] = []
        """Tools that stand before every turn: they are declared like those of `tools`."""
        self.found: list[Tool] = []
        """Tools that the client's own tool search brought: from there on they are declared."""

    def system(self) -> tuple[Message, ...]:
        return tuple(turn.message() for turn in self._system)

    def messages(self) -> tuple[Message, ...]:
        if self._state is not None:
            self._belated(self._state)
        return tuple(turn.message() for turn in self._turns if turn.parts or turn.spoken)

    def instructions(self, wire: str | list[Raw] | None) -> None:
        """They hold for this request only, so they stay a message of their own."""
        if isinstance(wire, str):
            self._say(_Message("system", wire), "instructions")
        else:
            self.items(wire or (), "instructions")
        self._instructions = len(self._system)

    def input(self, wire: str | list[Raw] | None) -> None:
        if isinstance(wire, str):
            self._say(_Message("user", wire), "input")
        else:
            self.items(wire or (), "input")

    def items(self, items: list[Raw] | tuple[()], place: str) -> None:
        for number, raw in enumerate(items):
            here = f"{place}[{number}]"
            head = within(_HEAD, raw, here)
            if head.type == "message" or (not head.type and head.role):
                self._say(within(_MESSAGE, raw, here), here)
                continue
            kind = head.type or "item_reference"
            if kind == "additional_tools" and self._leading:
                self.offered += self._tools(within(_OUTPUT, raw, here), here)
                continue
            self._leading = False
            read = _ITEMS.get(kind)
            if read is not None:
                read(self, raw, here)
            else:
                self._add("user" if kind in _OF_USER else "assistant", _part(within(ITEM, raw, here), raw, kind))

    # --- turns -------------------------------------------------------------------------------------------------------

    def _turn(self, role: Role) -> _Turn:
        """The last turn, if it is of that role; else a new one."""
        if role != "assistant" and self._state is not None:
            self._belated(self._state)
        if not self._turns or self._turns[-1].role != role:
            self._turns.append(_Turn(role))
        return self._turns[-1]

    def _speaking(self, role: Role, phase: Phase) -> _Turn:
        """The turn that an item of type `message` belongs to. The thoughts before it go with it."""
        turn = self._turn(role)
        if turn.spoken and turn.phase != phase:
            thoughts: list[Part] = []
            while turn.parts and isinstance(turn.parts[-1], Thinking):
                thoughts.append(turn.parts.pop())
            turn = _Turn(role)
            turn.parts = thoughts[::-1]
            self._turns.append(turn)
        turn.phase, turn.spoken = phase, True
        return turn

    def _add(self, role: Role, part: Part) -> None:
        parts = self._turn(role).parts
        if role == "assistant" and self._state is not None:
            part, self._state = replace(part, state=self._state), None
        parts.append(part)

    def _say(self, wire: _Message, here: str) -> None:
        role = _ROLES.get(wire.role)
        if role is None:
            param = f"{here}.role"
            raise InvalidRequest(f"Invalid value for {param}: {wire.role!r} is no role", param=param)
        parts = _contents(wire.content, f"{here}.content")
        if role in ("system", "developer") and self._leading:
            if parts:
                if len(self._system) == self._instructions or self._system[-1].role != role:
                    self._system.append(_Turn(role))
                self._system[-1].parts += parts
            return
        self._leading = False
        if not parts and role != "assistant":
            return
        turn = self._speaking(role, _PHASES.get(wire.phase, ""))
        turn.id = turn.id or (wire.id or "" if role == "assistant" else "")
        turn.incomplete = role == "assistant" and wire.status == "incomplete"
        for part in parts:
            self._add(role, part)

    # --- items -------------------------------------------------------------------------------------------------------

    def _call(self, raw: Raw, here: str) -> None:
        item = within(ITEM, raw, here)
        part = part_of(item, raw)
        if isinstance(part, ToolUse):
            if part.namespace not in self._namespaces:
                # OpenAI tells a namespace also of tools that a search found, and that are declared without one.
                part = replace(part, namespace="")
            _needed(part.id, f"{here}.call_id")
            _needed(part.name, f"{here}.name")
            self._calls[part.id] = part
        self._add("assistant", part)

    def _reasoning(self, raw: Raw, here: str) -> None:
        item = within(ITEM, raw, here)
        part = part_of(item, raw)
        place, state = carriers.read(item.encrypted_content or "", self._unseal)
        if isinstance(part, Thinking):
            own = state if place == "own" else None
            if part.text or part.summaries or own is not None:
                self._turn("assistant").parts.append(replace(part, state=own))
        if state is not None and place == "before":
            self._belated(state)
        elif state is not None and place == "next":
            self._state = state

    def _belated(self, state: ReasoningState) -> None:
        """A state that came after the part it belongs to, or before no part at all."""
        self._state = None
        parts = self._turns[-1].parts if self._turns and self._turns[-1].role == "assistant" else []
        if parts:
            parts[-1] = replace(parts[-1], state=state)

    def _compaction(self, raw: Raw, here: str) -> None:
        """A summary that can't be read replaces a whole history: it is kept, so that others refuse it."""
        item = within(ITEM, raw, here)
        _, state = carriers.read(item.encrypted_content or "", self._unseal)
        self._add("assistant", Compaction(native=ABSENT if state is not None else raw.copy(), state=state))

    def _output(self, raw: Raw, here: str) -> None:
        """Of a function or a custom tool."""
        wire = within(_OUTPUT, raw, here)
        content = within(_CONTENTS, wire.output, f"{here}.output")
        self._result(wire, tuple(_contents(content, f"{here}.output")), here)

    def _shell_output(self, raw: Raw, here: str) -> None:
        wire = within(_OUTPUT, raw, here)
        if wire.call_id not in self._calls:
            self._add("assistant", part_of(within(ITEM, raw, here), raw))
            return
        self._result(wire, (Text(bytes(wire.output).decode()),) if wire.output != ABSENT else (), here)

    def _patch_output(self, raw: Raw, here: str) -> None:
        wire = within(_OUTPUT, raw, here)
        content = within(_CONTENTS, wire.output, f"{here}.output")
        failed = True if wire.status == "failed" else None
        self._result(wire, tuple(_contents(content, f"{here}.output")), here, is_error=failed)

    def _screenshot(self, raw: Raw, here: str) -> None:
        wire = within(_OUTPUT, raw, here)
        shot = within(_SCREENSHOT, wire.output, f"{here}.output")
        self._result(wire, (Image(_picture(shot, f"{here}.output")),), here)

    def _result(self, wire: _Output, parts: tuple[Part, ...], here: str, *, is_error: bool | None = None) -> None:
        identity = _needed(wire.call_id or wire.id, f"{here}.call_id")
        call = self._calls.get(identity)
        self._add(
            "user",
            ToolResult(
                identity,
                parts,  # type: ignore[arg-type]
                name=call.name if call else wire.name or "",
                kind=call.kind if call else "function",
                is_error=is_error,
            ),
        )

    def _tools(self, wire: _Output, here: str) -> tuple[Tool, ...]:
        tools = read_tools(wire.tools or (), f"{here}.tools")
        self._namespaces.update(_namespaces(tools))
        return tools

    def _more_tools(self, raw: Raw, here: str) -> None:
        wire = within(_OUTPUT, raw, here)
        self._add(_ROLES.get(wire.role or "", "developer"), ToolChange(self._tools(wire, here)))

    def _search_output(self, raw: Raw, here: str) -> None:
        """Of the client's own search it brings tools that may be declared nowhere else."""
        wire = within(_OUTPUT, raw, here)
        found = self._tools(wire, here)
        self.found += found
        if wire.call_id in self._calls:
            functions = (tool for tool in found if isinstance(tool, FunctionTool | CustomTool))
            names = (spoken(tool.name, tool.namespace) for tool in functions)
            self._result(wire, tuple(map(ToolReference, dict.fromkeys(names))), here)
        else:
            self._add("assistant", native("tool_search_output", raw))


_ITEMS: dict[str, Callable[[Conversation, Raw, str], None]] = {
    "function_call": Conversation._call,
    "custom_tool_call": Conversation._call,
    "local_shell_call": Conversation._call,
    "shell_call": Conversation._call,
    "apply_patch_call": Conversation._call,
    "computer_call": Conversation._call,
    "tool_search_call": Conversation._call,
    "reasoning": Conversation._reasoning,
    "compaction": Conversation._compaction,
    "function_call_output": Conversation._output,
    "custom_tool_call_output": Conversation._output,
    "local_shell_call_output": Conversation._output,
    "shell_call_output": Conversation._shell_output,
    "apply_patch_call_output": Conversation._patch_output,
    "computer_call_output": Conversation._screenshot,
    "additional_tools": Conversation._more_tools,
    "tool_search_output": Conversation._search_output,
}
"""Any other item is what the provider did by itself, or what only Responses knows."""
_OF_USER = frozenset({"mcp_approval_response", "configuration_update", "compaction_trigger"})


def _namespaces(tools: Sequence[Tool]) -> Iterable[str]:
    return (tool.namespace for tool in tools if isinstance(tool, FunctionTool | CustomTool))


def _part(item: Item, raw: Raw, kind: str) -> Part:
    return part_of(item, raw) if item.type else native(kind, raw)


# --- contents -----------------------------------------------------------------------------------------------------


def _contents(content: str | list[_Content] | None, place: str) -> list[Part]:
    if isinstance(content, str):
        return [Text(content)] if content else []
    return [
        part for number, wire in enumerate(content or ()) if (part := _content(wire, f"{place}[{number}]")) is not None
    ]


def _content(wire: _Content, here: str) -> Part | None:
    """None: a text without a character."""
    mark = wire.prompt_cache_breakpoint
    cache = CacheMark(_LIFETIMES.get(mark.ttl)) if mark else None
    match wire.type:
        case "input_text" | "output_text" | "text" | None if wire.text is not None:
            if not wire.text:
                return None
            cited = tuple(citations(wire.annotations or ()))
            return Text(wire.text, cited, logprobs(wire.logprobs), cache=cache)
        case "refusal":
            return Refusal(wire.refusal, cache=cache) if wire.refusal else None
        case "input_image" | "computer_screenshot":
            return Image(_picture(wire, here), _DETAILS.get(wire.detail), cache=cache)
        case "input_file":
            return Document(_file(wire, here), title=wire.filename or "", detail=_DETAILS.get(wire.detail), cache=cache)
        case "input_audio" if wire.input_audio is not None:
            sound = wire.input_audio
            return Audio(Inline(sound.data, sniffed(sound.data, sound_type(sound.format))), cache=cache)
        case _:
            param = f"{here}.type"
            raise InvalidRequest(f"Invalid value for {param}: {wire.type!r} is no known content", param=param)


def _picture(wire: _Content, here: str) -> Source:
    if wire.image_url:
        return from_url(wire.image_url)
    return FileRef(_needed(wire.file_id, f"{here}.image_url"), ORIGIN)


def _file(wire: _Content, here: str) -> Source:
    if wire.file_data:
        source = from_url(wire.file_data)
        # Plain base64 without a data URL around it is taken too.
        return source if isinstance(source, Inline) else Inline(wire.file_data, sniffed(wire.file_data, _PDF))
    if wire.file_url:
        return from_url(wire.file_url)
    return FileRef(_needed(wire.file_id, f"{here}.file_data"), ORIGIN)


def _needed(value: str | None, param: str) -> str:
    if not value:
        raise InvalidRequest(f"Missing required field: {param}", param=param)
    return value
