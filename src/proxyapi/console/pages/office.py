"""What operators' pages share: who acts, and how a refusal is said beside the form."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from proxyapi.admin.acts import Operator
from proxyapi.console import deeds
from proxyapi.console.marks import N_
from proxyapi.errors import Conflict, InsufficientFunds, InvalidRequest, PaymentError

if TYPE_CHECKING:
    from starlette.responses import Response

    from proxyapi.admin.office import Office
    from proxyapi.console.page import Page

Given = ParamSpec("Given")
Result = TypeVar("Result")

LINES = 50
"""Rows of a page."""


def acting(page: Page) -> Operator:
    """Whoever is signed in."""
    return Operator(name=page.user.email, address=page.address)


async def show(page: Page, template: str, nav: str, *, status: int = 200, **values: Any) -> Response:
    """A page of operators. `ms` writes the times of views, `deed` and its like the record."""
    values.setdefault("problem", "")
    speech = page.speech
    return await page.render(
        template, status=status, nav=nav, ms=milliseconds, deed=partial(deeds.deed, speech),
        subject_of=partial(deeds.subject, speech), operator_name=partial(deeds.operator, speech),
        told_facts=partial(deeds.facts, speech), **values,
    )  # fmt: skip


async def attempt(
    page: Page, function: Callable[Concatenate[Office, Given], Result], *given: Given.args, **named: Given.kwargs
) -> tuple[Result | None, str]:
    """The function's result, or what is wrong in words for the form. NotFound passes: there is no such page."""
    try:
        return await page.desk.at_office(function, *given, **named), ""
    except InsufficientFunds as error:
        free = page.speech.plain(max(0, error.available), 2)
        return None, page.speech.gettext(N_("Only %(sum)s of it is free: nothing was changed.")) % {"sum": free}
    except (InvalidRequest, Conflict, PaymentError) as error:
        return None, page.speech.retell(error.detail)


def milliseconds(at: datetime) -> int:
    """Of a view's time, since 1970."""
    return int(at.timestamp() * 1000)
