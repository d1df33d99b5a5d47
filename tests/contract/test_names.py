"""Names of models and addresses: every unified route takes every vendor's model, and keys allow what they name."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

CHAT = {"messages": [{"role": "user", "content": "Hello there"}], "max_tokens": 64}
ROUTES: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", CHAT),
    "responses": ("/v1/responses", {"input": "Hello there", "max_output_tokens": 64}),
    "messages": ("/v1/messages", CHAT),
    "v1beta": ("/v1beta/models/{model}:generateContent", {"contents": [{"parts": [{"text": "Hello there"}]}]}),
    "v1": ("/v1/models/{model}:generateContent", {"contents": [{"parts": [{"text": "Hello there"}]}]}),
}
every_route = pytest.mark.parametrize("route", ROUTES)


def ask(gateway: Any, key: str, route: str, model: str, **more: Any) -> tuple[int, str]:
    """Status and body of one small request."""
    path, body = ROUTES[route]
    named = body if "{model}" in path else body | {"model": model}
    status, _, answer = gateway.request("POST", path.replace("{model}", model), key=key, body=named, **more)
    return status, answer.decode()


@every_route
def test_magic_models_answer_in_every_dialect(sandboxed: Any, rich_key: str, route: str) -> None:
    status, answer = ask(sandboxed, rich_key, route, "sandbox/echo")
    assert (status, "Hello there" in answer) == (200, True), answer
    assert ask(sandboxed, rich_key, route, "sandbox/fail-418")[0] == 418


@every_route
@pytest.mark.parametrize("vendor", ["openai", "anthropic", "google", "openrouter", "deepseek"])
def test_magic_models_speak_the_dialect_of_any_vendor(sandboxed: Any, rich_key: str, route: str, vendor: str) -> None:
    status, answer = ask(sandboxed, rich_key, route, f"sandbox/{vendor}/echo")
    assert (status, "Hello there" in answer) == (200, True), answer


@every_route
@pytest.mark.parametrize(
    "model",
    [
        "openai/gpt-4o",
        "openai/gpt-5",
        "openai/gpt-5-pro",
        "anthropic/claude-sonnet-4-5",
        "google/gemini-2.5-flash",
        "gemini/gemini-2.5-flash",
        "deepseek/deepseek-chat",
        "mistralai/mistral-medium-3.1",
        "openrouter/anthropic/claude-sonnet-4.5",
    ],
)
def test_every_unified_route_takes_every_vendors_model(sandboxed: Any, rich_key: str, route: str, model: str) -> None:
    status, answer = ask(sandboxed, rich_key, route, model)
    assert status == 200, answer


@pytest.mark.parametrize("route", ["v1beta", "v1"])
def test_a_slash_in_a_path_may_be_escaped(sandboxed: Any, rich_key: str, route: str) -> None:
    for name in ("google/gemini-2.5-flash", urllib.parse.quote("google/gemini-2.5-flash", safe="")):
        assert ask(sandboxed, rich_key, route, name)[0] == 200


def test_a_host_name_of_openai_changes_nothing(sandboxed: Any, rich_key: str) -> None:
    host = {"host": "openai.api.example.com"}
    assert ask(sandboxed, rich_key, "chat", "openai/gpt-4o", headers=host)[0] == 200
    assert sandboxed.request("GET", "/v1/models/openai/gpt-4o", key=rich_key, headers=host)[0] == 200


def test_googles_unified_list_has_names_that_can_be_asked_for(sandboxed: Any, rich_key: str) -> None:
    listed = json.loads(sandboxed.request("GET", "/v1beta/models", key=rich_key)[2])["models"]
    names = {model["name"] for model in listed}
    assert {"models/google/gemini-2.5-flash", "models/openai/gpt-4o"} <= names
    assert sandboxed.request("GET", "/v1beta/models/google/gemini-2.5-flash", key=rich_key)[0] == 200


def test_a_key_allows_unified_names_and_a_bare_one_at_its_own_vendor(sandboxed: Any) -> None:
    key = sandboxed.customer("100", "--model", "openai/*")[1]
    assert ask(sandboxed, key, "chat", "openai/gpt-4o")[0] == 200
    assert ask(sandboxed, key, "chat", "gpt-4o")[0] == 200
    assert sandboxed.request("POST", "/openai/v1/chat/completions", key=key, body=CHAT | {"model": "gpt-4o"})[0] == 200
    for model in ("openrouter/openai/gpt-4o", "anthropic/claude-sonnet-4-5"):
        assert ask(sandboxed, key, "chat", model)[0] == 403, model


@pytest.fixture(scope="module")
def aliased(gateways: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    config = '[aliases]\nfast = "openai/gpt-4o-mini"\n"our/best" = "google/gemini-2.5-pro"\n'
    with gateways.Gateway(tmp_path_factory.mktemp("aliases"), config) as gateway:
        yield gateway


def test_an_operators_names_work_everywhere(aliased: Any) -> None:
    account, key = aliased.customer()
    assert ask(aliased, key, "chat", "fast")[0] == 200
    assert aliased.last_entry(account)["model"] == "openai/gpt-4o-mini"
    native = aliased.request("POST", "/openai/v1/chat/completions", key=key, body=CHAT | {"model": "fast"})
    assert native[0] == 200
    assert ask(aliased, key, "v1beta", "our/best")[0] == 200
    assert aliased.last_entry(account, 3)["model"] == "google/gemini-2.5-pro"
