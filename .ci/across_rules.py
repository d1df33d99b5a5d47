"""Whether a client of another dialect reads what a provider said: the comparison, and the differences on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import NamedTuple

from across_clients import Clients, Heard
from across_recorded import error_words, said
from across_requests import forms
from across_values import DIALECTS, Call, Json, Said

ENDINGS = {
    "openai_chat": {
        "length": "length", "context_window": "length", "tool_use": "tool_calls", "refusal": "content_filter",
        "content_filter": "content_filter", "recitation": "content_filter",
    },
    "openai_responses": {
        "length": "max_output_tokens", "context_window": "max_output_tokens", "pause": "max_messages",
        "content_filter": "content_filter", "recitation": "content_filter", "cancelled": "cancelled",
    },
    "anthropic": {
        "length": "max_tokens", "context_window": "model_context_window_exceeded", "stop_sequence": "stop_sequence",
        "tool_use": "tool_use", "pause": "pause_turn", "refusal": "refusal", "content_filter": "refusal",
        "recitation": "refusal", "compacted": "compaction",
    },
    "gemini": {
        "length": "MAX_TOKENS", "context_window": "MAX_TOKENS", "pause": "CONTINUATION", "refusal": "SAFETY",
        "content_filter": "SAFETY", "recitation": "RECITATION", "malformed": "MALFORMED_FUNCTION_CALL",
        "cancelled": "OTHER", "other": "OTHER",
    },
}  # fmt: skip
"""What an ending means -> the word of the asking dialect."""
USUAL = {"openai_chat": "stop", "openai_responses": "completed", "anthropic": "end_turn", "gemini": "STOP"}
"""Every other ending."""

CUT = {"length", "context_window", "refusal", "content_filter", "recitation"}
"""Endings that a call changes nothing about."""


REFUSING_IN_TEXT = {"anthropic", "gemini"}
"""Dialects without a part of its own for the words of a refusal."""


SHOWING = {
    "openai_chat": {"audio", "image"},
    "openai_responses": {"image"},
    "anthropic": set(),
    "gemini": {"audio", "image"},
}
"""Media that a dialect's replies have a place for."""


class Difference(NamedTuple):
    aspect: str
    recorded: object
    heard: object


def ending(said: Said, asking: str) -> str:
    meaning = said.ending
    if said.calls and meaning not in CUT:
        meaning = "tool_use"
    elif not said.calls and meaning == "tool_use":
        meaning = "end"
    return ENDINGS[asking].get(meaning, USUAL[asking])


def error_status(status: int, asking: str) -> int:
    if status in (503, 529):
        return 529 if asking == "anthropic" else 503
    return status


def differences(said: Said, asking: str, heard: Heard) -> list[Difference]:
    """Of an answer."""
    texts, refusal = "".join(said.texts), said.refusal or said.explanation
    if asking in REFUSING_IN_TEXT:
        texts, refusal = texts + said.refusal, ""
    if asking != "openai_chat":
        texts += said.spoken
    told: dict[str, tuple[object, object]] = {
        "text": (texts, "".join(heard.texts)),
        "refusal": (refusal, heard.refusal),
        "thoughts": (_solid(said.thoughts), _solid(heard.thoughts)),
        "calls": (said.calls, heard.calls),
        "sources": (sorted(said.sources), sorted(_sources(said, heard))),
        "media": ([kind for kind in said.media if kind in SHOWING[asking]], heard.media),
        # Messages wants a proof of each thought: the gateway makes one where the provider has none.
        "signed": (said.signed, heard.signed if said.signed or asking != "anthropic" else False),
        "ending": (ending(said, asking), heard.ending),
    }
    if said.used is not None:
        told["usage"] = (said.used, heard.used)
    return [Difference(aspect, one, other) for aspect, (one, other) in told.items() if one != other]


def _sources(said: Said, heard: Heard) -> set[str]:
    """Those that are cited; and none that was not found."""
    return {source for source in heard.sources if source in said.sources or source not in said.mentioned}


def _solid(pieces: list[str]) -> str:
    """Without the white space that parts the pieces in one dialect and not in another."""
    return "".join("".join(pieces).split())


# --- one recorded row in one other dialect ----------------------------------------------------------------------------


def outcome(clients: Clients, row: Json, asking: str, model: str, *, stream: bool) -> Json:
    """What was asked, what differs, and why, as far as it is on purpose."""
    refusals: list[str] = []
    found: list[Difference] = []
    reason, form, heard = "", None, Heard()
    fails = row["response"]["status"] >= 400
    answer = None if fails else said(row)
    for form in forms(row, asking, model, stream=stream):
        if fails and form.name != "prompt":
            continue
        if form.why:
            refusals.append(f"{form.name} {form.why}")
        heard = clients.ask(asking, model, form.body, stream=stream)
        if not heard.refused:
            break
        refusals.append(f"{form.name} refused: {heard.message}")
    assert form is not None, "the mere prompt can always be said"
    found = _failed(row, asking, heard) if answer is None else _answered(answer, asking, heard)
    if found:
        reason = explained(answer, asking, heard, found)
    return {
        "id": row["id"],
        "provider": row["provider"],
        "endpoint": row["endpoint"],
        "stream": stream,
        "model": model,
        "native": DIALECTS[row["endpoint"]],
        "asking": asking,
        "error": fails,
        "form": form.name,
        "refusals": refusals,
        "differences": [list(map(str, difference)) for difference in found],
        "reason": reason,
        "request_id": heard.request_id,
        "refused": heard.refused,
        "ledger": "",
        "others": answer is not None and answer.others,
        "used": asdict(answer.used) if answer is not None and answer.used is not None else None,
    }


def _answered(answer: Said, asking: str, heard: Heard) -> list[Difference]:
    if answer.failed:
        return [] if heard.status != 200 else [Difference("failure", answer.failed, "success")]
    if heard.status != 200:
        return [Difference("status", 200, f"{heard.status} {heard.message}")]
    return differences(answer, asking, heard)


def _failed(row: Json, asking: str, heard: Heard) -> list[Difference]:
    status, words = error_status(row["response"]["status"], asking), error_words(row)
    found = []
    if heard.status != status:
        found.append(Difference("status", status, f"{heard.status} {heard.message}"))
    elif words not in heard.message:
        found.append(Difference("words", words, heard.message))
    return found


def explained(answer: Said | None, asking: str, heard: Heard, found: list[Difference]) -> str:
    """The names of what makes the differences; empty: at least one is not on purpose."""
    if answer is None:
        return ""
    reasons = dict.fromkeys(_REASONS.get(aspect, _none)(answer, asking, heard) for aspect, _one, _other in found)
    return " + ".join(reasons) if all(reasons) else ""


def _none(answer: Said, asking: str, heard: Heard) -> str:
    return ""


_CODE = {
    "executableCode", "codeExecutionResult", "code_interpreter_call", "bash_code_execution_tool_result",
    "code_execution_tool_result", "text_editor_code_execution_tool_result",
}  # fmt: skip


def _text(answer: Said, asking: str, heard: Heard) -> str:
    between = _between(answer.texts, "".join(heard.texts))
    if between is None:
        return ""
    if asking == "openai_chat" and not between.strip():
        return "Chat has one text: a blank line parts what other parts stood between"
    if asking == "openai_chat" and between.lstrip().startswith("Ran:") and answer.besides & _CODE:
        return "Chat has no part for code that its provider ran: it is told as text"
    if asking == "anthropic" and between == PICTURE and "image_generation_call" in answer.besides:
        return "Messages answers with no pictures: it says that there is one"
    return ""


PICTURE = "(A picture that cannot be shown here.)"


def _between(pieces: list[str], text: str) -> str | None:
    """What stands before, between and after the pieces; None: they are not there, in this order."""
    rest = ""
    for piece in pieces:
        before, found, text = text.partition(piece)
        if not found:
            return None
        rest += before
    return rest + text


def _calls(answer: Said, asking: str, heard: Heard) -> str:
    *calls, last = answer.calls
    if answer.ending in CUT and not last.whole and heard.calls[: len(calls)] == calls:
        return "a call that was cut is no call: it is left out, or never ends"
    objects = [one if one.whole else Call(one.name, {"input": one.arguments}) for one in answer.calls]
    if asking in ("anthropic", "gemini") and heard.calls == objects:
        return "arguments that are no object are wrapped into one where only objects can be said"
    free = [Call(one.name, one.arguments.get("input")) if one.whole else one for one in answer.calls]
    if asking == "openai_chat" and heard.calls == free:
        return "a stream of Chat tells free-text calls as functions, since its SDK's helper knows no others"
    return ""


def _status(answer: Said, asking: str, heard: Heard) -> str:
    if heard.refused and "it holds no conversation" in heard.message:
        return "models that draw or speak are refused to clients whose dialect has no place for it"
    if "valid base64" in heard.message and "image_generation_call" in answer.besides:
        return "the recording of a picture is cut, so that the SDK refuses it"
    return ""


def _media(answer: Said, asking: str, heard: Heard) -> str:
    if asking == "gemini" and answer.besides & _CODE and set(heard.media) - set(answer.media) == {"image"}:
        return "a picture that the provider's code drew is one of the outcome's own: Gemini's clients see it as a part"
    return ""


_REASONS: dict[str, Callable[[Said, str, Heard], str]] = {
    "text": _text,
    "calls": _calls,
    "status": _status,
    "media": _media,
}
