"""What a request's head alone tells. Clients repeat their heads, so the wire keeps it from one request to the next."""

from __future__ import annotations

from proxyapi.errors import Unauthenticated
from proxyapi.gateway import routes
from proxyapi.identity.addresses import ClientAddress
from proxyapi.identity.keys import credential, digest_of
from proxyapi.wire.http1 import RequestHead


class Introduction:
    """Where a request goes, whose key it carries and where it comes from. Nothing of it is secret but the digest."""

    __slots__ = ("digest", "forwarded", "idempotency_key", "operation", "peer", "route")

    def __init__(
        self, route: routes.Route, peer: str, digest: bytes | None, idempotency_key: bytes | None = None
    ) -> None:
        self.route = route
        self.operation = ""
        """As key permissions and metrics name it; empty where no key is needed."""
        if route.needs_key:
            self.operation = route.operation if route.kind in ("paid", "upload", "stored") else route.kind
        self.peer = peer
        """The client's address, behind trusted proxies too."""
        self.digest = digest
        """Of the key; None: there is none, or none that could be one."""
        self.idempotency_key = idempotency_key
        """Of a request that costs money."""
        self.forwarded: dict[str | tuple[str, str, bool], bytes] = {}
        """Header lines that pass, by provider; for a provider of another dialect also by that, and whether it streams.
        """


def introduce(head: RequestHead, peer: str, address: ClientAddress) -> Introduction:
    """Read a head, or recall what was read of the same one. NotFound, MethodNotAllowed."""
    known = head.notes
    if isinstance(known, Introduction):
        return known
    route = routes.find(head.method, head.path)
    digest: bytes | None = None
    if route.needs_key:
        try:
            key = credential(head.headers, head.query)
        except Unauthenticated:
            key = None
        digest = None if key is None else digest_of(key)
    idempotency_key = head.header(b"idempotency-key") if route.kind in ("paid", "upload") else None
    introduction = Introduction(route, address.of(peer, head.headers), digest, idempotency_key)
    head.notes = introduction
    return introduction
