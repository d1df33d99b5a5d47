"""JSON Schemas for Gemini, and Gemini's for others.

What Gemini takes of JSON Schema goes to it as it is. Anything else is rewritten: as the JSON Schema that it knows, or
as its own `Schema` object, which is an excerpt of OpenAPI 3.0.

https://ai.google.dev/api/generate-content#FIELDS.response_json_schema, https://ai.google.dev/api/caching#Schema
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from msgspec import Raw, Struct

from proxyapi.dialects.jsonschema import (
    Schema,
    described,
    find,
    loops,
    merged,
    noted,
    read,
    subschemas,
    text_of,
    without,
    write,
)
from proxyapi.dialects.schema import CACHED_MAX, object_root

REFERENCES_MAX = 8
"""How many references are followed into each other before the rest becomes an open object."""
DEPTH_MAX = 32
"""Levels of a rewritten schema: as many as the deepest one has that is read."""
NODES_MAX = 10_000
"""Its size: references that name others twice make it grow without end. The largest tools have some hundred nodes."""

_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean"})
_FORMATS = frozenset({"float", "double", "int32", "int64", "date-time", "enum"})
_KEYWORDS_OF: dict[str, tuple[str, ...]] = {
    "object": ("properties", "required", "additionalProperties", "propertyOrdering", "minProperties", "maxProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    "string": ("minLength", "maxLength", "pattern", "format"),
}
"""Keywords that say something of one type only: they tell the type of a schema that does not name it."""
_TYPE_OF = {keyword: kind for kind, keywords in _KEYWORDS_OF.items() for keyword in keywords}
_ANNOTATIONS = ("title", "description", "default", "example")
"""What may stand beside a union; all else belongs to its branches."""
_NOTED = ("minLength", "maxLength", "pattern", "minProperties", "maxProperties", "default")
"""Keywords that are told in words where the form does not have them."""


class _Form(Struct, frozen=True):
    """One of the two languages that Gemini takes schemas in."""

    keywords: frozenset[str]
    nullable: bool
    """Says `nullable: true`, not `type: [.., "null"]`."""
    numbers: bool
    """Takes numbers in `enum`."""


_COMMON = frozenset(
    {
        "type",
        "format",
        "title",
        "description",
        "enum",
        "items",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "anyOf",
        "properties",
        "required",
        "propertyOrdering",
    }
)
_JSON_SCHEMA = _Form(_COMMON | {"prefixItems", "additionalProperties"}, nullable=False, numbers=True)
_OPENAPI = _Form(_COMMON | {"nullable", "example", *_NOTED}, nullable=True, numbers=False)
_UNTOUCHED = _JSON_SCHEMA.keywords | {"$id", "$defs", "$ref", "$anchor", "oneOf"}
"""Keywords of a JSON Schema that Gemini takes as it is."""


def for_gemini(raw: Raw, *, openapi: bool) -> Raw:
    """A schema that Gemini takes: as JSON Schema, the same bytes where it can be, or as its own `Schema` (`openapi`).

    InvalidRequest: it is nested too deeply.
    """
    return Raw(_for_gemini(bytes(raw), openapi))


@lru_cache(maxsize=CACHED_MAX)
def _for_gemini(raw: bytes, openapi: bool) -> bytes:
    root = read(raw)
    if not openapi and _is_taken(root) and not loops(root, required_only=True):
        return raw
    return write(_Rewriter(root, _OPENAPI if openapi else _JSON_SCHEMA).schema(root))


def arguments_for_gemini(raw: Raw, *, openapi: bool) -> Raw | None:
    """A schema of arguments: an object at its root. None: as a `Schema`, an object without properties is none."""
    written = _arguments(bytes(raw), openapi)
    return None if written is None else Raw(written)


@lru_cache(maxsize=CACHED_MAX)
def _arguments(raw: bytes, openapi: bool) -> bytes | None:
    if openapi or read(raw).get("type") != "object":
        raw = bytes(object_root(Raw(raw)))
    written = _for_gemini(raw, openapi)
    return None if openapi and not read(written).get("properties") else written


def _is_taken(node: Any) -> bool:
    """Gemini's JSON Schema knows everything in it."""
    if not isinstance(node, dict) or not _UNTOUCHED.issuperset(node):
        return False
    if "$ref" in node and not all(keyword.startswith("$") for keyword in node):
        return False
    kinds = node.get("type", "string")
    if isinstance(kinds, list):
        kinds = _real(kinds)[0] if len(_real(kinds)) == 1 else ""
    if kinds not in _TYPES and kinds != "null":
        return False
    if not all(isinstance(value, str | int | float) and not isinstance(value, bool) for value in node.get("enum", ())):
        return False
    return all(
        _is_taken(child) or (keyword == "additionalProperties" and isinstance(child, bool))
        for keyword, child in subschemas(node)
    )


def _real(kinds: Iterable[Any]) -> list[str]:
    """Types but null, each once."""
    return list(dict.fromkeys(kind for kind in kinds if kind in _TYPES))


class _Rewriter:
    """Rewrites one schema into one form."""

    def __init__(self, root: Schema, form: _Form) -> None:
        self._root = root
        self._form = form
        self._nodes = 0
        self._depth = 0

    def schema(self, node: Any, path: tuple[str, ...] = ()) -> Schema:
        """`path`: the references that led here."""
        if self._depth >= DEPTH_MAX or self._nodes >= NODES_MAX:
            return _opened({}, "")
        self._depth += 1
        out = self._schema(*self._flat(node, path))
        self._depth -= 1
        return out

    def _schema(self, node: Schema, path: tuple[str, ...]) -> Schema:
        node, nullable = self._without_null(_with_enum(node), path)
        node = _with_branches(node)
        branches = node.get("anyOf")
        if not branches:
            out = self._leaf(node, path)
        elif len(branches) == 1:
            branch, path = self._flat(branches[0], path)
            out = self.schema(merged(branch, without(node, "anyOf")), path)
        else:
            out = self._union(node, branches, path)
        return self._nullable(out) if nullable else out

    def _flat(self, node: Any, path: tuple[str, ...]) -> tuple[Schema, tuple[str, ...]]:
        """The schema with its reference followed and its `allOf` merged; what stands beside them has the last word."""
        self._nodes += 1
        if not isinstance(node, dict):
            return {}, path
        if isinstance(reference := node.get("$ref"), str):
            rest = without(node, "$ref")
            target = find(self._root, reference)
            if target is None or reference in path or len(path) >= REFERENCES_MAX or self._nodes > NODES_MAX:
                return _opened(rest, reference), path
            found, path = self._flat(target, (*path, reference))
            node = merged(found, rest)
        if isinstance(branches := node.get("allOf"), list):
            together: Schema = {}
            for branch in (*branches, without(node, "allOf")):
                found, path = self._flat(branch, path)
                together = merged(together, found)
            node = together
        return node, path

    def _without_null(self, node: Schema, path: tuple[str, ...]) -> tuple[Schema, bool]:
        """The schema of what is not null, and whether null is allowed."""
        nullable = node.get("nullable") is True
        node = without(node, "nullable")
        if isinstance(kinds := node.get("type"), list):
            nullable = nullable or "null" in kinds
            real = _real(kinds)
            node = {**node, "type": real[0] if len(real) == 1 else real} if real else without(node, "type")
        if isinstance(values := node.get("enum"), list) and None in values and len(values) > 1:
            nullable = True
            node = {**node, "enum": [value for value in values if value is not None]}
        for union in ("anyOf", "oneOf"):
            if isinstance(branches := node.get(union), list):
                real_branches = [branch for branch in branches if not _is_null(self._flat(branch, path)[0])]
                nullable = nullable or len(real_branches) < len(branches)
                node = {**node, union: real_branches} if real_branches else without(node, union)
        return node, nullable

    def _nullable(self, out: Schema) -> Schema:
        if self._form.nullable:
            return {**out, "nullable": True}
        kind = out.get("type")
        if kind == "null" or isinstance(kind, list) or {"type": "null"} in out.get("anyOf", ()):
            return out
        if kind and "enum" not in out:
            return {**out, "type": [kind, "null"]}
        if "anyOf" in out:
            return {**out, "anyOf": [*out["anyOf"], {"type": "null"}]}
        words = {name: out[name] for name in _ANNOTATIONS if name in out}
        return {**words, "anyOf": [without(out, *words), {"type": "null"}]}

    def _union(self, node: Schema, branches: list[Any], path: tuple[str, ...]) -> Schema:
        """Its branches hold all that is not mere description: some of Google's servers take nothing beside `anyOf`."""
        beside = without(node, "anyOf", *_ANNOTATIONS)
        out = {name: node[name] for name in node if name in _ANNOTATIONS and name in self._form.keywords}
        flat = (self._flat(branch, path) for branch in branches)
        out["anyOf"] = [self.schema(merged(beside, branch), inner) for branch, inner in flat]
        return self._with_notes(out, node)

    def _leaf(self, node: Schema, path: tuple[str, ...]) -> Schema:
        kind = "null" if _is_null(node) else _kind(node)
        if kind == "null" and self._form.nullable:
            return self._nullable({"type": "string"})
        node = {**node, "type": kind} if "type" in node else {"type": kind, **node}
        node = self._bounds(_arrays(self._values(node), tuples="prefixItems" in self._form.keywords))
        properties = node.get("properties")
        names = properties if isinstance(properties, dict) else {}
        out: Schema = {}
        for keyword, value in node.items():
            if keyword not in self._form.keywords:
                continue
            match keyword:
                case "properties":
                    out[keyword] = {name: self.schema(child, path) for name, child in names.items()}
                case "items":
                    out[keyword] = self.schema(value, path)
                case "prefixItems":
                    out[keyword] = [self.schema(child, path) for child in value]
                case "additionalProperties":
                    out[keyword] = value if isinstance(value, bool) else self.schema(value, path)
                case "required" | "propertyOrdering":
                    if isinstance(value, list) and (kept := [name for name in value if name in names]):
                        out[keyword] = kept
                case "format":
                    if value in _FORMATS:
                        out[keyword] = value
                case _:
                    out[keyword] = value
        return self._with_notes(out, node)

    def _with_notes(self, out: Schema, node: Schema) -> Schema:
        absent = (name for name in _NOTED if name not in self._form.keywords and node.get(name) is not None)
        return noted(out, {name: node[name] for name in absent})

    def _values(self, node: Schema) -> Schema:
        """`enum` of what the form takes. The answer's texts are turned back to numbers by `schema.restored`."""
        values = node.get("enum")
        if not isinstance(values, list) or (values and all(isinstance(value, str) for value in values)):
            return node
        if node["type"] == "null":
            return without(node, "enum")
        kinds = {type(value) for value in values}
        told = "one of " + ", ".join(map(text_of, values))
        if not values or not kinds <= {str, bool, int, float}:
            return described(without(node, "enum"), told) if values else without(node, "enum")
        if self._form.numbers and kinds == {bool}:
            node = {**without(node, "enum"), "type": "boolean"}
            return node if len(set(values)) > 1 else described(node, told)
        if self._form.numbers and kinds <= {int, float}:
            return node
        return described({**without(node, "format"), "type": "string", "enum": [text_of(v) for v in values]}, told)

    def _bounds(self, node: Schema) -> Schema:
        """Exclusive bounds of whole numbers as inclusive ones, of others in words."""
        for exclusive, inclusive, step in (("exclusiveMinimum", "minimum", 1), ("exclusiveMaximum", "maximum", -1)):
            known, bound = node.get(inclusive), node.get(exclusive)
            if bound is True:
                # Draft 4: a flag that sharpens the inclusive bound.
                known, bound = None, known
            if isinstance(bound, bool) or not isinstance(bound, int | float):
                continue
            if node["type"] != "integer" or not math.isfinite(bound):
                node = noted(node, {exclusive: bound})
                continue
            nearest = (math.floor(bound) if step > 0 else math.ceil(bound)) + step
            both = [nearest, known] if isinstance(known, int | float) else [nearest]
            node = {**node, inclusive: max(both) if step > 0 else min(both)}
        return node


def _with_enum(node: Schema) -> Schema:
    """`const` is an `enum` of one."""
    if "const" not in node:
        return node
    return {"enum" if name == "const" else name: [v] if name == "const" else v for name, v in node.items()}


def _with_branches(node: Schema) -> Schema:
    """Every union as `anyOf`: `oneOf`, and a list of types, each with what is said of that type."""
    if node.get("anyOf") or not (node.get("oneOf") or isinstance(node.get("type"), list)):
        return node
    if node.get("oneOf"):
        return {"anyOf" if name == "oneOf" else name: value for name, value in node.items() if name != "anyOf"}
    branches = []
    for kind in node["type"]:
        owner = "number" if kind == "integer" else kind
        branch = {name: value for name, value in node.items() if _TYPE_OF.get(name) == owner}
        if isinstance(values := node.get("enum"), list):
            also = "integer" if kind == "number" else kind
            branch["enum"] = [value for value in values if _kind({"enum": [value]}) in (kind, also)]
        if branch.get("enum") != []:
            branches.append({"type": kind} | branch)
    return without(node, "type", "enum", *_TYPE_OF) | {"anyOf": branches or [without(node, "type")]}


def _is_null(node: Schema) -> bool:
    return node.get("type") == "null" or node.get("enum") == [None] or ("const" in node and node["const"] is None)


def _kind(node: Schema) -> str:
    """The type of a schema that has one, also where it does not say which."""
    if (kind := node.get("type")) in _TYPES or kind == "null":
        return str(kind)
    for keyword in node:
        if keyword in _TYPE_OF:
            return _TYPE_OF[keyword]
    kinds = {type(value) for value in node.get("enum") or ("",)}
    if kinds == {bool} or kinds == {type(None)}:
        return "boolean" if bool in kinds else "null"
    return "integer" if kinds == {int} else "number" if kinds <= {int, float} else "string"


def _arrays(node: Schema, *, tuples: bool) -> Schema:
    """An array says what is in it. Tuples become unions where the form has none."""
    if node["type"] != "array":
        return node
    items, places = node.get("items"), node.get("prefixItems")
    if isinstance(items, list):
        # Draft 7 spelled tuples so.
        items, places = None, items
    node = without(node, *(() if isinstance(items, dict) else ("items",)), "prefixItems")
    if isinstance(places, list) and places:
        if tuples:
            return {**node, "prefixItems": places}
        return {**node, "items": {"anyOf": [*places, items] if isinstance(items, dict) else places}}
    return node if isinstance(items, dict) else {**node, "items": {"type": "string"}}


def _opened(rest: Schema, reference: str) -> Schema:
    """In place of a reference that leads nowhere, or round in a circle."""
    name = reference.rpartition("/")[2].lstrip("#")
    return {"type": "object", "description": rest.get("description") or (f"Same as {name}." if name else "As above.")}


# --- from Gemini --------------------------------------------------------------------------------------------------

_NAMES = {
    "any_of": "anyOf",
    "min_items": "minItems",
    "max_items": "maxItems",
    "min_length": "minLength",
    "max_length": "maxLength",
    "min_properties": "minProperties",
    "max_properties": "maxProperties",
    "property_ordering": "propertyOrdering",
    "additional_properties": "additionalProperties",
    "prefix_items": "prefixItems",
    "ref": "$ref",
    "defs": "$defs",
}
_COUNTS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})


def from_gemini(raw: Raw) -> Raw:
    """A `Schema` object as JSON Schema; the same bytes where it is one already."""
    return Raw(_from_gemini(bytes(raw)))


@lru_cache(maxsize=CACHED_MAX)
def _from_gemini(raw: bytes) -> bytes:
    root = read(raw)
    out = _as_json_schema(root)
    return raw if out == root else write(out)


def _as_json_schema(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    out: Schema = {}
    for keyword, value in node.items():
        name = _NAMES[keyword] if keyword in _NAMES else str(keyword)
        match name, value:
            case "type", str():
                if value != "TYPE_UNSPECIFIED":
                    out[name] = value.lower()
            case "properties" | "$defs", dict():
                out[name] = {key: _as_json_schema(child) for key, child in value.items()}
            case "anyOf" | "oneOf" | "allOf" | "prefixItems", list():
                out[name] = [_as_json_schema(child) for child in value]
            case "items" | "additionalProperties", _:
                out[name] = _as_json_schema(value)
            case "example", _:
                out["examples"] = [value]
            case ("nullable", _) | ("format", "enum"):
                pass
            case _:
                # Protocol buffers write 64-bit numbers as texts.
                out[name] = int(value) if name in _COUNTS and isinstance(value, str) and value.isdecimal() else value
    return _or_null(out) if node.get("nullable") is True else out


def _or_null(node: Schema) -> Schema:
    if isinstance(values := node.get("enum"), list):
        node = {**node, "enum": [*values, None]}
    if isinstance(kind := node.get("type"), str):
        return {**node, "type": [kind, "null"]}
    if isinstance(branches := node.get("anyOf"), list):
        return {**node, "anyOf": [*branches, {"type": "null"}]}
    return node
