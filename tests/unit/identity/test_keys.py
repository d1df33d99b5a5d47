"""Keys, credentials and the cache of callers, on a real database."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from typing import Any

import pytest

from proxyapi.errors import StoreUnavailable, Unauthenticated
from proxyapi.identity.accounts import KeySettings
from proxyapi.identity.addresses import strip_key
from proxyapi.identity.keys import Caller, Keys, credential, digest_of, new_key
from proxyapi.identity.revisions import Revisions
from proxyapi.ledger.ops import Budget


class Store:
    """`Database.fetch`, counted."""

    def __init__(self, desk: Any) -> None:
        self._desk = desk
        self.reads = 0

    async def fetch(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        self.reads += 1
        rows: list[tuple[Any, ...]] = await self._desk.database.fetch(sql, parameters)
        return rows


def _key(desk: Any, **settings: Any) -> tuple[int, bytes]:
    accounts = desk.accounts.list()
    account = accounts[0] if accounts else desk.accounts.create("acme")
    key_id, plain = desk.keys.create(account.id, KeySettings(**settings))
    return key_id, digest_of(plain.encode())


def test_a_key_is_sk_and_48_letters_and_digits() -> None:
    assert re.fullmatch(r"sk-[A-Za-z0-9]{48}", new_key(os.urandom))
    assert new_key(os.urandom) != new_key(os.urandom)


def test_every_character_of_a_key_is_equally_likely() -> None:
    key = new_key(lambda count: bytes([248, 255, 61, 0] * count)[:count])
    assert set(key[3:]) == {"9", "A"}


def test_a_caller_has_all_settings_of_its_key(desk: Any) -> None:
    key_id, digest = _key(
        desk,
        name="laptop",
        models=("openai/*",),
        endpoints=("chat",),
        networks=("192.0.2.0/24",),
        budget_limit=50,
        budget_period="day",
        requests_per_minute=3,
        tokens_per_minute=400,
        may_query_balance=True,
    )
    caller = asyncio.run(Keys(desk.database.fetch, desk.clock).find(digest))
    assert (caller.account_name, caller.key_id, caller.key_name) == ("acme", key_id, "laptop")
    assert caller.budget == Budget(key_id, "day", 50)
    assert (caller.models, caller.endpoints, str(caller.networks[0])) == (("openai/*",), ("chat",), "192.0.2.0/24")
    assert (caller.requests_per_minute, caller.tokens_per_minute, caller.may_query_balance) == (3, 400, True)


def test_an_unknown_key_is_refused_and_asked_of_the_store_once(desk: Any) -> None:
    store = Store(desk)
    keys = Keys(store.fetch, desk.clock, stranger_seconds=5)

    async def ask() -> None:
        with pytest.raises(Unauthenticated, match="Invalid API Key"):
            await keys.find(digest_of(b"sk-nothing"))

    async def scenario() -> None:
        await ask()
        await ask()
        assert store.reads == 1
        desk.clock.now += 5
        await ask()
        assert store.reads == 2

    asyncio.run(scenario())


def test_strangers_are_bounded(desk: Any) -> None:
    keys = Keys(desk.database.fetch, desk.clock, strangers_max=10)

    async def scenario() -> None:
        for number in range(35):
            with pytest.raises(Unauthenticated):
                await keys.find(digest_of(b"%d" % number))

    asyncio.run(scenario())
    assert len(keys._strangers) <= 10


def test_the_caller_unused_longest_is_forgotten_first(desk: Any) -> None:
    digests = [_key(desk)[1] for _ in range(3)]
    keys = Keys(desk.database.fetch, desk.clock, callers_max=2)

    async def scenario() -> None:
        await keys.find(digests[0])
        await keys.find(digests[1])
        assert keys.cached(digests[0]) is not None
        await keys.find(digests[2])

    asyncio.run(scenario())
    assert [keys.cached(digest) is not None for digest in digests] == [True, False, True]


def test_many_requests_at_once_read_a_key_once(desk: Any) -> None:
    _, digest = _key(desk)
    store = Store(desk)
    keys = Keys(store.fetch, desk.clock)

    async def scenario() -> None:
        callers = await asyncio.gather(*(keys.find(digest) for _ in range(100)))
        assert len(set(map(id, callers))) == 1

    asyncio.run(scenario())
    assert store.reads == 1


def test_a_request_that_gives_up_does_not_spoil_the_others(desk: Any) -> None:
    _, digest = _key(desk)
    keys = Keys(desk.database.fetch, desk.clock)

    async def scenario() -> Caller:
        first = asyncio.create_task(keys.find(digest))
        second = asyncio.create_task(keys.find(digest))
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert asyncio.run(scenario()).account_name == "acme"


@pytest.mark.parametrize("edit", ["disable", "revoke", "block", "rename", "shorten"])
def test_an_edit_acts_after_the_next_poll(desk: Any, edit: str) -> None:
    key_id, digest = _key(desk)
    keys = Keys(desk.database.fetch, desk.clock)
    revisions = Revisions(desk.database.fetch)
    revisions.listen("identity", keys.invalidate)

    async def scenario() -> None:
        await revisions.poll()
        caller = await keys.find(digest)
        await revisions.poll()
        assert keys.cached(digest) is caller
        match edit:
            case "disable":
                desk.keys.set_status(key_id, "disabled")
            case "revoke":
                desk.keys.set_status(key_id, "revoked")
            case "block":
                desk.accounts.set_blocked(caller.account_id, True)
            case "shorten":
                assert not caller.shortens
                desk.accounts.edit(caller.account_id, when_short="shorten")
            case _:
                desk.keys.edit(key_id, lambda settings: KeySettings(name="other"))
        assert keys.cached(digest) is caller
        await revisions.poll()
        assert keys.cached(digest) is None
        if edit == "rename":
            assert (await keys.find(digest)).key_name == "other"
        elif edit == "shorten":
            assert (await keys.find(digest)).shortens
        else:
            with pytest.raises(Unauthenticated):
                await keys.find(digest)

    asyncio.run(scenario())


def test_an_enabled_key_and_an_unblocked_account_work_again(desk: Any) -> None:
    key_id, digest = _key(desk)
    keys = Keys(desk.database.fetch, desk.clock)
    desk.keys.set_status(key_id, "disabled")
    desk.accounts.set_blocked(1, True)
    desk.keys.set_status(key_id, "active")
    desk.accounts.set_blocked(1, False)
    assert asyncio.run(keys.find(digest)).key_id == key_id


def test_a_reading_that_an_edit_overtook_is_not_kept(desk: Any) -> None:
    _, digest = _key(desk)

    async def scenario() -> None:
        read, gate = asyncio.Event(), asyncio.Event()

        async def slow(sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
            rows = desk.database.fetch_now(sql, parameters)
            read.set()
            await gate.wait()
            return list(rows)

        keys = Keys(slow, desk.clock)
        asked = asyncio.create_task(keys.find(digest))
        await read.wait()
        keys.invalidate()
        gate.set()
        await asked
        assert keys.cached(digest) is None

    asyncio.run(scenario())


def test_an_expired_key_is_refused_also_from_the_cache(desk: Any) -> None:
    _, digest = _key(desk, expires_at=int(desk.clock() * 1000) + 10_000)
    keys = Keys(desk.database.fetch, desk.clock)

    async def scenario() -> None:
        await keys.find(digest)
        desk.clock.now += 9.999
        assert keys.cached(digest) is not None
        desk.clock.now += 0.001
        assert keys.cached(digest) is None
        with pytest.raises(Unauthenticated):
            await keys.find(digest)

    asyncio.run(scenario())


def test_polling_survives_a_store_that_is_away(desk: Any) -> None:
    heard: list[Exception] = []
    calls: list[str] = []

    async def away(sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        raise StoreUnavailable

    async def scenario() -> None:
        revisions = Revisions(away, on_failure=heard.append)
        revisions.listen("identity", lambda: calls.append("changed"))
        await revisions.poll()

    asyncio.run(scenario())
    assert len(heard) == 1
    assert not calls


def test_polling_goes_on_until_it_is_cancelled(desk: Any) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise asyncio.CancelledError

    async def scenario() -> None:
        with pytest.raises(asyncio.CancelledError):
            await Revisions(desk.database.fetch).run(sleep, 0.5)

    asyncio.run(scenario())
    assert slept == [0.5, 0.5, 0.5]


ALL = [
    (b"authorization", b"Bearer sk-a"),
    (b"x-api-key", b"sk-b"),
    (b"x-goog-api-key", b"sk-c"),
]


@pytest.mark.parametrize(
    ("headers", "query", "expected"),
    [
        (ALL, "key=sk-d", b"sk-a"),
        (ALL[::-1], "key=sk-d", b"sk-a"),
        (ALL[1:], "key=sk-d", b"sk-b"),
        (ALL[:0:-1], "key=sk-d", b"sk-b"),
        (ALL[2:], "key=sk-d", b"sk-c"),
        ([], "alt=sse&key=sk-d", b"sk-d"),
        ([], "k%65y=sk%2Dd", b"sk-d"),
        ([], "key=&key=sk-e", b"sk-e"),
        ([], "monkey=sk-d", None),
        ([], "", None),
        ([(b"authorization", b"bearer  sk-a ")], "", b"sk-a"),
        ([(b"authorization", b"Basic c2stYQ==")], "", None),
        ([(b"authorization", b"Basic c2stYQ=="), (b"x-api-key", b"sk-b")], "", b"sk-b"),
        ([(b"authorization", b"Bearer "), (b"x-api-key", b"sk-b")], "", b"sk-b"),
    ],
)
def test_the_first_of_four_places_gives_the_key(
    headers: list[tuple[bytes, bytes]], query: str, expected: bytes | None
) -> None:
    assert credential(headers, query) == expected


def test_an_absurdly_long_key_is_refused_unread() -> None:
    with pytest.raises(Unauthenticated):
        credential([(b"x-api-key", b"a" * 600)], "")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ""),
        ("alt=sse", "alt=sse"),
        ("key=sk-a", ""),
        ("alt=sse&key=sk-a&x=%20", "alt=sse&x=%20"),
        ("k%65y=sk-a&%6bey=sk-b&monkey=1", "monkey=1"),
        ("key", ""),
    ],
)
def test_the_key_is_cut_out_of_the_query(query: str, expected: str) -> None:
    assert strip_key(query) == expected
