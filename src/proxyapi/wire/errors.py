"""
What can go wrong on a connection:

* WireError
  + HeadRefused          a request head that is malformed, ambiguous, too large or not supported; has its HTTP status
  + BodyTooLarge         more body bytes than the caller of `read` allows
  + BodyTimeout          the client sends its body too slowly
  + BodyBroken           bad chunk framing in a request body
  + ClientLeft           the client closed or reset its connection
  + ConnectFailed        name resolution, TCP, TLS or the certificate check failed
  + ConnectTimeout       no connection, or no free place in the pool, in time
  + FirstByteTimeout     the request was sent, no answer began in time
  + IdleTimeout          the answer (or the sending of the request) stalled
  + ConnectionLost       the upstream closed or reset; `received` says whether any byte of the answer had come
  + ProtocolViolation    the upstream's bytes are no valid HTTP/1.1 (or no valid event stream)
"""

from __future__ import annotations


class WireError(Exception):
    """Root of what this package raises."""


class HeadRefused(WireError):
    """A request that is answered by the wire itself; `str(error)` is the text that the client sees."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class BodyTooLarge(WireError):
    """The body has more bytes than allowed."""


class BodyTimeout(WireError):
    """No byte of the request body for too long."""


class BodyBroken(WireError):
    """The chunked framing of a request body is malformed."""


class ClientLeft(WireError):
    """The client closed its connection before the exchange was over."""


class ConnectFailed(WireError):
    """No usable connection to the upstream: DNS, TCP, TLS or certificate."""


class ConnectTimeout(WireError):
    """No connection to the upstream in time."""


class FirstByteTimeout(WireError):
    """The upstream did not begin to answer in time."""


class IdleTimeout(WireError):
    """The upstream stalled in the middle of the request or of the answer."""


class ConnectionLost(WireError):
    """The upstream's connection ended too early."""

    def __init__(self, text: str, *, received: bool) -> None:
        super().__init__(text)
        self.received = received
        """At least one byte of the answer had arrived: the request must not be sent again."""


class ProtocolViolation(WireError):
    """The upstream's answer can't be read as HTTP/1.1 (or as an event stream)."""
