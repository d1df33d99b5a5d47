"""What an audit says: invariants, what was checked of them, and each violation as a sentence with what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from proxyapi.store.database import Progress, ignore_progress

VIOLATIONS_MAX: Final = 1_000
"""Kept of each invariant; more say nothing new."""

INVARIANTS: Final[Mapping[str, str]] = {
    "I1": "what an account has on hold is the sum of its holds",
    "I2": "what an account has spent is the sum of what entries charged it, sealed months included",
    "I3": "what an account was funded with is the sum of its deposits, adjustments and limits, sealed months included",
    "I4": "nothing is held, spent or left below zero",
    "I5": "a request is in flight or in the journal, never both; a correction corrects one that had expired; "
    "a reference is booked once",
    "I6": "no charge is more than the cost; charge and loss together are the cost",
    "I7": "the sums behind the reports equal the journal",
    "I8": "every cost is its units times the rates of its price version, rounded up once",
    "I10": "no hold outlives its worker by more than a round of the reaper, and the grace where nobody saw that one "
    "die",
    "archive": "the files of sealed months are the ones that were written, and hold what was taken out",
    "file": "the engine finds its own files and indexes sound",
}
"""Name -> what has to hold. I9 compares with books that others keep, so it is a report, not among these."""

REMEDIES: Final[Mapping[str, str]] = {
    "I1": "No request does this: undo the edit by hand that did, or stop the gateway and restore the last backup that "
    "audits clean.",
    "I2": "Compare the account's entries with the last backup that audits clean; undo what was edited, or restore it.",
    "I3": "Compare its deposits with the payment provider's list (audit --deposits FILE); book a missing one with "
    "`proxyapi deposit`, undo what was edited.",
    "I4": "Block it with `proxyapi account block` until what I1, I2 and I3 say of it is put right.",
    "I5": "No request does this: find out who wrote that row, and take it out or put the missing one back.",
    "I6": "Compare it with the provider's bill, and give back what was charged too much with `proxyapi deposit`.",
    "I7": "Reports and charts show a wrong figure; balances are not touched. Put that row right.",
    "I8": "Compare it with the price in force then (`proxyapi price show`), and give back what was charged too much "
    "with `proxyapi deposit`.",
    "I10": "No worker that reaches the store expires it: start one, then it is gone within two minutes.",
    "archive": "Bring the file back from another copy; what it held is no longer in the database.",
    "file": "Stop the gateway, keep a copy of the files as they are, and restore the last backup that audits clean.",
}


class Violation(NamedTuple):
    """One thing that is wrong."""

    invariant: str
    text: str
    """A sentence: what is wrong, then what to do."""
    ids: tuple[str, ...] = ()
    """Requests or entries, as 36 characters, that it is about."""


class Report:
    """The outcome of an audit, and what the checks write into."""

    def __init__(self, progress: Progress = ignore_progress) -> None:
        self.violations: list[Violation] = []
        self.checked: dict[str, int] = dict.fromkeys(INVARIANTS, 0)
        """By invariant: how many things it was checked for."""
        self.found: dict[str, int] = dict.fromkeys(INVARIANTS, 0)
        """By invariant: how many violations, also those that were not kept."""
        self.unchecked: dict[str, str] = {}
        """By invariant: why it was not looked at."""
        self.since = 0
        """Older entries were not read one by one: milliseconds."""
        self.progress = progress

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return not self.violations

    def wrong(self, invariant: str, text: str, *ids: str) -> None:
        """`text`: what is wrong, without a full stop."""
        self.found[invariant] += 1
        if self.found[invariant] <= VIOLATIONS_MAX:
            self.violations.append(Violation(invariant, f"{text[:1].upper()}{text[1:]}. {REMEDIES[invariant]}", ids))
