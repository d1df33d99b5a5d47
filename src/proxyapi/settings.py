"""What an operator can set: `proxyapi.toml`, the environment and flags become one frozen `Settings`.

Strongest first: flags, environment, file, defaults. A wrong key or value is a `SettingsError` that names it. Every
setting is a field below, and its description is its documentation: `python -m proxyapi.settings` prints the reference.
"""

from __future__ import annotations

import difflib
import ipaddress
import tomllib
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, unquote, urlsplit

import msgspec
from msgspec import Meta, Struct, field

from proxyapi.errors import SettingsError

FILE_NAME = "proxyapi.toml"
DATABASE_NAME = "proxyapi.db"
FILE_BYTES_MAX = 1_048_576
"""A configuration has some kilobytes; a device or a log file given by mistake is not read to its end."""

EXCHANGE_RATES = {"RUB": Decimal(100), "USD": Decimal(1)}
"""Units of the currency per US dollar where the operator set none."""

KEY_VARIABLES = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "google": "GEMINI_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
    "deepseek": "DEEPSEEK_API_KEY",
}
"""The providers that ship with the program, and the variable that switches each on."""


class Secret:
    """A text that no log, error or repr may show. `reveal()` where it is used, nowhere else."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "***" if self._text else "(none)"


class Tls(Struct, frozen=True, kw_only=True):
    certificate: Annotated[str, Meta(description="PEM file with the certificate and its chain.")] = ""
    key: Annotated[str, Meta(description="PEM file with the private key.")] = ""


_Count = Annotated[int, Meta(ge=1)]
_Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class Limits(Struct, frozen=True, kw_only=True):
    body_bytes_max: Annotated[_Count, Meta(description="Largest request body, uploads included; above: 413.")] = (
        64 * 2**20
    )
    head_bytes_max: Annotated[_Count, Meta(description="Request line and headers together; above: 431.")] = 65_536
    headers_max: Annotated[_Count, Meta(description="Number of headers of a request.")] = 128
    reply_bytes_max: Annotated[_Count, Meta(description="Largest reply of a provider that comes as one body.")] = (
        64 * 2**20
    )
    write_buffer_bytes: Annotated[
        _Count, Meta(description="Bytes kept for a slow reader before its source is paused.")
    ] = 262_144
    link_bytes_max: Annotated[
        int,
        Meta(
            ge=0,
            description="Files of one request, all together, that are fetched for a provider that takes no addresses. "
            "0: none are.",
        ),
    ] = 20 * 2**20
    connections_per_address_max: Annotated[_Count, Meta(description="Client connections per address and worker.")] = (
        4_096
    )
    upstream_connections_max: Annotated[_Count, Meta(description="Connections to one provider per worker.")] = 10_000
    concurrent_requests_max: Annotated[
        _Count, Meta(description="Requests being answered per worker; above: 503 with Retry-After.")
    ] = 10_000
    drains_max: Annotated[
        int, Meta(ge=0, description="Replies per worker that are read to their end for clients that left (`on_gone`).")
    ] = 100


class Timeouts(Struct, frozen=True, kw_only=True):
    head_seconds: Annotated[_Seconds, Meta(description="For a client to send the head of a request.")] = 15.0
    body_idle_seconds: Annotated[_Seconds, Meta(description="Between two pieces of a request body.")] = 30.0
    keep_alive_seconds: Annotated[_Seconds, Meta(description="An idle client connection is kept so long.")] = 75.0
    write_stall_seconds: Annotated[_Seconds, Meta(description="A peer that reads nothing for so long is cut.")] = 60.0
    connect_seconds: Annotated[_Seconds, Meta(description="To open a connection to a provider, TLS included.")] = 10.0
    first_byte_seconds: Annotated[
        _Seconds, Meta(description="From the sent request to the first byte of the provider's answer.")
    ] = 600.0
    idle_seconds: Annotated[_Seconds, Meta(description="Between two pieces of a provider's answer.")] = 300.0
    pooled_idle_seconds: Annotated[_Seconds, Meta(description="An idle provider connection is kept so long.")] = 55.0
    drain_seconds: Annotated[_Seconds, Meta(description="For the rest of a reply whose client left.")] = 60.0
    stop_seconds: Annotated[_Seconds, Meta(description="For running requests to finish when the gateway stops.")] = 30.0


class Pause(Struct, frozen=True, kw_only=True):
    enabled: Annotated[bool, Meta(description="Pause keys that collect client errors (4xx).")] = True
    strikes: Annotated[int, Meta(ge=1, le=1_000, description="So many 4xx answers within the window …")] = 20
    window_seconds: Annotated[_Seconds, Meta(description="… of so many seconds pause the key.")] = 60.0
    steps_seconds: Annotated[
        tuple[_Seconds, ...], Meta(min_length=1, max_length=10, description="Length of the first, second, … pause.")
    ] = (60.0, 600.0, 3_600.0, 43_200.0)
    forgive_seconds: Annotated[
        _Seconds, Meta(description="After so long without a new pause the next one is a step shorter again.")
    ] = 43_200.0


class ProviderSettings(Struct, frozen=True, kw_only=True):
    enabled: Annotated[bool, Meta(description="`false` takes the provider off, whatever keys there are.")] = True
    base_url: Annotated[
        str, Meta(description="Other address than the provider's own; a provider of your own needs one.")
    ] = ""
    api_key: Annotated[Secret, Meta(description="The operator's key. Better in the environment: `api_key_env`.")] = (
        Secret("")
    )
    api_key_env: Annotated[str, Meta(description="Name of the environment variable that holds the key.")] = ""
    on_gone: Annotated[
        Literal["cancel", "drain"] | None,
        Meta(description="Client left: `cancel` the reply, or `drain` it for exact usage. Not set: by provider."),
    ] = None
    forward_headers: Annotated[
        tuple[str, ...], Meta(description="More request headers that may pass to the provider, besides the usual ones.")
    ] = ()
    credential_errors: Annotated[
        Literal["hide", "pass"],
        Meta(description="Provider refuses your key (401, 402): `hide` answers 502, `pass` shows its words."),
    ] = "hide"
    quirks: Annotated[
        dict[str, Any],
        Meta(description="What differs from the API's documentation at all models: flags of the page on quirks."),
    ] = field(default_factory=dict)
    models: Annotated[
        tuple[dict[str, Any], ...],
        Meta(description="What differs at some models: tables `[[providers.NAME.models]]` with `match` and flags."),
    ] = ()


class Sandbox(Struct, frozen=True, kw_only=True):
    enabled: Annotated[bool, Meta(description="Answer for providers without a key, and the magic models.")] = True
    pace_ms: Annotated[int, Meta(ge=0, le=60_000, description="Milliseconds between the events of a stream.")] = 0


class Hold(Struct, frozen=True, kw_only=True):
    factors: Annotated[
        dict[str, Decimal],
        Meta(description="By tokenizer family: the counted prompt × factor is held. Settling is not touched."),
    ] = field(default_factory=dict)


class Memory(Struct, frozen=True, kw_only=True):
    responses_days: Annotated[
        int,
        Meta(ge=0, le=3_650, description="Responses of providers that keep none, after their last use; 0: not kept."),
    ] = 30
    responses_bytes_max: Annotated[
        _Count, Meta(description="Of one account; the ones that were not used for the longest time go first.")
    ] = 256 * 2**20
    reasoning_hours: Annotated[
        int,
        Meta(
            ge=0,
            le=8_760,
            description="Reasoning that Chat and Gemini clients don't echo, after its last use; 0: not kept.",
        ),
    ] = 24


class Settings(Struct, frozen=True, kw_only=True):
    listen: Annotated[str, Meta(description="`HOST:PORT`; `:8080` listens on every address; port 0 is any free.")] = (
        "127.0.0.1:8080"
    )
    data: Annotated[Path, Meta(description="Directory of the database; made at the first start.")] = Path(
        "proxyapi-data"
    )
    database_url: Annotated[
        str, Meta(description="Database elsewhere: `sqlite:///relative/path` or `sqlite:////absolute/path`.")
    ] = ""
    currency: Annotated[
        str, Meta(pattern="^[A-Z]{3,8}$", description="Of every balance and price. Fixed once there is money.")
    ] = "RUB"
    exchange_rate: Annotated[
        Decimal, Meta(description="Units of the currency per US dollar. Required unless it is RUB (100) or USD (1).")
    ] = Decimal(0)
    markup: Annotated[Decimal, Meta(description="Added to published prices: `0.2` is 20 %.")] = Decimal(0)
    workers: Annotated[int, Meta(ge=0, le=256, description="Processes; 0 is one per processor.")] = 1
    trusted_proxies: Annotated[
        tuple[str, ...], Meta(description="Addresses or networks whose `X-Forwarded-For` is believed.")
    ] = ()
    cors_origins: Annotated[
        tuple[str, ...], Meta(description="Web origins that browsers may call from; `*` is any. Empty: CORS is off.")
    ] = ()
    access_log: Annotated[bool, Meta(description="One JSON line per request on standard error.")] = True
    tls: Tls = Tls()
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    pause: Pause = Pause()
    sandbox: Sandbox = Sandbox()
    hold: Hold = Hold()
    memory: Memory = Memory()
    providers: dict[str, ProviderSettings] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        return parse_listen(self.listen)

    @property
    def database(self) -> Path:
        """The SQLite file."""
        if self.database_url:
            return Path(unquote(urlsplit(self.database_url).path[1:]))
        return self.data / DATABASE_NAME


TABLES: dict[str, type[Struct]] = {
    "tls": Tls, "limits": Limits, "timeouts": Timeouts, "pause": Pause, "sandbox": Sandbox, "hold": Hold,
    "memory": Memory,
}  # fmt: skip
_ENTRIES: dict[str, Any] = {"providers": ProviderSettings, "aliases": str}
"""Tables whose keys are the operator's own names, and what each entry is."""

_WORDS = {
    "`int`": "a whole number", "`float`": "a number", "`bool`": "true or false", "`str`": 'a text in "quotes"',
    "`array`": "a list in [brackets]", "`object`": "a table", "`decimal`": "a decimal number", "`datetime`": "a date",
    "`date`": "a date", "`time`": "a time",
}  # fmt: skip
_FLAGS = {"listen": "--listen", "workers": "--workers", "data": "--data"}
_VARIABLES = {"listen": "PROXYAPI_LISTEN", "data": "PROXYAPI_DATA", "database_url": "DATABASE_URL"}


def load(
    path: Path | None, environ: Mapping[str, str], *, flags: Mapping[str, str | int | None] | None = None
) -> Settings:
    """Settings of the file at `path`, else `PROXYAPI_CONFIG`, else `proxyapi.toml` here if there is one.

    `flags` are the command line's `listen`, `workers` and `data`; None: not given. SettingsError says what is wrong.
    Relative paths in the file start at its directory, others at the current one.
    """
    if path is None and environ.get("PROXYAPI_CONFIG"):
        path = Path(environ["PROXYAPI_CONFIG"])
    if path is None and Path(FILE_NAME).is_file():
        path = Path(FILE_NAME)
    values: dict[str, Any] = {}
    if path is not None:
        values = _read_file(path)
    source = dict.fromkeys(values, path.name if path is not None else "")
    for name, variable in _VARIABLES.items():
        if environ.get(variable):
            values[name], source[name] = _value(Settings, name, environ[variable], variable), variable
    for name, raw in (flags or {}).items():
        if raw is not None:
            values[name], source[name] = _value(Settings, name, raw, _FLAGS[name]), _FLAGS[name]
    if "data" in (flags or {}) and source.get("data") == "--data" and source.get("database_url") != "DATABASE_URL":
        values.pop("database_url", None)
    settings = Settings(**values)
    _check(settings, lambda name: _place(source.get(name, ""), name))
    providers = _with_keys(settings.providers, environ, path.name if path is not None else FILE_NAME)
    rate = settings.exchange_rate or EXCHANGE_RATES[settings.currency]
    return msgspec.structs.replace(settings, providers=providers, exchange_rate=rate)


def parse_listen(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `[IPV6]:PORT` or `:PORT` as host and port. ValueError says what is expected."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65_535 or (":" in host and host[0] != "["):
        raise ValueError(f"{text!r} is not HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080")
    return host.removeprefix("[").removesuffix("]") or "0.0.0.0", int(port)


def _place(source: str, name: str) -> str:
    return source if source.startswith("--") or source in _VARIABLES.values() else f"{source or 'settings'}: {name}"


def _read_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(FILE_BYTES_MAX + 1)
        if len(text) > FILE_BYTES_MAX:
            raise SettingsError(f"{path} is larger than {FILE_BYTES_MAX} bytes: it is no configuration")
        document = tomllib.loads(text.decode(), parse_float=_parse_number)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # of TOML, of UTF-8 or of a number
        raise SettingsError(f"{path.name} is not valid TOML: {error}") from error
    values: dict[str, Any] = {}
    for name, raw in document.items():
        if name in TABLES:
            values[name] = _table(TABLES[name], name, raw, path.name)
        elif name in _ENTRIES:
            values[name] = _entries(name, raw, path.name)
        else:
            values[name] = _value(Settings, name, raw, path.name)
    if "data" in values:
        values["data"] = path.parent / values["data"]
    if "database_url" in values:
        values["database_url"] = _from_directory(path.parent, values["database_url"])
    if "tls" in values:
        tls: Tls = values["tls"]
        files = (str(path.parent / name) if name else "" for name in (tls.certificate, tls.key))
        values["tls"] = Tls(**dict(zip(("certificate", "key"), files, strict=True)))
    return values


def _from_directory(directory: Path, url: str) -> str:
    """A relative SQLite path starts at the file's directory."""
    if not url.startswith("sqlite:///") or url.startswith("sqlite:////"):
        return url
    return f"sqlite:///{quote(str(directory))}/{url.removeprefix('sqlite:///')}"


def _parse_number(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(f"{text} is not a number that can be used")
    return number


def _table(kind: type[Struct], name: str, raw: object, file: str) -> Struct:
    if not isinstance(raw, dict):
        raise SettingsError(f"{file}: [{name}] has to be a table")
    return kind(**{key: _value(kind, key, value, file, name) for key, value in raw.items()})


def _entries(name: str, raw: object, file: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise SettingsError(f"{file}: [{name}] has to be a table")
    if name == "providers":
        return {key: _table(ProviderSettings, f"{name}.{key}", value, file) for key, value in raw.items()}
    for key, value in raw.items():
        if not isinstance(value, str):
            raise SettingsError(f'{file}: [{name}] {key} has to be a text in "quotes"')
    return dict(raw)


def _value(kind: type[Struct], key: str, raw: object, source: str, table: str = "") -> Any:
    """One checked value. `source` is the file, variable or flag that it comes from."""
    fields = {entry.encode_name: entry for entry in msgspec.structs.fields(kind)}
    place = _place(source, f"[{table}] {key}" if table else key)
    if key not in fields:
        raise SettingsError(f"{place} is not a setting{_suggestion(key, fields, table)}")
    try:
        return msgspec.convert(raw, fields[key].type, dec_hook=_convert)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{place}: {_explain(str(error), fields[key].type)}") from None


def _suggestion(key: str, fields: Mapping[str, object], table: str) -> str:
    everywhere = {name: owner for owner, kind in TABLES.items() for name in kind.__struct_fields__}
    if key in everywhere and everywhere[key] != table:
        return f"; it belongs in [{everywhere[key]}]"
    if table and key in Settings.__struct_fields__:
        return "; it belongs at the top of the file, before the first [table]"
    close = difflib.get_close_matches(key, fields, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else f". Known are: {', '.join(fields)}"


def _convert(kind: type, raw: object) -> object:
    if isinstance(raw, str):
        if kind is Secret:
            return Secret(raw)
        if kind is Path:
            return Path(raw)
    raise msgspec.ValidationError("Expected `str`")


def _explain(text: str, kind: object) -> str:
    """msgspec's words in those of somebody who writes TOML."""
    if text.startswith("Invalid enum value"):
        choices = next(args for args in _literals(kind))
        return f"{text.removeprefix('Invalid enum value ')} is not one of {', '.join(map(str, choices))}"
    if "regex" in text:
        return "has to be an upper-case code such as RUB, USD or EUR"
    if text.startswith("Invalid decimal"):
        return 'has to be a decimal number, such as "0.2"'
    for word, plain in _WORDS.items():
        text = text.replace(word, plain)
    text = text.replace("Expected", "has to be", 1).replace(", got ", ", not ")
    return text.replace(" | null", "").partition(" - at")[0]


def _literals(kind: object) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for part in getattr(kind, "__args__", ()):
        found += [part.__args__] if getattr(part, "__origin__", None) is Literal else _literals(part)
    return found


def _check(settings: Settings, place: Callable[[str], str]) -> None:
    """What types cannot say. `place` names where a top-level setting comes from."""
    _guard(place("listen"), parse_listen, settings.listen)
    for network in settings.trusted_proxies:
        _guard(place("trusted_proxies"), _parse_network, network)
    for origin in settings.cors_origins:
        parts = urlsplit(origin)
        if origin != "*" and (parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query):
            raise SettingsError(f"{place('cors_origins')}: {origin!r} is not an origin, such as https://example.com")
    if settings.database_url:
        _check_database(settings.database_url, place("database_url"))
    if not settings.exchange_rate and settings.currency not in EXCHANGE_RATES:
        raise SettingsError(f"{place('exchange_rate')} is needed: how many {settings.currency} is one US dollar?")
    _check_number(settings.exchange_rate, place("exchange_rate"))
    _check_number(settings.markup, place("markup"))
    for name, factor in settings.hold.factors.items():
        _check_number(factor, f"{place('hold')}.factors.{name}", least=1)
    for name in ("certificate", "key"):
        if settings.tls.certificate or settings.tls.key:
            _check_file(getattr(settings.tls, name), f"{place('tls')}.{name}")
    for name, target in settings.aliases.items():
        if not name or not target or name == target:
            raise SettingsError(f"{place('aliases')}: {name!r} has to name another model")


def _parse_network(text: str) -> None:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address or a network such as 10.0.0.0/8") from None


def _guard(place: str, check: Callable[[str], object], text: str) -> None:
    try:
        check(text)
    except ValueError as error:
        raise SettingsError(f"{place}: {error}") from None


def _check_number(number: Decimal, place: str, *, least: int = 0) -> None:
    if not number.is_finite() or number < least or number > 10**9:
        raise SettingsError(f"{place}: {number} is not a number from {least} to 1000000000")


def _check_file(name: str, place: str) -> None:
    if not name:
        raise SettingsError(f"{place} is missing: TLS needs a certificate and a key")
    if not Path(name).is_file():
        raise SettingsError(f"{place}: there is no file {name}")


def _check_database(url: str, place: str) -> None:
    parts = urlsplit(url)
    if parts.scheme in ("postgres", "postgresql"):
        raise SettingsError(f"{place}: PostgreSQL comes with the next release; until then use sqlite:///PATH")
    if parts.scheme != "sqlite" or parts.netloc or len(parts.path) < 2:
        raise SettingsError(f"{place}: only sqlite:///PATH is known")


def _with_keys(
    providers: Mapping[str, ProviderSettings], environ: Mapping[str, str], file: str
) -> dict[str, ProviderSettings]:
    """Providers with their keys: `api_key`, else the variable named by `api_key_env`, else the usual variable."""
    found = dict(providers)
    for name, variable in KEY_VARIABLES.items():
        if environ.get(variable) and name not in found:
            found[name] = ProviderSettings()
    for name, provider in found.items():
        place = f"{file}: [providers.{name}]"
        if name not in KEY_VARIABLES and not provider.base_url:
            close = difflib.get_close_matches(name, KEY_VARIABLES, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise SettingsError(f"{place} does not ship with the program and needs a base_url{hint}")
        if provider.base_url and urlsplit(provider.base_url).scheme not in ("http", "https"):
            raise SettingsError(f"{place} base_url: {provider.base_url!r} does not start with https:// or http://")
        variable = provider.api_key_env or KEY_VARIABLES.get(name, "")
        if provider.api_key:
            if provider.api_key_env:
                raise SettingsError(f"{place} has both api_key and api_key_env: one of them is too many")
        elif environ.get(variable):
            found[name] = msgspec.structs.replace(provider, api_key=Secret(environ[variable]))
        elif provider.api_key_env and provider.enabled:
            raise SettingsError(f"{place} api_key_env: {variable} is not set in the environment")
    return found


_TABLE_TEXTS = {
    "tls": "HTTPS on the listening port. Without it a proxy in front should speak TLS.",
    "limits": "Everything has a limit. Sizes are bytes.",
    "timeouts": "In seconds.",
    "pause": "A key that collects client errors is paused, longer each time. A deposit ends the pause.",
    "sandbox": "Deterministic answers without any provider: for trying out and for tests.",
    "hold": "How much is reserved before a request goes out.",
    "memory": "What the gateway keeps of conversations, so that clients of one API can talk to models of another.",
    "providers.NAME": f"NAME is {', '.join(f'`{name}`' for name in KEY_VARIABLES)}, or one of your own that speaks "
    "OpenAI's API. Providers whose key is in the environment need no table.",
    "aliases": '`name = "vendor/model"`: further names for models.',
}
_ENVIRONMENT_TEXTS = {
    **{variable: f"Switches the provider `{name}` on." for name, variable in KEY_VARIABLES.items()},
    "PROXYAPI_CONFIG": "The configuration file; else `proxyapi.toml` in the current directory, if it is there.",
    "PROXYAPI_DATA": "Setting `data`.",
    "PROXYAPI_LISTEN": "Setting `listen`.",
    "DATABASE_URL": "Setting `database_url`.",
}


def reference_markdown() -> str:
    """The page of all settings, made of the fields above."""
    lines = [
        "# Settings",
        "",
        "`proxyapi serve` needs no configuration. What should differ from the defaults stands in `proxyapi.toml`, in "
        "the environment or on the command line; the command line is strongest, then the environment, then the file. "
        "A wrong key or value is an error that names it. Relative paths in the file start at its directory.",
        "",
        "This page is made by `python -m proxyapi.settings`.",
    ]
    for title, kind in _documented():
        lines += ["", f"## {f'`[{title}]`' if title else 'Top of the file'}", ""]
        lines += [_TABLE_TEXTS[title], ""] if title else []
        if kind is not None:
            lines += ["| setting | default | meaning |", "|---|---|---|"]
            lines += [f"| `{name}` | `{default}` | {text} |" for name, default, text in _rows(kind)]
    lines += ["", "## Environment", "", "| variable | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {text} |" for name, text in _ENVIRONMENT_TEXTS.items()]
    return "\n".join(lines) + "\n"


def example_toml() -> str:
    """A `proxyapi.toml` with every setting at its default, commented out."""
    lines = ["## Configuration of proxyapi. Every line shows a default; remove the # to change it."]
    for title, kind in _documented():
        lines += ["", *([f"## {_TABLE_TEXTS[title]}", f"# [{title.replace('NAME', 'openai')}]"] if title else [])]
        for name, default, text in _rows(kind) if kind is not None else ():
            lines += [f"# {name} = {default}{' ' * max(1, 34 - len(name) - len(default))}# {text}"]
    lines += ['# fast = "openai/gpt-4o-mini"']
    return "\n".join(lines) + "\n"


def _documented() -> list[tuple[str, type[Struct] | None]]:
    return [("", Settings), *TABLES.items(), ("providers.NAME", ProviderSettings), ("aliases", None)]


def _rows(kind: type[Struct]) -> list[tuple[str, str, str]]:
    """Name, default as TOML, and description of every plain setting."""
    rows = []
    for entry in msgspec.structs.fields(kind):
        texts = [part.description for part in getattr(entry.type, "__metadata__", ()) if isinstance(part, Meta)]
        if text := next(filter(None, texts), None):
            default = entry.default if entry.default_factory is msgspec.NODEFAULT else entry.default_factory()
            rows.append((entry.name, _toml("100" if entry.name == "exchange_rate" else default), text))
    return rows


def _toml(value: object) -> str:
    if value is None:
        return '"cancel"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(int(value)) if value == int(value) else str(value)
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    if isinstance(value, dict):
        return "{ }"
    return f'"{"" if isinstance(value, Secret) else value}"'


if __name__ == "__main__":
    print(reference_markdown(), end="")  # noqa: T201 - this is its output
