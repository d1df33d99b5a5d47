from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator

import pytest

from proxyapi.telemetry import LINES_BYTES_MAX, AccessLine, Log, Metrics, add, exposition

LINE = AccessLine(time="t", event="request", request="id", method="GET", path="/", status=200, peer="127.0.0.1", ms=1.5)


def text(metrics: Metrics) -> list[str]:
    return exposition(metrics.snapshot()).decode().splitlines()


def test_requests_are_counted_by_operation_provider_and_status() -> None:
    metrics = Metrics()
    metrics.finished("chat", "openai", 200, 3)
    metrics.finished("chat", "openai", 200, 3)
    metrics.finished("chat", "openai", 429, 3)
    lines = text(metrics)
    assert 'proxyapi_requests_total{operation="chat",provider="openai",status="200"} 2' in lines
    assert 'proxyapi_requests_total{operation="chat",provider="openai",status="429"} 1' in lines


def test_a_duration_on_the_bound_of_a_bucket_belongs_into_it() -> None:
    metrics = Metrics()
    for milliseconds in (0.5, 1, 1.1, 300_000, 300_001):
        metrics.finished("chat", "", 200, milliseconds)
    lines = text(metrics)
    assert 'proxyapi_request_duration_ms_bucket{le="1"} 2' in lines
    assert 'proxyapi_request_duration_ms_bucket{le="2"} 3' in lines
    assert 'proxyapi_request_duration_ms_bucket{le="300000"} 4' in lines
    assert 'proxyapi_request_duration_ms_bucket{le="+Inf"} 5' in lines
    assert "proxyapi_request_duration_ms_count 5" in lines
    assert "proxyapi_request_duration_ms_sum 600003.6" in lines


def test_every_family_is_announced_once_before_its_samples() -> None:
    metrics = Metrics()
    metrics.finished("chat", "openai", 200, 3)
    metrics.first_byte(2)
    metrics.refused["invalid_api_key"] += 1
    metrics.gauges["proxyapi_connections"] = lambda: 7
    lines = text(metrics)
    announced = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(announced) == len(set(announced))
    assert lines.count("# TYPE proxyapi_request_duration_ms histogram") == 1
    assert lines.index("# TYPE proxyapi_connections gauge") + 1 == lines.index("proxyapi_connections 7")
    assert "untyped" not in "\n".join(lines)


def test_snapshots_of_workers_add_up_after_a_journey_as_json() -> None:
    one, two = Metrics(), Metrics()
    one.finished("chat", "openai", 200, 3)
    two.finished("chat", "openai", 200, 300)
    two.finished("chat", "openai", 500, 3)
    one.charged, two.charged = 5, 2**62
    total = add([one.snapshot(), json.loads(json.dumps(two.snapshot()))])
    assert total["proxyapi_requests_total"] == {
        'operation="chat",provider="openai",status="200"': 2,
        'operation="chat",provider="openai",status="500"': 1,
    }
    assert total["proxyapi_charged_nanos_total"] == {"": 5 + 2**62}
    assert total["proxyapi_request_duration_ms_count"] == {"": 3}
    assert total["proxyapi_workers"] == {"": 2}
    assert add([]) == {}


# --- the log ---------------------------------------------------------------------------------------------------------


class Later:
    """Remembers what was to be called."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def __call__(self, _seconds: float, call: Callable[[], None]) -> None:
        self.calls.append(call)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    os.close(read)
    os.close(write)


def lines_of(read: int) -> list[dict[str, object]]:
    return [json.loads(line) for line in os.read(read, 1_000_000).splitlines()]


def test_a_line_holds_what_is_known_and_leaves_out_what_is_not(pipe: tuple[int, int]) -> None:
    read, write = pipe
    Log(lambda: 0.0, Metrics(), descriptor=write).request(LINE)
    assert lines_of(read) == [
        {"time": "t", "event": "request", "request": "id", "method": "GET", "path": "/", "status": 200,
         "peer": "127.0.0.1", "ms": 1.5}
    ]  # fmt: skip


def test_an_event_has_its_time_in_utc_with_milliseconds(pipe: tuple[int, int]) -> None:
    read, write = pipe
    log = Log(lambda: 1_700_000_000.0625, Metrics(), descriptor=write)
    log.event("stopped", worker="a")
    assert lines_of(read) == [{"time": "2023-11-14T22:13:20.062Z", "event": "stopped", "worker": "a"}]


def test_lines_are_written_together_when_the_time_has_come(pipe: tuple[int, int]) -> None:
    read, write = pipe
    later = Later()
    log = Log(lambda: 0.0, Metrics(), descriptor=write, later=later)
    for _ in range(3):
        log.request(LINE)
    os.set_blocking(read, False)
    with pytest.raises(BlockingIOError):
        os.read(read, 1)
    assert len(later.calls) == 1
    later.calls[0]()
    assert len(lines_of(read)) == 3
    log.request(LINE)
    assert len(later.calls) == 2


def test_without_the_access_log_events_are_still_written(pipe: tuple[int, int]) -> None:
    read, write = pipe
    log = Log(lambda: 0.0, Metrics(), descriptor=write, access=False)
    log.request(LINE)
    log.event("crash")
    assert [line["event"] for line in lines_of(read)] == ["crash"]


def test_a_reader_that_is_too_slow_costs_lines_and_never_memory() -> None:
    metrics, later = Metrics(), Later()
    log = Log(lambda: 0.0, metrics, descriptor=-1, later=later)
    for _ in range(40):
        log.event("x", text="a" * 50_000)
    assert metrics.lines_dropped > 0
    assert metrics.lines_dropped < 40 - LINES_BYTES_MAX // 60_000
    log.flush()
    assert metrics.lines_dropped == 40, "a closed log loses what waits, and nothing else happens"
    log.flush()
    assert metrics.lines_dropped == 40


def test_a_full_pipe_loses_lines_and_does_not_block(pipe: tuple[int, int]) -> None:
    _, write = pipe
    os.set_blocking(write, False)
    metrics = Metrics()
    log = Log(lambda: 0.0, metrics, descriptor=write)
    for _ in range(20):
        log.event("x", text="a" * 50_000)
    assert 10 < metrics.lines_dropped < 20
