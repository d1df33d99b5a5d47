"""Anthropic Messages: how much the model is to think, in the form that its generation takes, and what goes with it.

https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking, …/adaptive-thinking, …/effort
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from proxyapi.dialects.anthropic.draft import Draft
from proxyapi.dialects.codec import Untranslatable
from proxyapi.dialects.effort import SCALE, budget_of, level_of, nearest
from proxyapi.dialects.model import Effort, Reasoning, Sampling
from proxyapi.dialects.quirks import Quirks

BUDGET_MIN = 1_024
"""Tokens; less is refused."""
TOP_P_MIN = 0.95
"""With thinking on, less is refused."""
_TEMPERATURE_MAX = 1.0
_FIELD = "reasoning.budget_tokens"
_BY_DEFAULT: Effort = "medium"
"""Of a model that takes budgets only, asked to think as much as it likes."""


class Plan(Struct, frozen=True):
    thinking: dict[str, Any] | None = None
    """The field `thinking`; None: the model's default."""
    effort: Effort | None = None
    """`output_config.effort`."""

    @property
    def on(self) -> bool:
        """The client wants the model to think."""
        return self.thinking is not None and self.thinking["type"] in ("enabled", "adaptive")

    @property
    def off(self) -> bool:
        return self.thinking is not None and self.thinking["type"] == "disabled"

    @property
    def has_budget(self) -> bool:
        return self.thinking is not None and self.thinking["type"] == "enabled"


def plan(reasoning: Reasoning | None, quirks: Quirks, output_tokens_max: int, draft: Draft) -> Plan:
    """Untranslatable: a budget that does not fit the ceiling, or a mode that only OpenAI has."""
    if reasoning is None:
        return Plan()
    if reasoning.mode not in ("", "standard"):
        raise Untranslatable("reasoning.mode", "Anthropic Messages has no such mode")
    if reasoning.context is not None:
        draft.drop("reasoning.context")
    if quirks.thinking_form == "none":
        if not _is_off(reasoning):
            draft.drop("reasoning")
        return Plan()
    if quirks.thinking_form == "budget":
        planned = _by_budget(reasoning, quirks, output_tokens_max, draft)
    elif _is_off(reasoning) or reasoning.between_tools:
        planned = _least(reasoning, quirks, draft)
    else:
        planned = _adaptive(reasoning, quirks, output_tokens_max, draft)
    return _shown(planned, reasoning, quirks, draft)


def _is_off(reasoning: Reasoning) -> bool:
    unsaid = reasoning.budget_tokens is None
    return (
        reasoning.adaptive is False or reasoning.budget_tokens == 0 or (reasoning.effort == "none" and unsaid)
    ) and not reasoning.between_tools


def _shown(planned: Plan, reasoning: Reasoning, quirks: Quirks, draft: Draft) -> Plan:
    """With the word for whether thinking is shown, which only thinking itself can carry."""
    show = reasoning.show or ("auto" if quirks.thinking_hidden and planned.on else None)
    if show is None:
        return planned
    if planned.thinking is None or planned.thinking["type"] not in ("enabled", "adaptive"):
        if reasoning.show not in (None, "none"):
            draft.drop("reasoning.show")
        return planned
    display = "omitted" if show == "none" else "summarized"
    return Plan({**planned.thinking, "display": display}, planned.effort)


# --- models that are given a budget -------------------------------------------------------------------------------


def _by_budget(reasoning: Reasoning, quirks: Quirks, output_tokens_max: int, draft: Draft) -> Plan:
    if _is_off(reasoning) or reasoning.between_tools:
        if reasoning.between_tools:
            draft.approximate("reasoning")
        return Plan({"type": "disabled"})
    budget, level = reasoning.budget_tokens, reasoning.effort
    if budget is not None and budget > 0:
        return Plan(_enabled(budget, output_tokens_max), level if level in quirks.efforts else None)
    if level is None and reasoning.adaptive:
        draft.approximate("reasoning")
        level = _BY_DEFAULT
    if level is None:
        return Plan()
    if output_tokens_max <= BUDGET_MIN:
        draft.drop("reasoning.effort")
        return Plan()
    return Plan(_enabled(max(BUDGET_MIN, budget_of(level, ceiling=output_tokens_max - 1)), output_tokens_max))


def _enabled(budget: int, output_tokens_max: int) -> dict[str, Any]:
    if budget < BUDGET_MIN:
        raise Untranslatable(_FIELD, f"Anthropic Messages takes no budget below {BUDGET_MIN} tokens")
    if budget >= output_tokens_max:
        why = f"the budget of {budget} tokens has to be below the ceiling of all output, {output_tokens_max}"
        raise Untranslatable(_FIELD, why)
    return {"type": "enabled", "budget_tokens": budget}


# --- models that adapt --------------------------------------------------------------------------------------------


def _levels(quirks: Quirks) -> tuple[Effort, ...]:
    """What `output_config.effort` takes: there is no word for none."""
    return tuple(level for level in quirks.efforts if level != "none") or ("low", "medium", "high")


def _least(reasoning: Reasoning, quirks: Quirks, draft: Draft) -> Plan:
    """No thinking, or as little as the model can."""
    levels = _levels(quirks)
    effort = nearest(reasoning.effort, levels) if reasoning.effort not in (None, "none") else None
    if quirks.thinking_form == "between_tools":
        if not reasoning.between_tools:
            draft.approximate("reasoning")
        return Plan({"type": "between_tools"}, effort)
    if quirks.thinking_form == "adaptive_always" or not quirks.thinking_can_be_off:
        draft.approximate("reasoning")
        return Plan(None, levels[0])
    if reasoning.between_tools:
        draft.approximate("reasoning")
    if effort is not None and SCALE.index(effort) > SCALE.index(quirks.off_effort_max):
        draft.approximate("reasoning.effort")
        effort = nearest(quirks.off_effort_max, levels)
    return Plan({"type": "disabled"}, effort)


def _adaptive(reasoning: Reasoning, quirks: Quirks, output_tokens_max: int, draft: Draft) -> Plan:
    budget, wanted = reasoning.budget_tokens, reasoning.effort
    if budget is not None and budget > 0:
        if quirks.budget_too:
            return Plan(_enabled(budget, output_tokens_max), wanted and nearest(wanted, _levels(quirks)))
        draft.approximate(_FIELD)
        wanted = wanted or level_of(budget)
    if wanted is None:
        # A budget of -1 is dynamic, and that is what these models are; a word about showing alone asks for nothing.
        return Plan({"type": "adaptive"}) if reasoning.adaptive or budget is not None else Plan()
    level = nearest(wanted, _levels(quirks))
    if level != wanted:
        draft.approximate("reasoning.effort")
    return Plan({"type": "adaptive"}, level)


# --- sampling -----------------------------------------------------------------------------------------------------


def sampling(asked: Sampling, quirks: Quirks, planned: Plan, draft: Draft) -> dict[str, Any]:
    """The knobs that the model takes. Thinking models take hardly any."""
    for name in ("frequency_penalty", "presence_penalty", "logit_bias"):
        if getattr(asked, name):
            draft.drop(f"sampling.{name}")
    if asked.seed is not None:
        draft.drop("sampling.seed")
    knobs = {"temperature": asked.temperature, "top_p": asked.top_p, "top_k": asked.top_k}
    wire: dict[str, Any] = {name: value for name, value in knobs.items() if value is not None}
    refused = {name for name in wire if quirks.no_sampling or (planned.on and not _stands_thinking(name, wire[name]))}
    if quirks.no_temperature_with_top_p and "temperature" in wire.keys() - refused:
        refused.add("top_p")
    for name in ("temperature", "top_p", "top_k"):
        if name in refused and wire.pop(name, None) is not None:
            draft.drop(f"sampling.{name}")
    temperature_max = min(quirks.temperature_max, _TEMPERATURE_MAX)
    if wire.get("temperature", 0) > temperature_max:
        draft.approximate("sampling.temperature")
        wire["temperature"] = temperature_max
    if planned.on and wire.get("top_p", 1) < TOP_P_MIN:
        draft.approximate("sampling.top_p")
        wire["top_p"] = TOP_P_MIN
    return wire


def _stands_thinking(name: str, value: float) -> bool:
    """Whether a knob can be sent while the model thinks; `top_p` can, if it is near 1."""
    return name == "top_p" or (name == "temperature" and value == 1)
