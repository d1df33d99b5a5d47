"""JSON Schemas for providers that take less than all of JSON Schema."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from anthropic import transform_schema
from msgspec import Raw

from proxyapi.dialects.gemini.schema import arguments_for_gemini, for_gemini, from_gemini
from proxyapi.dialects.jsonschema import NESTING_MAX, find, loops
from proxyapi.dialects.model import ABSENT
from proxyapi.dialects.schema import closed, enumerates_numbers, object_root, recursive, restored
from proxyapi.errors import InvalidRequest

TREE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "next": {"$ref": "#"}},
    "required": ["name"],
}


def raw(schema: Any) -> Raw:
    return Raw(json.dumps(schema).encode())


def rooted(schema: Any) -> Any:
    return msgspec.json.decode(object_root(raw(schema)))


def test_a_plain_object_root_keeps_its_bytes():
    text = Raw(b'{ "type":"object", "properties":{"a":{"anyOf":[{"type":"string"},{"type":"null"}]}} }')
    assert object_root(text) == text


def test_a_root_without_a_type_becomes_an_object_and_keeps_the_order_of_its_keys():
    assert object_root(raw({"title": "T", "properties": {"b": {}, "a": {}}, "required": ["b"]})) == Raw(
        b'{"type":"object","properties":{"b":{},"a":{}},"title":"T","required":["b"]}'
    )


def test_a_tool_without_a_schema_takes_an_empty_object():
    assert object_root(ABSENT) == Raw(b'{"type":"object","properties":{}}')
    assert object_root(Raw(b"true")) == Raw(b'{"type":"object","properties":{}}')


@pytest.mark.parametrize("union", ["anyOf", "oneOf"])
def test_a_root_union_becomes_one_object_that_requires_nothing_of_its_branches(union):
    branches = [
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        {"$ref": "#/$defs/B"},
    ]
    schema = {union: branches, "$defs": {"B": {"properties": {"b": {"type": "integer"}}, "required": ["b"]}}}
    found = rooted(schema)
    assert (found["type"], list(found["properties"])) == ("object", ["a", "b"])
    assert union not in found and "required" not in found
    assert found["$defs"] == schema["$defs"]


def test_a_root_intersection_requires_what_each_of_its_branches_requires():
    parts = [{"properties": {"a": {}}, "required": ["a"]}, {"properties": {"b": {}}, "required": ["b", "a"]}]
    assert rooted({"allOf": parts}) == {
        "type": "object",
        "properties": {"a": {}, "b": {}},
        "required": ["a", "b"],
    }


def test_a_root_that_refers_to_itself_ends():
    assert rooted({"$ref": "#"}) == {"type": "object", "properties": {}}
    assert rooted({"$ref": "#/$defs/A", "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}, TREE]}}})[
        "properties"
    ].keys() == {
        "name",
        "next",
    }


def test_a_root_that_is_no_object_takes_nothing_and_keeps_its_description():
    assert rooted({"type": "array", "description": "D"}) == {"type": "object", "properties": {}, "description": "D"}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1, "maximum": 9, "description": "A"}}},
        {
            "type": "object",
            "properties": {"a": {"type": "string", "maxLength": 3, "format": "email"}},
            "required": ["a"],
        },
        {"type": "object", "properties": {"a": {"type": "string", "format": "phone"}}},
        {"type": "array", "items": {"type": "object", "properties": {}}, "minItems": 1, "maxItems": 3},
        {"type": "array", "items": {"type": "number"}, "minItems": 2},
        {"anyOf": [{"type": "string", "pattern": "^a"}, {"type": "null"}], "title": "T"},
        {"oneOf": [{"type": "string"}, {"const": 1}], "description": "D"},
        {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "properties": {"b": {"enum": [1, 2]}}}}},
        {"type": "object", "additionalProperties": {"type": "string"}, "title": "Map"},
    ],
)
def test_closed_does_what_the_sdk_of_anthropic_does(schema):
    assert msgspec.json.decode(closed(raw(schema))) == transform_schema(schema)


def test_a_closed_schema_keeps_its_bytes():
    text = Raw(b'{ "type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false }')
    assert closed(text) == text


def test_names_of_properties_are_not_taken_for_keywords():
    schema = {"type": "object", "properties": {"minimum": {"type": "string"}, "properties": {"type": "string"}}}
    assert msgspec.json.decode(closed(raw(schema))) == schema | {"additionalProperties": False}


def test_recursion_is_found_wherever_it_hides():
    assert recursive(raw(TREE))
    assert recursive(raw({"$defs": {"A": {"items": {"$ref": "#/$defs/B"}}, "B": {"anyOf": [{"$ref": "#/$defs/A"}]}},
                          "properties": {"a": {"$ref": "#/$defs/A"}}}))  # fmt: skip
    assert not recursive(raw({"$defs": {"A": {"$ref": "#/$defs/A"}}, "properties": {"a": {"type": "string"}}}))
    assert not recursive(raw({"enum": [{"$ref": "#"}], "properties": {"$ref": {"type": "string"}}}))


def test_a_loop_that_a_value_can_leave_is_told_from_one_that_it_cannot():
    assert not loops(TREE, required_only=True)
    assert loops({**TREE, "required": ["next"]}, required_only=True)


def test_a_long_chain_of_references_costs_no_more_than_its_length():
    names = range(5_000)
    chain = {"$defs": {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in names}, "$ref": "#/$defs/d0"}
    assert not loops(chain, required_only=False)


def test_pointers_may_be_escaped_and_lead_into_lists():
    root = {"$defs": {"a/b~c d": {"type": "string"}}, "anyOf": [{}, {"title": "T"}]}
    assert find(root, "#/$defs/a~1b~0c%20d") == {"type": "string"}
    assert find(root, "#/anyOf/1") == {"title": "T"}
    assert find(root, "#") is root
    assert [find(root, name) for name in ("#/x", "#x", "other.json", "#/anyOf/7", "#/anyOf/1/title")] == [None] * 5


@pytest.mark.parametrize("run", [closed, object_root, recursive])
def test_a_schema_that_is_nested_too_deeply_is_refused(run):
    for levels in (NESTING_MAX, 100_000):
        text = b'{"items":' * levels + b"{}" + b"}" * levels
        with pytest.raises(InvalidRequest, match="nested"):
            run(Raw(text))


NUMBERS = {
    "type": "object",
    "properties": {
        "level": {"enum": [1, 2.5, "high", True]},
        "list": {"type": "array", "items": {"$ref": "#/$defs/N"}},
        "either": {"anyOf": [{"const": 3}, {"type": "null"}]},
        "pair": {"prefixItems": [{"enum": [1]}, {"type": "string"}]},
        "text": {"type": "string"},
    },
    "additionalProperties": {"enum": [7]},
    "$defs": {"N": {"enum": [1, 2]}},
}


@pytest.mark.parametrize(
    "answer, meant",
    [
        ({"level": "1"}, {"level": 1}),
        ({"level": "2.5"}, {"level": 2.5}),
        ({"level": "true"}, {"level": True}),
        ({"list": ["1", "2", "3"]}, {"list": [1, 2, "3"]}),
        ({"either": "3", "pair": ["1", "1"], "other": "7"}, {"either": 3, "pair": [1, "1"], "other": 7}),
    ],
)
def test_texts_that_stand_for_numbers_become_numbers_again(answer, meant):
    assert msgspec.json.decode(restored(json.dumps(answer), raw(NUMBERS))) == meant


@pytest.mark.parametrize("text", ['{ "level":"high", "text":"1" }', "no JSON", '{"level": 1}', "[" * 5_000, ""])
def test_what_needs_no_turning_back_keeps_its_bytes(text):
    assert restored(text, raw(NUMBERS)) == text


def test_only_enums_of_other_values_than_texts_need_turning_back():
    assert enumerates_numbers(raw(NUMBERS))
    assert enumerates_numbers(raw({"items": {"const": False}}))
    assert not enumerates_numbers(raw({"properties": {"enum": {"enum": ["1"]}, "const": {"type": "integer"}}}))


KEYWORDS = (
    "type", "enum", "required", "propertyOrdering", "format", "$ref", "properties", "$defs", "patternProperties",
    "anyOf", "oneOf", "allOf", "prefixItems", "items", "additionalProperties", "const", "nullable", "minItems",
)  # fmt: skip
WRONG = (None, True, 5, "x", [], [None], [[]], [{}], {}, {"a": 1}, {"type": {}}, [{"type": ["string", {}]}])


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_no_value_of_a_keyword_breaks_anything(keyword: str) -> None:
    """A client's tool may say anything: it is not the gateway that falls over it."""
    for wrong in WRONG:
        inner = {"type": "object", "properties": {"b": {"type": "string"}}} | {keyword: wrong}
        outer = {"type": "object", "properties": {"a": inner, "c": {"anyOf": [inner, {"type": "null"}]}}}
        led = outer | {"components": {"x": inner}, "$ref": "#/components/x"}
        for schema in (inner, outer, led):
            for write in (closed, object_root, enumerates_numbers, recursive, from_gemini):
                write(raw(schema))
            restored('{"a": {"b": "1"}}', raw(schema))
            for openapi in (True, False):
                for_gemini(raw(schema), openapi=openapi)
                arguments_for_gemini(raw(schema), openapi=openapi)


def test_a_reference_to_names_or_to_data_leads_nowhere() -> None:
    root = {"properties": {"type": {"type": "string"}, "a": {"default": {"type": 5}}}, "default": {"type": 5}}
    assert find(root, "#/properties/type") == {"type": "string"}
    for reference in ("#/properties", "#/default", "#/properties/a/default"):
        assert find(root, reference) is None
