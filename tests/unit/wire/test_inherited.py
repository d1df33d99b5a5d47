"""An answer that goes on for somebody else when its client has left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from proxyapi.wire.exchange import Exchange
from proxyapi.wire.inherited import Inherited

REQUEST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"


class Heir:
    """Notes what it is told."""

    def __init__(self, *, wants: bool) -> None:
        self.wants = wants
        self.told: list[Any] = []
        self.left = asyncio.Event()

    def answered(self, status: int, headers: bytes, body: bytes) -> None:
        self.told.append((status, headers, body))

    def begun(self, status: int, headers: bytes, length: int | None) -> None:
        self.told.append((status, headers, length))

    def more(self, data: bytes) -> None:
        self.told.append(data)

    def ended(self, *, whole: bool) -> None:
        self.told.append(whole)

    def client_left(self) -> bool:
        self.left.set()
        return self.wants


def _leave_after_the_head(lab: Any, handler: Callable[[Exchange], Awaitable[None]], over: asyncio.Event) -> None:
    """A client that asks, reads the head of its answer, and leaves; until the handler says that it is over."""

    async def main() -> None:
        async with lab.server(handler) as (_, port):
            client = await lab.connect(port)
            client.send(REQUEST)
            await client.head()
            client.reset()
            await over.wait()

    lab.run(main)


def test_client_and_heir_get_the_same(lab: Any) -> None:
    heirs: list[Heir] = []

    async def handler(exchange: Exchange) -> None:
        heir = Heir(wants=True)
        heirs.append(heir)
        inherited = Inherited(exchange, heir)
        assert await inherited.read(10) == b"hi"
        if len(heirs) == 1:
            inherited.respond(201, b"x: y\r\n", b"whole")
            return
        inherited.start(200, b"x: y\r\n", None)
        inherited.write(b"one")
        inherited.pass_on(b"two", b"3\r\ntwo\r\n")
        inherited.finish()

    async def main() -> None:
        async with lab.server(handler) as (_, port):
            client = await lab.connect(port)
            client.send(REQUEST + REQUEST)
            assert (await client.answer())[::2] == (201, b"whole")
            assert (await client.answer())[::2] == (200, b"onetwo")

    lab.run(main)
    assert heirs[0].told == [(201, b"x: y\r\n", b"whole")]
    assert heirs[1].told == [(200, b"x: y\r\n", None), b"one", b"two", True]


def test_an_answer_goes_on_for_an_heir_that_wants_it(lab: Any) -> None:
    heir, gone, over = Heir(wants=True), list[bool](), asyncio.Event()

    async def handler(exchange: Exchange) -> None:
        inherited = Inherited(exchange, heir)
        await inherited.read(10)
        inherited.on_gone(lambda: gone.append(True))
        inherited.start(200, b"", None)
        inherited.write(b"one")
        await heir.left.wait()
        assert not inherited.gone
        inherited.write(b"two")
        inherited.finish()
        over.set()

    _leave_after_the_head(lab, handler, over)
    assert heir.told == [(200, b"", None), b"one", b"two", True]
    assert gone == []


def test_without_an_heir_the_client_is_gone(lab: Any) -> None:
    heir, gone, over = Heir(wants=False), list[bool](), asyncio.Event()

    async def handler(exchange: Exchange) -> None:
        inherited = Inherited(exchange, heir)
        await inherited.read(10)
        inherited.on_gone(lambda: gone.append(True))
        inherited.start(200, b"", None)
        await heir.left.wait()
        assert inherited.gone
        over.set()

    _leave_after_the_head(lab, handler, over)
    assert gone == [True]


def test_an_heir_may_give_up_later(lab: Any) -> None:
    heir, gone, over = Heir(wants=True), list[bool](), asyncio.Event()

    async def handler(exchange: Exchange) -> None:
        inherited = Inherited(exchange, heir)
        await inherited.read(10)
        inherited.on_gone(lambda: gone.append(True))
        inherited.start(200, b"", None)
        await heir.left.wait()
        assert gone == []
        inherited.abandon()
        assert inherited.gone
        over.set()

    _leave_after_the_head(lab, handler, over)
    assert gone == [True]


def test_a_cut_answer_is_cut_for_both(lab: Any) -> None:
    heir = Heir(wants=True)

    async def handler(exchange: Exchange) -> None:
        inherited = Inherited(exchange, heir)
        await inherited.read(10)
        inherited.start(200, b"", 10)
        inherited.write(b"one")
        inherited.abort()

    async def main() -> None:
        async with lab.server(handler) as (_, port):
            client = await lab.connect(port)
            client.send(REQUEST)
            await client.end()

    lab.run(main)
    assert heir.told == [(200, b"", 10), b"one", False]
