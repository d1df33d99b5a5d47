"""One request on its way through the gateway: what is known of it so far. The only mutable state of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxyapi.ids import format_id

if TYPE_CHECKING:
    from proxyapi.gateway.conversations import Turn
    from proxyapi.gateway.introduction import Introduction
    from proxyapi.gateway.routes import Route, Shape
    from proxyapi.gateway.tape import Tape
    from proxyapi.identity.keys import Caller
    from proxyapi.logbook.record import Record
    from proxyapi.wire.server import Exchange


class Visit:
    """Filled from top to bottom by the entrance and the relay; read by the log when it is over."""

    __slots__ = (
        "caller",
        "charged",
        "ending",
        "error",
        "estimate",
        "exchange",
        "extra_headers",
        "first_byte_ms",
        "id",
        "idempotency_key",
        "introduction",
        "model",
        "operation",
        "peer",
        "provider",
        "record",
        "route",
        "shape",
        "started",
        "status",
        "tape",
        "turn",
    )

    def __init__(self, exchange: Exchange, id: bytes, started: float) -> None:
        self.exchange = exchange
        self.id = id
        """UUIDv7: the id of the request, of its hold and of its journal entry."""
        self.shape: Shape | None = None
        """How an error is spelled; None until the route is known."""
        self.started = started
        """Monotonic seconds."""
        self.peer = exchange.peer
        """The client's address, behind trusted proxies too."""
        self.introduction: Introduction | None = None
        self.route: Route | None = None
        self.caller: Caller | None = None
        self.operation = ""
        self.provider = ""
        self.model = ""
        self.status = 0
        self.ending = ""
        self.error = ""
        self.charged = 0
        self.estimate = 0
        self.first_byte_ms = 0.0
        self.turn: Turn | None = None
        """Responses of a provider that keeps none: what the gateway is to keep."""
        self.record: Record | None = None
        """For the request log, where the account asked for it."""
        self.idempotency_key: bytes | None = None
        self.tape: Tape | None = None
        """With an `Idempotency-Key`: what keeps the answer."""
        self.extra_headers = b""
        """CORS."""

    @property
    def request_id(self) -> str:
        """The id as clients see it."""
        return format_id(self.id)

    def headers(self) -> bytes:
        """Header lines that every answer carries."""
        return b"x-request-id: %b\r\n%b" % (format_id(self.id).encode(), self.extra_headers)

    def respond(self, status: int, headers: bytes, body: bytes) -> None:
        """One whole answer."""
        self.status = status
        self.exchange.respond(status, headers + self.headers(), body)
