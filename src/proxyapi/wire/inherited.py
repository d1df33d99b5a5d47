"""An exchange whose answer somebody else gets too, and may want to its end when the client has left."""

from __future__ import annotations

from typing import Protocol

from proxyapi.wire.exchange import Exchange, Pausable


class Heir(Protocol):
    """Gets what the client gets, before it does."""

    def answered(self, status: int, headers: bytes, body: bytes) -> None:
        """The whole answer at once."""
        ...

    def begun(self, status: int, headers: bytes, length: int | None) -> None: ...
    def more(self, data: bytes) -> None: ...

    def ended(self, *, whole: bool) -> None:
        """After `begun`: properly, or cut."""
        ...

    def client_left(self) -> bool:
        """True: the answer is wanted all the same, until the exchange is `abandoned`."""
        ...


class Inherited(Exchange):
    """Passes everything on to the exchange of the client. `gone` says that neither side wants the answer any more."""

    __slots__ = ("_client", "_heir")

    def __init__(self, client: Exchange, heir: Heir) -> None:
        super().__init__(client._carrier, client.head, client.body_bytes)
        self._client = client
        self._heir = heir
        client.on_gone(self._client_left)

    def arrived(self, bytes_max: int) -> bytes | None:
        return self._client.arrived(bytes_max)

    async def read(self, bytes_max: int) -> bytes:
        return await self._client.read(bytes_max)

    async def read_some(self) -> bytes:
        return await self._client.read_some()

    def respond(self, status: int, headers: bytes, body: bytes) -> None:
        self._begin(status)
        self._heir.answered(status, headers, body)
        self.finished = True
        self._client.respond(status, headers, body)

    def start(self, status: int, headers: bytes, length: int | None) -> None:
        self._begin(status)
        self._heir.begun(status, headers, length)
        self._client.start(status, headers, length)

    def _begin(self, status: int) -> None:
        if self.started:
            raise RuntimeError("the exchange was answered twice")
        self.started, self.status = True, status

    def write(self, data: bytes) -> None:
        if data and not self.finished:
            self._heir.more(data)
            self._client.write(data)

    def pass_on(self, data: bytes, framed: bytes) -> None:
        if data and not self.finished:
            self._heir.more(data)
            self._client.pass_on(data, framed)

    def finish(self) -> None:
        if not self.finished:
            self.finished = True
            self._heir.ended(whole=True)
            self._client.finish()

    def abort(self) -> None:
        if not self.finished:
            self.finished = True
            if self.started:
                self._heir.ended(whole=False)
            self._client.abort()

    def couple(self, source: Pausable) -> None:
        if not self._client.gone:
            self._client.couple(source)

    def _client_left(self) -> None:
        if not self.finished and not self._heir.client_left():
            self.left()

    def abandon(self) -> None:
        """Nobody wants the rest."""
        self.left()
