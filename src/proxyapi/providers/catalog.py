"""Names of models -> targets: who answers, under which name, at which price.

A native route fixes the provider, and names are the provider's own. On the unified API `vendor/name` decides; without
a vendor it is the endpoint's default, and nothing is ever guessed. A provider without a key is stood for by the
sandbox, at the price of the model.

Announced last days don't take a model off sale: if the provider refuses it, nothing is charged. It only leaves the
list of models.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec

from proxyapi.dialects.call import Call
from proxyapi.dialects.model import ModelUsage
from proxyapi.dialects.quirks import Quirks
from proxyapi.errors import SettingsError, UnknownModel
from proxyapi.pricing.book import Entry, Offer, PriceBook, sandbox_cost, sandbox_price
from proxyapi.pricing.charge import charge
from proxyapi.pricing.facts import (
    DrawingRule,
    Family,
    MediaRule,
    Mode,
    ModelFacts,
    Overhead,
    PictureRule,
    Rules,
    SearchRule,
    SpeechRule,
)
from proxyapi.pricing.price import Price
from proxyapi.providers.listing import Listing, created_of, ended, listing_of
from proxyapi.providers.provider import SANDBOX, Provider
from proxyapi.providers.quirks import origin_of
from proxyapi.providers.spoken import dialect_for, spoken
from proxyapi.providers.target import OtherModels, Target, in_order, in_responses
from proxyapi.usage import INPUT_TOKENS, OUTPUT_TOKENS, Unit, Usage

__all__ = ["Catalog", "Listing", "ModelFacts", "OtherModels", "Target"]

RESOLVED_MAX = 4_096
"""Remembered names; then all are forgotten. There are 1,200 models, each asked for in a few ways."""
NAME_CHARACTERS_MAX = 200
"""Longer names are nobody's."""

_ALIAS_STEPS_MAX = 4
_VENDOR_ALIASES = {"gemini": "google"}
_AGGREGATOR = "openrouter"
"""Serves the models of vendors that aren't connected themselves."""
_MAGIC = re.compile(r"echo|tool|nousage|fail-\d{3}|(?:slow|cut|error)-\d{1,6}")
"""Models of the sandbox that test a client."""
_MAGIC_OUTPUT_MAX = 16_384

_DEFAULT_VENDORS = (("anthropic", "anthropic"), ("gemini", "google"), ("openai", "openai"))
"""By the beginning of the dialect."""

_TOKENS = (INPUT_TOKENS | OUTPUT_TOKENS | {Unit.WEB_SEARCH, Unit.WEB_FETCH}) - {Unit.OUTPUT_IMAGE}
"""What another model can be charged for by itself: not pictures of a hosted tool, not the whole reply's own cost."""

_MODALITIES: dict[str, tuple[str, ...]] = {
    "google": ("text", "image", "pdf", "audio", "video"),
    "anthropic": ("text", "image", "pdf"),
}
"""Of a vendor's conversations, where `models.toml` is silent."""
_OUTPUTS = {"audio_speech": ("audio",), "image_generation": ("image",), "embedding": ("vector",)}
_INPUTS = {"audio_transcription": ("audio", "text")}


class _Known(NamedTuple):
    facts: ModelFacts
    offer: Offer
    cost: Price | None


class Catalog:
    """Made once; `set_overrides`, `convert` and `switch` when the operator changes something. Not shared between
    threads."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        book: PriceBook,
        *,
        clock: Callable[[], float],
        aliases: Mapping[str, str] | None = None,
        fallbacks: Mapping[str, Sequence[str]] | None = None,
        hold_factors: Mapping[str, Decimal] | None = None,
    ) -> None:
        """`providers`: of `load_providers`. `clock`: Unix seconds. `aliases`: the operator's names of models.
        `fallbacks`: by unified name, who is asked when that one does not answer.

        `hold_factors`: by tokenizer family, what counted prompts are multiplied with in holds.
        """
        self._configured = dict(providers)
        self._providers = dict(providers)
        self._sandbox = self._providers.get(SANDBOX)
        self._book = book
        self._clock = clock
        self._aliases = dict(aliases or {})
        self._factors = {name: int((factor * 100).to_integral_value()) for name, factor in (hold_factors or {}).items()}
        self._rules = Rules(book.snapshot.rules)
        self._overrides: dict[str, dict[Unit, int]] = {}
        self._override_names: list[str] = []
        self._fallbacks = {self._full(name): tuple(others) for name, others in (fallbacks or {}).items()}
        self._forget()

    def _forget(self) -> None:
        self._resolved: dict[tuple[str, str, str, str | None], Target] = {}
        self._known: dict[tuple[str, str], _Known] = {}
        self._listings: dict[str | None, list[Listing]] = {}
        self._expires = float("inf")

    def copy(self) -> Catalog:
        """Another one that can be changed while this stays as it is, for those who use it."""
        other = copy.copy(self)
        other._forget()
        return other

    @property
    def expired(self) -> bool:
        """A published price has changed since it was looked up, as its schedule said."""
        return self._clock() >= self._expires

    def set_overrides(self, overrides: Mapping[str, Mapping[Unit, int]]) -> None:
        """The operator's own prices, by unified name: nanos of the currency per 1,000,000 units."""
        self._overrides = {name.lower(): dict(prices) for name, prices in overrides.items()}
        self._override_names = list(overrides)
        self._forget()

    def convert(self, *, exchange_rate: Decimal, markup: Decimal) -> None:
        """Published prices by another rate and markup. What is held already is settled by its own price."""
        if (self._book.exchange_rate, self._book.markup) != (str(exchange_rate), str(markup)):
            self._book = self._book.at(exchange_rate=exchange_rate, markup=markup)
            self._forget()

    @property
    def book(self) -> PriceBook:
        """Published prices, as they are converted now."""
        return self._book

    def switch(self, enabled: Mapping[str, bool]) -> None:
        """Providers that are on or off, whatever they were made with; the others are as they were made."""
        self._providers = {
            name: msgspec.structs.replace(at, enabled=enabled[name]) if name in enabled else at
            for name, at in self._configured.items()
        }
        self._forget()

    @property
    def providers(self) -> Sequence[Provider]:
        """All of them, the sandbox too, as they are now."""
        return list(self._providers.values())

    def configured(self, name: str) -> Provider:
        """A provider as it was made, whatever was switched since. KeyError."""
        return self._configured[name]

    def provider(self, name: str) -> Provider:
        """A provider by its name in the journal. KeyError."""
        return self._providers[name]

    # --- one name ----------------------------------------------------------------------------------------------------

    def resolve(self, operation: str, dialect: str, model: str, provider: str | None) -> Target:
        """Who answers. `provider` is fixed by a native route; None: the unified API. UnknownModel."""
        if self._clock() >= self._expires:
            self._forget()
        key = (operation, dialect, model, provider)
        target = self._resolved.get(key)
        if target is None:
            target = self._ordered(operation, dialect, model, provider)
            if len(self._resolved) >= RESOLVED_MAX:
                self._resolved.clear()
            self._resolved[key] = target
        return target

    def _ordered(self, operation: str, dialect: str, model: str, provider: str | None) -> Target:
        """With those that are asked after it: only the unified API chooses among providers."""
        others = self.fallbacks(model, dialect) if provider is None and self._fallbacks else ()
        if not others:
            return self._resolve(operation, dialect, model, provider)
        found: list[Target] = []
        for name in (model, *others):
            try:
                found.append(self._resolve(operation, dialect, name, None))
            except UnknownModel:
                if name == model and not self._is_off(name, dialect):
                    raise
        if not found:
            raise UnknownModel(model)
        return in_order(found)

    def fallbacks(self, model: str, dialect: str = "openai") -> Sequence[str]:
        """Unified names of the models that are asked when this one does not answer."""
        return self._fallbacks.get(self._full(model, dialect), ())

    def _full(self, model: str, dialect: str = "openai") -> str:
        """The unified name, lower-case, of a model by any of its names."""
        return self._unified(*self._names(dialect, model, None)).lower()

    def _is_off(self, model: str, dialect: str) -> bool:
        """Whether it is only its provider that can't be asked now."""
        owner = self._providers.get(self._names(dialect, model, None)[0])
        return owner is not None and not (owner.enabled and (owner.connected or self._sandbox))

    def check_fallbacks(self) -> None:
        """SettingsError: a model that nobody sells. Those of the operator's own providers may get a price later."""
        for name in dict.fromkeys(name for model, others in self._fallbacks.items() for name in (model, *others)):
            owner_name, native = self._names("openai", name, None)
            owner = self._providers.get(owner_name)
            published = owner_name in self._book.providers
            if owner_name != SANDBOX and (owner is None or (published and self._find(owner, native) is None)):
                raise SettingsError(f"[fallbacks] {name!r} is not on sale: there is no such model, or it has no price")

    def _resolve(self, operation: str, dialect: str, model: str, provider: str | None) -> Target:
        if len(model) > NAME_CHARACTERS_MAX:
            raise UnknownModel(model[:NAME_CHARACTERS_MAX] + "…")
        name, native = self._names(dialect, model, provider)
        if name == SANDBOX or (provider is not None and _MAGIC.fullmatch(native)):
            return self._magic(operation, dialect, native, provider)
        owner = self._providers.get(name)
        known = self._find(owner, native) if owner is not None and owner.enabled else None
        if owner is None or known is None:
            raise UnknownModel(model, self._hint(name, native))
        speaks = dialect_for(owner, known.facts, dialect, operation, native=provider == name)
        return _target(self._upstream(owner), owner, known, speaks)

    def choose(self, call: Call, provider: str | None) -> Target:
        """As `resolve`, with what a call itself decides: some models take effort and functions in Responses only."""
        target = self.resolve(call.operation, call.dialect, call.model, provider)
        return in_responses(target) if call.effort_and_tools and provider is None else target

    # --- other models inside one reply -------------------------------------------------------------------------------

    def charge_others(self, target: Target, others: Iterable[ModelUsage]) -> OtherModels:
        """What other models spent in a reply of `target`, each at its own price where it has one.

        Iterations of the same model and pictures of a hosted tool are left to the price that was held.
        """
        amount = 0
        rest: list[Usage] = []
        for other in others:
            known = self._other(target, other.model)
            if known is None or not _TOKENS.issuperset(other.usage):
                rest.append(other.usage)
            else:
                amount += charge(other.usage, known.offer.price)
        return OtherModels(amount, rest)

    def advisor(self, target: Target, call: Call) -> Target | None:
        """Whom the advisor tool of a request asks. None: it has none, or names nobody who is known."""
        for tool in call.server_tools:
            if tool.kind == "advisor":
                known = self._other(target, next((value for name, value in tool.options if name == "model"), ""))
                if known is not None:
                    return _target(target.provider, self._providers[known.facts.provider], known, target.dialect)
        return None

    def _other(self, target: Target, model: str) -> _Known | None:
        """Another model of the same provider. None: it is not known, or is the same one under a dated name."""
        owner = self._providers.get(target.facts.provider)
        if not model or model == target.model or owner is None or len(model) > NAME_CHARACTERS_MAX:
            return None
        if self.expired:
            self._forget()
        known = self._find(owner, model)
        if known is None or known.facts.mode != "chat":
            return None
        price = known.offer.price
        same = price.rates == target.price.rates and price.tiers == target.price.tiers
        return None if same else known

    def _names(self, dialect: str, model: str, provider: str | None) -> tuple[str, str]:
        """Provider and native name that a client's name stands for."""
        for _ in range(_ALIAS_STEPS_MAX):
            if model not in self._aliases:
                break
            model = self._aliases[model]
            provider = None
        if dialect.startswith("gemini"):
            model = model.removeprefix("models/")
        if provider is not None:
            return provider, model
        vendor, slash, name = model.partition("/")
        if not slash:
            return _default_vendor(dialect), model
        vendor = _VENDOR_ALIASES.get(vendor, vendor)
        if vendor in self._providers or vendor == SANDBOX:
            return vendor, name
        return _AGGREGATOR, model

    def _upstream(self, owner: Provider) -> Provider:
        """The provider itself, or the sandbox in its place, in its dialect, if the operator has not connected it."""
        if owner.connected:
            return owner
        if self._sandbox is None:
            raise UnknownModel(owner.name, f"the operator has not connected {owner.title}")
        return self._stand_in(owner)

    def _stand_in(self, owner: Provider) -> Provider:
        assert self._sandbox is not None, "the caller looked"
        return msgspec.structs.replace(self._sandbox, stands_for=owner.name, keeps_responses=owner.keeps_responses)

    def _magic(self, operation: str, dialect: str, native: str, provider: str | None) -> Target:
        """`sandbox/echo` answers in the client's dialect, `sandbox/google/echo` in Google's."""
        vendor, slash, model = native.rpartition("/")
        owner = self._providers.get(
            _VENDOR_ALIASES.get(vendor, vendor) if slash else provider or _default_vendor(dialect)
        )
        if self._sandbox is None or owner is None or owner.name == SANDBOX or not _MAGIC.fullmatch(model):
            raise UnknownModel(f"{SANDBOX}/{native}", "" if self._sandbox else "the sandbox is switched off")
        facts = ModelFacts(
            name=f"{SANDBOX}/{native}",
            provider=SANDBOX,
            model=model,
            vendor=SANDBOX,
            output_tokens_max=_MAGIC_OUTPUT_MAX,
            billed_by_seconds=True,
            picture=self._rules.find(PictureRule, f"{SANDBOX}/{model}"),
            speech=SpeechRule(characters=True),
        )
        nature = owner.rules.nature(owner.name, model)
        speaks = spoken(owner, nature, dialect, operation, native=provider is not None)
        if speaks is None:
            raise UnknownModel(facts.name, f"{owner.title} has no {operation.replace('_', ' ')} in this dialect")
        return Target(
            provider=self._stand_in(owner),
            model=model,
            name=facts.name,
            dialect=speaks,
            price=sandbox_price(model),
            facts=facts,
            cost=sandbox_cost(model),
            quirks=_in_sandbox(nature.quirks),
            origin=origin_of(SANDBOX, nature.origin),
        )

    def _hint(self, provider: str, native: str) -> str:
        aggregator = self._providers.get(_AGGREGATOR)
        if aggregator is not None and aggregator.enabled and provider != _AGGREGATOR:
            name = f"{provider}/{native}"
            if "/" not in native and self._find(aggregator, name) is not None:
                return f"{_AGGREGATOR}/{name} is"
        return ""

    # --- facts and price of a model ----------------------------------------------------------------------------------

    def _find(self, owner: Provider, native: str) -> _Known | None:
        """Facts and price; None: not on sale."""
        model = native.lower() if owner.name in self._book.providers else native
        known = self._known.get((owner.name, model))
        if known is not None:
            return known
        entry = self._book.entry(owner.name, model)
        name = self._unified(owner.name, model)
        override = self._overrides.get(name.lower())
        if entry is None:
            if override is None:
                return None
            entry = self._book.unpublished(owner.name, model)
        offer = self._book.offer(entry, self._clock(), override, cost_reported=owner.reports_cost)
        if offer is None:
            return None
        cost: Price | None = offer.price
        if override is not None or self._book.marked_up:
            cost = self._book.cost(entry, self._clock(), cost_reported=owner.reports_cost)
        known = _Known(self._facts(entry, name, owner, offer.price), offer, cost)
        if len(self._known) >= RESOLVED_MAX:
            self._known.clear()
        self._known[owner.name, model] = known
        self._expires = min(self._expires, offer.expires)
        return known

    def _unified(self, provider: str, model: str) -> str:
        if provider != _AGGREGATOR:
            return f"{provider}/{model}"
        return f"{_AGGREGATOR}/{model}" if model.partition("/")[0] in self._providers else model

    def _facts(self, entry: Entry, name: str, owner: Provider, price: Price) -> ModelFacts:
        window = entry.window
        vendor = entry.model.partition("/")[0] if owner.name == _AGGREGATOR else owner.name
        names = (f"{entry.provider}/{entry.model}", *((entry.model,) if owner.name == _AGGREGATOR else ()))
        context = (window.context if window else 0) or (entry.row.context if entry.row else 0) or None
        mode = msgspec.convert(entry.mode, Mode)
        usual_inputs = _INPUTS.get(mode) or (_MODALITIES.get(vendor, ("text",)) if mode == "chat" else ("text",))
        inputs = tuple(window.inputs) if window else usual_inputs
        outputs = tuple(window.outputs) if window else _OUTPUTS.get(mode, ("text",))
        find = self._rules.find
        return ModelFacts(
            name=name,
            provider=owner.name,
            model=entry.model,
            vendor=vendor,
            mode=mode,
            context_tokens_max=context,
            input_tokens_max=(window.max_input if window else 0) or context,
            output_tokens_max=(window.max_output if window else 0) or None,
            modalities_in=inputs,
            modalities_out=outputs,
            reasoning=window.reasoning if window else False,
            created=created_of(entry.model),
            ends=window.ends if window else "",
            listed=not any(c.unlisted for c in entry.corrections),
            cost_reported=owner.reports_cost,
            billed_by_seconds=price.rates[Unit.AUDIO_SECONDS] > 0,
            billed_by_pieces=price.rates[Unit.IMAGES] > 0,
            cache_writes_automatic=owner.cache_writes_automatic,
            family=self._family(find(Family, *names)),
            overhead=find(Overhead, *names),
            picture=find(PictureRule, *names),
            media=find(MediaRule, *names),
            search=find(SearchRule, *names),
            speech=find(SpeechRule, *names),
            drawing=find(DrawingRule, *names),
        )

    def _family(self, family: Family) -> Family:
        percent = self._factors.get(family.name)
        return family if percent is None else Family(family.name, percent, min(percent, family.ascii or percent))

    # --- lists -------------------------------------------------------------------------------------------------------

    def models(self, provider: str | None = None) -> Sequence[Listing]:
        """What is on sale, by name; of one provider under its own names, or all of them."""
        if self.expired:
            self._forget()
        listings = self._listings.get(provider)
        if listings is None:
            owners = self._providers.values() if provider is None else [self._providers[provider]]
            found = (listing for owner in owners if self._offers(owner) for listing in self._list(owner))
            shown = (self._with_fallbacks(listing, provider) for listing in found)
            listings = self._listings[provider] = sorted(shown, key=lambda listing: listing.name)
        return listings

    def _with_fallbacks(self, listing: Listing, provider: str | None) -> Listing:
        others = self.fallbacks(listing.name) if provider is None and self._fallbacks else ()
        return listing._replace(fallbacks=tuple(others)) if others else listing

    def find(self, name: str, provider: str | None = None) -> Listing | None:
        """One model, also one that the list doesn't show; None: not on sale."""
        owner_name, native = self._names(provider or "openai", name, provider)
        owner = self._providers.get(owner_name)
        if owner is None or not self._offers(owner):
            return None
        known = self._find(owner, native.removeprefix("models/"))
        return None if known is None else self._with_fallbacks(listing_of(known.facts, known.offer.price), provider)

    def _offers(self, owner: Provider) -> bool:
        return owner.enabled and owner.name != SANDBOX and (owner.connected or self._sandbox is not None)

    def _list(self, owner: Provider) -> Iterator[Listing]:
        names = dict.fromkeys(self._book.names(owner.name))
        for name in self._override_names:
            vendor, native = self._names("openai", name, None)
            if vendor == owner.name:
                names[native] = None
        today = self._clock()
        for name in names:
            known = self._find(owner, name)
            if known is not None and known.facts.listed and not ended(known.facts.ends, today):
                yield listing_of(known.facts, known.offer.price)


def _target(upstream: Provider, owner: Provider, known: _Known, dialect: str) -> Target:
    """`upstream`: the owner itself, or the sandbox in its place: a state that the sandbox made is never the owner's."""
    facts = known.facts
    nature = owner.rules.nature(owner.name, facts.model)
    return Target(
        provider=upstream,
        model=facts.model,
        name=facts.name,
        dialect=dialect,
        price=known.offer.price,
        facts=facts,
        cost=known.cost if upstream.name == owner.name else sandbox_cost(facts.model),
        quirks=nature.quirks if upstream.name == owner.name else _in_sandbox(nature.quirks),
        origin=nature.origin if upstream.name == owner.name else origin_of(SANDBOX, nature.origin),
    )


def _in_sandbox(quirks: Quirks) -> Quirks:
    """As its owner's, but that no file has to be fetched for it: it looks into none."""
    return msgspec.structs.replace(quirks, no_link_media=False)


def _default_vendor(dialect: str) -> str:
    return next((vendor for start, vendor in _DEFAULT_VENDORS if dialect.startswith(start)), "openai")
