"""Values that satisfy a schema."""

import pytest

from proxyapi.sandbox.samples import sample, sample_object


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "sandbox"),
        ({"type": "STRING", "format": "date"}, "2025-01-01"),
        ({"type": "integer", "minimum": 5}, 5),
        ({"type": "integer", "exclusiveMinimum": 5, "multipleOf": 4}, 8),
        ({"type": "number", "maximum": -0.5}, -0.5),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["string", "null"], "maxLength": 3}, "san"),
        ({"enum": ["b", "a"]}, "b"),
        ({"const": 7}, 7),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, 1),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 0}, []),
        ({"type": "array", "prefixItems": [{"const": "x"}, {"type": "boolean"}]}, ["x", True]),
        ({}, "sandbox"),
    ],
)
def test_a_value_satisfies_its_schema(schema: dict[str, object], value: object) -> None:
    assert sample(schema) == value


def test_an_object_has_its_required_properties_or_all_if_none_is_required() -> None:
    properties = {"city": {"type": "string"}, "days": {"type": "integer"}}
    assert sample({"properties": properties}) == {"city": "Moscow", "days": 1}
    assert sample({"type": "object", "properties": properties, "required": ["city"]}) == {"city": "Moscow"}


def test_references_are_followed_and_recursion_ends() -> None:
    tail = {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}
    schema = {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "next": tail},
                "required": ["name", "next"],
            }
        },
    }
    value = sample_object(schema)
    assert value["name"] == "Sandbox"
    assert isinstance(value["next"], dict)


def test_all_of_is_merged() -> None:
    schema = {
        "allOf": [
            {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]},
            {"properties": {"b": {"const": 2}}, "required": ["b"]},
        ]
    }
    assert sample(schema) == {"a": 1, "b": 2}


def test_arguments_that_would_be_run_do_no_harm() -> None:
    schema = {"type": "object", "properties": {"command": {"type": "string"}, "cmd": {"type": "array"}}}
    assert sample(schema) == {"command": "echo sandbox", "cmd": ["echo", "sandbox"]}


def test_a_schema_that_is_no_object_gives_no_arguments() -> None:
    assert sample_object({"type": "string"}) == {}
    assert sample_object(None) == {}
