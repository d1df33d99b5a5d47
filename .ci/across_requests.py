"""What a client of another dialect would have said: a recorded request in its words, with `replay:<id>` in the prompt.

Four forms, each less than the one before: the whole request; its conversation, functions and shape of the answer; its
functions and shape alone; nothing but the prompt. All but the first are for what the asking dialect can't say, or the
gateway refuses to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from across_values import DIALECTS, Json
from msgspec.structs import replace

from proxyapi.dialects.codec import TargetModel, Untranslatable, sealed_nothing
from proxyapi.dialects.codecs import CODECS
from proxyapi.dialects.model import CustomTool, FunctionTool, Message, Request, Storage, Text, ToolChoice
from proxyapi.dialects.quirks import Quirks
from proxyapi.errors import InvalidRequest

OUTPUT_TOKENS_MAX = 4_096
"""Where the asking dialect needs a ceiling."""
QUIRKS = {
    "openai_chat": Quirks(cache_mark_field="cache_control", file_link_field="file_data", web_search=True),
    "openai_responses": Quirks(),
    "anthropic": Quirks(thinking_form="adaptive", mid_system=True),
    "gemini": Quirks(thinking_form="level", no_link_media=False, display_names=True),
}
"""What an asking dialect's documentation allows its clients to say."""


class Form(NamedTuple):
    name: str
    """`whole`, `conversation`, `functions` or `prompt`."""
    body: Json
    why: str
    """What kept the form before from being asked."""


def forms(row: Json, asking: str, model: str, *, stream: bool) -> Iterator[Form]:
    """From the whole conversation to the mere prompt."""
    request, why = _decoded(row)
    prompt = Message(role="user", parts=(Text(f"replay:{row['id']}"),))
    bare = Request(model=model, messages=(prompt,), stream=stream)
    tried = {"prompt": bare}
    if request is not None:
        whole = replace(request, model=model, stream=stream, storage=Storage(), extra={})
        whole = replace(whole, messages=_prompted(request.messages, prompt))
        armed = _armed(bare, whole)
        talk = replace(armed, system=whole.system, messages=whole.messages)
        tried = {"whole": whole, "conversation": talk, "functions": armed, "prompt": bare}
    for name, form in tried.items():
        try:
            yield Form(name, _encoded(form, asking, model), why)
        except Untranslatable as error:
            why = f"no {asking} client can say it: {error.field}: {error.why}"


def _decoded(row: Json) -> tuple[Request | None, str]:
    body = row["request"].get("body")
    if not isinstance(body, dict):
        return None, "the request is not recorded"
    text = json.dumps(body, ensure_ascii=False).encode()
    codec = CODECS[DIALECTS[row["endpoint"]]]
    named = body.get("model") or row["model"] or "unnamed"
    try:
        return codec.decode(text, model=named, stream=row["stream"], unseal=sealed_nothing), ""
    except InvalidRequest as error:
        return None, f"the recorded request is not read: {error.detail}"


def _prompted(messages: tuple[Message, ...], prompt: Message) -> tuple[Message, ...]:
    """The id goes to the end of the last user message, where it stands between no call and its result."""
    for at in reversed(range(len(messages))):
        message = messages[at]
        if message.role == "user":
            longer = replace(message, parts=(*message.parts, *prompt.parts))
            return (*messages[:at], longer, *messages[at + 1 :])
    return (prompt, *messages)


def _armed(bare: Request, whole: Request) -> Request:
    """The prompt with the functions, and the shape of the answer, of the recorded request."""
    tools = tuple(tool for tool in whole.tools if isinstance(tool, FunctionTool | CustomTool))
    names = {tool.name for tool in tools}
    choice = whole.tool_choice if tools else None
    if choice is not None and (choice.server_tool or not names.issuperset(choice.names)):
        choice = ToolChoice()
    return replace(bare, tools=tools, tool_choice=choice, format=whole.format, legacy_calls=whole.legacy_calls)


def _encoded(request: Request, asking: str, model: str) -> Json:
    target = TargetModel(model=model, quirks=QUIRKS[asking], output_tokens_max=OUTPUT_TOKENS_MAX)
    body: Json = json.loads(CODECS[asking].encode(request, target).body)
    return body
