"""Parts of a conversation as words, for dialects that have no field for them.

What the model has to know is said in plain text: which pages a search found, what code printed, what a passage says.
Proofs and encrypted contents are not words: they never cross.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects.model import (
    ABSENT,
    Audio,
    Compaction,
    Document,
    Part,
    Refusal,
    SearchResult,
    ServerToolKind,
    ServerToolResult,
    ServerToolUse,
    Text,
    ToolReference,
    given,
)
from proxyapi.dialects.stream import lenient

ERROR_PREFIX = "Error: "
_REMINDER = "system-reminder"

_VERBS: dict[ServerToolKind, str] = {
    "web_search": "Searched",
    "web_fetch": "Fetched",
    "file_search": "Searched files",
    "code_execution": "Ran",
    "bash": "Ran",
    "shell": "Ran",
    "local_shell": "Ran",
    "image_generation": "Drew",
}
"""How a call is told; others are `Used <name>`."""
_FENCED: frozenset[ServerToolKind] = frozenset({"code_execution", "bash", "shell", "local_shell"})
"""Kinds whose call and output are code."""


class _Arguments(Struct):
    """Where the dialects keep what a hosted tool was asked for."""

    query: str | None = None
    queries: list[str] | None = None
    url: str | None = None
    code: str | None = None
    command: str | list[str] | None = None
    commands: list[str] | None = None
    prompt: str | None = None


_ARGUMENTS = msgspec.json.Decoder(_Arguments)


def reminder(text: str) -> str:
    """An instruction in the middle of a conversation, for models that take instructions only at its beginning."""
    return f"<{_REMINDER}>\n{text}\n</{_REMINDER}>"


def answer_in_json(schema: Raw = ABSENT) -> str:
    """The instruction that stands for a format of answers which a model does not know."""
    words = "Answer with one JSON object only"
    return f"{words}, which has to match this JSON Schema:\n{bytes(schema).decode()}" if given(schema) else f"{words}."


def prefixed_error(text: str) -> str:
    """The result of a failed tool call, for dialects that have no mark for it."""
    return text if text.startswith(ERROR_PREFIX) else ERROR_PREFIX + text


def as_text(part: Part) -> str | None:
    """What a model has to know of a part that its dialect can't carry. None: there is nothing to say.

    Text, thinking, calls that the client executes and their results are not said here: every dialect has them.
    """
    say = _SAY.get(type(part))
    return (say(part) or None) if say else None


def _server_tool_use(part: ServerToolUse) -> str:
    verb = _VERBS.get(part.kind) or f"Used {part.server + '/' if part.server else ''}{part.name}"
    asked = _asked(part.arguments)
    call = _called(verb, asked, fenced=part.kind in _FENCED)
    return _lines((call, _server_tool_result(part.result) if part.result else ""))


def _called(verb: str, asked: str, *, fenced: bool) -> str:
    if fenced:
        return f"{verb}:\n{_fence(asked)}" if asked else ""
    return f"{verb}: {asked}" if asked else f"{verb}."


def _asked(arguments: str) -> str:
    wire = lenient(_ARGUMENTS, arguments.encode()) if arguments.lstrip().startswith("{") else None
    if wire is None:
        return arguments
    command = " ".join(wire.command) if isinstance(wire.command, list) else wire.command
    queries, commands = "; ".join(wire.queries or ()), "\n".join(wire.commands or ())
    said = wire.query or queries or wire.url or wire.code or command or commands or wire.prompt
    return said or ("" if arguments.strip() == "{}" else arguments)


def _server_tool_result(part: ServerToolResult) -> str:
    if part.is_error:
        return prefixed_error(_lines(_words(part.parts)) or part.error_code or "the tool failed")
    if part.kind in _FENCED:
        output = _lines(_words(part.parts))
        return f"Output:\n{_fence(output)}" if output else ""
    return _lines(_words(part.parts))


def _words(parts: Iterable[Part]) -> Iterable[str]:
    for part in parts:
        yield part.text if isinstance(part, Text) else as_text(part) or ""


def _search_result(part: SearchResult) -> str:
    """Title and address in one line, then the passages."""
    head = f"{part.title}: {part.source}" if part.title and part.source else part.title or part.source
    return _lines((head, *(passage.text for passage in part.parts)))


def _document(part: Document) -> str:
    """A document that is text itself. One with a source is a file: dialects carry it, or refuse it."""
    if part.source is not None:
        return ""
    return _lines((part.title, part.context, part.text, *_words(part.parts)))


def _fence(text: str) -> str:
    mark = "```"
    while mark in text:
        mark += "`"
    return f"{mark}\n{text}\n{mark}"


def _lines(texts: Iterable[str]) -> str:
    return "\n".join(text for text in texts if text)


_SAY: dict[type, Callable[[Any], str]] = {
    Refusal: lambda part: part.text,
    Audio: lambda part: part.transcript,
    Document: _document,
    SearchResult: _search_result,
    ServerToolUse: _server_tool_use,
    ServerToolResult: _server_tool_result,
    ToolReference: lambda part: part.name,
    Compaction: lambda part: f"Summary so far: {part.text}" if part.text else "",
}
