"""Reads the file, the environment and the flags into `Settings`. What is wrong is named with the place it stands at."""

from __future__ import annotations

import difflib
import ipaddress
import tomllib
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from proxyapi.errors import SettingsError
from proxyapi.settings.model import (
    ENTRIES,
    EXCHANGE_RATES,
    FALLBACKS_MAX,
    KEY_VARIABLES,
    TABLES,
    YOOKASSA_VARIABLE,
    Mail,
    ProviderSettings,
    Secret,
    Settings,
    Tls,
    YooKassa,
    parse_listen,
)

Value = TypeVar("Value")

FILE_NAME = "proxyapi.toml"
FILE_BYTES_MAX = 1_048_576
"""A configuration has some kilobytes; a device or a log file given by mistake is not read to its end."""

_WORDS = {
    "`int`": "a whole number", "`float`": "a number", "`bool`": "true or false", "`str`": 'a text in "quotes"',
    "`array`": "a list in [brackets]", "`object`": "a table", "`decimal`": "a decimal number", "`datetime`": "a date",
    "`date`": "a date", "`time`": "a time",
}  # fmt: skip
_NOT_LISTED = ("posix", "right", "posixrules")
"""Files beside those of time zones: `right/` counts leap seconds, which no clock of a server does."""
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
    yookassa = settings.yookassa
    if not yookassa.secret_key and environ.get(YOOKASSA_VARIABLE):
        yookassa = msgspec.structs.replace(yookassa, secret_key=Secret(environ[YOOKASSA_VARIABLE]))
    _check_yookassa(yookassa, _place(source.get("yookassa", ""), "[yookassa]"))
    mail = _with_password(settings.mail, environ, path.name if path is not None else FILE_NAME)
    return msgspec.structs.replace(settings, providers=providers, exchange_rate=rate, yookassa=yookassa, mail=mail)


def _with_password(mail: Mail, environ: Mapping[str, str], file: str) -> Mail:
    if not mail.password_env:
        return mail
    if mail.password_env not in environ:
        raise SettingsError(f"{file}: [mail] password_env: {mail.password_env} is not set in the environment")
    return msgspec.structs.replace(mail, password=Secret(environ[mail.password_env]))


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
        elif name in ENTRIES:
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


def _from_directory(directory: Path, secret: Secret) -> Secret:
    """A relative SQLite path starts at the file's directory."""
    url = secret.reveal()
    if not url.startswith("sqlite:///") or url.startswith("sqlite:////"):
        return secret
    return Secret(f"sqlite:///{quote(str(directory))}/{url.removeprefix('sqlite:///')}")


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
    return {key: _entry(ENTRIES[name], value, f"{file}: [{name}] {key}") for key, value in raw.items()}


def _entry(kind: Any, raw: object, place: str) -> Any:
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{place} {_explain(str(error), kind).partition(', not ')[0]}") from None


def _value(kind: type[Struct], key: str, raw: object, source: str, table: str = "") -> Any:
    """One checked value. `source` is the file, variable or flag that it comes from."""
    fields = _fields(kind)
    place = _place(source, f"[{table}] {key}" if table else key)
    if key not in fields:
        raise SettingsError(f"{place} is not a setting{_suggestion(key, fields, table)}")
    try:
        return msgspec.convert(raw, fields[key].type, dec_hook=_convert)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{place}: {_explain(str(error), fields[key].type)}") from None


@cache
def _fields(kind: type[Struct]) -> Mapping[str, msgspec.structs.FieldInfo]:
    """By the names that they have in a file. Kept: what an annotation means takes long to find out."""
    return {entry.encode_name: entry for entry in msgspec.structs.fields(kind)}


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
        _check_database(settings.database_url.reveal(), place("database_url"))
    if not settings.exchange_rate and settings.currency not in EXCHANGE_RATES:
        raise SettingsError(f"{place('exchange_rate')} is needed: how many {settings.currency} is one US dollar?")
    _check_number(settings.exchange_rate, place("exchange_rate"))
    _check_number(settings.markup, place("markup"))
    _check_number(settings.limits.drains_amount_max, f"{place('limits')}.drains_amount_max")
    for name, factor in settings.hold.factors.items():
        _check_number(factor, f"{place('hold')}.factors.{name}", least=1)
    for name in ("certificate", "key"):
        if settings.tls.certificate or settings.tls.key:
            _check_file(getattr(settings.tls, name), f"{place('tls')}.{name}")
    _check_console(settings, place)
    for name, target in settings.aliases.items():
        if not name or not target or name == target:
            raise SettingsError(f"{place('aliases')}: {name!r} has to name another model")
    for name, others in settings.fallbacks.items():
        _guard(f"{place('fallbacks')}: {name!r}", _check_fallbacks, (name, *others))


def _check_fallbacks(names: Sequence[str]) -> None:
    """A model, and those that come after it. ValueError."""
    for place, name in enumerate(names):
        if not all(name.partition("/")):
            raise ValueError(f"{name!r} is not vendor/name")
        if name in names[:place]:
            raise ValueError(f"{name!r} stands there twice, or is the model itself")
    if not 2 <= len(names) <= 1 + FALLBACKS_MAX:
        raise ValueError(f"needs 1 to {FALLBACKS_MAX} other models")


def _check_console(settings: Settings, place: Callable[[str], str]) -> None:
    url, mail = settings.console.url, settings.mail
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query):
        raise SettingsError(f"{place('console')}.url: {url!r} is not an address such as https://api.example.com")
    if not _is_time_zone(settings.console.time_zone):
        raise SettingsError(f"{place('console')}.time_zone: {settings.console.time_zone!r} is not a known time zone")
    if mail.host and not mail.sender:
        raise SettingsError(f"{place('mail')}.sender is missing: who do messages come from?")
    if mail.host and not url:
        raise SettingsError(
            f"{place('console')}.url is missing: links in messages need the address of this installation"
        )
    if mail.password and mail.password_env:
        raise SettingsError(f"{place('mail')} has both password and password_env: one of them is too many")


def _is_time_zone(name: str) -> bool:
    """Asked for by name: to list all that there are takes longer than what most commands do."""
    if name.partition("/")[0] in _NOT_LISTED:
        return False
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # no path, a folder, or nothing
        return False
    return True


def _parse_network(text: str) -> None:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address or a network such as 10.0.0.0/8") from None


def _guard(place: str, check: Callable[[Value], object], value: Value) -> None:
    try:
        check(value)
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
    """What is said never quotes the address: it may hold a password."""
    wrong = f"{place} has to be postgresql://USER:PASSWORD@HOST:PORT/NAME or sqlite:///PATH"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise SettingsError(f"{wrong}; in a password write %40 for @, %2F for / and so on") from None
    known = parts.scheme in ("postgresql", "postgres") or (parts.scheme == "sqlite" and not parts.netloc)
    if not known or len(parts.path) < 2:
        raise SettingsError(wrong)


def _check_yookassa(yookassa: YooKassa, place: str) -> None:
    if yookassa.shop_id and not yookassa.secret_key:
        raise SettingsError(f"{place} shop_id: the secret key is missing: set {YOOKASSA_VARIABLE} in the environment")
    for name in ("return_url", "api_url"):
        url = getattr(yookassa, name)
        if url and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc):
            raise SettingsError(f"{place} {name}: {url!r} does not start with https:// or http://")
    if yookassa.shop_id and not yookassa.return_url:
        raise SettingsError(f"{place} return_url is missing: where do customers come back to?")
    for name in ("amount_min", "amount_max"):
        _check_number(getattr(yookassa, name), f"{place} {name}", least=1)
    if yookassa.amount_min > yookassa.amount_max:
        raise SettingsError(f"{place} amount_min is more than amount_max")
    for network in yookassa.networks:
        _guard(f"{place} networks", _parse_network, network)


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
