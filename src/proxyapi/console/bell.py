"""Tells owners of a balance that runs low, by e-mail and webhook."""

from __future__ import annotations

import asyncio

from proxyapi.console.alerts import Due, signature, webhook_body
from proxyapi.console.desk import Desk
from proxyapi.console.pen import Pen
from proxyapi.console.speech import language_of, zone_of
from proxyapi.console.webhook import Webhook

AT_ONCE_MAX = 20
"""Owners that are told at a time: one whose webhook is slow keeps no other waiting."""


class Bell:
    """Rung every few seconds; tells of each alert once."""

    def __init__(self, desk: Desk, pen: Pen, webhook: Webhook) -> None:
        self._desk = desk
        self._pen = pen
        self._webhook = webhook

    async def ring(self) -> None:
        """Look for balances that have fallen, and tell their owners. StoreError."""
        at_once = asyncio.Semaphore(AT_ONCE_MAX)

        async def tell(due: Due) -> None:
            async with at_once:
                await self._tell(due)

        await asyncio.gather(*map(tell, await self._desk.write(self._desk.alerts.due)))

    async def _tell(self, due: Due) -> None:
        if due.email:
            await self._mail(due)
        if due.webhook:
            body = webhook_body(due, self._desk.currency, self._desk.now_ms())
            await self._webhook.send(due.webhook, body, signature(due.secret, body))

    async def _mail(self, due: Due) -> None:
        desk = self._desk
        speech = desk.languages.speech(
            language_of(due.language, ""), currency=desk.currency, zone=zone_of(desk.zone), now=desk.clock()
        )
        subject, text = self._pen.message(
            "mail/low.txt",
            speech,
            available=due.available,
            threshold=due.threshold,
            link=f"{desk.address}/console/balance",
        )
        await desk.mailer.send(due.email, subject, text)
