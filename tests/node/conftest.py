"""The real coding agents, not interactive, before a gateway whose providers are scripted models.

`make test-node` installs the agents and runs these tests. Each agent gets an empty home and folder, the settings that
`docs/start/agents.md` shows, and a web proxy that lets nobody out and notes who tried.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

MODULES = Path(__file__).parent / "node_modules"
ANSWER_SECONDS = 60.0
SECRET = "the launch code is 4711"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cfc0f01f00050001ff89993d1d"
    "0000000049454e44ae426082"
)
"""One pixel."""

LOCAL = "local/llama"
"""A model behind a server of the operator's own, which speaks Chat Completions."""
ALIASES = {"gpt-5.5": "anthropic/claude-sonnet-4-5", "gpt-6.1-terra": "anthropic/claude-sonnet-4-5"}
"""Names that Codex knows, so that it sends all the tools that it has for them."""


class Ran(NamedTuple):
    """A program that has ended."""

    code: int
    output: str
    errors: str


@dataclass(frozen=True)
class Seen:
    """A request for a turn of the conversation, as a provider received it."""

    tools: dict[str, Any]
    turns: list[Any]
    states: list[str]
    history: list[Any]
    body: Any
    headers: dict[str, str]


@dataclass
class Stage:
    """An agent's home, its key, and the provider that answers it. Its folder has `notes.txt` and `dot.png`."""

    gateway: Any
    provider: Any
    outside: Any
    scripted: Any
    home: Path
    folder: Path
    account: str
    key: str
    script: list[Any] = field(default_factory=list)
    secret: str = SECRET
    """What the notes say."""

    def plays(self, *script: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """What the model will do: turns of calls."""
        self.script = [[self.scripted.Do(*call) for call in turn] for turn in script]
        self.provider.reply = self.scripted.Scripted(*self.script)

    def run(self, program: Path, *words: str, **environ: str) -> Ran:
        """Runs an agent to its end. All that it needs to know is in its words, its home and its environment."""
        if not program.exists():
            pytest.skip(f"{program.relative_to(MODULES)}: npm has no such package for this platform")
        proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), self.outside.url)
        proxies |= {name.upper(): url for name, url in proxies.items()}
        loopback = {"no_proxy": "127.0.0.1,localhost", "NO_PROXY": "127.0.0.1,localhost"}
        child = subprocess.Popen(
            [str(program), *words], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), "NO_COLOR": "1", **proxies, **loopback, **environ},
        )  # fmt: skip
        try:
            output, errors = child.communicate(timeout=ANSWER_SECONDS)
        except subprocess.TimeoutExpired:
            # Some run themselves once more: all of their processes have to end, or their pipes stay open.
            os.killpg(child.pid, signal.SIGKILL)
            output, errors = child.communicate()
            errors += f"\nno answer within {ANSWER_SECONDS:.0f} s"
        return Ran(child.returncode, output, errors)

    def seen(self) -> list[Seen]:
        """The requests of the conversation, without those for a title and the like."""
        found = []
        for asked in self.provider.asked:
            vendor, body = self.scripted.vendor_of(asked.path), json.loads(asked.body)
            if tools := vendor.tools(body):
                turns, states = vendor.turns(body), vendor.states(body)
                found.append(Seen(tools, turns, states, vendor.history(body), body, asked.headers))
        return found

    def has_played(self, ran: Ran, *, same_tools: bool = True) -> list[Seen]:
        """Checks what every conversation has to show, and returns its requests.

        The agent ended well. The provider got each turn's calls and their results, each with the id that it gave the
        call, and every request began with the one before it: a provider finds it in its cache. Every request is paid
        for, and nobody tried to reach the outside.
        """
        assert ran.code == 0, f"{ran.errors}\n{ran.output}"
        assert not [(asked.method, asked.path) for asked in self.outside.asked]
        seen = self.seen()
        assert len(seen) == len(self.script) + 1, ran.output
        before: list[Any] = []
        for number, request in enumerate(seen):
            assert [[(call.name, call.arguments) for call in calls] for calls, _ in request.turns] == [
                [(call.tool, call.arguments) for call in calls] for calls in self.script[:number]
            ]
            for calls, results in request.turns:
                assert sorted(result.id for result in results) == sorted(call.id or call.name for call in calls)
            assert request.history[: len(before)] == before
            before = request.history
            assert list(request.tools) == list(seen[0].tools) or not same_tools
        self.is_paid()
        return seen

    def is_paid(self) -> None:
        """Each request that reached a provider is one settled entry by the usage that it reported; nothing is held."""
        self.gateway.assert_clean()
        entries = self.gateway.entries(self.account)
        endings = [(entry["kind"], entry["source"], entry["ending"]) for entry in entries]
        assert endings == [("settle", "reported", "completed")] * len(self.provider.asked)
        assert all(entry["charged"] > 0 for entry in entries)


@pytest.fixture(scope="session")
def provider(upstreams: Any) -> Iterator[Any]:
    """All providers: which one is asked, and in which API, the path says."""
    with upstreams.FakeUpstream(upstreams.Reply(status=500)) as fake:
        yield fake


@pytest.fixture(scope="session")
def outside(upstreams: Any) -> Iterator[Any]:
    """A web proxy that lets nobody through."""
    with upstreams.FakeUpstream(upstreams.Reply(status=403)) as fake:
        yield fake


@pytest.fixture(scope="session")
def gateway(gateways: Any, provider: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    providers = "".join(
        f'[providers.{name}]\nbase_url = "{provider.url}/{name}"\napi_key = "sk-upstream"\n'
        for name in ("openai", "anthropic", "google", "local")
    )
    aliases = "".join(f'"{name}" = "{model}"\n' for name, model in ALIASES.items())
    config = f"{providers}[aliases]\n{aliases}"
    folder = tmp_path_factory.mktemp("gateway")
    with gateways.Gateway(folder, config, prices={LOCAL: ("10", "30")}) as running:
        yield running


@pytest.fixture
def stage(gateway: Any, provider: Any, outside: Any, scripted: Any, tmp_path: Path) -> Stage:
    home, folder = tmp_path / "home", tmp_path / "folder"
    home.mkdir()
    folder.mkdir()
    (folder / "notes.txt").write_text(f"{SECRET}\n")
    (folder / "dot.png").write_bytes(PNG)
    provider.asked.clear()
    outside.asked.clear()
    account, key = gateway.customer("100000")
    return Stage(gateway, provider, outside, scripted, home, folder, account, key)
