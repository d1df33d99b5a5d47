"""Every way in which a request can end, as data: what happens, what the client sees, what is charged, whose loss it is.

`tests/contract/test_endings.py` acts every row out over real sockets, passed through and translated;
`docs/concepts/endings.md` prints the same rows (`.ci/endings.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

Form = Literal["body", "stream"]
Entry = Mapping[str, Any]

COST = 145_000_000
"""Nanos: 850 tokens at 100 and 120 at 500 per million, which is what a provider reports here."""
CAP = 60_000_000
"""Nanos of the header x-proxyapi-max-cost: some 120 tokens of output."""
FUNDS = 10 * 10**9
"""Nanos of a customer, if a case says nothing else."""


class Heard(NamedTuple):
    """What a client got. Status 0: nothing."""

    status: int
    text: bytes
    whole: bool
    """The answer had a proper end."""

    @property
    def failed(self) -> bool:
        """An error is in it."""
        return b'"error"' in self.text or b"event: error" in self.text


class Seen(NamedTuple):
    """What the client sees, in words and as a check."""

    words: str
    check: Callable[[Heard], bool]


class Charge(NamedTuple):
    """What the customer pays, in words and as a check of the journal's entry."""

    words: str
    check: Callable[[Entry], bool]


class Loss(NamedTuple):
    """Who carries what the customer does not pay, in words and as a check of the journal's entry."""

    words: str
    check: Callable[[Entry], bool]


class Outcome(NamedTuple):
    """One row of the table. `journal`: kind, ending, source; None: there is no entry."""

    seen: Seen
    charge: Charge
    loss: Loss
    journal: tuple[str, str, str] | None
    translated: Seen | None = None
    """What is seen where the answer is translated, if that differs."""


class Case(NamedTuple):
    """One way to end. `upstream`, `client` and `fault` name scripts of the test."""

    group: str
    happens: str
    body: Outcome | None = None
    stream: Outcome | None = None
    upstream: str = "answers"
    client: str = "reads to the end"
    fault: str = ""
    """What happens to the gateway; such a case has a gateway of its own."""
    provider: str = "openai"
    """As the gateway of the test knows it: `drained` has `on_gone = "drain"`, at `nowhere` and `unreached` nobody
    listens; `spared`, `unreached` and `unspared` have a fallback, which answers but for the last."""
    funds: int = FUNDS
    paid_before: int = 0
    """Nanos that a request before the one of the row was charged."""
    ways: tuple[str, ...] = ("passed through", "translated")

    def outcome(self, form: Form) -> Outcome | None:
        return self.body if form == "body" else self.stream


# --- words and checks ------------------------------------------------------------------------------------------------

WHOLE = Seen("200, the whole answer", lambda heard: heard.status == 200 and heard.whole and not heard.failed)
ERROR_EVENT = Seen(
    "200, what there was, an error event, a proper end",
    lambda heard: heard.status == 200 and heard.whole and heard.failed,
)
AS_IT_CAME = Seen("200, the bytes as they came", lambda heard: heard.status == 200 and heard.whole)
CUT = Seen("200, cut off", lambda heard: heard.status == 200 and not heard.whole)
CUT_OFF = Seen("a closed connection", lambda heard: not heard.whole)
AS_AT_A_LENGTH = Seen(
    "200, what fits, an end as at a length",
    lambda heard: heard.whole and not heard.failed and any(w in heard.text for w in (b'"length"', b'"max_tokens"')),
)
GONE = Seen("it is gone", lambda heard: not heard.whole)


def status(number: int, words: str = "") -> Seen:
    return Seen(f"{number}{words and ', '}{words}", lambda heard: heard.status == number and heard.whole)


def theirs(number: int) -> Seen:
    return status(number, "the provider's words")


NOTHING = Charge("nothing", lambda entry: entry["charged"] == 0)
REPORTED = Charge("the reported usage", lambda entry: entry["charged"] == COST)
COUNTED = Charge("prompt and answer, counted", lambda entry: 0 < entry["charged"] < COST)
DELIVERED = Charge("prompt and what was delivered, counted", lambda entry: 0 < entry["charged"] < COST)
ALL_THERE_IS = Charge(
    "the hold and all that is free on the account", lambda entry: entry["charged"] == 3 * 10**9 > entry["held"]
)
OVERRUN = Charge("the reported usage, above the hold", lambda entry: entry["charged"] == 11 * 10**9 > entry["held"])
PROMPT_REPORTED = Charge("the reported prompt, the answer counted", lambda entry: 85_000_000 < entry["charged"] < COST)
OWN_COST = Charge("the provider's own price × rate and markup", lambda entry: entry["charged"] == 125_000_000)

THE_CAP = Charge("the cap", lambda entry: entry["charged"] == CAP)
UP_TO_THE_CAP = Charge(
    "prompt and what was delivered, counted, at most the cap", lambda entry: 0.9 * CAP < entry["charged"] <= CAP
)
ALL_OF_LITTLE = Charge("all that was on the account", lambda entry: entry["charged"] == 10**8 >= entry["held"])

NOBODYS = Loss("—", lambda entry: entry["loss"] == 0)
OPERATORS_REST = Loss("operator: the rest", lambda entry: entry["loss"] == 8 * 10**9)
OPERATORS_BEYOND = Loss("operator: the rest", lambda entry: entry["loss"] == entry["actual"] - entry["charged"])
OPERATORS_HOLD = Loss("operator: up to the hold", lambda entry: entry["loss"] == entry["held"] > 0)
TAKEN_BACK = Loss("taken back", lambda entry: entry["loss"] < 0)
BILLED = Loss("operator: what the provider bills for it", lambda entry: entry["loss"] == 0)

SETTLED = ("settle", "completed", "reported")
"""Journal of an answer with usage."""


def settled(seen: Seen = WHOLE, charge: Charge = REPORTED, loss: Loss = NOBODYS, **more: Any) -> Outcome:
    return Outcome(seen, charge, loss, SETTLED, **more)


def free(seen: Seen, ending: str, loss: Loss = NOBODYS, **more: Any) -> Outcome:
    """Nothing is charged."""
    return Outcome(seen, NOTHING, loss, ("release", ending, ""), **more)


def both(outcome: Outcome) -> dict[str, Outcome]:
    return {"body": outcome, "stream": outcome}


# --- the cases -------------------------------------------------------------------------------------------------------

ANSWERS, REFUSES, BREAKS, ELSEWHERE, LEAVES, OURS, FAULTS = (
    "The provider answers",
    "The provider refuses",
    "The provider breaks off",
    "The model has a fallback",
    "The client leaves",
    "The gateway refuses",
    "The gateway or its store fails",
)

ANSWERED = (
    Case(ANSWERS, "with usage", **both(settled())),
    Case(
        ANSWERS,
        "without usage",
        upstream="answers without usage",
        **both(Outcome(WHOLE, COUNTED, NOBODYS, ("settle", "completed", "counted"))),
    ),
    Case(ANSWERS, "with a usage of zero", upstream="reports zero", **both(settled(charge=NOTHING))),
    Case(ANSWERS, "with its usage twice", upstream="reports twice", stream=settled()),
    Case(
        ANSWERS,
        "with usage that knows only the prompt",
        upstream="reports the prompt only",
        **both(Outcome(WHOLE, PROMPT_REPORTED, NOBODYS, ("settle", "completed", "estimated"))),
    ),
    Case(
        ANSWERS,
        "with its own price (OpenRouter)",
        upstream="names its price",
        provider="openrouter",
        ways=("passed through",),
        **both(settled(charge=OWN_COST)),
    ),
    Case(
        ANSWERS,
        "with usage above the hold, and the account has the money",
        upstream="reports much",
        funds=100 * 10**9,
        **both(settled(charge=OVERRUN)),
    ),
    Case(
        ANSWERS,
        "with usage above the hold, and the account has not",
        upstream="reports much",
        funds=3 * 10**9,
        **both(settled(charge=ALL_THERE_IS, loss=OPERATORS_REST)),
    ),
    Case(
        ANSWERS,
        "beyond the request's own cap (`x-proxyapi-max-cost`)",
        upstream="talks on",
        client="caps its request",
        body=settled(charge=THE_CAP, loss=OPERATORS_BEYOND),
        stream=Outcome(AS_AT_A_LENGTH, UP_TO_THE_CAP, OPERATORS_BEYOND, ("settle", "capped", "counted")),
    ),
    Case(
        ANSWERS,
        "beyond the ceiling that a request was shortened to, since money was short",
        client="has its requests shortened",
        funds=10**8,
        **both(settled(charge=ALL_OF_LITTLE, loss=OPERATORS_BEYOND)),
    ),
    Case(
        ANSWERS,
        "in a stream that ends without its last event, usage not yet told",
        upstream="forgets the end",
        stream=Outcome(
            AS_IT_CAME, DELIVERED, NOBODYS, ("settle", "upstream_broken", "counted"), translated=ERROR_EVENT
        ),
    ),
    Case(
        ANSWERS,
        "with one body although a stream was asked for",
        upstream="answers the other form",
        stream=settled(),
    ),
    Case(
        ANSWERS,
        "with a stream although one body was asked for",
        upstream="answers the other form",
        body=settled(),
    ),
    Case(
        ANSWERS,
        "200 and nothing",
        upstream="answers nothing",
        **both(free(AS_IT_CAME, "upstream_broken", BILLED, translated=status(502))),
    ),
    Case(
        ANSWERS,
        "200 and an error",
        upstream="answers an error",
        body=free(AS_IT_CAME, "error_body", translated=status(502)),
        stream=free(ERROR_EVENT, "error_event", translated=status(502)),
    ),
    Case(
        ANSWERS,
        "200, some text, then an error event",
        upstream="errs in the middle",
        stream=Outcome(ERROR_EVENT, DELIVERED, NOBODYS, ("settle", "error_event", "counted")),
    ),
    Case(
        ANSWERS,
        "200 and what is no JSON",
        upstream="answers no JSON",
        **both(free(AS_IT_CAME, "upstream_broken", BILLED, translated=status(502))),
    ),
)

REFUSALS = (
    *(
        Case(REFUSES, str(number), upstream=f"refuses with {number}", **both(free(theirs(number), "upstream_refused")))
        for number in (400, 404, 422, 429, 500, 503)
    ),
    Case(
        REFUSES,
        "401: it does not take the operator's key",
        upstream="refuses with 401",
        **both(free(status(502), "upstream_error")),
    ),
    Case(
        REFUSES,
        "402: the operator's own account is empty",
        upstream="refuses with 402",
        **both(free(status(502), "upstream_error")),
    ),
    Case(REFUSES, "a redirection", upstream="refuses with 302", **both(free(status(502), "upstream_broken"))),
)
BROKEN_OFF = (
    Case(BREAKS, "cannot be reached", provider="nowhere", **both(free(status(502), "upstream_unreachable"))),
    Case(
        BREAKS,
        "before the head of its answer",
        upstream="hangs up at once",
        **both(free(status(502), "upstream_broken", BILLED)),
    ),
    Case(
        BREAKS, "with what is no HTTP", upstream="speaks no HTTP", **both(free(status(502), "upstream_broken", BILLED))
    ),
    Case(
        BREAKS,
        "after the head",
        upstream="hangs up after the head",
        body=free(status(502), "upstream_broken", BILLED),
        stream=free(ERROR_EVENT, "upstream_broken", BILLED, translated=status(502)),
    ),
    Case(
        BREAKS,
        "in the middle",
        upstream="hangs up in the middle",
        body=free(status(502), "upstream_broken", BILLED),
        stream=Outcome(ERROR_EVENT, DELIVERED, NOBODYS, ("settle", "upstream_broken", "counted")),
    ),
    Case(
        BREAKS,
        "before the bytes that it promised are all there",
        upstream="promises more than it sends",
        body=free(status(502), "upstream_broken", BILLED),
    ),
    Case(
        BREAKS,
        "with fewer bytes promised than its answer has",
        upstream="promises less than it sends",
        body=free(AS_IT_CAME, "upstream_broken", BILLED, translated=status(502)),
    ),
    Case(
        BREAKS,
        "silent before the head (`first_byte_seconds`)",
        upstream="is silent",
        **both(free(status(504), "upstream_timeout", BILLED)),
    ),
    Case(
        BREAKS,
        "silent in the middle (`idle_seconds`)",
        upstream="falls silent",
        body=free(status(504), "upstream_timeout", BILLED),
        stream=Outcome(ERROR_EVENT, DELIVERED, NOBODYS, ("settle", "upstream_broken", "counted")),
    ),
)

LEFT_COUNTED = Outcome(GONE, DELIVERED, NOBODYS, ("settle", "client_gone", "counted"))
LEFT_REPORTED = Outcome(GONE, REPORTED, NOBODYS, ("settle", "client_gone", "reported"))
WENT_ON = (
    *(
        Case(ELSEWHERE, f"the provider {words}", upstream=words, provider="spared", **both(settled()))
        for words in (
            *(f"refuses with {number}" for number in (401, 402, 403, 429, 500, 503)),
            "hangs up at once",
            "hangs up after the head",
            "is silent",
            "answers an error",
            "answers nothing",
            "answers no JSON",
        )
    ),
    Case(ELSEWHERE, "the provider cannot be reached", provider="unreached", **both(settled())),
    Case(
        ELSEWHERE,
        "the provider refuses with 400: so would anybody",
        upstream="refuses with 400",
        provider="spared",
        **both(free(theirs(400), "upstream_refused")),
    ),
    Case(
        ELSEWHERE,
        "the provider breaks off in the middle",
        upstream="hangs up in the middle",
        provider="spared",
        body=settled(),
        stream=Outcome(ERROR_EVENT, DELIVERED, NOBODYS, ("settle", "upstream_broken", "counted")),
    ),
    Case(
        ELSEWHERE,
        "the client leaves before the provider has failed",
        upstream="thinks",
        client="leaves while the provider thinks",
        provider="spared",
        body=LEFT_REPORTED,
        stream=free(GONE, "client_gone", BILLED),
    ),
    Case(
        ELSEWHERE,
        "nobody answers",
        upstream="refuses with 503",
        provider="unspared",
        **both(free(theirs(503), "upstream_refused")),
    ),
)

LEFT = (
    Case(
        LEAVES,
        "before its request was whole",
        client="leaves with half a request sent",
        body=Outcome(GONE, NOTHING, NOBODYS, None),
    ),
    Case(
        LEAVES,
        "before the head of the answer; `cancel`",
        upstream="thinks",
        client="leaves while the provider thinks",
        body=LEFT_REPORTED,
        stream=free(GONE, "client_gone", BILLED),
    ),
    Case(
        LEAVES,
        "before the head of the answer; `drain`",
        upstream="thinks",
        client="leaves while the provider thinks",
        provider="drained",
        body=LEFT_REPORTED,
        stream=LEFT_REPORTED,
    ),
    Case(
        LEAVES,
        "in the middle; `cancel`",
        upstream="pauses in the middle",
        client="leaves in the middle",
        body=LEFT_REPORTED,
        stream=LEFT_COUNTED,
    ),
    Case(
        LEAVES,
        "in the middle; `drain`",
        upstream="pauses in the middle",
        client="leaves in the middle",
        provider="drained",
        body=LEFT_REPORTED,
        stream=LEFT_REPORTED,
    ),
    Case(
        LEAVES,
        "in the middle; `drain`, and the rest takes longer than `drain_seconds`",
        upstream="does not end",
        client="leaves in the middle",
        provider="drained",
        stream=LEFT_COUNTED,
    ),
    Case(
        LEAVES,
        "in the middle; `drain`, and `drains_max` are being read already",
        upstream="pauses in the middle",
        client="leaves after too many others",
        provider="drained",
        stream=LEFT_COUNTED,
    ),
    Case(
        LEAVES,
        "in the middle; `drain`, and more than `drains_amount_max` would be on hold for it",
        upstream="pauses in the middle",
        client="leaves an expensive request in the middle",
        provider="drained",
        funds=100 * 10**9,
        stream=LEFT_COUNTED,
    ),
    Case(
        LEAVES,
        "before the last event, usage told",
        upstream="pauses before the end",
        client="leaves before the last event",
        stream=Outcome(GONE, REPORTED, NOBODYS, ("settle", "client_gone", "reported")),
    ),
    Case(LEAVES, "after the end", client="leaves after the end", **both(settled())),
)


def no_row(seen: Seen) -> dict[str, Outcome]:
    return both(Outcome(seen, NOTHING, NOBODYS, None))


REFUSED_BY_US = (
    Case(OURS, "the request can't be read", client="sends no JSON", **no_row(status(400))),
    Case(OURS, "there is no such model", client="asks for an unknown model", **no_row(status(400))),
    Case(OURS, "unknown, revoked or expired key", client="has a revoked key", **no_row(status(401))),
    Case(OURS, "the key may not use this model", client="has a key for other models", **no_row(status(403))),
    Case(OURS, "more requests per minute than the key may make", client="asks too often", **no_row(status(429))),
    Case(OURS, "the account can't cover the estimate", funds=10**6, **no_row(status(402))),
    Case(OURS, "the request's own cap can't cover any answer", client="caps it at nothing", **no_row(status(402))),
    Case(
        OURS, "the key's budget can't cover the estimate", client="has a key with a small budget", **no_row(status(402))
    ),
)

FAILED = (
    Case(
        FAULTS,
        "worker killed before the answer",
        upstream="thinks",
        fault="worker killed",
        **both(Outcome(CUT_OFF, NOTHING, OPERATORS_HOLD, ("expire", "worker_lost", ""))),
    ),
    Case(
        FAULTS,
        "worker killed in the middle of the answer",
        upstream="pauses in the middle",
        fault="worker killed in the middle",
        stream=Outcome(CUT, NOTHING, OPERATORS_HOLD, ("expire", "worker_lost", "")),
    ),
    Case(
        FAULTS,
        "worker killed after the answer, before it was settled",
        upstream="thinks",
        fault="worker killed unsettled",
        **both(Outcome(WHOLE, NOTHING, OPERATORS_HOLD, ("expire", "worker_lost", ""))),
    ),
    Case(
        FAULTS,
        "worker frozen beyond the grace, then awake",
        upstream="pauses in the middle",
        fault="worker frozen",
        **both(Outcome(WHOLE, REPORTED, TAKEN_BACK, ("correction", "completed", "reported"))),
    ),
    Case(
        FAULTS,
        "store lost as the hold was to be written",
        fault="store lost",
        **both(free(status(503), "abandoned")),
    ),
    Case(FAULTS, "store known to be lost", fault="store known to be lost", **no_row(status(503))),
    Case(
        FAULTS,
        "store lost after the hold",
        upstream="pauses in the middle",
        fault="store lost in the middle",
        **both(settled()),
    ),
    Case(
        FAULTS,
        "stopped, and the answer ends within `stop_seconds`",
        upstream="pauses in the middle",
        fault="stopped in the middle",
        **both(settled()),
    ),
    Case(
        FAULTS,
        "stopped, and the answer does not end within `stop_seconds`",
        upstream="does not end",
        fault="stopped, too long",
        body=Outcome(CUT_OFF, NOTHING, BILLED, ("release", "interrupted", "")),
        stream=Outcome(CUT, DELIVERED, NOBODYS, ("settle", "client_gone", "counted")),
    ),
)

CASES: tuple[Case, ...] = (*ANSWERED, *REFUSALS, *BROKEN_OFF, *WENT_ON, *LEFT, *REFUSED_BY_US, *FAILED)
