"""Errors in the words of a page: a title, and whether anything was changed or charged."""

from __future__ import annotations

from collections.abc import Mapping

from proxyapi.console.marks import N_
from proxyapi.console.speech import Speech
from proxyapi.errors import GatewayError

_PROBLEMS: Mapping[int, tuple[str, str]] = {
    400: (N_("This request can't be understood"), N_("Nothing was changed and nothing was charged.")),
    403: (
        N_("The form is no longer valid"),
        N_("It was open for too long, or is from another session. Nothing was changed: open the page again."),
    ),
    404: (
        N_("There is no such page"),
        N_("The address may be mistyped, or what was here belongs to another account."),
    ),
    405: (N_("There is no such page"), N_("The address may be mistyped.")),
    409: (N_("This can't be done any more"), N_("Nothing was changed.")),
    413: (N_("That is too much"), N_("The form is larger than is taken here. Nothing was changed.")),
    429: (N_("Too many attempts"), N_("Wait a little and try again. API requests go on as usual.")),
    503: (
        N_("The console can't reach its store"),
        N_("Nothing was charged for this. Try again in a minute."),
    ),
}
_OTHER = (
    N_("The console could not show this page"),
    N_("It is our fault, and we know of it. API requests go on and are charged as usual."),
)


def problem_of(error: GatewayError | int, speech: Speech) -> Mapping[str, str]:
    """Title and text."""
    status = error if isinstance(error, int) else error.status
    title, text = _PROBLEMS.get(status, _OTHER)
    return {"title": speech.gettext(title), "text": speech.gettext(text)}
