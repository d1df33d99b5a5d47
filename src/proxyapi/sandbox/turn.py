"""What one conversation asks for, whichever dialect asks; and the magic model names."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from proxyapi.sandbox.reading import JsonObject

Count = Callable[[str], int]
"""Tokens of a text."""

MagicKind = Literal["", "echo", "tool", "nousage", "fail", "slow", "cut", "error"]

_MAGIC = re.compile(r"(?:(echo|tool|nousage)|(fail|slow|cut|error)-(\d{1,6}))(?::[a-z]+)?")
_TOKENS_PER_MESSAGE = 4
"""3 that frame a message and 1 for its role."""
_TOKENS_PER_PROMPT = 3
_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)
"""Coding agents put their own notes into the user's message; they are not what was asked."""


class Magic(NamedTuple):
    """A model name that asks for a behaviour; `number` is the status, the milliseconds or the count of events."""

    kind: MagicKind
    number: int = 0


def magic_of(model: str) -> Magic:
    """`echo`, `sandbox/echo`, `models/fail-429`, `vendor/slow-500:free`; any other name has no magic."""
    match = _MAGIC.fullmatch(bare(model))
    if match is None:
        return Magic("")
    word, numbered, number = match.groups()
    if word == "echo":
        return Magic("echo")
    if word == "tool":
        return Magic("tool")
    if word == "nousage":
        return Magic("nousage")
    for kind in _NUMBERED:
        if numbered == kind:
            return Magic(kind, int(number))
    return Magic("")


_NUMBERED: tuple[MagicKind, ...] = ("fail", "slow", "cut", "error")


def bare(model: str) -> str:
    """A model's name without its vendor or `models/` before it."""
    return model.rsplit("/", 1)[-1]


class Tool(NamedTuple):
    """A tool that the client runs."""

    name: str
    schema: JsonObject
    custom: bool = False
    """Takes one text instead of an object."""
    namespace: str = ""


class Result(NamedTuple):
    """What a client's tool answered: the last message of the turn."""

    name: str
    text: str


@dataclass(slots=True)
class Prompt:
    """Everything that is tokenised, added up while a dialect reads its request."""

    count: Count
    tokens: int = _TOKENS_PER_PROMPT
    pictures: int = 0
    tokens_per_picture: int = 85
    """OpenAI's base price of a picture; the size is not looked at."""

    def message(self, *texts: str) -> None:
        self.tokens += _TOKENS_PER_MESSAGE
        self.text(*texts)

    def text(self, *texts: str) -> None:
        self.tokens += sum(self.count(text) for text in texts if text)

    def picture(self) -> None:
        self.pictures += 1
        self.tokens += self.tokens_per_picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    model: str
    """As the client named it."""
    asked: str
    """The last text of the user."""
    prompt_tokens: int
    pictures: int = 0
    results: tuple[Result, ...] = ()
    """Tool results that the conversation ends with."""
    tools: tuple[Tool, ...] = ()
    choice: str = "auto"
    """`auto`, `none`, `required`, or the name of the tool that must be called."""
    parallel: bool = False
    """Several calls in one answer are asked for."""
    schema: JsonObject | None = None
    """The answer is JSON that satisfies this; an empty one: any object."""
    thinks: bool = False
    search: Literal["", "inline", "block"] = ""
    """A web search comes first; `inline`: its source is cited in the text itself."""
    output_tokens_max: int | None = None
    stop: tuple[str, ...] = ()
    magic: Magic = field(default=Magic(""))


def asked_text(text: str) -> str:
    """The user's own words of a message."""
    return _REMINDER.sub("", text).strip()


def wants_parallel(asked: str) -> bool:
    """The prompt asks for several calls at once: works in every dialect."""
    lowered = asked.lower()
    return "parallel" in lowered or "параллел" in lowered


_SEARCH_WORDS = re.compile(
    r"search|\bweb\b|latest|news|today|weather|cite|source|поищ|найд|поиск|интернет|новост|сегодня|погод|источник",
    re.IGNORECASE,
)


def wants_search(asked: str) -> bool:
    """Whether a model with a search tool among others would search for this."""
    return _SEARCH_WORDS.search(asked) is not None
