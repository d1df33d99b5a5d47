"""Units are disjoint and named once."""

from __future__ import annotations

from proxyapi.usage import INPUT_TOKENS, OUTPUT_TOKENS, Unit


def test_a_unit_is_input_or_output_but_never_both() -> None:
    assert not INPUT_TOKENS & OUTPUT_TOKENS


def test_everything_counted_in_tokens_is_on_one_side() -> None:
    assert {unit for unit in Unit if unit.value.endswith("_tokens")} == INPUT_TOKENS | OUTPUT_TOKENS


def test_the_names_that_customers_see_are_stable() -> None:
    assert Unit("input_tokens") is Unit.INPUT
    assert Unit("output_tokens") is Unit.OUTPUT
    assert len({unit.value for unit in Unit}) == len(Unit)
