"""What a recorded answer says, read from its JSON by readers of its own: none of the gateway's decoders is used here.

`said(row)` gives text, thoughts, calls, the reason of the end in the words of a table, and usage. Only the first
alternative counts: that is all that two of the four APIs can tell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from across_openai import read_chat, read_responses
from across_values import DIALECTS, Json, Said
from across_vendors import read_gemini, read_messages

_READERS: dict[str, Callable[[Json, list[Json]], Said]] = {
    "openai_chat": read_chat,
    "openai_responses": read_responses,
    "anthropic": read_messages,
    "gemini": read_gemini,
}


def said(row: Json) -> Said:
    """Of an answer with status 200."""
    answer = _READERS[DIALECTS[row["endpoint"]]](row, _objects(row["response"]["body"]))
    answer.mentioned = row["response"]["body"].replace("\\/", "/").replace("\\u003d", "=").replace("\\u0026", "&")
    answer.texts = [text for text in answer.texts if text]
    answer.thoughts = [text for text in answer.thoughts if text]
    return answer


def error_words(row: Json) -> str:
    """The message of an answer with another status; empty: it has none."""
    try:
        body = json.loads(row["response"]["body"])
    except ValueError:
        return ""
    body = body[0] if isinstance(body, list) and body else body
    if not isinstance(body, dict):
        return ""
    found = body.get("error", body.get("detail", body))
    if isinstance(found, dict):
        found = found.get("message", "")
    return found if isinstance(found, str) else ""


def _objects(text: str) -> list[Json]:
    """The JSON objects of a reply, whether body, stream or array."""
    try:
        whole = json.loads(text)
    except ValueError:
        whole = [_frame(block) for block in re.split(r"\r\n\r\n|\n\n", text)]
    return [item for item in (whole if isinstance(whole, list) else [whole]) if isinstance(item, dict)]


def _frame(block: str) -> Any:
    data = [line[5:].removeprefix(" ") for line in re.split(r"\r\n|\n", block) if line.startswith("data:")]
    try:
        return json.loads("\n".join(data))
    except ValueError:
        return None
