"""Gemini generateContent: a client's request as a canonical one."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode

import pytest
from msgspec import Raw

from proxyapi.dialects.codec import sealed_nothing
from proxyapi.dialects.gemini.spelling import camel_case
from proxyapi.dialects.model import (
    Audio,
    AudioOut,
    Computer,
    Document,
    FileRef,
    FileSearch,
    FunctionTool,
    Image,
    Inline,
    JsonObject,
    JsonSchema,
    Link,
    Mcp,
    Message,
    Native,
    NativeTool,
    PlainText,
    Reasoning,
    ReasoningState,
    Sampling,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolChoice,
    ToolResult,
    ToolUse,
    Video,
    WebSearch,
)
from proxyapi.errors import InvalidRequest

PNG = b64encode(b"\x89PNG\r\n\x1a\n" + bytes(60)).decode()


def user(*parts):
    return {"contents": [{"role": "user", "parts": list(parts)}]}


# --- the forms of a request ---------------------------------------------------------------------------------------

WHOLE = {
    "systemInstruction": {"role": "model", "parts": [{"text": "Be brief."}, {"text": "Be kind."}]},
    "contents": [
        {"role": "user", "parts": [{"text": "Hi"}, {"inlineData": {"mimeType": "image/png", "data": PNG}}]},
        {"role": "model", "parts": [{"functionCall": {"id": "c1", "name": "f", "args": {"snake_key": 1}}}]},
        {"role": "user", "parts": [{"functionResponse": {"id": "c1", "name": "f", "response": {"a_b": 2}}}]},
    ],
    "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object", "x_y": 1}}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
    "generationConfig": {
        "maxOutputTokens": 64,
        "candidateCount": 2,
        "stopSequences": ["END"],
        "topP": 0.5,
        "topK": 40,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "temperature": 0,
        "seed": -7,
        "responseLogprobs": True,
        "logprobs": 3,
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object", "p_q": 1},
        "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 0},
        "mediaResolution": "MEDIA_RESOLUTION_HIGH",
        "audioTimestamp": True,
    },
    "cachedContent": "cachedContents/1",
    "serviceTier": "flex",
    "labels": {"team_name": "a"},
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_ONLY_HIGH"}],
}


def snaked(value):
    """The same with every field in the other spelling, but for what is data."""
    if isinstance(value, list):
        return [snaked(element) for element in value]
    if not isinstance(value, dict):
        return value
    data = ("args", "response", "parametersJsonSchema", "responseJsonSchema", "labels")
    return {
        "".join(f"_{c.lower()}" if c.isupper() else c for c in name): child if name in data else snaked(child)
        for name, child in value.items()
    }


def test_every_field_is_read(decoded):
    request = decoded(WHOLE, model="models/x", stream=True)
    assert (request.model, request.stream) == ("models/x", True)
    assert request.system == (Message(role="system", parts=(Text("Be brief."), Text("Be kind."))),)
    assert request.messages == (
        Message(role="user", parts=(Text("Hi"), Image(Inline(PNG, "image/png")))),
        Message(role="assistant", parts=(ToolUse("c1", "f", '{"snake_key": 1}'),)),
        Message(
            role="user",
            parts=(ToolResult(tool_use_id="c1", parts=(Text('{"a_b": 2}'),), name="f", is_object=True),),
        ),
    )
    assert request.tools == (FunctionTool(name="f", parameters=Raw(b'{"type": "object", "x_y": 1}')),)
    assert request.tool_choice == ToolChoice(mode="required", names=("f",))
    assert (request.output_tokens_max, request.choices, request.stop, request.logprobs) == (64, 2, ("END",), 3)
    assert request.sampling == Sampling(
        temperature=0, top_p=0.5, top_k=40, frequency_penalty=0.2, presence_penalty=0.1, seed=-7
    )
    assert request.format == JsonSchema(schema=Raw(b'{"type": "object", "p_q": 1}'))
    assert request.reasoning == Reasoning(budget_tokens=0, show="auto")
    assert (request.media_detail, request.tier, request.cache.content) == ("high", "flex", "cachedContents/1")
    assert request.metadata == {"team_name": "a"}
    assert set(request.extra) == {"safetySettings", "generationConfig.audioTimestamp"}


def test_every_field_may_be_spelled_in_snake_case(decoded):
    text = json.dumps(snaked(WHOLE)).encode()
    assert b"generation_config" in text and b"max_output_tokens" in text and b"function_call" in text
    ours, theirs = decoded(text), decoded(WHOLE)
    assert ours.extra.keys() == theirs.extra.keys()
    for field in type(ours).__struct_fields__:
        if field != "extra":
            assert getattr(ours, field) == getattr(theirs, field), field


def test_both_spellings_may_be_mixed_but_not_of_one_field(decoded):
    mixed = {"system_instruction": {"parts": {"text": "S"}}, "contents": "Hi", "generationConfig": {"top_k": 3.0}}
    request = decoded(mixed)
    assert (request.system[0].parts, request.sampling.top_k) == ((Text("S"),), 3)
    with pytest.raises(InvalidRequest, match="given twice"):
        decoded({"contents": [], "generationConfig": {"topK": 1, "top_k": 2}})


def test_a_body_in_camel_case_is_not_rewritten():
    body = b'{ "contents": "a_b: \\"snake_case\\": 1" }'
    assert camel_case(body) is body


@pytest.mark.parametrize("contents", ["Hi", {"parts": {"text": "Hi"}}, [{"parts": [{"text": "Hi"}]}], ["Hi"]])
def test_contents_may_be_words_one_content_or_a_list(decoded, contents):
    assert decoded({"contents": contents}).messages == (Message(role="user", parts=(Text("Hi"),)),)


@pytest.mark.parametrize("wire", ["S", {"parts": [{"text": "S"}]}, {"parts": {"text": "S"}}, [{"text": "S"}]])
def test_the_system_instruction_may_be_words_a_content_or_parts(decoded, wire):
    assert decoded({"contents": "Hi", "systemInstruction": wire}).system[0].parts == (Text("S"),)


def test_neighbours_of_one_role_are_one_message_and_empty_texts_are_none(decoded):
    request = decoded({"contents": [
        {"role": "user", "parts": [{"text": "a"}, {"text": ""}]},
        {"role": "user", "parts": [{"text": "b"}]},
        {"role": "model", "parts": []},
    ]})  # fmt: skip
    assert request.messages == (
        Message(role="user", parts=(Text("a"), Text("b"))),
        Message(role="assistant", parts=()),
    )


def test_an_unknown_role_is_refused_by_name(decoded):
    with pytest.raises(InvalidRequest) as refused:
        decoded({"contents": [{"role": "user", "parts": []}, {"role": "assistant", "parts": []}]})
    assert refused.value.param == "contents[1].role"


@pytest.mark.parametrize(
    "config, param",
    [
        ({"maxOutputTokens": 1.5}, "generationConfig.maxOutputTokens"),
        ({"temperature": "warm"}, "generationConfig.temperature"),
        ({"stopSequences": "x"}, "generationConfig.stopSequences"),
        ({"thinkingConfig": {"thinkingLevel": "much"}}, "generationConfig.thinkingConfig.thinkingLevel"),
        ({"responseModalities": ["SMELL"]}, "generationConfig.responseModalities"),
        ({"imageConfig": {"aspectRatio": "1:1"}}, "generationConfig.imageConfig"),
        ({"responseFormat": [{}]}, "generationConfig.responseFormat"),
    ],
)
def test_a_setting_that_is_odd_or_only_gemini_s_is_refused_by_name(decoded, config, param):
    with pytest.raises(InvalidRequest) as refused:
        decoded({"contents": "Hi", "generationConfig": config})
    assert refused.value.param == param


@pytest.mark.parametrize("settings", [[], [{"category": "X", "threshold": "BLOCK_NONE"}, {"threshold": "OFF"}]])
def test_a_filter_that_is_off_is_nothing_that_others_lack(decoded, settings):
    assert not decoded({"contents": "Hi", "safetySettings": settings}).extra


# --- parts --------------------------------------------------------------------------------------------------------


def test_media_are_told_apart_by_what_their_bytes_say(decoded):
    wav = b64encode(b"RIFF0000WAVEfmt ").decode()
    parts = [
        {"inlineData": {"mimeType": "image/jpeg", "data": PNG}, "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"}},
        {"inlineData": {"mimeType": "audio/x-wav", "data": wav}},
        {"inlineData": {"mimeType": "video/mp4", "data": "AAAA"},
         "videoMetadata": {"startOffset": "1.5s", "endOffset": "3s", "fps": 2}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0x", "displayName": "a.pdf"}},
        {"inlineData": {"mimeType": "text/csv", "data": "YQ=="}},
    ]  # fmt: skip
    assert decoded(user(*parts)).messages[0].parts == (
        Image(Inline(PNG, "image/png"), detail="low"),
        Audio(Inline(wav, "audio/wav")),
        Video(Inline("AAAA", "video/mp4"), start_seconds=1.5, end_seconds=3, frames_per_second=2),
        Document(Inline("JVBERi0x", "application/pdf"), title="a.pdf"),
        Document(Inline("YQ==", "text/csv")),
    )


def test_url_safe_base64_of_the_python_sdk_becomes_the_base64_that_others_read(decoded):
    data = b"\x89PNG\r\n\x1a\n" + b"\xfb\xff" * 9
    part = {"inline_data": {"mime_type": "image/png", "data": urlsafe_b64encode(data).decode().rstrip("=")}}
    assert decoded(user(part)).messages[0].parts == (Image(Inline(b64encode(data).decode(), "image/png")),)


def test_files_of_google_are_told_from_addresses_and_films_without_a_type_are_known(decoded):
    own = "https://generativelanguage.googleapis.com/v1beta/files/a"
    page = "https://www.youtube.com/watch?v=1"
    parts = [
        {"fileData": {"fileUri": own, "mimeType": "image/png"}},
        {"fileData": {"fileUri": "gs://b/a.mp3", "mimeType": "audio/mpeg"}},
        {"fileData": {"fileUri": "https://example.com/a.pdf", "mimeType": "application/pdf"}},
        {"fileData": {"fileUri": page}},
    ]
    assert decoded(user(*parts)).messages[0].parts == (
        Image(FileRef(own, media_type="image/png")),
        Audio(FileRef("gs://b/a.mp3", media_type="audio/mpeg")),
        Document(Link("https://example.com/a.pdf", "application/pdf")),
        Video(Link(page, "video/*")),
    )


def test_calls_without_an_id_get_one_and_results_find_their_call_by_name(decoded):
    turn = {"role": "model", "parts": [{"functionCall": {"name": n}} for n in ("f", "g", "f")]}
    results = [{"functionResponse": {"name": n, "response": {"result": r}}} for n, r in (("g", "1"), ("f", "2"))]
    request = decoded({"contents": [turn, {"role": "function", "parts": results}]})
    calls = request.messages[0].parts
    assert [call.id for call in calls] == ["call_0", "call_1", "call_2"]
    assert [(part.tool_use_id, part.name) for part in request.messages[1].parts] == [("call_1", "g"), ("call_0", "f")]
    again = decoded({"contents": [turn, {"role": "function", "parts": results}, {"parts": [{"text": "more"}]}]})
    assert again.messages[0] == request.messages[0], "made-up ids are the same in the next turn: prompts are cached"


def test_ids_that_come_again_are_made_unique(decoded):
    def call(text):
        return {"role": "model", "parts": [{"functionCall": {"id": "1", "name": "f", "args": {"t": text}}}]}

    def result(text):
        return {"role": "user", "parts": [{"functionResponse": {"id": "1", "name": "f", "response": {"t": text}}}]}

    messages = decoded({"contents": [call("a"), result("a"), call("b"), result("b")]}).messages
    assert messages[0].parts[0].id != messages[2].parts[0].id
    for at in (0, 2):
        assert messages[at + 1].parts[0].tool_use_id == messages[at].parts[0].id


@pytest.mark.parametrize(
    "response, text, is_object, is_error",
    [
        ({"result": "sunny"}, "sunny", False, None),
        ({"output": "sunny"}, "sunny", False, None),
        ({"error": "no"}, "no", False, True),
        ({"error": {"code": 1}}, '{"code": 1}', False, True),
        ({"result": 5}, '{"result": 5}', True, None),
        ({"a": 1, "result": "x"}, '{"a": 1, "result": "x"}', True, None),
        ({}, "{}", True, None),
    ],
)
def test_what_a_function_returned_is_text_or_an_object_or_an_error(decoded, response, text, is_object, is_error):
    call = {"role": "model", "parts": [{"functionCall": {"name": "f"}}]}
    answer = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": response}}]}
    result = decoded({"contents": [call, answer]}).messages[1].parts[0]
    assert (result.parts, result.is_object, result.is_error) == ((Text(text),), is_object, is_error)


def test_a_result_has_pictures_and_stands_before_what_the_user_says(decoded):
    answer = {"name": "f", "response": {"result": "see"},
              "parts": [{"inlineData": {"mimeType": "image/png", "data": PNG}}]}  # fmt: skip
    request = decoded({"contents": [
        {"role": "model", "parts": [{"functionCall": {"name": "f"}}]},
        {"role": "user", "parts": [{"text": "And now?"}, {"functionResponse": answer}]},
    ]})  # fmt: skip
    result, words = request.messages[1].parts
    assert result.parts == (Text("see"), Image(Inline(PNG, "image/png")))
    assert words == Text("And now?")


STATE = ReasoningState("anthropic_signature", "abc", "o")


@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
def test_a_state_is_found_in_a_signature_of_either_base64(decoded, encode):
    envelope = "gw1.anthropic_signature.o.abc~~~???"
    signature = encode(envelope.encode()).decode()
    request = decoded(
        {"contents": [{"role": "model", "parts": [{"text": "a", "thoughtSignature": signature}]}]},
        unseal=lambda text: STATE if text == envelope else None,
    )
    assert request.messages[0].parts == (Text("a", state=STATE),)


@pytest.mark.parametrize("signature", ["CpQBAdHtim9abc/+==", "!!", "Z3cx"])
def test_a_signature_that_is_none_of_ours_is_no_state(decoded, signature):
    parts = [{"text": "t", "thought": True, "thoughtSignature": signature}, {"text": "", "thoughtSignature": signature}]
    request = decoded({"contents": [{"role": "model", "parts": parts}]}, unseal=sealed_nothing)
    assert request.messages[0].parts == (Thinking(text="t"),)


def test_states_hang_on_any_part_and_one_in_a_trailing_empty_part_on_the_part_before(decoded):
    parts = [
        {"text": "hm", "thought": True, "thoughtSignature": "AAAAAAA1"},
        {"text": "a"},
        {"text": "", "thoughtSignature": "AAAAAAA2"},
        {"functionCall": {"name": "f"}, "thoughtSignature": "AAAAAAA3"},
        {"thoughtSignature": "AAAAAAA4"},
    ]
    found = decoded({"contents": [{"role": "model", "parts": parts}]}).messages[0].parts
    assert [(type(part), part.state.data) for part in found] == [
        (Thinking, "AAAAAAA1"),
        (Text, "AAAAAAA2"),
        (ToolUse, "AAAAAAA3"),
        (Thinking, "AAAAAAA4"),
    ]


def test_the_fragments_of_a_streamed_turn_are_one_text_again_and_a_signature_ends_it(decoded):
    fragments = [
        {"text": "h", "thought": True},
        {"text": "m", "thought": True},
        {"text": "on"},
        {"text": "e", "thoughtSignature": "AAAAAAA1"},
        {"text": " two"},
    ]
    contents = [{"role": "model", "parts": fragments}, {"role": "model", "parts": [{"text": " three"}]}]
    parts = decoded({"contents": contents}).messages[0].parts
    assert [(type(part), part.text, part.state is not None) for part in parts] == [
        (Thinking, "hm", False),
        (Text, "one", True),
        (Text, " two three", False),
    ]


def test_what_a_user_says_in_parts_stays_in_parts(decoded):
    assert decoded(user({"text": "a"}, {"text": "b"})).messages[0].parts == (Text("a"), Text("b"))


def test_code_and_hosted_tools_of_the_history_keep_their_native_form(decoded):
    output = {"outcome": "OUTCOME_FAILED", "output": "boom"}
    response = {"id": "t", "toolType": "FILE_SEARCH", "response": {"result": [{"text": "P", "uri": "u", "title": "T"}]}}
    parts = [
        {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
        {"codeExecutionResult": output},
        {"toolCall": {"id": "t", "toolType": "FILE_SEARCH", "args": {"q": 1}}},
        {"toolResponse": response},
        {"toolCall": {"id": "u", "toolType": "NEW_TOOL"}},
        {"text": "a", "partMetadata": {"k": 1}},
    ]
    code, ran, call, found, odd, text, beside = (
        decoded({"contents": [{"role": "model", "parts": parts}]}).messages[0].parts
    )
    assert code == ServerToolUse("", "code_execution", "code_execution", '{"language":"PYTHON","code":"print(1)"}')
    assert (ran.parts, ran.is_error, ran.error_code) == ((Text("boom"),), True, "OUTCOME_FAILED")
    assert json.loads(bytes(ran.native)) == output
    assert call == ServerToolUse("t", "file_search", "FILE_SEARCH", '{"q": 1}')
    assert isinstance(found, ServerToolResult) and json.loads(bytes(found.native)) == response
    assert (found.parts[0].source, found.parts[0].title, found.parts[0].parts) == ("u", "T", (Text("P"),))
    assert (odd.wire_type, odd.optional) == ("toolCall", True)
    assert text == Text("a")
    assert (beside.wire_type, beside.optional) == ("partMetadata", True)


def test_a_part_that_only_gemini_knows_can_t_be_lost_unless_it_says_little(decoded):
    parts = decoded(user({"audioTranscription": {"text": "hi"}}, {"text": "a", "audioMetadata": {}})).messages[0].parts
    assert [(part.wire_type, part.optional) for part in parts if isinstance(part, Native)] == [
        ("audioTranscription", False),
        ("audioMetadata", True),
    ]


@pytest.mark.parametrize(
    "role, part, field",
    [
        ("user", {"functionCall": {"name": "f"}}, "functionCall"),
        ("user", {"executableCode": {"code": "1"}}, "executableCode"),
        ("user", {"toolResponse": {}}, "toolResponse"),
        ("model", {"functionResponse": {"name": "f"}}, "functionResponse"),
    ],
)
def test_the_model_calls_and_the_user_answers(decoded, role, part, field):
    with pytest.raises(InvalidRequest) as refused:
        decoded({"contents": [{"role": role, "parts": [{"text": "a"}, part]}]})
    assert refused.value.param == f"contents[0].parts[1].{field}"


def test_thoughts_are_the_model_s(decoded):
    parts = {"text": "t", "thought": True}, {"text": "a", "thoughtSignature": "AAAAAAA1"}
    assert decoded(user(*parts)).messages[0].parts == (Text("a"),)


# --- tools --------------------------------------------------------------------------------------------------------


def test_schema_objects_become_json_schema_and_json_schema_keeps_its_bytes(decoded):
    raw = (
        b'{"contents":"Hi","tools":[{"functionDeclarations":[{"name":"f","description":"D","parameters":'
        b'{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true}}},"response":{"type":"STRING"},'
        b'"behavior":"NON_BLOCKING"},{"name":"g","parametersJsonSchema":{ "type":"object" },'
        b'"responseJsonSchema":{ "type":"string" }}]}]}'
    )
    assert decoded(raw).tools == (
        FunctionTool(
            name="f",
            description="D",
            parameters=Raw(b'{"type":"object","properties":{"a":{"type":["string","null"]}}}'),
            result=Raw(b'{"type":"string"}'),
            asynchronous=True,
        ),
        FunctionTool(name="g", parameters=Raw(b'{ "type":"object" }'), result=Raw(b'{ "type":"string" }')),
    )


def test_hosted_tools_are_read_in_the_order_given(decoded):
    wire = {
        "tools": [
            {"googleSearch": {"excludeDomains": ["a.com"]}, "urlContext": {}},
            {"codeExecution": {}},
            {"fileSearch": {"file_search_store_names": ["s"], "topK": 3}},
            {"mcpServers": [{"name": "m", "streamableHttpTransport":
                {"url": "https://m", "headers": {"Authorization": "Bearer t", "X-A": "b"}}}]},
            {"computerUse": {"environment": "ENVIRONMENT_BROWSER"}},
            {"googleMaps": {}},
            {"newTool": {}},
            {"codeExecution": None},
        ],
        "contents": "Hi",
    }  # fmt: skip
    search, fetch, code, files, mcp, computer, maps, other = decoded(wire).tools
    assert isinstance(search, WebSearch) and (search.wire_type, search.blocked_domains) == ("googleSearch", ("a.com",))
    assert isinstance(files, FileSearch) and (files.stores, files.results_max) == (("s",), 3)
    assert isinstance(mcp, Mcp)
    assert (mcp.label, mcp.url, mcp.authorization, mcp.headers) == ("m", "https://m", "t", {"X-A": "b"})
    assert isinstance(computer, Computer) and computer.environment == "ENVIRONMENT_BROWSER"
    hosted = [(tool.kind, tool.wire_type) for tool in (fetch, code, maps, other) if isinstance(tool, NativeTool)]
    assert hosted == [
        ("web_fetch", "urlContext"),
        ("code_execution", "codeExecution"),
        ("maps", "googleMaps"),
        ("unknown", "newTool"),
    ]


def test_tools_may_be_one_object(decoded):
    assert decoded({"contents": "Hi", "tools": {"functionDeclarations": [{"name": "f"}]}}).tools[0].name == "f"


def test_a_function_without_a_name_is_refused_by_its_place(decoded):
    with pytest.raises(InvalidRequest) as refused:
        decoded({"contents": "Hi", "tools": [{}, {"functionDeclarations": [{"name": "f"}, {"description": "D"}]}]})
    assert refused.value.param == "tools[1].functionDeclarations[1].name"


@pytest.mark.parametrize(
    "calling, choice",
    [
        ({"mode": "none"}, ToolChoice(mode="none")),
        ({"mode": "AUTO"}, ToolChoice(mode="auto")),
        ({"mode": "any", "allowedFunctionNames": ["a", "b"]}, ToolChoice(mode="required", names=("a", "b"))),
        ({"mode": "VALIDATED"}, ToolChoice(mode="validated")),
        ({"mode": "MODE_UNSPECIFIED"}, ToolChoice(mode="auto")),
        ({}, None),
    ],
)
def test_the_choice_among_tools_is_read_in_any_case(decoded, calling, choice):
    assert decoded({"contents": "Hi", "toolConfig": {"functionCallingConfig": calling}}).tool_choice == choice


# --- generationConfig ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config, form",
    [
        ({"responseMimeType": "application/json"}, JsonObject()),
        ({"responseMimeType": "text/plain"}, PlainText()),
        ({}, None),
        (
            {"responseMimeType": "application/json", "responseSchema": {"type": "ARRAY", "items": {"type": "STRING"}}},
            JsonSchema(schema=Raw(b'{"type":"array","items":{"type":"string"}}')),
        ),
        (
            {"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["A", "B"]}},
            JsonSchema(schema=Raw(b'{"type":"string","enum":["A","B"]}'), media_type="text/x.enum"),
        ),
    ],
)
def test_the_shape_of_the_answer_is_read(decoded, config, form):
    assert decoded({"contents": "Hi", "generationConfig": config}).format == form


@pytest.mark.parametrize(
    "config, reasoning",
    [
        ({"thinkingLevel": "low"}, Reasoning(effort="low")),
        ({"thinkingLevel": "HIGH", "includeThoughts": False}, Reasoning(effort="high", show="none")),
        ({"thinkingBudget": -1}, Reasoning(budget_tokens=-1)),
        ({"thinkingBudget": "128"}, Reasoning(budget_tokens=128)),
        ({}, None),
    ],
)
def test_thinking_is_read(decoded, config, reasoning):
    assert decoded({"contents": "Hi", "generationConfig": {"thinkingConfig": config}}).reasoning == reasoning


def test_asked_outputs_are_read_and_text_alone_is_nothing_special(decoded):
    speech = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}
    request = decoded({"contents": "Hi", "generationConfig": {"responseModalities": ["audio"], "speechConfig": speech}})
    assert request.modalities == ("audio",)
    assert isinstance(request.audio, AudioOut) and request.audio.voice == "Kore"
    assert decoded({"contents": "Hi", "generationConfig": {"responseModalities": ["TEXT"]}}).modalities == ()
    both = {"responseModalities": ["TEXT", "IMAGE"]}
    assert decoded({"contents": "Hi", "generationConfig": both}).modalities == ("text", "image")
