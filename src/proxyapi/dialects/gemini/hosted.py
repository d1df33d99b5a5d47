"""Gemini: calls of tools that Google runs itself, and their results, in requests and replies alike.

Code and its output have parts of their own; other tools are told as `toolCall` and `toolResponse`, if the request asked
for it, else only as grounding. https://ai.google.dev/gemini-api/docs/code-execution, …/docs/tool-combination
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects.model import (
    ABSENT,
    SearchResult,
    ServerToolKind,
    ServerToolResult,
    ServerToolUse,
    Text,
    given,
)
from proxyapi.dialects.stream import lenient

CODE = "code_execution"
GROUNDED = "google_search"
"""Name of a search that only its sources tell of."""
OUTCOME_OK = "OUTCOME_OK"
OUTCOME_FAILED = "OUTCOME_FAILED"
KINDS: dict[str, ServerToolKind] = {
    "GOOGLE_SEARCH_WEB": "web_search",
    "GOOGLE_SEARCH_IMAGE": "web_search",
    "URL_CONTEXT": "web_fetch",
    "FILE_SEARCH": "file_search",
    "GOOGLE_MAPS": "maps",
}
"""By `toolType`."""
TYPES: dict[ServerToolKind, str] = {
    "web_search": "GOOGLE_SEARCH_WEB",
    "web_fetch": "URL_CONTEXT",
    "file_search": "FILE_SEARCH",
    "maps": "GOOGLE_MAPS",
}
"""`toolType` of a tool of another provider."""
UNKNOWN = "TOOL_TYPE_UNSPECIFIED"
CODE_KINDS: frozenset[ServerToolKind] = frozenset({"code_execution", "shell", "local_shell", "bash"})
"""Tools that run code."""


class _Code(Struct):
    id: str | None = None
    language: Raw = ABSENT
    code: Raw = ABSENT
    command: Raw = ABSENT
    """Of other vendors' shells."""


class _Output(Struct):
    id: str | None = None
    outcome: str | None = None
    output: str | None = None


class _Invocation(Struct, rename="camel"):
    id: str | None = None
    tool_type: str | None = None
    args: Raw = ABSENT
    response: Raw = ABSENT


class _Found(Struct):
    """What file search and others return: passages, with fields in the spelling of their own service."""

    text: str | None = None
    title: str | None = None
    uri: str | None = None
    url: str | None = None
    file_search_store: str | None = None


class _Response(Struct):
    result: list[_Found] | None = None
    results: list[_Found] | None = None


class _Native(Struct, rename="camel"):
    """What tells a result of this dialect from another's, which names its `type`."""

    type: str | None = None
    outcome: str | None = None
    tool_type: str | None = None


_CODE = msgspec.json.Decoder(_Code)
_OUTPUT = msgspec.json.Decoder(_Output)
_INVOCATION = msgspec.json.Decoder(_Invocation)
_RESPONSE = msgspec.json.Decoder(_Response)
_NATIVE = msgspec.json.Decoder(_Native)
_OBJECT = msgspec.json.Decoder(dict[str, Raw])


def read_code(raw: Raw) -> ServerToolUse:
    """`executableCode`: `{"language":…,"code":…}` are the arguments."""
    wire = lenient(_CODE, raw) or _Code()
    language = b'"language":%b,' % bytes(wire.language) if given(wire.language) else b""
    arguments = b'{%b"code":%b}' % (language, bytes(wire.code) if given(wire.code) else b'""')
    return ServerToolUse(wire.id or "", "code_execution", CODE, arguments.decode("utf-8", "replace"))


def read_output(raw: Raw) -> ServerToolResult:
    """`codeExecutionResult`. Without an id it answers the code before it."""
    wire = lenient(_OUTPUT, raw) or _Output()
    failed = wire.outcome not in (OUTCOME_OK, None)
    return ServerToolResult(
        wire.id or "",
        "code_execution",
        (Text(wire.output),) if wire.output else (),
        is_error=failed,
        error_code=wire.outcome or "" if failed else "",
        native=raw.copy(),
    )


def read_call(raw: Raw) -> ServerToolUse | None:
    """`toolCall`. None: a tool that has no canonical name."""
    wire = lenient(_INVOCATION, raw) or _Invocation()
    kind = KINDS.get(wire.tool_type or "")
    if kind is None:
        return None
    arguments = bytes(wire.args).decode("utf-8", "replace") if given(wire.args) else "{}"
    return ServerToolUse(wire.id or "", kind, wire.tool_type or "", arguments)


def read_response(raw: Raw) -> ServerToolResult | None:
    """`toolResponse`. None: of a tool that has no canonical name."""
    wire = lenient(_INVOCATION, raw) or _Invocation()
    kind = KINDS.get(wire.tool_type or "")
    if kind is None:
        return None
    found = lenient(_RESPONSE, wire.response) if given(wire.response) else None
    passages = tuple(map(_passage, (found.result or found.results or ()) if found else ()))
    return ServerToolResult(wire.id or "", kind, passages, native=raw.copy())


def _passage(found: _Found) -> SearchResult:
    source = found.uri or found.url or found.file_search_store or ""
    return SearchResult(source, found.title or "", (Text(found.text),) if found.text else ())


def write_code(use: ServerToolUse) -> dict[str, Any]:
    """`executableCode` of a call: of this dialect, or of any other that ran code."""
    wire = lenient(_CODE, use.arguments.encode()) or _Code()
    language = wire.language if given(wire.language) else "LANGUAGE_UNSPECIFIED"
    identity = {"id": use.id} if use.id else {}
    told = (text for text in (wire.code, wire.command) if bytes(text).startswith(b'"'))
    return identity | {"language": language, "code": next(told, use.arguments)}


def write_output(result: ServerToolResult) -> dict[str, Any]:
    """`codeExecutionResult` of a tool of another provider."""
    identity = {"id": result.tool_use_id} if result.tool_use_id else {}
    output = _joined(part for part in result.parts if isinstance(part, Text))
    return identity | {"outcome": OUTCOME_FAILED if result.is_error else OUTCOME_OK, "output": output}


def write_call(use: ServerToolUse) -> dict[str, Any]:
    """`toolCall` of any other tool. What has no `toolType` is named in its arguments."""
    kind = use.name if use.name in KINDS else TYPES.get(use.kind, "")
    arguments = Raw(use.arguments.encode()) if is_object(use.arguments) else Raw(b"{}")
    if not kind:
        named = {"server": use.server} if use.server else {}
        return {"id": use.id, "toolType": UNKNOWN, "args": {"name": use.name or use.kind, **named, "args": arguments}}
    return {"id": use.id, "toolType": kind, "args": arguments}


def write_response(result: ServerToolResult) -> dict[str, Any]:
    """`toolResponse` of any other tool."""
    response: dict[str, Any] = {"error": result.error_code or "failed"} if result.is_error else {}
    found = [
        {"title": part.title, "uri": part.source} | ({"text": _joined(part.parts)} if part.parts else {})
        for part in result.parts
        if isinstance(part, SearchResult)
    ]
    if found:
        response["result"] = found
    if texts := _joined(part for part in result.parts if isinstance(part, Text)):
        response["output"] = texts
    return {"id": result.tool_use_id, "toolType": TYPES.get(result.kind, UNKNOWN), "response": response}


def _joined(texts: Iterable[Text]) -> str:
    return "\n".join(text.text for text in texts)


def is_object(text: str) -> bool:
    return text.lstrip()[:1] == "{" and lenient(_OBJECT, text.encode()) is not None


def native_field(result: ServerToolResult) -> str:
    """The part field that a result's `native` was read from. Empty: it is not of this dialect, or there is none."""
    wire = lenient(_NATIVE, result.native) if given(result.native) else None
    if wire is None or wire.type:
        return ""
    return "codeExecutionResult" if wire.outcome else "toolResponse" if wire.tool_type else ""
