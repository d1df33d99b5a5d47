"""What becomes of a request that is sent again with its `Idempotency-Key`, as data like `endings.py`.

The client sees what the second one gets; charge and journal are of the one that was answered. Acted out by
`tests/contract/test_endings_repeated.py`.
"""

from __future__ import annotations

from proxyapi_fakes_endings import (
    COST,
    NOBODYS,
    REPORTED,
    SETTLED,
    WHOLE,
    Case,
    Charge,
    Loss,
    Outcome,
    Seen,
    both,
    status,
)  # loaded by conftest.py, or by .ci/endings.py

AGAIN = "The request is sent again with its `Idempotency-Key`"

FOLLOWED = Seen("200, the answer from its beginning, then live", WHOLE.check)
TOLD_AGAIN = Seen("200, the first one's answer", WHOLE.check)
RUN_ANEW = Seen("200, the whole answer: it runs anew", WHOLE.check)
ONCE = Charge("the reported usage, once", REPORTED.check)
TWICE = Charge("the reported usage, a second time", REPORTED.check)
HOLD_OF_THE_FIRST = Loss("operator: up to the hold of the lost one", NOBODYS.check)
"""Which entry of its own says; the test looks at that too."""


def ran(seen: Seen, charge: Charge = ONCE, loss: Loss = NOBODYS) -> Outcome:
    """One of the two requests was answered and charged."""
    return Outcome(seen, charge, loss, SETTLED)


REPEATED = (
    Case(
        AGAIN,
        "while the first one runs",
        upstream="pauses in the middle",
        client="asks beside it",
        body=ran(status(409)),
        stream=ran(FOLLOWED),
    ),
    Case(AGAIN, "after the first one was answered", client="asks after it", **both(ran(TOLD_AGAIN))),
    Case(AGAIN, "with another body", client="asks for something else", **both(ran(status(422)))),
    Case(
        AGAIN,
        "after the provider refused the first one",
        upstream="refuses with 500",
        client="asks after a refusal",
        **both(ran(RUN_ANEW)),
    ),
    Case(
        AGAIN,
        "after the worker of the first one was killed, and another has taken its place",
        upstream="pauses in the middle",
        client="asks after its worker was killed",
        ways=("passed through",),
        **both(ran(RUN_ANEW, loss=HOLD_OF_THE_FIRST)),
    ),
    Case(
        AGAIN,
        "after the life of the key (`hours`)",
        client="asks when the key is forgotten",
        paid_before=COST,
        ways=("passed through",),
        **both(ran(RUN_ANEW, TWICE)),
    ),
)
