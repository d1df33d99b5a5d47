"""Work that comes round again and again, whatever becomes of one round."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable

import pytest

from proxyapi.errors import StoreUnavailable
from proxyapi.rounds import Rounds
from proxyapi.store.errors import StoreError, StoreFailure
from proxyapi.telemetry import Log, Metrics


class Work:
    """Raises what it is given, one error a time, and is done when it has none left."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.done = asyncio.Event()

    async def __call__(self) -> None:
        if self._errors:
            raise self._errors.pop(0)
        self.done.set()


def told_of(start: Callable[[Rounds], Work]) -> tuple[list[Exception], list[dict[str, str]]]:
    """What a store that failed, and what the operator, is told until the work is done."""
    sick: list[Exception] = []
    read, write = os.pipe()

    async def main() -> None:
        log = Log(lambda: 0.0, Metrics(), descriptor=write)
        rounds = Rounds(asyncio.get_running_loop(), log, sleep=at_once, on_sick=sick.append)
        work = start(rounds)
        await asyncio.wait_for(work.done.wait(), 5)
        await rounds.stop()

    asyncio.run(main())
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as lines:
        return sick, [json.loads(line) for line in lines]


async def at_once(_: float) -> None:
    await asyncio.sleep(0)


def often(*errors: Exception) -> Callable[[Rounds], Work]:
    def start(rounds: Rounds) -> Work:
        work = Work(*errors)
        rounds.every(60, work)
        return work

    return start


def always(*errors: Exception) -> Callable[[Rounds], Work]:
    def start(rounds: Rounds) -> Work:
        work = Work(*errors)
        rounds.keep(work)
        return work

    return start


both = pytest.mark.parametrize("kind", [often, always])


@both
def test_work_that_meets_a_bug_comes_round_again_and_the_operator_hears_where(
    kind: Callable[..., Callable[[Rounds], Work]],
) -> None:
    sick, lines = told_of(kind(ValueError("a customer's text")))
    assert sick == []
    (line,) = lines
    assert (line["event"], line["error"]) == ("crash", "ValueError")
    assert __file__ in line["where"]
    assert "customer" not in json.dumps(lines)


@both
@pytest.mark.parametrize("error", [StoreFailure("disk full"), StoreUnavailable()])
def test_a_sick_store_costs_one_round_and_is_no_bug(
    kind: Callable[..., Callable[[Rounds], Work]], error: StoreError | StoreUnavailable
) -> None:
    assert told_of(kind(error)) == ([error], [])


def test_work_waits_before_its_first_round_and_nothing_goes_on_after_the_end() -> None:
    slept: list[float] = []

    async def main() -> None:
        async def sleep(seconds: float) -> None:
            slept.append(seconds)
            await asyncio.Event().wait()

        async def never() -> None:
            raise AssertionError

        rounds = Rounds(asyncio.get_running_loop(), Log(lambda: 0.0, Metrics()), sleep=sleep)
        rounds.every(60, never)
        await at_once(0)
        await rounds.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    assert slept == [60]


def test_work_that_runs_is_cancelled_at_the_end() -> None:
    ended: list[bool] = []

    async def long() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def main() -> None:
        rounds = Rounds(asyncio.get_running_loop(), Log(lambda: 0.0, Metrics()), sleep=at_once)
        work: Callable[[], Awaitable[None]] = long
        rounds.keep(work)
        await at_once(0)
        await rounds.stop()

    asyncio.run(main())
    assert ended == [True]
