"""Reads sentences that pages show, but functions underneath say, out of the sources: refusals, ends, audits.

Each is a text or an f-string where it is raised or reported. A value in it gets a name in braces: the variable's own,
or of a call the name of what it is called with. What can't be read is a fault: a sentence that is put together
elsewhere can't be translated.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from proxyapi.ledger.audit.report import INVARIANTS, REMEDIES
from proxyapi.ledger.receipt import ENDINGS

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "proxyapi"
REFUSALS = {"InvalidRequest", "Conflict", "PaymentError", "PaymentRefused", "PaymentUnknown"}
"""What a form of an operator shows; NotFound is a page of its own."""
RAISED_IN = ("admin/*.py", "payments/*.py", "identity/accounts.py", "ledger/offline.py")
NOT_ON_PAGES = {"admin/tokens.py"}
"""Only the command line calls these."""
PARSERS = {"money.py": "parse_amount", "pricing/book.py": "parse_override"}
"""Whose ValueErrors become refusals word by word."""
AUDITS = ("ledger/audit/sums.py", "ledger/audit/entries.py")
"""The files are not looked at by the audit that a page shows: `archive.py` is left out."""
PIECES = {"ledger/audit/sums.py": {"who", "_told"}, "ledger/audit/entries.py": {"_difference"}}
"""Functions whose texts are values of such sentences."""


class Said(NamedTuple):
    template: str
    place: str


class Unreadable(ValueError):
    """The sentence is not written where it is said."""


def sentences() -> Iterator[Said]:
    """All of them. Unreadable, with its place."""
    for pattern in RAISED_IN:
        for file in sorted(PACKAGE.glob(pattern)):
            if str(file.relative_to(PACKAGE)) not in NOT_ON_PAGES:
                yield from _first_arguments(file, _tree(file), REFUSALS)
    for name, function in PARSERS.items():
        yield from _first_arguments(PACKAGE / name, _function(PACKAGE / name, function), {"ValueError"})
    for name in AUDITS:
        yield from _reported(PACKAGE / name)
    for name, functions in PIECES.items():
        for function in sorted(functions):
            for text in ast.walk(_function(PACKAGE / name, function)):
                if isinstance(text, ast.JoinedStr):
                    yield from _said(PACKAGE / name, text)
    for text in (*INVARIANTS.values(), *REMEDIES.values()):
        yield Said(text.removesuffix("."), "src/proxyapi/ledger/audit/report.py")
    for text in ENDINGS.values():
        yield Said(text, "src/proxyapi/ledger/receipt.py")


def _first_arguments(file: Path, tree: ast.AST, names: set[str]) -> Iterator[Said]:
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and call.args and not _passes_on(call.args[0]):
            made = call.func.orelse if isinstance(call.func, ast.IfExp) else call.func
            if isinstance(made, ast.Name) and made.id in names:
                yield from _said(file, call.args[0])


def _reported(file: Path) -> Iterator[Said]:
    """Second arguments of `report.wrong`."""
    for call in ast.walk(_tree(file)):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "wrong":
            yield from _said(file, call.args[1])


def _passes_on(argument: ast.expr) -> bool:
    """`str(error)`: whoever raised that is one of PARSERS, or a page has words of its own for the field."""
    return isinstance(argument, ast.Call) and isinstance(argument.func, ast.Name) and argument.func.id == "str"


def _said(file: Path, text: ast.expr) -> Iterator[Said]:
    place = f"{file.relative_to(ROOT)}:{text.lineno}"
    if isinstance(text, ast.Constant) and isinstance(text.value, str):
        yield Said(text.value.removesuffix("."), place)
    elif isinstance(text, ast.JoinedStr):
        yield Said(_template(text).removesuffix("."), place)
        for alternative in ast.walk(text):  # `{model or 'no model'}` says one of two things
            if isinstance(alternative, ast.BoolOp) and isinstance(alternative.values[-1], ast.Constant):
                yield Said(str(alternative.values[-1].value), place)
    else:
        raise Unreadable(f"{place}: `{ast.unparse(text)}` can't be translated: write the sentence here, whole")


def _template(text: ast.JoinedStr) -> str:
    taken: list[str] = []
    parts: list[str] = []
    for part in text.values:
        if isinstance(part, ast.FormattedValue):
            name = _name(part.value)
            taken.append(name)
            parts.append("{%s}" % (name if taken.count(name) == 1 else f"{name}{taken.count(name)}"))
        else:
            assert isinstance(part, ast.Constant)
            parts.append(str(part.value))
    return "".join(parts)


def _name(value: ast.expr) -> str:
    match value:
        case ast.Name(id=name):
            return name
        case ast.Attribute(attr=name):
            return name.strip("_")
        case ast.Call(func=ast.Name(id="map"), args=[_, inner]) | ast.Call(func=ast.Attribute(value=inner, attr="get")):
            return _name(inner)
        case ast.GeneratorExp(generators=[ast.comprehension(iter=inner)]):
            return _name(inner)
        case ast.Call(args=[first, *_]):
            return _name(first)
        case ast.Call(func=function):
            return _name(function)
        case ast.BinOp(left=inner) | ast.Subscript(value=inner) | ast.BoolOp(values=[inner, *_]):
            return _name(inner)
    raise Unreadable(f"`{ast.unparse(value)}` has no name: give it one")


def _tree(file: Path) -> ast.AST:
    return ast.parse(file.read_text())


def _function(file: Path, name: str) -> ast.AST:
    for found in ast.walk(_tree(file)):
        if isinstance(found, ast.FunctionDef) and found.name == name:
            return found
    raise Unreadable(f"{file.relative_to(ROOT)}: there is no function {name}")
