"""Every client and every provider: official SDKs in front of the gateway, a provider of each dialect behind it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors as google_errors
from google.genai import types

HELLO: Any = [{"role": "user", "content": "Hello"}]
EVENTS = {"content-type": "text/event-stream"}
UPSTREAM_KEY = "sk-upstream-secret"
MODELS = {
    "openai_chat": "openai/gpt-4o-audio-preview",
    "openai_responses": "openai/gpt-5-pro",
    "anthropic": "anthropic/claude-sonnet-4-5",
    "gemini": "google/gemini-2.5-flash",
}
"""By the dialect that is spoken to their providers, whoever asks."""
CAPABLE = ("acme/thinker", "acme/echoing", "openai/gpt-5.6-pro")
"""Further models, for what those cannot do."""
ENDPOINTS = {
    "openai_chat": "/openai/chat/completions",
    "openai_responses": "/openai/responses",
    "anthropic": "/anthropic/v1/messages",
    "gemini": "/google/v1beta/models/",
}
PATHS = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/{model}:generateContent",
}
PAIRS = [(client, provider) for client in PATHS for provider in MODELS if client != provider]
SDK_ERRORS = (openai.APIError, anthropic.APIError, google_errors.APIError)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with `client` and `provider` runs for all pairs of different dialects."""
    if {"client", "provider"} <= set(metafunc.fixturenames):
        metafunc.parametrize(("client", "provider"), PAIRS, ids=[f"{client}-{provider}" for client, provider in PAIRS])


class Told(NamedTuple):
    """What an SDK made of an answer."""

    text: str
    input_tokens: int
    output_tokens: int
    ending: str
    cost: Any


def ask_chat(url: str, key: str, model: str, *, stream: bool) -> Told:
    with openai.OpenAI(api_key=key, base_url=f"{url}/v1", max_retries=0) as client:
        if not stream:
            done = client.chat.completions.create(model=model, messages=HELLO)
            assert done.usage is not None
            choice = done.choices[0]
            usage: Any = done.usage
            return Told(choice.message.content or "", usage.prompt_tokens, usage.completion_tokens,
                        choice.finish_reason, usage.model_extra["cost"])  # fmt: skip
        text, ending, usage = "", "", None
        for chunk in client.chat.completions.create(model=model, messages=HELLO, stream=True):
            if chunk.choices:
                text += chunk.choices[0].delta.content or ""
                ending = chunk.choices[0].finish_reason or ending
            usage = chunk.usage or usage
        assert usage is not None
        return Told(text, usage.prompt_tokens, usage.completion_tokens, ending, usage.model_extra["cost"])


def ask_responses(url: str, key: str, model: str, *, stream: bool) -> Told:
    with openai.OpenAI(api_key=key, base_url=f"{url}/v1", max_retries=0) as client:
        if stream:
            with client.responses.stream(model=model, input="Hello") as events:
                text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
                done: Any = events.get_final_response()
            assert done.output_text == text
        else:
            done = client.responses.create(model=model, input="Hello")
        usage = done.usage
        return Told(done.output_text, usage.input_tokens, usage.output_tokens, done.status, usage.model_extra["cost"])


def ask_messages(url: str, key: str, model: str, *, stream: bool) -> Told:
    with anthropic.Anthropic(api_key=key, base_url=url, max_retries=0) as client:
        if stream:
            text, told = "", None
            with client.messages.stream(model=model, max_tokens=500, messages=HELLO) as events:
                for event in events:
                    if event.type == "text":
                        text += event.text
                    elif event.type == "message_delta":
                        told = event.usage
                done: Any = events.get_final_message()
            assert done.content[0].text == text
        else:
            done = client.messages.create(model=model, max_tokens=500, messages=HELLO)
            told = done.usage
        cost = told.model_extra["cost"] if told is not None and told.model_extra else None
        usage = done.usage
        return Told(done.content[0].text, usage.input_tokens, usage.output_tokens, done.stop_reason, cost)


def ask_gemini(url: str, key: str, model: str, *, stream: bool) -> Told:
    client = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url))
    if stream:
        chunks: Any = list(client.models.generate_content_stream(model=model, contents="Hello"))
    else:
        chunks = [client.models.generate_content(model=model, contents="Hello")]
    usage = chunks[-1].usage_metadata
    text = "".join(chunk.text or "" for chunk in chunks)
    ending = chunks[-1].candidates[0].finish_reason.value
    return Told(text, usage.prompt_token_count, usage.candidates_token_count, ending, None)


ASK: dict[str, Callable[..., Told]] = {
    "openai_chat": ask_chat,
    "openai_responses": ask_responses,
    "anthropic": ask_messages,
    "gemini": ask_gemini,
}


def wants_stream(asked: Any) -> bool:
    return json.loads(asked.body).get("stream") is True or "streamGenerateContent" in asked.path


class World:
    """A gateway, its provider and the clients."""

    models = MODELS
    paths = PATHS
    upstream_key = UPSTREAM_KEY
    errors = SDK_ERRORS
    events = EVENTS

    def __init__(self, gateway: Any, upstream: Any, upstreams: Any, replies: Any, sdks: Any, told: Any) -> None:
        self.gateway = gateway
        self.upstream = upstream
        self.replies = replies
        self.sdks = sdks
        self._told = told
        self._upstreams = upstreams
        self.bodies: dict[str, Callable[..., bytes]] = {
            "openai_chat": replies.chat,
            "openai_responses": replies.response,
            "anthropic": replies.message,
            "gemini": replies.generated,
        }
        self.streams: dict[str, Callable[..., list[bytes]]] = {
            "openai_chat": replies.chat_events,
            "openai_responses": replies.response_events,
            "anthropic": replies.message_events,
            "gemini": replies.generated_events,
        }

    @property
    def asked(self) -> list[Any]:
        """What the provider was asked so far."""
        return list(self.upstream.asked)

    @staticmethod
    def spoken(path: str) -> str:
        """The dialect of a path at the provider."""
        path = path.replace("/acme/", "/openai/")
        return next(dialect for dialect, start in ENDPOINTS.items() if path.startswith(start))

    def answer(self, reply: Any = None, **options: Any) -> None:
        """What the provider answers from now on: a function of what it is asked, or the fields of a `Reply`."""
        self.upstream.reply = reply if callable(reply) else lambda _asked: self._upstreams.Reply(**options)

    def reply(self, **options: Any) -> Any:
        return self._upstreams.Reply(**options)

    def usual(self, asked: Any) -> Any:
        """As it was asked: in its dialect, a body or a stream."""
        dialect = self.spoken(asked.path)
        if wants_stream(asked):
            return self.reply(headers=EVENTS, chunks=self.streams[dialect]())
        return self.reply(body=self.bodies[dialect]("one two three"))

    def saying(self, said: Any) -> Callable[[Any], Any]:
        """Whoever is asked says this, as it was asked."""

        def reply(asked: Any) -> Any:
            dialect = self.spoken(asked.path)
            if wants_stream(asked):
                return self.reply(headers=EVENTS, chunks=self.replies.SAID_STREAMS[dialect](said))
            return self.reply(body=self.replies.SAID_BODIES[dialect](said))

        return reply

    def told(self, provider: str, asked: Any) -> Any:
        """The essentials of what a provider was asked."""
        return self._told.TOLD[provider](json.loads(asked.body))

    def ask(self, client: str, provider: str, key: str, *, stream: bool) -> Told:
        """By the client's official SDK."""
        return ASK[client](self.gateway.url, key, MODELS[provider], stream=stream)

    @staticmethod
    def body(client: str, provider: str, **more: Any) -> dict[str, Any]:
        if client == "gemini":
            return {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]} | more
        said = {"input": "Hello"} if client == "openai_responses" else {"messages": HELLO}
        return {"model": MODELS[provider], **said, **({"max_tokens": 500} if client == "anthropic" else {})} | more

    def post(
        self, client: str, provider: str, key: str, headers: dict[str, str] | None = None, **more: Any
    ) -> tuple[int, dict[str, str], Any]:
        """Without an SDK: status, headers, and the answer read."""
        path, body = PATHS[client].format(model=MODELS[provider]), self.body(client, provider, **more)
        status, told, text = self.gateway.request("POST", path, key=key, body=body, headers=headers)
        return status, told, json.loads(text)


@pytest.fixture(scope="session")
def world(
    gateways: Any, upstreams: Any, replies: Any, sdks: Any, told: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    with upstreams.FakeUpstream(upstreams.Reply()) as fake:
        config = "[pause]\nenabled = false\n" + "".join(
            f'[providers.{name}]\nbase_url = "{fake.url}/{name}"\napi_key = "{UPSTREAM_KEY}"\n'
            for name in ("openai", "anthropic", "google", "acme")
        )
        config += '[providers.acme.quirks]\ncache_mark_field = "cache_control"\n'
        config += '[[providers.acme.models]]\nmatch = "echoing"\necho_reasoning = true\n'
        prices = dict.fromkeys((*MODELS.values(), *CAPABLE), ("100", "500"))
        with gateways.Gateway(tmp_path_factory.mktemp("translation"), config, prices=prices) as running:
            yield World(running, fake, upstreams, replies, sdks, told)
            running.assert_clean()


@pytest.fixture
def usual(world: World) -> World:
    """The provider answers as it is asked."""
    world.answer(world.usual)
    return world


@pytest.fixture
def customer(world: World) -> tuple[str, str]:
    """Account and key."""
    found: tuple[str, str] = world.gateway.customer("100000")
    return found


@pytest.fixture
def key(customer: tuple[str, str]) -> str:
    return customer[1]
