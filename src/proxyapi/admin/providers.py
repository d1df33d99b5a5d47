"""Who answers: connected or not, how they fare, on and off.

How they fare is told by three witnesses: sums of days (exact, all workers), the newest entries of the journal (errors
and times to the first byte, of a sample), and what the workers count since they started.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct

from proxyapi.admin.acts import SQL, Operator
from proxyapi.admin.office import Office
from proxyapi.admin.revenue import sums_by_model
from proxyapi.admin.views import Money
from proxyapi.errors import NotFound
from proxyapi.identity.queries import QUERIES
from proxyapi.identity.stored import PROVIDER, store, stored_of
from proxyapi.ids import least_id
from proxyapi.ledger.periods import DAY_MS
from proxyapi.providers.provider import SANDBOX, Provider
from proxyapi.telemetry import add

State = Literal["working", "failing", "quiet", "off", "not_connected"]
SAMPLE_MAX = 5_000
"""Newest requests that are looked at: their rows are read in one piece, in some 20 ms."""
SLICE_MS = 1_800_000
SLICES = 48
"""Half an hour each, a day together."""
FAILING_PERCENT = 10
FAILING_MIN = 5
"""So many failed requests, and such a share of them, are called failing."""
ALIVE_MS = 20_000
"""Workers that were seen so lately are counted."""

_LABELS = re.compile(r'(\w+)="([^"]*)"')
_FAILED_STATUS = 500
_OURS = frozenset({401, 402, 403, 408, 429})
"""Refusals that are no fault of the customer's request: the operator's key, funds or limits at the provider."""
_BROKEN = frozenset({"upstream_broken", "error_event"})
"""Endings of answers that had begun."""


class Slice(Struct, frozen=True, kw_only=True):
    """Half an hour of the sample."""

    requests: int
    failed: int


class ProviderView(Struct, frozen=True, kw_only=True):
    name: str
    title: str
    state: State
    enabled: bool
    enabled_configured: bool
    """What the file says; it differs from `enabled` while a stored switch wins."""
    connected: bool
    """It has a key, or an address of the operator's own. The key itself is never shown."""
    key_variable: str
    """The environment variable that would hold its key."""
    requests_today: int
    failed_today: int
    charged_today: Money
    requests_sampled: int
    """Of the newest requests of all providers within a day, those that went here."""
    failed_sampled: int
    """Of them, those that the provider failed, or refused because of the operator's key or limits."""
    first_byte_ms: int | None
    """Median of the sample."""
    timeline: list[Slice]
    """The last day, oldest first, as far as the sample goes."""
    errors: dict[str, int]
    """What the running workers counted since they started, by code."""


class _Request(NamedTuple):
    provider: str
    at: int
    failed: bool
    first_byte_ms: int


def providers(office: Office) -> list[ProviderView]:
    """All of them, in the order of the configuration; the sandbox last."""
    now = office.clock_ms()
    sample = _sample(office, now)
    today = sums_by_model(office, now // DAY_MS, now // DAY_MS + 1)
    errors = _errors(office)
    found = []
    for at in office.prices().providers:
        requests = [request for request in sample if request.provider == at.name]
        sums = [one for one in today if one.provider == at.name]
        failed = sum(request.failed for request in requests)
        times = [request.first_byte_ms for request in requests if request.first_byte_ms > 0 and not request.failed]
        found.append(
            ProviderView(
                name=at.name, title=at.title, state=_state(at, len(requests), failed), enabled=at.enabled,
                enabled_configured=office.shelf.catalog.configured(at.name).enabled,
                connected=at.connected or at.name == SANDBOX, key_variable=at.key_variable,
                requests_today=sum(one.requests for one in sums), failed_today=sum(one.failed for one in sums),
                charged_today=Money(sum(one.charged for one in sums)), requests_sampled=len(requests),
                failed_sampled=failed, first_byte_ms=int(median(times)) if times else None,
                timeline=_timeline(requests, now), errors=errors.get(at.name, {}),
            )
        )  # fmt: skip
    return found


def provider(office: Office, name: str) -> ProviderView:
    """NotFound."""
    for view in providers(office):
        if view.name == name:
            return view
    raise NotFound(f"There is no provider {name[:40]}.")


def switch(office: Office, operator: Operator, name: str, enabled: bool | None) -> ProviderView:
    """On, off, or (None) as the file says; every worker heeds it within a second. Requests that run are finished."""
    if name == SANDBOX or name not in {at.name for at in office.prices().providers}:
        raise NotFound(f"There is no provider {name[:40]} that could be switched.")
    with office.doing(operator, "provider.switch", f"provider {name}") as act:
        before = stored_of(act.transaction.execute(QUERIES["settings_stored"])).providers.get(name)
        store(act.transaction, f"{PROVIDER}{name}", None if enabled is None else "on" if enabled else "off")
        act.was, act.became = {"enabled": before}, {"enabled": enabled}
    return provider(office, name)


def _state(at: Provider, requests: int, failed: int) -> State:
    if not at.enabled:
        return "off"
    if not at.connected and at.name != SANDBOX:
        return "not_connected"
    if failed >= FAILING_MIN and failed * 100 >= requests * FAILING_PERCENT:
        return "failing"
    return "working" if requests else "quiet"


def _sample(office: Office, now: int) -> list[_Request]:
    """Newest requests of the last day; ids begin with their time."""
    rows = office.database.fetch_now(SQL["recent_by_provider"], (least_id(now - SLICES * SLICE_MS), SAMPLE_MAX))
    return [_request(row) for row in rows]


def _request(row: Sequence[Any]) -> _Request:
    provider, at, kind, status, first_byte_ms, ending, _ = row
    refused = kind == "release" and ((status or 0) >= _FAILED_STATUS or status in _OURS)
    return _Request(provider, at, refused or ending in _BROKEN, first_byte_ms or 0)


def _timeline(requests: Iterable[_Request], now: int) -> list[Slice]:
    began = now - SLICES * SLICE_MS
    counts, failures = Counter[int](), Counter[int]()
    for request in requests:
        at = min(max((request.at - began) // SLICE_MS, 0), SLICES - 1)
        counts[at] += 1
        failures[at] += request.failed
    return [Slice(requests=counts[at], failed=failures[at]) for at in range(SLICES)]


def _errors(office: Office) -> dict[str, dict[str, int]]:
    snapshots = [msgspec.json.decode(row[0]) for row in office.database.fetch_now(SQL["snapshots"], (ALIVE_MS,))]
    found: dict[str, dict[str, int]] = {}
    for labels, count in add(snapshots).get("proxyapi_upstream_errors_total", {}).items():
        words = dict(_LABELS.findall(labels))
        found.setdefault(words.get("provider", ""), {})[words.get("code", "")] = int(count)
    return found
