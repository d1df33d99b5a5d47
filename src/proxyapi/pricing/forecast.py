"""The largest usage of a request, before it is sent; the usage of a reply whose provider reported none; and what a
provider's report leaves out. Pure. Rules and sources: `data/rules.toml`.

An estimate is the price of a predicted usage, so a forecast is a usage like any other. It bounds the charge: every
quantity is the most that can come, and where one token can be billed under several units it stands under the dearest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from proxyapi.dialects.call import Call, Operation, Prompt
from proxyapi.errors import InvalidRequest
from proxyapi.pricing.book import variant_words
from proxyapi.pricing.charge import charge
from proxyapi.pricing.facts import ModelFacts
from proxyapi.pricing.images import drawing_tokens, percent_of
from proxyapi.pricing.media import media_tokens
from proxyapi.pricing.price import Price, join_words
from proxyapi.pricing.sound import SoundMeter, speech_tokens
from proxyapi.pricing.tokens import Tokenizer
from proxyapi.pricing.tools import overhead_tokens, tool_drawing_tokens, tool_units, tool_words
from proxyapi.usage import Unit, Usage

__all__ = ["Forecast", "SoundMeter", "counted", "forecast", "prompt_tokens", "settled", "variant_of"]

_PROMPT_FRAME = 3
_MESSAGE_FRAME = 4
"""3 per message and 1 for its role; 3 for the reply that begins. https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken"""
_TOOLS_FRAME = 12
_ENUM_ITEM = 2
_TRANSCRIPT_TOKENS_MIN = 2_000
_TRANSCRIPT_TOKENS_PER_SECOND = 5
"""Fast speech has 3 words a second; the published estimate of 0.006 USD a minute assumes 4.2 tokens."""
UNKNOWN_OUTPUT_TOKENS = 32_768
"""Held where neither the request nor any source names the longest answer."""
UNKNOWN_HISTORY_TOKENS = 131_072
"""Held for a conversation that the provider keeps: its length is only known there. (Our assumption.)"""
_AGGREGATOR_OUTPUT_MIN = 16
"""OpenRouter raises smaller limits to what the model's own provider takes."""
_DRAWING_TEXT_TOKENS = 8_192
"""Text and thoughts around a picture, where the request sets no limit."""

_INPUT, _OUTPUT, _REASONING, _CACHE_READ = Unit.INPUT, Unit.OUTPUT, Unit.REASONING, Unit.CACHE_READ
_REPORTED_COST = Unit.REPORTED_COST
_AUTOMATIC_WRITES = (Unit.CACHE_WRITE_5M, Unit.CACHE_WRITE_30M)
_USUAL_TIERS = frozenset({"", "auto", "default", "standard", "standard_only", "unspecified"})
_CHEAPER_TIERS = frozenset({"flex", "batch"})
"""Charged like the usual tier where no price of their own is known."""

_CACHE_WRITES = {
    "5m": Unit.CACHE_WRITE_5M,
    "30m": Unit.CACHE_WRITE_30M,
    "1h": Unit.CACHE_WRITE_1H,
    "12h": Unit.CACHE_WRITE_12H,
}


class Forecast(Struct, frozen=True):
    usage: Usage
    variant: str
    """Which rates of the price apply: kept with the hold and its entry."""


class Priced(Protocol):
    """A model at a provider: `providers.catalog.Target`."""

    @property
    def facts(self) -> ModelFacts: ...
    @property
    def price(self) -> Price: ...


def forecast(call: Call, target: Priced, tokenizer: Tokenizer, *, advisor: Priced | None = None) -> Forecast:
    """The most that a request can use. InvalidRequest: a service tier, a speed or a region without a price.

    `advisor`: whom a hosted advisor tool asks (`Catalog.advisor`); None: a model of the same price.
    """
    facts = target.facts
    if facts.mode == "chat" and not (call.service_tier or call.speed or call.region or call.server_tools):
        plain = _plain_conversation(call, facts, target.price, tokenizer)
        if plain is not None:
            return Forecast(plain, "")
    usage = _OPERATIONS[call.operation](call, facts, target.price, tokenizer)
    if facts.mode == "request":
        usage[Unit.REQUESTS] = call.choices
    if call.server_tools and call.operation in _CONVERSATIONS:
        _advised(usage, call, target, tokenizer, advisor)
    return Forecast({unit: n for unit, n in usage.items() if n}, variant_of(call, target))


def _advised(usage: dict[Unit, int], call: Call, target: Priced, tokenizer: Tokenizer, advisor: Priced | None) -> None:
    """One consultation more: an advisor reads the whole conversation and answers at the length of its ceiling."""
    tool = next((tool for tool in call.server_tools if tool.kind == "advisor"), None)
    if tool is None or tool.uses_max == 0:
        return
    asked = advisor or target
    facts, rates = asked.facts, asked.price.rates
    text = prompt_tokens(call.prompt, tokenizer)
    held = _held(text, call.prompt, facts) + overhead_tokens(call, facts)
    spent = _input(held, facts.input_tokens_max, call, facts, asked.price, tokenizer)
    ceiling = facts.output_tokens_max or UNKNOWN_OUTPUT_TOKENS
    unit = _REASONING if rates[_REASONING] > rates[_OUTPUT] else _OUTPUT
    spent[unit] = spent.get(unit, 0) + ceiling
    if advisor is not None:
        spent = {Unit.OTHER_MODELS: charge(spent, advisor.price)}
    for unit, quantity in spent.items():
        usage[unit] = usage.get(unit, 0) + quantity


def _plain_conversation(call: Call, facts: ModelFacts, price: Price, tokenizer: Tokenizer) -> dict[Unit, int] | None:
    """`_conversation` for texts alone, which nearly all requests are: the same figures by a straight way.

    None: there is more to it.
    """
    prompt = call.prompt
    if (
        call.operation not in _CONVERSATIONS
        or facts.search.per_choice
        or prompt.media
        or prompt.tools
        or prompt.names
        or call.output_modalities
        or call.cache_writes
        or call.previous_response_id
        or call.conversation
    ):
        return None
    text = _PROMPT_FRAME + _MESSAGE_FRAME * prompt.messages + tokenizer.count_all(prompt.texts) + prompt.tokens
    family = facts.family
    percent = family.percent
    if family.ascii is not None and _is_ascii(prompt):
        percent = family.ascii
    held = (text if percent == 100 else percent_of(text, percent)) + facts.overhead.request
    if facts.input_tokens_max is not None and held > facts.input_tokens_max:
        held = facts.input_tokens_max
    rates = price.rates
    into = _CACHE_READ if rates[_CACHE_READ] > rates[_INPUT] else _INPUT
    if facts.cache_writes_automatic:
        for unit in _AUTOMATIC_WRITES:
            if rates[unit] > rates[into]:
                into = unit
    out = _REASONING if rates[_REASONING] > rates[_OUTPUT] else _OUTPUT
    # No zero here: the frame of a prompt is 3 tokens, and a ceiling of nothing is dropped.
    ceiling = output_ceiling(call, facts, text)
    return {into: held, out: ceiling * call.choices} if ceiling else {into: held}


def variant_of(call: Call, target: Priced, served: str | None = None) -> str:
    """Words of the price for a call. `served` is the service tier that the answer names; None or empty: as asked.

    To be used for the hold with the tier that is asked for, and for the settlement with the one that served.
    """
    price, facts = target.price, target.facts
    usual = served in _USUAL_TIERS or served is None
    special = call.service_tier or call.speed or call.region or call.server_tools
    if usual and not special and facts.mode == "chat":
        return ""
    asked = call.service_tier.lower().removeprefix("service_tier_")
    tier = (served or asked).lower().removeprefix("service_tier_")
    region = call.region.lower()
    for word, name in ((asked, "service_tier"), (call.speed.lower(), "speed"), (region, "inference_geo")):
        known = word in _USUAL_TIERS or word in _CHEAPER_TIERS or word in price.variants
        if not known and not facts.cost_reported and facts.provider != "sandbox" and served is None:
            raise InvalidRequest(f"{facts.name} has no published price for {name} {word!r}", param=name)
    words = [tier] if tier not in _USUAL_TIERS else []
    if call.speed and call.speed != tier:
        words.append(call.speed.lower())
    if region:
        words.append(region)
    if facts.mode == "image_generation":
        words += _piece_words(call)
        words = words[:1] if words[:1] and words[0] in price.variants else _first_known(price, words)
    return join_words(variant_words(price, *words), tool_words(call, price))


def _piece_words(call: Call) -> list[str]:
    """How price lines by the piece are named, the narrowest first. Absent: dall-e's defaults."""
    quality, size = call.quality or "standard", call.size or "1024x1024"
    return [f"{quality} {size}", quality, size]


def _first_known(price: Price, words: Iterable[str]) -> list[str]:
    return [word for word in words if word in price.variants][:1]


# --- conversations ----------------------------------------------------------------------------------------------------


def prompt_tokens(prompt: Prompt, tokenizer: Tokenizer) -> int:
    """Text of a prompt by the chat formula: content, 3 per message, 1 per role, 3 for the reply; tools in full."""
    total = _PROMPT_FRAME + _MESSAGE_FRAME * prompt.messages + tokenizer.count_all(prompt.texts) + prompt.tokens
    for name in prompt.names:
        total += 1 + tokenizer.count(name)
    if prompt.tools:
        total += tokenizer.count(prompt.tools) + _TOOLS_FRAME + _ENUM_ITEM * prompt.tool_enum_items
    return total


def _is_ascii(prompt: Prompt) -> bool:
    return prompt.tools.isascii() and all(text.isascii() for text in prompt.texts)


def _held(tokens: int, prompt: Prompt, facts: ModelFacts) -> int:
    """Tokens by o200k as the most that the model's own tokenizer makes of them."""
    family = facts.family
    percent = family.ascii if family.ascii is not None and _is_ascii(prompt) else family.percent
    return tokens if percent == 100 else percent_of(tokens, percent)


def _conversation(call: Call, facts: ModelFacts, price: Price, tokenizer: Tokenizer) -> dict[Unit, int]:
    text = prompt_tokens(call.prompt, tokenizer)
    held = _held(text, call.prompt, facts) + overhead_tokens(call, facts)
    if call.previous_response_id or call.conversation:
        held += UNKNOWN_HISTORY_TOKENS
    usage = _input(held, facts.input_tokens_max, call, facts, price, tokenizer)
    tools = tool_units(call, facts, price)
    for unit, quantity in tools.units.items():
        usage[unit] = usage.get(unit, 0) + quantity
    if tools.content:
        unit = _input_unit(call, facts, price)
        usage[unit] = usage.get(unit, 0) + tools.content
    for unit, quantity in _output(call, facts, price, text).items():
        usage[unit] = usage.get(unit, 0) + quantity
    return usage


def _input(
    text: int, limit: int | None, call: Call, facts: ModelFacts, price: Price, tokenizer: Tokenizer
) -> dict[Unit, int]:
    """The prompt, by the units that it can be billed under. What is beyond the limit is refused upstream."""
    unit = _input_unit(call, facts, price)
    usage = {unit: text}
    if call.prompt.media:
        media = media_tokens(call, facts, tokenizer)
        usage[unit] += media.general
        for kind, tokens in ((Unit.INPUT_IMAGE, media.pictures), (Unit.INPUT_AUDIO, media.sound)):
            dearest = kind if price.rates[kind] > price.rates[unit] else unit
            usage[dearest] = usage.get(dearest, 0) + tokens
    if limit is not None:
        usage = {kind: min(tokens, limit) for kind, tokens in usage.items()}
    return usage


def _input_unit(call: Call, facts: ModelFacts, price: Price) -> Unit:
    """The dearest unit that fresh text can be billed under."""
    units = [Unit.INPUT, Unit.CACHE_READ]
    if call.cache_writes:
        units.append(_CACHE_WRITES.get(call.cache_writes, Unit.CACHE_WRITE_12H))
    if facts.cache_writes_automatic:
        units += _AUTOMATIC_WRITES
    return max(units, key=price.rates.__getitem__)


def output_ceiling(call: Call, facts: ModelFacts, prompt: int) -> int:
    """Tokens of one answer at most: the request's limit, the model's, and what the window leaves."""
    asked = call.output_tokens_max
    if asked is not None and facts.cost_reported:
        asked = max(asked, _AGGREGATOR_OUTPUT_MIN)
    ceiling = facts.output_tokens_max
    if ceiling is None:
        ceiling = UNKNOWN_OUTPUT_TOKENS if asked is None else asked
    elif asked is not None and asked < ceiling:
        ceiling = asked
    if facts.context_tokens_max is not None:
        left = facts.context_tokens_max - prompt
        if left < ceiling:
            # Whoever is asked for an answer of nothing gives none; a full window still lets one token through.
            ceiling = left if left > 1 else min(ceiling, 1)
    return ceiling


def _output(call: Call, facts: ModelFacts, price: Price, prompt: int) -> dict[Unit, int]:
    ceiling = output_ceiling(call, facts, prompt)
    units = [Unit.OUTPUT, Unit.REASONING]
    if "audio" in call.output_modalities or facts.mode == "audio_speech":
        units.append(Unit.OUTPUT_AUDIO)
    usage: dict[Unit, int] = {}
    if facts.mode == "image_generation" or "image" in call.output_modalities:
        pictures = drawing_tokens(facts.drawing, call.size, call.quality)
        usage[Unit.OUTPUT_IMAGE] = pictures * call.choices
        if call.output_tokens_max is None:
            ceiling = min(ceiling, _DRAWING_TEXT_TOKENS)
    usage[max(units, key=price.rates.__getitem__)] = ceiling * call.choices
    return usage


# --- other operations -------------------------------------------------------------------------------------------------


def _plain_text(call: Call, facts: ModelFacts, price: Price, tokenizer: Tokenizer) -> dict[Unit, int]:
    """Embeddings and moderation: texts without frames, no output. Windows are for each text, and each has a token."""
    texts = call.prompt.texts
    text = tokenizer.count_all(texts) + len(texts)
    # One request may also bring token ids of any number of texts.
    limit = None if facts.input_tokens_max is None or call.prompt.tokens else facts.input_tokens_max * len(texts)
    return _input(_held(text, call.prompt, facts) + call.prompt.tokens, limit, call, facts, price, tokenizer)


def _completion(call: Call, facts: ModelFacts, price: Price, tokenizer: Tokenizer) -> dict[Unit, int]:
    usage = _plain_text(call, facts, price, tokenizer)
    return usage | _output(call, facts, price, sum(usage.values()))


def _speech(call: Call, facts: ModelFacts, price: Price, tokenizer: Tokenizer) -> dict[Unit, int]:
    return dict(speech_tokens(call, facts, tokenizer))


def _transcription(call: Call, facts: ModelFacts, price: Price, tokenizer: Tokenizer) -> dict[Unit, int]:
    seconds = call.audio_seconds or 0
    if price.rates[Unit.AUDIO_SECONDS]:
        return {Unit.AUDIO_SECONDS: seconds}
    output = max(_TRANSCRIPT_TOKENS_MIN, seconds * _TRANSCRIPT_TOKENS_PER_SECOND)
    text = _held(tokenizer.count_all(call.prompt.texts), call.prompt, facts)
    return {Unit.INPUT: text, Unit.INPUT_AUDIO: seconds * facts.media.sound, Unit.OUTPUT: output}


def _drawing(call: Call, facts: ModelFacts, price: Price, tokenizer: Tokenizer) -> dict[Unit, int]:
    if price.rates[Unit.IMAGES]:
        return {Unit.IMAGES: call.choices}
    each = drawing_tokens(facts.drawing, call.size, call.quality) + facts.drawing.partial * call.partial_images
    return {
        Unit.INPUT: tokenizer.count_all(call.prompt.texts) + _PROMPT_FRAME + _MESSAGE_FRAME,
        Unit.INPUT_IMAGE: len(call.prompt.media) * facts.drawing.input,
        Unit.OUTPUT_IMAGE: each * call.choices,
    }


def _nothing(call: Call, facts: ModelFacts, price: Price, tokenizer: Tokenizer) -> dict[Unit, int]:
    """Counting tokens is free at every provider."""
    return {}


_CONVERSATIONS: frozenset[Operation] = frozenset({"chat", "responses", "messages", "generate"})
_OPERATIONS: dict[Operation, Callable[[Call, ModelFacts, Price, Tokenizer], dict[Unit, int]]] = {
    "chat": _conversation,
    "responses": _conversation,
    "messages": _conversation,
    "generate": _conversation,
    "completions": _completion,
    "embeddings": _plain_text,
    "moderations": _plain_text,
    "speech": _speech,
    "transcription": _transcription,
    "translation": _transcription,
    "image_generation": _drawing,
    "image_edit": _drawing,
    "image_variation": _drawing,
    "count_tokens": _nothing,
}


# --- settling ---------------------------------------------------------------------------------------------------------


def counted(call: Call, facts: ModelFacts, tokenizer: Tokenizer, texts: Sequence[str]) -> Usage:
    """The usage of a reply that reported none: the prompt and what was delivered, counted without any factor.

    To be completed by `settled`, like a reported one.
    """
    output = tokenizer.count_all(texts)
    match call.operation:
        case "count_tokens":
            return {}
        case "transcription" | "translation":
            return _heard(call.audio_seconds or 0, facts, tokenizer.count_all(call.prompt.texts), output)
        case "speech":
            return speech_tokens(call, facts, tokenizer)
        case "image_generation" | "image_edit" | "image_variation":
            return {Unit.INPUT: tokenizer.count_all(call.prompt.texts), Unit.IMAGES: call.choices}
        case "embeddings" | "moderations" | "completions":
            text = tokenizer.count_all(call.prompt.texts) + call.prompt.tokens
        case _:
            text = prompt_tokens(call.prompt, tokenizer)
    media = media_tokens(call, facts, tokenizer)
    usage = {
        Unit.INPUT: text + media.general + media.pictures,
        Unit.INPUT_AUDIO: media.sound,
        Unit.OUTPUT: output,
    }
    return {unit: quantity for unit, quantity in usage.items() if quantity}


def settled(
    call: Call, facts: ModelFacts, usage: Usage, *, others: Sequence[Usage] = (), other_models: int = 0
) -> Usage:
    """A reported or counted usage, completed by what no provider reports. Explicit zeros stay zero.

    `other_models` are the nanos that other models cost inside the reply, `others` what has no price of its own there
    (pictures of a hosted tool, a compaction): it is charged at the rates of the price that was held, pictures at those
    of the tool. Both come from `Catalog.charge_others`.
    """
    search = facts.search
    if facts.mode == "chat" and not (
        others or other_models or search.per_choice or search.per_request or _REPORTED_COST in usage
    ):
        return usage
    if Unit.REPORTED_COST in usage and not facts.cost_reported:
        usage = {unit: quantity for unit, quantity in usage.items() if unit is not Unit.REPORTED_COST}
    if Unit.REPORTED_COST in usage or not (any(usage.values()) or others or other_models):
        return usage
    changed = dict(usage)
    if other_models:
        changed[Unit.OTHER_MODELS] = other_models
    for other in others:
        for unit, quantity in _drawn(call, facts, other).items():
            if unit is not Unit.REPORTED_COST:
                changed[unit] = changed.get(unit, 0) + quantity
    if search.per_choice and call.operation in ("chat", "responses"):
        changed[Unit.WEB_SEARCH] = call.choices
    elif search.per_request and changed.get(Unit.WEB_SEARCH, 0) > 1:
        changed[Unit.WEB_SEARCH] = 1
    if facts.mode == "request":
        changed[Unit.REQUESTS] = 1
    elif facts.mode == "image_generation" and not facts.billed_by_pieces:
        changed = _drawn(call, facts, changed)
    elif facts.mode == "audio_transcription" and Unit.AUDIO_SECONDS in changed and not facts.billed_by_seconds:
        seconds = changed.pop(Unit.AUDIO_SECONDS)
        if not changed.get(Unit.INPUT_AUDIO):
            changed |= _heard(seconds, facts, changed.get(Unit.INPUT, 0), changed.get(Unit.OUTPUT, 0))
    return changed


def _heard(seconds: int, facts: ModelFacts, prompt: int, output: int) -> dict[Unit, int]:
    """Sound that was transcribed, in the unit that the model is billed by."""
    if facts.billed_by_seconds:
        return {Unit.AUDIO_SECONDS: seconds}
    output = output or seconds * _TRANSCRIPT_TOKENS_PER_SECOND
    return {Unit.INPUT: prompt, Unit.INPUT_AUDIO: seconds * facts.media.sound, Unit.OUTPUT: output}


def _drawn(call: Call, facts: ModelFacts, usage: Usage) -> dict[Unit, int]:
    """Pictures that were counted by the piece, as the tokens that they are billed by."""
    changed = dict(usage)
    pieces = changed.pop(Unit.IMAGES, 0)
    if pieces and not changed.get(Unit.OUTPUT_IMAGE):
        tool = next((tool for tool in call.server_tools if tool.kind == "image_generation"), None)
        each = tool_drawing_tokens(tool, facts) if tool else drawing_tokens(facts.drawing, call.size, call.quality)
        changed[Unit.OUTPUT_IMAGE] = pieces * each
    return changed
