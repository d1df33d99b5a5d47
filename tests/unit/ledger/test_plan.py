from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from proxyapi.ledger.ops import (
    AMOUNT_MAX,
    Accepted,
    Balance,
    Budget,
    Ending,
    Expire,
    Funded,
    Funding,
    Hold,
    Refused,
    Rejected,
    SetLimit,
    Settled,
)
from proxyapi.ledger.plan import ENDING_COLUMNS, ENTRY_COLUMNS, SUMS, TOTALS, Facts, HoldRow, Plan, correction_id, plan

NewHold = Callable[..., Hold]
EndingOf = Callable[..., Ending]
BUDGET = Budget(11, "day", 300)
BUDGET_ID = 50


def facts(**known: Any) -> Facts:
    """Wallet 1 has 1,000; the budget 300."""
    defaults: dict[str, Any] = {
        "accounts": {1: Balance(1000, 0, 0), 3: Balance(1000, 0, 0, 0, True), BUDGET_ID: Balance(300, 0, 0)},
        "budgets": {BUDGET: BUDGET_ID},
        "holds": {},
        "done": {},
        "references": {},
        "lost": frozenset(),
        "written": {},
        "now_ms": 5,
    }
    return Facts(**(defaults | known))


def held(hold: Hold, budget_id: int | None = None) -> dict[bytes, HoldRow]:
    return {hold.id: HoldRow(hold.id, 1, budget_id, 11, hold.amount, 7, "openai", "openai/gpt", "chat")}


def entry(decided: Plan, position: int = 0) -> dict[str, Any]:
    row = decided.entries[position]
    assert len(row) in {ENDING_COLUMNS, len(ENTRY_COLUMNS)}
    return dict.fromkeys(ENTRY_COLUMNS) | dict(zip(ENTRY_COLUMNS, row, strict=False))


def test_a_hold_takes_from_the_wallet_and_the_budget_together(new_hold: NewHold) -> None:
    decided = plan([new_hold(200, budget=BUDGET)], facts())
    assert decided.results == [Accepted()]
    assert decided.deltas == [(0, 0, 200, 1), (0, 0, 200, BUDGET_ID)]
    assert [row.budget_id for row in decided.holds.values()] == [BUDGET_ID]


def test_the_account_is_named_first_when_both_are_short(new_hold: NewHold) -> None:
    decided = plan([new_hold(1001, budget=BUDGET), new_hold(301, budget=BUDGET)], facts())
    assert decided.results == [Refused("account", 1001, 1000, 0), Refused("key", 301, 300, 0)]
    assert decided.deltas == [] and decided.holds == {}


def test_every_hold_of_a_batch_sees_what_the_ones_before_it_left(new_hold: NewHold) -> None:
    decided = plan([new_hold(600), new_hold(500), new_hold(400), new_hold(1), new_hold(0)], facts())
    assert decided.results == [
        Accepted(), Refused("account", 500, 400, 600), Accepted(), Refused("account", 1, 0, 1000), Accepted(),
    ]  # fmt: skip


def test_a_lowered_limit_refuses_although_the_budget_was_funded_with_more(new_hold: NewHold) -> None:
    lowered = Budget(11, "day", 120)
    known = facts(budgets={lowered: BUDGET_ID}, accounts={1: Balance(1000, 0, 0), BUDGET_ID: Balance(200, 50, 150)})
    assert plan([new_hold(1, budget=lowered)], known).results == [Refused("key", 1, 0, 150)]


@pytest.mark.parametrize("account_id", [3, 99])
def test_a_blocked_or_missing_account_holds_nothing(new_hold: NewHold, account_id: int) -> None:
    assert plan([new_hold(0, account_id=account_id)], facts()).results == [Rejected("blocked")]


def test_credit_can_be_held_too(new_hold: NewHold) -> None:
    known = facts(accounts={1: Balance(10, 10, 0, credit=5)})
    assert plan([new_hold(5), new_hold(1)], known).results == [Accepted(), Refused("account", 1, 0, 5)]


def test_a_replayed_hold_that_is_held_is_accepted_and_not_held_twice(new_hold: NewHold) -> None:
    hold = new_hold(200)
    decided = plan([hold], facts(holds=held(hold), replay=True))
    assert decided.results == [Accepted()]
    assert decided.deltas == [] and decided.holds == {} and decided.ended == []


def test_a_hold_whose_id_is_in_use_or_finished_is_refused(new_hold: NewHold) -> None:
    hold = new_hold(200)
    done = {hold.id: ("settle", 1, None, 11, 5, 0)}
    assert plan([hold], facts(holds=held(hold))).results == [Rejected("duplicate")]
    assert plan([hold], facts(done=done, replay=True)).results == [Rejected("duplicate")]


def test_a_settle_charges_what_it_cost_and_returns_the_rest(new_hold: NewHold, ending_of: EndingOf) -> None:
    hold = new_hold(200)
    known = facts(accounts={1: Balance(1000, 0, 200), BUDGET_ID: Balance(300, 0, 200)}, holds=held(hold, BUDGET_ID))
    decided = plan([ending_of(hold, 120)], known)
    assert decided.results == [Settled(120, 0, 880, "settled")]
    assert decided.deltas == [(0, 120, -200, 1), (0, 120, -200, BUDGET_ID)]
    assert decided.ended == [hold.id]
    row = entry(decided)
    assert (row["kind"], row["held"], row["actual"], row["charged"], row["loss"]) == ("settle", 200, 120, 120, 0)
    assert (row["budget_id"], row["key_id"], row["units"], row["created_at"]) == (
        BUDGET_ID,
        11,
        '{"output_tokens":120}',
        5,
    )


@pytest.mark.parametrize(
    ("wallet", "budget", "charged"),
    [
        (Balance(1000, 0, 200), Balance(900, 0, 200), 450),  # enough on both
        (Balance(300, 0, 200), Balance(900, 0, 200), 300),  # 100 more on the wallet
        (Balance(1000, 0, 200), Balance(250, 0, 200), 250),  # 50 more in the budget
        (Balance(1000, 0, 1000), Balance(900, 0, 200), 200),  # others hold the rest
    ],
)
def test_an_overrun_charges_what_is_free_on_every_account_and_the_rest_is_loss(
    new_hold: NewHold, ending_of: EndingOf, wallet: Balance, budget: Balance, charged: int
) -> None:
    hold = new_hold(200)
    decided = plan([ending_of(hold, 450)], facts(accounts={1: wallet, BUDGET_ID: budget}, holds=held(hold, BUDGET_ID)))
    (settled,) = decided.results
    assert isinstance(settled, Settled)
    assert (settled.charged, settled.loss, settled.outcome) == (charged, 450 - charged, "settled")


def test_a_release_charges_nothing(new_hold: NewHold, ending_of: EndingOf) -> None:
    hold = new_hold(200)
    known = facts(accounts={1: Balance(1000, 0, 200)}, holds=held(hold))
    decided = plan([ending_of(hold, 120, released=True)], known)
    assert decided.results == [Settled(0, 0, 1000, "released")]
    assert entry(decided)["kind"] == "release" and entry(decided)["units"] == "{}" and entry(decided)["actual"] == 0


def test_money_returned_by_a_settle_can_be_held_in_the_same_batch(new_hold: NewHold, ending_of: EndingOf) -> None:
    hold = new_hold(1000)
    known = facts(accounts={1: Balance(1000, 0, 1000)}, holds=held(hold))
    assert plan([ending_of(hold, 100), new_hold(900)], known).results == [Settled(100, 0, 900, "settled"), Accepted()]


def test_a_second_ending_answers_what_the_first_was_answered(new_hold: NewHold, ending_of: EndingOf) -> None:
    hold = new_hold(200)
    known = facts(accounts={1: Balance(1000, 0, 200)}, holds=held(hold))
    decided = plan([ending_of(hold, 120), ending_of(hold, 130), ending_of(hold, 0, released=True)], known)
    assert decided.results[1:] == [Settled(120, 0, 880, "duplicate"), Settled(120, 0, 880, "duplicate")]
    assert len(decided.entries) == 1


def test_a_settle_after_a_release_charges_nothing(new_hold: NewHold, ending_of: EndingOf) -> None:
    hold = new_hold(200)
    decided = plan([ending_of(hold, 120)], facts(done={hold.id: ("release", 1, None, 11, 0, 0)}))
    assert decided.results == [Settled(0, 0, 1000, "duplicate")]
    assert decided.entries == [] and decided.deltas == []


def test_an_ending_of_what_was_never_held_is_harmless(new_hold: NewHold, ending_of: EndingOf) -> None:
    decided = plan([ending_of(new_hold(200), 120)], facts())
    assert decided.results == [Settled(0, 0, 1000, "unknown")]
    assert decided.entries == []


def test_an_expired_hold_is_the_operators_loss(new_hold: NewHold) -> None:
    hold = new_hold(200)
    known = facts(accounts={1: Balance(1000, 0, 200)}, holds=held(hold), lost=frozenset({hold.id}))
    decided = plan([Expire(hold.id, 60_000), Expire(hold.id, 60_000)], known)
    assert decided.results == [Settled(0, 200, 1000, "expired"), Settled(0, 200, 0, "duplicate")]
    assert entry(decided)["loss"] == 200 and entry(decided)["source"] == "estimated"


def test_the_hold_of_a_worker_that_is_alive_does_not_expire(new_hold: NewHold) -> None:
    hold = new_hold(200)
    decided = plan([Expire(hold.id, 60_000)], facts(holds=held(hold)))
    assert decided.results == [Settled(0, 0, 0, "unknown")] and decided.ended == []


def test_a_settle_after_expiry_is_a_correction_that_takes_the_loss_back(new_hold: NewHold, ending_of: EndingOf) -> None:
    hold = new_hold(200)
    known = facts(done={hold.id: ("expire", 1, None, 11, 0, 200)})
    decided = plan([ending_of(hold, 120), ending_of(hold, 120)], known)
    assert decided.results == [Settled(120, -200, 880, "corrected"), Settled(120, -200, 880, "duplicate")]
    row = entry(decided)
    assert (row["id"], row["ref"], row["kind"]) == (correction_id(hold.id), hold.id, "correction")
    assert decided.deltas == [(0, 120, 0, 1)]


def test_a_correction_never_overdraws(new_hold: NewHold, ending_of: EndingOf) -> None:
    hold = new_hold(200)
    known = facts(accounts={1: Balance(1000, 0, 950)}, done={hold.id: ("expire", 1, None, 11, 0, 200)})
    assert plan([ending_of(hold, 120)], known).results == [Settled(50, -130, 0, "corrected")]


def test_a_deposit_is_booked_once_per_reference(ids: Callable[[], bytes]) -> None:
    deposits = [Funding(ids(), "deposit", 1, 50, "payment 1") for _ in range(2)]
    other = Funding(ids(), "deposit", 1, 60, "payment 1")
    decided = plan([*deposits, other], facts())
    assert decided.results == [Funded(True, 50), Funded(False, 50), Rejected("conflict")]
    assert decided.deltas == [(50, 0, 0, 1)]


def test_an_adjustment_takes_no_money_that_is_held(ids: Callable[[], bytes]) -> None:
    known = facts(accounts={1: Balance(1000, 100, 400)})
    decided = plan([Funding(ids(), "adjust", 1, amount) for amount in (-501, -500)], known)
    assert decided.results == [Refused("account", 501, 500, 400), Funded(True, -500)]


def test_amounts_that_no_store_could_keep_are_refused(ids: Callable[[], bytes]) -> None:
    known = facts(accounts={1: Balance(2**63 - 1, 0, 0)})
    decided = plan([Funding(ids(), "deposit", 1, 1), Funding(ids(), "deposit", 1, AMOUNT_MAX + 1)], known)
    assert decided.results == [Rejected("too_large")] * 2
    assert plan([Funding(ids(), "deposit", 99, 1)], known).results == [Rejected("unknown_account")]


def test_an_edited_limit_never_falls_below_what_is_spent_and_held(ids: Callable[[], bytes]) -> None:
    lower, higher = Budget(11, "day", 100), Budget(11, "day", 500)
    known = facts(accounts={BUDGET_ID: Balance(300, 90, 60)}, budgets={lower: BUDGET_ID, higher: BUDGET_ID})
    decided = plan([SetLimit(ids(), lower), SetLimit(ids(), higher)], known)
    assert decided.results == [Funded(True, -150), Funded(True, 350)]
    assert [entry(decided, position)["amount"] for position in (0, 1)] == [-150, 350]
    assert decided.deltas == [(200, 0, 0, BUDGET_ID)]


def test_rollups_are_the_sums_of_the_entries(new_hold: NewHold, ending_of: EndingOf) -> None:
    holds = [new_hold(100) for _ in range(3)]
    known = facts(
        accounts={1: Balance(1000, 0, 300)},
        holds=held(holds[0]) | held(holds[1]) | held(holds[2]),
        lost=frozenset({holds[2].id}),
    )
    ops = [ending_of(holds[0], 70), ending_of(holds[1], 0, released=True), Expire(holds[2].id, 1)]
    decided = plan(ops, known)
    expected = {"requests": 1, "failed": 2, "output": 70, "actual": 70, "charged": 70, "loss": 100}
    (sums,) = decided.rollup.values()
    assert list(decided.rollup) == [(1, 11, "openai/gpt", "openai")]
    assert dict(zip(SUMS, sums, strict=False)) == dict.fromkeys(SUMS, 0) | expected


def test_totals_know_what_providers_ask_for_which_part(new_hold: NewHold, ending_of: EndingOf) -> None:
    holds = [new_hold(100) for _ in range(3)]
    known = facts(accounts={1: Balance(1000, 0, 300)}, holds=held(holds[0]) | held(holds[1]) | held(holds[2]))
    costs = ((70, 50), (30, None), (20, 0))
    ops = [
        msgspec.structs.replace(ending_of(hold, actual), upstream_cost=cost)
        for hold, (actual, cost) in zip(holds, costs, strict=True)
    ]
    (sums,) = plan(ops, known).rollup.values()
    told = dict(zip(TOTALS, sums, strict=False))
    assert (told["actual"], told["upstream_cost"], told["costed"]) == (120, 50, 90)


def test_a_capped_request_is_charged_its_cap_whatever_the_account_has(new_hold: NewHold, ending_of: EndingOf) -> None:
    hold = new_hold(200)
    known = facts(accounts={1: Balance(1000, 0, 200)}, holds=held(hold))
    assert plan([ending_of(hold, 450, limit=250)], known).results == [Settled(250, 200, 750, "settled")]
    assert plan([ending_of(hold, 450, limit=500)], known).results == [Settled(450, 0, 550, "settled")]
    late = facts(done={hold.id: ("expire", 1, None, 11, 0, 200)})
    assert plan([ending_of(hold, 450, limit=250)], late).results == [Settled(250, 0, 750, "corrected")]
