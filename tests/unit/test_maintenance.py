"""Edits that other processes make arrive in a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from proxyapi.identity.revisions import Revisions
from proxyapi.maintenance import follow
from proxyapi.rounds import Rounds
from proxyapi.store.errors import StoreFailure
from proxyapi.telemetry import Log, Metrics


async def at_once(_: float) -> None:
    await asyncio.sleep(0)


class Shop:
    """A price that another process edits, and what the worker sells by; `failures`: how often it can't be read."""

    def __init__(self, failures: int = 0) -> None:
        self.price = self.sells = 1
        self.failures = failures
        self.reading = asyncio.Event()
        self.sold = asyncio.Event()

    async def revisions(self, _sql: str, _parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        return [("price", self.price)]

    async def reload(self) -> None:
        price = self.price
        self.reading.set()
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise StoreFailure("the server is restarted")
        self.sells = price
        self.sold.set()


def followed(shop: Shop) -> Rounds:
    rounds = Rounds(asyncio.get_running_loop(), Log(lambda: 0.0, Metrics()), sleep=at_once)
    follow(Revisions(shop.revisions), rounds, shop.reload, sleep=at_once)
    return rounds


async def sold(shop: Shop) -> int:
    while shop.sells != shop.price:
        shop.sold.clear()
        await asyncio.wait_for(shop.sold.wait(), 5)
    return shop.sells


def test_an_edited_price_arrives_also_if_the_store_fails_when_it_is_read() -> None:
    async def main() -> None:
        shop = Shop(failures=2)
        rounds = followed(shop)
        shop.price = 2
        assert await sold(shop) == 2
        await rounds.stop()

    asyncio.run(main())


def test_a_price_that_is_edited_while_the_one_before_is_read_arrives() -> None:
    async def main() -> None:
        shop = Shop()
        rounds = followed(shop)
        await shop.reading.wait()
        shop.price = 2
        assert await sold(shop) == 2
        await rounds.stop()

    asyncio.run(main())


def test_no_price_is_read_after_the_end() -> None:
    async def main() -> None:
        shop = Shop()
        rounds = followed(shop)
        await shop.reading.wait()
        await rounds.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
