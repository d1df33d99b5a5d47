"""What the operator can watch: counters for Prometheus, and one JSON line per request and per event.

Both are made for the data plane: a request costs two dictionary updates and one encoded line; lines are written in
batches. A worker publishes its counters through its row in the store, so that any worker answers `/metrics` for all.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

import msgspec

DURATION_BUCKETS_MS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000)
_BOUNDS_MS = tuple(map(float, DURATION_BUCKETS_MS))
"""The same for comparisons with durations: a float is compared with an int at twice the cost."""
LINES_BYTES_MAX = 1_048_576
"""Lines waiting for a slow log reader; beyond this they are dropped and counted."""

Snapshot = Mapping[str, Mapping[str, float]]
"""Metric name -> label text (`a="x",b="y"`) -> value."""

_HELP = {
    "proxyapi_requests_total": ("counter", "Requests by operation, provider and status."),
    "proxyapi_request_duration_ms": ("histogram", "Time from the head of a request to the end of its answer."),
    "proxyapi_first_byte_ms": ("histogram", "Time from the head of a request to the first byte of the provider."),
    "proxyapi_units_total": ("counter", "Metered units by kind and provider."),
    "proxyapi_charged_nanos_total": ("counter", "Charged to customers, in nanos of the currency."),
    "proxyapi_loss_nanos_total": ("counter", "Cost that no balance covered, in nanos of the currency."),
    "proxyapi_refused_total": ("counter", "Requests refused by the gateway itself, by code."),
    "proxyapi_upstream_errors_total": ("counter", "Failures of providers, by code."),
    "proxyapi_fallbacks_total": ("counter", "Requests that went on to another provider, by how this one ended them."),
    "proxyapi_log_lines_dropped_total": ("counter", "Log lines lost to a slow reader."),
    "proxyapi_connections": ("gauge", "Open client connections."),
    "proxyapi_requests_in_flight": ("gauge", "Requests being answered."),
    "proxyapi_upstream_connections": ("gauge", "Open connections to providers."),
    "proxyapi_ledger_queue": ("gauge", "Operations waiting for the ledger."),
    "proxyapi_ledger_batches_total": ("counter", "Transactions of the ledger."),
    "proxyapi_ledger_operations_total": ("counter", "Holds, settlements and other writes of the ledger."),
    "proxyapi_request_log_written_total": ("counter", "Requests written to the logs of customers who keep one."),
    "proxyapi_request_log_dropped_total": (
        "counter",
        "Requests missing in such logs: too many at once, or a sick store.",
    ),
    "proxyapi_workers": ("gauge", "Workers alive."),
}


class Metrics:
    """Counters of one worker."""

    def __init__(self) -> None:
        self.requests: defaultdict[tuple[str, str, int], int] = defaultdict(int)
        self.refused: defaultdict[str, int] = defaultdict(int)
        self.upstream_errors: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.fallbacks: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.units: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        """By provider, by unit."""
        self.charged = 0
        self.loss = 0
        self.lines_dropped = 0
        self.gauges: dict[str, Callable[[], int]] = {}
        self._durations = [0] * (len(DURATION_BUCKETS_MS) + 1)
        self._duration_sum = 0.0
        self._first_bytes = [0] * (len(DURATION_BUCKETS_MS) + 1)
        self._first_byte_sum = 0.0

    def finished(self, operation: str, provider: str, status: int, duration_ms: float) -> None:
        self.requests[operation, provider, status] += 1
        self._durations[bisect_left(_BOUNDS_MS, duration_ms)] += 1
        self._duration_sum += duration_ms

    def first_byte(self, milliseconds: float) -> None:
        self._first_bytes[bisect_left(_BOUNDS_MS, milliseconds)] += 1
        self._first_byte_sum += milliseconds

    def snapshot(self) -> dict[str, dict[str, float]]:
        """Everything as plain numbers, to be added to those of other workers."""
        values: dict[str, dict[str, float]] = {
            "proxyapi_requests_total": {
                f'operation="{operation}",provider="{provider}",status="{status}"': count
                for (operation, provider, status), count in self.requests.items()
            },
            "proxyapi_refused_total": {f'code="{code}"': count for code, count in self.refused.items()},
            "proxyapi_upstream_errors_total": {
                f'provider="{provider}",code="{code}"': count
                for (provider, code), count in self.upstream_errors.items()
            },
            "proxyapi_fallbacks_total": {
                f'provider="{provider}",ending="{ending}"': count
                for (provider, ending), count in self.fallbacks.items()
            },
            "proxyapi_units_total": {
                f'provider="{provider}",unit="{unit}"': count
                for provider, units in self.units.items()
                for unit, count in units.items()
            },
            "proxyapi_charged_nanos_total": {"": self.charged},
            "proxyapi_loss_nanos_total": {"": self.loss},
            "proxyapi_log_lines_dropped_total": {"": self.lines_dropped},
            "proxyapi_workers": {"": 1},
        }
        for name, read in self.gauges.items():
            values[name] = {"": read()}
        values |= _histogram("proxyapi_request_duration_ms", self._durations, self._duration_sum)
        values |= _histogram("proxyapi_first_byte_ms", self._first_bytes, self._first_byte_sum)
        return values


def _histogram(name: str, buckets: list[int], total: float) -> dict[str, dict[str, float]]:
    running, values = 0, {}
    for bound, count in zip((*DURATION_BUCKETS_MS, "+Inf"), buckets, strict=True):
        running += count
        values[f'le="{bound}"'] = float(running)
    return {f"{name}_bucket": values, f"{name}_sum": {"": total}, f"{name}_count": {"": running}}


def add(snapshots: Iterable[Snapshot]) -> dict[str, dict[str, float]]:
    """The sum of several workers' snapshots."""
    total: dict[str, dict[str, float]] = {}
    for snapshot in snapshots:
        for name, values in snapshot.items():
            into = total.setdefault(name, {})
            for labels, value in values.items():
                into[labels] = into.get(labels, 0) + value
    return total


def exposition(snapshot: Snapshot) -> bytes:
    """The Prometheus text format, version 0.0.4. https://prometheus.io/docs/instrumenting/exposition_formats/"""
    lines: list[str] = []
    announced = ""
    for name, values in snapshot.items():
        family = name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
        kind, text = _HELP.get(name) or _HELP.get(family) or ("untyped", name)
        family = family if kind == "histogram" else name
        if family != announced:
            lines += [f"# HELP {family} {text}", f"# TYPE {family} {kind}"]
            announced = family
        for labels, value in values.items():
            number = int(value) if value == int(value) else value
            lines.append(f"{name}{{{labels}}} {number}" if labels else f"{name} {number}")
    return ("\n".join(lines) + "\n").encode()


class AccessLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One finished request. Holds no key, no query, no body."""

    time: str
    event: str
    request: str
    method: str
    path: str
    status: int
    peer: str
    ms: float
    first_byte_ms: float = 0.0
    key: int = 0
    account: int = 0
    provider: str = ""
    model: str = ""
    ending: str = ""
    charged: str = ""
    error: str = ""


class Log:
    """JSON lines to a file descriptor, written together a few times a second."""

    def __init__(
        self,
        clock: Callable[[], float],
        metrics: Metrics,
        *,
        descriptor: int = 2,
        access: bool = True,
        later: Callable[[float, Callable[[], None]], object] | None = None,
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self._descriptor = descriptor
        self.access = access
        self._later = later
        self._lines: list[bytes] = []
        self._bytes = 0
        self._encode = msgspec.json.Encoder().encode
        self._second = 0
        self._stamp = ""

    def stamp(self) -> str:
        """The current time, RFC 3339 with milliseconds, UTC."""
        now = self._clock()
        second = int(now)
        if second != self._second:
            self._second = second
            self._stamp = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
        return f"{self._stamp}{int((now - second) * 1000):03d}Z"

    def request(self, line: AccessLine) -> None:
        if self.access:
            self._write(self._encode(line))

    def event(self, event: str, **fields: str | int | float | None) -> None:
        """Something the operator should know. Never pass a secret."""
        self._write(self._encode({"time": self.stamp(), "event": event, **fields}))

    def _write(self, line: bytes) -> None:
        if self._bytes > LINES_BYTES_MAX:
            self._metrics.lines_dropped += 1
            return
        if not self._lines and self._later is not None:
            self._later(0.1, self.flush)
        self._lines.append(line)
        self._bytes += len(line) + 1
        if self._later is None:
            self.flush()

    def flush(self) -> None:
        """Write what waits; what a full pipe does not take is dropped and counted."""
        if not self._lines:
            return
        data = b"\n".join(self._lines) + b"\n"
        count = len(self._lines)
        self._lines, self._bytes = [], 0
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            # A closed or full log must not stop the gateway.
            self._metrics.lines_dropped += count


def place_of(error: BaseException) -> str:
    """File and line where it was raised: of a bug the operator gets the place, never the data."""
    where, trace = "", error.__traceback__
    while trace is not None:
        where, trace = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}", trace.tb_next
    return where
