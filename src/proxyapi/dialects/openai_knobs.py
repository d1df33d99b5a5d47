"""What Chat and Responses say in the same words: knobs of a request, as a provider takes them."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from msgspec import Raw

from proxyapi.dialects.effort import level_of, nearest
from proxyapi.dialects.jsonschema import Schema, read, subschemas
from proxyapi.dialects.losses import CHARACTERS_MAX, REFUSED, Losses
from proxyapi.dialects.model import (
    ABSENT,
    CacheMark,
    CacheOptions,
    Effort,
    JsonSchema,
    Lifetime,
    Reasoning,
    Sampling,
    Tier,
)
from proxyapi.dialects.names import legal
from proxyapi.dialects.quirks import Quirks

Wire = dict[str, Any]

USER_CHARACTERS_MAX = 128
METADATA_MAX = 16
MARKS_MAX = 4
"""Cache marks of one request."""

_LIFETIMES: dict[Lifetime, str] = {"5m": "30m", "30m": "30m", "1h": "12h", "12h": "12h", "24h": "12h"}
TIERS: dict[Tier, str] = {
    "auto": "auto",
    "standard": "default",
    "flex": "flex",
    "priority": "priority",
    "fast": "fast",
    "scale": "scale",
}
"""Others are elsewhere: left to the provider."""


def sampling(asked: Sampling, quirks: Quirks, losses: Losses) -> Wire:
    """`temperature` and `top_p`, the two that both have."""
    wire: Wire = {}
    temperature, top_p = asked.temperature, asked.top_p
    if temperature is not None:
        if quirks.no_sampling:
            losses.drop("sampling.temperature")
        elif temperature > quirks.temperature_max:
            losses.approximate("sampling.temperature")
            wire["temperature"] = quirks.temperature_max
        else:
            wire["temperature"] = temperature
    if top_p is not None:
        if quirks.no_sampling:
            losses.drop("sampling.top_p")
        else:
            wire["top_p"] = top_p
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


def unaccepted(wanted: Effort | None, losses: Losses) -> None:
    """A model that can't be told how much to think doesn't lose a wish not to."""
    if wanted not in (None, "none"):
        losses.drop("reasoning.effort")


def accepted(asked: Reasoning, quirks: Quirks, losses: Losses) -> Effort | None:
    """The level that the model takes. None: nothing is said."""
    wanted = effort(asked)
    if wanted is None:
        return None
    if quirks.thinking_form == "none":
        unaccepted(wanted, losses)
        return None
    level = nearest(wanted, quirks.efforts)
    if level != wanted:
        losses.approximate("reasoning.effort")
    elif asked.effort is None and asked.budget_tokens is not None:
        losses.approximate("reasoning.budget_tokens")
    return level


def mark(asked: CacheMark) -> Wire:
    """`prompt_cache_breakpoint`."""
    return {"mode": "explicit"} | ({"ttl": _LIFETIMES[asked.lifetime]} if asked.lifetime else {})


def cache(asked: CacheOptions) -> Wire:
    """`prompt_cache_key`, `prompt_cache_options` and `prompt_cache_retention`, with the nearest lifetime there is."""
    wire: Wire = {}
    if asked.key:
        wire["prompt_cache_key"] = asked.key
    options: Wire = {}
    if asked.explicit is not None:
        options["mode"] = "explicit" if asked.explicit else "implicit"
    if asked.lifetime == "24h":
        wire["prompt_cache_retention"] = "24h"
    elif asked.lifetime is not None:
        options["ttl"] = _LIFETIMES[asked.lifetime]
    return wire | {"prompt_cache_options": options} if options else wire


def user(name: str) -> str:
    """An end user; one with a name that is too long is known by its hash."""
    return sha256(name.encode()).hexdigest() if len(name) > USER_CHARACTERS_MAX else name


def schema_name(shape: JsonSchema) -> str:
    return legal(shape.name, refused=REFUSED, length_max=CHARACTERS_MAX)


def bound(
    strict: bool | None, schema: Raw, quirks: Quirks, losses: Losses, field: str, *, better: bool = False
) -> bool | None:
    """Whether an answer or a call is bound to its schema. None: it is not said, or the provider knows no such thing.

    `better`: where the schema allows it, also if nobody said so.
    """
    if quirks.no_strict:
        if strict or better:
            losses.drop(field)
        return None
    binds = bool(strict or better) and is_bound(schema)
    if strict and not binds:
        # Anthropic and Google bind schemas that OpenAI would refuse.
        losses.drop(field)
        return False
    return True if binds else strict


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
