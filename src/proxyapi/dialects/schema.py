"""JSON Schemas for providers that take less than all of JSON Schema. Gemini's are in `gemini/schema.py`.

A schema that a provider takes goes to it byte for byte. Any other is rewritten: always the same way for the same
schema, with the order of its keys kept, because it stands in the cached prefix of the prompt.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

from proxyapi.dialects.jsonschema import (
    Schema,
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
from proxyapi.dialects.model import given
from proxyapi.dialects.stream import anything

CACHED_MAX = 512
"""Rewritten schemas that are remembered: tools come again with every turn."""

VIEWS_MAX = 64
"""How many branches of a schema are asked about one place of an answer."""

_EMPTY_OBJECT = b'{"type":"object","properties":{}}'
_UNIONS = ("$ref", "allOf", "anyOf", "oneOf")


def object_root(raw: Raw) -> Raw:
    """A schema of arguments whose root is a plain object: no union there, no reference, and its type is named.

    ABSENT: the schema of a tool that takes nothing. InvalidRequest: it is nested too deeply.
    """
    return Raw(_object_root(bytes(raw)) if given(raw) else _EMPTY_OBJECT)


@lru_cache(maxsize=CACHED_MAX)
def _object_root(raw: bytes) -> bytes:
    root = read(raw)
    if root.get("type") == "object" and not any(name in root for name in _UNIONS):
        return raw
    plain = _object(root, root, set())
    if plain is None:
        words = root.get("description")
        return write({"type": "object", "properties": {}, "description": words}) if words else _EMPTY_OBJECT
    return write({"type": "object", "properties": plain.get("properties", {})} | without(plain, "type", "properties"))


def _object(node: Any, root: Schema, followed: set[str]) -> Schema | None:
    """One object with all properties of a schema and of its branches. None: it is no object."""
    if not isinstance(node, dict):
        return None
    kinds = node.get("type", "object")
    if kinds != "object" and not (isinstance(kinds, list) and "object" in kinds):
        return None
    out: Schema = {}
    if isinstance(reference := node.get("$ref"), str) and reference not in followed:
        # Once is enough: what it names is in the result then.
        followed.add(reference)
        out = _object(find(root, reference), root, followed) or {}
    for union in ("allOf", "anyOf", "oneOf"):
        for branch in node.get(union) or ():
            found = _object(branch, root, followed) or {}
            # Which branch it will be is not known, so nothing that one of them requires is required.
            out = merged(out, found if union == "allOf" else {"properties": found.get("properties", {})})
    return merged(out, without(node, *_UNIONS))


# --- closed objects -----------------------------------------------------------------------------------------------

_STRING_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)
_CLOSED_KEYWORDS = frozenset(
    {
        "$defs",
        "definitions",
        "$ref",
        "type",
        "anyOf",
        "allOf",
        "enum",
        "const",
        "title",
        "description",
        "properties",
        "additionalProperties",
        "required",
        "items",
    }
)


def closed(raw: Raw) -> Raw:
    """A schema for Anthropic's answers and strict tools: objects are closed, unsupported limits are told in words.

    As `anthropic.transform_schema` does it. Recursion is not supported either, and stays: see `recursive`.
    https://docs.anthropic.com/en/docs/build-with-claude/structured-outputs#json-schema-limitations
    """
    return Raw(_closed(bytes(raw)))


@lru_cache(maxsize=CACHED_MAX)
def _closed(raw: bytes) -> bytes:
    root = read(raw)
    out = _close(root)
    return raw if out == root else write(out)


def recursive(raw: Raw) -> bool:
    """Something in it contains itself."""
    return loops(read(raw), required_only=False)


def _close(node: Any) -> Schema:
    if not isinstance(node, dict):
        return {}
    if "$ref" in node:
        return {name: _close_below(name, value) for name, value in node.items() if name in ("$ref", "$defs")}
    out: Schema = {}
    limits: Schema = {}
    for keyword, value in node.items():
        name = "anyOf" if keyword == "oneOf" and "anyOf" not in node else keyword
        match name:
            case "minItems":
                fits = value in (0, 1)
            case "format":
                fits = value in _STRING_FORMATS
            case _:
                fits = name in _CLOSED_KEYWORDS
        if fits:
            out[name] = _close_below(name, value)
        elif not name.startswith("$"):
            limits[name] = value
    kinds = node.get("type")
    if "properties" in node or kinds == "object" or (isinstance(kinds, list) and "object" in kinds):
        out.setdefault("properties", {})
        out["additionalProperties"] = False
    return noted(out, limits)


def _close_below(keyword: str, value: Any) -> Any:
    match keyword:
        case "$defs" | "definitions" | "properties" if isinstance(value, dict):
            return {name: _close(child) for name, child in value.items()}
        case "anyOf" | "allOf" if isinstance(value, list):
            return [_close(child) for child in value]
        case "items":
            return _close(value)
        case _:
            return value


# --- answers ------------------------------------------------------------------------------------------------------


def enumerates_numbers(raw: Raw) -> bool:
    """Some `enum` or `const` in it holds other values than texts."""
    waiting: list[Any] = [read(raw)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if any(not isinstance(choice, str) for choice in _choices(node)):
                return True
            waiting += [child for _, child in subschemas(node)]
    return False


def restored(text: str, raw: Raw) -> str:
    """JSON that answers a schema whose numbers in `enum` were told as texts: with numbers again where it has them.

    `raw` is the schema as the client gave it. Text that is no JSON, or has nothing to turn back, stays as it is.
    """
    value, root = anything(text.encode()), read(raw)
    try:
        out = _restored(value, [root], root)
    except RecursionError:
        return text
    return text if out is value else msgspec.json.encode(out).decode()


def _restored(value: Any, nodes: list[Any], root: Schema) -> Any:
    """The value itself where nothing in it changes. `nodes`: the schemas that may describe it."""
    views = _views(nodes, root)
    match value:
        case str():
            choices = [choice for view in views for choice in _choices(view)]
            if value in choices:
                return value
            return next((choice for choice in choices if text_of(choice) == value), value)
        case dict():
            changed: Any = {name: _restored(child, _of_property(views, name), root) for name, child in value.items()}
            return changed if any(changed[name] is not child for name, child in value.items()) else value
        case list():
            changed = [_restored(child, _of_item(views, place), root) for place, child in enumerate(value)]
            return changed if any(new is not old for new, old in zip(changed, value, strict=True)) else value
        case _:
            return value


def _views(nodes: list[Any], root: Schema) -> list[Schema]:
    """The schemas, their references followed, with all their branches."""
    views: list[Schema] = []
    waiting, followed = [*nodes], set[str]()
    while waiting and len(views) < VIEWS_MAX:
        node = waiting.pop(0)
        if not isinstance(node, dict):
            continue
        views.append(node)
        if isinstance(reference := node.get("$ref"), str) and reference not in followed:
            followed.add(reference)
            waiting.append(find(root, reference))
        for union in ("allOf", "anyOf", "oneOf"):
            if isinstance(branches := node.get(union), list):
                waiting += branches
    return views


def _choices(node: Schema) -> list[Any]:
    values = node.get("enum")
    return [*(values if isinstance(values, list) else ()), *([node["const"]] if "const" in node else ())]


def _of_property(views: list[Schema], name: str) -> list[Any]:
    found = []
    for view in views:
        properties = view.get("properties")
        found.append(properties[name] if isinstance(properties, dict) and name in properties
                     else view.get("additionalProperties"))  # fmt: skip
    return found


def _of_item(views: list[Schema], place: int) -> list[Any]:
    found = []
    for view in views:
        for places in (view.get("prefixItems"), view.get("items")):
            if isinstance(places, dict):
                found.append(places)
            elif isinstance(places, list) and place < len(places):
                found.append(places[place])
    return found
