"""What Chat and Responses say in the same words: knobs of a request, as a provider takes them."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from msgspec import Raw

from proxyapi.dialects.effort import level_of, nearest
from proxyapi.dialects.jsonschema import Schema, read, subschemas
from proxyapi.dialects.losses import CHARACTERS_MAX, REFUSED, Losses
from proxyapi.dialects.model import ABSENT, CacheMark, Effort, JsonSchema, Lifetime, Reasoning, Sampling, Tier
from proxyapi.dialects.names import legal
from proxyapi.dialects.quirks import Quirks

Wire = dict[str, Any]

USER_CHARACTERS_MAX = 128
METADATA_MAX = 16
MARKS_MAX = 4
"""Cache marks of one request."""

_LIFETIMES: dict[Lifetime, str] = {"5m": "30m", "30m": "30m", "1h": "12h", "12h": "12h", "24h": "12h"}
_TIERS: dict[Tier, str] = {
    "auto": "auto",
    "standard": "default",
    "flex": "flex",
    "priority": "priority",
    "fast": "fast",
    "scale": "scale",
    "ultrafast": "ultrafast",
}


def sampling(asked: Sampling, quirks: Quirks, losses: Losses) -> Wire:
    """`temperature` and `top_p`, the two that both have."""
    wire: Wire = {}
    for field in ("temperature", "top_p"):
        value = getattr(asked, field)
        if value is not None and quirks.no_sampling:
            losses.drop(f"sampling.{field}")
        elif value is not None:
            wire[field] = value
    if wire.get("temperature", 0) > quirks.temperature_max:
        losses.approximate("sampling.temperature")
        wire["temperature"] = quirks.temperature_max
    if quirks.no_temperature_with_top_p and len(wire) == 2:
        losses.drop("sampling.top_p")
        del wire["top_p"]
    if asked.top_k is not None:
        losses.drop("sampling.top_k")
    return wire


def effort(asked: Reasoning) -> Effort | None:
    """As the client said it, in words. None: not at all, or it leaves it to the model."""
    if asked.effort is not None:
        return asked.effort
    if asked.budget_tokens is not None:
        return level_of(asked.budget_tokens)
    if asked.between_tools:
        return "minimal"
    return "none" if asked.adaptive is False else None


def accepted(asked: Reasoning, quirks: Quirks, losses: Losses) -> Effort | None:
    """The level that the model takes. None: nothing is said."""
    wanted = effort(asked)
    if wanted is None:
        return None
    if quirks.thinking_form == "none":
        # A model that can't be told how much to think doesn't lose a wish not to.
        if wanted != "none":
            losses.drop("reasoning.effort")
        return None
    level = nearest(wanted, quirks.efforts)
    if level != wanted:
        losses.approximate("reasoning.effort")
    elif asked.effort is None and asked.budget_tokens is not None:
        losses.approximate("reasoning.budget_tokens")
    return level


def mark(cache: CacheMark) -> Wire:
    """`prompt_cache_breakpoint`."""
    return {"mode": "explicit"} | ({"ttl": _LIFETIMES[cache.lifetime]} if cache.lifetime else {})


def lifetime(asked: Lifetime) -> str:
    """The nearest that there is."""
    return _LIFETIMES[asked]


def user(name: str) -> str:
    """An end user; one with a name that is too long is known by its hash."""
    return sha256(name.encode()).hexdigest() if len(name) > USER_CHARACTERS_MAX else name


def tier(asked: Tier) -> str:
    """Tiers of other providers are left to the provider."""
    return _TIERS.get(asked, "auto")


def schema_name(shape: JsonSchema) -> str:
    return legal(shape.name, refused=REFUSED, length_max=CHARACTERS_MAX)


def bound(strict: bool | None, schema: Raw, quirks: Quirks, losses: Losses, field: str) -> bool | None:
    """Whether an answer or a call is bound to its schema. None: the provider knows no such thing."""
    if quirks.no_strict:
        if strict:
            losses.drop(field)
        return None
    if strict and not is_bound(schema):
        # Anthropic and Google bind schemas that OpenAI would refuse.
        losses.drop(field)
        return False
    return strict


def is_bound(schema: Raw) -> bool:
    """A schema as OpenAI's strict mode demands: every object is closed, and all its properties are required."""
    waiting: list[Any] = [read(schema)] if schema is not ABSENT else []
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if not _is_closed(node):
                return False
            waiting += [child for _, child in subschemas(node)]
    return True


def _is_closed(node: Schema) -> bool:
    properties = node.get("properties")
    if node.get("type") != "object" and not isinstance(properties, dict):
        return True
    names = properties if isinstance(properties, Mapping) else {}
    required = node.get("required") or ()
    return node.get("additionalProperties") is False and set(names) <= set(required)
