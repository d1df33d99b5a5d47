"""Whether a stream has come to the cap that its own request set: then it is broken off, and ends as at a length.

Providers keep to the ceiling that the cap was turned into; what they count otherwise, or think beyond it, is found
here. Only requests with `x-proxyapi-max-cost` are watched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxyapi.dialects.channel import Meter
    from proxyapi.pricing.tokens import Tokenizer
    from proxyapi.usage import Usage

SENT_BYTES_MAX = 16 * 1024 * 1024
"""Of a watched stream that are kept, to know what is open in it. A longer one is not broken off: the cap bounds its
charge all the same."""
PIECE_BYTES = 1_024
"""An array of Gemini has no blank lines, and its elements may come many at once: they are looked at piece by piece."""
_FRAME_END = re.compile(rb"\n\n|\r\n\r\n")


def whole_frames(data: bytes) -> Iterator[bytes]:
    """Cut after every blank line, and in small pieces where there is none."""
    start = 0
    for match in _FRAME_END.finditer(data):
        yield data[start : match.end()]
        start = match.end()
    for at in range(start, len(data), PIECE_BYTES):
        yield data[at : at + PIECE_BYTES]


class Cap:
    """For one stream."""

    def __init__(
        self,
        spent: Callable[[Meter, int], Usage],
        price: Callable[[Usage], int],
        tokenizer: Tokenizer,
        limit: int,
    ) -> None:
        """`spent`: usage of a reply by what its provider reported so far, and the tokens counted in it."""
        self._spent = spent
        self._price = price
        self._tokenizer = tokenizer
        self._limit = limit
        self._output = 0
        """Tokens of `meter.texts` so far."""
        self._texts = 0
        self._sent: list[bytes] = []
        self._sent_bytes = 0
        self.reached = False
        """The stream ends here."""

    @property
    def sent(self) -> list[bytes]:
        """What the client got."""
        return self._sent

    def usage(self, meter: Meter) -> Usage:
        """Of the reply so far."""
        return self._spent(meter, self._output)

    def keep(self, out: bytes) -> None:
        """More for the client."""
        self._sent_bytes += len(out)
        if self._sent_bytes <= SENT_BYTES_MAX:
            self._sent.append(out)
        else:
            self._sent.clear()

    def check(self, meter: Meter) -> bool:
        """After a whole frame: whether the stream has to end here. What ends by itself may."""
        texts = meter.texts
        grown = len(texts) > self._texts
        if grown:
            self._output += self._tokenizer.count_all(texts[self._texts :])
            self._texts = len(texts)
        ends = meter.finished or meter.failed is not None or (meter.reason and not grown)
        if not ends and self._sent_bytes <= SENT_BYTES_MAX:
            self.reached = self._price(self.usage(meter)) > self._limit
        return self.reached
