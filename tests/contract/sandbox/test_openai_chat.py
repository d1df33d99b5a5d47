"""Chat Completions and legacy completions through the openai SDK."""

import base64
import io
import json
import wave
from typing import Any

import openai
import pydantic
import pytest

USER = {"role": "user", "content": "Что такое песочница?"}
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CLOCK: Any = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}


class City(pydantic.BaseModel):
    name: str
    people: int
    districts: list[str]


def test_a_stream_says_what_the_body_says_and_ends_with_the_same_usage(openai_client: openai.OpenAI) -> None:
    create: Any = openai_client.chat.completions.create
    body = create(model="gpt-4o", messages=[USER])
    chunks = list(create(model="gpt-4o", messages=[USER], stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == body.choices[0].message.content
    assert len(chunks) > 8
    assert (chunks[-1].choices, chunks[-1].usage) == ([], body.usage)
    assert body.usage.total_tokens == body.usage.prompt_tokens + body.usage.completion_tokens
    assert chunks[-2].choices[0].finish_reason == body.choices[0].finish_reason == "stop"


def test_usage_is_not_streamed_unless_asked_for(openai_client: openai.OpenAI) -> None:
    create: Any = openai_client.chat.completions.create
    assert all(chunk.usage is None for chunk in create(model="gpt-4o", messages=[USER], stream=True))


def test_several_choices_differ_and_each_one_ends(openai_client: openai.OpenAI) -> None:
    create: Any = openai_client.chat.completions.create
    assert len({choice.message.content for choice in create(model="gpt-4o", messages=[USER], n=3).choices}) == 3
    chunks = list(create(model="gpt-4o", messages=[USER], n=3, stream=True))
    assert sorted(c.choices[0].index for c in chunks if c.choices[0].finish_reason) == [0, 1, 2]


def test_max_tokens_and_stop_end_the_answer(openai_client: openai.OpenAI) -> None:
    create: Any = openai_client.chat.completions.create
    short = create(model="gpt-4o", messages=[USER], max_completion_tokens=5)
    assert (short.choices[0].finish_reason, short.usage.completion_tokens) == ("length", 5)
    stopped = create(model="echo", messages=[{"role": "user", "content": "one two three"}], stop=[" three"])
    assert (stopped.choices[0].message.content, stopped.choices[0].finish_reason) == ("one two", "stop")


def test_structured_output_parses(openai_client: openai.OpenAI) -> None:
    parsed = openai_client.chat.completions.parse(model="gpt-4o", messages=[USER], response_format=City)  # type: ignore[list-item]
    assert isinstance(parsed.choices[0].message.parsed, City)
    create: Any = openai_client.chat.completions.create
    free = create(model="gpt-4o", messages=[USER], response_format={"type": "json_object"})
    assert isinstance(json.loads(free.choices[0].message.content), dict)


def test_the_stream_helper_collects_parallel_tool_calls(openai_client: openai.OpenAI) -> None:
    with openai_client.chat.completions.stream(
        model="tool",
        messages=[USER],
        tools=[WEATHER, CLOCK],
        parallel_tool_calls=True,  # type: ignore[list-item]
    ) as stream:
        for _ in stream:
            pass
        choice = stream.get_final_completion().choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    assert [(call.function.name, call.function.arguments) for call in choice.message.tool_calls] == [
        ("weather", '{"city":"Moscow"}'),
        ("clock", "{}"),
    ]


def test_a_tool_loop_ends_with_a_text_that_names_the_tool(openai_client: openai.OpenAI) -> None:
    create: Any = openai_client.chat.completions.create
    messages: list[Any] = [USER]
    message = create(model="tool", messages=messages, tools=[WEATHER]).choices[0].message
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "+20"}
    answer = create(model="tool", messages=[*messages, message, result], tools=[WEATHER]).choices[0]
    assert answer.finish_reason == "stop"
    assert "weather" in answer.message.content and "+20" in answer.message.content


@pytest.mark.parametrize("stream", [False, True])
def test_custom_tools_and_legacy_functions_are_called_in_their_own_form(
    openai_client: openai.OpenAI, stream: bool
) -> None:
    create: Any = openai_client.chat.completions.create
    custom = {"type": "custom", "custom": {"name": "shell"}}
    answer = create(model="tool", messages=[USER], tools=[custom], stream=stream)
    if stream:
        deltas = [chunk.choices[0].delta.tool_calls for chunk in answer if chunk.choices[0].delta.tool_calls]
        assert deltas[0][0].model_extra["custom"]["name"] == "shell"
    else:
        assert answer.choices[0].message.tool_calls[0].custom.name == "shell"
    answer = create(model="tool", messages=[USER], functions=[WEATHER["function"]], stream=stream)
    if stream:
        calls = [chunk.choices[0].delta.function_call for chunk in answer if chunk.choices[0].delta.function_call]
        assert (calls[0].name, "".join(call.arguments for call in calls)) == ("weather", '{"city":"Moscow"}')
    else:
        assert answer.choices[0].finish_reason == "function_call"


def test_reasoning_models_count_hidden_reasoning(openai_client: openai.OpenAI) -> None:
    create: Any = openai_client.chat.completions.create
    usage = create(model="o4-mini", messages=[USER]).usage
    assert 0 < usage.completion_tokens_details.reasoning_tokens < usage.completion_tokens
    quiet = create(model="gpt-5.1", messages=[USER], reasoning_effort="none").usage
    assert quiet.completion_tokens_details.reasoning_tokens == 0


def test_a_long_prompt_is_partly_cached(openai_client: openai.OpenAI) -> None:
    create: Any = openai_client.chat.completions.create
    usage = create(model="gpt-4o", messages=[{"role": "user", "content": "word " * 4_000}]).usage
    assert 0 < usage.prompt_tokens_details.cached_tokens < usage.prompt_tokens
    assert usage.prompt_tokens_details.cached_tokens % 128 == 0


@pytest.mark.parametrize("stream", [False, True])
def test_the_search_model_cites_inside_its_text(openai_client: openai.OpenAI, stream: bool) -> None:
    create: Any = openai_client.chat.completions.create
    answer = create(model="gpt-4o-search-preview", web_search_options={}, messages=[USER], stream=stream)
    if stream:
        deltas = [chunk.choices[0].delta for chunk in answer]
        text = "".join(delta.content or "" for delta in deltas)
        (annotation,) = [a for delta in deltas for a in (delta.model_extra or {}).get("annotations", ())]
        cited = annotation["url_citation"]
    else:
        text = answer.choices[0].message.content
        (annotation,) = answer.choices[0].message.annotations
        cited = annotation.url_citation.model_dump()
    assert cited["url"] in text[cited["start_index"] : cited["end_index"]]


def test_the_audio_modality_answers_a_real_wav(openai_client: openai.OpenAI) -> None:
    create: Any = openai_client.chat.completions.create
    answer = create(
        model="gpt-audio", modalities=["text", "audio"], audio={"voice": "alloy", "format": "wav"}, messages=[USER]
    )
    audio = answer.choices[0].message.audio
    with wave.open(io.BytesIO(base64.b64decode(audio.data))) as file:
        assert file.getnframes() / file.getframerate() == pytest.approx(len(audio.transcript) / 14, abs=0.01)
    assert answer.usage.completion_tokens_details.audio_tokens > 0


def test_log_probabilities_cover_the_text(openai_client: openai.OpenAI) -> None:
    create: Any = openai_client.chat.completions.create
    choice = create(model="gpt-4o", messages=[USER], logprobs=True, top_logprobs=2).choices[0]
    assert "".join(entry.token for entry in choice.logprobs.content) == choice.message.content
    assert len(choice.logprobs.content[0].top_logprobs) == 2


def test_legacy_completions_answer_every_prompt(openai_client: openai.OpenAI) -> None:
    create: Any = openai_client.completions.create
    answer = create(model="gpt-3.5-turbo-instruct", prompt=["one", "two"], max_tokens=100)
    assert [choice.index for choice in answer.choices] == [0, 1]
    chunks = list(create(model="echo", prompt="say it", stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == "say it"
    assert chunks[-1].usage.prompt_tokens > 0


def test_openrouter_and_deepseek_stream_their_own_extras(base: str) -> None:
    for provider, model in (("openrouter", "deepseek/deepseek-r1:free"), ("deepseek", "deepseek-reasoner")):
        client: Any = openai.OpenAI(api_key="none", base_url=f"{base}/{provider}/v1", max_retries=0)
        extra = {"include_reasoning": True} if provider == "openrouter" else None
        stream = client.chat.completions.create(
            model=model, messages=[USER], stream=True, stream_options={"include_usage": True}, extra_body=extra
        )
        chunks = list(stream)
        field = "reasoning" if provider == "openrouter" else "reasoning_content"
        assert "".join((c.choices[0].delta.model_extra or {}).get(field, "") for c in chunks if c.choices)
        usage = chunks[-1].usage
        assert usage.model_extra.get("cost" if provider == "openrouter" else "prompt_cache_miss_tokens")
        if provider == "openrouter":
            assert chunks[0].id.startswith("gen-") and chunks[0].model_extra["provider"] == "Sandbox"
        else:
            assert chunks[-1].choices[0].finish_reason == "stop"
        client.close()
