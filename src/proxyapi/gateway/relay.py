"""A paid request, top to bottom. This is the only file that knows the order of the steps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from proxyapi.dialects import DIALECTS
from proxyapi.dialects.ceiling import lowered
from proxyapi.dialects.codecs import CODECS
from proxyapi.dialects.multipart import FormScan, FormScanner, boundary, read_form
from proxyapi.dialects.state import holds_sealed
from proxyapi.errors import ClientGone, Forbidden, GatewayError, InvalidRequest, Unavailable
from proxyapi.gateway import bodies
from proxyapi.gateway.attempts import Way, alone, in_turn
from proxyapi.gateway.bill import Bill
from proxyapi.gateway.counting import Counting
from proxyapi.gateway.embedding import Embedding
from proxyapi.gateway.fallback import may_go_elsewhere
from proxyapi.gateway.headers import read_reply
from proxyapi.gateway.holding import Holding
from proxyapi.gateway.repeats import Repeats
from proxyapi.gateway.replies import Replies
from proxyapi.gateway.stored import Stored
from proxyapi.gateway.translate import Translator
from proxyapi.gateway.translated import TranslatedReplies
from proxyapi.gateway.upstream import Upstream
from proxyapi.gateway.visit import Visit
from proxyapi.identity.keys import check_model
from proxyapi.pricing import audio
from proxyapi.providers.spoken import CONVERSATIONS
from proxyapi.wire.errors import WireError

if TYPE_CHECKING:
    from proxyapi.dialects.call import Call
    from proxyapi.dialects.ceiling import Lowered
    from proxyapi.gateway.routes import Route
    from proxyapi.pricing.forecast import Forecast
    from proxyapi.providers.catalog import Catalog, Target
    from proxyapi.wire.client import BodySource, Response


class Relay:
    def __init__(
        self,
        *,
        catalog: Catalog,
        holding: Holding,
        upstream: Upstream,
        replies: Replies,
        translator: Translator,
        translated: TranslatedReplies,
        counting: Counting,
        embedding: Embedding,
        stored: Stored,
        repeats: Repeats,
        clock: Callable[[], float],
        body_bytes_max: int,
        requests_max: int,
    ) -> None:
        self._catalog = catalog
        self._holding = holding
        self._upstream = upstream
        self._replies = replies
        self._translator = translator
        self._translated = translated
        self._counting = counting
        self._embedding = embedding
        self._stored = stored
        self._repeats = repeats
        self._clock = clock
        self._body_bytes_max = body_bytes_max
        self._requests_max = requests_max
        self._requests = 0

    async def paid(self, visit: Visit) -> None:
        """A request with a JSON body."""
        route, introduction = visit.route, visit.introduction
        assert route is not None and introduction is not None, "the entrance found them"
        body = None if introduction.encoded else visit.exchange.arrived(self._body_bytes_max)
        if body is None:
            body = await bodies.read(visit.exchange, self._body_bytes_max)
        dialect = DIALECTS[route.dialect]
        call = dialect.read(body, model=route.model, stream=route.stream)
        target = self._target(visit, call)
        if visit.tape is not None:
            await self._repeats.recognise(visit, visit.tape, (body,), size=len(body), streams=call.stream)
        if call.operation == "responses" or call.previous_response_id or call.item_references:
            body, call = await self._stored.earlier(visit, body, call, target)
        if target.fallbacks and may_go_elsewhere(call):
            return await in_turn(self._holding, visit, await self._ways(visit, route, call, body, target))
        if target.dialect != route.dialect:
            if call.operation == "count_tokens":
                return await self._counting.answer(visit, call, body, target)
            if call.operation == "embeddings":
                return await alone(self._holding, visit, self._embedded(visit, call, body, target))
            return await alone(self._holding, visit, await self._translated_way(visit, route, call, body, target))
        if not call.plain and route.dialect in CODECS and holds_sealed(body):
            # Other providers' models had a part in this conversation: what they signed is opened, or stays behind.
            return await alone(self._holding, visit, await self._translated_way(visit, route, call, body, target))
        bill = await self._holding.hold(visit, call, target, partial(lowered, dialect.name, body, target.quirks))
        if bill.lowered is not None:
            body = bill.lowered.body
        await self._answer(visit, bill, dialect.patch(body, call, model=target.model))
        return None

    # --- ways to a target --------------------------------------------------------------------------------------------

    async def _ways(self, visit: Visit, route: Route, call: Call, body: bytes, target: Target) -> list[Way]:
        """To the target, and to those of its fallbacks that can be told the request, and that the key may use."""
        assert visit.caller is not None, "the entrance found it"
        ways = [await self._way(visit, route, call, body, target)]
        for other in target.fallbacks:
            with suppress(InvalidRequest, Forbidden):
                check_model(visit.caller, other.name, other.model)
                ways.append(await self._way(visit, route, call, body, other, instead=True))
        if call.operation == "responses":
            ways[0].turn = visit.turn
            kept = visit.turn or await self._stored.turn(visit, body, call)
            for way in ways[1:]:
                way.turn = kept
        return ways

    async def _way(
        self, visit: Visit, route: Route, call: Call, body: bytes, target: Target, *, instead: bool = False
    ) -> Way:
        """`instead`: of a target that does not answer. Then bytes pass only where there is no conversation: another
        provider takes other fields, and what it signs has to be told from what the first one does."""
        if target.dialect != route.dialect and call.operation == "embeddings":
            return self._embedded(visit, call, body, target)
        if target.dialect != route.dialect or (
            route.dialect in CODECS and (instead or (not call.plain and holds_sealed(body)))
        ):
            return await self._translated_way(visit, route, call, body, target)

        def answer(bill: Bill, lowered: Lowered | None) -> Awaitable[None]:
            sent = body if lowered is None else lowered.body
            return self._answer(visit, bill, DIALECTS[route.dialect].patch(sent, call, model=target.model))

        lower = partial(lowered, route.dialect, body, target.quirks)
        return Way(target=target, call=call, lower=lower, answer=answer)

    async def _translated_way(self, visit: Visit, route: Route, call: Call, body: bytes, target: Target) -> Way:
        """To a provider of another dialect. InvalidRequest: the request can't be said there."""
        translated = await self._translator.translate(visit, route, call, body, target)

        def answer(bill: Bill, lowered: Lowered | None) -> Awaitable[None]:
            sent = translated if lowered is None else self._translator.shortened(translated, bill.call, lowered)
            return self._bracketed(bill, lambda: self._translated.answer(visit, bill, sent))

        lower = partial(self._translator.lowered, translated)
        return Way(target=target, call=translated.call, lower=lower, answer=answer)

    def _embedded(self, visit: Visit, call: Call, body: bytes, target: Target) -> Way:
        """To a provider that makes vectors in another dialect. InvalidRequest: the request can't be said there."""
        asked = self._embedding.question(visit, call, body, target)

        def answer(bill: Bill, _lowered: Lowered | None) -> Awaitable[None]:
            return self._bracketed(bill, lambda: self._embedding.answer(visit, bill, asked))

        return Way(target=target, call=msgspec.structs.replace(call, dialect=asked.provider), lower=None, answer=answer)

    async def _bracketed(self, bill: Bill, answer: Callable[[], Awaitable[None]]) -> None:
        """Whatever happens to an answer, its bill is closed once."""
        self._requests += 1
        try:
            if self._requests > self._requests_max:
                raise _overloaded()
            await answer()
        except GatewayError as error:
            bill.release(error.code)
            raise
        except ClientGone:
            bill.release("client_gone")
            raise
        finally:
            self._requests -= 1
            bill.release("interrupted")

    async def upload(self, visit: Visit) -> None:
        """A request with a form: sound or pictures, spooled as they arrive and sent on unchanged."""
        route = visit.route
        assert route is not None, "the entrance found it"
        if route.operation == "image_edit" and _is_json(visit):
            return await self.paid(visit)
        upload, scan = await self._spool(visit)
        try:
            call = read_form(scan, route.operation)
            target = self._target(visit, call)
            if visit.tape is not None:
                contents = upload.contents(scan)
                await self._repeats.recognise(visit, visit.tape, contents, size=upload.length, streams=call.stream)
            call = await self._measured(call, scan, upload)
            bill = await self._holding.hold(visit, call, target)
            if target.model != call.model and scan.model_span is not None:
                upload.replace(scan.model_span, target.model.encode())
            await self._answer(visit, bill, upload)
        finally:
            upload.close()
        return None

    async def would_be(self, visit: Visit, route: Route) -> list[tuple[Call, Target]]:
        """What a request to `route` would be priced as, and who would answer; then who would, if that one did not.
        Nothing is sent."""
        if route.kind == "upload":
            upload, scan = await self._spool(visit)
            try:
                call = await self._measured(read_form(scan, route.operation), scan, upload)
            finally:
                upload.close()
            return [(call, self._catalog.choose(call, route.provider))]
        body = await bodies.read(visit.exchange, self._body_bytes_max)
        call = DIALECTS[route.dialect].read(body, model=route.model, stream=route.stream)
        target = self._catalog.choose(call, route.provider)
        if call.operation == "responses":
            body, call = await self._stored.earlier(visit, body, call, target)
        if target.fallbacks and may_go_elsewhere(call):
            return [(way.call, way.target) for way in await self._ways(visit, route, call, body, target)]
        if target.dialect != route.dialect and call.operation in CONVERSATIONS:
            call = (await self._translator.translate(visit, route, call, body, target)).call
        return [(call, target)]

    async def _spool(self, visit: Visit) -> tuple[bodies.Spool, FormScan]:
        content_type = (visit.exchange.header(b"content-type") or b"").decode("latin-1")
        scanner = FormScanner(boundary(content_type))
        upload = await bodies.spool(visit.exchange, self._body_bytes_max, scanner.feed)
        try:
            scan = scanner.close()
            if visit.record is not None:
                visit.record.form = scan
            return upload, scan
        except BaseException:
            upload.close()
            raise

    @staticmethod
    async def _measured(call: Call, scan: FormScan, upload: bodies.Spool) -> Call:
        """The call with what only the files themselves tell: the length of the sound."""
        if call.operation not in ("transcription", "translation"):
            return call
        part = scan.files[0]
        with upload.part(part.start, part.end) as file:
            seconds = await asyncio.to_thread(audio.duration_seconds, file, part.filename)
        return msgspec.structs.replace(call, audio_seconds=seconds or 0)

    def _target(self, visit: Visit, call: Call) -> Target:
        route, caller = visit.route, visit.caller
        assert route is not None and caller is not None, "the entrance found them"
        target = self._catalog.choose(call, route.provider)
        visit.provider, visit.model = target.provider.name, target.name
        if caller.models:
            check_model(caller, target.name, target.model)
        return target

    async def forecast(self, call: Call, target: Target) -> Forecast:
        """The largest usage of a call."""
        return await self._holding.forecast(call, target)

    async def _answer(self, visit: Visit, bill: Bill, body: bytes | BodySource) -> None:
        """Call the provider and bring its answer to the client. Whatever happens, the bill is closed once."""
        response: Response | None = None
        self._requests += 1
        try:
            if self._requests > self._requests_max:
                raise _overloaded()
            try:
                head = self._upstream.pass_on(visit, bill.target, body)
                response = await (self._upstream.for_client(visit, bill, head) if bill.call.stream else head)
            except WireError as error:
                raise self._upstream.failed(error, bill.target.provider) from error
            visit.first_byte_ms = (self._clock() - visit.started) * 1000
            bill.status = response.status
            bill.header, bill.upstream_id = read_reply(response.headers)
            await self._replies.bring(visit, bill, response)
        except GatewayError as error:
            bill.release(error.code)
            raise
        except ClientGone:
            bill.release("client_gone")
            raise
        finally:
            # A cancelled or crashed request generated nothing that reached the client.
            self._requests -= 1
            if not (bill.closed or bill.followed):
                bill.release("interrupted")
            if response is not None and not response.ended:
                response.close()


def _overloaded() -> Unavailable:
    return Unavailable("The gateway is at its limit of running requests; try again.", retry_after_seconds=1)


def _is_json(visit: Visit) -> bool:
    return (visit.exchange.header(b"content-type") or b"").lower().startswith(b"application/json")
