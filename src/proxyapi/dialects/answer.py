"""A whole reply that is one text and nothing else, as most are: as one body it needs no event after the other.

`answer_in` finds it in what a decoder makes of a body, `Terms.answer` tells whether the client gets it as it is, and
`Encoder.answer` writes it. Its `events` are the long way, to the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from proxyapi.dialects.model import Event, Finish, Metered, PartDelta, PartEnd, PartStart, Start, StopReason, Text

_TEXT, _END = PartStart(0, Text("")), PartEnd(0)
_DECIDED: frozenset[StopReason] = frozenset({"tool_use", "malformed"})
"""Ends whose word depends on what came before them."""


_EVENTS = 6
"""Start, a part's start, its text and its end, usage, finish."""
_METERED_AT = (5, 4, 1)
"""Where decoders put the usage: behind the finish, before it, behind the start."""


class Answer(Struct, frozen=True):
    start: Start
    text: str
    """Not empty."""
    finish: Finish
    metered: Metered

    def events(self) -> list[Event]:
        return [self.start, _TEXT, PartDelta(0, self.text), _END, self.metered, self.finish]


def answer_in(events: Sequence[Event]) -> Answer | None:
    """`events`: all of a body. None: there is more to it, or less."""
    if len(events) != _EVENTS:
        return None
    for at in _METERED_AT:
        metered = events[at]
        if type(metered) is Metered:
            break
    else:
        return None
    start, opening, said, closing, finish = (*events[:at], *events[at + 1 :])
    if (
        type(start) is Start
        and opening == _TEXT
        and type(said) is PartDelta
        and said == PartDelta(0, said.text)
        and closing == _END
        and type(finish) is Finish
        and finish.choice == 0
        and finish.reason not in _DECIDED
    ):
        return Answer(start, said.text, finish, metered)
    return None
