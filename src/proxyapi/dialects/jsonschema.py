"""JSON Schemas as trees: what stands where, where references lead, how two are merged.

Only places where a schema can stand are looked at: in `enum`, `const`, `default` and `examples` is data, and in
`properties` and `$defs` are names. https://json-schema.org/draft/2020-12/json-schema-core
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import msgspec
from msgspec import Raw

from proxyapi.errors import InvalidRequest

NESTING_MAX = 64
"""Levels of JSON in a schema, two for each level of objects. Providers themselves stop at 5 to 10 levels of objects."""

Schema = dict[str, Any]

_ONE = frozenset(
    {
        "items",
        "additionalProperties",
        "not",
        "if",
        "then",
        "else",
        "contains",
        "propertyNames",
        "unevaluatedItems",
        "unevaluatedProperties",
        "additionalItems",
    }
)
_SEVERAL = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_NAMED = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})
_DEFINITIONS = frozenset({"$defs", "definitions"})
_DATA = frozenset({"enum", "const", "default", "example", "examples"})
_KINDS: dict[str, type | tuple[type, ...]] = {
    "$ref": str,
    "enum": list,
    "format": str,
    "propertyOrdering": list,
    "required": list,
    "type": (str, list),
    **dict.fromkeys(_SEVERAL, list),
    **dict.fromkeys(_NAMED, dict),
}
"""What the value of a keyword is. Tools are written by hand, and say `"required": true` of a property, or worse."""
_LISTS_OF_NAMES = frozenset({"propertyOrdering", "required", "type"})

_DECODER = msgspec.json.Decoder()
_ENCODER = msgspec.json.Encoder()


def read(raw: Raw | bytes) -> Schema:
    """A schema; `true` and everything else that is no object says nothing, nor does a keyword with a value of another
    kind than its own. InvalidRequest: nested too deeply."""
    try:
        root = _DECODER.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        raise InvalidRequest("A JSON Schema is not valid JSON, or nested too deeply") from None
    level: list[Any] = [root]
    for _ in range(NESTING_MAX):
        level = [child for node in level for child in _values(node)]
        if not level:
            return _sound(root) if isinstance(root, dict) else {}
    raise InvalidRequest(f"A JSON Schema is nested more than {NESTING_MAX} levels deep")


def _sound(root: Schema) -> Schema:
    """The same tree, without keywords that nobody could read. References lead to other places than schemas stand in, so
    that all is looked at but names and data."""
    waiting: list[tuple[Any, bool]] = [(root, False)]
    while waiting:
        node, names = waiting.pop()
        if names or isinstance(node, list):
            waiting += [(child, False) for child in _values(node) if isinstance(child, dict | list)]
            continue
        for keyword in [keyword for keyword in node if keyword in _KINDS and not _is_sound(keyword, node[keyword])]:
            del node[keyword]
        waiting += [(v, k in _NAMED) for k, v in node.items() if isinstance(v, dict | list) and k not in _DATA]
    return root


def _is_sound(keyword: str, value: Any) -> bool:
    if keyword in _LISTS_OF_NAMES and isinstance(value, list):
        return all(isinstance(name, str) for name in value)
    return isinstance(value, _KINDS[keyword])


def _values(node: Any) -> Any:
    return node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()


def write(schema: Schema) -> bytes:
    return _ENCODER.encode(schema)


# --- places and references ----------------------------------------------------------------------------------------


def subschemas(node: Schema) -> Iterator[tuple[str, Any]]:
    """Every schema right below this one, with the keyword that it belongs to."""
    for keyword, value in node.items():
        if keyword in _NAMED and isinstance(value, dict):
            for child in value.values():
                yield keyword, child
        elif (keyword in _SEVERAL or keyword == "items") and isinstance(value, list):
            for child in value:
                yield keyword, child
        elif keyword in _ONE:
            yield keyword, value


def find(root: Schema, reference: str) -> Schema | None:
    """The schema that a local reference names, by JSON pointer (RFC 6901). None: it names none."""
    pointer = unquote(reference[1:])
    if not reference.startswith("#") or (pointer and not pointer.startswith("/")):
        return None
    node: Any = root
    names = False
    for token in pointer.split("/")[1:]:
        token = token.replace("~1", "/").replace("~0", "~")
        if not names and token in _DATA:
            return None
        names = not names and token in _NAMED
        if isinstance(node, dict):
            node = node.get(token)
        elif isinstance(node, list) and token.isdecimal() and int(token) < len(node):
            node = node[int(token)]
        else:
            return None
    return node if isinstance(node, dict) and not names else None


def loops(root: Schema, *, required_only: bool) -> bool:
    """A reference leads back to itself. `required_only`: by a way that no value can end, optional properties apart."""
    leads: dict[str, int] = {}
    """For each reference, how many others stand below it that may still loop."""
    above: dict[str, list[str]] = {}
    waiting = [*_references(root, required_only=required_only)]
    while waiting:
        reference = waiting.pop()
        if reference in leads:
            continue
        below = _references(find(root, reference), required_only=required_only)
        leads[reference] = len(below)
        for name in below:
            above.setdefault(name, []).append(reference)
        waiting += below
    ends = [reference for reference, count in leads.items() if not count]
    for end in ends:
        for reference in above.get(end, ()):
            leads[reference] -= 1
            if not leads[reference]:
                ends.append(reference)
    return len(ends) < len(leads)


def _references(node: Any, *, required_only: bool) -> set[str]:
    found: set[str] = set()
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, dict):
            continue
        if isinstance(reference := node.get("$ref"), str):
            found.add(reference)
        needed = node.get("required")
        for keyword, value in node.items():
            if keyword == "properties" and isinstance(value, dict) and required_only:
                waiting += [value[name] for name in needed if name in value] if isinstance(needed, list) else []
            elif keyword not in _DEFINITIONS:
                waiting += [child for _, child in subschemas({keyword: value})]
    return found


# --- merging and words --------------------------------------------------------------------------------------------


def without(node: Schema, *names: str) -> Schema:
    return {name: value for name, value in node.items() if name not in names}


def merged(one: Schema, other: Schema) -> Schema:
    """Both; where both speak `other` wins, but properties and required names are united."""
    out = {**one, **other}
    if isinstance(mine := one.get("properties"), dict) and isinstance(others := other.get("properties"), dict):
        out["properties"] = {**mine, **others}
    if isinstance(first := one.get("required"), list) and isinstance(second := other.get("required"), list):
        out["required"] = [*first, *(name for name in second if name not in first)]
    return out


def text_of(value: Any) -> str:
    """A text as it is, any other value as JSON."""
    return value if isinstance(value, str) else _ENCODER.encode(value).decode()


def described(node: Schema, words: str) -> Schema:
    """The schema with further words in its description."""
    before = node.get("description")
    return {**node, "description": f"{before}\n\n{words}" if isinstance(before, str) and before else words}


def noted(node: Schema, keywords: Schema) -> Schema:
    """Keywords that the target does not know, written where the model still reads them."""
    if not keywords:
        return node
    return described(node, "{" + ", ".join(f"{name}: {text_of(value)}" for name, value in keywords.items()) + "}")
