"""What a recorded answer says, read from its JSON by a reader of its own: none of the gateway's decoders is used here.

`said(row)` gives text, thoughts, calls, the reason of the end in the words of the table below, and usage. Only the
first alternative counts: that is all that two of the four APIs can tell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

DIALECTS = {
    "chat.completions": "openai_chat",
    "responses": "openai_responses",
    "messages": "anthropic",
    "gemini.generateContent": "gemini",
    "gemini.streamGenerateContent": "gemini",
}
"""Of a row's endpoint."""

WORDS = {
    "openai_chat": {
        "stop": "end", "length": "length", "tool_calls": "tool_use", "function_call": "tool_use",
        "content_filter": "content_filter",
    },
    "openai_responses": {
        "completed": "end", "complete": "end", "max_output_tokens": "length", "content_filter": "content_filter",
        "max_messages": "pause", "failed": "malformed", "cancelled": "cancelled",
    },
    "anthropic": {
        "end_turn": "end", "max_tokens": "length", "stop_sequence": "stop_sequence", "tool_use": "tool_use",
        "pause_turn": "pause", "refusal": "refusal", "model_context_window_exceeded": "context_window",
        "compaction": "compacted",
    },
    "gemini": {
        "STOP": "end", "MAX_TOKENS": "length", "CONTINUATION": "pause", "PROHIBITED_CONTENT": "refusal",
        **dict.fromkeys(
            ("SAFETY", "BLOCKLIST", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "MODEL_ARMOR", "LANGUAGE"),
            "content_filter",
        ),
        **dict.fromkeys(("RECITATION", "IMAGE_RECITATION"), "recitation"),
        **dict.fromkeys(
            ("MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS",
             "MISSING_THOUGHT_SIGNATURE"),
            "malformed",
        ),
    },
}  # fmt: skip
"""A provider's word for the end -> what it means."""

OUTSIDE_PROMPT = (("azure", re.compile("grok", re.IGNORECASE), "cached"), ("mistral", re.compile("voxtral"), "audio"))
"""Provider, model, and what its `prompt_tokens` leave out."""


@dataclass(frozen=True)
class Call:
    name: str
    arguments: Any
    """As a JSON value; free text where it is none."""
    whole: bool = field(default=True, compare=False)
    """Its arguments are an object: nothing of them is missing."""


@dataclass(frozen=True)
class Used:
    prompt: int
    """All of it, with what was read from and written to caches."""
    cached: int
    """Of it, read from a cache."""
    output: int
    """All of it, with thinking."""
    thinking: int
    """Of it."""


@dataclass
class Said:
    texts: list[str] = field(default_factory=list)
    """Of the answer; more than one where other parts stand between."""
    refusal: str = ""
    explanation: str = ""
    """Of a refusal, beside the answer."""
    spoken: str = ""
    """Words of a sound."""
    thoughts: list[str] = field(default_factory=list)
    """One for each piece of thinking that has words."""
    calls: list[Call] = field(default_factory=list)
    """What the client is to execute."""
    ending: str = ""
    """A meaning of `WORDS`; empty: the provider told none."""
    used: Used | None = None
    choices: int = 1
    failed: str = ""
    """The provider reported an error inside an answer that began with 200."""
    media: list[str] = field(default_factory=list)
    """`image` or `audio`, for each that is in the answer."""
    signed: bool = False
    """It has a proof of its thinking, which the client is to send back."""
    sources: set[str] = field(default_factory=set)
    """Addresses that the answer cites."""
    mentioned: str = ""
    """All that was recorded: it may list sources that it does not cite."""
    others: bool = False
    """Other models spent something on top of `used`: an advisor, a compaction, a picture."""
    besides: set[str] = field(default_factory=set)
    """Kinds of other parts: sound, pictures, hosted tools."""


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


def call(name: str, arguments: Any) -> Call:
    """`arguments`: an object, or its text."""
    found = value(arguments)
    return Call(name, found, whole=isinstance(found, dict) and arguments != "")


def value(arguments: Any) -> Any:
    """Arguments as a JSON value: objects as they are, texts read; nothing is an empty object."""
    if not isinstance(arguments, str):
        return arguments
    try:
        found = json.loads(arguments.strip() or "{}")
        return {} if found is None else found
    except ValueError:
        return arguments


def number(found: Any) -> int:
    return int(found) if isinstance(found, int | float) and not isinstance(found, bool) else 0


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


# --- Chat Completions -------------------------------------------------------------------------------------------------


def _chat(row: Json, seen: list[Json]) -> Said:
    answer = Said()
    content: list[str] = []
    thought: dict[str, list[str]] = {"reasoning_content": [], "reasoning": [], "details": [], "content": []}
    calls = _ChatCalls()
    indexes = set()
    for item in seen:
        if item.get("error"):
            answer.failed = str((item["error"] or {}).get("message") or item["error"])
        answer.sources |= set(item.get("citations") or ())
        usage = item.get("usage") or (item.get("x_groq") or {}).get("usage")
        if isinstance(usage, dict):
            answer.used = _openai_usage(row, usage, "prompt", "completion")
        for choice in item.get("choices") or []:
            indexes.add(choice.get("index", 0))
            if choice.get("index", 0) == 0:
                answer.ending = _chat_ending(choice) or answer.ending
                # Perplexity has both in both: one of them is the answer so far, or empty.
                one, other = ("delta", "message") if row["stream"] else ("message", "delta")
                message = choice.get(one) or choice.get(other) or {}
                _chat_message(answer, message, content, thought)
                calls.take(message)
    answer.texts = ["".join(content)]
    told = next((name for name in ("reasoning_content", "reasoning", "details") if thought[name]), "content")
    answer.thoughts = ["".join(thought[told])]
    answer.calls = calls.made()
    answer.choices = max(1, len(indexes))
    return answer


def _chat_ending(choice: Json) -> str:
    """OpenRouter says `tool_calls` also of calls that its provider says were cut."""
    cut = choice.get("native_finish_reason") in ("length", "max_tokens", "max_output_tokens", "MAX_TOKENS")
    ending = WORDS["openai_chat"].get(choice.get("finish_reason") or "", "")
    return "length" if ending == "tool_use" and cut else ending


def _chat_message(answer: Said, message: Json, content: list[str], thought: dict[str, list[str]]) -> None:
    found = message.get("content")
    if isinstance(found, str):
        content.append(found)
    for part in found if isinstance(found, list) else []:
        if part.get("type") == "thinking":
            thought["content"] += [piece.get("text", "") for piece in part["thinking"]]
        else:
            content.append(part.get("text") or "")
    for name in ("reasoning_content", "reasoning"):
        if isinstance(message.get(name), str):
            thought[name].append(message[name])
    for detail in message.get("reasoning_details") or []:
        answer.signed = answer.signed or bool(detail.get("signature") or detail.get("data"))
        thought["details"].append(detail.get("text") or detail.get("summary") or "")
    if isinstance(message.get("refusal"), str):
        answer.refusal += message["refusal"]
    answer.spoken += (message.get("audio") or {}).get("transcript") or ""
    answer.sources |= {
        note["url_citation"]["url"] for note in message.get("annotations") or [] if "url_citation" in note
    }
    if (message.get("audio") or {}).get("data") and "audio" not in answer.media:
        answer.media.append("audio")
    proofs = (message.get("extra_content") or {}).get("google") or {}
    answer.signed = answer.signed or bool(proofs.get("thought_signature"))
    answer.media += ["image"] * len(message.get("images") or ())


class _ChatCalls:
    """Calls of a message, or of many deltas: routed by index, or by position where there is none."""

    def __init__(self) -> None:
        self._order: list[Json] = []
        self._by_index: dict[int, Json] = {}

    def take(self, message: Json) -> None:
        deltas = list(message.get("tool_calls") or [])
        if message.get("function_call"):
            deltas.append({"index": 0, "function": message["function_call"]})
        for position, delta in enumerate(deltas):
            index = delta.get("index")
            index = position if index is None else index
            known = self._by_index.get(index)
            if known is None or (delta.get("id") and known["id"] and delta["id"] != known["id"]):
                known = self._by_index[index] = {"id": "", "name": "", "arguments": "", "value": None, "free": False}
                self._order.append(known)
            known["id"] = known["id"] or delta.get("id") or ""
            told = delta.get("function") or delta.get("custom") or {}
            known["name"] = known["name"] or told.get("name") or ""
            known["free"] = known["free"] or "custom" in delta
            arguments = told.get("arguments", told.get("input"))
            if isinstance(arguments, str):
                known["arguments"] += arguments
            elif arguments is not None:
                known["value"] = arguments

    def made(self) -> list[Call]:
        return [call(known["name"], _arguments(known)) for known in self._order]


def _arguments(known: Json) -> Any:
    if known["free"]:
        return {"input": known["arguments"]}
    return known["arguments"] if known["value"] is None else known["value"]


def _openai_usage(row: Json, usage: Json, prompt_word: str, output_word: str) -> Used:
    prompt, output = number(usage.get(f"{prompt_word}_tokens")), number(usage.get(f"{output_word}_tokens"))
    inside = usage.get(f"{prompt_word}_tokens_details") or {}
    cached = max(
        number(inside.get("cached_tokens")),
        number(usage.get("prompt_cache_hit_tokens")),
        number(usage.get("num_cached_tokens")),
    )
    thinking = number((usage.get(f"{output_word}_tokens_details") or {}).get("reasoning_tokens"))
    total, outside = number(usage.get("total_tokens")), 0
    for provider, model, left_out in OUTSIDE_PROMPT:
        if row["provider"] == provider and model.search(row["model"] or ""):
            outside = total - prompt - output if left_out == "audio" else 0
            if left_out == "cached" and cached > prompt:
                outside = cached
    prompt += max(0, outside)
    # Some leave thinking out of the output; the total has it.
    beside = max(0, total - prompt - output)
    return Used(prompt, cached, output + beside, max(thinking, beside))


# --- Responses --------------------------------------------------------------------------------------------------------


def _responses(row: Json, seen: list[Json]) -> Said:
    answer = Said()
    response: Json = {}
    items: dict[int, Json] = {}
    for item in seen:
        kind = item.get("type") or ""
        if isinstance(item.get("response"), dict):
            response = item["response"]
        elif kind == "response.output_item.done":
            items[item.get("output_index", len(items))] = item["item"]
        elif kind == "error":
            answer.failed = str(item.get("message") or item.get("error"))
        elif "output" in item:
            response = item
    for item in response.get("output") or [items[index] for index in sorted(items)]:
        _responses_item(answer, item)
    if response.get("usage"):
        answer.used = _openai_usage(row, response["usage"], "input", "output")
        answer.others = "image_generation_call" in answer.besides
    status = response.get("status") or ""
    reason = (response.get("incomplete_details") or {}).get("reason") or ""
    answer.ending = WORDS["openai_responses"].get(reason if status == "incomplete" else status, "")
    if status == "failed":
        answer.failed = str((response.get("error") or {}).get("message"))
    if status in ("queued", "in_progress"):
        answer.besides.add(status)
    elif not response:
        answer.failed = answer.failed or "the recording ends before the answer does"
    if answer.refusal and answer.ending == "end":
        answer.ending = "refusal"
    return answer


_CALLS: dict[str, Callable[[Json], Call]] = {
    "function_call": lambda item: call(item["name"], item.get("arguments")),
    "custom_tool_call": lambda item: Call(item["name"], {"input": item.get("input") or ""}),
    "local_shell_call": lambda item: Call("local_shell", item["action"]),
    "shell_call": lambda item: Call("shell", item["action"]),
    "apply_patch_call": lambda item: Call("apply_patch", item["operation"]),
    "tool_search_call": lambda item: Call("tool_search", item["arguments"]),
}


def _responses_item(answer: Said, item: Json) -> None:
    kind = item["type"]
    if kind == "message":
        parts = item.get("content") or []
        answer.texts.append("".join(part["text"] for part in parts if part["type"] == "output_text"))
        answer.refusal += "".join(part["refusal"] for part in parts if part["type"] == "refusal")
        notes = [note for part in parts for note in part.get("annotations") or []]
        answer.sources |= {note["url"] for note in notes if note["type"] == "url_citation"}
    elif kind == "reasoning":
        answer.signed = answer.signed or bool(item.get("encrypted_content"))
        answer.thoughts += [part.get("text") or "" for part in item.get("content") or []]
        answer.thoughts += [part.get("text") or "" for part in item.get("summary") or []]
    elif kind in _CALLS and item.get("execution") != "server":
        answer.calls.append(_CALLS[kind](item))
    else:
        answer.besides.add(kind)
        answer.media += ["image"] * (kind == "image_generation_call")


# --- Messages ---------------------------------------------------------------------------------------------------------


def _messages(row: Json, seen: list[Json]) -> Said:
    answer = Said()
    blocks: list[Json] = []
    usage: Json = {}
    for item in seen:
        _usage_over(usage, item.get("usage"))
        _usage_over(usage, (item.get("message") or {}).get("usage"))
        match item.get("type"):
            case "error":
                answer.failed = str((item.get("error") or {}).get("message"))
            case "message":
                blocks += item.get("content") or []
            case "content_block_start":
                blocks.append({**item["content_block"], "json": ""})
            case "content_block_delta":
                _grow(blocks[-1], item["delta"])
            case _:
                pass
        details = item.get("stop_details") or (item.get("delta") or {}).get("stop_details") or {}
        answer.explanation = details.get("explanation") or answer.explanation
        reason = item.get("stop_reason") or (item.get("delta") or {}).get("stop_reason")
        answer.ending = WORDS["anthropic"].get(reason or "", "") or answer.ending
    before = ""
    for block in blocks:
        _messages_block(answer, block, before)
        before = block["type"]
    if usage:
        cached = number(usage.get("cache_read_input_tokens"))
        prompt = number(usage.get("input_tokens")) + cached + number(usage.get("cache_creation_input_tokens"))
        thinking = number((usage.get("output_tokens_details") or {}).get("thinking_tokens"))
        answer.used = Used(prompt, cached, number(usage.get("output_tokens")), thinking)
        iterations = usage.get("iterations") or []
        answer.others = any(iteration.get("type") in ("advisor_message", "compaction") for iteration in iterations)
    return answer


def _usage_over(usage: Json, later: Json | None) -> None:
    """Counts are cumulative; a zero that is only a placeholder does not undo one."""
    usage |= {name: count for name, count in (later or {}).items() if count or name not in usage}


def _grow(block: Json, delta: Json) -> None:
    match delta.get("type"):
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "input_json_delta":
            block["json"] += delta["partial_json"]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
        case _:
            pass


def _messages_block(answer: Said, block: Json, before: str) -> None:
    answer.signed = answer.signed or block["type"] == "redacted_thinking" or bool(block.get("signature"))
    match block["type"]:
        case "text" if before == "text":
            answer.texts[-1] += block["text"]
            answer.sources |= _cited(block)
        case "text":
            answer.texts.append(block["text"])
            answer.sources |= _cited(block)
        case "thinking":
            answer.thoughts.append(block["thinking"])
        case "tool_use":
            answer.calls.append(call(block["name"], block.get("json") or block["input"]))
        case kind:
            answer.besides.add(kind)


def _cited(block: Json) -> set[str]:
    return {citation["url"] for citation in block.get("citations") or [] if citation.get("url")}


# --- Gemini -----------------------------------------------------------------------------------------------------------


def _gemini(row: Json, seen: list[Json]) -> Said:
    answer = Said()
    usage: Json = {}
    indexes = set()
    before = ""
    for item in seen:
        if item.get("error"):
            answer.failed = str(item["error"].get("message"))
        usage |= {name: count for name, count in (item.get("usageMetadata") or {}).items() if count is not None}
        if (item.get("promptFeedback") or {}).get("blockReason"):
            answer.ending = "content_filter"
        for candidate in item.get("candidates") or []:
            indexes.add(candidate.get("index", 0))
            if candidate.get("index", 0) == 0:
                reason = candidate.get("finishReason") or ""
                answer.ending = WORDS["gemini"].get(reason, "other" if reason else "") or answer.ending
                for part in (candidate.get("content") or {}).get("parts") or []:
                    before = _gemini_part(answer, part, before)
    if usage:
        prompt = number(usage.get("promptTokenCount")) + number(usage.get("toolUsePromptTokenCount"))
        thoughts = number(usage.get("thoughtsTokenCount"))
        output = number(usage.get("candidatesTokenCount")) + thoughts
        answer.used = Used(prompt, number(usage.get("cachedContentTokenCount")), output, thoughts)
    answer.choices = max(1, len(indexes))
    return answer


def _grounded(grounding: Json) -> set[str]:
    """Only what a passage rests on."""
    chunks = grounding.get("groundingChunks") or []
    supports = grounding.get("groundingSupports") or []
    used = {index for support in supports for index in support.get("groundingChunkIndices") or []}
    webs = [chunks[index].get("web") or {} for index in used if index < len(chunks)]
    return {web["uri"] for web in webs if web.get("uri")}


def _gemini_part(answer: Said, part: Json, before: str) -> str:
    """Its kind. Neighbouring texts are one text, neighbouring thoughts one thought."""
    answer.signed = answer.signed or bool(part.get("thoughtSignature"))
    if "text" in part:
        kind = "thought" if part.get("thought") else "text"
        pieces = answer.thoughts if part.get("thought") else answer.texts
        if kind == before:
            pieces[-1] += part["text"]
        elif part["text"]:
            pieces.append(part["text"])
        else:
            return before
        return kind
    if "functionCall" in part:
        told = part["functionCall"]
        answer.calls.append(Call(told.get("name", ""), told.get("args") or {}))
        return "call"
    media = (part.get("inlineData") or part.get("inline_data") or {}).get("mimeType", "")
    if media:
        answer.media.append(media.partition("/")[0])
    kind = media.partition("/")[0] or next((name for name in part if name != "thoughtSignature"), "")
    answer.besides.add(kind)
    return kind


_READERS: dict[str, Callable[[Json, list[Json]], Said]] = {
    "openai_chat": _chat,
    "openai_responses": _responses,
    "anthropic": _messages,
    "gemini": _gemini,
}
