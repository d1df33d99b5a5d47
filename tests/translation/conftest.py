"""What must hold of translation, statement by statement. Each test names its number; `test_statements.py` counts them.

C is OpenAI Chat Completions, R OpenAI Responses, M Anthropic Messages, G Gemini generateContent; `A->B`: the client
speaks A, the provider B. Most statements are about two codecs and what joins them (`Pair`); those about statuses,
connections and retries have a whole gateway, `served`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from proxyapi_fakes_pairs import HELLO
from proxyapi_fakes_wires import encode, framed

MODELS = {
    "C": "acme/plain",
    "R": "openai/gpt-5-pro",
    "M": "anthropic/claude-sonnet-4-5",
    "G": "google/gemini-2.5-flash",
}
"""By the dialect that their providers are spoken to in."""
SPARED = {
    "C": "acme/spared",
    "R": "openai/o3-pro",
    "M": "anthropic/claude-opus-4-5",
    "G": "google/gemini-2.5-pro",
}
"""The same, with a fallback."""
FALLBACK = "acme/fallback"
PATHS = {"C": "/v1/chat/completions", "R": "/v1/responses", "M": "/v1/messages"}
NAMES = {"C": "openai_chat", "R": "openai_responses", "M": "anthropic", "G": "gemini"}
EVENTS = {"content-type": "text/event-stream"}


def kind_of(body: bytes) -> dict[str, str]:
    return EVENTS if body.startswith(b"data: ") else {"content-type": "application/json"}


class Served(NamedTuple):
    """A gateway with a provider of each dialect behind it."""

    gateway: Any
    upstream: Any
    upstreams: Any

    def request(
        self, way: str, *, stream: bool = False, spared: bool = False, **more: Any
    ) -> tuple[str, dict[str, Any]]:
        """Path and body of a client's request to the provider's model; `spared`: to one that has a fallback."""
        client, model = way[0], (SPARED if spared else MODELS)[way[-1]]
        body = HELLO[NAMES[client]] | more
        if client == "G":
            action = "streamGenerateContent?alt=sse" if stream else "generateContent"
            return f"/v1beta/models/{model}:{action}", body
        return PATHS[client], body | {"model": model} | ({"stream": True} if stream else {})

    def post(self, way: str, key: str, *, stream: bool = False, **more: Any) -> tuple[int, dict[str, str], bytes]:
        path, body = self.request(way, stream=stream, **more)
        status, headers, data = self.gateway.request("POST", path, key=key, body=body)
        return status, headers, data

    def answer(
        self, way: str, said: Any, *, status: int = 200, sse: bool = False, fallback: Any = None, **headers: str
    ) -> None:
        """What the provider answers: a body, or events. `fallback`: what the one behind it does, which speaks Chat."""
        kind = EVENTS if sse else {"content-type": "application/json"}
        named = kind | {name.replace("_", "-"): value for name, value in headers.items()}
        body = said if isinstance(said, bytes) else framed(NAMES[way[-1]], said) if sse else encode(said)
        reply = self.upstreams.Reply(status=status, headers=named, body=body)
        spare = fallback and self.upstreams.Reply(headers=kind_of(fallback), body=fallback)
        name = FALLBACK.partition("/")[2].encode()
        self.upstream.reply = lambda asked: spare if spare and name in asked.body else reply

    @property
    def asked(self) -> Any:
        """The last body that the provider got."""
        return json.loads(self.upstream.asked[-1].body)


@pytest.fixture(scope="session")
def served(gateways: Any, upstreams: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with upstreams.FakeUpstream(upstreams.Reply()) as fake:
        config = "[pause]\nenabled = false\n" + "".join(
            f'[providers.{name}]\nbase_url = "{fake.url}/{name}"\napi_key = "sk-upstream"\n'
            for name in ("openai", "anthropic", "google", "acme")
        )
        config += "[fallbacks]\n" + "".join(f'"{model}" = ["{FALLBACK}"]\n' for model in SPARED.values())
        prices = dict.fromkeys((*MODELS.values(), *SPARED.values(), FALLBACK), ("100", "500"))
        with gateways.Gateway(tmp_path_factory.mktemp("statements"), config, prices=prices) as running:
            yield Served(running, fake, upstreams)
            running.assert_clean()


@pytest.fixture
def key(served: Served) -> str:
    return str(served.gateway.customer("100000")[1])
