"""What holds of every template and of the style sheet, read as texts."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

import pytest

ROOT = files("proxyapi.console")
TEMPLATES = {file.name: file.read_text("utf-8") for file in ROOT.joinpath("templates").iterdir() if file.is_file()}
CSS = ROOT.joinpath("static", "css", "console.css").read_text("utf-8")


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_no_template_holds_inline_code_or_style(name: str) -> None:
    text = TEMPLATES[name]
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"|javascript:|<script(?![^>]*\ssrc=)", text)


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_every_form_that_changes_something_carries_its_token(name: str) -> None:
    forms = re.findall(r"<form[^>]*method=\"post\"[^>]*>(.*?)</form>", TEMPLATES[name], re.DOTALL)
    assert all("guard()" in form or "_csrf" in form for form in forms)


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_what_is_marked_as_safe_was_made_by_us(name: str) -> None:
    marked = re.findall(r"([\w.]+|'[^']*')\s*\|\s*safe", TEMPLATES[name])
    assert set(marked) <= {"picture", "'<span class=\"dim\">'", "'</span>'"}


def test_dark_is_the_same_by_the_system_and_by_choice() -> None:
    by_system = re.search(r"@media \(prefers-color-scheme: dark\) \{ :root[^{]*\{(.*?)\}", CSS, re.DOTALL)
    by_choice = re.search(r":root\[data-theme=\"dark\"\] \{(.*?)\}", CSS, re.DOTALL)
    assert by_system and by_choice

    def values(block: Any) -> dict[str, str]:
        return dict(re.findall(r"([\w-]+):\s*([^;]+);", block[1]))

    assert values(by_system) == values(by_choice) and len(values(by_choice)) > 30


def test_every_colour_that_is_used_has_a_value() -> None:
    used = set(re.findall(r"var\((--[\w-]+)\)", CSS))
    assert used <= set(re.findall(r"(--[\w-]+):", CSS))
