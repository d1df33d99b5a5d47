"""What is written down of an answer, and when it is worth nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from proxyapi.gateway import tape as taping
from proxyapi.gateway.drains import Drains
from proxyapi.gateway.tape import PIECE_BYTES, QUERIES, TRIM_EVERY, Tape, Tapes, own_lines
from proxyapi.ids import IdSource

LIFE_MS = 86_400_000


class Bench:
    """Tapes over a real store; `run` waits until all is written."""

    def __init__(self, store: Any, **limits: int) -> None:
        self.store = store
        self.ids = IdSource()
        self.limits = {"answer_bytes_max": 1_000_000, "account_bytes_max": 10_000_000} | limits
        self.wrote = asyncio.Event()

    async def write(self, sql: str, parameters: tuple[object, ...]) -> Any:
        rows = await self.store.write(sql, parameters)
        if sql == QUERIES["piece"]:
            self.wrote.set()
        return rows

    def run(self, scenario: Callable[[Bench, Tapes], Awaitable[Any]]) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            self.drains = Drains(loop, seconds=0.01, count_max=1, amount_max=None)
            tapes = Tapes(
                fetch=self.store.fetch,
                write=self.write,
                clock_ms=self.store.clock_ms,
                later=loop.call_later,
                drains=self.drains,
                life_ms=LIFE_MS,
                **self.limits,
            )
            await scenario(self, tapes)
            while others := asyncio.all_tasks() - {asyncio.current_task()}:  # type: ignore[arg-type]
                await asyncio.gather(*others, return_exceptions=True)

        asyncio.run(main())

    async def tape(self, tapes: Tapes, key: bytes = b"key", *, streams: bool = True) -> Tape:
        """Of a request whose hold was accepted."""
        tape = Tape(tapes, 1, key, self.ids())
        tape.recognised(b"request", streams=streams)
        assert tape.claim is not None
        assert await self.store.write(tape.claim.take.sql, tape.claim.take.parameters)
        tape.held = 10
        return tape

    def row(self, columns: str = "answer, status, headers, counted, whole, pieces, bytes") -> Any:
        rows = self.store.database.fetch_now(f"SELECT {columns} FROM claim")
        return rows[0] if rows else None

    def written(self) -> list[bytes]:
        return [data for (data,) in self.store.database.fetch_now("SELECT data FROM claim_piece ORDER BY id, place")]


@pytest.fixture
def bench(store: Any) -> Bench:
    return Bench(store)


HEADERS = b"content-type: x/y\r\nx-request-id: 1\r\n"


def test_a_whole_answer_is_kept_without_the_headers_of_its_exchange(bench: Bench) -> None:
    async def scenario(bench: Bench, tapes: Tapes) -> None:
        tape = await bench.tape(tapes, streams=False)
        tape.answered(200, HEADERS, b"a" * PIECE_BYTES + b"b")
        tape.close()

    bench.run(scenario)
    assert bench.row() == ("kept", 200, b"content-type: x/y\r\n", 1, 1, 2, PIECE_BYTES + 1)
    assert bench.written() == [b"a" * PIECE_BYTES, b"b"]


def test_a_stream_is_in_the_store_while_it_runs(bench: Bench) -> None:
    async def scenario(bench: Bench, tapes: Tapes) -> None:
        tape = await bench.tape(tapes)
        tape.begun(200, HEADERS, None)
        tape.more(b"one ")
        tape.more(b"two ")
        await asyncio.wait_for(bench.wrote.wait(), 5)
        assert bench.written() == [b"one two "]
        assert bench.row() == ("made", 200, b"content-type: x/y\r\n", 0, 0, 0, 0)
        tape.more(b"three")
        tape.ended(whole=True)
        tape.close()

    bench.run(scenario)
    assert bench.row() == ("kept", 200, b"content-type: x/y\r\n", 0, 1, 2, 13)
    assert b"".join(bench.written()) == b"one two three"


def test_an_answer_that_was_cut_is_kept_as_cut(bench: Bench) -> None:
    async def scenario(bench: Bench, tapes: Tapes) -> None:
        tape = await bench.tape(tapes)
        tape.begun(200, HEADERS, 100)
        tape.more(b"one")
        tape.ended(whole=False)
        tape.close()

    bench.run(scenario)
    assert bench.row("answer, whole, counted") == ("kept", 0, 1)


def test_what_was_never_held_or_was_released_leaves_nothing(bench: Bench) -> None:
    async def scenario(bench: Bench, tapes: Tapes) -> None:
        never = Tape(tapes, 1, b"other", bench.ids())
        never.answered(400, HEADERS, b"no")
        never.close()
        tape = await bench.tape(tapes)
        tape.begun(200, HEADERS, None)
        tape.more(b"x" * PIECE_BYTES)
        tape.released = True
        tape.more(b"more")
        tape.ended(whole=True)
        tape.close()

    bench.run(scenario)
    assert bench.row() is None
    assert bench.written() == []


@pytest.mark.parametrize("limits", [{"answer_bytes_max": 100_000}, {"answer_bytes_max": 0}], ids=["large", "off"])
def test_an_answer_beyond_the_limit_is_lost_and_takes_no_room(store: Any, limits: dict[str, int]) -> None:
    bench = Bench(store, **limits)

    async def scenario(bench: Bench, tapes: Tapes) -> None:
        tape = await bench.tape(tapes)
        tape.begun(200, HEADERS, None)
        for _ in range(20):
            tape.more(b"x" * 10_000)
        assert not tape.client_left(), "nobody could fetch it"
        tape.ended(whole=True)
        tape.close()

    bench.run(scenario)
    assert bench.row("answer") == ("lost",)
    assert bench.written() == []


def test_an_answer_that_never_ended_is_lost(bench: Bench) -> None:
    async def scenario(bench: Bench, tapes: Tapes) -> None:
        tape = await bench.tape(tapes)
        tape.begun(200, HEADERS, None)
        tape.more(b"x" * PIECE_BYTES)
        tape.close()

    bench.run(scenario)
    assert bench.row("answer") == ("lost",)
    assert bench.written() == []


def test_an_answer_with_a_piece_missing_is_not_kept(bench: Bench) -> None:
    async def scenario(bench: Bench, tapes: Tapes) -> None:
        tape = await bench.tape(tapes)
        tape.begun(200, HEADERS, None)
        bench.store.sick = True
        tape.more(b"x" * PIECE_BYTES)
        await asyncio.sleep(0)
        bench.store.sick = False
        tape.more(b"y" * PIECE_BYTES)
        tape.ended(whole=True)
        tape.close()
        await asyncio.sleep(0)
        assert tapes.waiting_bytes <= PIECE_BYTES

    bench.run(scenario)
    assert bench.row("answer") == ("lost",)


def test_what_the_store_does_not_take_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taping, "WAITING_BYTES_MAX", 150_000)

    async def scenario(bench: Bench, tapes: Tapes) -> None:
        tape = await bench.tape(tapes)
        tape.begun(200, HEADERS, None)
        for _ in range(10):
            tape.more(b"x" * 50_000)  # in one turn of the loop: nothing is written meanwhile
        assert tapes.waiting_bytes <= 150_000
        tape.ended(whole=True)
        tape.close()

    bench.run(scenario)
    assert bench.row("answer") == ("lost",)


class Exchange:
    def __init__(self) -> None:
        self.abandoned = asyncio.Event()

    def abandon(self) -> None:
        self.abandoned.set()


def test_an_answer_without_its_client_is_given_up_after_a_while_unless_somebody_follows(bench: Bench) -> None:
    async def scenario(bench: Bench, tapes: Tapes) -> None:
        tape = await bench.tape(tapes)
        exchange: Any = Exchange()
        tape.exchange = exchange
        tape.begun(200, HEADERS, None)
        await bench.store.write(QUERIES["follow"], (bench.store.now_ms, *tape.identity))
        assert tape.client_left()
        assert not (await bench.tape(tapes, b"other")).client_left(), "as many as the operator allows"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(exchange.abandoned.wait(), 0.1)
        bench.store.now_ms += 60_000
        await asyncio.wait_for(exchange.abandoned.wait(), 5)
        tape.close()

    bench.run(scenario)


def test_no_account_takes_all_the_room_for_answers_without_clients(bench: Bench, monkeypatch: Any) -> None:
    monkeypatch.setattr(taping, "ACCOUNT_DRAINS_MAX", 2)

    async def scenario(bench: Bench, tapes: Tapes) -> None:
        tapes.drains = Drains(asyncio.get_running_loop(), seconds=60, count_max=9, amount_max=None)
        own = [await bench.tape(tapes, b"%d" % number) for number in range(3)]
        assert [tape.client_left() for tape in own] == [True, True, False]
        other = Tape(tapes, 2, b"key", bench.ids())
        other.held = 10
        assert other.client_left()
        own[0].close()
        assert own[2].client_left()
        tapes.drains.stop()

    bench.run(scenario)


def test_the_oldest_answers_of_an_account_give_way(store: Any) -> None:
    bench = Bench(store, account_bytes_max=1_000)

    async def scenario(bench: Bench, tapes: Tapes) -> None:
        for number in range(TRIM_EVERY):
            bench.store.now_ms += 1
            tape = await bench.tape(tapes, b"%d" % number)
            tape.answered(200, HEADERS, b"x" * 300)
            tape.close()

    bench.run(scenario)
    answers = [answer for (answer,) in store.database.fetch_now("SELECT answer FROM claim ORDER BY created_at")]
    assert answers == ["lost"] * (TRIM_EVERY - 3) + ["kept"] * 3
    assert len(bench.written()) == 3


def test_header_lines_of_one_exchange_are_left_out() -> None:
    lines = b"Content-Type: a/b\r\nX-Request-Id: 1\r\naccess-control-allow-origin: *\r\nvary: origin\r\nx-other: 2\r\n"
    assert own_lines(lines) == b"Content-Type: a/b\r\nx-other: 2\r\n"
