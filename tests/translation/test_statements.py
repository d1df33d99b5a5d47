"""All statements of what must hold of translation are proven: the numbers 1 to 96, each once."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

STATEMENTS = 96
TESTS = Path(__file__).parent.parent
ELSEWHERE = {
    94: (
        "contract/test_counting.py::test_a_model_whose_provider_does_not_count_is_estimated",
        "contract/test_counting.py::test_a_providers_own_number_is_told_where_it_has_one",
    ),
}
"""Statements that are about no pair of dialects: where they are proven, below `tests`."""

_NUMBER = re.compile(r"Statement (\d+)\. ")


def proofs(page: Path) -> Iterator[ast.FunctionDef]:
    """The tests of a page."""
    for node in ast.parse(page.read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node


def test_every_statement_has_one_test_that_is_named_after_it() -> None:
    found: dict[int, str] = {}
    for page in sorted(Path(__file__).parent.glob("test_*.py")):
        for test in proofs(page):
            if number := _NUMBER.match(ast.get_docstring(test) or ""):
                assert int(number[1]) not in found, f"statement {number[1]}: {found[int(number[1])]} and {test.name}"
                found[int(number[1])] = test.name
    assert not found.keys() & ELSEWHERE.keys()
    assert sorted(found.keys() | ELSEWHERE.keys()) == list(range(1, STATEMENTS + 1))


def test_what_is_proven_elsewhere_is_there() -> None:
    for place in (place for places in ELSEWHERE.values() for place in places):
        page, _, name = place.partition("::")
        assert name in [test.name for test in proofs(TESTS / page)]
