"""The language of a page: its words, plurals, dates and, through `numbers`, its sums.

English is the source: what templates and modules say in `_("…")` is English, and the other languages have catalogues in
`locale/LANGUAGE/*.po`, one per part of the console, read at the start. `.ci/languages.py` proves them complete.
"""

from __future__ import annotations

import gettext
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from importlib.resources import files
from io import BytesIO
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from babel.dates import format_date, format_datetime
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from proxyapi.console import numbers
from proxyapi.console.sentences import Sentences

Language = Literal["ru", "en"]
LANGUAGES: dict[Language, str] = {"ru": "Русский", "en": "English"}
"""What each calls itself."""
SOURCE: Language = "en"
ZONES = frozenset(available_timezones())
SENTENCES = "sentences.po"
"""The part of a catalogue with what the functions underneath say."""
ACCEPTED_MAX = 20
"""Entries of Accept-Language that are looked at."""


class Speech:
    """One language in one time zone: what a page says is said through it."""

    def __init__(
        self,
        language: Language,
        translations: gettext.NullTranslations,
        sentences: Sentences,
        *,
        currency: str,
        zone: tzinfo,
        now: float,
    ) -> None:
        """`now` is seconds since 1970."""
        self.language = language
        self.currency = currency
        self.zone = zone
        self.now = now
        self.gettext: Callable[[str], str] = translations.gettext
        self.ngettext: Callable[[str, str, int], str] = translations.ngettext
        self.pgettext: Callable[[str, str], str] = translations.pgettext
        self.retell: Callable[[str], str] = sentences.retell
        """For sentences of the functions underneath, which say them in English."""

    # --- sums --------------------------------------------------------------------------------------------------------

    def money(self, nanos: int, places: int = 2, *, sign: bool = False, currency: bool = True, css: str = "") -> str:
        """As markup: what the eye can skip is dimmed."""
        return numbers.money(nanos, places, self.language, self.currency if currency else "", sign=sign, css=css)

    def plain(self, nanos: int, places: int = 2) -> str:
        """As text, with the currency."""
        return numbers.plain(nanos, places, self.language, self.currency)

    def amount(self, nanos: int, places: int = 2) -> str:
        """As text, without the currency."""
        return numbers.amount(nanos, places, self.language)

    def axis(self, nanos: int, top: int) -> str:
        """As text beside a chart: as many decimals as a quarter of its top needs, or four."""
        places = next((places for places in (0, 2) if top % (4 * 10 ** (9 - places)) == 0), 4)
        return numbers.amount(nanos, places if nanos else 0, self.language)

    def number(self, value: int) -> str:
        """A count, with its thousands parted."""
        return numbers.count(value, self.language)

    def percent(self, part: int, whole: int, places: int = 0) -> str:
        """`part` of `whole` in percent; a dash where there is no whole."""
        return numbers.percent(part, whole, self.language, places)

    def short(self, value: int) -> str:
        """A large count in thousands or millions."""
        return numbers.short(value, self.language)

    def seconds(self, milliseconds: int) -> str:
        """A duration in seconds with two decimals."""
        return numbers.seconds(milliseconds, self.language)

    @property
    def sign(self) -> str:
        """Of the currency."""
        return numbers.SIGNS.get(self.currency, self.currency)

    # --- times -------------------------------------------------------------------------------------------------------

    def local(self, milliseconds: int) -> datetime:
        """A moment in the reader's time zone."""
        return datetime.fromtimestamp(milliseconds / 1000, self.zone)

    def today(self) -> date:
        return datetime.fromtimestamp(self.now, self.zone).date()

    def time(self, milliseconds: int) -> str:
        """`10:57:55` today, `9 нояб., 14:02` else; with the year if it is another one."""
        moment = self.local(milliseconds)
        if moment.date() == self.today():
            return moment.strftime("%H:%M:%S")
        pattern = "d MMM" if self.language == "ru" else "MMM d"
        if moment.year != self.today().year:
            pattern = "d MMM y" if self.language == "ru" else "MMM d, y"
        return str(format_datetime(moment, f"{pattern}, HH:mm", locale=self.language)).replace(" ", numbers.NBSP, 1)

    def day(self, day: date) -> str:
        """`9 нояб.`, `Nov 9`."""
        pattern = "d MMM" if self.language == "ru" else "MMM d"
        return str(format_date(day, pattern, locale=self.language)).replace(" ", numbers.NBSP)

    def long_day(self, day: date) -> str:
        """`9 ноября`, `November 9`."""
        pattern = "d MMMM" if self.language == "ru" else "MMMM d"
        return str(format_date(day, pattern, locale=self.language)).replace(" ", numbers.NBSP)

    def month(self, day: date) -> str:
        """`Ноябрь`, `November`."""
        return str(format_date(day, "LLLL", locale=self.language)).capitalize()

    def iso(self, milliseconds: int) -> str:
        """For `<time datetime>`."""
        return self.local(milliseconds).isoformat(timespec="seconds")

    def zone_name(self) -> str:
        """`Europe/Moscow, UTC+3`."""
        offset = datetime.fromtimestamp(self.now, self.zone).utcoffset() or timedelta()
        hours, minutes = divmod(abs(int(offset.total_seconds())) // 60, 60)
        mark = "" if not offset else ("+" if offset > timedelta() else numbers.MINUS) + str(hours)
        return f"{self.zone}, UTC{mark}{f':{minutes:02}' if minutes else ''}" if str(self.zone) != "UTC" else "UTC"


class Languages:
    """The catalogues, read once."""

    def __init__(self) -> None:
        self._translations: dict[Language, gettext.NullTranslations] = {
            language: _read(language) if language != SOURCE else gettext.NullTranslations() for language in LANGUAGES
        }
        self._sentences: dict[Language, Sentences] = {
            language: Sentences(_texts(language), decimal=numbers.DECIMAL[language]) for language in LANGUAGES
        }

    def speech(self, language: Language, *, currency: str, zone: tzinfo, now: float) -> Speech:
        return Speech(
            language, self._translations[language], self._sentences[language], currency=currency, zone=zone, now=now
        )


def _read(language: Language) -> gettext.GNUTranslations:
    """All parts of a language as one."""
    whole = Catalog(locale=language)
    for part in catalogues(language):
        for message in part:
            if message.id:
                whole[message.id] = message
    compiled = BytesIO()
    write_mo(compiled, whole)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def _texts(language: Language) -> Iterable[tuple[str, str]]:
    """What the functions underneath say, and its translation; nothing of the source."""
    if language != SOURCE:
        for part in catalogues(language, SENTENCES):
            for message in part:
                if message.id:
                    yield str(message.id), str(message.string)


def catalogues(language: Language, part: str = ".po") -> Iterable[Catalog]:
    """The parts of a language's catalogue whose files end so."""
    folder = files("proxyapi.console").joinpath("locale", language)
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(part):
            yield read_po(BytesIO(file.read_bytes()), locale=language)


def language_of(chosen: str, accepted: str) -> Language:
    """What the user chose, else what the browser asks for first (RFC 9110, section 12.5.4), else English."""
    for language in LANGUAGES:
        if chosen == language:
            return language
    wishes: list[tuple[float, int, Language]] = []
    for at, entry in enumerate(accepted.split(",")[:ACCEPTED_MAX]):
        name, _, weight = entry.strip().partition(";q=")
        for language in LANGUAGES:
            if name.lower().partition("-")[0] == language:
                wishes.append((-_weight(weight), at, language))
    return min(wishes)[2] if wishes else SOURCE


def _weight(text: str) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0


@lru_cache(maxsize=256)
def zone_of(name: str) -> tzinfo:
    """UTC if there is no such zone."""
    try:
        return ZoneInfo(name) if name in ZONES else UTC
    except (ZoneInfoNotFoundError, ValueError):
        return UTC
