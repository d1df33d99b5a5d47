"""Whole items that are no messages, as parts: calls of the client's tools, and of those that the provider ran itself.

Responses tells a hosted call and its outcome in one item, so the outcome hangs on the call's part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects.media import from_url, sniffed
from proxyapi.dialects.model import (
    ABSENT,
    Compaction,
    DialectName,
    Image,
    Inline,
    Native,
    Part,
    SearchResult,
    ServerToolKind,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolUse,
    given,
)
from proxyapi.dialects.openai_responses.wire import Content, Item, caller_of, details_of, kind_of, text_of
from proxyapi.dialects.stream import lenient

NAME: DialectName = "openai_responses"
OPTIONAL = frozenset({"mcp_list_tools", "tool_search_call", "tool_search_output"})
"""Items without which a model of another dialect knows all the same: its tools are listed in full anyway."""

CallKind = Literal["function", "custom", "shell", "local_shell", "apply_patch", "computer", "tool_search"]

_EMPTY_ARGUMENTS = "{}"


class _Source(Struct):
    url: str | None = None


class _Action(Struct, omit_defaults=True):
    """What a web search did."""

    type: str | None = None
    query: str | None = None
    queries: list[str] | None = None
    url: str | None = None
    pattern: str | None = None
    sources: list[_Source] | None = None


class _Asked(Struct, omit_defaults=True):
    """Arguments of hosted tools, as the other dialects have them."""

    queries: list[str] | None = None
    code: str | None = None
    prompt: str | None = None


class _Found(Struct):
    file_id: str | None = None
    filename: str | None = None
    text: str | None = None


class _Output(Struct):
    """Of a program: logs or a picture."""

    logs: str | None = None
    url: str | None = None


class _Printed(Struct):
    stdout: str | None = None
    stderr: str | None = None


class _Error(Struct):
    code: str | int | None = None
    type: str | None = None
    message: str | None = None
    content: Raw = ABSENT


_ACTION = msgspec.json.Decoder(_Action)
_FOUND = msgspec.json.Decoder(list[_Found])
_OUTPUTS = msgspec.json.Decoder(list[_Output])
_PRINTED = msgspec.json.Decoder(list[_Printed])
_ERROR = msgspec.json.Decoder(str | _Error)
_PIECES = msgspec.json.Decoder(list[Content])
_ENCODER = msgspec.json.Encoder()


def part_of(item: Item, raw: Raw) -> Part:
    """An item of a response that is no message. What no other dialect knows stays as it is."""
    make = _PARTS.get(item.type or "")
    part = make(item, raw) if make else None
    return native(item.type or "", raw) if part is None else part


def beginning_of(item: Item, raw: Raw) -> Part:
    """What is known of such a part when it begins to grow."""
    match item.type:
        case "function_call":
            return _call(item, item.name or "", "", "function")
        case "custom_tool_call":
            return _call(item, item.name or "", "", "custom")
        case "reasoning":
            return Thinking(id=item.id or "")
        case _:
            part = part_of(item, raw)
    match part:
        case ToolUse():
            return msgspec.structs.replace(part, arguments="")
        case ServerToolUse():
            return msgspec.structs.replace(part, arguments="", result=None)
        case Image(source=Inline() as source):
            return Image(Inline("", source.media_type))
        case _:
            return part


def native(wire_type: str, raw: Raw) -> Native:
    return Native(NAME, wire_type, raw.copy(), optional=wire_type in OPTIONAL)


def is_client_call(item: Item) -> bool:
    """The client has to run it before the conversation goes on (but for shells in the provider's containers)."""
    return item.type in _CLIENT_CALLS or (item.type == "tool_search_call" and bool(item.call_id))


def printed(raw: Raw) -> list[str]:
    """What commands wrote, from the `output` of a `shell_call_output`."""
    found = lenient(_PRINTED, raw) or ()
    return [text for output in found for text in (output.stdout, output.stderr) if text]


def arguments_of(item: Item) -> str:
    """Of a function the JSON text, of a custom tool any text. A call that was cut may have none at all."""
    if item.type == "custom_tool_call":
        return item.input or ""
    return text_of(item.arguments) or ("" if item.status == "incomplete" else _EMPTY_ARGUMENTS)


# --- calls that the client runs -----------------------------------------------------------------------------------


def _call(
    item: Item,
    name: str,
    arguments: str,
    kind: CallKind,
) -> ToolUse:
    return ToolUse(
        item.call_id or item.id or "",
        name,
        arguments,
        kind,
        namespace=item.namespace or "",
        caller=caller_of(item.caller),
        item_id=item.id or "",
    )


def _function_call(item: Item, raw: Raw) -> Part:
    return _call(item, item.name or "", arguments_of(item), "function")


def _custom_call(item: Item, raw: Raw) -> Part:
    return _call(item, item.name or "", arguments_of(item), "custom")


def _local_shell_call(item: Item, raw: Raw) -> Part:
    return _call(item, "local_shell", text_of(item.action) or _EMPTY_ARGUMENTS, "local_shell")


def _apply_patch_call(item: Item, raw: Raw) -> Part:
    return _call(item, "apply_patch", text_of(details_of(raw).operation) or _EMPTY_ARGUMENTS, "apply_patch")


def _computer_call(item: Item, raw: Raw) -> Part:
    """One action, or several as `{"actions": […]}`."""
    actions = details_of(raw).actions
    arguments = f'{{"actions":{text_of(actions)}}}' if given(actions) else text_of(item.action)
    return _call(item, "computer", arguments or _EMPTY_ARGUMENTS, "computer")


def _shell_call(item: Item, raw: Raw) -> Part:
    arguments = text_of(item.action) or _EMPTY_ARGUMENTS
    if kind_of(details_of(raw).environment).startswith("container"):
        # The provider runs the command itself, in a container of its own.
        return ServerToolUse(item.call_id or "", "shell", "shell", arguments)
    return _call(item, "shell", arguments, "shell")


def _tool_search_call(item: Item, raw: Raw) -> Part | None:
    """None: the provider itself searched among the tools."""
    if details_of(raw).execution != "client":
        return None
    return _call(item, "tool_search", text_of(item.arguments) or _EMPTY_ARGUMENTS, "tool_search")


# --- calls that the provider ran ----------------------------------------------------------------------------------


def _result(
    item: Item, raw: Raw, kind: ServerToolKind, *parts: Text | Image | SearchResult, error: str = ""
) -> ServerToolResult:
    failed = bool(error) or item.status == "failed"
    return ServerToolResult(item.id or "", kind, parts, is_error=failed, error_code=error, native=raw.copy())


def _web_search(item: Item, raw: Raw) -> Part:
    action = (lenient(_ACTION, item.action) if given(item.action) else None) or _Action()
    pages = [SearchResult(source.url, "", ()) for source in action.sources or () if source.url]
    action.sources = None
    return ServerToolUse(
        item.id or "", "web_search", "web_search", _arguments(action), result=_result(item, raw, "web_search", *pages)
    )


def _file_search(item: Item, raw: Raw) -> Part:
    details = details_of(raw)
    found = [
        SearchResult(f.filename or f.file_id or "", f.filename or "", (Text(f.text),) if f.text else ())
        for f in (lenient(_FOUND, details.results) if given(details.results) else None) or ()
    ]
    result = _result(item, raw, "file_search", *found)
    return ServerToolUse(
        item.id or "", "file_search", "file_search", _arguments(_Asked(queries=details.queries)), result=result
    )


def _code(item: Item, raw: Raw) -> Part:
    details = details_of(raw)
    shown: list[Text | Image] = []
    for output in (lenient(_OUTPUTS, details.outputs) if given(details.outputs) else None) or ():
        if output.logs:
            shown.append(Text(output.logs))
        elif output.url:
            shown.append(Image(from_url(output.url)))
    result = _result(item, raw, "code_execution", *shown)
    return ServerToolUse(
        item.id or "",
        "code_execution",
        "code_interpreter",
        _arguments(_Asked(code=details.code or None)),
        result=result,
    )


def _mcp(item: Item, raw: Raw) -> Part:
    details = details_of(raw)
    error = lenient(_ERROR, details.error) if given(details.error) else None
    wrong = error if isinstance(error, str) or error is None else str(error.code or error.type or "failed")
    told = (error.message or _spoken(error.content)) if isinstance(error, _Error) else ""
    text = text_of(details.output) or told
    result = _result(item, raw, "mcp", *([Text(text)] if text else []), error=wrong or "")
    arguments = text_of(item.arguments) or _EMPTY_ARGUMENTS
    return ServerToolUse(
        item.id or "", "mcp", item.name or "", arguments, server=details.server_label or "", result=result
    )


def _spoken(content: Raw) -> str:
    pieces = (lenient(_PIECES, content) if given(content) else None) or ()
    return "\n".join(piece.text for piece in pieces if piece.text)


def _picture(item: Item, raw: Raw) -> Part:
    """A picture, or the attempt to draw one."""
    details = details_of(raw)
    data = text_of(details.result)
    if data:
        return Image(Inline(data, sniffed(data, f"image/{details.output_format or 'png'}")))
    asked = _arguments(_Asked(prompt=details.revised_prompt))
    result = _result(item, raw, "image_generation")
    return ServerToolUse(item.id or "", "image_generation", "image_generation", asked, result=result)


def _arguments(asked: _Action | _Asked) -> str:
    """JSON of what was asked; empty: the provider does not say."""
    text = _ENCODER.encode(asked).decode()
    return "" if text == _EMPTY_ARGUMENTS else text


def _shell_output(item: Item, raw: Raw) -> Part:
    """Of a command that the provider ran; a client's is a result in a request."""
    parts = tuple(Text(text) for text in printed(details_of(raw).output))
    return ServerToolResult(item.call_id or "", "shell", parts, native=raw.copy())


# --- what is no call ----------------------------------------------------------------------------------------------


def _reasoning(item: Item, raw: Raw) -> Part:
    text = "".join(content.text or "" for content in item.content or ())
    summaries = tuple(summary.text for summary in item.summary or () if summary.text)
    return Thinking(text, summaries, item.id or "")


def _compaction(item: Item, raw: Raw) -> Part:
    return Compaction()


_PARTS: dict[str, Callable[[Item, Raw], Part | None]] = {
    "function_call": _function_call,
    "custom_tool_call": _custom_call,
    "local_shell_call": _local_shell_call,
    "shell_call": _shell_call,
    "shell_call_output": _shell_output,
    "apply_patch_call": _apply_patch_call,
    "computer_call": _computer_call,
    "tool_search_call": _tool_search_call,
    "reasoning": _reasoning,
    "web_search_call": _web_search,
    "file_search_call": _file_search,
    "code_interpreter_call": _code,
    "mcp_call": _mcp,
    "image_generation_call": _picture,
    "compaction": _compaction,
}
_CLIENT_CALLS = frozenset(
    {"function_call", "custom_tool_call", "local_shell_call", "shell_call", "apply_patch_call", "computer_call"}
)
