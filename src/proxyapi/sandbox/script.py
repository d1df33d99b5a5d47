"""What the model says to a turn: thoughts, a search, a text or tool calls, why it stops, and what it counts.

Pure and deterministic. A dialect renders the script as a body; the events of a stream are made from that body.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

from proxyapi.sandbox.reading import JsonObject, encode_text
from proxyapi.sandbox.samples import sample, sample_object
from proxyapi.sandbox.turn import Count, Tool, Turn, bare, wants_parallel

_QUOTE_CHARACTERS_MAX = 60
_PIECES_MAX = 256
"""A longer text goes out in larger pieces, so that a long echo is no flood of events."""
_JSON_PIECE_CHARACTERS = 12
_PIECE = re.compile(r"\s*\S+|\s+$")
_CYRILLIC = re.compile(r"[Ѐ-ӿ]")

_ANSWERS = {
    "ru": (
        "Песочница отвечает за {model}: вы спросили «{asked}»{pictures}. Настоящая модель ответила бы подробнее.",
        "На вопрос «{asked}»{pictures} отвечает песочница вместо {model}: этот текст всегда один и тот же.",
        "Вы спросили «{asked}»{pictures}. Это пробный ответ песочницы за {model}, он ничего не стоит провайдеру.",
    ),
    "en": (
        "The sandbox answers for {model}: you asked “{asked}”{pictures}. A real model would go into more detail.",
        "You asked “{asked}”{pictures}, and the sandbox answers in place of {model}: this text is always the same.",
        "To “{asked}”{pictures} this is a trial answer of the sandbox for {model}; no provider has been called.",
    ),
}
_PICTURES = {"ru": " (картинок: {count})", "en": " (pictures: {count})"}
_RESULTS = {
    "ru": "Инструмент {name} ответил: «{text}».",
    "en": "The tool {name} answered: “{text}”.",
}
_THOUGHTS = {
    "ru": "Пользователь спрашивает: «{asked}». Хватит короткого ответа.",
    "en": "The user asks: “{asked}”. A short answer will do.",
}
_EMPTY = {"ru": "ничего", "en": "nothing"}


class Source(NamedTuple):
    """A page that the search found."""

    url: str
    title: str
    text: str


SOURCES = (
    Source("https://example.com/sandbox", "The sandbox, explained", "A sandbox answers without calling a provider."),
    Source("https://example.org/models", "Models and their prices", "Every model has a price per million tokens."),
)


class Citation(NamedTuple):
    """Characters `start` to `end` of the text point at the source."""

    start: int
    end: int
    source: Source


class ToolCall(NamedTuple):
    tool: Tool
    arguments: JsonObject
    """What a custom tool takes is under `input`."""


@dataclass(frozen=True, slots=True)
class Script:
    thoughts: str
    """Empty: the model does not think."""
    query: str
    """What was searched for; empty: nothing was."""
    text: str
    citations: tuple[Citation, ...]
    calls: tuple[ToolCall, ...]
    end: Literal["end", "stop", "length", "tool"]
    stop: str | None
    """The stop sequence that was met."""
    output_tokens: int
    """All that was generated, thoughts included."""
    thought_tokens: int


def write(turn: Turn, count: Count, *, choice: int = 0) -> Script:
    """The model's answer; `choice` numbers the alternatives of one request."""
    ceiling = turn.output_tokens_max
    language = "ru" if _CYRILLIC.search(turn.asked) else "en"
    thoughts = ""
    if turn.thinks:
        thoughts = _THOUGHTS[language].format(asked=_quote(turn.asked, language))
        if ceiling is not None:
            thoughts = _fit(thoughts, ceiling // 2, count)
    thought_tokens = count(thoughts) if thoughts else 0
    query = _quote(turn.asked, language) if turn.search else ""
    calls = _calls(turn)
    if calls:
        tokens = thought_tokens + sum(count(call.tool.name + encode_text(call.arguments)) for call in calls)
        total = tokens if ceiling is None else min(tokens, ceiling)
        return Script(thoughts, query, "", (), calls, "tool", None, total, min(thought_tokens, total))
    text, citations = _text(turn, language, choice)
    end: Literal["end", "stop", "length"] = "end"
    stop = None
    for word in turn.stop:
        at = text.find(word) if word else -1
        if at >= 0:
            text, end, stop = text[:at], "stop", word
    tokens = count(text) if text else 0
    if ceiling is not None and thought_tokens + tokens > ceiling:
        text, end, stop = _fit(text, ceiling - thought_tokens, count), "length", None
        tokens = ceiling - thought_tokens
    citations = tuple(citation for citation in citations if citation.end <= len(text))
    return Script(thoughts, query, text, citations, (), end, stop, thought_tokens + tokens, thought_tokens)


def pieces(text: str, *, json: bool = False) -> list[str]:
    """The text word by word, as a stream delivers it; joined they are the text."""
    if json:
        step = max(_JSON_PIECE_CHARACTERS, -(-len(text) // _PIECES_MAX))
        return [text[at : at + step] for at in range(0, len(text), step)]
    words: list[str] = _PIECE.findall(text)
    if len(words) <= _PIECES_MAX:
        return words
    step = -(-len(words) // _PIECES_MAX)
    return ["".join(words[at : at + step]) for at in range(0, len(words), step)]


def _calls(turn: Turn) -> tuple[ToolCall, ...]:
    magic = turn.magic.kind == "tool"
    if not turn.tools or turn.choice == "none" or turn.magic.kind == "echo" or (magic and turn.results):
        return ()
    if turn.choice == "auto" and not magic:
        return ()
    chosen = [tool for tool in turn.tools if tool.name == turn.choice] or list(turn.tools[:1])
    if magic and turn.choice in ("auto", "required") and (turn.parallel or wants_parallel(turn.asked)):
        chosen = list(turn.tools[:2]) if len(turn.tools) > 1 else chosen * 2
    return tuple(ToolCall(tool, {"input": "sandbox"} if tool.custom else sample_object(tool.schema)) for tool in chosen)


def _text(turn: Turn, language: str, choice: int) -> tuple[str, tuple[Citation, ...]]:
    if turn.magic.kind == "echo":
        return turn.asked, ()
    if turn.schema is not None:
        value = sample(turn.schema) if turn.schema else {"answer": _quote(turn.asked, language)}
        return encode_text(value), ()
    if turn.results:
        told = [
            _RESULTS[language].format(name=result.name, text=_quote(result.text, language)) for result in turn.results
        ]
        return " ".join(told), ()
    answers = _ANSWERS[language]
    pictures = _PICTURES[language].format(count=turn.pictures) if turn.pictures else ""
    number = sum(map(ord, turn.asked)) + choice
    asked = _quote(turn.asked, language)
    text = answers[number % len(answers)].format(model=bare(turn.model), asked=asked, pictures=pictures)
    if not turn.search:
        return text, ()
    source = SOURCES[0]
    if turn.search == "block":
        return text, (Citation(0, len(text), source),)
    start = len(text) + 1
    text += f" ([example.com]({source.url}))"
    return text, (Citation(start, len(text), source),)


def _quote(text: str, language: str) -> str:
    """The text on one line and not longer than a line."""
    line = " ".join(text.split())
    if len(line) > _QUOTE_CHARACTERS_MAX:
        line = line[: _QUOTE_CHARACTERS_MAX - 1].rstrip() + "…"
    return line or _EMPTY[language]


def _fit(text: str, tokens_max: int, count: Count) -> str:
    """The longest beginning, in whole words, that is not over the tokens."""
    words: list[str] = _PIECE.findall(text)
    low, high = 0, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        if count("".join(words[:middle])) <= tokens_max:
            low = middle
        else:
            high = middle - 1
    return "".join(words[:low])
