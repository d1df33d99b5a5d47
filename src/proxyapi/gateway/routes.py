"""The table of addresses: method and path to a route. What is not in it does not exist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal
from urllib.parse import unquote

from msgspec import Struct

from proxyapi.dialects.call import Operation, WireName
from proxyapi.errors import GatewayError, MethodNotAllowed, NotFound

Shape = Literal["openai", "anthropic", "google"]
"""How errors are spelled."""

Kind = Literal[
    "paid",
    "upload",
    "stored",
    "models",
    "model",
    "balance",
    "estimate",
    "prices",
    "receipt",
    "health",
    "ready",
    "metrics",
    "hello",
    "console",
]


class Route(Struct, frozen=True, kw_only=True):
    kind: Kind
    shape: Shape = "openai"
    operation: Operation = "chat"
    dialect: WireName = "openai_chat"
    provider: str | None = None
    """None: the model's name decides (unified API)."""
    version: str = ""
    """Gemini: `v1` or `v1beta`, kept on the way."""
    model: str | None = None
    """From the path (Gemini, `GET /models/{id}`)."""
    stream: bool = False
    """From the path (Gemini)."""
    object_id: str = ""
    """A stored response, or a request."""
    action: str = ""
    """What follows its id: empty, `cancel`, `input_items`."""
    needs_key: bool = True


_OPENAI: dict[str, tuple[Kind, Operation, WireName]] = {
    "/chat/completions": ("paid", "chat", "openai_chat"),
    "/completions": ("paid", "completions", "openai_completions"),
    "/responses": ("paid", "responses", "openai_responses"),
    "/responses/input_tokens": ("paid", "count_tokens", "openai_count"),
    "/embeddings": ("paid", "embeddings", "openai_embeddings"),
    "/moderations": ("paid", "moderations", "openai_moderations"),
    "/audio/speech": ("paid", "speech", "openai_speech"),
    "/audio/transcriptions": ("upload", "transcription", "openai_transcription"),
    "/audio/translations": ("upload", "translation", "openai_transcription"),
    "/images/generations": ("paid", "image_generation", "openai_images"),
    "/images/edits": ("upload", "image_edit", "openai_images"),
    "/images/variations": ("upload", "image_variation", "openai_images"),
}
_MESSAGES: dict[str, tuple[Kind, Operation, WireName]] = {
    "/messages": ("paid", "messages", "anthropic"),
    "/messages/count_tokens": ("paid", "count_tokens", "anthropic_count"),
}
_OPENROUTER = ("/chat/completions", "/completions", "/responses", "/embeddings")
_GEMINI_VERBS: dict[str, tuple[Operation, WireName, bool]] = {
    "generateContent": ("generate", "gemini", False),
    "streamGenerateContent": ("generate", "gemini", True),
    "countTokens": ("count_tokens", "gemini_count", False),
    "embedContent": ("embeddings", "gemini_embed", False),
    "batchEmbedContents": ("embeddings", "gemini_embed", False),
}
_OWN: dict[str, tuple[str, Kind, bool]] = {
    "/proxyapi/balance": ("GET", "balance", True),
    "/api/balance": ("GET", "balance", True),
    "/proxyapi/estimate": ("POST", "estimate", True),
    "/proxyapi/prices": ("GET", "prices", True),
    "/healthz": ("GET", "health", False),
    "/readyz": ("GET", "ready", False),
    "/metrics": ("GET", "metrics", False),
}
_GOOGLE_PREFIXES = {
    "/google/v1beta/models": ("google", "v1beta"),
    "/google/v1/models": ("google", "v1"),
    "/v1beta/models": (None, "v1beta"),
    "/v1/models": (None, "v1"),
}
_REQUESTS_PREFIX = "/proxyapi/requests/"
_RESPONSES_PREFIXES: dict[str, str | None] = {"/v1/responses/": None, "/openai/v1/responses/": "openai"}
_MODELS_PREFIXES: dict[str, tuple[str | None, Shape]] = {
    "/v1/models": (None, "openai"),
    "/openai/v1/models": ("openai", "openai"),
    "/openrouter/v1/models": ("openrouter", "openai"),
    "/deepseek/v1/models": ("deepseek", "openai"),
    "/deepseek/models": ("deepseek", "openai"),
    "/anthropic/v1/models": ("anthropic", "anthropic"),
    "/google/v1/models": ("google", "google"),
    "/google/v1beta/models": ("google", "google"),
    "/v1beta/models": (None, "google"),
}
_SEGMENT_CHARACTERS_MAX = 512
"""A model name or an object id in a path; the longest known has 80."""


def _paid() -> Iterator[tuple[str, Route]]:
    def rows(
        prefix: str, provider: str | None, table: Mapping[str, tuple[Kind, Operation, WireName]], shape: Shape
    ) -> Iterator[tuple[str, Route]]:
        for path, (kind, operation, dialect) in table.items():
            yield (
                prefix + path,
                Route(kind=kind, shape=shape, operation=operation, dialect=dialect, provider=provider),
            )

    yield from rows("/v1", None, _OPENAI, "openai")
    yield from rows("/openai/v1", "openai", _OPENAI, "openai")
    openrouter = {path: _OPENAI[path] for path in _OPENROUTER}
    for prefix in ("/openrouter/v1", "/openrouter/api/v1"):
        yield from rows(prefix, "openrouter", openrouter, "openai")
        yield from rows(prefix, "openrouter", _MESSAGES, "anthropic")
    chat = {"/chat/completions": _OPENAI["/chat/completions"]}
    yield from rows("/deepseek", "deepseek", chat, "openai")
    yield from rows("/deepseek/v1", "deepseek", chat, "openai")
    yield from rows("/v1", None, _MESSAGES, "anthropic")
    yield from rows("/anthropic/v1", "anthropic", _MESSAGES, "anthropic")


_POST: dict[str, Route] = dict(_paid())
_GET: dict[str, Route] = {
    "/": Route(kind="hello", needs_key=False),
    "/anthropic": Route(kind="hello", shape="anthropic", needs_key=False),
    "/openai/v1": Route(kind="hello", needs_key=False),
    "/google": Route(kind="hello", shape="google", needs_key=False),
    "/openrouter": Route(kind="hello", needs_key=False),
    "/deepseek": Route(kind="hello", needs_key=False),
}
for _path, (_method, _kind, _needs_key) in _OWN.items():
    (_POST if _method == "POST" else _GET)[_path] = Route(kind=_kind, needs_key=_needs_key)
for _path, (_provider, _shape) in _MODELS_PREFIXES.items():
    _GET[_path] = Route(kind="models", shape=_shape, provider=_provider, needs_key=True)

_CONSOLE = dict.fromkeys(("console", "admin", "payments"), Route(kind="console", needs_key=False))
"""First segments of the paths that the console's process answers, whatever follows and whatever the method."""

NOT_OFFERED = {
    "files": "Files",
    "batches": "Batches",
    "assistants": "Assistants",
    "threads": "Threads",
    "fine_tuning": "Fine-tuning",
    "vector_stores": "Vector stores",
    "uploads": "Uploads",
    "realtime": "Realtime sessions",
    "containers": "Containers",
    "conversations": "Conversations",
    "cachedContents": "Cached contents",
    "tunedModels": "Tuned models",
    "videos": "Videos",
    "evals": "Evals",
}
"""Parts of the providers' APIs whose objects would belong to the operator's account: named in the 404."""


def shape_of(path: str) -> Shape:
    """The dialect in which an error on this path is spelled."""
    if path.startswith(("/anthropic", "/v1/messages", "/openrouter/v1/messages", "/openrouter/api/v1/messages")):
        return "anthropic"
    if path.startswith(("/google", "/v1beta")):
        return "google"
    return "openai"


def find(method: str, path: str) -> Route:
    """The route of a request. `path` is as sent, without its query. NotFound, MethodNotAllowed."""
    table = _POST if method == "POST" else _GET
    route = table.get(path)
    if route is not None and method in ("POST", "GET", "HEAD"):
        return route
    return _find_slowly(method, path)


def is_console(path: str) -> bool:
    """Does the console's process answer this path?"""
    return path[1:].partition("/")[0] in _CONSOLE


def _find_slowly(method: str, path: str) -> Route:
    console = _CONSOLE.get(path[1:].partition("/")[0])
    if console is not None:
        return console
    if len(path) > 1 and path.endswith("/"):
        return find(method, path.rstrip("/") or "/")
    methods = [name for name in ("GET", "POST", "DELETE") if _match(name, path) is not None]
    route = _match("GET" if method == "HEAD" else method, path)
    if route is not None:
        return route
    if methods:
        raise MethodNotAllowed(f"{path} answers {', '.join(methods)}, not {method}.")
    raise _not_found(path)


def methods_of(path: str) -> list[str]:
    """What OPTIONS answers in `Allow`; empty for an unknown path."""
    path = path.rstrip("/") or "/"
    known = [name for name in ("GET", "POST", "DELETE") if _match(name, path) is not None]
    if "GET" in known:
        known.append("HEAD")
    return [*known, "OPTIONS"] if known else []


def _match(method: str, path: str) -> Route | None:
    table = _POST if method == "POST" else _GET if method == "GET" else {}
    route = table.get(path)
    if route is not None:
        return route
    if method == "POST":
        return _gemini(path) or _stored(method, path)
    if method in ("GET", "DELETE"):
        return _stored(method, path) or (_model(path) or _receipt(path) if method == "GET" else None)
    return None


def _gemini(path: str) -> Route | None:
    head, colon, verb = path.rpartition(":")
    operation = _GEMINI_VERBS.get(verb)
    if not colon or operation is None:
        return None
    for prefix, (provider, version) in _GOOGLE_PREFIXES.items():
        if head.startswith(prefix + "/"):
            model = _segment(head[len(prefix) + 1 :])
            name, dialect, stream = operation
            return Route(
                kind="paid",
                shape="google",
                operation=name,
                dialect=dialect,
                provider=provider,
                version=version,
                model=model,
                stream=stream,
                action=verb,
            )
    return None


def _stored(method: str, path: str) -> Route | None:
    for prefix, provider in _RESPONSES_PREFIXES.items():
        if path.startswith(prefix):
            object_id, _, action = path[len(prefix) :].partition("/")
            allowed = {"POST": ("cancel",), "GET": ("", "input_items"), "DELETE": ("",)}[method]
            if object_id and action in allowed and object_id != "input_tokens":
                return Route(
                    kind="stored",
                    operation="responses",
                    dialect="openai_responses",
                    provider=provider,
                    object_id=_segment(object_id),
                    action=action,
                )
    return None


def _model(path: str) -> Route | None:
    for prefix, (provider, shape) in _MODELS_PREFIXES.items():
        if path.startswith(prefix + "/"):
            return Route(kind="model", shape=shape, provider=provider, model=_segment(path[len(prefix) + 1 :]))
    return None


def _segment(text: str) -> str:
    if len(text) > _SEGMENT_CHARACTERS_MAX:
        raise NotFound("The name in the path is too long.")
    return unquote(text)


def _receipt(path: str) -> Route | None:
    id = path.removeprefix(_REQUESTS_PREFIX)
    known = path.startswith(_REQUESTS_PREFIX) and 0 < len(id) <= _SEGMENT_CHARACTERS_MAX and "/" not in id
    return Route(kind="receipt", object_id=id) if known else None


def _not_found(path: str) -> GatewayError:
    shown = path[:200]
    if "/v1/v1" in path:
        return NotFound(f"{shown} does not exist: the base URL has one /v1 too many.")
    for name, title in NOT_OFFERED.items():
        if f"/{name}" in path:
            return NotFound(f"{title} are not available through this gateway: {shown} does not exist.")
    parts = path.split("/", 2)
    if len(parts) == 3 and parts[1] in ("openai", "openrouter", "anthropic"):
        fixed = f"/{parts[1]}/v1/{parts[2]}"
        if _match("POST", fixed) or _match("GET", fixed):
            return NotFound(f"{shown} does not exist. Did you mean {fixed[:200]}? Add /v1 to the base URL.")
    return NotFound(f"{shown} does not exist. The addresses are listed in the documentation under Routes.")
