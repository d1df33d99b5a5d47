"""One request on its way through the gateway: what is known of it so far. The only mutable state of a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxyapi.ids import encode_id, format_id

if TYPE_CHECKING:
    from proxyapi.gateway.conversations import Turn
    from proxyapi.gateway.introduction import Introduction
    from proxyapi.gateway.routes import Route
    from proxyapi.gateway.tape import Tape
    from proxyapi.identity.keys import Caller
    from proxyapi.logbook.record import Record
    from proxyapi.wire.server import Exchange


@dataclass(slots=True, eq=False)
class Visit:
    """Filled from top to bottom by the entrance and the relay; read by the log when it is over."""

    exchange: Exchange
    id: bytes
    """UUIDv7: the id of the request, of its hold and of its journal entry."""
    started: float
    """Monotonic seconds."""
    peer: str
    """The client's address, behind trusted proxies too."""
    introduction: Introduction | None = None
    route: Route | None = None
    caller: Caller | None = None
    operation: str = ""
    provider: str = ""
    model: str = ""
    status: int = 0
    ending: str = ""
    error: str = ""
    charged: int = 0
    estimate: int = 0
    first_byte_ms: float = 0.0
    turn: Turn | None = None
    """Responses of a provider that keeps none: what the gateway is to keep."""
    record: Record | None = None
    """For the request log, where the account asked for it."""
    tape: Tape | None = None
    """With an `Idempotency-Key`: what keeps the answer."""
    extra_headers: bytes = b""
    """CORS."""

    @property
    def request_id(self) -> str:
        """The id as clients see it."""
        return format_id(self.id)

    def headers(self) -> bytes:
        """Header lines that every answer carries."""
        return b"x-request-id: %b\r\n%b" % (encode_id(self.id), self.extra_headers)

    def respond(self, status: int, headers: bytes, body: bytes) -> None:
        """One whole answer."""
        self.status = status
        self.exchange.respond(status, headers + self.headers(), body)
