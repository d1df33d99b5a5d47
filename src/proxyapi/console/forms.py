"""What people type into forms, and what is said beside a field that can't be read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from proxyapi.console.marks import N_
from proxyapi.money import parse_amount

if TYPE_CHECKING:
    from proxyapi.console.page import Page

Problems = dict[str, str]
"""Field -> words beside it."""

_SPACES = re.compile(r"[\s\u00a0\u202f\u2009']+")
_SIGNS = "₽$€£ "


def amount_of(page: Page, name: str, problems: Problems) -> int | None:
    """A sum as people write it (`3 000,50`, `3000.50`) in nanos; None if the field is empty."""
    text = page.field(name)
    if not text:
        return None
    try:
        amount = parse_amount(plain_number(text))
    except ValueError:
        amount = None
    if amount is None or amount < 0:
        problems[name] = page.speech.gettext(N_("This is not a sum, such as 500 or 99.50"))
        return None
    return amount


def plain_number(text: str) -> str:
    """Without spaces and currency; of comma and point the last one begins the decimals."""
    text = _SPACES.sub("", text.strip(_SIGNS))
    if "," in text and "." in text:
        thousands = "," if text.rindex(".") > text.rindex(",") else "."
        text = text.replace(thousands, "")
    return text.replace(",", ".")


def count_of(page: Page, name: str, problems: Problems) -> int | None:
    """A whole number from 1; None if the field is empty."""
    text = _SPACES.sub("", page.field(name))
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 12 or int(text) == 0:
        problems[name] = page.speech.gettext(N_("A whole number from 1"))
        return None
    return int(text)


def lines_of(text: str) -> tuple[str, ...]:
    """Items that stand on lines of their own, or are parted by commas."""
    return tuple(item.strip() for item in re.split(r"[\n,;]+", text) if item.strip())
