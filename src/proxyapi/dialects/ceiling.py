"""Lowers the output ceiling of a request that money is short for: in the body as it came, and nothing else of it.

A budget of thinking that a provider demands to be below the ceiling keeps its share of it; where the provider takes no
budget as small as that, thinking is turned off if the model can be without it, or else the request can't be lowered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct

from proxyapi.dialects.anthropic.thinking_out import BUDGET_MIN
from proxyapi.dialects.call import WireName
from proxyapi.dialects.fields import Member, members, place
from proxyapi.dialects.model import ABSENT
from proxyapi.dialects.patching import Edit, apply, insertion
from proxyapi.dialects.quirks import Quirks
from proxyapi.dialects.stream import lenient

OUTPUT_TOKENS_MIN = 16
"""A shorter answer helps nobody, and Responses and OpenRouter take no lower ceiling. A budget of thinking leaves it."""


class Lowered(NamedTuple):
    body: bytes
    told: tuple[tuple[str, str], ...]
    """Fields that were changed, in the words of the dialect, with what they say now."""


class _Budget(Struct):
    type: str | None = None
    budget_tokens: int | float | None = None
    max_tokens: int | float | None = None


class _Chat(Struct):
    """Numbers that the dialect's `read` found well-formed; what it did not read may be anything."""

    max_completion_tokens: int | float | None = None
    max_tokens: int | float | None = None
    reasoning: Raw = ABSENT


class _Messages(Struct):
    max_tokens: int | float
    thinking: Raw = ABSENT


_BUDGET = msgspec.json.Decoder(_Budget)
_CHAT = msgspec.json.Decoder(_Chat)
_MESSAGES = msgspec.json.Decoder(_Messages)


def lowered(dialect: WireName, body: bytes, quirks: Quirks, ceiling: int) -> Lowered | None:
    """The request with no higher ceiling than that. None: it has none, or its thinking does not fit below it."""
    lower = _DIALECTS.get(dialect)
    return None if lower is None else lower(body, ceiling, quirks)


def _chat(body: bytes, ceiling: int, quirks: Quirks) -> Lowered | None:
    asked = _CHAT.decode(body)
    pairs = (("max_completion_tokens", asked.max_completion_tokens), ("max_tokens", asked.max_tokens))
    said = {name: int(value) for name, value in pairs if value is not None}
    fields = {name: min(value, ceiling) for name, value in said.items()} or {quirks.max_tokens_field: ceiling}
    edits = [_top(body, name, value) for name, value in fields.items()]
    told = [(name, str(value)) for name, value in fields.items()]
    limit = next(iter(said.values()), 0)
    wire = lenient(_BUDGET, asked.reasoning)
    budget = 0 if wire is None else int(wire.max_tokens or 0)
    if 0 < budget < limit:
        # OpenRouter. https://openrouter.ai/docs/use-cases/reasoning-tokens
        share = _share(budget, limit, ceiling)
        inside = _inside(body, "reasoning", "max_tokens")
        if share is None or inside is None:
            return None
        edits.append(Edit(inside.value, inside.end, b"%d" % share))
        told.append(("reasoning.max_tokens", str(share)))
    return _changed(body, edits, told)


def _completions(body: bytes, ceiling: int, quirks: Quirks) -> Lowered | None:
    return _changed(body, [_top(body, "max_tokens", ceiling)], [("max_tokens", str(ceiling))])


def _responses(body: bytes, ceiling: int, quirks: Quirks) -> Lowered | None:
    return _changed(body, [_top(body, "max_output_tokens", ceiling)], [("max_output_tokens", str(ceiling))])


def _messages(body: bytes, ceiling: int, quirks: Quirks) -> Lowered | None:
    asked = _MESSAGES.decode(body)
    limit, edits = int(asked.max_tokens), [_top(body, "max_tokens", ceiling)]
    told = [("max_tokens", str(ceiling))]
    wire = lenient(_BUDGET, asked.thinking)
    budget = 0 if wire is None or wire.type != "enabled" else int(wire.budget_tokens or 0)
    # A larger one is allowed between calls of tools, and then has nothing to do with the ceiling.
    if 0 < budget < limit:
        share = _share(budget, limit, ceiling)
        inside, whole = _inside(body, "thinking", "budget_tokens"), place(body, "thinking")
        if share is not None and inside is not None:
            edits.append(Edit(inside.value, inside.end, b"%d" % share))
            told.append(("thinking.budget_tokens", str(share)))
        elif whole is not None and quirks.thinking_can_be_off:
            edits.append(Edit(whole.value, whole.end, b'{"type":"disabled"}'))
            told.append(("thinking.type", "disabled"))
        else:
            return None
    return _changed(body, edits, told)


def _gemini(body: bytes, ceiling: int, quirks: Quirks) -> Lowered | None:
    """Thinking counts towards its ceiling, which may be below the budget: nothing else has to change."""
    value = b"%d" % ceiling
    for config, field in (("generationConfig", "maxOutputTokens"), ("generation_config", "max_output_tokens")):
        member = place(body, config)
        if member is None or body[member.value : member.value + 1] != b"{":
            continue
        for name in ("maxOutputTokens", "max_output_tokens"):
            if (inside := _inside(body, config, name)) is not None:
                return _changed(body, [Edit(inside.value, inside.end, value)], [(f"{config}.{name}", str(ceiling))])
        alone = not members(body, member.value)
        edit = insertion(body, member.value, b'"%b":%b' % (field.encode(), value), alone=alone)
        return _changed(body, [edit], [(f"{config}.{field}", str(ceiling))])
    written = b'{"maxOutputTokens":%b}' % value
    null = place(body, "generationConfig")
    edit = Edit(null.value, null.end, written) if null else insertion(body, 0, b'"generationConfig":' + written)
    return _changed(body, [edit], [("generationConfig.maxOutputTokens", str(ceiling))])


_DIALECTS: dict[WireName, Callable[[bytes, int, Quirks], Lowered | None]] = {
    "openai_chat": _chat,
    "openai_completions": _completions,
    "openai_responses": _responses,
    "anthropic": _messages,
    "gemini": _gemini,
}
"""The dialects that know a ceiling of output."""


def _share(budget: int, limit: int, ceiling: int) -> int | None:
    """The same part of a lower ceiling. None: a provider takes no budget so small, or nothing is left for an answer."""
    share = max(BUDGET_MIN, budget * ceiling // limit)
    return min(budget, share) if share + OUTPUT_TOKENS_MIN <= ceiling else None


def _top(body: bytes, name: str, value: int) -> Edit:
    member = place(body, name)
    if member is not None:
        return Edit(member.value, member.end, b"%d" % value)
    return insertion(body, 0, b'"%b":%d' % (name.encode(), value))


def _inside(body: bytes, outer: str, name: str) -> Member | None:
    member = place(body, outer)
    if member is None or body[member.value : member.value + 1] != b"{":
        return None
    return next((found for found in reversed(members(body, member.value)) if found.name == name), None)


def _changed(body: bytes, edits: list[Edit], told: Iterable[tuple[str, str]]) -> Lowered:
    return Lowered(apply(body, edits), tuple(told))
