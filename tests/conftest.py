"""Fixtures that several kinds of tests share: a real gateway with the sandbox, one per test process."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import requests.certs

hypothesis.settings.register_profile("any-machine", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("any-machine")
"""No verdict by the clock: a busy machine is slow, not wrong. In CI none by luck either: there a change is judged, and
every other run goes on searching."""

FAKES = Path(__file__).parent / "fakes"


def _load(name: str) -> Any:
    """A module of `tests/fakes`, under a name of its own: tests are no package. Tests can import it by that name."""
    full = f"proxyapi_fakes_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, FAKES / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]


fake_gateway = _load("gateway")
fake_upstream = _load("upstream")
fake_replies = _load("replies")
fake_scripted = _load("scripted")
fake_sdks = _load("sdks")
fake_told = _load("told")
fake_postgres = _load("postgres")
for name in (
    "wires", "pairs", "canonical", "yookassa", "endings", "repeated_endings", "upstream_scripts", "visitor", "faulty",
):  # fmt: skip
    _load(name)
for name in ("crowd", "pgproxy", "act"):
    _load(name)


@pytest.fixture(scope="session", autouse=True)
def one_certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every client of an SDK reads the certificates that it trusts, 30 ms a time: here it finds one of them. No test
    speaks TLS to strangers."""
    first, end, _ = Path(requests.certs.where()).read_text("utf-8").partition("-----END CERTIFICATE-----\n")
    file = tmp_path_factory.mktemp("trusted") / "one.pem"
    file.write_text(first + end, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        patch.delenv("SSL_CERT_DIR", raising=False)
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A `PostgresServer`, one per test process, started for the first test that asks for it."""
    with fake_postgres.PostgresServer(fake_postgres.SMALL, folder=fake_postgres.in_memory()) as server:
        server.make_template()
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without rows, once on each engine. Call `migrate`, which has nothing left to do on
    PostgreSQL. Rows that a test inserts with ids of its own have them below 1000."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/proxyapi.db"
        return
    server = request.getfixturevalue("postgres")
    url = server.lend()
    yield url
    server.give_back(url)


@pytest.fixture(scope="session")
def upstreams() -> Any:
    """The module with `FakeUpstream`, `Reply` and `Asked`."""
    return fake_upstream


@pytest.fixture(scope="session")
def replies() -> Any:
    """The module with what providers answer in each dialect."""
    return fake_replies


@pytest.fixture(scope="session")
def sdks() -> Any:
    """The module with `ASK` and `Heard`: the official SDK of each dialect."""
    return fake_sdks


@pytest.fixture(scope="session")
def told() -> Any:
    """The module with `TOLD` and `Told`: what providers of each dialect were asked."""
    return fake_told


@pytest.fixture(scope="session")
def scripted() -> Any:
    """The module with models that follow a script."""
    return fake_scripted


@pytest.fixture(scope="session")
def eventually() -> Any:
    """`eventually(check)`: the first true answer of `check`, polled until a deadline."""
    return fake_gateway.eventually


@pytest.fixture(scope="session")
def gateways() -> Any:
    """The module with `Gateway`."""
    return fake_gateway


@pytest.fixture(scope="session")
def sandboxed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A gateway without configuration: every provider is the sandbox. Shared: make your own account on it."""
    with fake_gateway.Gateway(tmp_path_factory.mktemp("gateway"), "[pause]\nenabled = false\n") as gateway:
        yield gateway


@pytest.fixture(scope="session")
def rich_key(sandboxed: Any) -> str:
    """A key of an account that no test can empty; it may query the balance."""
    sandboxed.account("rich", "1000000")
    return str(sandboxed.key("rich", "--allow-balance"))
