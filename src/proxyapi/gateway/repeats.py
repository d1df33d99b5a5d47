"""Requests with an `Idempotency-Key`: the first one runs, the same one again is told the first one's answer.

    claim row   hold   entry              a repeated request
    none                                  runs, and claims the key with its hold
    there       there                     409, or follows a stream from its beginning
    there       gone   charged            is told what was kept, or 409 that it was not
    there       gone   nothing charged    runs: the refused or lost one is as if it had never been
    any age beyond the life of a key      runs

A claim and its hold are made in one transaction, and so are the settlement and the mark that it was paid for: whatever
dies in between, a claim always has either a hold or an entry, and no request is paid for twice.

    recognise(...)   before the money: is it known?          IdempotencyKeyInUse if so
    take, in Hold    with the money: is it still unknown?    the same, for the slower one of two
    confirm          with the settlement
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from proxyapi.errors import AnswerNotKept, IdempotencyKeyInUse, IdempotencyKeyReused, InvalidRequest
from proxyapi.gateway.replies import amount_text
from proxyapi.gateway.tape import FOLLOWED_MS, QUERIES, Tape, Tapes
from proxyapi.identity.keys import strip_key
from proxyapi.ids import format_id, least_id
from proxyapi.wire.errors import ClientLeft
from proxyapi.wire.inherited import Inherited

if TYPE_CHECKING:
    from proxyapi.gateway.visit import Visit
    from proxyapi.wire.exchange import Exchange

KEY_CHARACTERS_MAX: Final = 255
DIGEST_INLINE_BYTES_MAX: Final = 262_144
"""Half a millisecond; more is digested in a thread."""
SETTLING_MS: Final = 10_000
"""So long after the charge the answer may still be on its way to the store."""
LOOK_SECONDS: Final = 0.05
LOOKS_MAX: Final = 10
"""A client that sends a request again as soon as it got the end of its answer is a few milliseconds ahead of the store:
half a second is waited before an answer counts as being made."""
POLL_SECONDS: Final = 0.2
"""Between two looks for more of an answer that is being made."""
PIECES_AT_ONCE: Final = 4
"""A quarter of a megabyte: what one repetition holds in memory."""
WAITING_MAX: Final = 200
"""Repeated requests of one worker that wait for an answer, or read one: each asks the store five times a second."""
ACCOUNT_WAITING_MAX: Final = 20
PRUNE_MAX: Final = 500
"""Rows at a time: money waits for no more than that."""
PRUNE_ROUNDS_MAX: Final = 50

Stage = Literal["running", "kept", "unkept", "void"]


class Found(NamedTuple):
    """A row of `find`: a claim, and how its request stands."""

    id: bytes
    request: bytes
    streams: int
    charged: int
    answer: str
    status: int
    headers: bytes
    counted: int
    whole: int
    pieces: int
    size: int
    created_at: int
    held: int
    ended_at: int | None
    cost: int | None

    def stage(self, now: int, life_ms: int) -> Stage:
        if not self.held and self.created_at <= now - life_ms:
            return "void"
        if self.answer == "kept":
            return "kept"
        if self.held or self.ended_at is None:
            return "running"
        if not self.charged:
            return "void"
        if self.answer == "made" and now - self.ended_at < SETTLING_MS:
            return "running"
        return "unkept"


class Repeats:
    """One per worker. The store is shared by all of them."""

    def __init__(self, tapes: Tapes, *, sleep: Callable[[float], Awaitable[object]]) -> None:
        self._tapes = tapes
        self._sleep = sleep
        self._waiting: dict[int, int] = {}
        """Repeated requests that wait, or read, by account."""

    # --- a request ---------------------------------------------------------------------------------------------------

    async def bracket(self, visit: Visit, value: bytes, handler: Callable[[Visit], Awaitable[None]]) -> None:
        """Run a request whose `Idempotency-Key` is `value`, or tell its answer again. The entrance closes its tape."""
        if not (0 < len(value) <= KEY_CHARACTERS_MAX and all(0x20 <= character < 0x7F for character in value)):
            raise InvalidRequest(
                f"Idempotency-Key has to be 1 to {KEY_CHARACTERS_MAX} printable ASCII characters",
                param="Idempotency-Key",
            )
        assert visit.caller is not None, "the entrance found it"
        exchange = visit.exchange
        tape = visit.tape = Tape(self._tapes, visit.caller.account_id, hashlib.sha256(value).digest(), visit.id)
        visit.exchange = tape.exchange = Inherited(exchange, tape)
        try:
            await handler(visit)
        except IdempotencyKeyInUse:
            visit.exchange, visit.tape = exchange, None
            await self._repeat(visit, tape)

    async def recognise(self, visit: Visit, tape: Tape, body: Iterable[bytes], *, size: int, streams: bool) -> None:
        """Before anything is priced. `body`: in pieces, without what differs when a client sends it again; `size`: of
        all of them.

        IdempotencyKeyInUse: `bracket` answers."""
        if size > DIGEST_INLINE_BYTES_MAX:
            digest = await asyncio.to_thread(_digest, visit.exchange, body)
        else:
            digest = _digest(visit.exchange, body)
        tape.recognised(digest, streams=streams)
        if await self._is_known(tape):
            with self._place(tape):
                for _ in range(LOOKS_MAX):
                    await self._sleep(LOOK_SECONDS)
                    if not await self._is_known(tape):
                        return
            raise IdempotencyKeyInUse

    async def _is_known(self, tape: Tape) -> bool:
        """Whether the request was made before. IdempotencyKeyInUse: so it was, and there is more to say of it."""
        found = await self._find(tape)
        stage = "void" if found is None else self._stage(found)
        if found is None or stage == "void":
            return False
        if stage != "running" or (found.streams and found.status):
            raise IdempotencyKeyInUse
        return True

    @contextmanager
    def _place(self, tape: Tape) -> Iterator[None]:
        """A place among those who wait. IdempotencyKeyInUse: there is none."""
        account_id = tape.identity[0]
        waiting = self._waiting.get(account_id, 0)
        if waiting >= ACCOUNT_WAITING_MAX or sum(self._waiting.values()) >= WAITING_MAX:
            raise IdempotencyKeyInUse("Too many requests are waiting for the answers of earlier ones.")
        self._waiting[account_id] = waiting + 1
        try:
            yield
        finally:
            self._waiting[account_id] -= 1
            if not self._waiting[account_id]:
                del self._waiting[account_id]

    async def _find(self, tape: Tape) -> Found | None:
        rows = await self._tapes.fetch(QUERIES["find"], tape.identity[:2])
        return Found(*rows[0]) if rows else None

    def _stage(self, found: Found) -> Stage:
        return found.stage(self._tapes.clock_ms(), self._tapes.life_ms)

    # --- its repetition ----------------------------------------------------------------------------------------------

    async def _repeat(self, visit: Visit, tape: Tape) -> None:
        found = await self._find(tape)
        stage = "void" if found is None else self._stage(found)
        if found is None or stage == "void":
            raise _ended()
        if found.request != tape.request:
            raise IdempotencyKeyReused
        if stage == "unkept":
            raise AnswerNotKept(format_id(found.id))
        if stage == "running" and not (found.streams and found.answer == "made"):
            raise IdempotencyKeyInUse
        with self._place(tape):
            await self._tell(visit, tape, found)

    async def _tell(self, visit: Visit, tape: Tape, found: Found) -> None:
        """The answer from its beginning, and on while it is made."""
        exchange = visit.exchange
        visit.ending = "replayed" if found.answer == "kept" else "followed"
        place, noted = 0, 0
        while True:
            if found.status and not exchange.started:
                self._begin(visit, found)
            told = await self._pass_on(exchange, found, place) if exchange.started else 0
            place += told
            if told == PIECES_AT_ONCE:
                continue
            if found.answer == "kept":
                return _end(exchange, whole=bool(found.whole) and place == found.pieces)
            if exchange.gone:
                raise ClientLeft("the client left")
            await self._sleep(POLL_SECONDS)
            noted = self._note(tape, found, noted)
            if told:
                continue
            now = await self._find(tape)
            if now is None or now.id != found.id or now.answer == "lost" or self._stage(now) not in ("running", "kept"):
                if exchange.started:
                    return exchange.abort()
                raise _ended()
            found = now

    async def _pass_on(self, exchange: Exchange, found: Found, place: int) -> int:
        """The next pieces, if there are any; how many there were."""
        pieces = await self._tapes.fetch(QUERIES["pieces"], (found.id, place, PIECES_AT_ONCE))
        for (data,) in pieces:
            exchange.write(data)
            await exchange.drained()
        return len(pieces)

    def _note(self, tape: Tape, found: Found, noted: int) -> int:
        """Tell the worker that makes the answer, now and then, that it is waited for."""
        now = self._tapes.clock_ms()
        if now - noted < FOLLOWED_MS // 2:
            return noted
        self._tapes.write("follow", now, *tape.identity[:2], found.id)
        return now

    def _begin(self, visit: Visit, found: Found) -> None:
        visit.status = found.status
        headers = found.headers + b"idempotent-replayed: true\r\nx-proxyapi-original-request: %b\r\n" % (
            format_id(found.id).encode()
        )
        if found.cost is not None and b"x-proxyapi-cost: " not in headers and found.charged:
            headers += b"x-proxyapi-cost: %b\r\n" % amount_text(found.cost)
        length = found.size if found.counted and found.answer == "kept" else None
        visit.exchange.start(found.status, headers + visit.headers(), length)

    # --- periodic work -----------------------------------------------------------------------------------------------

    async def prune(self) -> None:
        """Forget what is older than the life of a key, a bounded number at a time."""
        before = self._tapes.clock_ms() - self._tapes.life_ms
        await self._tapes.prune("prune", before, rows_max=PRUNE_MAX, rounds_max=PRUNE_ROUNDS_MAX)
        await self._tapes.prune("prune_pieces", least_id(before), rows_max=PRUNE_MAX, rounds_max=PRUNE_ROUNDS_MAX)

    async def close(self) -> None:
        await self._tapes.close()


def _digest(exchange: Exchange, body: Iterable[bytes]) -> bytes:
    digest = hashlib.sha256(f"{exchange.method}\0{exchange.path}?{strip_key(exchange.query)}\0".encode())
    for piece in body:
        digest.update(piece)
    return digest.digest()


def _end(exchange: Exchange, *, whole: bool) -> None:
    if whole:
        exchange.finish()
    else:
        exchange.abort()


def _ended() -> IdempotencyKeyInUse:
    return IdempotencyKeyInUse(
        "The request with this Idempotency-Key ended without an answer and without a charge. Send it again.",
        retry_after_seconds=1,
    )
