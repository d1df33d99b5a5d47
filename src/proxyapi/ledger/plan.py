"""The pure decision: what a batch of ops does to the accounts, holds and the journal. No I/O, no clock, no SQL.

                402 / 503 (no row)                        entry.kind
      new --hold--> HELD = a row in `hold`
      HELD --settle-->   settle      charged = min(actual, held) + what is free of the rest; the remainder is loss
      HELD --release-->  release     0: nothing was generated
      HELD --expire-->   expire      0: its worker died; the held amount is the operator's loss, until something
      expire --late ending--> correction   says what it really was: own id, `ref` = the hold's, takes that loss back

Ops are decided in order of arrival, exactly and greedily: each sees the money that the ones before it left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct

from proxyapi.ledger.ops import (
    AMOUNT_MAX,
    TEXT_MAX,
    Accepted,
    Balance,
    Budget,
    Ending,
    Expire,
    Failed,
    Funded,
    Funding,
    Hold,
    Op,
    Outcome,
    Refused,
    Rejected,
    Result,
    Rows,
    SetLimit,
    Settled,
)
from proxyapi.money import NANOS_MAX
from proxyapi.usage import INPUT_TOKENS, OUTPUT_TOKENS, Unit

EntryRow = tuple[object, ...]
"""In the order of `ENTRY_COLUMNS`, or of the first `ENDING_COLUMNS` of them."""
ENTRY_COLUMNS: Final = (
    "id", "kind", "account_id", "budget_id", "key_id", "held", "actual", "charged", "loss", "price_id", "variant",
    "units", "source", "ending", "status", "operation", "provider", "model", "latency_ms", "first_byte_ms", "attempts",
    "upstream_id", "upstream_cost", "created_at", "amount", "ref", "reference", "note",
)  # fmt: skip
ENDING_COLUMNS: Final = ENTRY_COLUMNS.index("amount")
"""Rows of settles and releases, which are nearly all, end here: 0, and NULL for the rest."""

SUMS: Final = (
    "requests", "failed", "input", "cached", "cache_write", "output", "reasoning", "other", "actual", "charged", "loss",
)  # fmt: skip
"""Columns of `rollup`, in order."""
TOTALS: Final = (*SUMS, "upstream_cost", "costed")
"""Columns of `rollup_total`: also what providers ask for it, and the part of `actual` of which that is known."""
_REQUESTS, _FAILED, _OTHER, _ACTUAL, _CHARGED, _LOSS, _COST, _COSTED = (
    TOTALS.index(name)
    for name in ("requests", "failed", "other", "actual", "charged", "loss", "upstream_cost", "costed")
)
_IGNORED = len(TOTALS)
"""A cell more than there are columns, for units that are no quantity of use."""


def _zeros() -> list[int]:
    return [0] * (_IGNORED + 1)


def _column(unit: Unit) -> int:
    if unit in {Unit.CACHE_READ, Unit.CACHE_READ_AUDIO}:
        return SUMS.index("cached")
    if unit in INPUT_TOKENS:
        return SUMS.index("cache_write" if unit.name.startswith("CACHE_WRITE") else "input")
    if unit in OUTPUT_TOKENS:
        return SUMS.index("reasoning" if unit is Unit.REASONING else "output")
    return _IGNORED if unit in {Unit.REPORTED_COST, Unit.OTHER_MODELS, Unit.REQUESTS} else _OTHER


COLUMN_OF_UNIT: Final[Mapping[str, int]] = {unit: _column(unit) for unit in Unit}

ACCEPTED: Final = Accepted()
BLOCKED: Final = Rejected("blocked")
DUPLICATE: Final = Rejected("duplicate")
CLAIMED: Final = Rejected("claimed")

_encode = msgspec.json.Encoder().encode


class HoldRow(Struct, frozen=True, gc=False):
    """A row of `hold`; what comes after the amount is only asked when it expires."""

    id: bytes
    account_id: int
    budget_id: int | None
    key_id: int
    amount: int
    price_id: int = 0
    provider: str = ""
    model: str = ""
    operation: str = ""


Done = tuple[str, int, int | None, int | None, int, int]
"""What is asked of an entry that exists: kind, account, budget, key, charged, loss."""


class Facts(Struct, gc=False):
    """What the store knows of everything that a batch mentions: read under the lock, or compared later, under it."""

    accounts: Mapping[int, Balance]
    budgets: Mapping[Budget, int]
    """Accounts of the budgets that the holds name, for the periods that run now."""
    holds: Mapping[bytes, HoldRow]
    """Of the endings' ids; in a replay of the holds' ids too."""
    now_ms: int
    done: Mapping[bytes, Done] = {}
    """Entries of those ids, and of their corrections."""
    references: Mapping[str, tuple[int, int]] = {}
    """Account and amount by deposit reference."""
    lost: frozenset[bytes] = frozenset()
    """Those of `holds` whose worker has not been seen, and that may expire."""
    written: Mapping[int, Rows | Failed] = {}
    """Answers to the `Write`s, by position."""
    replay: bool = False
    """The batch may have been committed before."""
    unclaimed: frozenset[bytes] = frozenset()
    """Ids of holds and endings that do not have what they claim."""
    unfundable: frozenset[int] = frozenset()
    """Accounts of `Funding`s that are budgets: what those are funded with is their limit."""


class Plan:
    """What is to be written, and the answers in order of the ops."""

    __slots__ = ("deltas", "ended", "entries", "holds", "results", "rollup")

    def __init__(self) -> None:
        self.results: list[Result] = []
        self.holds: dict[bytes, HoldRow] = {}
        """To be inserted."""
        self.ended: list[bytes] = []
        """To be deleted."""
        self.entries: list[EntryRow] = []
        self.deltas: list[tuple[int, int, int, int]] = []
        """To be added to funded, spent, held of the account that comes last; sorted by it."""
        self.rollup: defaultdict[tuple[int, int, str, str], list[int]] = defaultdict(_zeros)
        """`TOTALS` by account, key, model and provider, and a cell for units that are no quantity of use."""


def derived_id(id: bytes, purpose: bytes) -> bytes:
    """Another id of the same millisecond, always the same one."""
    digest = sha256(purpose + id).digest()
    return id[:6] + bytes((0x70 | digest[0] & 0x0F, digest[1], 0x80 | digest[2] & 0x3F)) + digest[3:10]


def correction_id(id: bytes) -> bytes:
    """The id of the one correction that an expired hold can have."""
    return derived_id(id, b"correction")


class _Pot:
    """An account while a batch is decided."""

    __slots__ = ("blocked", "credit", "funded", "held", "spent")

    def __init__(self, balance: Balance) -> None:
        self.funded, self.spent, self.held, self.credit, self.blocked = balance

    def free(self) -> int:
        return self.funded + self.credit - self.spent - self.held


def plan(ops: Sequence[Op], facts: Facts) -> Plan:
    """Decides `ops` in order. Deterministic, and the same for every store."""
    return _Decision(facts).decide(ops)


class _Decision:
    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.plan = Plan()
        self.pots = {id: _Pot(balance) for id, balance in facts.accounts.items()}
        self.holds = dict(facts.holds)
        self.done = dict(facts.done)
        self.references = dict(facts.references)

    def decide(self, ops: Sequence[Op]) -> Plan:
        answer = self.plan.results.append
        for position, op in enumerate(ops):
            if type(op) is Hold:  # half the time of a `match`
                answer(self.hold(op))
            elif type(op) is Ending:
                answer(self.end(op))
            elif type(op) is Expire:
                answer(self.expire(op))
            elif type(op) is Funding:
                answer(self.fund(op))
            elif type(op) is SetLimit:
                answer(self.set_limit(op))
            else:
                answer(self.facts.written[position])
        self.plan.deltas = self.deltas()
        return self.plan

    def deltas(self) -> list[tuple[int, int, int, int]]:
        changes = []
        for id, was in sorted(self.facts.accounts.items()):
            pot = self.pots[id]
            change = (pot.funded - was.funded, pot.spent - was.spent, pot.held - was.held)
            if any(change):
                changes.append((*change, id))
        return changes

    def hold(self, op: Hold) -> Result:
        id, amount = op.id, op.amount
        if id in self.holds:
            return ACCEPTED if self.facts.replay else DUPLICATE
        if id in self.done:
            return DUPLICATE
        if op.claim is not None and id in self.facts.unclaimed:
            return CLAIMED
        wallet = self.pots.get(op.account_id)
        if wallet is None or wallet.blocked:
            return BLOCKED
        free = wallet.funded + wallet.credit - wallet.spent - wallet.held
        if free < amount:
            return Refused("account", amount, free, wallet.held)
        budget_id = None
        if op.budget is not None:
            budget_id = self.facts.budgets[op.budget]
            budget = self.pots[budget_id]
            # A limit that was lowered below spent + held leaves `funded` above it until that is spent.
            free = min(budget.funded, op.budget.limit) - budget.spent - budget.held
            if free < amount:
                return Refused("key", amount, max(0, free), budget.held)
            budget.held += amount
        wallet.held += amount
        self.holds[id] = self.plan.holds[id] = HoldRow(
            id, op.account_id, budget_id, op.key_id, amount, op.price.id, op.provider, op.model, op.operation
        )
        return ACCEPTED

    def end(self, op: Ending) -> Settled:
        id = op.id
        row = self.holds.pop(id, None)
        if row is None:
            return self.end_late(op)
        if self.plan.holds.pop(id, None) is None:
            self.plan.ended.append(id)
        wallet = self.pots[row.account_id]
        budget = None if row.budget_id is None else self.pots[row.budget_id]
        wallet.held -= row.amount
        if budget is not None:
            budget.held -= row.amount
        actual, charged = 0, 0
        if not op.released:
            charged = actual = op.actual if op.actual < AMOUNT_MAX else AMOUNT_MAX
            if actual > row.amount:
                free = wallet.free() if budget is None else min(wallet.free(), budget.free())
                charged = min(actual, max(row.amount, free))
            if op.limit is not None and charged > op.limit:
                charged = op.limit
            wallet.spent += charged
            if budget is not None:
                budget.spent += charged
        loss = actual - charged
        self.journal(op, "release" if op.released else "settle", row, actual, charged, loss)
        free = wallet.funded + wallet.credit - wallet.spent - wallet.held
        return Settled(charged, loss, free, "released" if op.released else "settled")

    def end_late(self, op: Ending) -> Settled:
        done = self.done.get(op.id)
        if done is None:
            return self.settled(op, 0, 0, "unknown")
        kind, account_id, budget_id, key_id, charged, expired = done
        if kind != "expire":
            return self.settled(op, charged, expired, "duplicate")
        id = correction_id(op.id)
        corrected = self.done.get(id)
        if corrected is not None:
            return self.settled(op, corrected[4], corrected[5], "duplicate")
        wallet = self.pots[account_id]
        budget = None if budget_id is None else self.pots[budget_id]
        free = wallet.free() if budget is None else min(wallet.free(), budget.free())
        actual = 0 if op.released else min(op.actual, AMOUNT_MAX)
        charged = min(actual, max(0, free))
        if op.limit is not None:
            charged = min(charged, op.limit)
        if op.claim is not None and op.id in self.facts.unclaimed:
            charged = 0
        wallet.spent += charged
        if budget is not None:
            budget.spent += charged
        row = HoldRow(id, account_id, budget_id, key_id or 0, 0)
        loss = actual - charged - expired
        self.journal(op, "correction", row, actual, charged, loss, op.id)
        return self.settled(op, charged, loss, "corrected")

    def settled(self, op: Ending, charged: int, loss: int, outcome: Outcome) -> Settled:
        wallet = self.pots.get(op.account_id)
        return Settled(charged, loss, 0 if wallet is None else wallet.free(), outcome)

    def journal(
        self, op: Ending, kind: str, row: HoldRow, actual: int, charged: int, loss: int, ref: bytes | None = None
    ) -> None:
        """`ref`: the entry that a correction corrects; `row.id` is the correction's."""
        id, account_id, budget_id, key_id = row.id, row.account_id, row.budget_id, row.key_id
        sums = self.plan.rollup[account_id, key_id, op.model, op.provider]
        if kind == "settle":
            sums[_REQUESTS] += 1
        elif kind == "release":
            sums[_FAILED] += 1
        units = "{}"
        if not op.released:
            units = _encode(op.usage).decode()
            for unit, quantity in op.usage.items():
                sums[COLUMN_OF_UNIT[unit]] += quantity
        sums[_ACTUAL] += actual
        sums[_CHARGED] += charged
        sums[_LOSS] += loss
        if op.upstream_cost is not None:
            sums[_COST] += op.upstream_cost
            sums[_COSTED] += actual
        entry: EntryRow = (
            id, kind, account_id, budget_id, key_id, row.amount, actual, charged, loss, op.price.id, op.variant, units,
            op.source, op.ending, op.status, op.operation, op.provider, op.model, op.latency_ms, op.first_byte_ms,
            op.attempts, op.upstream_id[:TEXT_MAX], op.upstream_cost, self.facts.now_ms,
        )  # fmt: skip
        if ref is not None or op.tried:
            entry = (*entry, 0, ref, None, _encode(op.tried).decode() if op.tried else None)
        self.plan.entries.append(entry)
        self.done[id] = (kind, account_id, budget_id, key_id, charged, loss)

    def expire(self, op: Expire) -> Settled:
        row = self.holds.pop(op.id, None) if op.id in self.facts.lost else None
        if row is None:
            done = self.done.get(op.id)
            if done is None:
                return Settled(0, 0, 0, "unknown")
            return Settled(done[4], done[5], 0, "duplicate")
        self.plan.ended.append(op.id)
        wallet = self.pots[row.account_id]
        wallet.held -= row.amount
        if row.budget_id is not None:
            self.pots[row.budget_id].held -= row.amount
        self.plan.entries.append(
            (
                row.id, "expire", row.account_id, row.budget_id, row.key_id, row.amount, 0, 0, row.amount,
                row.price_id, "", "{}", "estimated", "worker_lost", None, row.operation, row.provider, row.model,
                None, None, None, None, None, self.facts.now_ms,
            )
        )  # fmt: skip
        self.done[row.id] = ("expire", row.account_id, row.budget_id, row.key_id, 0, row.amount)
        sums = self.plan.rollup[row.account_id, row.key_id, row.model, row.provider]
        sums[_FAILED] += 1
        sums[_LOSS] += row.amount
        return Settled(0, row.amount, wallet.free(), "expired")

    def fund(self, op: Funding) -> Result:
        known = self.references.get(op.reference) if op.reference is not None else None
        if known is not None:
            same = known == (op.account_id, op.amount)
            return Funded(False, op.amount) if same else Rejected("conflict")
        if op.id in self.done:
            return Funded(False, op.amount)
        pot = self.pots.get(op.account_id)
        if pot is None or op.account_id in self.facts.unfundable:
            return Rejected("unknown_account")
        if abs(op.amount) > AMOUNT_MAX or pot.funded + pot.credit + op.amount > NANOS_MAX:
            return Rejected("too_large")
        if pot.free() + op.amount < 0:
            return Refused("account", -op.amount, pot.free(), pot.held)
        pot.funded += op.amount
        self.fund_entry(op.id, op.kind, op.account_id, None, op.amount, op.reference, op.note)
        if op.reference is not None:
            self.references[op.reference] = (op.account_id, op.amount)
        return Funded(True, op.amount)

    def set_limit(self, op: SetLimit) -> Result:
        """Never below what is spent and held; `hold` heeds the limit itself in the meantime."""
        if op.id in self.done:
            return Funded(False, 0)
        account_id = self.facts.budgets.get(op.budget)
        if account_id is None:
            return Funded(True, 0)
        pot = self.pots[account_id]
        amount = max(op.budget.limit, pot.spent + pot.held) - pot.funded
        if amount:
            pot.funded += amount
            self.fund_entry(op.id, "limit", account_id, op.budget.key_id, amount, None, None)
        return Funded(True, amount)

    def fund_entry(
        self, id: bytes, kind: str, account_id: int, key_id: int | None, amount: int, reference: str | None,
        note: str | None,
    ) -> None:  # fmt: skip
        self.plan.entries.append(funding_row(id, kind, account_id, key_id, amount, self.facts.now_ms, reference, note))
        self.done[id] = (kind, account_id, None, key_id, 0, 0)


def funding_row(
    id: bytes, kind: str, account_id: int, key_id: int | None, amount: int, now_ms: int,
    reference: str | None = None, note: str | None = None,
) -> EntryRow:  # fmt: skip
    """The entry of a change to `funded`."""
    return (
        id, kind, account_id, None, key_id, 0, 0, 0, 0, None, None, None, None, None, None, None, None, None, None,
        None, None, None, None, now_ms, amount, None, reference, note,
    )  # fmt: skip
