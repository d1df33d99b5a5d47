"""When a failure is final, and how long anybody is waited for where somebody else can be asked."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proxyapi.dialects.call import Call
from proxyapi.gateway import upstream
from proxyapi.gateway.bill import Bill, Bills
from proxyapi.gateway.fallback import SECONDS_MAX, NextTarget
from proxyapi.gateway.upstream import Upstream
from proxyapi.gateway.visit import Visit
from proxyapi.pricing.forecast import Forecast
from proxyapi.telemetry import Metrics
from proxyapi.wire.client import Response
from proxyapi.wire.errors import FirstByteTimeout

CALL = Call(operation="chat", dialect="openai_chat", model="m", stream=True)
TARGET = SimpleNamespace(provider=SimpleNamespace(on_gone="drain", name="first"), name="first/m")


def bill_of(*, at: float = 1.0, more: bool = True, closed: bool = False, **client: bool) -> Bill:
    """Of a request that came at second 0; `client`: what is true of its connection."""
    exchange = SimpleNamespace(**({"gone": False, "started": False} | client))
    bills = Bills(cast("Any", None), cast("Any", None), cast("Any", None), Metrics(), lambda: at)
    visit = Visit(exchange=cast("Any", exchange), id=bytes(16), started=0.0, peer="")
    return Bill(
        bills,
        visit,
        CALL,
        cast("Any", TARGET),
        amount=5,
        limit=None,
        predicted={},
        variant="",
        more=more,
        closed=closed,
    )


def test_somebody_else_is_asked_and_the_hold_stays() -> None:
    bill = bill_of()
    with pytest.raises(NextTarget):
        bill.go_on("next", "upstream_refused")
    bill.release("interrupted")
    assert (bill.missed, bill.more, bill.closed) == ("upstream_refused", True, False)
    bill.turn_to(cast("Any", TARGET), CALL, Forecast({}, ""))
    assert (bill.attempts, [tried.ending for tried in bill.tried], bill.missed) == (2, ["upstream_refused"], "")


@pytest.mark.parametrize(
    "final",
    [
        {"decision": "stop"},
        {"more": False},
        {"closed": True},
        {"gone": True},
        {"started": True},
        {"at": SECONDS_MAX + 1},
    ],
)
def test_a_failure_is_final_for_the_request_the_last_target_a_client_that_has_left_and_in_the_end(final: Any) -> None:
    decision = final.pop("decision", "next")
    bill = bill_of(**final)
    bill.go_on(decision, "upstream_refused")
    assert not bill.more


def test_a_stream_that_does_not_begin_is_given_up_sooner_where_somebody_else_can_be_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upstream, "FIRST_BYTE_SECONDS", 0.01)
    opened = Upstream(cast("Any", None), Metrics())
    cancelled: list[bool] = []

    async def never() -> Response:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(True)
        raise AssertionError

    async def ask() -> None:
        bill = bill_of()
        with pytest.raises(FirstByteTimeout):
            await opened.for_client(bill.visit, bill, never())
        alone = bill_of(more=False)
        head = never()
        assert opened.for_client(alone.visit, alone, head) is head
        head.close()

    asyncio.run(ask())
    assert cancelled == [True]
