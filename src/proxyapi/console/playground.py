"""Calls of the playground: through the gateway's own API, with a key that lives in this process and nowhere else.

Each account has one such key. It is made anew every hour, is never shown, and pays like any other: the playground's
requests stand in the transactions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from starlette.responses import Response as Answer

from proxyapi.console.security import Message, Receive, Scope, Send
from proxyapi.errors import UpstreamUnreachable
from proxyapi.identity.accounts import KeyRing, KeySettings
from proxyapi.store.database import Database
from proxyapi.store.queries import load_queries
from proxyapi.wire.client import Origin, Pool, Response, Timeouts
from proxyapi.wire.errors import WireError

SQL = load_queries("proxyapi.console", "playground.sql")

KEY_NAME = "Playground"
KEY_MS = 3_600_000
RENEW_MS = 300_000
"""A key is made anew so long before it ends: a request that begins now is not cut off."""
KEPT_MAX = 10_000
PATIENCE = Timeouts(connect_seconds=5.0, first_byte_seconds=600.0, idle_seconds=300.0)
ANSWER_BYTES_MAX = 4 * 2**20
WAITING_MAX = 64
"""Pieces of an answer that wait for a slow browser before the gateway is asked to wait."""


class Playground:
    """One per console process. `key_of` is blocking, for the writer's thread; `ask` is for the loop."""

    def __init__(
        self, database: Database, keys: KeyRing, pool: Pool, origin: Origin, clock: Callable[[], float]
    ) -> None:
        """`origin`: where the gateway listens. `clock` is seconds since 1970."""
        self._database = database
        self._keys = keys
        self._pool = pool
        self._origin = origin
        self._clock = clock
        self._known: dict[int, tuple[str, int]] = {}

    def key_of(self, account_id: int) -> str:
        """The account's key of this hour."""
        now = int(self._clock() * 1000)
        key, until = self._known.get(account_id, ("", 0))
        if until - now > RENEW_MS:
            return key
        until = now + KEY_MS
        rows = self._database.fetch_now(SQL["key"], (account_id,))
        if rows:
            key = self._keys.renew(int(rows[0][0]), expires_at=until)
        else:
            key_id, key = self._keys.create(account_id, KeySettings(name=KEY_NAME, expires_at=until))
            with self._database.transaction() as transaction:
                transaction.execute(SQL["key_put"], (account_id, key_id))
        if len(self._known) >= KEPT_MAX:
            self._known.clear()
        self._known[account_id] = (key, until)
        return key

    async def ask(self, key: str, body: bytes) -> Response:
        """The gateway's answer, as soon as its head is there. UpstreamUnreachable."""
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: {self._origin.host}\r\nauthorization: Bearer {key}\r\n"
            f"content-type: application/json\r\nx-proxyapi-cost: 1\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        try:
            return await self._pool.send(self._origin, head.encode("ascii"), body, method="POST", timeouts=PATIENCE)
        except WireError as error:
            raise UpstreamUnreachable("The gateway did not answer. Nothing was charged.") from error


def chat_body(model: str, system: str, text: str, picture: str, *, tokens_max: int | None, stream: bool) -> bytes:
    """A request of the Chat API. `picture` is a data URL, or empty."""
    content: str | Sequence[dict[str, Any]] = text
    if picture:
        content = ({"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": picture}})
    messages = [{"role": "system", "content": system}] if system else []
    body: dict[str, Any] = {"model": model, "messages": [*messages, {"role": "user", "content": content}]}
    if tokens_max is not None:
        body["max_completion_tokens"] = tokens_max
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return msgspec.json.encode(body)


class Stream(Answer):
    """The gateway's answer, piece by piece as it arrives; a browser that leaves ends the request."""

    media_type = "text/event-stream"

    def __init__(self, response: Response) -> None:
        kind = (response.header(b"content-type") or b"application/json").decode("latin-1")
        super().__init__(None, response.status, media_type=kind)
        del self.headers["content-length"]
        self.headers["cache-control"] = "no-store"
        for name in ("x-proxyapi-estimate", "x-request-id"):
            if value := response.header(name.encode()):
                self.headers[name] = value.decode("latin-1")
        self._response = response
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        loop = asyncio.get_running_loop()
        piping, leaving = loop.create_task(self._pipe()), loop.create_task(self._watch(receive))
        try:
            while (piece := await self._waiting.get()) is not None:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                if self._waiting.qsize() == 0:
                    self._response.resume_reading()
            await send({"type": "http.response.body", "body": b""})
        finally:
            leaving.cancel()
            self._response.close()
            await asyncio.gather(piping, leaving, return_exceptions=True)

    def _feed(self, data: bytes, _framed: bytes) -> None:
        self._waiting.put_nowait(data)
        if self._waiting.qsize() >= WAITING_MAX:
            self._response.pause_reading()

    async def _pipe(self) -> None:
        try:
            await self._response.pipe(self._feed)
        except WireError:
            self._waiting.put_nowait(b'\n\ndata: {"error":{"message":"The answer was cut."}}\n\n')
        finally:
            self._waiting.put_nowait(None)

    async def _watch(self, receive: Receive) -> None:
        message: Message = {}
        while message.get("type") != "http.disconnect":
            message = await receive()
        self._response.close()
