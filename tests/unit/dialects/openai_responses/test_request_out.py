"""OpenAI Responses: a canonical request for a provider, but for its messages and tools."""

import pytest
from msgspec import Raw
from msgspec.structs import replace

from proxyapi.dialects.codec import Untranslatable
from proxyapi.dialects.model import (
    CacheOptions,
    JsonObject,
    JsonSchema,
    Message,
    PlainText,
    Reasoning,
    Request,
    Sampling,
    Storage,
    Text,
)

HELLO = Request(model="m", messages=(Message(role="user", parts=(Text("Hello"),)),))
BOUND = Raw(b'{"type":"object","properties":{},"additionalProperties":false}')


@pytest.fixture
def body(encode):
    def run(quirks=(), **fields):
        return encode(replace(HELLO, **fields), **dict(quirks))

    return run


def test_the_model_is_the_providers_and_nothing_is_kept_unless_asked(body):
    wire, encoded = body()
    assert wire == {
        "model": "gpt-5",
        "input": [{"type": "message", "role": "user", "content": "Hello"}],
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }
    assert (encoded.dropped, encoded.approximated, encoded.stop, encoded.names) == ((), (), (), {})


def test_a_stream_is_asked_for(body):
    assert body(stream=True)[0]["stream"] is True


def test_encrypted_reasoning_is_not_asked_of_models_that_do_not_think(body):
    wire, _ = body({"thinking_form": "none"}, include=("web_search_call.action.sources",))
    assert wire["include"] == ["web_search_call.action.sources"]


def test_stop_sequences_are_left_to_the_gateway(body):
    wire, encoded = body(stop=("END", "STOP"))
    assert "stop" not in wire
    assert encoded.stop == ("END", "STOP")


@pytest.mark.parametrize(("asked", "sent"), [(1, 16), (16, 16), (500, 500)])
def test_fewer_than_sixteen_tokens_become_sixteen(body, asked, sent):
    wire, encoded = body(output_tokens_max=asked)
    assert wire["max_output_tokens"] == sent
    assert encoded.approximated == (("output_tokens_max",) if asked < 16 else ())


def test_no_tokens_at_all_fill_the_cache(body):
    wire, _ = body(output_tokens_max=0)
    assert "max_output_tokens" not in wire
    assert wire["prompt_cache_options"] == {"prewarm": True}


def test_zeros_are_sent(body):
    wire, _ = body(sampling=Sampling(temperature=0.0, top_p=0.0))
    assert (wire["temperature"], wire["top_p"]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("quirks", "sent", "dropped", "approximated"),
    [
        ({"no_sampling": True}, {}, ("sampling.temperature", "sampling.top_p"), ()),
        ({"no_temperature_with_top_p": True}, {"temperature": 1.5}, ("sampling.top_p",), ()),
        ({"temperature_max": 1.0}, {"temperature": 1.0, "top_p": 0.5}, (), ("sampling.temperature",)),
    ],
)
def test_knobs_that_a_model_refuses_are_dropped_and_named(body, quirks, sent, dropped, approximated):
    wire, encoded = body(quirks, sampling=Sampling(temperature=1.5, top_p=0.5))
    assert {name: wire[name] for name in ("temperature", "top_p") if name in wire} == sent
    assert (encoded.dropped, encoded.approximated) == (dropped, approximated)


def test_knobs_that_responses_lacks_are_dropped_and_named(body):
    asked = Sampling(top_k=1, frequency_penalty=1.0, presence_penalty=1.0, seed=0, logit_bias={"1": 2.0})
    _, encoded = body(sampling=asked, prediction="x")
    assert set(encoded.dropped) == {
        "sampling.top_k",
        "sampling.frequency_penalty",
        "sampling.presence_penalty",
        "sampling.seed",
        "sampling.logit_bias",
        "prediction",
    }


@pytest.mark.parametrize(
    ("asked", "efforts", "sent"),
    [
        (Reasoning(effort="xhigh"), ("low", "medium", "high"), {"effort": "high"}),
        (Reasoning(effort="none"), ("low", "medium"), {"effort": "low"}),
        (Reasoning(effort="minimal"), ("minimal", "low"), {"effort": "minimal"}),
        (Reasoning(budget_tokens=8000), ("low", "medium", "high"), {"effort": "medium"}),
        (Reasoning(budget_tokens=-1), ("low",), None),
        (Reasoning(adaptive=False), ("none", "low"), {"effort": "none"}),
        (Reasoning(adaptive=True, show="auto"), ("low",), {"summary": "auto"}),
        (Reasoning(between_tools=True), ("low", "high"), {"effort": "low"}),
        (
            Reasoning(effort="low", show="none", context="all_turns", mode="pro"),
            ("low",),
            {"effort": "low", "context": "all_turns", "mode": "pro"},
        ),
    ],
)
def test_thinking_is_told_in_levels_that_the_model_has(body, asked, efforts, sent):
    assert body({"efforts": efforts}, reasoning=asked)[0].get("reasoning") == sent


def test_a_model_that_cant_be_told_how_much_to_think_is_not_told(body):
    wire, encoded = body({"thinking_form": "none"}, reasoning=Reasoning(effort="high"))
    assert "reasoning" not in wire
    assert encoded.dropped == ("reasoning.effort",)


@pytest.mark.parametrize(
    ("form", "wire"),
    [
        (PlainText(), {"type": "text"}),
        (
            JsonSchema(schema=BOUND, name="shape", description="d", strict=True),
            {
                "type": "json_schema",
                "name": "shape",
                "schema": {"type": "object", "properties": {}, "additionalProperties": False},
                "description": "d",
                "strict": True,
            },
        ),
        (JsonSchema(schema=Raw(b"{}")), {"type": "json_schema", "name": "response", "schema": {}}),
    ],
)
def test_the_answers_shape_is_told(body, form, wire):
    assert body(format=form)[0]["text"]["format"] == wire


def test_the_name_of_a_shape_is_one_that_is_taken(body):
    name = body(format=JsonSchema(schema=BOUND, name="my shape"))[0]["text"]["format"]["name"]
    assert name.startswith("my_shape_")
    assert len(name) <= 64


def test_a_schema_that_cant_bind_does_not(body):
    wire, encoded = body(format=JsonSchema(schema=Raw(b'{"type":"object"}'), strict=True))
    assert wire["text"]["format"]["strict"] is False
    assert encoded.dropped == ("format.strict",)


def test_json_is_spoken_of_where_an_object_is_wanted(body):
    wire, _ = body(format=JsonObject())
    assert wire["input"][0] == {
        "type": "message",
        "role": "developer",
        "content": "Answer with one JSON object only.",
    }
    asked = (Message(role="user", parts=(Text("As json, please"),)),)
    assert len(body(format=JsonObject(), messages=asked)[0]["input"]) == 1


def test_a_schema_is_told_in_words_where_the_model_takes_none(body):
    wire, encoded = body({"no_json_schema": True}, format=JsonSchema(schema=Raw(b'{"x":1}')))
    assert wire["text"]["format"] == {"type": "json_object"}
    assert '{"x":1}' in wire["input"][0]["content"]
    assert encoded.approximated == ("format",)


def test_verbosity_and_logprobs_are_told(body):
    wire, _ = body(verbosity="low", logprobs=3)
    assert wire["text"] == {"verbosity": "low"}
    assert wire["top_logprobs"] == 3
    assert "message.output_text.logprobs" in wire["include"]
    assert "top_logprobs" not in body(logprobs=0)[0]


@pytest.mark.parametrize(
    ("cache", "wire"),
    [
        (
            CacheOptions(key="k", explicit=True, lifetime="1h"),
            {"prompt_cache_key": "k", "prompt_cache_options": {"mode": "explicit", "ttl": "12h"}},
        ),
        (CacheOptions(lifetime="24h"), {"prompt_cache_retention": "24h"}),
        (CacheOptions(lifetime="5m"), {"prompt_cache_options": {"ttl": "30m"}}),
    ],
)
def test_caching_is_told_with_the_nearest_lifetime(body, cache, wire):
    sent, _ = body(cache=cache)
    assert {name: value for name, value in sent.items() if name.startswith("prompt_cache")} == wire


def test_what_is_to_be_kept_is_told(body):
    storage = Storage(store=True, previous_response_id="resp_1", conversation="conv_1", background=True)
    wire, _ = body(storage=storage)
    assert (wire["store"], wire["background"]) == (True, True)
    assert (wire["previous_response_id"], wire["conversation"]) == ("resp_1", "conv_1")


def test_users_tiers_and_metadata_are_told(body):
    wire, _ = body(user="u", tier="standard", metadata={"k": "v"})
    assert (wire["safety_identifier"], wire["service_tier"], wire["metadata"]) == ("u", "default", {"k": "v"})
    wire, encoded = body({"user_field": "user"}, user="x" * 200, metadata={str(n): "" for n in range(20)})
    assert len(wire["user"]) == 64
    assert (len(wire["metadata"]), encoded.dropped) == (16, ("metadata",))


def test_long_conversations_may_be_cut_or_compacted(body):
    wire, _ = body(truncation="auto", compaction_threshold=5, server_tool_calls_max=2)
    assert wire["truncation"] == "auto"
    assert wire["context_management"] == [{"type": "compaction", "compact_threshold": 5}]
    assert wire["max_tool_calls"] == 2


def test_other_fields_are_copied_where_responses_has_them_and_named_where_not(body):
    wire, encoded = body(extra={"truncation": Raw(b'"auto"'), "thinking": Raw(b"{}")})
    assert wire["truncation"] == "auto"
    assert encoded.dropped == ("thinking",)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"choices": 2}, "choices"),
        ({"modalities": ("text", "audio")}, "modalities"),
        ({"cache": CacheOptions(content="cachedContents/1")}, "cache.content"),
        ({"container": "c"}, "container"),
        ({"logprobs": 1, "quirks": {"no_logprobs": True}}, "logprobs"),
    ],
)
def test_what_responses_cant_say_is_refused_by_its_field(body, fields, field):
    with pytest.raises(Untranslatable) as refused:
        body(**fields)
    assert refused.value.field == field


def test_text_alone_is_no_modality(body):
    assert "modalities" not in body(modalities=("text",))[0]
