from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxyapi.gateway.drains import Drains


class Response:
    """What `Drains` uses of a provider's answer."""

    def __init__(self) -> None:
        self.over = False
        self.read_on = False

    def resume_reading(self) -> None:
        self.read_on = True

    def close(self) -> None:
        self.over = True


def begun(drains: Drains, amount: int = 10) -> Any:
    response: Any = Response()
    drains.begin(response, amount)
    return response


@pytest.mark.parametrize(
    ("count_max", "amount_max", "read_on"),
    [(2, None, [True, True, False]), (9, 25, [True, True, False]), (0, None, [False] * 3), (9, None, [True] * 3)],
)
def test_answers_are_read_on_up_to_a_number_and_an_amount(
    count_max: int, amount_max: int | None, read_on: list[bool]
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        drains = Drains(loop, seconds=60, count_max=count_max, amount_max=amount_max)
        responses = [begun(drains) for _ in read_on]
        assert [(response.read_on, response.over) for response in responses] == [(on, not on) for on in read_on]

    asyncio.run(main())


def test_an_answer_that_has_ended_makes_room_for_another() -> None:
    async def main() -> None:
        drains = Drains(asyncio.get_running_loop(), seconds=60, count_max=1, amount_max=None)
        first = begun(drains)
        first.over = True
        assert begun(drains).read_on
        assert not begun(drains).read_on

    asyncio.run(main())


def test_when_the_gateway_stops_nothing_is_read_on() -> None:
    async def main() -> None:
        drains = Drains(asyncio.get_running_loop(), seconds=60, count_max=9, amount_max=None)
        running = begun(drains)
        drains.stop()
        assert running.over and begun(drains).over

    asyncio.run(main())
