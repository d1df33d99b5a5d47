"""Webhooks go out, or are not taken; nothing that a customer typed stops the ones of others."""

from __future__ import annotations

import asyncio

import pytest

from proxyapi.console.webhook import Webhook
from proxyapi.wire.client import Pool, Timeouts


@pytest.mark.parametrize("address", ["https://e.com:99999/", "https://[::1", "https://" + "e" * 64 + ".com/", ""])
def test_an_address_that_was_taken_by_an_older_version_is_given_up(address: str) -> None:
    async def send() -> bool:
        pool = Pool(loop=asyncio.get_running_loop(), timeouts=Timeouts(), admits=lambda _: False)
        try:
            return await Webhook(pool).send(address, b"{}", "sha256=00")
        finally:
            await pool.close()

    assert asyncio.run(send()) is False
