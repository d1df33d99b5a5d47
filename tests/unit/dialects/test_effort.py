"""Levels of thinking and the tokens that they stand for."""

from __future__ import annotations

import pytest

from proxyapi.dialects.effort import SCALE, budget_of, level_of, nearest
from proxyapi.dialects.model import Effort


@pytest.mark.parametrize(
    ("level", "efforts", "expected"),
    [
        ("high", ("low", "medium", "high"), "high"),
        ("xhigh", ("low", "medium", "high"), "high"),
        ("xhigh", ("low", "medium", "high", "max"), "high"),
        ("medium", ("low", "high"), "low"),
        ("none", ("low", "medium"), "low"),
        ("minimal", ("none", "low"), "none"),
        ("max", ("low",), "low"),
    ],
)
def test_an_unsupported_level_becomes_the_next_lower_one(
    level: Effort, efforts: tuple[Effort, ...], expected: Effort
) -> None:
    assert nearest(level, efforts) == expected


@pytest.mark.parametrize(
    ("level", "ceiling", "expected"),
    [
        ("none", 32_000, 0),
        ("minimal", 32_000, 512),
        ("low", 32_000, 1_024),
        ("medium", 32_000, 8_192),
        ("high", 32_000, 24_576),
        ("xhigh", 64_000, 32_768),
        ("max", 64_000, 64_000),
        ("high", 4_000, 4_000),
    ],
)
def test_a_level_stands_for_tokens_up_to_the_ceiling(level: Effort, ceiling: int, expected: int) -> None:
    assert budget_of(level, ceiling=ceiling) == expected


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (-1, None),
        (0, "none"),
        (512, "minimal"),
        (1_024, "low"),
        (1_025, "medium"),
        (8_192, "medium"),
        (24_576, "high"),
        (24_577, "xhigh"),
        (100_000, "xhigh"),
    ],
)
def test_a_budget_stands_for_the_level_whose_tokens_hold_it(budget: int, expected: Effort | None) -> None:
    assert level_of(budget) == expected


def test_a_level_survives_the_way_to_tokens_and_back() -> None:
    for level in SCALE[:-1]:
        assert level_of(budget_of(level, ceiling=64_000)) == level
