"""The reference page and the example file, made of the fields of `Settings`."""

from __future__ import annotations

import re

import msgspec
from msgspec import Meta, Struct

from proxyapi.settings.model import KEY_VARIABLES, TABLES, YOOKASSA_VARIABLE, ProviderSettings, Secret, Settings

_TABLE_TEXTS = {
    "tls": "HTTPS on the listening port. Without it a proxy in front should speak TLS.",
    "limits": "Everything has a limit. Sizes are bytes.",
    "timeouts": "In seconds.",
    "pause": "A key that collects client errors is paused, longer each time. A deposit ends the pause.",
    "sandbox": "Deterministic answers without any provider: for trying out and for tests.",
    "hold": "How much is reserved before a request goes out.",
    "idempotency": "Requests that are sent again with the same `Idempotency-Key`, and the answers kept for them.",
    "memory": "What the gateway keeps of conversations, so that clients of one API can talk to models of another.",
    "yookassa": "Payments of customers by card through [YooKassa](../operating/payments.md).",
    "request_log": "Bounds of the [request log](../concepts/request-log.md) of accounts that keep one.",
    "console": "The pages for customers and operators.",
    "mail": "How messages to users are sent: links to confirm an address or to set a new password, and alerts.",
    "providers.NAME": f"NAME is {', '.join(f'`{name}`' for name in KEY_VARIABLES)}, or one of your own that speaks "
    "OpenAI's API. Providers whose key is in the environment need no table.",
    "aliases": '`name = "vendor/model"`: further names for models.',
    "fallbacks": '`"vendor/model" = ["vendor/model", …]`: who is asked, in order, when a model does not answer. Of the '
    "unified API; see [fallback](../concepts/fallback.md).",
}
_EXAMPLES = {
    "aliases": 'fast = "openai/gpt-4o-mini"',
    "fallbacks": '"openai/gpt-4o" = ["openrouter/openai/gpt-4o"]',
}
"""Of the tables whose keys are the operator's own."""
_ENVIRONMENT_TEXTS = {
    **{variable: f"Switches the provider `{name}` on." for name, variable in KEY_VARIABLES.items()},
    "PROXYAPI_CONFIG": "The configuration file; else `proxyapi.toml` in the current directory, if it is there.",
    "PROXYAPI_DATA": "Setting `data`.",
    "PROXYAPI_LISTEN": "Setting `listen`.",
    "DATABASE_URL": "Setting `database_url`.",
    YOOKASSA_VARIABLE: "Setting `secret_key` of `[yookassa]`.",
}


_PASSWORD = re.compile(r"(://[^/@:]*:)[^/@]*@")


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
        lines += [f"# {_EXAMPLES[title]}"] if title in _EXAMPLES else []
    return "\n".join(lines) + "\n"


def shown(settings: Settings) -> list[tuple[str, str]]:
    """Name and value of every setting, for operators: secrets are `***`, and so is the password of an address."""
    values: list[tuple[str, str]] = []
    for entry in msgspec.structs.fields(settings):
        value = getattr(settings, entry.name)
        if isinstance(value, Struct):
            values += [(f"{entry.name}.{name}", text) for name, text in _values(value)]
        elif entry.name == "providers":
            for provider, table in value.items():
                values += [(f"providers.{provider}.{name}", text) for name, text in _values(table)]
        else:
            values.append((entry.name, _shown(value)))
    return values


def _values(table: Struct) -> list[tuple[str, str]]:
    return [(entry.name, _shown(getattr(table, entry.name))) for entry in msgspec.structs.fields(table)]


def _shown(value: object) -> str:
    if isinstance(value, Secret):
        return repr(value)
    if isinstance(value, str):
        return _PASSWORD.sub(r"\1***@", value)
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} = {item}" for name, item in value.items())
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _documented() -> list[tuple[str, type[Struct] | None]]:
    return [
        ("", Settings),
        *TABLES.items(),
        ("providers.NAME", ProviderSettings),
        ("aliases", None),
        ("fallbacks", None),
    ]


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
