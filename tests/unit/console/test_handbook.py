"""The documentation as pages, in the reader's language."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest

from proxyapi.console.handbook import ENGLISH_ONLY, NAMES, chapter, shown
from proxyapi.console.speech import LANGUAGES, Language


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_shown_in_every_language_it_is_there_in(name: str, language: Language) -> None:
    found = chapter(name, language)
    assert found is not None
    assert found.language == ("en" if name in ENGLISH_ONLY else language)
    assert found.title and "<h1" in found.html


@pytest.mark.parametrize("language", LANGUAGES)
def test_links_lead_to_pages_and_headings_that_are_there(language: Language) -> None:
    for name in NAMES:
        found = chapter(name, language)
        assert found is not None
        for target in re.findall(r'href="/console/docs/([^"]+)"', found.html):
            page, _, anchor = target.partition("#")
            there = chapter(page, language)
            assert there is not None, (name, target)
            assert not anchor or f'id="{unquote(anchor)}"' in there.html, (name, target)


def test_a_link_to_a_page_for_operators_keeps_its_words_only() -> None:
    found = chapter("concepts/money", "ru")
    assert found is not None and "счета и деньги" in found.html and "operating" not in found.html


def test_examples_name_the_address_that_the_reader_came_to() -> None:
    found = chapter("start/quick-start", "ru")
    assert found is not None and "https://api.example.com" in shown(found, "https://api.example.com")


def test_what_is_not_for_customers_is_no_page() -> None:
    assert chapter("operating/install", "en") is None and chapter("../README", "ru") is None
