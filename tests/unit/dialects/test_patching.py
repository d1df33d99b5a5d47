"""A model's name is exchanged where it stands, and nothing else of a body changes."""

from __future__ import annotations

import pytest

from proxyapi.dialects.patching import renamed

PLACES = {
    "first": (b'{"model":"a","messages":[]}', b'{"model":"b/c","messages":[]}'),
    "first, spaced": (b' {\n "model" : "a" , "n": 1}', b' {\n "model" : "b/c" , "n": 1}'),
    "first, escaped": (b'{"model":"\\u0061","n":1}', b'{"model":"b/c","n":1}'),
    "last": (b'{"messages":[{"model":"a"}],"model":"a"}', b'{"messages":[{"model":"a"}],"model":"b/c"}'),
    "last, spaced": (b'{"n": 1, "model": "a"}', b'{"n": 1, "model": "b/c"}'),
    "before a namesake inside": (b'{"n":1,"model":"a","x":{"model":"a"}}', b'{"n":1,"model":"b/c","x":{"model":"a"}}'),
    "behind a text that says it": (
        b'{"x":"\\"model\\":\\"a\\"","model":"a"}',
        b'{"x":"\\"model\\":\\"a\\"","model":"b/c"}',
    ),
    "only inside": (b'{"x":{"model":"a"}}', b'{"model":"b/c","x":{"model":"a"}}'),
    "behind a namesake inside": (b'{"x":{"model":"a"},"model":"a"}', b'{"x":{"model":"a"},"model":"b/c"}'),
    "spelled oddly": (b'{"n":1,"mod\\u0065l":"a"}', b'{"n":1,"mod\\u0065l":"b/c"}'),
    "nowhere": (b'{"n":1}', b'{"model":"b/c","n":1}'),
}


@pytest.mark.parametrize("place", PLACES)
def test_the_name_of_the_model_is_exchanged_where_it_stands(place: str) -> None:
    before, after = PLACES[place]
    assert renamed(before, "a", "b/c") == after


def test_a_body_that_names_the_model_already_stays_itself() -> None:
    body = b'{"model":"a"}'
    assert renamed(body, "a", "a") is body
