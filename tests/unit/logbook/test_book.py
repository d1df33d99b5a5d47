"""Rows of the request log on their way in and out."""

from __future__ import annotations

import asyncio
from os import urandom
from typing import Any

import pytest

from proxyapi.logbook import book as module
from proxyapi.logbook.book import DAY_MS, Logbook, forget, size
from proxyapi.logbook.record import GATHERED_BYTES_MAX, Body, Room


def test_a_request_is_kept_as_it_was(shelf: Any) -> None:
    id = shelf.keep(b'{"model": "gpt-4o",  "n": 1}', b'{"id": "x"}', path="/v1/chat/completions?a=b", peer="192.0.2.1")
    entry = shelf.entry(id)
    assert (entry.request.data, entry.response.data) == (b'{"model": "gpt-4o",  "n": 1}', b'{"id": "x"}')
    assert (entry.line.path, entry.peer, entry.line.at_ms) == ("/v1/chat/completions?a=b", "192.0.2.1", shelf.now_ms)
    assert not entry.request.cut
    assert entry.request.type == entry.response.type == "application/json"


def test_headers_that_may_be_secret_are_not_kept(shelf: Any) -> None:
    entry = shelf.entry(shelf.keep())
    assert entry.request_headers == (("content-type", "application/json"),)
    assert entry.response_headers == (("content-type", "application/json"), ("x-proxyapi-cost", "0.1"))


def test_an_account_that_turned_its_log_off_gets_no_more_rows(shelf: Any) -> None:
    shelf.accounts.set_log_days(shelf.account, 0)
    id = shelf.keep()
    assert shelf.entry(id) is None
    assert size(shelf.database, shelf.account) == (0, 0)


def test_another_account_does_not_find_it(shelf: Any) -> None:
    id = shelf.keep()
    other = shelf.keeper("other")
    assert shelf.entry(id, other) is None
    assert shelf.search(other).lines == ()


def test_many_requests_go_out_in_portions(shelf: Any) -> None:
    async def story(book: Logbook) -> None:
        for _ in range(200):
            shelf.keep(b"x" * 300, book=book)

    done = shelf.run(story)
    assert (done.written, done.dropped) == (200, 0)
    assert size(shelf.database, shelf.account)[0] == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_sick_store_costs_records_and_nothing_else(shelf: Any) -> None:
    async def story(book: Logbook) -> None:
        shelf.rename("log_record", "elsewhere")
        shelf.keep(book=book)

    done = shelf.run(story)
    assert (done.written, done.dropped) == (0, 1)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_it_writes_again_when_the_store_is_well(shelf: Any) -> None:
    async def story(book: Logbook) -> None:
        run = asyncio.create_task(book.run())
        for name, other in (("log_record", "elsewhere"), ("elsewhere", "log_record")):
            shelf.rename(name, other)
            shelf.keep(book=book)
            await shelf.until(lambda done=1 + (name == "elsewhere"): book.written + book.dropped == done)
        run.cancel()

    done = shelf.run(story)
    assert (done.written, done.dropped) == (1, 1)


def test_a_full_queue_drops_what_comes_and_gives_its_room_back(shelf: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "QUEUE_MAX", 3)

    async def story(book: Logbook) -> None:
        for _ in range(5):
            shelf.keep(book=book)

    done = shelf.run(story)
    assert (done.written, done.dropped) == (3, 2)
    assert done.room.left == Room().left


def test_what_is_older_than_the_account_wants_goes(shelf: Any) -> None:
    old = shelf.keep()
    shelf.now_ms += 29 * DAY_MS
    young = shelf.keep()
    shelf.prune()
    assert shelf.entry(old) is not None
    shelf.now_ms += 2 * DAY_MS
    shelf.prune()
    assert shelf.entry(old) is None
    assert shelf.entry(young) is not None


def test_a_shorter_time_acts_on_what_is_kept_already(shelf: Any) -> None:
    old = shelf.keep()
    shelf.now_ms += 4 * DAY_MS
    shelf.accounts.set_log_days(shelf.account, 3)
    shelf.prune()
    assert shelf.entry(old) is None


def test_records_of_an_account_that_keeps_none_go_whoever_forgot_them(shelf: Any) -> None:
    shelf.keep()
    shelf.accounts.set_log_days(shelf.account, 0)
    shelf.prune()
    assert size(shelf.database, shelf.account) == (0, 0)


def test_an_account_beyond_its_size_loses_its_oldest(shelf: Any) -> None:
    async def story(book: Logbook) -> None:
        for _ in range(60):
            shelf.now_ms += 1
            shelf.keep(urandom(1_000), book=book)
        run = asyncio.create_task(book.run())
        await shelf.until(lambda: book.written == 60)
        await book.prune()
        run.cancel()

    shelf.run(story, account_bytes_max=20_000)
    count, total = size(shelf.database, shelf.account)
    assert 0 < count < 60
    assert total <= 20_000
    assert len(shelf.search().lines) == count


def test_forgetting_takes_all_of_one_account(shelf: Any) -> None:
    other = shelf.keeper("other")
    kept = shelf.keep(account_id=other)

    async def story(book: Logbook) -> None:
        for _ in range(150):
            shelf.keep(book=book)

    shelf.run(story)
    assert forget(shelf.database, shelf.account) == 150
    assert forget(shelf.database, shelf.account) == 0
    assert shelf.entry(kept, other) is not None


def test_a_long_body_is_cut_and_says_so(shelf: Any) -> None:
    async def story(book: Logbook) -> None:
        nonlocal id
        id = shelf.keep(b"a b " * 100, b"c" * 10, book=book)

    id = b""
    shelf.run(story, body_bytes_max=40)
    entry = shelf.entry(id)
    assert (entry.request.data, entry.request.size, entry.request.cut) == (b"a b " * 10, 400, True)
    assert (entry.response.data, entry.response.cut) == (b"c" * 10, False)


def test_no_more_is_gathered_than_there_is_room() -> None:
    room = Room(1_000)
    one, other = Body(room), Body(room)
    for _ in range(30):
        one.add(b"x" * 50)
    other.add(b"y" * 10)
    assert (one.held, one.bytes, one.cut) == (1_000, 1_500, True)
    assert (other.held, other.bytes, other.cut) == (0, 10, True)
    one.release()
    assert room.left == 1_000
    big = Body(Room())
    big.add(b"z" * (GATHERED_BYTES_MAX + 1))
    assert (big.held, big.cut) == (GATHERED_BYTES_MAX, True)
