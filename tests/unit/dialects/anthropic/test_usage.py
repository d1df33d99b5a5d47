"""Usage objects as disjoint units, and back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyapi.dialects.anthropic.usage import others, report, usage, written
from proxyapi.dialects.model import ModelUsage
from proxyapi.usage import Unit

TOLD = tuple(unit for unit in Unit if unit not in (Unit.REPORTED_COST, Unit.OTHER_MODELS))
USAGES = st.dictionaries(st.sampled_from(TOLD), st.integers(1, 10**9))


def test_input_excludes_both_caches_and_output_holds_thinking():
    wire = written({
        Unit.INPUT: 1, Unit.CACHE_READ: 2, Unit.CACHE_WRITE_5M: 3, Unit.CACHE_WRITE_1H: 4, Unit.OUTPUT: 5,
        Unit.REASONING: 6, Unit.WEB_SEARCH: 7,
    })  # fmt: skip
    assert wire == {
        "input_tokens": 1,
        "cache_read_input_tokens": 2,
        "cache_creation_input_tokens": 7,
        "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
        "output_tokens": 11,
        "output_tokens_details": {"thinking_tokens": 6},
        "server_tool_use": {"web_search_requests": 7, "web_fetch_requests": 0},
    }


def test_units_that_the_dialect_lacks_stand_beside_its_own_and_within_its_totals():
    wire = written({Unit.INPUT: 1, Unit.INPUT_AUDIO: 2, Unit.OUTPUT: 3, Unit.OUTPUT_IMAGE: 4, Unit.CACHE_WRITE_30M: 5})
    assert (wire["input_tokens"], wire["output_tokens"], wire["cache_creation_input_tokens"]) == (3, 7, 5)
    assert (wire["audio_input_tokens"], wire["image_output_tokens"]) == (2, 4)


@given(USAGES)
def test_a_bill_read_from_our_reply_is_the_bill_that_we_made(spent):
    wire = json.loads(json.dumps(written(spent)))
    assert {unit: quantity for unit, quantity in usage(wire).items() if quantity} == spent


@given(USAGES)
def test_the_short_way_of_metering_agrees_with_the_long_one(spent):
    wire = written(spent)
    body = json.dumps({"type": "message", "id": "m", "model": "c", "stop_reason": "end_turn", "usage": wire}).encode()
    found = report(body)
    assert found is None or {unit: quantity for unit, quantity in found.usage.items() if quantity} == spent


def test_other_models_inside_a_reply_stay_apart():
    found = (ModelUsage("opus", {Unit.INPUT: 7, Unit.OUTPUT: 3}),)
    assert others(written({Unit.INPUT: 1}, found)) == found


@pytest.mark.parametrize(("currency", "billed"), [("USD", True), (None, True), ("RUB", False)])
def test_a_price_in_another_currency_is_not_taken_for_dollars(currency, billed):
    wire = {"input_tokens": 1, "output_tokens": 1, "cost": 1} | ({"cost_currency": currency} if currency else {})
    assert (Unit.REPORTED_COST in usage(wire)) is billed
