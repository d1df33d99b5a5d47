"""The documentation as pages: the same Markdown files as in the repository, rendered when they are first read.

English is in `docs/`, other languages beside it in `docs/LANGUAGE/` under the same names; `.ci/docs.py` holds the twins
together. A page that has none is shown in English.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

from proxyapi.console.marks import N_
from proxyapi.console.speech import SOURCE, Language

EXAMPLE_ADDRESS = "http://127.0.0.1:8080"
"""What the files call the gateway; readers see the address that they came to."""
CHAPTERS: Mapping[str, tuple[tuple[str, str], ...]] = {
    N_("Start"): (
        ("start/quick-start", N_("First request")),
        ("start/sdks", N_("SDKs")),
        ("start/agents", N_("Coding agents")),
    ),
    N_("How it works"): (
        ("concepts/money", N_("Money")),
        ("concepts/keys", N_("Keys")),
        ("concepts/models", N_("Models")),
        ("concepts/fallback", N_("Fallback")),
        ("concepts/translation", N_("Translation")),
        ("concepts/passthrough", N_("Passthrough")),
        ("concepts/request-log", N_("Request log")),
        ("concepts/errors", N_("Errors")),
        ("concepts/idempotency", N_("Sending again")),
        ("concepts/endings", N_("Endings")),
        ("concepts/sandbox", N_("Sandbox")),
    ),
    N_("Reference"): (
        ("reference/routes", N_("Routes")),
        ("reference/headers", N_("Headers")),
        ("reference/errors", N_("Error table")),
    ),
}
"""What customers need; the pages for operators are in the repository."""
FIRST = "start/quick-start"
NAMES = frozenset(name for pages in CHAPTERS.values() for name, _ in pages)
ENGLISH_ONLY = frozenset({"concepts/endings"})
"""Generated from what the tests act out, in their words."""

_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)


class Chapter(NamedTuple):
    title: str
    html: str
    """With EXAMPLE_ADDRESS where the gateway's address belongs."""
    language: Language
    """Which the reader's is not, if there is no twin."""


def folder() -> Path:
    """In the installed package, or in the repository beside the sources."""
    shipped = Path(str(files("proxyapi"))) / "docs"
    return shipped if shipped.is_dir() else Path(__file__).resolve().parents[3] / "docs"


def source(name: str, language: Language) -> Path:
    """The file of a page, whether it is there or not."""
    return (folder() if language == SOURCE else folder() / language) / f"{name}.md"


@lru_cache(maxsize=64)
def chapter(name: str, language: Language) -> Chapter | None:
    """None: there is no such page, or it is not for customers."""
    if name not in NAMES:
        return None
    file = source(name, language)
    if not file.is_file():
        return chapter(name, SOURCE)
    text = _COMMENT.sub("", file.read_text("utf-8"))
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(text)
    title = next((tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open"), name)
    _adapt(tokens, name)
    rendered = str(markdown.renderer.render(tokens, markdown.options, {}))
    rendered = rendered.replace("<pre>", '<pre tabindex="0">')
    rendered = rendered.replace("<table>", '<div class="table-wrap" tabindex="0"><table class="table-dense">')
    return Chapter(title, rendered.replace("</table>", "</table></div>"), language)


def shown(found: Chapter, address: str) -> Markup:
    """The page with the reader's own address in its examples. What is in it was escaped when it was rendered."""
    return Markup(found.html.replace(EXAMPLE_ADDRESS, str(escape(address))))


def _adapt(tokens: Sequence[Token], name: str) -> None:
    """Headings get names to be linked by; links lead to pages of the console. Others keep their words only."""
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            text = re.sub(r"[^\w\- ]", "", tokens[at + 1].content.lower()).replace(" ", "-")
            token.attrSet("id", text)
        if token.children:
            token.children = list(_linked(token.children, name))


def _linked(children: Sequence[Token], name: str) -> Iterator[Token]:
    ends: list[bool] = []
    """Of the links that are open: does it lead anywhere?"""
    for child in children:
        if child.type == "link_open":
            target = _target(str(child.attrGet("href")), name)
            child.attrSet("href", target)
            ends.append(bool(target))
        if child.type == "link_close":
            if ends.pop():
                yield child
        elif child.type != "link_open" or ends[-1]:
            yield child


def _target(link: str, name: str) -> str:
    """Empty: the page is not in the console."""
    if re.match(r"[a-z]+:", link):
        return link
    path, mark, anchor = link.partition("#")
    if not path:
        return link
    parts: list[str] = []
    for part in (PurePosixPath(name).parent / path).parts:
        if part == "..":
            parts = parts[:-1]
        else:
            parts.append(part)
    target = "/".join(parts).removesuffix(".md")
    return f"/console/docs/{target}{mark}{anchor}" if target in NAMES else ""
