"""Recorded answers of Chat Completions and Responses, read from their JSON."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from across_values import WORDS, Call, Json, Said, Used, call, number

OUTSIDE_PROMPT = (("azure", re.compile("grok", re.IGNORECASE), "cached"), ("mistral", re.compile("voxtral"), "audio"))
"""Provider, model, and what its `prompt_tokens` leave out."""


# --- Chat Completions -------------------------------------------------------------------------------------------------


def read_chat(row: Json, seen: list[Json]) -> Said:
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


def read_responses(row: Json, seen: list[Json]) -> Said:
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
