"""Headers that every answer of the console carries, and the proof that a request came through the gateway."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""`data:` is for the arrow of a select and for pictures that the playground previews."""
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
TRANSPORT = (b"strict-transport-security", b"max-age=31536000")
"""Only over HTTPS. Without subdomains: they may be somebody else's business."""
NO_STORE = (b"cache-control", b"no-store")
DOOR_HEADER = b"x-proxyapi-door"


class Door:
    """Lets in what the gateway forwards: it knows a secret that was made at this start. The port is a loopback one, but
    other users of the machine can reach it, and what the gateway says of the client's address must be believed."""

    def __init__(self, application: Application, *, secret: bytes, secure: bool) -> None:
        self._application = application
        self._secret = secret
        self._added = [*HEADERS, TRANSPORT] if secure else list(HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        given = next((value for name, value in scope["headers"] if name == DOOR_HEADER), b"")
        if not hmac.compare_digest(given, self._secret):
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                names = {name for name, _ in headers}
                headers += [field for field in self._added if field[0] not in names]
                if b"cache-control" not in names:
                    headers.append(NO_STORE)
                message = {**message, "headers": headers}
            await send(message)

        await self._application(scope, receive, send_with_headers)
