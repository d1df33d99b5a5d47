"""Checks the console's catalogues: every text of templates and modules is there in every language, and nothing else.

Texts stand in `_("…")`, or are sentences of functions underneath that pages show (`sentences.py` reads them).
A translation is wrong if it is missing, marked as fuzzy, lacks or invents a placeholder, or has too few plural forms.
`--missing LANGUAGE` prints the missing entries, ready to be filled in.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import sentences
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from jinja2.ext import babel_extract

from proxyapi.console.speech import LANGUAGES, SENTENCES, SOURCE, Language, catalogues

ROOT = Path(__file__).resolve().parent.parent
SOURCES = (ROOT / "src" / "proxyapi",)
TEMPLATES = ROOT / "src" / "proxyapi" / "console" / "templates"
KEYWORDS = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2)}
OPTIONS = {"extensions": "jinja2.ext.i18n", "trim_blocks": "true", "lstrip_blocks": "true"}

_PLACEHOLDER = re.compile(r"%\((\w+)\)|\{(\w*)\}")

Said = dict[str | tuple[str, str], str]
"""Text, or singular and plural -> where it is said."""


def said() -> Said:
    """Everything that the console says."""
    found: Said = {}
    for file in sorted(TEMPLATES.rglob("*.*")):
        with file.open("rb") as stream:
            _note(found, file, extract(babel_extract, stream, KEYWORDS, options=OPTIONS))
    for folder in SOURCES:
        for file in sorted(folder.rglob("*.py")):
            if b"console" in file.read_bytes():
                with file.open("rb") as stream:
                    _note(found, file, extract("python", stream, KEYWORDS))
    for text, place in sentences.sentences():
        found.setdefault(text, place)
    return found


def _note(found: Said, file: Path, messages: Iterable[tuple[int, str | tuple[str, ...], object, object]]) -> None:
    for line, text, _comments, _context in messages:
        key = text if isinstance(text, str) else text[:2]
        found.setdefault(key, f"{file.relative_to(ROOT)}:{line}")  # type: ignore[arg-type]


def wrong(language: Language, spoken: Said) -> Iterator[str]:
    known: dict[str | tuple[str, str], Message] = {}
    for part in catalogues(language):
        for message in part:
            if not message.id:
                continue
            key = tuple(message.id) if isinstance(message.id, list | tuple) else message.id
            if key in known:
                yield f"{language}: {key!r} stands twice"
            known[key] = message
            yield from _faults(language, part, key, message)
    for key, place in spoken.items():
        if key not in known:
            yield f"{language}: {place}: {key!r} is not translated"
    told = {message.id for part in catalogues(language, SENTENCES) for message in part}
    for text, place in sentences.sentences():
        if text in known and text not in told:
            yield f"{language}: {place}: {text!r} belongs in {SENTENCES}"
    for key in known:
        if key not in spoken:
            yield f"{language}: {key!r} is said nowhere"


def _faults(language: Language, part: Catalog, key: str | tuple[str, str], message: Message) -> Iterator[str]:
    forms = message.string if isinstance(message.string, list | tuple) else (message.string,)
    if message.fuzzy:
        yield f"{language}: {key!r} is marked as fuzzy"
    if not all(forms) or (isinstance(key, tuple) and len(forms) != part.num_plurals):
        yield f"{language}: {key!r} is not translated"
    wanted = _placeholders(key if isinstance(key, str) else key[1])
    for form in forms:
        if form and _placeholders(form) != wanted:
            yield f"{language}: {key!r}: the placeholders of {form!r} are others"


def _placeholders(text: str) -> set[str]:
    return {found[1] or found[2] for found in _PLACEHOLDER.finditer(text)}


def print_missing(language: Language, spoken: Said) -> None:
    known = {
        tuple(message.id) if isinstance(message.id, list | tuple) else message.id
        for part in catalogues(language)
        for message in part
    }
    for key, place in spoken.items():
        if key not in known:
            print(f"#: {place}")
            if isinstance(key, tuple):
                print(f'msgid {_quoted(key[0])}\nmsgid_plural {_quoted(key[1])}\nmsgstr[0] ""\nmsgstr[1] ""')
                print('msgstr[2] ""\n')
            else:
                print(f'msgid {_quoted(key)}\nmsgstr ""\n')


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def main() -> int:
    spoken = said()
    if sys.argv[1:2] == ["--missing"]:
        print_missing(sys.argv[2], spoken)  # type: ignore[arg-type]
        return 0
    faults = [fault for language in LANGUAGES if language != SOURCE for fault in wrong(language, spoken)]
    print("\n".join(faults) or f"{len(spoken)} texts of the console are there in {', '.join(LANGUAGES)}")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
