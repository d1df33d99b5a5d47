"""Usage objects of Chat and Responses: what they say, and that the same units are read back."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyapi.dialects.openai_usage import chat_usage, response_usage, written
from proxyapi.usage import INPUT_TOKENS, OUTPUT_TOKENS, Unit

READERS = {"chat": chat_usage, "responses": response_usage}
usages = st.dictionaries(st.sampled_from(sorted(INPUT_TOKENS | OUTPUT_TOKENS)), st.integers(1, 10**9))


@pytest.mark.parametrize("dialect", READERS)
@given(usage=usages)
def test_every_token_that_is_written_is_read_back_as_the_same_unit(dialect, usage):
    read = READERS[dialect](msgspec.Raw(written(usage, dialect)))
    assert {unit: quantity for unit, quantity in read.items() if quantity} == usage


@given(
    st.dictionaries(
        st.sampled_from([Unit.WEB_SEARCH, Unit.WEB_FETCH, Unit.CODE_SESSION, Unit.FILE_SEARCH]), st.integers(1, 10**6)
    )
)
def test_calls_of_hosted_tools_ride_in_the_usage_of_a_chat(usage):
    read = chat_usage(msgspec.Raw(written(usage, "chat")))
    assert {unit: quantity for unit, quantity in read.items() if quantity} == usage


def test_responses_usage_always_has_both_details():
    assert json.loads(written({}, "responses")) == {
        "input_tokens": 0,
        "output_tokens": 0,
        "total_tokens": 0,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }


def test_input_is_the_sum_of_what_was_fresh_read_from_a_cache_and_written_to_it():
    usage = {Unit.INPUT: 7, Unit.CACHE_READ: 100, Unit.CACHE_WRITE_5M: 30, Unit.OUTPUT: 5, Unit.REASONING: 11}
    wire = json.loads(written(usage, "chat"))
    assert (wire["prompt_tokens"], wire["completion_tokens"], wire["total_tokens"]) == (137, 16, 153)
    assert wire["prompt_tokens_details"]["cached_tokens"] == 100
    assert wire["prompt_tokens_details"]["cache_write_tokens"] == 30
    assert wire["completion_tokens_details"]["reasoning_tokens"] == 11


def test_lifetimes_of_cache_writes_stay_apart():
    usage = {
        Unit.CACHE_WRITE_5M: 1,
        Unit.CACHE_WRITE_30M: 2,
        Unit.CACHE_WRITE_1H: 4,
        Unit.CACHE_WRITE_12H: 8,
    }
    details = json.loads(written(usage, "responses"))["input_tokens_details"]
    assert details["cache_write_tokens"] == 15
    assert details["cache_write_tokens_details"] == {"ttl_30m_tokens": 2, "ttl_12h_tokens": 8}
    assert (details["cache_write_5m_tokens"], details["cache_write_1h_tokens"]) == (1, 4)


def test_a_price_is_told_as_a_number_with_its_currency():
    body = written({Unit.INPUT: 1}, "responses", cost="0.145000001", currency="RUB")
    assert b'"cost":0.145000001' in body
    assert json.loads(body)["cost_currency"] == "RUB"


def test_a_price_in_another_currency_is_no_bill_in_dollars():
    told = msgspec.Raw(written({Unit.INPUT: 1}, "chat", cost="0.5", currency="RUB"))
    assert Unit.REPORTED_COST not in chat_usage(told)
    told = msgspec.Raw(written({Unit.INPUT: 1}, "chat", cost="0.5", currency="USD"))
    assert chat_usage(told)[Unit.REPORTED_COST] == 500_000_000
