from __future__ import annotations

import pytest

from proxyapi.errors import MethodNotAllowed, NotFound
from proxyapi.gateway import routes


@pytest.mark.parametrize(
    ("method", "path", "operation", "dialect", "provider"),
    [
        ("POST", "/openai/v1/chat/completions", "chat", "openai_chat", "openai"),
        ("POST", "/v1/chat/completions", "chat", "openai_chat", None),
        ("POST", "/openrouter/v1/chat/completions", "chat", "openai_chat", "openrouter"),
        ("POST", "/openrouter/api/v1/chat/completions", "chat", "openai_chat", "openrouter"),
        ("POST", "/openrouter/v1/messages", "messages", "anthropic", "openrouter"),
        ("POST", "/deepseek/chat/completions", "chat", "openai_chat", "deepseek"),
        ("POST", "/deepseek/v1/chat/completions", "chat", "openai_chat", "deepseek"),
        ("POST", "/anthropic/v1/messages", "messages", "anthropic", "anthropic"),
        ("POST", "/anthropic/v1/messages/count_tokens", "count_tokens", "anthropic_count", "anthropic"),
        ("POST", "/v1/messages", "messages", "anthropic", None),
        ("POST", "/openai/v1/responses", "responses", "openai_responses", "openai"),
        ("POST", "/v1/responses/input_tokens", "count_tokens", "openai_count", None),
        ("POST", "/openai/v1/audio/translations", "translation", "openai_transcription", "openai"),
    ],
)
def test_every_documented_address_leads_to_its_operation(
    method: str, path: str, operation: str, dialect: str, provider: str | None
) -> None:
    route = routes.find(method, path)
    assert (route.operation, route.dialect, route.provider) == (operation, dialect, provider)


def test_a_trailing_slash_changes_nothing() -> None:
    assert routes.find("POST", "/openai/v1/chat/completions/") == routes.find("POST", "/openai/v1/chat/completions")


@pytest.mark.parametrize("prefix", ["/google/v1beta", "/google/v1", "/v1beta", "/v1"])
def test_gemini_routes_take_model_and_verb_from_the_path(prefix: str) -> None:
    route = routes.find("POST", f"{prefix}/models/gemini-2.0-flash:streamGenerateContent")
    assert (route.model, route.stream, route.shape) == ("gemini-2.0-flash", True, "google")
    assert route.version == prefix.rpartition("/")[2]


def test_post_with_a_colon_is_gemini_and_get_is_the_model_list() -> None:
    assert routes.find("POST", "/v1/models/gemini-2.0-flash:countTokens").dialect == "gemini_count"
    assert routes.find("GET", "/v1/models").kind == "models"


@pytest.mark.parametrize("path", ["/v1/models/openai/gpt-4o", "/v1/models/openai%2Fgpt-4o"])
def test_a_model_id_may_contain_a_slash(path: str) -> None:
    assert routes.find("GET", path).model == "openai/gpt-4o"


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("GET", "/openai/v1/responses/resp_1", ""),
        ("DELETE", "/v1/responses/resp_1", ""),
        ("POST", "/v1/responses/resp_1/cancel", "cancel"),
        ("GET", "/openai/v1/responses/resp_1/input_items", "input_items"),
    ],
)
def test_stored_responses_have_their_four_routes(method: str, path: str, action: str) -> None:
    route = routes.find(method, path)
    assert (route.kind, route.object_id, route.action) == ("stored", "resp_1", action)


@pytest.mark.parametrize(
    "path", ["/openai/v1/files", "/v1/batches", "/openai/v1/assistants/a", "/openai/v1/fine_tuning/jobs", "/v1/threads"]
)
def test_objects_of_the_operators_account_are_not_in_the_table_and_the_text_says_so(path: str) -> None:
    with pytest.raises(NotFound, match="not available through this gateway"):
        routes.find("POST", path)


def test_one_v1_too_many_gets_a_hint() -> None:
    with pytest.raises(NotFound, match="one /v1 too many"):
        routes.find("POST", "/anthropic/v1/v1/messages")


def test_a_missing_v1_gets_a_hint() -> None:
    with pytest.raises(NotFound, match="Did you mean /openai/v1/chat/completions"):
        routes.find("POST", "/openai/chat/completions")


def test_a_wrong_method_is_told_apart_from_an_unknown_path() -> None:
    with pytest.raises(MethodNotAllowed, match="answers POST, not GET"):
        routes.find("GET", "/openai/v1/chat/completions")
    with pytest.raises(NotFound):
        routes.find("GET", "/nowhere")
    with pytest.raises(NotFound):
        routes.find("GET", "/proxyapi/requests/")


def test_head_goes_where_get_goes() -> None:
    assert routes.find("HEAD", "/anthropic").kind == "hello"


def test_options_names_the_methods_of_a_path() -> None:
    assert routes.methods_of("/v1/models") == ["GET", "HEAD", "OPTIONS"]
    assert routes.methods_of("/openai/v1/chat/completions") == ["POST", "OPTIONS"]
    assert routes.methods_of("/nowhere") == []


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/anthropic/v1/nothing", "anthropic"),
        ("/v1/messages/x", "anthropic"),
        ("/google/v1beta/x", "google"),
        ("/v1beta/x", "google"),
        ("/openai/v1/x", "openai"),
        ("/elsewhere", "openai"),
    ],
)
def test_an_error_is_spelled_in_the_dialect_of_the_path(path: str, shape: str) -> None:
    assert routes.shape_of(path) == shape


def test_an_absurdly_long_name_in_the_path_does_not_exist() -> None:
    with pytest.raises(NotFound, match="too long"):
        routes.find("GET", "/v1/models/" + "x" * 1000)
