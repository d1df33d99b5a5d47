"""The installation itself: does the ledger agree with its journal, and what the configuration says."""

from __future__ import annotations

import time
from datetime import datetime

import msgspec
from msgspec import Struct

from proxyapi.admin.acts import Operator
from proxyapi.admin.office import Office
from proxyapi.admin.views import moment
from proxyapi.identity.queries import QUERIES
from proxyapi.ledger.audit import INVARIANTS, examine
from proxyapi.pricing.charge import recompute

_RESULT = "audit_result"
VIOLATIONS_SHOWN = 100


class Invariant(Struct, frozen=True, kw_only=True):
    name: str
    says: str
    checked: int
    """How many things it was checked for."""
    violations: int


class Wrong(Struct, frozen=True, kw_only=True):
    invariant: str
    sentence: str
    ids: list[str]


class AuditView(Struct, frozen=True, kw_only=True):
    """The last audit that an operator asked for."""

    at: datetime
    ok: bool
    milliseconds: int
    invariants: list[Invariant]
    violations: list[Wrong]


class Setting(Struct, frozen=True, kw_only=True):
    name: str
    value: str
    """`***` for secrets."""


def last_audit(office: Office) -> AuditView | None:
    """None: nobody has asked for one yet."""
    rows = office.database.fetch_now(QUERIES["setting"], (_RESULT,))
    return msgspec.json.decode(rows[0][0], type=AuditView) if rows else None


def run_audit(office: Office, operator: Operator) -> AuditView:
    """All sums over all entries, and the entries of the last day one by one, while the gateway runs. May take a
    while; the answer is kept."""
    began, at = time.monotonic(), office.clock_ms()
    report = examine(office.database, full=False, recompute=recompute)
    view = AuditView(
        at=moment(at), ok=report.ok, milliseconds=int((time.monotonic() - began) * 1000),
        invariants=[
            Invariant(name=name, says=text, checked=report.checked[name], violations=report.found[name])
            for name, text in INVARIANTS.items()
            if name not in report.unchecked
        ],
        violations=[
            Wrong(invariant=wrong.invariant, sentence=wrong.text, ids=list(wrong.ids))
            for wrong in report.violations[:VIOLATIONS_SHOWN]
        ],
    )  # fmt: skip
    with office.doing(operator, "audit.run", "ledger") as act:
        act.transaction.execute(QUERIES["setting_put"], (_RESULT, msgspec.json.encode(view).decode()))
        act.became = {"ok": view.ok, "violations": len(report.violations)}
    return view


def settings(office: Office) -> list[Setting]:
    """What the file, the environment and the command line said at the start; secrets are not shown."""
    return [Setting(name=name, value=value) for name, value in office.installed.settings]
