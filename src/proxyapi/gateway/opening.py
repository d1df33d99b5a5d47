"""The beginning of a stream as long as somebody else can still be asked: it is held back until the provider says
something, or says what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from proxyapi.dialects.model import Failed, KeepAlive, Metered, Start
from proxyapi.gateway.fallback import after_code, after_kind
from proxyapi.gateway.upstream import failure
from proxyapi.wire.errors import WireError

if TYPE_CHECKING:
    from proxyapi.dialects.dialect import Decoder
    from proxyapi.dialects.model import Event
    from proxyapi.gateway.bill import Bill
    from proxyapi.wire.client import Response
    from proxyapi.wire.upstream import Feed

HELD_BYTES_MAX = 65_536
"""What says nothing for so long is passed on as it is."""

_SAYS_NOTHING = (KeepAlive, Start, Metered)


class Opening:
    """For one stream of one provider."""

    def __init__(self, bill: Bill, decoder: Decoder, begin: Callable[[], None], feed: Feed) -> None:
        """`decoder`: of what the provider sends, for this alone. `begin`: before the first bytes go to `feed`."""
        self._bill = bill
        self._decoder = decoder
        self._begin = begin
        self._feed = feed
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._begun = False

    async def pipe(self, response: Response) -> None:
        """As `response.pipe`. NextTarget: it did not come to an answer."""
        try:
            await response.pipe(self._take)
        except WireError as error:
            if not self._begun:
                code = failure(error, self._bill.target.provider.title).code
                self._bill.go_on(after_code(code), code)
                self._let_go()
            raise
        if not self._begun:
            if not self._says(self._decoder.close()):
                self._bill.go_on(after_kind(None), "upstream_broken")
            self._let_go()

    def _take(self, data: bytes, framed: bytes) -> None:
        if self._begun:
            self._feed(data, framed)
            return
        self._held.append(data)
        self._held_bytes += len(data)
        if self._says(self._decoder.feed(data)) or self._held_bytes > HELD_BYTES_MAX:
            self._let_go()

    def _says(self, events: Sequence[Event]) -> bool:
        """Whether these are more than a head and signs of life. NextTarget: the first that is more is an error."""
        first = next((event for event in events if not isinstance(event, _SAYS_NOTHING)), None)
        if isinstance(first, Failed):
            self._bill.go_on(after_kind(first), "error_event")
        return first is not None

    def _let_go(self) -> None:
        self._begun = True
        self._begin()
        for data in self._held:
            self._feed(data, b"")
        self._held.clear()
