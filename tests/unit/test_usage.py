"""Units are disjoint and named once."""

from __future__ import annotations

import pytest

from proxyapi.usage import INPUT_TOKENS, OUTPUT_TOKENS, Unit, tells_half


def test_a_unit_is_input_or_output_but_never_both() -> None:
    assert not INPUT_TOKENS & OUTPUT_TOKENS


def test_everything_counted_in_tokens_is_on_one_side() -> None:
    assert {unit for unit in Unit if unit.value.endswith("_tokens")} == INPUT_TOKENS | OUTPUT_TOKENS


def test_the_names_that_customers_see_are_stable() -> None:
    assert Unit("input_tokens") is Unit.INPUT
    assert Unit("output_tokens") is Unit.OUTPUT
    assert len({unit.value for unit in Unit}) == len(Unit)


@pytest.mark.parametrize(
    ("usage", "half"),
    [
        ({Unit.INPUT: 5}, True),
        ({Unit.OUTPUT: 5}, True),
        ({Unit.CACHE_READ: 5, Unit.REASONING: 1}, False),
        ({Unit.INPUT: 5, Unit.OUTPUT: 0}, False),
        ({Unit.AUDIO_SECONDS: 5}, False),
        ({Unit.INPUT: 5, Unit.REPORTED_COST: 1}, False),
        ({}, False),
    ],
)
def test_a_report_tells_half_when_it_names_tokens_of_one_side_only(usage: dict[Unit, int], half: bool) -> None:
    assert tells_half(usage) is half
