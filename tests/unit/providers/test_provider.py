"""Providers as they are reached: addresses, credentials, paths."""

from __future__ import annotations

import pytest

from proxyapi.errors import SettingsError
from proxyapi.providers.provider import NAMES, ProviderConfig, load_providers


def test_the_shipped_providers_have_their_addresses() -> None:
    providers = load_providers({})
    assert set(providers) == set(NAMES)
    assert providers["openai"].host == "api.openai.com"
    assert providers["openai"].path("openai_chat", "chat") == "/v1/chat/completions"
    assert providers["anthropic"].path("anthropic", "messages") == "/v1/messages"
    assert providers["deepseek"].path("openai_chat", "chat") == "/chat/completions"
    assert providers["openrouter"].path("anthropic", "messages") == "/api/v1/messages"
    assert providers["openai"].path("openai_transcription", "translation") == "/v1/audio/translations"
    assert not any(provider.connected for provider in providers.values())


def test_geminis_paths_carry_version_model_and_method() -> None:
    google = load_providers({})["google"]
    path = google.path("gemini", "generate", model="a/b?c", version="v1", action="streamGenerateContent")
    assert path == "/v1/models/a%2Fb%3Fc:streamGenerateContent"
    assert google.path("gemini", "generate", model="m") == "/v1beta/models/m:generateContent"


def test_every_provider_has_its_own_form_of_credential() -> None:
    providers = load_providers({name: ProviderConfig(key="k") for name in NAMES})
    assert providers["openai"].credential() == ("authorization", "Bearer k")
    assert providers["anthropic"].credential() == ("x-api-key", "k")
    assert providers["google"].credential() == ("x-goog-api-key", "k")
    assert all(provider.connected for provider in providers.values())


def test_another_address_replaces_its_own() -> None:
    config = ProviderConfig(base_url="http://[::1]:8081/proxy/v1/", key="k", on_gone="drain")
    openai = load_providers({"openai": config})["openai"]
    assert (openai.origin, openai.host) == (("http", "::1", 8081), "[::1]:8081")
    assert openai.path("openai_chat", "chat") == "/proxy/v1/chat/completions"
    assert openai.on_gone == "drain"


def test_a_provider_of_the_operators_own_speaks_chat_completions() -> None:
    acme = load_providers({"acme": ProviderConfig(base_url="http://llm.local:8000/v1")})["acme"]
    assert acme.connected
    assert acme.title == "acme"
    assert acme.path("openai_chat", "chat") == "/v1/chat/completions"
    assert acme.serves("openai_chat", "chat")
    assert not acme.serves("anthropic", "messages")


def test_the_sandbox_serves_every_dialect_in_another_ones_place() -> None:
    sandbox = load_providers({"sandbox": ProviderConfig(base_url="http://127.0.0.1:9")})["sandbox"]
    for provider in load_providers({}).values():
        for dialect, path in provider.paths.items():
            for operation in [dialect] if isinstance(path, str) else path:
                assert sandbox.serves(dialect, operation)
    assert sandbox.path("openai_chat", "chat") == "/openai/v1/chat/completions"


def test_a_switched_off_sandbox_is_not_there() -> None:
    config = ProviderConfig(base_url="http://127.0.0.1:9", enabled=False)
    assert "sandbox" not in load_providers({"sandbox": config})


@pytest.mark.parametrize(
    "url", ["api.example.com", "ftp://example.com", "http://", "http://x:y", "http://a@b", "http://a?b"]
)
def test_a_wrong_address_names_the_setting(url: str) -> None:
    with pytest.raises(SettingsError, match=r"providers\.openai"):
        load_providers({"openai": ProviderConfig(base_url=url)})


def test_no_repr_shows_a_key() -> None:
    config = ProviderConfig(key="sk-secret")
    assert "sk-secret" not in repr(config)
    assert "sk-secret" not in repr(load_providers({"openai": config})["openai"])
