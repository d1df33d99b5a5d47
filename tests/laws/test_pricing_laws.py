"""Laws of prices: a hold bounds its charge, more never costs less, lines add up, nothing is negative."""

from __future__ import annotations

import base64

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from proxyapi.dialects.call import AudioInput, Call, DocumentInput, ImageInput, Prompt, ServerTool, VideoInput
from proxyapi.dialects.ceiling import OUTPUT_TOKENS_MIN
from proxyapi.ledger.ops import Accepted, Balance, Ending, Hold, Op, Settled
from proxyapi.ledger.plan import Facts, plan
from proxyapi.pricing.audio import SECONDS_MAX, duration_seconds
from proxyapi.pricing.book import PriceBook
from proxyapi.pricing.ceiling import Outlook, affordable, at_least, cost_of, outlook
from proxyapi.pricing.charge import charge, lines
from proxyapi.pricing.forecast import _conversation, _plain_conversation, counted, forecast, settled
from proxyapi.pricing.images import SIDE_MAX, claude_tokens, patches, size_of, tile_tokens
from proxyapi.pricing.price import RATE_UNITS, Price, Table, Tier, from_json, make_price
from proxyapi.pricing.snapshot import load_snapshot
from proxyapi.pricing.tokens import Tokenizer
from proxyapi.providers.catalog import Catalog, Target
from proxyapi.providers.provider import ProviderConfig, load_providers
from proxyapi.usage import INPUT_TOKENS, OUTPUT_TOKENS, Unit

NOW = 1_795_000_000.0
TOKENIZER = Tokenizer()
CATALOG = Catalog(
    load_providers({"sandbox": ProviderConfig(base_url="http://127.0.0.1:9")}),
    PriceBook(load_snapshot(), exchange_rate="91.7", markup="0.13"),
    clock=lambda: NOW,
)
CONVERSATIONS = sorted(
    model.name for model in CATALOG.models() if model.mode == "chat" and not model.name.startswith("openrouter/")
)

quantities = st.dictionaries(st.sampled_from([u for u in Unit if u is not Unit.REPORTED_COST]), st.integers(0, 10**7))
rates = st.fixed_dictionaries({unit: st.integers(0, 10**13) for unit in Unit})


@st.composite
def prices(draw: st.DrawFn) -> Price:
    base = draw(rates)
    dearer = {unit: rate + draw(st.integers(0, 10**6)) for unit, rate in base.items()}
    tiers = (Tier(draw(st.integers(1, 10**6)), dearer),) if draw(st.booleans()) else ()
    return make_price(provider="p", model="m", rates=base, tiers=tiers, variants={"v": Table(draw(rates))})


@given(quantities, prices(), st.sampled_from(["", "v"]))
def test_lines_sum_to_the_charge_within_one_rounding(usage: dict[Unit, int], price: Price, variant: str) -> None:
    total = sum(line.amount for line in lines(usage, price, variant=variant))
    assert total <= charge(usage, price, variant=variant) * RATE_UNITS < total + RATE_UNITS


@given(quantities, prices(), st.sampled_from(list(Unit)), st.integers(0, 10**6))
def test_more_never_costs_less(usage: dict[Unit, int], price: Price, unit: Unit, more: int) -> None:
    if unit is not Unit.REPORTED_COST:
        assert charge({**usage, unit: usage.get(unit, 0) + more}, price) >= charge(usage, price) >= 0


@given(prices())
def test_a_price_is_the_same_after_the_ledger(price: Price) -> None:
    assert from_json(price.to_json()) == price


texts = st.lists(st.text(max_size=60), max_size=4).map(tuple)
media = st.lists(
    st.one_of(
        st.builds(ImageInput, st.binary(max_size=40).map(lambda b: base64.b64encode(b).decode())),
        st.builds(AudioInput, st.binary(max_size=40).map(lambda b: base64.b64encode(b).decode())),
        st.just(DocumentInput("aGVsbG8=", "application/pdf")),
        st.just(VideoInput("aGVsbG8=", "video/mp4")),
    ),
    max_size=2,
).map(tuple)
tools = st.lists(
    st.builds(
        ServerTool,
        st.sampled_from(
            ["web_search", "web_fetch", "file_search", "code_execution", "image_generation", "advisor", "other"]
        ),
        st.none() | st.integers(0, 20),
    ),
    max_size=2,
).map(tuple)
calls = st.builds(
    Call,
    operation=st.sampled_from(["chat", "responses", "messages", "generate"]),
    dialect=st.just("openai_chat"),
    model=st.just("m"),
    prompt=st.builds(Prompt, messages=st.integers(0, 5), texts=texts, media=media, tools=st.sampled_from(["", "[{}]"])),
    output_tokens_max=st.none() | st.integers(0, 10**6),
    choices=st.integers(1, 4),
    server_tools=tools,
    cache_writes=st.sampled_from(["", "5m", "1h"]),
)


def _target(name: str) -> Target:
    return CATALOG.resolve("chat", "openai_chat", name, None)


@settings(max_examples=300, deadline=None)
@given(calls, st.sampled_from(CONVERSATIONS), st.data())
def test_a_hold_bounds_every_usage_within_the_forecast(call: Call, name: str, data: st.DataObject) -> None:
    """Whatever part of the prompt comes from a cache, and whatever part of the answer is thinking."""
    target = _target(name)
    predicted = forecast(call, target, TOKENIZER)
    assert all(quantity > 0 for quantity in predicted.usage.values())
    usage: dict[Unit, int] = {}
    for unit, most in predicted.usage.items():
        quantity = data.draw(st.integers(0, most))
        cached = data.draw(st.integers(0, quantity))
        if unit in (Unit.INPUT, Unit.CACHE_READ) or unit.startswith("cache_write"):
            parts: list[tuple[Unit, int]] = [(Unit.CACHE_READ, cached), (Unit.INPUT, quantity - cached)]
        elif unit in (Unit.OUTPUT, Unit.REASONING):
            parts = [(Unit.REASONING, cached), (Unit.OUTPUT, quantity - cached)]
        else:
            parts = [(unit, quantity)]
        for part, number in parts:
            usage[part] = usage.get(part, 0) + number
    held = charge(predicted.usage, target.price, variant=predicted.variant)
    assert charge(usage, target.price, variant=predicted.variant) <= held


@settings(max_examples=200, deadline=None)
@given(calls, st.sampled_from(CONVERSATIONS), texts)
def test_what_is_counted_can_be_charged(call: Call, name: str, delivered: tuple[str, ...]) -> None:
    target = _target(name)
    usage = settled(call, target.facts, counted(call, target.facts, TOKENIZER, delivered))
    assert all(quantity >= 0 for quantity in usage.values())
    assert charge(usage, target.price) >= 0


@settings(max_examples=200, deadline=None)
@given(calls, st.sampled_from(CONVERSATIONS))
def test_an_answer_within_its_limits_never_outgrows_the_hold(call: Call, name: str) -> None:
    """The prompt as we count it, and an answer as long as the ceiling."""
    target = _target(name)
    predicted = forecast(call, target, TOKENIZER)
    output = {unit: n for unit, n in predicted.usage.items() if unit in OUTPUT_TOKENS}
    window = target.facts.input_tokens_max
    spent = counted(call, target.facts, TOKENIZER, ())
    if window is None or sum(n for unit, n in spent.items() if unit in INPUT_TOKENS) <= window:
        usage = settled(call, target.facts, {**spent, **output})
        held = charge(predicted.usage, target.price, variant=predicted.variant)
        assert charge(usage, target.price, variant=predicted.variant) <= held


@settings(max_examples=300, deadline=None)
@given(calls, st.sampled_from(CONVERSATIONS), st.integers(0, 10**6))
def test_a_lower_ceiling_costs_what_its_own_forecast_says(call: Call, name: str, ceiling: int) -> None:
    target = _target(name)
    asked = forecast(call, target, TOKENIZER)
    found = outlook(forecast(at_least(call), target, TOKENIZER), asked, call.choices, target.price)
    if found is None:
        return
    assert found.cost(found.most) == charge(asked.usage, target.price, variant=asked.variant)
    ceiling = max(OUTPUT_TOKENS_MIN, min(ceiling, found.most))
    shorter = forecast(structs.replace(call, output_tokens_max=ceiling), target, TOKENIZER)
    assert {unit: n for unit, n in found.usage(ceiling).items() if n} == shorter.usage
    assert found.variant == shorter.variant


outlooks = st.builds(
    Outlook,
    least=quantities,
    unit=st.sampled_from(sorted(OUTPUT_TOKENS)),
    each=st.integers(1, 8),
    most=st.integers(OUTPUT_TOKENS_MIN, 10**6),
    price=prices(),
    variant=st.sampled_from(["", "v"]),
)


@given(st.lists(outlooks, min_size=1, max_size=3), st.integers(0, 10**15), st.integers(0, 10**15))
def test_what_is_afforded_is_never_more_than_there_is_and_more_money_affords_no_less(
    found: list[Outlook], amount: int, more: int
) -> None:
    ceiling = affordable(found, amount)
    if ceiling is None:
        assert cost_of(found, OUTPUT_TOKENS_MIN) > amount
        return
    assert cost_of(found, ceiling) <= amount
    assert ceiling == max(o.most for o in found) or cost_of(found, ceiling + 1) > amount
    assert (affordable(found, amount + more) or 0) >= ceiling


@given(st.lists(outlooks, min_size=1, max_size=3), st.integers(0, 10**15), st.integers(0, 10**16))
def test_a_shortened_request_is_never_charged_more_than_was_there(
    found: list[Outlook], there_is: int, actual: int
) -> None:
    """Whatever its provider makes of the ceiling."""
    ceiling = affordable(found, there_is)
    if ceiling is None:
        return
    price = found[0].price
    hold = Hold(bytes(16), 1, 2, cost_of(found, ceiling), price, "p", "m", "chat")
    ending = Ending(hold.id, 1, price, "p", "m", "chat", actual=actual)
    ops: list[Op] = [hold, ending]
    pots = {1: Balance(there_is, 0, 0)}
    known = Facts(pots, {}, {}, {}, {}, frozenset(), {}, 0)
    accepted, settled = plan(ops, known).results
    assert isinstance(accepted, Accepted) and isinstance(settled, Settled)
    assert settled.charged == min(actual, there_is)
    assert settled.charged + settled.loss == actual


FILE_HEADS = [b"", b"RIFF", b"fLaC", b"OggS", b"\x1aE\xdf\xa3", b"ID3", b"\xff\xf1"]


@given(st.integers(1, SIDE_MAX), st.integers(1, SIDE_MAX))
def test_pictures_of_any_size_stay_within_their_rules(width: int, height: int) -> None:
    assert 85 < tile_tokens(width, height, 85, 170) <= 85 + 8 * 170
    assert 0 < patches(width, height, 1536, 2048) <= 1536
    assert 0 < claude_tokens(width, height, 1568, 1568) <= 1568


@given(st.binary(max_size=300), st.sampled_from(FILE_HEADS))
def test_no_bytes_break_a_header_reader(data: bytes, head: bytes) -> None:
    file = head + data
    seconds = duration_seconds(file)
    assert (seconds is None) == (not file)
    assert seconds is None or 1 <= seconds <= SECONDS_MAX
    size = size_of(file)
    assert size is None or min(size) > 0


BOX_NAMES = b"moov trak mdia mdhd tkhd moof traf tfhd trun mvex trex".split()
boxes = st.recursive(
    st.binary(max_size=24),
    lambda inner: st.builds(
        lambda name, parts: (len(b"".join(parts)) + 8).to_bytes(4, "big") + name + b"".join(parts),
        st.sampled_from(BOX_NAMES),
        st.lists(inner, max_size=3),
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(boxes)
def test_no_boxes_break_the_reader_of_films(data: bytes) -> None:
    seconds = duration_seconds(b"\0\0\0\x10ftypM4A \0\0\0\0" + data)
    assert seconds is not None
    assert 1 <= seconds <= SECONDS_MAX


def test_every_model_on_sale_has_a_rate_for_every_unit() -> None:
    for name in CONVERSATIONS:
        assert set(_target(name).price.rates) == set(Unit), name


@settings(max_examples=300, deadline=None)
@given(calls, st.sampled_from(CONVERSATIONS))
def test_the_short_way_to_a_forecast_finds_what_the_long_one_finds(call: Call, name: str) -> None:
    target = _target(name)
    call = structs.replace(call, server_tools=(), prompt=structs.replace(call.prompt, media=(), tools=""))
    long = _conversation(call, target.facts, target.price, TOKENIZER)
    short = _plain_conversation(call, target.facts, target.price, TOKENIZER)
    assert (short is None) == bool(call.cache_writes or target.facts.search.per_choice)
    assert short is None or short == {unit: quantity for unit, quantity in long.items() if quantity}
