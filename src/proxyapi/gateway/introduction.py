"""What a request's head alone tells. Clients repeat their heads, so the wire keeps it from one request to the next."""

from __future__ import annotations

from proxyapi.errors import Unauthenticated
from proxyapi.gateway import routes
from proxyapi.identity.addresses import ClientAddress
from proxyapi.identity.keys import credential, digest_of
from proxyapi.wire.http1 import RequestHead

MAX_COST_HEADER = b"x-proxyapi-max-cost"
HEADS_MAX = 8
"""Of a connection. A client asks a model or two over it; a head has half a kilobyte."""


class Introduction:
    """Where a request goes, whose key it carries and where it comes from. Secret of it are the digest, and the heads,
    which have the operator's credentials."""

    __slots__ = (
        "digest", "encoded", "forwarded", "heads", "idempotency_key", "max_cost", "operation", "peer", "route",
    )  # fmt: skip

    def __init__(
        self, route: routes.Route, peer: str, digest: bytes | None, idempotency_key: bytes | None = None,
        *, encoded: bool = False, max_cost: bytes | None = None,
    ) -> None:  # fmt: skip
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
        self.encoded = encoded
        """The body may not be what the client means, but that in an encoding."""
        self.max_cost = max_cost
        """What the client wrote as the request's own cap."""
        self.forwarded: dict[str | tuple[str, str, bool], bytes] = {}
        """Header lines that pass, by provider; for a provider of another dialect also by that, and whether it streams.
        """
        self.heads: dict[tuple[str, str, str], bytes] = {}
        """Heads for providers, but for the length of the body: by provider, unified name and model."""

    def keep(self, key: tuple[str, str, str], head: bytes) -> None:
        """For the next request with this head and model."""
        if len(self.heads) >= HEADS_MAX:
            self.heads.clear()
        self.heads[key] = head


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
    introduction = Introduction(
        route, address.of(peer, head.headers), digest, idempotency_key,
        encoded=head.header(b"content-encoding") is not None, max_cost=head.header(MAX_COST_HEADER),
    )  # fmt: skip
    head.notes = introduction
    return introduction
