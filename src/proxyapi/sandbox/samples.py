"""Values that satisfy a JSON Schema: the arguments of a tool call, the content of a structured answer.

Deterministic, and harmless if somebody runs the tool: a command is `echo sandbox`, a path is under `/tmp`. Knows the
keywords that the providers' structured outputs take, and Gemini's upper-case types; a `pattern` is not looked at.
"""

from __future__ import annotations

from proxyapi.sandbox.reading import JsonObject, as_int, as_list, as_object, as_objects, as_strings, as_text, either

_DEPTH_MAX = 12
"""A recursive schema ends here, whatever it requires."""
_DEPTH_FULL = 4
"""Deeper, what is optional is left out and what may be null is null."""
_ITEMS_MAX = 100
_LENGTH_MAX = 10_000

_FORMATS = {
    "date-time": "2025-01-01T12:00:00Z", "date": "2025-01-01", "time": "12:00:00Z", "duration": "PT1H",
    "email": "sandbox@example.com", "uri": "https://example.com/", "url": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000", "ipv4": "192.0.2.1", "ipv6": "2001:db8::1",
    "hostname": "example.com",
}  # fmt: skip
_WORDS = {
    "city": "Moscow", "location": "Moscow", "place": "Moscow", "country": "Russia", "name": "Sandbox",
    "query": "sandbox", "q": "sandbox", "question": "What is a sandbox?", "text": "A text from the sandbox.",
    "url": "https://example.com/", "email": "sandbox@example.com", "path": "/tmp/sandbox.txt",
    "file_path": "/tmp/sandbox.txt", "absolute_path": "/tmp/sandbox.txt", "file": "/tmp/sandbox.txt",
    "directory": "/tmp", "dir_path": "/tmp", "command": "echo sandbox", "cmd": "echo sandbox", "pattern": "sandbox",
    "date": "2025-01-01", "time": "12:00", "unit": "celsius", "language": "en", "currency": "RUB",
    "expression": "2+2", "title": "Sandbox", "description": "An example from the sandbox.", "input": "sandbox",
}  # fmt: skip


def sample(schema: object, *, name: str = "") -> object:
    """One value that satisfies the schema; `name` is the property it is for."""
    root = as_object(schema)
    return _value(root, root, name, 0)


def sample_object(schema: object) -> JsonObject:
    """The same, for what must be an object whatever the schema says."""
    return as_object(sample(schema))


def _value(schema: JsonObject, root: JsonObject, name: str, depth: int) -> object:
    schema = _resolve(schema, root)
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    if values := as_list(schema.get("enum")):
        return values[0]
    for keyword in ("anyOf", "any_of", "oneOf"):
        if branches := as_objects(schema.get(keyword)):
            nulls = [branch for branch in branches if branch.get("type") in ("null", "NULL")]
            if nulls and depth >= _DEPTH_FULL:
                return None
            real = [branch for branch in branches if branch not in nulls]
            return _value((real or branches)[0], root, name, depth + 1)
    match _kind(schema):
        case "object":
            return _object(schema, root, depth)
        case "array":
            return _array(schema, root, name, depth)
        case "integer":
            return int(_number(schema, step=1))
        case "number":
            number = _number(schema, step=0.5)
            return int(number) if number == int(number) else number
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return _string(schema, name)


def _resolve(schema: JsonObject, root: JsonObject) -> JsonObject:
    """Follows local references and merges `allOf`, a bounded number of times."""
    for _ in range(_DEPTH_MAX):
        reference = as_text(schema.get("$ref"))
        if reference.startswith("#"):
            target: object = root
            for step in reference[1:].strip("/").split("/"):
                target = as_object(target).get(step) if step else target
            schema = {**as_object(target), **{key: value for key, value in schema.items() if key != "$ref"}}
        elif parts := as_objects(schema.get("allOf")):
            merged: JsonObject = {}
            properties: JsonObject = {}
            required: list[object] = []
            for part in [*parts, {key: value for key, value in schema.items() if key != "allOf"}]:
                part = _resolve(part, root) if "$ref" in part else part
                merged.update(part)
                properties.update(as_object(part.get("properties")))
                required += as_list(part.get("required"))
            schema = {**merged, "properties": properties, "required": required} if properties else merged
        else:
            break
    return schema


def _kind(schema: JsonObject) -> str:
    kinds = [kind.lower() for kind in as_strings(schema.get("type"))]
    real = [kind for kind in kinds if kind != "null"]
    if real:
        return real[0]
    if kinds:
        return "null"
    if "properties" in schema:
        return "object"
    return "array" if "items" in schema else "string"


def _object(schema: JsonObject, root: JsonObject, depth: int) -> JsonObject:
    if depth >= _DEPTH_MAX:
        return {}
    properties = as_object(schema.get("properties"))
    required = set(as_strings(schema.get("required")))
    everything = not required and depth < _DEPTH_FULL
    wanted = [key for key in properties if everything or key in required]
    return {key: _value(as_object(properties.get(key)), root, key, depth + 1) for key in wanted}


def _array(schema: JsonObject, root: JsonObject, name: str, depth: int) -> list[object]:
    low = as_int(either(schema, "minItems", "min_items")) or 0
    high = as_int(either(schema, "maxItems", "max_items"))
    count = max(low, 1) if high is None else max(low, min(1, high))
    count = min(low if depth >= _DEPTH_FULL else count, _ITEMS_MAX)
    if depth >= _DEPTH_MAX:
        return []
    prefix = as_objects(schema.get("prefixItems"))
    items = as_object(schema.get("items"))
    if name in ("command", "cmd") and _kind(items) == "string" and not prefix:
        return ["echo", "sandbox"]
    schemas = [prefix[at] if at < len(prefix) else items for at in range(max(count, min(len(prefix), _ITEMS_MAX)))]
    return [_value(item, root, name.removesuffix("s"), depth + 1) for item in schemas]


def _number(schema: JsonObject, *, step: float) -> float:
    def bound(keyword: str) -> float | None:
        value = schema.get(keyword)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    low, high = bound("minimum"), bound("maximum")
    above, below = bound("exclusiveMinimum"), bound("exclusiveMaximum")
    if above is not None:
        low = max(above + step, low if low is not None else above + step)
    if below is not None:
        high = min(below - step, high if high is not None else below - step)
    number = 1.0
    if low is not None:
        number = max(number, low)
    if high is not None:
        number = min(number, high)
    multiple = bound("multipleOf")
    if multiple and number % multiple:
        number = (number // multiple + 1) * multiple
        if high is not None and number > high:
            number -= multiple
    if step == 1 and number != int(number):
        number = float(int(number) + 1)
    return number


def _string(schema: JsonObject, name: str) -> str:
    word = _FORMATS.get(as_text(schema.get("format"))) or _WORDS.get(name.lower()) or f"sandbox {name}".strip()
    low = as_int(either(schema, "minLength", "min_length")) or 0
    high = as_int(either(schema, "maxLength", "max_length"))
    if len(word) < low:
        word = (word + " " + "sandbox " * (min(low, _LENGTH_MAX) // 8 + 1))[:low]
    return word if high is None else word[:high]
