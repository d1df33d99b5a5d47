"""How the request that has a key stands, and what a repeated one may do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxyapi.dialects.multipart import FormScanner
from proxyapi.gateway.bodies import Spool
from proxyapi.gateway.repeats import SETTLING_MS, Found, Repeats
from proxyapi.gateway.tape import QUERIES, Tapes

NOW = 1_800_000_000_000
LIFE = 86_400_000
OLD = NOW - LIFE
RECENT = NOW - SETTLING_MS + 1
LONG_AGO = NOW - SETTLING_MS


def found(**change: Any) -> Found:
    usual = Found(b"id", b"request", 0, 0, "made", 0, b"", 0, 0, 0, 0, NOW - 60_000, 0, None, None)
    return usual._replace(**change)


@pytest.mark.parametrize(
    ("row", "stage"),
    [
        (found(held=1), "running"),
        (found(held=1, answer="lost"), "running"),
        (found(held=1, created_at=OLD - 1), "running"),
        (found(held=1, answer="kept"), "kept"),
        (found(ended_at=RECENT, charged=1, answer="kept"), "kept"),
        (found(ended_at=LONG_AGO, charged=0, answer="kept"), "kept"),
        (found(ended_at=RECENT, charged=1), "running"),
        (found(ended_at=LONG_AGO, charged=1), "unkept"),
        (found(ended_at=RECENT, charged=1, answer="lost"), "unkept"),
        (found(ended_at=RECENT, charged=0), "void"),
        (found(ended_at=RECENT, charged=0, answer="lost"), "void"),
        (found(ended_at=OLD, charged=1, answer="kept", created_at=OLD), "void"),
        (found(ended_at=OLD, charged=1, created_at=OLD), "void"),
    ],
)
def test_the_stage_of_a_request(row: Found, stage: str) -> None:
    assert row.stage(NOW, LIFE) == stage


def tapes(store: Any) -> Tapes:
    nothing: Any = None
    return Tapes(
        fetch=store.fetch,
        write=store.write,
        clock_ms=store.clock_ms,
        later=nothing,
        drains=nothing,
        life_ms=LIFE,
        answer_bytes_max=1,
        account_bytes_max=1,
    )


def test_keys_and_answers_are_forgotten_when_their_life_is_over_and_no_money_is_held_by_them(store: Any) -> None:
    store.now_ms = NOW

    def id(at: int, number: int) -> bytes:
        return at.to_bytes(6, "big") + number.to_bytes(10, "big")

    async def scenario() -> None:
        for number, at in enumerate((OLD - 1, OLD, OLD + 1, OLD - 2)):
            parameters = (1, b"%d" % number, id(at, number), b"request", 0, at, b"", 0)
            await store.write(QUERIES["take"], parameters)
            await store.write(QUERIES["piece"], (id(at, number), 0, b"data"))
        await store.write(
            "INSERT INTO hold (id, account_id, key_id, amount, worker_id, price_id, provider, model, operation, "
            "created_at) VALUES (?, 1, 1, 1, 1, 1, 'p', 'm', 'chat', 1)",
            (id(OLD - 2, 3),),
        )
        await Repeats(tapes(store), sleep=asyncio.sleep).prune()

    asyncio.run(scenario())
    assert store.database.fetch_now("SELECT key FROM claim ORDER BY key") == [(b"2",), (b"3",)]
    assert store.database.fetch_now("SELECT count(*) FROM claim_piece") == [(2,)]


def form(boundary: str, *, filename: str = "a.png", field: str = "hello") -> bytes:
    return (
        f'--{boundary}\r\ncontent-disposition: form-data; name="prompt"\r\n\r\n{field}\r\n'
        f'--{boundary}\r\ncontent-disposition: form-data; name="image"; filename="{filename}"\r\n'
        f"content-type: image/png\r\n\r\nPNG\r\n--{boundary}--\r\n"
    ).encode()


def contents(boundary: str, **change: str) -> bytes:
    body = form(boundary, **change)
    scanner, spool = FormScanner(boundary.encode()), Spool()
    scanner.feed(body)
    spool.write(body)
    try:
        said = b"".join(spool.contents(scanner.close()))
        assert asyncio.run(spool.read(len(body))) == body, "the spool is read from its beginning again"
        return said
    finally:
        spool.close()


def test_a_form_says_the_same_whatever_its_boundary() -> None:
    assert contents("one") == contents("another")
    assert contents("one") != contents("one", filename="b.png")
    assert contents("one") != contents("one", field="good bye")
