"""Writes pages: templates with the words, sums and pictures of one reader's language."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from proxyapi.console import charts, nav
from proxyapi.console.icons import icon
from proxyapi.console.numbers import DASH, NBSP, exact_places, rate_places
from proxyapi.console.speech import LANGUAGES, Languages, Speech
from proxyapi.console.units import UNITS

if TYPE_CHECKING:
    from proxyapi.console.page import Page
    from proxyapi.console.static_files import StaticFiles

_SPOKEN = (
    "money", "plain", "amount", "number", "percent", "short", "seconds", "time", "day", "long_day", "month", "iso",
    "zone_name", "sign",
)  # fmt: skip
"""Methods of `Speech` that templates call by their own names."""


class Pen:
    """One set of compiled templates per language."""

    def __init__(self, languages: Languages, static: StaticFiles) -> None:
        self._environments = {
            language: _environment(languages.speech(language, currency="", zone=UTC, now=0), static)
            for language in LANGUAGES
        }

    def warm(self) -> None:
        """Compile all templates now, rather than for their first readers."""
        for environment in self._environments.values():
            for name in environment.list_templates():
                environment.get_template(name)

    def write(self, template: str, page: Page, **values: Any) -> str:
        """The page as HTML."""
        speech = page.speech
        said = {name: getattr(speech, name) for name in _SPOKEN}
        user = page.session.user if page.session is not None else None
        return (
            self._environments[speech.language]
            .get_template(template)
            .render(
                page=page,
                user=user,
                language=speech.language,
                csrf=page.form_token,
                desk=page.desk,
                **said,
                **values,
            )
        )

    def message(self, template: str, speech: Speech, **values: Any) -> tuple[str, str]:
        """A message by e-mail: subject and text, which the template parts by an empty line."""
        environment = self._environments[speech.language].overlay(autoescape=False)
        said = {name: getattr(speech, name) for name in _SPOKEN}
        subject, _, text = environment.get_template(template).render(**said, **values).partition("\n\n")
        return subject.strip(), text.strip() + "\n"


def _environment(speech: Speech, static: StaticFiles) -> Environment:
    environment = Environment(
        loader=PackageLoader("proxyapi.console", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        auto_reload=False,
    )
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        speech.gettext, speech.ngettext, newstyle=True, pgettext=speech.pgettext
    )
    environment.globals.update(
        icon=icon, bar=charts.bar, spark=charts.spark, model=model, static=static.address, MENU=nav, UNITS=UNITS,
        LANGUAGES=LANGUAGES, NBSP=NBSP, DASH=Markup('<span class="z">{}</span>').format(DASH),
        exact_places=exact_places, rate_places=rate_places,
    )  # fmt: skip
    return environment


def model(name: str) -> Markup:
    """A model's name: the vendor dimmed, and a place to break the line after it."""
    vendor, slash, rest = name.partition("/")
    if not slash:
        return Markup('<span class="model">{}</span>').format(name)
    return Markup('<span class="model"><span class="v">{}/</span><wbr>{}</span>').format(escape(vendor), rest)
