"""The admin API and the notices of payment providers as routes of the console's process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from proxyapi.admin.api.answer import BODY_BYTES_MAX, Answer, Api, problem, question_of
from proxyapi.admin.api.openapi import PREFIX, document
from proxyapi.errors import GatewayError, InvalidRequest, PayloadTooLarge, StoreUnavailable, Unavailable
from proxyapi.payments.desk import PaymentDesk
from proxyapi.store.errors import StoreFailure

NOTICE_BYTES_MAX = 65_536
NOTICES_MAX = 16
"""Notices at a time: each may wait for its provider. More are told to come again, and they do."""
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class AdminServer:
    """The handlers. `clerk`: one thread, in which the API's functions run one after the other. `tellers`: a few
    threads, in which payment providers are asked."""

    def __init__(
        self, api: Api, payments: PaymentDesk, *, version: str, clerk: Executor, tellers: Executor,
        address_of: Callable[[Request], str],
    ) -> None:  # fmt: skip
        self._api = api
        self._payments = payments
        self._clerk = clerk
        self._tellers = tellers
        self._address_of = address_of
        self._document = msgspec.json.encode(document(version))
        self._noticing = 0

    def routes(self) -> list[BaseRoute]:
        """They guard themselves: by tokens, and by asking back."""
        return [
            Route(f"{PREFIX}/openapi.json", self.describe, methods=["GET"]),
            Route(f"{PREFIX}/{{path:path}}", self.answer, methods=_METHODS),
            Route("/payments/{provider}", self.notice, methods=["POST"]),
        ]

    async def describe(self, request: Request) -> Response:
        """The OpenAPI document."""
        return Response(self._document, media_type="application/json")

    async def answer(self, request: Request) -> Response:
        """Any operation of the API."""
        try:
            body = await _read(request, BODY_BYTES_MAX)
        except GatewayError as error:
            return _response(problem(error))
        question = question_of(
            request.method, request.scope["path"], request.url.query, request.headers, body, self._address_of(request)
        )
        loop = asyncio.get_running_loop()
        return _response(await loop.run_in_executor(self._clerk, self._api.answer, question))

    async def notice(self, request: Request) -> Response:
        """A payment provider says that something has changed: 200 if it was understood and acted on."""
        try:
            await self._notice(request)
        except GatewayError as error:
            return _response(problem(error))
        except StoreFailure:
            return _response(problem(StoreUnavailable()))
        return Response(b"", 200)

    async def _notice(self, request: Request) -> None:
        body = await _read(request, NOTICE_BYTES_MAX)
        if self._noticing >= NOTICES_MAX:
            raise Unavailable("Too many notices at once; say it again.", retry_after_seconds=5)
        provider, address = request.path_params["provider"], self._address_of(request)
        self._noticing += 1
        try:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._tellers, self._payments.notice, provider, body, address)
        finally:
            self._noticing -= 1


def forwarded_address(request: Request) -> str:
    """The client's, as the gateway in front says."""
    return request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()


async def _read(request: Request, bytes_max: int) -> bytes:
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > bytes_max:
                raise PayloadTooLarge(f"At most {bytes_max} bytes.")
    except ClientDisconnect:
        raise InvalidRequest("The request broke off.") from None
    return bytes(body)


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, dict(answer.headers))
