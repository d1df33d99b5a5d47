"""A provider as it is reached: address, credential, paths by dialect, policies. The facts are in `data/*.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Struct

from proxyapi.dialects.call import Operation
from proxyapi.dialects.model import DialectName
from proxyapi.errors import SettingsError
from proxyapi.providers.quirks import ModelRules, read_rules
from proxyapi.wire.upstream import Origin

DATA = Path(__file__).parent / "data"
NAMES = ("openai", "anthropic", "google", "openrouter", "deepseek")
"""The providers that ship with the program."""

OnGone = Literal["cancel", "drain"]

SANDBOX = "sandbox"
"""Stands in for every provider without a key."""

_CUSTOM = "custom"
_PORTS = {"https": 443, "http": 80}
_VERSION, _ACTION = "v1beta", "generateContent"


class ProviderConfig(Struct, frozen=True, kw_only=True):
    """What the operator says of a provider."""

    enabled: bool = True
    base_url: str = ""
    """Another address than its own."""
    key: str = ""
    on_gone: OnGone | None = None
    forwarded_headers: frozenset[bytes] = frozenset()
    """Request headers that pass besides the usual ones, lower-case."""
    passes_credential_errors: bool = False
    quirks: Mapping[str, object] = {}
    """Flags of `dialects.quirks` for all of its models, as `[quirks]` of a data file."""
    models: Sequence[object] = ()
    """Rows as `[[models]]` of a data file."""

    def __repr__(self) -> str:
        return f"ProviderConfig(base_url={self.base_url!r}, key={'***' if self.key else ''})"


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    """A file of `data/`."""

    title: str
    base_url: str
    key_variable: str
    credential: tuple[str, str]
    chat_dialect: DialectName
    on_gone: OnGone
    reports_cost: bool
    paths: dict[str, str | dict[str, str]]
    cache_writes_automatic: bool = False
    keeps_responses: bool = False
    passes_credential_errors: bool = False
    quirks: dict[str, Any] = {}
    models: list[dict[str, Any]] = []


class Provider(Struct, frozen=True, kw_only=True):
    name: str
    title: str
    """As it is called in messages to clients."""
    origin: Origin
    base_path: str
    """Before every path; without a slash at its end."""
    credential_header: str
    credential_template: str
    key: str
    chat_dialect: DialectName
    """What conversations are translated to where it doesn't speak the client's dialect."""
    paths: dict[str, str | dict[str, str]]
    """By dialect; where a dialect has several endpoints, by operation."""
    on_gone: OnGone = "cancel"
    """When the client left: stop the provider and count, or read on for the exact usage."""
    reports_cost: bool = False
    """Its answers carry its own bill, which is charged."""
    cache_writes_automatic: bool = False
    """It may write caches unasked, at a price of their own."""
    keeps_responses: bool = False
    """It keeps responses for `previous_response_id`; for others the gateway does."""
    passes_credential_errors: bool = False
    """401 and 402 are the client's doing."""
    forwarded_headers: frozenset[bytes] = frozenset()
    rules: ModelRules = ModelRules()
    """What differs from model to model."""
    stands_for: str = ""
    """The sandbox: whose place it takes."""
    enabled: bool = True
    connected: bool = False
    """It can be called: it has a key, or an address of the operator's, which may need none."""
    key_variable: str = ""

    @property
    def host(self) -> str:
        """For the Host header: with the port where it isn't the scheme's own."""
        _, host, port = self.origin
        name = f"[{host}]" if ":" in host else host
        return name if port == _PORTS[self.origin.scheme] else f"{name}:{port}"

    def credential(self) -> tuple[str, str]:
        """Header name and value."""
        return self.credential_header, self.credential_template.replace("{key}", self.key)

    def serves(self, dialect: str, operation: str) -> bool:
        """Whether it has an endpoint for the operation in this dialect."""
        path = self.paths.get(dialect)
        return path is not None and (isinstance(path, str) or operation in path)

    def path(self, dialect: str, operation: Operation, *, model: str = "", version: str = "", action: str = "") -> str:
        """Path of an endpoint, ready to be sent. `version` and `action` (Gemini) are those of the client's path."""
        path = self.paths[dialect]
        if not isinstance(path, str):
            path = path[operation]
        if "{" in path:
            path = path.format(
                provider=self.stands_for,
                model=quote(model, safe=""),
                version=version or _VERSION,
                action=action or _ACTION,
            )
        return self.base_path + path

    def __repr__(self) -> str:
        return f"Provider({self.name!r}, {self.host!r})"


def load_providers(configs: Mapping[str, ProviderConfig]) -> dict[str, Provider]:
    """The shipped providers and the operator's own, by name. SettingsError: an address that is none.

    The sandbox is among them if `configs["sandbox"]` names its address. It never needs a key.
    """
    names = [*NAMES, *(name for name in configs if name not in NAMES and name != SANDBOX)]
    sandbox = configs.get(SANDBOX)
    if sandbox is not None and sandbox.base_url and sandbox.enabled:
        names.append(SANDBOX)
    return {name: _provider(name, configs.get(name, ProviderConfig())) for name in names}


def _provider(name: str, config: ProviderConfig) -> Provider:
    file = _read(name if (DATA / f"{name}.toml").is_file() and name != _CUSTOM else _CUSTOM)
    url = config.base_url or file.base_url
    origin, base_path = _address(name, url)
    header, template = file.credential
    return Provider(
        name=name,
        title=file.title or name,
        origin=origin,
        base_path=base_path,
        credential_header=header,
        credential_template=template,
        key=config.key,
        chat_dialect=file.chat_dialect,
        paths=file.paths,
        on_gone=config.on_gone or file.on_gone,
        reports_cost=file.reports_cost,
        cache_writes_automatic=file.cache_writes_automatic,
        keeps_responses=file.keeps_responses,
        passes_credential_errors=config.passes_credential_errors or file.passes_credential_errors,
        forwarded_headers=config.forwarded_headers,
        rules=_rules(name, file, config),
        stands_for=NAMES[0] if name == SANDBOX else "",
        enabled=config.enabled,
        connected=bool(config.key or config.base_url),
        key_variable=file.key_variable,
    )


def _rules(name: str, file: _File, config: ProviderConfig) -> ModelRules:
    shipped = read_rules(file.quirks, file.models, place=name, dialects=file.paths)
    if not config.quirks and not config.models:
        return shipped
    own = read_rules(config.quirks, config.models, place=f"providers.{name}", dialects=file.paths)
    return own.over(shipped)


def _read(name: str) -> _File:
    return msgspec.convert(tomllib.loads((DATA / f"{name}.toml").read_text("utf-8")), _File)


def _address(name: str, url: str) -> tuple[Origin, str]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise SettingsError(f"[providers.{name}] base_url: {url!r} is not an address") from None
    if parts.scheme not in _PORTS or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise SettingsError(
            f"[providers.{name}] base_url: {url!r} is not an address such as https://api.example.com/v1"
        )
    return Origin(parts.scheme, parts.hostname, port or _PORTS[parts.scheme]), parts.path.rstrip("/")
