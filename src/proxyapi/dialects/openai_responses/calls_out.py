"""OpenAI Responses: calls of the client's tools and their results, as items of their own kinds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from proxyapi.dialects.losses import call_id
from proxyapi.dialects.model import ToolResult, ToolUse
from proxyapi.dialects.stream import lenient

Wire = dict[str, Any]

HOSTED = frozenset(
    {
        "web_search_call",
        "file_search_call",
        "code_interpreter_call",
        "image_generation_call",
        "mcp_call",
        "shell_call_output",
    }
)
"""Items of tools that the provider ran itself."""
_EMPTY = "{}"
_EXEC: Wire = {"type": "exec", "command": [], "env": {}}
_COMMANDS: Wire = {"commands": []}
"""What the actions of shells have to have."""

_OBJECT: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Raw])
_LIST = msgspec.json.Decoder(list[Raw])


def call(part: ToolUse, programs: frozenset[str] = frozenset()) -> tuple[Wire, str]:
    """The item, and what its own id begins with. `programs`: ids of the provider's own that may have called."""
    write, prefix = _CALLS[part.kind]
    wire = write(part)
    wire["call_id"] = part.id
    if part.namespace:
        wire["namespace"] = part.namespace
    if part.caller in programs:
        wire["caller"] = {"type": "program", "caller_id": part.caller}
    return wire, prefix


def _function(part: ToolUse) -> Wire:
    return {"type": "function_call", "name": part.name, "arguments": part.arguments or _EMPTY}


def _custom(part: ToolUse) -> Wire:
    return {"type": "custom_tool_call", "name": part.name, "input": part.arguments}


def _local_shell(part: ToolUse) -> Wire:
    return {"type": "local_shell_call", "action": _object(part.arguments, _EXEC), "status": "completed"}


def _shell(part: ToolUse) -> Wire:
    return {"type": "shell_call", "action": _object(part.arguments, _COMMANDS), "status": "completed"}


def _apply_patch(part: ToolUse) -> Wire:
    return {"type": "apply_patch_call", "operation": _object(part.arguments, {}), "status": "completed"}


def _computer(part: ToolUse) -> Wire:
    members = lenient(_OBJECT, part.arguments.encode()) or {}
    acts: Wire = {"actions": members["actions"]} if "actions" in members else {"action": _object(part.arguments, {})}
    return {"type": "computer_call", **acts, "pending_safety_checks": [], "status": "completed"}


def _tool_search(part: ToolUse) -> Wire:
    arguments = _object(part.arguments, {})
    return {"type": "tool_search_call", "execution": "client", "arguments": arguments, "status": "completed"}


def _object(arguments: str, needed: Wire) -> Wire | Raw:
    """The JSON object byte for byte, or with the members that it has to have."""
    data = arguments.encode()
    members = lenient(_OBJECT, data)
    if members is None:
        return needed
    missing = {name: value for name, value in needed.items() if name not in members}
    return missing | members if missing else Raw(data)


_CALLS: dict[str, tuple[Callable[[ToolUse], Wire], str]] = {
    "function": (_function, "fc_"),
    "custom": (_custom, "ctc_"),
    "local_shell": (_local_shell, "lsh_"),
    "shell": (_shell, "sh_"),
    "apply_patch": (_apply_patch, "apc_"),
    "computer": (_computer, "cu_"),
    "tool_search": (_tool_search, "tsc_"),
}


# --- results ------------------------------------------------------------------------------------------------------


def result(part: ToolResult, contents: list[Wire]) -> Wire:
    """`contents`: the result's parts as they are written."""
    write = _RESULTS.get(part.kind)
    return write(part, contents) if write else _output(part, contents)


def _output(part: ToolResult, contents: list[Wire]) -> Wire:
    kind = "custom_tool_call_output" if part.kind == "custom" else "function_call_output"
    return {"type": kind, "call_id": call_id(part.tool_use_id), "output": contents}


def _local_shell_output(part: ToolResult, contents: list[Wire]) -> Wire:
    identity = call_id(part.tool_use_id)
    # The types of the SDK call it `id`, the guide `call_id`.
    return {
        "type": "local_shell_call_output",
        "id": identity,
        "call_id": identity,
        "output": _text(contents),
        "status": "completed",
    }


def _shell_output(part: ToolResult, contents: list[Wire]) -> Wire:
    """The client's own list of outputs, or a text as what one command wrote."""
    text = _text(contents)
    outputs: Sequence[Any] | None = lenient(_LIST, text.encode())
    if outputs is None:
        outcome = {"type": "exit", "exit_code": 1 if part.is_error else 0}
        outputs = [{"stdout": text, "stderr": "", "outcome": outcome}]
    return {"type": "shell_call_output", "call_id": call_id(part.tool_use_id), "output": outputs}


def _patch_output(part: ToolResult, contents: list[Wire]) -> Wire:
    status = "failed" if part.is_error else "completed"
    wire: Wire = {"type": "apply_patch_call_output", "call_id": call_id(part.tool_use_id), "status": status}
    text = _text(contents)
    return wire | {"output": text} if text else wire


def _screenshot(part: ToolResult, contents: list[Wire]) -> Wire:
    wire: Wire = {"type": "computer_screenshot"}
    for piece in contents:
        wire |= {name: piece[name] for name in ("image_url", "file_id") if name in piece}
    return {"type": "computer_call_output", "call_id": call_id(part.tool_use_id), "output": wire}


def search_output(part: ToolResult, tools: list[Wire | Raw]) -> Wire:
    """Of the client's own search among its tools."""
    identity = call_id(part.tool_use_id)
    return {
        "type": "tool_search_output",
        "call_id": identity,
        "execution": "client",
        "tools": tools,
        "status": "completed",
    }


def _text(contents: list[Wire]) -> str:
    return "\n".join(piece["text"] for piece in contents if "text" in piece)


_RESULTS: dict[str, Callable[[ToolResult, list[Wire]], Wire]] = {
    "local_shell": _local_shell_output,
    "shell": _shell_output,
    "apply_patch": _patch_output,
    "computer": _screenshot,
}
