"""Lists of models in each provider's own shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from proxyapi.sandbox.reading import JsonObject, Refused
from proxyapi.sandbox.reply import Reply, json_reply
from proxyapi.sandbox.request import Request
from proxyapi.sandbox.turn import magic_of

MODELS: Mapping[str, Sequence[str]] = {
    "openai": (
        "gpt-5.2", "gpt-5.1", "gpt-5", "gpt-5-mini", "gpt-5-nano", "gpt-4.1", "gpt-4.1-mini", "gpt-4o", "gpt-4o-mini",
        "gpt-4o-search-preview", "gpt-4o-mini-search-preview", "gpt-audio", "o3", "o4-mini", "computer-use-preview",
        "text-embedding-3-small", "text-embedding-3-large", "omni-moderation-latest", "gpt-image-1", "gpt-image-1-mini",
        "dall-e-3", "tts-1", "gpt-4o-mini-tts", "whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe",
    ),
    "anthropic": (
        "claude-opus-4-5-20251101", "claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001",
        "claude-opus-4-1-20250805", "claude-sonnet-4-20250514", "claude-3-5-haiku-20241022",
    ),
    "google": (
        "gemini-3-pro-preview", "gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-2.0-flash",
        "gemini-embedding-001",
    ),
    "openrouter": (
        "mistralai/mistral-medium-3.1", "openai/gpt-4o-mini", "anthropic/claude-sonnet-4.5", "google/gemini-2.5-flash",
        "deepseek/deepseek-chat-v3.1", "qwen/qwen3-max",
    ),
    "deepseek": ("deepseek-chat", "deepseek-reasoner"),
}  # fmt: skip
"""Names that the sandbox shows; it answers to every other name too."""

MAGIC = ("echo", "tool", "nousage", "fail-429", "slow-1000", "cut-3", "error-3")
"""Examples of the magic names, shown in every list."""

_CREATED = 1_750_000_000
_CREATED_TEXT = "2025-06-15T15:06:40Z"
_INPUT_TOKENS, _OUTPUT_TOKENS = 1_048_576, 65_536


def reply(request: Request, models: Mapping[str, Sequence[str]]) -> Reply:
    """`models`, and `models/{name}`; a name with a vendor has a slash of its own."""
    provider = request.provider
    names = (*models.get(provider, models.get("openai", ())), *MAGIC)
    one = request.path.removeprefix("models").strip("/")
    if one and one not in names and not magic_of(one).kind:
        if provider == "anthropic":
            raise Refused(404, f"model: {one}")
        if provider == "google":
            raise Refused(404, f"Model is not found: models/{one} for api version v1beta")
        raise Refused(404, f"The model '{one}' does not exist", param="model", code="model_not_found")
    if provider == "anthropic":
        return json_reply(_anthropic(one) if one else _anthropic_list(names))
    if provider == "google":
        return json_reply(_google(one) if one else {"models": [_google(name) for name in names]})
    entries = [_openrouter(name) if provider == "openrouter" else _openai(name, provider) for name in (one,) if name]
    if entries:
        return json_reply({"data": entries[0]} if provider == "openrouter" else entries[0])
    listed = [_openrouter(name) if provider == "openrouter" else _openai(name, provider) for name in names]
    return json_reply({"object": "list", "data": listed})


def _openai(name: str, provider: str) -> JsonObject:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": provider or "openai"}


def _anthropic(name: str) -> JsonObject:
    return {
        "type": "model",
        "id": name,
        "display_name": name.replace("-", " ").title(),
        "created_at": _CREATED_TEXT,
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
    }


def _anthropic_list(names: Sequence[str]) -> JsonObject:
    return {
        "data": [_anthropic(name) for name in names],
        "has_more": False,
        "first_id": names[0],
        "last_id": names[-1],
    }


def _google(name: str) -> JsonObject:
    embeds = "embedding" in name
    methods = ["embedContent", "countTokens"] if embeds else ["generateContent", "countTokens"]
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name.replace("-", " ").title(),
        "description": "Answered by the sandbox.",
        "inputTokenLimit": 2_048 if embeds else _INPUT_TOKENS,
        "outputTokenLimit": 1 if embeds else _OUTPUT_TOKENS,
        "supportedGenerationMethods": methods,
    }


def _openrouter(name: str) -> JsonObject:
    return {
        "id": name,
        "canonical_slug": name,
        "name": name,
        "created": _CREATED,
        "description": "Answered by the sandbox.",
        "context_length": 128_000,
        "architecture": {
            "modality": "text->text",
            "input_modalities": ["text"],
            "output_modalities": ["text"],
            "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": {"prompt": "0.00000015", "completion": "0.0000006", "request": "0", "image": "0"},
        "top_provider": {"context_length": 128_000, "max_completion_tokens": 16_384, "is_moderated": False},
        "per_request_limits": None,
        "supported_parameters": ["max_tokens", "stop", "tools", "tool_choice"],
        "default_parameters": None,
        "links": {"details": f"/api/v1/models/{name}/endpoints"},
    }
