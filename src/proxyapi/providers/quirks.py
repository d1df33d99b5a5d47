"""What differs from model to model at a provider: `[quirks]` and `[[models]]` of its data file and of the operator.

    [quirks]                       # of every model of the provider
    max_tokens_field = "max_tokens"

    [[models]]                     # of the models whose names match; later rows win, field by field
    match = ["o3*", "o4-mini*"]
    no_stop = true

A row can also say that a model is not served in a dialect (`lacks`), which one is spoken to it by translations
(`chat_dialect`), and which models read each other's reasoning (`family`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from fnmatch import translate
from typing import Any, NamedTuple, TypeVar, get_args

import msgspec
from msgspec import Struct

from proxyapi.dialects.model import DialectName
from proxyapi.dialects.quirks import Quirks
from proxyapi.errors import SettingsError

__all__ = ["ModelRules", "Nature", "read_rules"]

_ORIGIN_FOREIGN = re.compile(r"[^a-z0-9-]+")
"""What an origin is freed of: it travels inside tool call ids, which have few characters."""
_VERSION = re.compile(r"(?:[-@:](?:20\d\d-?\d\d-?\d\d|latest|preview(?:-\d\d-(?:20)?\d\d)?|free|thinking|online))+$")
"""Endings that name a snapshot or a variant: reasoning passes between those of one model."""
_FIELDS = tuple(sorted(Quirks.__struct_fields__))

_Kind = TypeVar("_Kind")


class Nature(NamedTuple):
    """What rules say of one model."""

    quirks: Quirks
    origin: str
    """Provider and model family, of `[a-z0-9_-]`: who can read its reasoning states."""
    chat_dialect: DialectName | None
    """What translations speak to it; None: the provider's usual."""
    lacks: frozenset[str]
    """Dialects that the provider speaks, but not for this model."""


class _Row(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    match: str | tuple[str, ...]
    family: str = ""
    chat_dialect: DialectName | None = None
    lacks: tuple[DialectName, ...] = ()


class _Rule(NamedTuple):
    pattern: re.Pattern[str]
    row: _Row
    quirks: dict[str, Any]


class ModelRules:
    """Of one provider; rows in the order of their weight, the last wins."""

    def __init__(self, quirks: Mapping[str, Any] | None = None, rules: Sequence[_Rule] = ()) -> None:
        self._quirks = dict(quirks or {})
        self._rules = tuple(rules)

    def over(self, weaker: ModelRules) -> ModelRules:
        """These after the others: an operator's `[quirks]` win over a provider's rows too."""
        every = _Rule(_pattern("*"), _Row(match="*"), self._quirks)
        return ModelRules(weaker._quirks, (*weaker._rules, every, *self._rules))

    def nature(self, provider: str, model: str) -> Nature:
        """Of a model by its native name."""
        quirks = dict(self._quirks)
        family, chat_dialect, lacks = "", None, frozenset[str]()
        name = model.lower()
        for rule in self._rules:
            if rule.pattern.fullmatch(name):
                quirks.update(rule.quirks)
                family = rule.row.family or family
                chat_dialect = rule.row.chat_dialect or chat_dialect
                lacks |= frozenset(rule.row.lacks)
        return Nature(Quirks(**quirks), origin_of(provider, family or _VERSION.sub("", name)), chat_dialect, lacks)


def origin_of(provider: str, family: str) -> str:
    """Of `[a-z0-9_-]`."""
    return _ORIGIN_FOREIGN.sub("_", f"{provider}_{family}".lower())


def read_rules(quirks: object, models: object, *, place: str, dialects: Collection[str]) -> ModelRules:
    """Of a TOML document: its `quirks` table and its `models` array. SettingsError names the place of a mistake.

    `place`: the table that they are in, such as `providers.acme`. `dialects`: what the provider has addresses for.
    """
    where = f"[[{place}.models]]"
    if not isinstance(models, Sequence) or isinstance(models, str):
        raise SettingsError(f"{where} has to be a list of tables")
    rules = [_rule(row, f"{where} number {number}") for number, row in enumerate(models, 1)]
    for number, rule in enumerate(rules, 1):
        chosen = rule.row.chat_dialect
        if chosen is not None and chosen not in dialects:
            known = ", ".join(name for name in get_args(DialectName) if name in dialects)
            raise SettingsError(
                f"{where} number {number} chat_dialect: it has no address for {chosen}, only for {known}"
            )
    return ModelRules(_flags(quirks, f"[{place}.quirks]"), rules)


def _rule(row: object, where: str) -> _Rule:
    if not isinstance(row, Mapping):
        raise SettingsError(f"{where} has to be a table")
    own = {name: value for name, value in row.items() if name not in _FIELDS}
    parsed = _convert(own, _Row, where, known=(*_Row.__struct_fields__, *_FIELDS))
    patterns = (parsed.match,) if isinstance(parsed.match, str) else parsed.match
    return _Rule(_pattern(*patterns), parsed, _flags({name: row[name] for name in row if name in _FIELDS}, where))


def _flags(raw: object, where: str) -> dict[str, Any]:
    """Checked flags, only those that are given."""
    if not isinstance(raw, Mapping):
        raise SettingsError(f"{where} has to be a table")
    checked = _convert(raw, Quirks, where, known=_FIELDS)
    return {name: getattr(checked, name) for name in raw}


def _convert(raw: Mapping[str, object], kind: type[_Kind], where: str, *, known: Sequence[str]) -> _Kind:
    for name in raw:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
            hint = f"did you mean {close[0]}?" if close else f"known are: {', '.join(known)}"
            raise SettingsError(f"{where} {name} is not a quirk; {hint}")
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{where} {error}") from None


def _pattern(*patterns: str) -> re.Pattern[str]:
    """Of `*`, `?` and `[…]`, whole names, lower-case."""
    return re.compile("|".join(translate(pattern.lower()) for pattern in patterns))
