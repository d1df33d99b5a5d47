"""Sends word to an address that a customer has named: only over HTTPS, and only to hosts of the public internet."""

from __future__ import annotations

from urllib.parse import urlsplit

from proxyapi.console.alerts import check_webhook
from proxyapi.errors import InvalidRequest
from proxyapi.wire.client import Origin, Pool, Timeouts
from proxyapi.wire.errors import WireError

PATIENCE = Timeouts(connect_seconds=5.0, first_byte_seconds=10.0, idle_seconds=10.0)
ANSWER_BYTES_MAX = 65_536
HTTPS_PORT = 443


class Webhook:
    """`pool` admits public addresses only; that is checked when a name is resolved, so it can't change its mind."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def send(self, address: str, body: bytes, signature: str) -> bool:
        """False: it was not taken. Nothing of the answer but its status is looked at."""
        try:
            check_webhook(address)  # it may be older than a rule
        except InvalidRequest:
            return False
        parts = urlsplit(address)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        origin = Origin("https", parts.hostname or "", parts.port or HTTPS_PORT)
        head = (
            f"POST {target} HTTP/1.1\r\nhost: {parts.netloc}\r\nuser-agent: proxyapi\r\n"
            f"content-type: application/json\r\nx-proxyapi-signature: {signature}\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        try:
            response = await self._pool.send(origin, head.encode("ascii"), body, method="POST", timeouts=PATIENCE)
            await response.read(ANSWER_BYTES_MAX)
        except WireError:
            return False
        return 200 <= response.status < 300
