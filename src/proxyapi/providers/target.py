"""Who answers a request: a model at a provider, at a price; and who is asked when it does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct, structs

from proxyapi.dialects.quirks import Quirks
from proxyapi.pricing.facts import ModelFacts
from proxyapi.pricing.price import Price
from proxyapi.providers.provider import SANDBOX, Provider
from proxyapi.usage import Usage


class Target(Struct, frozen=True, kw_only=True):
    provider: Provider
    model: str
    """As the provider names it."""
    name: str
    """Unified: `vendor/name`."""
    dialect: str
    """What to speak to the provider: the client's own dialect wherever it serves that. Empty: it is not asked, since it
    counts no tokens; the gateway does."""
    price: Price
    facts: ModelFacts
    cost: Price | None = None
    """What the provider asks of the operator for the same; None: nobody has published it."""
    quirks: Quirks = Quirks()
    """What differs at this model from its dialect's documentation."""
    origin: str = ""
    """Provider and model family, of `[a-z0-9_-]`: who can read its reasoning states."""
    fallbacks: tuple[Target, ...] = ()
    """Who is asked, in this order, when it does not answer; none of them has any of its own."""


class OtherModels(NamedTuple):
    """What other models spent inside one reply."""

    amount: int
    """Nanos, at their own prices: `Unit.OTHER_MODELS` of the bill."""
    rest: list[Usage]
    """What has no price of its own: `others` of `settled`."""


def in_order(targets: Sequence[Target]) -> Target:
    """The first, with the others behind it; at least one is given.

    The sandbox takes the place of a provider that is not connected only if none of them is: nobody who pays for a model
    gets made-up words because another provider is down.
    """
    real = [target for target in targets if target.provider.name != SANDBOX]
    first, *others = real or targets
    return structs.replace(first, fallbacks=tuple(others)) if others else first


def in_responses(target: Target) -> Target:
    """Of models that take effort and functions in Responses only: what to speak to them for both."""
    if not (target.quirks.chat_tools_no_effort or target.fallbacks):
        return target
    fallbacks = tuple(map(in_responses, target.fallbacks))
    dialect = "openai_responses" if target.quirks.chat_tools_no_effort else target.dialect
    return structs.replace(target, dialect=dialect, fallbacks=fallbacks)
