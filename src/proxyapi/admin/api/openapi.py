"""The table of routes as an OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.0)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from proxyapi.admin.api.routes import ROUTES, Route
from proxyapi.admin.views import Money

PREFIX = "/admin/v1"
_PARAMETER = re.compile(r"\{(\w+)\}")
_REF = "#/components/schemas/{name}"

Json = dict[str, Any]


class Problem(Struct, frozen=True, kw_only=True):
    """An error (RFC 9457), as `application/problem+json`."""

    type: str
    title: str
    status: int
    detail: str
    field: str | None = None
    """The one that is wrong."""


def document(version: str, routes: Sequence[Route] = ROUTES) -> Json:
    """`version`: of the program."""
    types = dict.fromkeys([Problem, *(route.reply for route in routes if route.reply is not None)])
    types.update(dict.fromkeys(route.body for route in routes if route.body is not None))
    schemas, components = msgspec.json.schema_components(types, schema_hook=_schema_of, ref_template=_REF)
    by_type = dict(zip(types, schemas, strict=True))
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(PREFIX + route.path, {})[route.method.lower()] = _operation(route, by_type)
    made: Json = {
        "openapi": "3.1.0",
        "info": {
            "title": "proxyapi admin API",
            "version": version,
            "description": "What operators do, for programs. Amounts are decimal numbers of the installation's "
            "currency, times are RFC 3339. Tokens are made by `proxyapi operator token create`.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": components,
        },
    }
    return _numbers(made)  # type: ignore[no-any-return]


def _operation(route: Route, schemas: dict[Any, Json]) -> Json:
    operation: Json = {
        "operationId": route.name,
        "summary": route.text,
        "description": f"Needs a token with the scope `{route.scope}`.",
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
              for name in _PARAMETER.findall(route.path)),
            *_query(route.query),
        ],
        "responses": {
            str(route.status): _content(schemas[route.reply]) if route.reply is not None else {"description": "Done."},
            "default": _content(schemas[Problem], "application/problem+json", "What is wrong."),
        },
    }  # fmt: skip
    if route.method == "POST":
        operation["parameters"].append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "maxLength": 255},
                "description": "A request that is repeated with it within a day is answered as the first one was.",
            }
        )
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schemas[route.body]}},
        }
    return operation


def _query(kind: type[Struct]) -> list[Json]:
    (_,), components = msgspec.json.schema_components([kind], ref_template=_REF)
    schema = components[kind.__name__]
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": part}
        for name, part in schema["properties"].items()
    ]


def _content(schema: Json, kind: str = "application/json", text: str = "The answer.") -> Json:
    return {"description": text, "content": {kind: {"schema": schema}}}


def _schema_of(kind: type) -> Json:
    if kind is Money:
        return {"type": "number", "description": "In the installation's currency."}
    raise NotImplementedError


def _numbers(part: Any) -> Any:
    """Decimals are numbers here, not texts."""
    if isinstance(part, dict):
        if part.get("type") == "string" and part.get("format") == "decimal":
            return {**{k: v for k, v in part.items() if k != "format"}, "type": "number"}
        return {key: _numbers(value) for key, value in part.items()}
    return [_numbers(item) for item in part] if isinstance(part, list) else part
