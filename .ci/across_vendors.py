"""Recorded answers of Messages and generateContent, read from their JSON."""

from __future__ import annotations

from across_values import WORDS, Call, Json, Said, Used, call, number

# --- Messages ---------------------------------------------------------------------------------------------------------


def read_messages(row: Json, seen: list[Json]) -> Said:
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
    answer.signed = (
        answer.signed or block["type"] in ("redacted_thinking", "compaction") or bool(block.get("signature"))
    )
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


def read_gemini(row: Json, seen: list[Json]) -> Said:
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
