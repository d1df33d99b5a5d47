"""The amount of a usage: the documented arithmetic, cliffs, variants, and the provider's own bill."""

from __future__ import annotations

import pytest

from proxyapi.money import format_amount, parse_amount
from proxyapi.pricing.charge import charge, lines, recompute
from proxyapi.pricing.price import RATE_UNITS, Price, Table, Tier, content_id, from_json, make_price
from proxyapi.usage import Unit


def price(tiers: tuple[Tier, ...] = (), variants: dict[str, Table] | None = None, **rates: str) -> Price:
    """Rates as decimals per million units, by name of the unit."""
    amounts = dict.fromkeys(Unit, 0) | {Unit[name]: int(parse_amount(text)) for name, text in rates.items()}
    return make_price(provider="p", model="m", rates=amounts, tiers=tiers, variants=variants)


def test_850_and_120_tokens_at_100_and_500_a_million_are_0_145() -> None:
    assert format_amount(charge({Unit.INPUT: 850, Unit.OUTPUT: 120}, price(INPUT="100", OUTPUT="500"))) == "0.145"


def test_the_documented_estimate_is_11_81232() -> None:
    amount = charge({Unit.INPUT: 22, Unit.OUTPUT: 4096}, price(INPUT="720", OUTPUT="2880"))
    assert format_amount(amount) == "11.81232"


def test_the_sum_is_rounded_up_once() -> None:
    cheap = price(INPUT="0.000000001", OUTPUT="0.000000001")
    assert charge({Unit.INPUT: 1, Unit.OUTPUT: 1}, cheap) == 1


def test_nothing_costs_nothing() -> None:
    assert charge({}, price(INPUT="100")) == 0
    assert charge({Unit.INPUT: 0}, price(INPUT="100")) == 0


def test_the_providers_own_bill_is_charged_alone() -> None:
    rates = price(INPUT="100", REPORTED_COST="0.12")
    assert charge({Unit.INPUT: 10**6, Unit.REPORTED_COST: 1_000_000}, rates) == 120_000_000
    assert [line.unit for line in lines({Unit.INPUT: 5, Unit.REPORTED_COST: 7}, rates)] == [Unit.REPORTED_COST]


def test_a_reported_cost_of_zero_is_zero() -> None:
    assert charge({Unit.INPUT: 10**6, Unit.REPORTED_COST: 0}, price(INPUT="100", REPORTED_COST="1")) == 0


def test_a_longer_prompt_pays_the_dearer_tier_for_everything() -> None:
    tiers = (Tier(200, {Unit.INPUT: 2, Unit.OUTPUT: 3}), Tier(400, {Unit.INPUT: 4}))
    rates = make_price(provider="p", model="m", rates=dict.fromkeys(Unit, 1), tiers=tiers)
    assert [line.rate for line in lines({Unit.INPUT: 200, Unit.OUTPUT: 9}, rates)] == [1, 1]
    assert [line.rate for line in lines({Unit.INPUT: 201, Unit.OUTPUT: 9}, rates)] == [2, 3]
    # A tier lists all units that differ from the base, so the last one that is passed stands alone.
    assert [line.rate for line in lines({Unit.INPUT: 401, Unit.OUTPUT: 9}, rates)] == [4, 1]


def test_what_comes_from_a_cache_counts_towards_the_cliff() -> None:
    rates = make_price(provider="p", model="m", rates=dict.fromkeys(Unit, 1), tiers=(Tier(200, {Unit.OUTPUT: 5}),))
    assert lines({Unit.CACHE_READ: 150, Unit.CACHE_WRITE_1H: 51, Unit.OUTPUT: 1}, rates)[-1].rate == 5


def test_a_variant_stands_in_for_some_rates_and_words_add_up() -> None:
    rates = price(
        INPUT="10", OUTPUT="20", CODE_SESSION="30",
        variants={
            "flex": Table({Unit.INPUT: 5, Unit.OUTPUT: 6}, (Tier(100, {Unit.INPUT: 7}),)),
            "4g": Table({Unit.CODE_SESSION: 9}),
        },
    )  # fmt: skip
    usage = {Unit.INPUT: 101, Unit.OUTPUT: 1, Unit.CODE_SESSION: 1}
    assert [line.rate for line in lines(usage, rates, variant="flex;4g")] == [7, 6, 9]
    assert charge(usage, rates, variant="flex;4g") == 1


def test_an_unknown_variant_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        charge({Unit.INPUT: 1}, price(INPUT="1"), variant="turbo")


def test_a_price_survives_its_journey_through_the_ledger() -> None:
    rates = price(INPUT="10", variants={"flex": Table({Unit.INPUT: 5})}, tiers=(Tier(5, {Unit.INPUT: 7}),))
    again = from_json(rates.to_json())
    assert again == rates
    assert content_id(again) == rates.id
    assert 0 < rates.id < 2**63


def test_equal_content_has_an_equal_id_and_other_content_another() -> None:
    assert price(INPUT="10").id == price(INPUT="10").id != price(INPUT="11").id


def test_the_audit_recomputes_an_entry_from_its_row() -> None:
    rates = price(INPUT="100", OUTPUT="500", variants={"flex": Table({Unit.INPUT: 1})})
    usage = {"input_tokens": 850, "output_tokens": 120}
    assert recompute(rates.to_json(), usage, "") == 145_000_000
    assert recompute(rates.to_json(), usage, "flex") < 145_000_000


def test_the_lines_of_a_bill_add_up_to_the_charge() -> None:
    rates = price(INPUT="0.333333333", OUTPUT="0.777777777")
    usage = {Unit.INPUT: 7, Unit.OUTPUT: 11}
    assert -(-sum(line.amount for line in lines(usage, rates)) // RATE_UNITS) == charge(usage, rates)
