"""A part of a reply that is being reshaped, from its start to its end."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from proxyapi.dialects.declared import CallKind
from proxyapi.dialects.functions import INPUT
from proxyapi.dialects.model import PartEvent, PartStart
from proxyapi.dialects.stops import StopCutter
from proxyapi.dialects.stream import lenient

_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_WRAPPED = msgspec.json.Decoder(dict[str, Any])


class OpenPart:
    __slots__ = ("arguments", "choice", "cutter", "held", "identity", "index", "kind", "schema", "start", "target",
                 "wrapped")  # fmt: skip

    def __init__(self, index: int, choice: int) -> None:
        self.index = index
        self.choice = choice
        self.start: PartStart | None = None
        """Not sent yet: an empty part has nothing to show."""
        self.identity = ""
        """Id of a call of a hosted tool."""
        self.cutter: StopCutter | None = None
        self.arguments: list[str] | None = None
        """Of a call that the client executes."""
        self.kind: CallKind = "function"
        self.wrapped = False
        """Its arguments are `{"input": text}`: the text is the call's."""
        self.target: list[PartEvent] | None = None
        """Where its events wait; None: they leave."""
        self.schema: Raw | None = None
        """What it answers, if numbers in it were told as texts: then it has to be read as a whole."""
        self.held: list[str] = []
        """Text of such an answer."""

    @property
    def is_partial(self) -> bool:
        """Whether a call's arguments so far can't be all of them."""
        return self.arguments is not None and lenient(_OBJECT, "".join(self.arguments).encode()) is None


def unwrapped(arguments: str) -> str:
    """The text of a free-text call from the arguments of the function that stood for it."""
    wire = lenient(_WRAPPED, arguments.encode())
    text = wire.get(INPUT) if wire is not None else None
    return text if isinstance(text, str) else arguments
