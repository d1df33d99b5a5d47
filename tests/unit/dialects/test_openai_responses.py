"""OpenAI Responses: what is read of a request, and what a reply costs."""

import json

import pytest

from proxyapi.dialects import DIALECTS
from proxyapi.dialects.call import DocumentInput, ImageInput
from proxyapi.errors import InvalidRequest
from proxyapi.usage import Unit


def body(**fields):
    return {"model": "gpt-5", "input": "Hello", **fields}


def test_input_may_be_text_or_items_of_many_kinds(read):
    assert read("openai_responses", body(instructions="Be brief.")).prompt.texts == ("Be brief.", "Hello")
    call = read(
        "openai_responses",
        body(
            input=[
                {"role": "user", "content": "a"},
                {
                    "type": "message",
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "b"},
                        {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"},
                        {"type": "input_image", "file_id": "file-i"},
                        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"},
                    ],
                },
                {
                    "type": "reasoning",
                    "id": "rs_1",
                    "summary": [{"type": "summary_text", "text": "s"}],
                    "encrypted_content": "e" * 80,
                },
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"x":1}'},
                {"type": "function_call_output", "call_id": "c", "output": "sunny"},
                {
                    "type": "computer_call_output",
                    "call_id": "d",
                    "output": {"type": "computer_screenshot", "image_url": "data:image/png;base64,BBBB"},
                },
                {"type": "item_reference", "id": "msg_9"},
                {"type": "additional_tools", "tools": [{"type": "function", "name": "g"}, {"type": "web_search"}]},
            ]
        ),
    )
    assert call.prompt.messages == 2
    assert call.prompt.texts == ("a", "b", "s", '{"name":"f","arguments":{"x":1}}', "sunny")
    assert call.prompt.tokens == 20
    assert call.prompt.media == (
        ImageInput("AAAA", "low"),
        ImageInput(),
        DocumentInput("JVBE", "application/pdf"),
        ImageInput("BBBB"),
    )
    assert call.item_references == ("file-i", "msg_9")
    assert call.server_tools[0].kind == "web_search"
    assert '"name":"g"' in call.prompt.tools


def test_state_at_the_provider_is_named(read):
    call = read(
        "openai_responses",
        body(previous_response_id="resp_1", background=True, conversation={"id": "conv_1"}, prompt={"id": "pmpt_1"}),
    )
    assert (call.previous_response_id, call.background, call.conversation) == ("resp_1", True, "conv_1")
    assert call.item_references == ("pmpt_1",)
    assert call.store
    assert not read("openai_responses", body(store=False)).store


def test_hosted_tools_carry_what_decides_their_price(read):
    call = read(
        "openai_responses",
        body(
            max_tool_calls=3,
            tools=[
                {"type": "web_search_preview_2025_03_11", "search_context_size": "high"},
                {"type": "file_search", "vector_store_ids": ["vs_1"]},
                {
                    "type": "code_interpreter",
                    "container": {"type": "auto", "memory_limit": "4g", "file_ids": ["file-1"]},
                },
                {"type": "image_generation", "model": "gpt-image-1", "quality": "high", "size": "1024x1024"},
                {"type": "computer_use_preview"},
                {"type": "function", "name": "f"},
                {"type": "mcp", "server_label": "x"},
            ],
        ),
    )
    assert [tool.kind for tool in call.server_tools] == [
        "web_search",
        "file_search",
        "code_execution",
        "image_generation",
        "computer",
    ]
    assert dict(call.server_tools[2].options)["memory_limit"] == "4g"
    assert dict(call.server_tools[3].options)["quality"] == "high"
    assert call.item_references == ("vs_1", "file-1")
    assert call.server_tool_calls_max == 3


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"max_output_tokens": -1}, "max_output_tokens"), ({"model": None}, "model"), ({"tools": {}}, "tools")],
)
def test_a_wrong_field_is_refused_by_name(read, fields, param):
    with pytest.raises(InvalidRequest) as refused:
        read("openai_responses", body(**fields))
    assert refused.value.param == param


def test_only_the_model_is_patched():
    dialect = DIALECTS["openai_responses"]
    text = json.dumps({"input": "x", "model": "a/b", "stream": True}).encode()
    assert dialect.patch(text, dialect.read(text), model="b") == text.replace(b"a/b", b"b")


USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 10},
    "output_tokens": 30,
    "output_tokens_details": {"reasoning_tokens": 12},
    "total_tokens": 130,
}
UNITS = {Unit.INPUT: 50, Unit.CACHE_READ: 40, Unit.CACHE_WRITE_30M: 10, Unit.OUTPUT: 18, Unit.REASONING: 12}
ITEMS = [
    {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "e"},
    {"type": "web_search_call", "id": "ws1", "status": "completed", "action": {"type": "search", "query": "q"}},
    {"type": "web_search_call", "id": "ws2", "status": "completed", "action": {"type": "open_page", "url": "u"}},
    {"type": "file_search_call", "id": "fs", "status": "completed"},
    {"type": "code_interpreter_call", "id": "ci1", "container_id": "c1", "status": "completed", "code": "1"},
    {"type": "code_interpreter_call", "id": "ci2", "container_id": "c1", "status": "completed", "code": "2"},
    {
        "type": "message",
        "id": "m",
        "status": "completed",
        "content": [{"type": "output_text", "text": "Привет", "annotations": []}],
    },
]
ASKED = '{"type":"search","query":"q"}{"type":"open_page","url":"u"}{"code":"1"}{"code":"2"}'
HOSTED = {Unit.WEB_SEARCH: 1, Unit.FILE_SEARCH: 1, Unit.CODE_SESSION: 1}


def response(output=ITEMS, usage=USAGE, status="completed", **fields):
    return {
        "id": "resp_1",
        "object": "response",
        "model": "gpt-5-x",
        "service_tier": "default",
        "status": status,
        "output": output,
        "usage": usage,
        "error": None,
        **fields,
    }


def stream_of(events, end="response.completed", final=None):
    wire = [{"type": "response.created", "response": response([], None, "in_progress")}]
    for index, item in enumerate(ITEMS):
        place = {"output_index": index, "item_id": item["id"]}
        wire.append({"type": "response.output_item.added", **place, "item": item | {"status": "in_progress"}})
        if item["type"] == "reasoning":
            wire.append({"type": "response.reasoning_summary_text.delta", **place, "summary_index": 0, "delta": "hm"})
        if item["type"] == "code_interpreter_call":
            wire.append({"type": "response.code_interpreter_call_code.delta", **place, "delta": item["code"]})
        if item["type"] == "message":
            place["content_index"] = 0
            part = {"type": "output_text", "text": "", "annotations": []}
            wire.append({"type": "response.content_part.added", **place, "part": part})
            wire += [{"type": "response.output_text.delta", **place, "delta": text} for text in ("При", "вет")]
            wire.append({"type": "response.content_part.done", **place, "part": part})
        wire.append({"type": "response.output_item.done", **place, "item": item})
    wire.append({"type": end, "response": final or response()})
    return events(*wire, names=True)


@pytest.mark.parametrize("size", [1 << 20, 7, 1])
def test_a_stream_and_a_body_meter_alike(metered, events, size):
    whole = json.dumps(response()).encode()
    for meter in (
        metered("openai_responses", stream_of(events), size=size),
        metered("openai_responses", whole, body=True),
    ):
        assert meter.usage == UNITS | HOSTED
        assert "".join(meter.texts) == f"hm{ASKED}Привет"
        assert (meter.reply_id, meter.model, meter.tier) == ("resp_1", "gpt-5-x", "default")
        assert (meter.finished, meter.choices, meter.failed) == (True, 1, None)


def test_items_of_the_stream_count_where_the_end_leaves_them_out(metered, events):
    meter = metered("openai_responses", stream_of(events, final=response([])))
    assert meter.usage == UNITS | HOSTED


def test_billed_searches_that_the_provider_names_beat_our_count(metered):
    tool_usage = {"web_search": {"num_requests": 4}, "image_gen": {"total_tokens": 0}}
    text = json.dumps(response(tool_usage=tool_usage)).encode()
    assert metered("openai_responses", text, body=True).usage[Unit.WEB_SEARCH] == 4
    none = json.dumps(response(tool_usage={"web_search": {"num_requests": 0}})).encode()
    assert Unit.WEB_SEARCH not in metered("openai_responses", none, body=True).usage


@pytest.mark.parametrize("end", ["response.incomplete", "response.failed"])
def test_usage_also_arrives_with_a_bad_end(metered, events, end):
    status = end.removeprefix("response.")
    error = {"code": "server_error", "message": "boom"} if status == "failed" else None
    final = response([], status=status, error=error, incomplete_details={"reason": "max_output_tokens"})
    meter = metered("openai_responses", stream_of(events, end, final))
    assert meter.usage[Unit.OUTPUT] == 18
    assert meter.finished
    assert (meter.failed is not None) == (status == "failed")


def test_pictures_made_inside_a_reply_are_another_models(metered):
    tools = [{"type": "image_generation", "model": "gpt-image-1"}]
    item = {"type": "image_generation_call", "id": "ig", "status": "completed", "result": "AAAA"}
    (by_piece,) = metered("openai_responses", json.dumps(response([item], tools=tools)).encode(), body=True).others
    assert (by_piece.model, by_piece.usage) == ("gpt-image-1", {Unit.IMAGES: 1})
    tokens = {
        "image_gen": {
            "input_tokens": 9,
            "input_tokens_details": {"image_tokens": 4, "text_tokens": 5},
            "output_tokens": 272,
            "total_tokens": 281,
        }
    }
    text = json.dumps(response([item], tools=tools, tool_usage=tokens)).encode()
    (by_token,) = metered("openai_responses", text, body=True).others
    assert by_token.usage == {Unit.INPUT: 5, Unit.INPUT_IMAGE: 4, Unit.OUTPUT_IMAGE: 272}


def test_a_running_background_response_is_an_answer_without_usage(metered):
    meter = metered("openai_responses", json.dumps(response([], None, "queued")).encode(), body=True)
    assert (meter.usage, meter.finished, meter.reply_id) == (None, True, "resp_1")


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "x", "message": "boom"},
        {"type": "error", "error": {"message": "boom"}},
        {"error": {"message": "boom"}},
    ],
)
def test_an_error_event_is_a_failure(metered, events, event):
    assert metered("openai_responses", events(event)).failed.message == "boom"


@pytest.mark.parametrize(
    "fields",
    [
        {"input": [{"id": "msg_9"}]},
        {"tools": [{"type": "image_generation", "input_image_mask": {"file_id": "msg_9"}}]},
        {"tools": [{"type": "shell", "environment": {"type": "container_reference", "container_id": "msg_9"}}]},
        {"tools": [{"type": "a tool of tomorrow", "container": {"file_ids": ["msg_9"]}}]},
    ],
)
def test_every_way_to_point_at_an_object_of_the_provider_is_seen(read, fields):
    assert read("openai_responses", body(**fields)).item_references == ("msg_9",)


def test_uploaded_skills_belong_to_somebody_and_those_of_the_vendor_to_all(read):
    skills = [{"type": "skill_reference", "skill_id": id} for id in ("skill_1", "openai-spreadsheets")]
    tools = [{"type": "shell", "environment": {"type": "container_auto", "skills": skills}}]
    assert read("openai_responses", body(tools=tools)).item_references == ("skill_1",)
