"""Functions that stand for tools which a dialect does not know: free-text tools, and tools that a vendor has typed.

The model sees a function with the schema that the vendor publishes for its tool, the client gets a call of its tool.
Names and arguments of calls in the history are told the same way. `reshape` turns the calls of a reply back.

Sources, 2026-11: https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/bash-tool, …/text-editor-tool,
…/memory-tool; https://platform.openai.com/docs/guides/tools-shell, …/tools-local-shell, …/tools-apply-patch and the
types of both SDKs.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects.model import ABSENT, CustomTool, FunctionTool, NativeTool, Tool, ToolUse
from proxyapi.dialects.stream import lenient

INPUT = "input"
"""The one property of a function that stands for a tool of free text, and of arguments that are no JSON object."""
_FREE_TEXT = Raw(b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}')
NO_ARGUMENTS = ("", "null")
"""What models write for a function that takes nothing."""
_SYNTAXES = {"lark": "a Lark grammar", "regex": "a regular expression"}

_OBJECT = msgspec.json.Decoder(dict[str, Raw])


class _Published(NamedTuple):
    """A typed tool as its vendor describes it."""

    description: str
    schema: bytes


_SHELL = _Published(
    "Runs shell commands and returns their output.",
    b'{"type":"object","properties":{"commands":{"type":"array","items":{"type":"string"},'
    b'"description":"Commands, run one after another."},"timeout_ms":{"type":"integer"},'
    b'"max_output_length":{"type":"integer","description":"Characters of output to return for each command."}},'
    b'"required":["commands"]}',
)
_LOCAL_SHELL = _Published(
    "Runs one command on the user's computer and returns its output.",
    b'{"type":"object","properties":{"type":{"type":"string","enum":["exec"]},"command":{"type":"array",'
    b'"items":{"type":"string"},"description":"The program and its arguments."},"env":{"type":"object",'
    b'"additionalProperties":{"type":"string"}},"timeout_ms":{"type":"integer"},"user":{"type":"string"},'
    b'"working_directory":{"type":"string"}},"required":["type","command"]}',
)
_APPLY_PATCH = _Published(
    "Creates, updates or deletes one file. Changes are told as a diff in the V4A format.",
    b'{"type":"object","properties":{"type":{"type":"string","enum":["create_file","update_file","delete_file"]},'
    b'"path":{"type":"string"},"diff":{"type":"string","description":"Not for delete_file."}},'
    b'"required":["type","path"]}',
)
_BASH = _Published(
    "Runs a command in a bash session that stays open.",
    b'{"type":"object","properties":{"command":{"type":"string","description":"Required, unless the tool is '
    b'restarted."},"restart":{"type":"boolean","description":"Restarts the session."}}}',
)
_FILE_FIELDS = (
    b'"path":{"type":"string","description":"Absolute path to a file or directory."},"file_text":{"type":"string",'
    b'"description":"Of create: the content of the file."},"old_str":{"type":"string","description":"Of str_replace: '
    b'the text to replace; it must occur exactly once."},"new_str":{"type":"string","description":"Of str_replace: '
    b'the new text."},"insert_line":{"type":"integer","description":"Of insert: the line after which to insert; 0 is '
    b'the beginning."},"insert_text":{"type":"string","description":"Of insert: the text to insert."},"view_range":'
    b'{"type":"array","items":{"type":"integer"},"description":"Of view: first and last line; -1 is the end."}'
)
_EDIT = b'{"type":"object","properties":{"command":{"type":"string","enum":[%b]},%b},"required":["command","path"]}'
_EDITOR = _Published(
    "Views, creates and edits text files.", _EDIT % (b'"view","create","str_replace","insert"', _FILE_FIELDS)
)
_EDITOR_WITH_UNDO = _Published(
    _EDITOR.description, _EDIT % (b'"view","create","str_replace","insert","undo_edit"', _FILE_FIELDS)
)
_MEMORY = _Published(
    "Keeps files below /memories, which outlive the conversation. Look there before you begin.",
    b'{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert",'
    b'"delete","rename"]},%b,"old_path":{"type":"string","description":"Of rename."},"new_path":{"type":"string",'
    b'"description":"Of rename."}},"required":["command"]}' % _FILE_FIELDS,
)

_TYPED: tuple[tuple[str, _Published], ...] = (
    ("shell", _SHELL),
    ("local_shell", _LOCAL_SHELL),
    ("apply_patch", _APPLY_PATCH),
    ("bash_", _BASH),
    ("text_editor_2024", _EDITOR_WITH_UNDO),
    ("text_editor_20250124", _EDITOR_WITH_UNDO),
    ("text_editor_", _EDITOR),
    ("memory_", _MEMORY),
)
"""By the beginning of the wire type. Hosted by the vendor, or with actions of its own (computer, browser): not here."""


class _Environment(Struct):
    type: str = "local"


class _Body(Struct):
    name: str = ""
    environment: _Environment | None = None
    execution: str = ""
    """Of a search among tools: `client` or, at the provider, `server`."""
    description: str = ""
    parameters: Raw = ABSENT


_BODY = msgspec.json.Decoder(_Body)


def as_function(tool: Tool) -> FunctionTool | None:
    """The function that stands for a tool. None: nothing does; the provider has to know it."""
    match tool:
        case FunctionTool(namespace=""):
            return tool
        case FunctionTool():
            words = "\n\n".join(text for text in (tool.namespace_description, tool.description) if text)
            name = spoken(tool.name, tool.namespace)
            return msgspec.structs.replace(tool, name=name, description=words, namespace="", namespace_description="")
        case CustomTool():
            grammar = f"The input has to match {_SYNTAXES[tool.syntax]}:\n{tool.grammar}" if tool.grammar else ""
            words = "\n\n".join(text for text in (tool.namespace_description, tool.description, grammar) if text)
            return FunctionTool(name=spoken(tool.name, tool.namespace), description=words, parameters=_FREE_TEXT)
        case NativeTool():
            return _typed(tool)
        case _:
            return None


def is_hosted_search(tool: Tool) -> bool:
    """A search among tools that the provider runs itself: needless where all tools are shown."""
    return isinstance(tool, NativeTool) and tool.kind == "tool_search" and _typed(tool) is None


def _typed(tool: NativeTool) -> FunctionTool | None:
    published = next((found for prefix, found in _TYPED if tool.wire_type.startswith(prefix)), None)
    body = lenient(_BODY, tool.body) or _Body()
    if tool.kind == "tool_search" and body.execution == "client":
        return FunctionTool(name=tool.kind, description=body.description, parameters=body.parameters)
    if published is None or (body.environment is not None and body.environment.type != "local"):
        return None
    name = body.name or tool.kind
    return FunctionTool(name=name, description=published.description, parameters=Raw(published.schema))


def spoken(name: str, namespace: str) -> str:
    """The name of a tool for dialects without namespaces."""
    return f"{namespace}__{name}" if namespace else name


def as_object(call: ToolUse) -> str:
    """Arguments of a call for dialects where they are a JSON object; the same text where they are one."""
    text = call.arguments
    if call.kind != "custom":
        if text.strip() in NO_ARGUMENTS:
            return "{}"
        if lenient(_OBJECT, text.encode()) is not None:
            return text
    return msgspec.json.encode({INPUT: text}).decode()
