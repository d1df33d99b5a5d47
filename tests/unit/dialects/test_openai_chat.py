"""OpenAI Chat Completions: what is read of a request, what is changed in it, and what a reply costs."""

import json

import pytest

from proxyapi.dialects import DIALECTS
from proxyapi.dialects.call import AudioInput, DocumentInput, ImageInput
from proxyapi.errors import InvalidRequest
from proxyapi.usage import Unit

CHAT = DIALECTS["openai_chat"]
USER = [{"role": "user", "content": "Hello"}]


def body(**fields):
    return {"model": "gpt-4o", "messages": USER, **fields}


def test_texts_names_and_messages_of_the_prompt_are_kept_apart(read):
    call = read(
        "openai_chat",
        body(
            messages=[
                {"role": "system", "content": "Be brief."},
                {
                    "role": "user",
                    "name": "ann",
                    "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "you"}],
                },
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
                    ],
                },
                {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
            ]
        ),
    )
    assert call.prompt.messages == 4
    assert call.prompt.names == ("ann",)
    assert call.prompt.texts == ("Be brief.", "Hi", "you", '{"name":"f","arguments":{"a": 1}}', "sunny")


def test_media_are_never_text(read):
    call = read(
        "openai_chat",
        body(
            messages=[
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
                        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
                        {
                            "type": "file",
                            "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"},
                        },
                        {"type": "file", "file": {"file_id": "file-1"}},
                    ],
                }
            ]
        ),
    )
    assert call.prompt.texts == ()
    assert call.prompt.media == (
        ImageInput("AAAA", "low"),
        ImageInput(),
        AudioInput("UklG", "wav"),
        DocumentInput("JVBE", "application/pdf"),
        DocumentInput(),
    )
    assert call.item_references == ("file-1",)


def test_max_completion_tokens_beats_max_tokens(read):
    assert read("openai_chat", body(max_tokens=10, max_completion_tokens=20)).output_tokens_max == 20
    assert read("openai_chat", body(max_tokens=10)).output_tokens_max == 10
    assert read("openai_chat", body(max_completion_tokens=0, max_tokens=5)).output_tokens_max == 0
    assert read("openai_chat", body()).output_tokens_max is None


def test_tools_become_compact_json_with_their_enum_items(read):
    schema = {"type": "object", "properties": {"unit": {"enum": ["c", "f]", "k"]}, "x": {"enum": [1, 2]}}}
    tool = {"type": "function", "function": {"name": "погода", "parameters": schema}}
    call = read("openai_chat", json.dumps(body(tools=[tool], tool_choice="required"), indent=2).encode())
    assert call.prompt.tools == json.dumps([tool], separators=(",", ":"), ensure_ascii=False)
    assert call.prompt.tool_enum_items == 5
    assert call.prompt.tool_choice_forced


def test_hosted_searches_are_seen_wherever_they_are_asked_for(read):
    assert read("openai_chat", body(web_search_options={"search_context_size": "high"})).server_tools[0].options == (
        ("search_context_size", "high"),
    )
    plugin = read("openai_chat", body(plugins=[{"id": "web", "max_results": 3}])).server_tools[0]
    assert (plugin.kind, plugin.uses_max) == ("web_search", 3)
    assert read("openai_chat", body(model="openai/gpt-4o:online")).server_tools[0].uses_max == 5
    assert read("openai_chat", body()).server_tools == ()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 0}, "n"),
        ({"n": 10**30}, "n"),
        ({"n": 1.5}, "n"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_completion_tokens": 10**30}, "max_completion_tokens"),
        ({"model": 7}, "model"),
        ({"messages": "hi"}, "messages"),
        ({"stream": "yes"}, "stream"),
        ({"model": ""}, "model"),
    ],
)
def test_a_wrong_value_is_refused_by_name(read, fields, param):
    with pytest.raises(InvalidRequest) as refused:
        read("openai_chat", body(**fields))
    assert refused.value.param == param


def test_a_missing_field_is_named(read):
    with pytest.raises(InvalidRequest, match="Missing required field: messages"):
        read("openai_chat", {"model": "m"})
    with pytest.raises(InvalidRequest, match="Missing required field: model"):
        read("openai_chat", {"messages": USER})


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"model":"m","messages":[}', b'{"a":' + b"[" * 200_000])
def test_a_body_that_is_no_json_object_is_refused(read, text):
    with pytest.raises(InvalidRequest, match="JSON"):
        read("openai_chat", text)


@pytest.mark.parametrize(
    "text",
    [
        b'{"model":"a","messages":[],"model":"b"}',
        b'{"model": "a", "messages": [], "model": "b"}',
        b'{ "model":"a",\n"messages":[],"\\u006dodel":"b"}',
        b'{"\\u006dodel":"a","messages":[],"model":"b"}',
        b'{"model":"a","messages":[],"n":1,"n":9}',
        b'{"model":"a","messages":[],"stream":false,"x":{},"stream":true}',
        b'{"model":"a","messages":[],"max_tokens":1,"max_\\u0074okens":9}',
        b'{"model":"a","messages":[],"stream_options":{"include_usage":true,"include_usage":false}}',
    ],
)
def test_a_field_that_is_given_twice_is_refused(read, text):
    with pytest.raises(InvalidRequest, match="given twice"):
        read("openai_chat", text)


def test_a_name_in_other_letters_is_refused_because_some_decoders_would_take_it(read):
    with pytest.raises(InvalidRequest, match="Unknown field: Model"):
        read("openai_chat", body(Model="expensive"))


def test_models_that_the_provider_may_fall_back_to_are_named(read):
    assert read("openai_chat", body(models=["a/b", "c/d"])).fallback_models == ("a/b", "c/d")


def test_a_field_name_inside_a_tool_or_a_text_is_not_a_duplicate(read):
    schema = {"properties": {"model": {"type": "string"}, "n": {}, "stream": {}}, "required": ["model", "n", "stream"]}
    wire = body(tools=[{"type": "function", "function": {"name": "f", "parameters": schema}}])
    wire["messages"] = [{"role": "user", "content": 'say "model": "x", "n": 2, "\\u006dodel"'}]
    for text in (json.dumps(wire), json.dumps(wire, separators=(",", ":")), json.dumps(wire, indent=3)):
        assert read("openai_chat", text.encode()).model == "gpt-4o"


def test_a_body_without_need_of_change_is_the_same_object(read):
    text = json.dumps(body()).encode()
    assert CHAT.patch(text, CHAT.read(text), model="gpt-4o") is text


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_obfuscation": False}, "absent"])
def test_a_stream_always_asks_for_usage_and_keeps_the_other_options(read, options):
    wire = body(stream=True) | ({} if options == "absent" else {"stream_options": options})
    text = json.dumps(wire).encode()
    patched = json.loads(CHAT.patch(text, CHAT.read(text), model="gpt-4o"))
    kept = options if isinstance(options, dict) else {}
    assert patched == wire | {"stream_options": kept | {"include_usage": True}}


def test_a_client_that_asked_for_usage_itself_is_not_touched():
    text = json.dumps(body(stream=True, stream_options={"include_usage": True})).encode()
    call = CHAT.read(text)
    assert call.usage_asked
    assert CHAT.patch(text, call, model="gpt-4o") is text


@pytest.mark.parametrize("form", [{"separators": (",", ":")}, {}, {"indent": 1}])
@pytest.mark.parametrize("first", [True, False])
def test_only_the_value_of_the_top_level_model_is_replaced(form, first):
    wire = body(metadata={"model": "gpt-4o"}, tools=[])
    wire = wire if first else dict(reversed(wire.items()))
    text = json.dumps(wire, **form).encode()
    patched = CHAT.patch(text, CHAT.read(text), model='тест/"x"')
    assert json.loads(patched) == wire | {"model": 'тест/"x"'}
    assert len(patched) - len(text) == len('тест/"x"'.encode()) + 2 - len("gpt-4o")


def test_string_image_urls_become_objects_and_other_bytes_stay():
    url = "data:image/png;base64,AAAA"
    parts = [
        {"type": "text", "text": "x"},
        {"type": "image_url", "image_url": url},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    text = json.dumps(body(messages=[{"role": "user", "content": "a"}, {"role": "user", "content": parts}])).encode()
    call = CHAT.read(text)
    assert call.string_image_urls
    patched = CHAT.patch(text, call, model="gpt-4o")
    assert patched == text.replace(b'"image_url": "' + url.encode() + b'"', b'"image_url": {"url":"%b"}' % url.encode())
    assert json.loads(patched)["messages"][1]["content"][1]["image_url"] == {"url": url}


@pytest.mark.parametrize(
    ("fields", "lifetime"),
    [
        ({}, ""),
        ({"prompt_cache_retention": "in_memory"}, ""),
        ({"prompt_cache_retention": "24h"}, "12h"),
        ({"prompt_cache_options": {"mode": "explicit", "ttl": "12h"}}, "12h"),
        ({"prompt_cache_options": {"ttl": "30m"}}, "30m"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]}
                ]
            },
            "5m",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                            {"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}},
                        ],
                    }
                ]
            },
            "1h",
        ),
        ({"messages": [{"role": "user", "content": '{"cache_control": {"ttl": "1h"}}'}]}, ""),
    ],
)
def test_the_longest_lifetime_of_a_cache_is_known(read, fields, lifetime):
    assert read("openai_chat", body(**fields)).cache_writes == lifetime


def test_an_advisor_is_known_with_the_model_it_asks(read):
    tool = {"type": "openrouter:advisor", "parameters": {"model": "anthropic/claude-opus-4.6"}}
    (advisor,) = read("openai_chat", body(tools=[tool])).server_tools
    assert (advisor.kind, dict(advisor.options)["model"]) == ("advisor", "anthropic/claude-opus-4.6")
    function = {"type": "function", "parameters": {"model": 7}, "function": {"name": "f"}}
    assert read("openai_chat", body(tools=[function])).server_tools == ()


# --- replies ------------------------------------------------------------------------------------------------------

USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 50,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 30, "audio_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 5},
}
UNITS = {
    Unit.INPUT: 60,
    Unit.CACHE_READ: 30,
    Unit.INPUT_AUDIO: 10,
    Unit.OUTPUT: 25,
    Unit.REASONING: 20,
    Unit.OUTPUT_AUDIO: 5,
}


def answer(usage=USAGE, **message):
    message = {"role": "assistant", "content": "Hi", **message}
    return json.dumps(
        {
            "id": "c1",
            "model": "gpt-4o-2024",
            "service_tier": "flex",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": usage,
        }
    ).encode()


def chunk(delta=None, reason=None, **fields):
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason}]
    return {"id": "c1", "model": "gpt-4o-2024", "service_tier": "flex", "choices": choices} | fields


@pytest.mark.parametrize("size", [1 << 20, 7, 1])
def test_a_stream_and_a_body_meter_alike(metered, events, size):
    stream = events(
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "hm"}),
        chunk({"content": "Привет"}),
        chunk({"content": "!"}),
        chunk({}, "stop"),
        chunk(usage=USAGE),
        done=True,
    )
    got = metered("openai_chat", stream, size=size)
    whole = answer(content="Привет!", reasoning_content="hm")
    billed = metered("openai_chat", whole, body=True)
    assert (billed.usage, billed.reply_id, billed.model, billed.tier) == (UNITS, "c1", "gpt-4o-2024", "flex")
    assert (billed.texts, billed.finished) == ([], True), "the provider counted: nothing else is read"
    for meter in (got, metered("openai_chat", whole, in_full=True)):
        assert meter.usage == UNITS
        assert "".join(meter.texts) == "hmПривет!"
        assert (meter.reply_id, meter.model, meter.tier) == ("c1", "gpt-4o-2024", "flex")
        assert (meter.finished, meter.choices, meter.reason, meter.failed) == (True, 1, "stop", None)


def test_tool_calls_are_text_to_be_counted(metered, events):
    call = {"index": 0, "id": "t1", "function": {"name": "f", "arguments": ""}}
    stream = events(
        chunk({"tool_calls": [call]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}),
        chunk({}, "tool_calls"),
    )
    assert metered("openai_chat", stream).texts == ["f", '{"a"', ":1}"]


@pytest.mark.parametrize(
    ("usage", "units"),
    [
        ({"prompt_tokens": 0, "completion_tokens": 0}, {Unit.INPUT: 0, Unit.OUTPUT: 0}),
        (
            {"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 5},
            {Unit.INPUT: 5, Unit.CACHE_READ: 4, Unit.OUTPUT: 1},
        ),
        (
            {
                "prompt_tokens": 165,
                "completion_tokens": 2,
                "total_tokens": 292,
                "completion_tokens_details": {"reasoning_tokens": 125},
            },
            {Unit.INPUT: 165, Unit.OUTPUT: 2, Unit.REASONING: 125},
        ),
        (
            {
                "prompt_tokens": 11,
                "completion_tokens": 15,
                "total_tokens": 401,
                "prompt_tokens_details": {"audio_tokens": 375},
            },
            {Unit.INPUT: 11, Unit.INPUT_AUDIO: 375, Unit.OUTPUT: 15},
        ),
        (
            {"prompt_tokens": 7, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 163}},
            {Unit.INPUT: 7, Unit.CACHE_READ: 163, Unit.OUTPUT: 1},
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 2,
                "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 5},
                "completion_tokens_details": {"reasoning_tokens": 9},
            },
            {Unit.INPUT: 0, Unit.CACHE_READ: 8, Unit.INPUT_AUDIO: 2, Unit.OUTPUT: 0, Unit.REASONING: 2},
        ),
        ({"prompt_tokens": -5, "completion_tokens": "x"}, {Unit.INPUT: 0, Unit.OUTPUT: 0}),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 1,
                "prompt_tokens_details": {
                    "cache_write_tokens": 5,
                    "cache_write_tokens_details": {"ttl_12h_tokens": 2, "ttl_30m_tokens": 3},
                },
            },
            {Unit.INPUT: 4, Unit.CACHE_WRITE_12H: 2, Unit.CACHE_WRITE_30M: 3, Unit.OUTPUT: 1},
        ),
    ],
    ids=[
        "zeros",
        "deepseek",
        "reasoning outside",
        "audio outside",
        "cached outside",
        "parts too large",
        "odd",
        "writes",
    ],
)
def test_usage_becomes_disjoint_units(metered, usage, units):
    assert metered("openai_chat", answer(usage), body=True).usage == units


@pytest.mark.parametrize("usage", [None, {}, [], "x"])
def test_absent_usage_is_none_and_not_zero(metered, usage):
    meter = metered("openai_chat", answer(usage), body=True)
    assert meter.usage is None
    assert meter.texts == ["Hi"]


@pytest.mark.parametrize(
    ("fields", "nano"),
    [
        ('"cost": 0.0133176, "is_byok": false, "cost_details": {"upstream_inference_cost": 0.0133176}', 13317600),
        ('"cost": 0, "is_byok": true, "cost_details": {"upstream_inference_cost": 0.00417}', 4170000),
        ('"cost": 0.0160614, "cost_details": {"upstream_inference_cost": 0.0001764}', 16061400),
        ('"cost": 1e-10', 1),
        ('"cost": 0.1234567891', 123456790),
        ('"cost": 0', 0),
    ],
)
def test_a_reported_cost_is_exact_and_byok_adds_the_providers_bill(metered, fields, nano):
    text = answer().replace(b'"total_tokens"', b'%b, "total_tokens"' % fields.encode())
    assert metered("openai_chat", text, body=True).usage[Unit.REPORTED_COST] == nano


@pytest.mark.parametrize("cost", ['"1"', "true", "null", "-1", "1e400", '{"total_cost": 1}'])
def test_a_cost_that_is_no_amount_of_money_is_not_a_cost(metered, cost):
    text = answer().replace(b'"total_tokens"', b'"cost": %b, "total_tokens"' % cost.encode())
    assert Unit.REPORTED_COST not in metered("openai_chat", text, body=True).usage


def test_searches_that_openrouter_lists_are_counted(metered):
    usage = USAGE | {"server_tool_use_details": {"web_search_requests": 2}}
    assert metered("openai_chat", answer(usage), body=True).usage[Unit.WEB_SEARCH] == 2


def test_usage_is_found_where_groq_puts_it(metered, events):
    stream = events(chunk({"content": "a"}), chunk({}, "stop", x_groq={"id": "r", "usage": USAGE}), done=True)
    assert metered("openai_chat", stream).usage == UNITS


def test_absurd_numbers_of_a_provider_do_no_harm(metered):
    text = (
        b'{"id":"c","created":1e300,"choices":[{"index":1000000000,"message":{"content":"a"}}],"usage":{'
        b'"prompt_tokens":1e999,"completion_tokens":1e30,"cost":1e-999999999}}'
    )
    for way in ({"body": True}, {"in_full": True}):
        meter = metered("openai_chat", text, **way)
        assert meter.usage == {Unit.INPUT: 0, Unit.OUTPUT: 0, Unit.REPORTED_COST: 0}
    assert meter.choices == 128


def test_an_odd_chunk_still_gives_its_usage(metered, events):
    assert metered("openai_chat", events({"choices": "??", "usage": USAGE}, done=True)).usage == UNITS


def test_an_error_inside_a_200_is_a_failure_and_not_output(metered, events):
    error = {"error": {"message": "boom", "code": 502}}
    for meter in (
        metered("openai_chat", json.dumps(error).encode(), body=True),
        metered("openai_chat", events(error)),
        metered("openai_chat", json.dumps(error).encode()),
    ):
        assert meter.failed.message == "boom"
        assert (meter.texts, meter.finished, meter.usage) == ([], False, None)


def test_alternatives_are_counted(metered, events):
    chunks = [
        {"id": "c", "choices": [{"index": i, "delta": {"content": "x"}, "finish_reason": "stop"}]} for i in range(3)
    ]
    assert metered("openai_chat", events(*chunks)).choices == 3


def test_a_stream_that_breaks_off_is_not_finished(metered, events):
    meter = metered("openai_chat", events(chunk({"content": "half"})))
    assert not meter.finished
    assert meter.texts == ["half"]


def test_legacy_completions_are_read_alike(metered, events, read):
    call = read("openai_completions", {"model": "m", "prompt": ["a", "b"], "n": 2, "best_of": 3, "stream": True})
    assert (call.choices, call.prompt.texts) == (6, ("a", "b"))
    assert read("openai_completions", {"model": "m", "prompt": [1, 2, 3]}).prompt.tokens == 3
    stream = events({"id": "c", "choices": [{"index": 0, "text": "hi", "finish_reason": "stop"}]}, done=True)
    meter = metered("openai_completions", stream)
    assert (meter.texts, meter.finished) == (["hi"], True)
