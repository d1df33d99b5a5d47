"""Objects that a provider keeps belong to the account that made them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxyapi.errors import NotFound
from proxyapi.identity.keys import Caller
from proxyapi.identity.objects import FORGET, REMEMBER, Objects, Owner, remember

MAKER = Caller(account_id=1, key_id=5)
OTHER = Caller(account_id=2, key_id=6)


def _write(desk: Any, sql: str, parameters: tuple[Any, ...]) -> None:
    with desk.database.transaction() as transaction:
        transaction.execute(sql, parameters)


def test_an_object_belongs_to_its_maker_at_its_provider_and_anywhere(desk: Any) -> None:
    _write(desk, REMEMBER, remember("resp_1", "openai", MAKER, now=7))
    objects = Objects(desk.database.fetch)
    expected = Owner("openai", 1, 5, "response")
    assert asyncio.run(objects.owner("resp_1", "openai")) == expected
    assert asyncio.run(objects.owner("resp_1")) == expected
    assert asyncio.run(objects.owner("resp_1", "openrouter")) is None
    assert asyncio.run(objects.owner("resp_2")) is None


def test_for_others_it_does_not_exist(desk: Any) -> None:
    _write(desk, REMEMBER, remember("resp_1", "openai", MAKER, now=7))
    objects = Objects(desk.database.fetch)
    assert asyncio.run(objects.check("resp_1", MAKER)).account_id == 1
    texts = []
    for object_id, caller in (("resp_1", OTHER), ("resp_2", MAKER)):
        with pytest.raises(NotFound) as caught:
            asyncio.run(objects.check(object_id, caller))
        texts.append(caught.value.detail.replace(object_id, "ID"))
    assert texts[0] == texts[1]


def test_an_id_stays_with_its_first_owner(desk: Any) -> None:
    _write(desk, REMEMBER, remember("resp_1", "openai", MAKER, now=7))
    _write(desk, REMEMBER, remember("resp_1", "openai", OTHER, now=8))
    _write(desk, REMEMBER, remember("resp_1", "azure", OTHER, now=9))
    objects = Objects(desk.database.fetch)
    assert asyncio.run(objects.owner("resp_1", "openai")) == Owner("openai", 1, 5, "response")
    assert asyncio.run(objects.owner("resp_1")) == Owner("openai", 1, 5, "response")


def test_a_deleted_object_is_forgotten(desk: Any) -> None:
    _write(desk, REMEMBER, remember("resp_1", "openai", MAKER, now=7))
    _write(desk, FORGET, ("openai", "resp_1"))
    assert asyncio.run(Objects(desk.database.fetch).owner("resp_1")) is None
