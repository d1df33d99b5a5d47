"""How much a model is to think: one scale of words for all dialects, and the ladder between words and tokens."""

from __future__ import annotations

from collections.abc import Sequence

from proxyapi.dialects.model import Effort

SCALE: tuple[Effort, ...] = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""From least to most."""

_BUDGETS: tuple[tuple[Effort, int], ...] = (
    # Our own ladder: no vendor publishes one that its models share.
    ("none", 0),
    ("minimal", 512),
    ("low", 1_024),
    ("medium", 8_192),
    ("high", 24_576),
    ("xhigh", 32_768),
)
_TOKENS = dict(_BUDGETS)


def nearest(level: Effort, efforts: Sequence[Effort]) -> Effort:
    """The level itself, or the next lower one of `efforts` (from least to most, not empty); below all, the lowest."""
    wanted = SCALE.index(level)
    return next((effort for effort in reversed(efforts) if SCALE.index(effort) <= wanted), efforts[0])


def budget_of(level: Effort, *, ceiling: int) -> int:
    """Tokens of thinking that a level stands for, at most `ceiling`; 0 for `none`, all of it for `max`."""
    return min(_TOKENS.get(level, ceiling), ceiling)


def level_of(budget: int) -> Effort | None:
    """The level that a budget of tokens stands for. None: the model decides (a negative budget is dynamic)."""
    if budget < 0:
        return None
    return next((level for level, tokens in _BUDGETS if budget <= tokens), "xhigh")
