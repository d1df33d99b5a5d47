"""JSON Schemas for Gemini, and Gemini's for others."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from proxyapi.dialects.gemini.schema import NODES_MAX, for_gemini, from_gemini
from proxyapi.dialects.jsonschema import NESTING_MAX
from proxyapi.errors import InvalidRequest


def raw(schema: Any) -> Raw:
    return Raw(json.dumps(schema).encode())


def openapi(schema: Any) -> Any:
    return msgspec.json.decode(for_gemini(raw(schema), openapi=True))


def rewritten(schema: Any) -> Any:
    """As JSON Schema, with a keyword beside it that forces the rewriting."""
    return msgspec.json.decode(for_gemini(raw({**schema, "$comment": ""}), openapi=False))


TAKEN = {
    "type": "object",
    "title": "T",
    "properties": {
        "a": {"type": ["string", "null"], "format": "uuid", "enum": ["x", "y"]},
        "b": {"$ref": "#/$defs/B"},
        "c": {"type": "array", "prefixItems": [{"type": "number", "minimum": 0}], "items": {"type": "integer"}},
        "d": {"oneOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["a"],
    "additionalProperties": False,
    "$defs": {"B": {"type": "object", "properties": {"b": {"$ref": "#/$defs/B"}, "n": {"enum": [1, 2]}}}},
}


def test_a_schema_that_gemini_knows_keeps_its_bytes():
    text = Raw(json.dumps(TAKEN, indent=1).encode())
    assert for_gemini(text, openapi=False) == text


@pytest.mark.parametrize(
    "change",
    [
        {"not": {}},
        {"properties": {"a": {"const": 1}}},
        {"properties": {"a": {"$ref": "#/$defs/B", "description": "beside a reference"}}},
        {"properties": {"a": {"type": ["string", "integer"]}}},
        {"properties": {"a": {"enum": [True]}}},
        {"properties": {"a": True}},
        {"properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {"items": [{"type": "string"}, {"exclusiveMinimum": 0}]},
    ],
)
def test_anything_else_is_rewritten(change):
    text = raw(TAKEN | change)
    assert for_gemini(text, openapi=False) != text
    again = for_gemini(text, openapi=False)
    assert for_gemini(again, openapi=False) == again, "what comes out is what Gemini knows"


def test_a_local_reference_is_inlined_with_what_stands_beside_it():
    schema = {
        "properties": {"a": {"$ref": "#/$defs/A", "description": "mine"}},
        "$defs": {"A": {"type": "string", "description": "its", "pattern": "^a"}},
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "x",
    }
    assert openapi(schema) == {
        "type": "object",
        "properties": {"a": {"type": "string", "description": "mine", "pattern": "^a"}},
    }


def test_a_circle_of_references_ends_in_an_open_object_that_says_what_it_is():
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}
    found = openapi({"type": "object", "properties": {"head": {"$ref": "#/$defs/Node"}}, "$defs": {"Node": node}})
    assert found["properties"]["head"]["properties"]["next"] == {"type": "object", "description": "Same as Node."}


def test_references_are_followed_eight_deep():
    defs = {f"d{n}": {"type": "object", "properties": {"n": {"$ref": f"#/$defs/d{n + 1}"}}} for n in range(12)}
    found, levels = openapi({"$ref": "#/$defs/d0", "$defs": defs | {"d12": {}}}), 0
    while "properties" in found:
        found, levels = found["properties"]["n"], levels + 1
    assert (levels, found) == (8, {"type": "object", "description": "Same as d8."})


@pytest.mark.parametrize("reference", ["other.json", "#/nowhere", "#anchor"])
def test_a_reference_that_leads_nowhere_is_an_open_object(reference):
    assert openapi({"properties": {"a": {"$ref": reference}}})["properties"]["a"]["type"] == "object"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": ["integer", "null"]},
        {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/I"}], "$defs": {"I": {"type": "integer"}}},
        {"anyOf": [{"type": "integer"}, {"const": None}]},
    ],
)
def test_what_may_be_null_is_nullable(schema):
    assert openapi(schema) == {"type": "integer", "nullable": True}
    assert rewritten(schema) == {"type": ["integer", "null"]}


def test_several_types_become_a_union_each_with_what_is_said_of_it():
    schema = {"type": ["string", "integer", "null"], "minimum": 2, "maxLength": 3, "description": "D"}
    branches = [{"type": "string", "maxLength": 3}, {"type": "integer", "minimum": 2}]
    assert openapi(schema) == {"description": "D", "anyOf": branches, "nullable": True}


def test_a_constant_is_an_enum_of_one():
    assert openapi({"description": "D", "const": "x"}) == {"type": "string", "description": "D", "enum": ["x"]}


@pytest.mark.parametrize(
    "schema, as_openapi, as_json_schema",
    [
        (
            {"enum": [1, 2]},
            {"type": "string", "enum": ["1", "2"], "description": "one of 1, 2"},
            {"type": "integer", "enum": [1, 2]},
        ),
        (
            {"type": "number", "enum": [1.5], "description": "D"},
            {"type": "string", "enum": ["1.5"], "description": "D\n\none of 1.5"},
            {"type": "number", "enum": [1.5], "description": "D"},
        ),
        (
            {"enum": [True, False]},
            {"type": "string", "enum": ["true", "false"], "description": "one of true, false"},
            {"type": "boolean"},
        ),
        (
            {"enum": ["a", 1]},
            {"type": "string", "enum": ["a", "1"], "description": "one of a, 1"},
            {"type": "string", "enum": ["a", "1"], "description": "one of a, 1"},
        ),
        (
            {"enum": ["a", None]},
            {"type": "string", "enum": ["a"], "nullable": True},
            {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]},
        ),
        (
            {"enum": [[1], {"a": 2}]},
            {"type": "string", "description": 'one of [1], {"a":2}'},
            {"type": "string", "description": 'one of [1], {"a":2}'},
        ),
        ({"const": None}, {"type": "string", "nullable": True}, {"type": "null"}),
    ],
)
def test_enums_hold_what_the_form_takes(schema, as_openapi, as_json_schema):
    assert openapi(schema) == as_openapi
    assert rewritten(schema) == as_json_schema


def test_an_enum_of_integers_does_not_fail_the_whole_request():
    types.Schema.model_validate(openapi({"type": "object", "properties": {"n": {"type": "integer", "enum": [1, 2]}}}))


def test_an_intersection_is_merged_and_its_last_word_wins():
    parts = [{"properties": {"a": {"type": "string"}}, "required": ["a"], "description": "1"},
             {"properties": {"a": {"type": "integer"}, "b": {}}, "required": ["b"], "description": "2"}]  # fmt: skip
    assert openapi({"allOf": parts}) == {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
        "required": ["a", "b"],
        "description": "2",
    }


def test_a_union_holds_what_stands_beside_it():
    found = openapi({"type": "object", "properties": {"a": {"type": "string"}}, "title": "T",
                     "oneOf": [{"required": ["a"]}, {"title": "none"}]})  # fmt: skip
    plain = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert found == {"title": "T", "anyOf": [plain | {"required": ["a"]}, plain | {"title": "none"}]}


@pytest.mark.parametrize(
    "schema, meant",
    [
        ({"type": "integer", "exclusiveMaximum": 9.5}, {"type": "integer", "maximum": 9}),
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}),
        ({"type": "integer", "exclusiveMinimum": 0, "minimum": 5}, {"type": "integer", "minimum": 5}),
        ({"type": "integer", "exclusiveMaximum": True, "maximum": 5}, {"type": "integer", "maximum": 4}),
        ({"type": "number", "exclusiveMinimum": 0}, {"type": "number", "description": "{exclusiveMinimum: 0}"}),
    ],
)  # fmt: skip
def test_exclusive_bounds_become_inclusive_or_words(schema, meant):
    assert openapi(schema) == meant


def test_what_json_schema_at_gemini_lacks_is_told_in_words():
    assert rewritten({"type": "string", "minLength": 1, "default": "a", "pattern": "^a"}) == {
        "type": "string",
        "description": "{minLength: 1, pattern: ^a, default: a}",
    }


@pytest.mark.parametrize("form", ["email", "uuid", "uri"])
def test_formats_that_gemini_refuses_are_removed(form):
    assert openapi({"type": "string", "format": form}) == {"type": "string"}
    assert openapi({"type": "string", "format": "date-time"}) == {"type": "string", "format": "date-time"}


def test_every_node_has_a_type():
    assert openapi({"properties": {"a": {}, "b": {"items": {}}, "c": {"required": []}, "d": {"minimum": 1}}}) == {
        "type": "object",
        "properties": {
            "a": {"type": "string"},
            "b": {"type": "array", "items": {"type": "string"}},
            "c": {"type": "object"},
            "d": {"type": "number", "minimum": 1},
        },
    }


def test_an_array_says_what_is_in_it():
    assert openapi({"type": "array"}) == {"type": "array", "items": {"type": "string"}}
    pair = [{"type": "string"}, {"type": "number"}]
    assert openapi({"type": "array", "prefixItems": pair}) == {"type": "array", "items": {"anyOf": pair}}
    assert rewritten({"type": "array", "items": pair}) == {"type": "array", "prefixItems": pair}


def test_required_names_are_names_of_properties():
    assert openapi({"properties": {"a": {}}, "required": ["a", "b"]})["required"] == ["a"]
    assert "required" not in openapi({"properties": {"a": {}}, "required": ["b"]})


KEYWORDS = ["additionalProperties", "propertyNames", "patternProperties", "not", "if", "unevaluatedProperties",
            "contains", "uniqueItems", "multipleOf", "examples", "deprecated", "readOnly", "$comment"]  # fmt: skip


@pytest.mark.parametrize("name", KEYWORDS)
def test_keywords_are_removed_but_properties_of_that_name_stay(name):
    found = openapi({"type": "object", "properties": {name: {"type": "string", name: {}}}, name: {}})
    assert found == {"type": "object", "properties": {name: {"type": "string"}}}


def test_properties_named_like_keywords_survive_in_a_property_that_is_named_properties():
    inner = {"type": "object", "properties": {"propertyNames": {"type": "string"}, "$ref": {"type": "string"}}}
    schema = {"type": "object", "properties": {"properties": inner}}
    assert openapi(schema) == schema


def test_data_is_not_taken_for_a_schema():
    assert openapi({"type": "object", "properties": {}, "default": {"const": 1}}) == {
        "type": "object",
        "properties": {},
        "default": {"const": 1},
    }


def test_the_order_of_keys_is_kept():
    text = b'{"description":"D","properties":{"z":{"type":"string"},"a":{"type":"string"}},"type":"object"}'
    assert for_gemini(Raw(text), openapi=True) == Raw(text)


def test_a_schema_that_explodes_is_cut():
    defs = {f"d{n}": {"properties": {f"p{k}": {"$ref": f"#/$defs/d{n + 1}"} for k in range(9)}} for n in range(8)}
    found = for_gemini(raw({"$ref": "#/$defs/d0", "$defs": defs | {"d8": {}}}), openapi=True)
    assert len(found) < NODES_MAX * 100
    both = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 9} for n in range(8)}
    assert for_gemini(raw({"$ref": "#/$defs/d0", "$defs": both | {"d8": {}}}), openapi=True)


def test_the_deepest_schema_that_is_read_is_also_rewritten():
    deep: Any = {}
    for _ in range(NESTING_MAX // 2 - 1):
        deep = {"properties": {"a": deep, "b": {"$ref": "#"}}}
    assert openapi(deep)["type"] == "object"
    with pytest.raises(InvalidRequest, match="nested"):
        openapi({"properties": {"a": deep}})


# --- properties of all schemas ------------------------------------------------------------------------------------

names = st.sampled_from(["a", "type", "properties", "$ref", "enum", "const", "items"])
values = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-9, 9, width=16) | st.sampled_from("xyz")
kinds = st.sampled_from(["object", "array", "string", "number", "integer", "boolean", "null"])


def nodes(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, max_size=3)
    named = st.dictionaries(names, inner, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": kinds | st.lists(kinds, max_size=3) | st.just("weird"),
            "description": st.just("D"),
            "enum": st.lists(values, max_size=3),
            "const": values,
            "$ref": st.sampled_from(["#", "#/$defs/a", "#/$defs/type", "#/properties/a", "x"]),
            "$defs": named,
            "properties": named,
            "required": st.lists(names, max_size=2),
            "items": inner | several,
            "prefixItems": several,
            "anyOf": several,
            "oneOf": several,
            "allOf": several,
            "additionalProperties": inner | st.booleans(),
            "not": inner,
            "format": st.sampled_from(["int32", "uri"]),
            "default": values,
            "nullable": st.booleans(),
            "minimum": st.integers(0, 3),
            "exclusiveMaximum": st.integers(0, 3) | st.booleans(),
            "minLength": st.integers(0, 3),
            "x-vendor": values,
        },
    )


schemas = st.recursive(st.booleans() | st.just({}), nodes, max_leaves=12).filter(
    lambda schema: isinstance(schema, dict)
)


@given(schemas)
def test_every_schema_becomes_one_that_the_types_of_google_read(schema):
    first = for_gemini(raw(schema), openapi=True)
    types.Schema.model_validate(msgspec.json.decode(first))
    assert for_gemini(Raw(bytes(raw(schema)) + b" "), openapi=True) == first, "always the same for the same schema"
    for node in _all(msgspec.json.decode(first)):
        assert "anyOf" in node or node["type"] in ("object", "array", "string", "number", "integer", "boolean")
        assert set(node.get("required", ())) <= set(node.get("properties", ()))
        assert all(isinstance(value, str) for value in node.get("enum", ()))


@given(schemas)
def test_a_rewritten_json_schema_is_one_that_gemini_knows(schema):
    first = for_gemini(raw(schema), openapi=False)
    assert for_gemini(first, openapi=False) == first


def _all(node: Any) -> Any:
    yield node
    children = [
        *node.get("properties", {}).values(),
        *node.get("anyOf", ()),
        *([node["items"]] if "items" in node else ()),
    ]
    for child in children:
        yield from _all(child)


# --- from Gemini --------------------------------------------------------------------------------------------------


def test_a_schema_object_becomes_json_schema():
    schema = {
        "type": "OBJECT",
        "properties": {
            "type": {"type": "STRING", "nullable": True, "format": "enum", "enum": ["A"]},
            "n": {"type": "INTEGER", "example": 3},
            "list": {"type": "ARRAY", "items": {"type": "NUMBER"}, "min_items": "2"},
            "either": {"any_of": [{"type": "STRING"}], "nullable": True},
        },
        "property_ordering": ["n"],
        "required": ["n"],
    }
    assert from_gemini(raw(schema)) == Raw(
        b'{"type":"object","properties":{"type":{"type":["string","null"],"enum":["A",null]},'
        b'"n":{"type":"integer","examples":[3]},"list":{"type":"array","items":{"type":"number"},"minItems":2},'
        b'"either":{"anyOf":[{"type":"string"},{"type":"null"}]}},"propertyOrdering":["n"],"required":["n"]}'
    )


def test_json_schema_in_the_place_of_a_schema_object_keeps_its_bytes():
    text = Raw(b'{ "type": "object", "properties": {"nullable": {"type": "string"}} }')
    assert from_gemini(text) == text


@given(schemas)
def test_what_was_rewritten_for_gemini_comes_back_without_its_marks(schema):
    back = msgspec.json.decode(from_gemini(for_gemini(raw(schema), openapi=True)))
    assert '"nullable"' not in json.dumps(back).replace('"nullable": {', "")
