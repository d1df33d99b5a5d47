"""Gemini through google-genai, and over plain HTTP what the SDK does not send."""

import io
import struct
import wave
from typing import Any

import pydantic
import pytest
import requests
from google import genai
from google.genai import types

MODEL = "gemini-2.5-flash"


class City(pydantic.BaseModel):
    name: str
    people: int


def weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


def config(**fields: Any) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(**fields)


def test_a_stream_says_what_the_body_says(google_client: genai.Client) -> None:
    body = google_client.models.generate_content(model=MODEL, contents="Что это?")
    chunks = list(google_client.models.generate_content_stream(model=MODEL, contents="Что это?"))
    assert len(chunks) > 5
    assert "".join(chunk.text or "" for chunk in chunks) == body.text
    assert chunks[-1].usage_metadata == body.usage_metadata
    usage = body.usage_metadata
    assert usage is not None and usage.total_token_count is not None
    counts = (usage.prompt_token_count, usage.candidates_token_count, usage.thoughts_token_count)
    assert usage.total_token_count == sum(count or 0 for count in counts)


def test_without_alt_sse_a_stream_is_one_json_array(base: str) -> None:
    body = {"contents": {"parts": {"text": "hello"}}}
    chunks = requests.post(f"{base}/google/v1beta/models/{MODEL}:streamGenerateContent", json=body).json()
    assert len(chunks) > 5
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"


def test_both_spellings_mean_the_same(base: str) -> None:
    url = f"{base}/google/v1/models/echo:generateContent"
    body: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "one two three"}]}]}
    camel = requests.post(url, json={**body, "generationConfig": {"stopSequences": [" two"]}}).json()
    snake = requests.post(url, json={**body, "generation_config": {"stop_sequences": [" two"]}}).json()
    assert camel["candidates"] == snake["candidates"]
    assert camel["candidates"][0]["content"]["parts"] == [{"text": "one"}]


def test_structured_output_parses(google_client: genai.Client) -> None:
    asked = config(response_mime_type="application/json", response_schema=City)
    assert isinstance(google_client.models.generate_content(model=MODEL, contents="x", config=asked).parsed, City)


def test_the_sdk_runs_a_function_and_gets_a_text_that_names_it(google_client: genai.Client) -> None:
    answer = google_client.models.generate_content(model="tool", contents="weather?", config=config(tools=[weather]))
    assert answer.text is not None and "weather" in answer.text and "sunny in Moscow" in answer.text


@pytest.mark.parametrize("model", ["gemini-2.0-flash", "gemini-3-pro-preview"])
def test_forced_functions_are_called_by_any_model(google_client: genai.Client, model: str) -> None:
    asked = config(
        tools=[weather],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        tool_config=types.ToolConfig(
            function_calling_config=types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY)
        ),
    )
    chunks = list(google_client.models.generate_content_stream(model=model, contents="x", config=asked))
    (call,) = [call for chunk in chunks for call in chunk.function_calls or ()]
    assert (call.name, call.args) == ("weather", {"city": "Moscow"})
    assert bool(call.id) is model.startswith("gemini-3")


def test_thoughts_are_shown_when_asked_for_and_counted_anyway(google_client: genai.Client) -> None:
    asked = config(thinking_config=types.ThinkingConfig(include_thoughts=True))
    shown: Any = google_client.models.generate_content(model=MODEL, contents="x", config=asked)
    assert [part.thought for part in shown.candidates[0].content.parts] == [True, None]
    assert shown.candidates[0].content.parts[1].thought_signature
    hidden: Any = google_client.models.generate_content(model=MODEL, contents="x")
    assert len(hidden.candidates[0].content.parts) == 1
    assert hidden.usage_metadata.thoughts_token_count == shown.usage_metadata.thoughts_token_count > 0
    off = config(thinking_config=types.ThinkingConfig(thinking_budget=0))
    quiet: Any = google_client.models.generate_content(model=MODEL, contents="x", config=off)
    assert quiet.usage_metadata.thoughts_token_count is None


def test_a_search_grounds_the_answer_in_bytes(google_client: genai.Client) -> None:
    asked = config(tools=[types.Tool(google_search=types.GoogleSearch())])
    answer: Any = google_client.models.generate_content(model=MODEL, contents="новости", config=asked)
    grounding = answer.candidates[0].grounding_metadata
    assert grounding.web_search_queries == ["новости"]
    segment = grounding.grounding_supports[0].segment
    assert answer.text.encode()[segment.start_index or 0 : segment.end_index].decode() == segment.text


def test_the_ceiling_and_the_count_of_candidates_are_kept(google_client: genai.Client) -> None:
    asked = config(max_output_tokens=4, candidate_count=2, thinking_config=types.ThinkingConfig(thinking_budget=0))
    answer: Any = google_client.models.generate_content(model=MODEL, contents="x", config=asked)
    assert [candidate.finish_reason.name for candidate in answer.candidates] == ["MAX_TOKENS"] * 2
    assert answer.usage_metadata.candidates_token_count == 8


def test_other_modalities_are_real_files(google_client: genai.Client) -> None:
    spoken: Any = google_client.models.generate_content(
        model="gemini-2.5-flash-preview-tts", contents="Say hello", config=config(response_modalities=["AUDIO"])
    )
    inline = spoken.candidates[0].content.parts[0].inline_data
    assert inline.mime_type.startswith("audio/L16") and len(inline.data) % 2 == 0
    with wave.open(io.BytesIO(), "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", "NONE"))
        file.writeframes(inline.data)
    drawn: Any = google_client.models.generate_content(
        model="gemini-2.5-flash-image", contents="A cat", config=config(response_modalities=["TEXT", "IMAGE"])
    )
    (picture,) = [part.inline_data for part in drawn.candidates[0].content.parts if part.inline_data]
    assert struct.unpack_from(">II", picture.data, 16) == (1_024, 1_024)


def test_tokens_are_counted_and_texts_embedded(google_client: genai.Client) -> None:
    counted = google_client.models.count_tokens(model=MODEL, contents="hello")
    body: Any = google_client.models.generate_content(model=MODEL, contents="hello")
    assert counted.total_tokens == body.usage_metadata.prompt_token_count
    embedded: Any = google_client.models.embed_content(
        model="gemini-embedding-001", contents=["a", "b"], config=types.EmbedContentConfig(output_dimensionality=8)
    )
    assert [len(each.values) for each in embedded.embeddings] == [8, 8]


def test_lists_of_models_are_google_s(google_client: genai.Client) -> None:
    names = [model.name for model in google_client.models.list()]
    assert "models/gemini-2.0-flash" in names
    assert google_client.models.get(model=MODEL).input_token_limit
