"""Sums and counts in the two languages, from integers: `4 218,37 ₽`, `₽4,218.37`. No float touches money.

Thousands are parted by U+202F in Russian; the sign of the currency and of percent stands behind U+00A0 there. Kopecks,
separators and zeros that carry nothing are marked, so that the style sheet can dim them.
"""

from __future__ import annotations

from typing import Literal

from markupsafe import Markup, escape

from proxyapi.money import NANOS_PER_UNIT

Language = Literal["ru", "en"]

NARROW = "\u202f"
NBSP = "\u00a0"
MINUS = "\u2212"
DASH = "\u2014"
SIGNS = {"RUB": "₽", "USD": "$", "EUR": "€", "GBP": "£", "KZT": "₸", "CNY": "¥", "UAH": "₴", "BYN": "Br"}
"""Of currencies; others are written as their code."""
_PLACES = 9
_THOUSANDS = {"ru": NARROW, "en": ","}
DECIMAL = {"ru": ",", "en": "."}
_UNITS = {"ru": {3: "тыс.", 6: "млн", 9: "млрд"}, "en": {3: "K", 6: "M", 9: "B"}}
_SECOND = {"ru": "с", "en": "s"}


def amount(nanos: int, places: int, language: Language) -> str:
    """Nanos with so many decimals, the half rounded away from zero."""
    scale = 10 ** (_PLACES - places)
    rounded = (abs(nanos) + scale // 2) // scale
    return (MINUS if nanos < 0 and rounded else "") + _decimal(rounded, places, language)


def exact_places(nanos: int, least: int) -> int:
    """How many decimals a sum needs to lose nothing, but no fewer than `least`."""
    digits = f"{abs(nanos) % NANOS_PER_UNIT:09d}".rstrip("0")
    return max(least, len(digits))


def rate_places(nanos: int) -> int:
    """Decimals of a price: what is small keeps what it needs, what is large is not shown beyond the fourth."""
    needed = exact_places(nanos, 2)
    return needed if abs(nanos) < NANOS_PER_UNIT // 100 else min(needed, 4)


def count(value: int, language: Language) -> str:
    """An integer with its thousands parted."""
    return (MINUS if value < 0 else "") + f"{abs(value):,}".replace(",", _THOUSANDS[language])


def short(value: int, language: Language) -> str:
    """`24,6 млн`, `24.6M`; up to 9,999 as it is."""
    if abs(value) < 10_000:
        return count(value, language)
    power = 3 if abs(value) < 10**6 else 6 if abs(value) < 10**9 else 9
    tenths = (abs(value) * 10 + 10**power // 2) // 10**power
    text = _decimal(tenths, 1, language) if tenths < 1000 else count(tenths // 10, language)
    space = NBSP if language == "ru" else ""
    return (MINUS if value < 0 else "") + text + space + _UNITS[language][power]


def percent(part: int, whole: int, language: Language, places: int = 0) -> str:
    """Rounded to so many decimals; a dash where there is no whole."""
    if whole == 0:
        return DASH
    scaled = (abs(part) * 100 * 10**places + abs(whole) // 2) // abs(whole)
    sign = MINUS if scaled and (part < 0) != (whole < 0) else ""
    return sign + _decimal(scaled, places, language) + (NBSP if language == "ru" else "") + "%"


def seconds(milliseconds: int, language: Language) -> str:
    """`2,37 с`."""
    return _decimal((milliseconds + 5) // 10, 2, language) + NBSP + _SECOND[language]


def plain(nanos: int, places: int, language: Language, currency: str) -> str:
    """As text, with the sign of the currency."""
    text, sign = amount(nanos, places, language), SIGNS.get(currency, currency)
    if language == "ru":
        return f"{text}{NBSP}{sign}"
    space = NBSP if len(sign) > 1 else ""
    return f"{MINUS}{sign}{space}{text[1:]}" if text.startswith(MINUS) else f"{sign}{space}{text}"


def money(nanos: int, places: int, language: Language, currency: str, *, sign: bool = False, css: str = "") -> Markup:
    """As markup. `currency` empty: it stands in the head of the column. `sign`: a plus before what was added."""
    text = amount(nanos, places, language)
    mark = MINUS if text.startswith(MINUS) else "+" if sign and nanos > 0 else ""
    text = text.removeprefix(MINUS)
    whole, point, decimals = text.partition(DECIMAL[language])
    if not places:
        shown = Markup(escape(whole))
    elif places > 2:
        kept = decimals.rstrip("0")
        kept, zeros = (decimals[:2], decimals[2:]) if len(kept) < 2 else (kept, decimals[len(kept) :])
        shown = Markup('{}<span class="frac">{}</span>{}').format(whole, point, kept)
        shown += Markup('<span class="z">{}</span>').format(zeros) if zeros else Markup("")
    else:
        shown = Markup('{}<span class="frac">{}{}</span>').format(whole, point, decimals)
    if currency:
        unit = Markup('<span class="cur">{}</span>').format(SIGNS.get(currency, currency))
        shown = shown + NBSP + unit if language == "ru" else unit + shown
    return Markup('<span class="money{}">{}{}</span>').format(f" {css}" if css else "", mark, shown)


def _decimal(scaled: int, places: int, language: Language) -> str:
    """An integer of the last shown decimals as text."""
    whole, rest = divmod(scaled, 10**places)
    text = count(whole, language)
    return f"{text}{DECIMAL[language]}{rest:0{places}d}" if places else text
