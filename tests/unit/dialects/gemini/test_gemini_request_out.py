"""Gemini generateContent: a canonical request for a provider."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from google.genai import types
from msgspec import Raw

from proxyapi.dialects.codec import Untranslatable
from proxyapi.dialects.history import NO_RESULT
from proxyapi.dialects.model import (
    Audio,
    AudioOut,
    CacheMark,
    CacheOptions,
    Compaction,
    CustomTool,
    Document,
    FileRef,
    FileSearch,
    FunctionTool,
    Image,
    Inline,
    JsonObject,
    JsonSchema,
    Link,
    Location,
    Mcp,
    Message,
    Native,
    NativeTool,
    PlainText,
    Reasoning,
    ReasoningState,
    Refusal,
    Request,
    Sampling,
    SearchResult,
    ServerToolResult,
    ServerToolUse,
    Storage,
    Text,
    Thinking,
    ToolChange,
    ToolChoice,
    ToolReference,
    ToolResult,
    ToolUse,
    Video,
    WebSearch,
)

PNG = Inline("iVBORw0KGgo=", "image/png")
SCHEMA = Raw(b'{ "type": "object", "properties": { "a": { "type": "string" } } }')
MINE = ReasoningState("google_signature", "c2ln", "google_g3")
OTHER = ReasoningState("google_signature", "b3RoZXI=", "google_g2")


def user(*parts, **fields):
    return Message(role="user", parts=tuple(Text(p) if isinstance(p, str) else p for p in parts), **fields)


def assistant(*parts, **fields):
    return Message(role="assistant", parts=tuple(Text(p) if isinstance(p, str) else p for p in parts), **fields)


def asking(*messages, **fields):
    return Request(model="m", messages=messages or (user("Hi"),), **fields)


def call(identity="c1", name="f", arguments='{"a":1}', **fields):
    return ToolUse(identity, name, arguments, **fields)


def result(identity="c1", *parts, **fields):
    return ToolResult(tool_use_id=identity, parts=tuple(Text(p) if isinstance(p, str) else p for p in parts), **fields)


def tool(name="f", **fields):
    return FunctionTool(name=name, parameters=fields.pop("parameters", SCHEMA), **fields)


def native(kind, wire_type, body=b"{}"):
    return NativeTool(kind=kind, dialect="anthropic", wire_type=wire_type, body=Raw(body))


# --- instructions and turns ---------------------------------------------------------------------------------------


def test_instructions_are_one_system_instruction_with_a_part_for_each_text(sent):
    system = (
        Message(role="system", parts=(Text("a"), Text("b"))),
        Message(role="developer", parts=(Text("c"),)),
    )
    assert sent(asking(system=system))["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}, {"text": "c"}]}


def test_an_instruction_in_the_middle_is_a_reminder_at_the_same_place(encoded):
    messages = user("one"), Message(role="system", parts=(Text("Be brief."),)), assistant("ok"), user("two")
    out = encoded(asking(*messages))
    assert json.loads(out.body)["contents"] == [
        {"role": "user", "parts": [{"text": "one"}, {"text": "<system-reminder>\nBe brief.\n</system-reminder>"}]},
        {"role": "model", "parts": [{"text": "ok"}]},
        {"role": "user", "parts": [{"text": "two"}]},
    ]
    assert out.approximated == ("messages.system",)


def test_instructions_alone_get_a_turn_of_the_user(sent):
    body = sent(Request(model="m", system=(Message(role="system", parts=(Text("S"),)),)))
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Begin."}]}]


def test_a_model_that_takes_no_instructions_reads_them_first_of_what_the_user_says(encoded):
    out = encoded(asking(user("Hi"), system=(Message(role="system", parts=(Text("S"),)),)), system_role="user")
    assert json.loads(out.body) == {"contents": [{"role": "user", "parts": [{"text": "S"}, {"text": "Hi"}]}]}
    assert out.approximated == ("system",)


def test_neighbours_of_one_role_merge_and_empty_ones_vanish(sent):
    messages = user("a"), user(" ", "b"), assistant(Thinking(text="hm")), assistant("c"), user("d")
    assert sent(asking(*messages))["contents"] == [
        {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]},
        {"role": "model", "parts": [{"text": "c"}]},
        {"role": "user", "parts": [{"text": "d"}]},
    ]


def test_participants_are_told_apart_by_their_names_only_where_there_are_two(sent):
    two = sent(asking(user("Hi", name="Ann"), assistant("Hm"), user("Ho", name="Bob")))["contents"]
    assert [two[0]["parts"], two[2]["parts"]] == [[{"text": "Ann: Hi"}], [{"text": "Bob: Ho"}]]
    assert sent(asking(user("Hi", name="Ann")))["contents"][0]["parts"] == [{"text": "Hi"}]


def test_a_message_of_the_assistant_at_the_end_is_refused_unless_it_is_a_call(encoded, sent):
    with pytest.raises(Untranslatable, match="go on with a message of the assistant"):
        encoded(asking(user("Hi"), assistant("Once upon")))
    assert sent(asking(user("Hi"), assistant(call())))["contents"][1]["role"] == "model"


# --- parts --------------------------------------------------------------------------------------------------------


def test_what_gemini_has_no_part_for_is_told_in_words(encoded):
    parts = (
        ServerToolUse("s1", "web_search", "web_search", '{"query":"q"}'),
        ServerToolResult("s1", "web_search", (SearchResult("https://a", "A", (Text("P"),)),)),
        Refusal("No."),
        Text("ok"),
    )
    out = encoded(asking(user("Hi", Document(None, text="D", title="T")), assistant(*parts), user("more")))
    contents = json.loads(out.body)["contents"]
    assert contents[0]["parts"] == [{"text": "Hi"}, {"text": "T\nD"}]
    assert contents[1]["parts"] == [
        {"text": "Searched: q"},
        {"text": "A: https://a\nP"},
        {"text": "No."},
        {"text": "ok"},
    ]
    assert set(out.approximated) == {"messages.document", "messages.server_tool_use"}


def test_a_readable_summary_is_told_to_the_user_and_a_closed_one_refused(sent, encoded):
    told = sent(asking(assistant(Compaction(text="S")), user("more")))["contents"]
    assert told == [{"role": "user", "parts": [{"text": "Summary so far: S"}, {"text": "more"}]}]
    with pytest.raises(Untranslatable) as refused:
        encoded(asking(assistant(Compaction()), user("more")))
    assert refused.value.field == "messages.compaction"


def test_media_are_inline_data_with_how_closely_they_are_looked_at(sent):
    parts = (
        Image(PNG, detail="original"),
        Audio(Inline("SUQz", "audio/mpeg")),
        Video(Inline("AAAA", "video/mp4"), start_seconds=1.5, end_seconds=60, frames_per_second=0.5),
        Document(Inline("JVBE", "application/pdf"), title="a.pdf", context="C", citations=True),
        Image(PNG, detail="auto"),
    )
    assert sent(asking(user(*parts)))["contents"][0]["parts"] == [
        {
            "inlineData": {"mimeType": "image/png", "data": PNG.data},
            "mediaResolution": {"level": "MEDIA_RESOLUTION_ULTRA_HIGH"},
        },
        {"inlineData": {"mimeType": "audio/mpeg", "data": "SUQz"}},
        {
            "inlineData": {"mimeType": "video/mp4", "data": "AAAA"},
            "videoMetadata": {"startOffset": "1.5s", "endOffset": "60s", "fps": 0.5},
        },
        {"text": "C"},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
        {"inlineData": {"mimeType": "image/png", "data": PNG.data}},
    ]


def test_what_a_model_does_not_know_of_media_is_dropped_by_name(encoded):
    picture, paper = (
        Image(PNG, detail="low"),
        Document(Inline("JVBE", "application/pdf"), title="a.pdf", citations=True),
    )
    out = encoded(asking(user(picture, paper)), no_part_resolution=True)
    assert set(out.dropped) == {"messages.detail", "messages.document.title", "messages.document.citations"}
    assert b"displayName" in encoded(asking(user(paper)), display_names=True).body


def test_an_address_is_refused_unless_the_provider_fetches_it_itself(encoded, sent):
    link = Image(Link("https://example.com/a.webp?b=1"))
    with pytest.raises(Untranslatable) as refused:
        encoded(asking(user(link)))
    assert refused.value.field == "messages.image"
    assert sent(asking(user(link)), no_link_media=False)["contents"][0]["parts"] == [
        {"fileData": {"mimeType": "image/webp", "fileUri": "https://example.com/a.webp?b=1"}}
    ]
    film = Video(Link("https://www.youtube.com/watch?v=1"))
    assert "fileData" in sent(asking(user(film)))["contents"][0]["parts"][0]


def test_a_file_of_another_provider_is_refused(encoded):
    with pytest.raises(Untranslatable, match="kept by another provider"):
        encoded(asking(user(Document(FileRef("file_123", "anthropic")))))


def test_sound_of_an_earlier_answer_is_told_by_its_words(sent):
    spoken = Audio(FileRef("audio_1"), transcript="Hello", id="audio_1")
    assert sent(asking(assistant(spoken), user("more")))["contents"][1]["parts"] == [{"text": "Hello"}]


def test_a_part_of_another_dialect_is_dropped_if_that_changes_nothing_else_refused(encoded, sent):
    optional = Native("anthropic", "fallback", Raw(b"{}"), optional=True)
    assert sent(asking(user("Hi", optional)))["contents"][0]["parts"] == [{"text": "Hi"}]
    with pytest.raises(Untranslatable) as refused:
        encoded(asking(user("Hi", Native("anthropic", "container_upload", Raw(b"{}")))))
    assert refused.value.field == "messages.container_upload"


# --- calls and results --------------------------------------------------------------------------------------------


def test_a_result_carries_the_name_of_the_call_that_it_answers(sent):
    turns = (user("Hi"), assistant(call("a", "f"), call("b", "g")), user(result("b", "2"), result("a", "1")))
    _, calls, answers = sent(asking(*turns), call_ids=True)["contents"]
    responses = [part["functionResponse"] for part in answers["parts"]]
    assert [(response["id"], response["name"], response["response"]) for response in responses] == [
        ("b", "g", {"result": "2"}),
        ("a", "f", {"result": "1"}),
    ]
    assert [part["functionCall"]["id"] for part in calls["parts"]] == ["a", "b"]


def test_without_ids_results_come_in_the_order_of_their_calls(sent):
    """Two calls of one function could not be told apart else."""
    turns = (user("Hi"), assistant(call("a", "f"), call("b", "f")), user(result("b", "2"), result("a", "1")))
    _, calls, answers = sent(asking(*turns), call_ids=False)["contents"]
    assert [part["functionResponse"] for part in answers["parts"]] == [
        {"name": "f", "response": {"result": "1"}},
        {"name": "f", "response": {"result": "2"}},
    ]
    assert not any("id" in part["functionCall"] for part in calls["parts"])


@pytest.mark.parametrize(
    "answer, response",
    [
        (result("c1", '{"a": {"b": [1]}}', is_object=True), {"a": {"b": [1]}}),
        (result("c1", '{"a": 1}'), {"a": 1}),
        (result("c1", "[1, 2]"), {"result": "[1, 2]"}),
        (result("c1", "a", "b"), {"result": "a\nb"}),
        (result("c1"), {"result": ""}),
        (result("c1", "boom", is_error=True), {"error": "boom"}),
        (result("c1", '{"code": 1}', is_error=True), {"error": '{"code": 1}'}),
        (result("c1", SearchResult("https://a", "A", (Text("P"),))), {"result": "A: https://a\nP"}),
        (result("c1", ToolReference(name="g")), {"result": "g"}),
    ],
)
def test_results_that_are_no_object_are_wrapped(sent, answer, response):
    body = sent(asking(user("Hi"), assistant(call()), user(answer)))
    assert body["contents"][2]["parts"][0]["functionResponse"]["response"] == response


@pytest.mark.parametrize("text", ['{"$ref": "#/a"}', '{"x": {"$defs": {}}}'])
def test_references_inside_a_result_do_not_reach_gemini_raw(sent, text):
    body = sent(asking(user("Hi"), assistant(call()), user(result("c1", text))))
    assert body["contents"][2]["parts"][0]["functionResponse"]["response"] == {"result": text}


def test_arguments_and_objects_keep_their_bytes(encoded):
    out = encoded(
        asking(user("Hi"), assistant(call(arguments='{ "b": 1.0, "a": 2e3 }')), user(result("c1", '{ "x":1.0 }')))
    )
    assert b'"args":{ "b": 1.0, "a": 2e3 }' in out.body
    assert b'"response":{ "x":1.0 }' in out.body


@pytest.mark.parametrize("arguments, args", [("", {}), ("no JSON", {"input": "no JSON"}), ("[1]", {"input": "[1]"})])
def test_arguments_are_an_object_whatever_they_were(sent, arguments, args):
    body = sent(asking(user("Hi"), assistant(call(arguments=arguments)), user(result())))
    assert body["contents"][1]["parts"][0]["functionCall"]["args"] == args


def test_pictures_of_a_result_go_with_it_or_follow_it_in_order(sent, encoded):
    answers = user("next", result("a", "see", Image(PNG)), result("b", Document(Inline("JVBE", "application/pdf"))))
    messages = user("Hi"), assistant(call("a"), call("b", "g")), answers
    with_parts = sent(asking(*messages))["contents"][2]["parts"]
    assert [part["functionResponse"].get("parts") for part in with_parts[:2]] == [
        [{"inlineData": {"mimeType": "image/png", "data": PNG.data}}],
        [{"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}}],
    ]
    moved = encoded(asking(*messages), no_result_media=True)
    parts = json.loads(moved.body)["contents"][2]["parts"]
    assert [next(iter(part)) for part in parts] == ["functionResponse"] * 2 + ["text", "inlineData"] * 2 + ["text"]
    assert [part["text"] for part in parts if "text" in part] == ["Result of a:", "Result of b:", "next"]
    assert "messages.tool_result" in moved.approximated


def test_a_result_of_no_call_and_a_second_one_are_refused_by_their_id(encoded):
    for messages in (
        (user("Hi"), user(result("c9", "x"))),
        (user("Hi"), assistant(call("c9")), user(result("c9", "x"), result("c9", "y"))),
    ):
        with pytest.raises(Untranslatable, match="'c9'"):
            encoded(asking(*messages))


def test_a_call_that_the_conversation_went_on_after_gets_a_result(sent):
    contents = sent(asking(user("Hi"), assistant(call()), user("Never mind.")))["contents"]
    assert contents[2]["parts"] == [
        {"functionResponse": {"id": "c1", "name": "f", "response": {"result": NO_RESULT}}},
        {"text": "Never mind."},
    ]


# --- reasoning states ---------------------------------------------------------------------------------------------


def test_a_signature_goes_back_to_its_maker_on_any_part_and_to_nobody_else(sent):
    parts = Thinking(text="hm", state=MINE), Text("a", state=MINE), call(state=MINE)
    messages = user("Hi"), assistant(*parts), user(result("c1", "x"))
    mine = sent(asking(*messages), origin=MINE.origin)["contents"][1]["parts"]
    assert mine == [
        {"text": "hm", "thought": True, "thoughtSignature": "c2ln"},
        {"text": "a", "thoughtSignature": "c2ln"},
        {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
    ]
    theirs = sent(asking(*messages), origin="google_g2")["contents"][1]["parts"]
    assert theirs == [{"text": "a"}, {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}}]
    foreign = assistant(Thinking(text="t", state=ReasoningState("anthropic_signature", "x", "google_g3")), Text("a"))
    assert sent(asking(foreign, user("b")), origin="google_g3")["contents"][1]["parts"] == [{"text": "a"}]


def test_a_state_without_a_part_of_its_own_hangs_on_what_follows(sent):
    messages = user("Hi"), assistant(Thinking(state=MINE), call()), user(result("c1", "x"))
    assert sent(asking(*messages), origin=MINE.origin)["contents"][1]["parts"] == [
        {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"}
    ]


def test_a_state_at_the_end_of_a_turn_is_an_empty_part(sent):
    parts = sent(asking(assistant("a", Thinking(state=MINE)), user("b")), origin=MINE.origin)["contents"][1]["parts"]
    assert parts == [{"text": "a"}, {"text": "", "thought": True, "thoughtSignature": "c2ln"}]


def test_only_the_first_of_parallel_calls_gets_the_word_for_a_lost_signature_and_only_in_the_turn_that_goes_on(sent):
    def step(*identities):
        calls = assistant(*(call(identity) for identity in identities))
        return calls, user(*(result(identity, "x") for identity in identities))

    history = user("one"), *step("a"), assistant("done"), user("two"), *step("b", "c"), *step("d")
    contents = sent(asking(*history), signature_required=True)["contents"]
    signatures = [
        [part.get("thoughtSignature") for part in content["parts"]]
        for content in contents
        if any("functionCall" in part for part in content["parts"])
    ]
    word = "skip_thought_signature_validator"
    assert signatures == [[None], [word, None], [word]]
    assert b"skip_thought" not in json.dumps(sent(asking(*history))).encode()


def test_a_call_that_is_signed_needs_no_word(sent):
    messages = user("Hi"), assistant(call("a", state=MINE), call("b")), user(result("a", "x"), result("b", "y"))
    parts = sent(asking(*messages), origin=MINE.origin, signature_required=True)["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == ["c2ln", None]


# --- tools --------------------------------------------------------------------------------------------------------


def test_all_functions_stand_in_the_first_tool(sent):
    tools = (
        tool("a", description="A"),
        WebSearch(),
        tool("b", parameters=Raw(b'{"type":"object"}')),
        FunctionTool(name="c"),
    )
    body = sent(asking(tools=tools))
    assert body["tools"] == [
        {
            "functionDeclarations": [
                {"name": "a", "description": "A", "parametersJsonSchema": json.loads(bytes(SCHEMA))},
                {"name": "b", "parametersJsonSchema": {"type": "object"}},
                {"name": "c"},
            ]
        },
        {"googleSearch": {}},
    ]
    assert body["toolConfig"] == {"includeServerSideToolInvocations": True}


def test_schemas_keep_their_bytes_where_the_target_takes_json_schema(encoded):
    definitions = Raw(
        b'{ "type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string"}} }'
    )
    out = encoded(asking(tools=(tool(parameters=definitions),), format=JsonSchema(schema=definitions)))
    assert out.body.count(bytes(definitions)) == 2
    assert b'"parametersJsonSchema":{ ' in out.body and b'"responseJsonSchema":{ ' in out.body


def test_older_models_get_schema_objects_that_google_s_types_read(sent):
    optional = Raw(b'{"type":"object","properties":{"a":{"type":["string","null"]}}}')
    body = sent(asking(tools=(tool(parameters=optional), tool("g", parameters=Raw(b'{"type":"object"}'))),
                       format=JsonSchema(schema=optional)), openapi_schema=True)  # fmt: skip
    one, other = body["tools"][0]["functionDeclarations"]
    meant = {"type": "object", "properties": {"a": {"type": "string", "nullable": True}}}
    assert one == {"name": "f", "parameters": meant}
    assert other == {"name": "g"}
    assert body["generationConfig"] == {"responseMimeType": "application/json", "responseSchema": meant}
    types.Tool.model_validate(body["tools"][0])


def test_numbers_in_enums_are_told_as_texts_and_the_way_back_is_remembered(encoded):
    levels = Raw(b'{"type":"object","properties":{"level":{"enum":[1,2]}}}')
    out = encoded(
        asking(tools=(tool("a b", parameters=levels),), format=JsonSchema(schema=levels)), openapi_schema=True
    )
    alias = next(iter(out.names))
    assert dict(out.rewritten) == {alias: levels, "": levels}
    assert b'"enum":["1","2"]' in out.body
    assert not encoded(asking(tools=(tool(parameters=levels),))).rewritten


@pytest.mark.parametrize(
    "root",
    [b'{"anyOf":[{"properties":{"a":{"type":"string"}}},{"type":"null"}]}', b'{"properties":{"a":{"type":"string"}}}'],
)
def test_arguments_are_an_object_at_their_root(sent, root):
    schema = sent(asking(tools=(tool(parameters=Raw(root)),)))["tools"][0]["functionDeclarations"][0][
        "parametersJsonSchema"
    ]
    assert (schema["type"], schema["properties"]) == ("object", {"a": {"type": "string"}})


def test_names_are_legal_and_map_back(encoded):
    long = "n" * 200
    out = encoded(asking(tools=(tool("ok.a:b-c"), tool("1st tool"), tool(long)),
                         tool_choice=ToolChoice(mode="required", names=("1st tool",))))  # fmt: skip
    body = json.loads(out.body)
    names = [function["name"] for function in body["tools"][0]["functionDeclarations"]]
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}", name) for name in names)
    assert [out.names.get(name, name) for name in names] == ["ok.a:b-c", "1st tool", long]
    assert body["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"] == [names[1]]
    again = encoded(asking(user("Hi"), assistant(call(name="1st tool")), user(result(name="1st tool"))))
    assert names[1].encode() in again.body


def test_namespaces_free_text_and_typed_tools_are_functions(encoded):
    bash = NativeTool(kind="bash", dialect="anthropic", wire_type="bash_20250124", body=Raw(b'{"name":"bash"}'))
    tools = (
        tool("f", namespace="ns", namespace_description="N", description="D"),
        CustomTool(name="sql", syntax="lark", grammar="start: /a/"),
        bash,
    )
    out = encoded(asking(tools=tools))
    one, two, three = json.loads(out.body)["tools"][0]["functionDeclarations"]
    assert (one["name"], one["description"]) == ("ns__f", "N\n\nD")
    assert two["parametersJsonSchema"]["properties"] == {"input": {"type": "string"}}
    assert three["name"] == "bash"
    assert set(out.approximated) == {"tools.sql", "tools.bash"}


def test_hosted_tools_of_others_are_mapped(encoded):
    tools = (
        WebSearch(wire_type="web_search_20250305", blocked_domains=("a.com",), uses_max=3, location=Location()),
        NativeTool(kind="web_fetch", dialect="anthropic", wire_type="web_fetch_20250910", body=Raw(b"{}")),
        NativeTool(kind="code_execution", dialect="openai_responses", wire_type="code_interpreter",
                   body=Raw(b'{"type":"code_interpreter","container":{"type":"auto"}}')),
        Mcp(label="m", url="https://m", authorization="t", headers={"X": "y"}, approval="never"),
    )  # fmt: skip
    out = encoded(asking(tools=tools))
    assert json.loads(out.body)["tools"] == [
        {"googleSearch": {"excludeDomains": ["a.com"]}},
        {"urlContext": {}},
        {"codeExecution": {}},
        {"mcpServers": [{"name": "m", "streamableHttpTransport":
            {"url": "https://m", "headers": {"X": "y", "Authorization": "Bearer t"}}}]},
    ]  # fmt: skip
    assert set(out.dropped) == {"tools.web_search.uses_max", "tools.web_search.location"}


@pytest.mark.parametrize(
    "refused, field",
    [
        (WebSearch(allowed_domains=("a.com",)), "tools.web_search.allowed_domains"),
        (FileSearch(stores=("vs_1",), native=Raw(b'{"type":"file_search"}')), "tools.file_search"),
        (Mcp(label="m", url="https://m", approval="always"), "tools.mcp.approval"),
        (Mcp(label="m", url="https://m", allowed_tools=("a",)), "tools.mcp.allowed_tools"),
        (Mcp(label="m"), "tools.mcp"),
        (native("computer", "computer_20250124"), "tools.computer"),
        (native("advisor", "advisor_20260301"), "tools.advisor"),
        (native("unknown", "new_tool"), "tools.new_tool"),
        (native("code_execution", "code_interpreter", b'{"container":{"file_ids":["f"]}}'), "tools.code_execution"),
    ],
)  # fmt: skip
def test_a_tool_that_gemini_lacks_is_refused_by_name(encoded, refused, field):
    with pytest.raises(Untranslatable) as error:
        encoded(asking(tools=(refused,)))
    assert error.value.field == field


def test_functions_and_hosted_tools_exclude_each_other_in_older_models(encoded):
    with pytest.raises(Untranslatable, match="googleSearch, not both"):
        encoded(asking(tools=(tool(), WebSearch())), no_mixed_tools=True)


def test_tool_search_is_dropped_since_all_tools_are_declared_openly(encoded):
    search = NativeTool(
        kind="tool_search", dialect="anthropic", wire_type="tool_search_tool_bm25_20251119", body=Raw(b"{}")
    )
    out = encoded(asking(tools=(search, tool(defer_loading=True))))
    assert [list(one) for one in json.loads(out.body)["tools"]] == [["functionDeclarations"]]
    assert (out.approximated, out.dropped) == (("tools.tool_search",), ("tools.defer_loading",))


def test_a_search_that_the_client_runs_itself_is_a_function(sent):
    body = b'{"type":"tool_search","execution":"client","parameters":{"type":"object","properties":{}}}'
    search = NativeTool(kind="tool_search", dialect="openai_responses", wire_type="tool_search", body=Raw(body))
    (declared,) = sent(asking(tools=(search,)))["tools"][0]["functionDeclarations"]
    assert declared["name"] == "tool_search"


def test_a_search_of_an_index_only_becomes_one_of_the_web_and_that_is_told(encoded):
    assert encoded(asking(tools=(WebSearch(live=False),))).approximated == ("tools.web_search.live",)
    assert encoded(asking(tools=(WebSearch(live=True),))).approximated == ()


def test_tools_that_the_conversation_adds_are_declared_from_the_beginning(sent):
    change = Message(role="developer", parts=(ToolChange(added=(tool("late"),), removed=("early",)),))
    body = sent(asking(user("Hi"), change, user("more"), tools=(tool("early"), tool("stays"))))
    assert [f["name"] for f in body["tools"][0]["functionDeclarations"]] == ["stays", "late"]


def test_what_only_others_say_of_a_function_is_dropped_by_name(encoded):
    rich = tool(examples=(Raw(b"{}"),), allowed_callers=("direct",), cache=CacheMark(), stream_arguments_eagerly=True)
    assert set(encoded(asking(tools=(rich,))).dropped) == {
        "tools.examples",
        "tools.allowed_callers",
        "tools.cache",
        "tools.stream_arguments_eagerly",
    }


@pytest.mark.parametrize(
    "choice, calling",
    [
        (ToolChoice(), {"mode": "AUTO"}),
        (ToolChoice(mode="none"), {"mode": "NONE"}),
        (ToolChoice(mode="required"), {"mode": "ANY"}),
        (ToolChoice(mode="required", names=("f",)), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (ToolChoice(mode="required", names=("f", "g")), {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}),
        (ToolChoice(mode="validated"), {"mode": "VALIDATED"}),
        (ToolChoice(parallel=True), {"mode": "AUTO"}),
    ],
)
def test_the_choice_among_tools_is_told(sent, choice, calling):
    body = sent(asking(tools=(tool("f"), tool("g")), tool_choice=choice))
    assert body["toolConfig"]["functionCallingConfig"] == calling


def test_a_subset_to_choose_freely_from_is_told_by_declaring_nothing_else(encoded):
    out = encoded(asking(tools=(tool("f"), tool("g")), tool_choice=ToolChoice(names=("g",), parallel=False)))
    body = json.loads(out.body)
    assert [f["name"] for f in body["tools"][0]["functionDeclarations"]] == ["g"]
    assert (out.approximated, out.dropped) == (("tool_choice",), ("tool_choice.parallel",))


@pytest.mark.parametrize(
    "choice, tools",
    [
        (ToolChoice(mode="required"), ()),
        (ToolChoice(mode="required", names=("x",)), (tool(),)),
        (ToolChoice(mode="required", server_tool="web_search"), (tool(),)),
    ],
)
def test_a_choice_that_can_t_be_told_is_refused(encoded, choice, tools):
    with pytest.raises(Untranslatable) as refused:
        encoded(asking(tools=tools, tool_choice=choice))
    assert refused.value.field == "tool_choice"


@pytest.mark.parametrize("mode", ["auto", "none"])
def test_a_choice_among_no_tools_says_nothing(sent, mode):
    assert set(sent(asking(tool_choice=ToolChoice(mode=mode)))) == {"contents"}


def test_strict_functions_are_validated_all_or_none(encoded, sent):
    strict = tool("f", strict=True), tool("g", strict=True)
    assert sent(asking(tools=strict))["toolConfig"] == {"functionCallingConfig": {"mode": "VALIDATED"}}
    some = encoded(asking(tools=(tool("f", strict=True), tool("g"))))
    assert (b"VALIDATED" in some.body, some.dropped) == (False, ("tools.strict",))
    old = encoded(asking(tools=strict), no_strict=True)
    assert (b"VALIDATED" in old.body, old.dropped) == (False, ("tools.strict",))


# --- the answer ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form, config",
    [
        (JsonObject(), {"responseMimeType": "application/json"}),
        (PlainText(), {"responseMimeType": "text/plain"}),
        (
            JsonSchema(schema=SCHEMA, name="N", strict=True),
            {"responseMimeType": "application/json", "responseJsonSchema": json.loads(bytes(SCHEMA))},
        ),
        (
            JsonSchema(schema=Raw(b'{"type":"string","enum":["A"]}'), media_type="text/x.enum"),
            {"responseMimeType": "text/x.enum", "responseJsonSchema": {"type": "string", "enum": ["A"]}},
        ),
    ],
)
def test_the_shape_of_the_answer_is_told(sent, form, config):
    assert sent(asking(format=form))["generationConfig"] == config


def test_a_model_that_knows_no_json_is_told_in_words(encoded):
    out = encoded(asking(format=JsonSchema(schema=SCHEMA)), no_json_schema=True)
    words = json.loads(out.body)["systemInstruction"]["parts"][0]["text"]
    assert words.startswith("Answer with one JSON object only") and bytes(SCHEMA).decode() in words
    assert (b"responseMimeType" in out.body, out.approximated) == (False, ("format",))


def test_a_schema_and_functions_together_are_refused_in_older_models(encoded):
    with pytest.raises(Untranslatable) as refused:
        encoded(asking(tools=(tool(),), format=JsonSchema(schema=SCHEMA)), no_schema_with_tools=True)
    assert refused.value.field == "format"
    encoded(asking(tools=(tool(),), format=JsonSchema(schema=SCHEMA)))


def test_settings_of_the_answer_are_told(sent):
    request = asking(
        output_tokens_max=64,
        choices=2,
        stop=("a", "b"),
        sampling=Sampling(
            temperature=0,
            top_p=0,
            top_k=40,
            frequency_penalty=-2,
            presence_penalty=0.5,
            seed=2**40,
            logit_bias={"1": 1},
        ),
        logprobs=0,
        media_detail="low",
        modalities=("text", "image"),
    )
    assert sent(request)["generationConfig"] == {
        "maxOutputTokens": 64,
        "candidateCount": 2,
        "stopSequences": ["a", "b"],
        "responseLogprobs": True,
        "mediaResolution": "MEDIA_RESOLUTION_LOW",
        "responseModalities": ["TEXT", "IMAGE"],
        "temperature": 0,
        "topP": 0,
        "frequencyPenalty": -2,
        "presencePenalty": 0.5,
        "topK": 40,
        "seed": 2**31 - 1,
    }


def test_knobs_out_of_range_are_clamped_and_those_that_a_model_refuses_dropped(encoded):
    out = encoded(asking(sampling=Sampling(temperature=3, presence_penalty=-5)))
    assert json.loads(out.body)["generationConfig"] == {"temperature": 2, "presencePenalty": -2}
    assert set(out.approximated) == {"sampling.temperature", "sampling.presence_penalty"}
    none = encoded(asking(sampling=Sampling(temperature=1, top_p=1, top_k=1, seed=1)), no_sampling=True, no_seed=True)
    assert b"generationConfig" not in none.body
    assert set(none.dropped) == {"sampling.temperature", "sampling.top_p", "sampling.top_k", "sampling.seed"}


def test_stop_sequences_beyond_the_fifth_are_cut_by_the_gateway(encoded):
    out = encoded(asking(stop=tuple("abcdefg")))
    assert (json.loads(out.body)["generationConfig"]["stopSequences"], out.stop) == (list("abcde"), ("f", "g"))
    none = encoded(asking(stop=("a",)), no_stop=True)
    assert (b"stopSequences" in none.body, none.stop) == (False, ("a",))


def test_a_voice_of_another_vendor_becomes_one_of_google_s_and_speech_is_all_that_is_asked(encoded):
    out = encoded(asking(modalities=("text", "audio"), audio=AudioOut(voice="alloy", format="wav")))
    assert json.loads(out.body)["generationConfig"] == {
        "responseModalities": ["AUDIO"],
        "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}},
    }
    assert set(out.approximated) == {"modalities", "audio.voice"}
    with pytest.raises(Untranslatable) as refused:
        encoded(asking(modalities=("audio",), audio=AudioOut(format="mp3")))
    assert refused.value.field == "audio.format"


THREE = {"thinking_form": "level", "efforts": ("low", "medium", "high"), "thinking_can_be_off": False}
FLASH = {"thinking_form": "gemini_budget", "thinking_budget_min": 0, "thinking_budget_max": 24_576}
PRO = {"thinking_form": "gemini_budget", "thinking_budget_min": 128, "thinking_budget_max": 32_768,
       "thinking_can_be_off": False}  # fmt: skip
LITE = FLASH | {"thinking_budget_min": 512}
SHOWN = {"includeThoughts": True}
"""Gemini shows no thought unasked."""


@pytest.mark.parametrize(
    "asked, quirks, config, approximated",
    [
        (Reasoning(effort="high"), THREE, {"thinkingLevel": "HIGH"} | SHOWN, ()),
        (Reasoning(effort="xhigh"), THREE, {"thinkingLevel": "HIGH"} | SHOWN, ("reasoning.effort",)),
        (Reasoning(effort="none"), THREE, {"thinkingLevel": "LOW"}, ("reasoning.effort",)),
        (Reasoning(effort="minimal"), THREE, {"thinkingLevel": "LOW"} | SHOWN, ("reasoning.effort",)),
        (Reasoning(budget_tokens=8_192), THREE, {"thinkingLevel": "MEDIUM"} | SHOWN, ("reasoning.budget_tokens",)),
        (Reasoning(budget_tokens=-1), THREE, SHOWN, ()),
        (Reasoning(adaptive=True, show="auto"), THREE, {"includeThoughts": True}, ()),
        (Reasoning(effort="low", show="none"), THREE, {"thinkingLevel": "LOW", "includeThoughts": False}, ()),
        (Reasoning(effort="low"), FLASH, {"thinkingBudget": 1_024} | SHOWN, ("reasoning.effort",)),
        (Reasoning(effort="max"), FLASH, {"thinkingBudget": 24_576} | SHOWN, ("reasoning.effort",)),
        (Reasoning(effort="none"), FLASH, {"thinkingBudget": 0}, ()),
        (Reasoning(adaptive=False), FLASH, {"thinkingBudget": 0}, ()),
        (Reasoning(budget_tokens=-1), FLASH, {"thinkingBudget": -1} | SHOWN, ()),
        (Reasoning(budget_tokens=99_999), FLASH, {"thinkingBudget": 24_576} | SHOWN, ("reasoning.budget_tokens",)),
        (Reasoning(effort="none"), PRO, {"thinkingBudget": 128}, ("reasoning.effort",)),
        (Reasoning(budget_tokens=0), PRO, {"thinkingBudget": 128}, ("reasoning.budget_tokens",)),
        (Reasoning(budget_tokens=100), LITE, {"thinkingBudget": 512} | SHOWN, ("reasoning.budget_tokens",)),
        (Reasoning(budget_tokens=0), LITE, {"thinkingBudget": 0}, ()),
        (Reasoning(between_tools=True), LITE, {"thinkingBudget": 512}, ("reasoning.effort",)),
        (Reasoning(show="none"), {"thinking_form": "none"}, None, ()),
    ],
)
def test_effort_and_budget_are_told_in_the_words_of_the_model(encoded, asked, quirks, config, approximated):
    out = encoded(asking(reasoning=asked), **quirks)
    assert json.loads(out.body).get("generationConfig", {}).get("thinkingConfig") == config
    assert out.approximated == approximated


def test_a_model_that_can_t_be_told_how_much_to_think_is_not_told(encoded):
    out = encoded(asking(reasoning=Reasoning(effort="high")), thinking_form="none")
    assert (b"thinkingConfig" in out.body, out.dropped) == (False, ("reasoning",))


# --- beside the conversation --------------------------------------------------------------------------------------


def test_an_empty_description_and_an_empty_list_of_tools_are_not_sent(sent):
    assert sent(asking(tools=(tool(description=""),)))["tools"][0]["functionDeclarations"][0].keys() == {
        "name",
        "parametersJsonSchema",
    }
    assert set(sent(asking(tools=()))) == {"contents"}


def test_alternatives_and_logprobs_are_told_or_refused_and_never_forgotten(sent, encoded):
    assert sent(asking(choices=3, logprobs=2))["generationConfig"] == {
        "candidateCount": 3,
        "responseLogprobs": True,
        "logprobs": 2,
    }
    with pytest.raises(Untranslatable) as refused:
        encoded(asking(logprobs=0), no_logprobs=True)
    assert refused.value.field == "logprobs"


@pytest.mark.parametrize(
    "request_, field",
    [
        (asking(choices=9), "choices"),
        (asking(container="c"), "container"),
        (asking(storage=Storage(background=True)), "storage.background"),
        (asking(storage=Storage(previous_response_id="resp_1")), "storage.previous_response_id"),
        (asking(reasoning=Reasoning(mode="pro")), "reasoning.mode"),
        (asking(output_tokens_max=0), "output_tokens_max"),
    ],
)
def test_what_changes_the_meaning_is_refused_before_anything_is_sent(encoded, request_, field):
    with pytest.raises(Untranslatable) as refused:
        encoded(request_)
    assert refused.value.field == field


def test_knobs_of_others_never_reach_gemini(encoded):
    request = asking(
        user(Text("Hi", cache=CacheMark("1h"))),
        user="u",
        metadata={"a": "b"},
        storage=Storage(store=True),
        verbosity="low",
        prediction="x",
        truncation="auto",
        server_tool_calls_max=3,
        compaction_threshold=9,
        cache=CacheOptions(key="k"),
        sampling=Sampling(logit_bias={"1": 1.0}),
        tier="ultrafast",
        extra={"some_vendor_field": Raw(b"1")},
    )
    out = encoded(request)
    assert json.loads(out.body) == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    assert set(out.dropped) == {
        "messages.cache", "user", "metadata", "storage.store", "verbosity", "prediction", "truncation",
        "server_tool_calls_max", "compaction_threshold", "cache.key", "sampling.logit_bias", "tier",
        "some_vendor_field",
    }  # fmt: skip


def test_fields_of_gemini_that_clients_of_others_add_are_copied(sent):
    settings = Raw(b'[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"OFF"}]')
    assert sent(asking(extra={"safetySettings": settings}))["safetySettings"] == json.loads(bytes(settings))


def test_tier_labels_and_cached_content_are_told(sent):
    request = asking(tier="flex", metadata={"team": "a"}, cache=CacheOptions(content="cachedContents/1"))
    body = sent(request, labels=True)
    assert (body["serviceTier"], body["labels"], body["cachedContent"]) == ("flex", {"team": "a"}, "cachedContents/1")


def test_a_large_request_is_one_that_google_s_types_read(sent):
    request = asking(
        user("Hi", Image(PNG), Video(PNG, start_seconds=1)),
        assistant("a", call(), call("c2", "g")),
        user(result("c1", "x"), result("c2", "y", Image(PNG))),
        system=(Message(role="system", parts=(Text("S"),)),),
        tools=(tool("f"), tool("g"), WebSearch()),
        tool_choice=ToolChoice(mode="required", names=("f",)),
        reasoning=Reasoning(effort="low", show="auto"),
        format=JsonSchema(schema=SCHEMA),
        tier="flex",
    )
    body = sent(request)
    for content in body["contents"]:
        types.Content.model_validate(content)
    config = body["generationConfig"] | {name: body[name] for name in ("tools", "toolConfig", "systemInstruction")}
    config["serviceTier"] = body["serviceTier"]
    types.GenerateContentConfig.model_validate(config)


def test_the_same_request_is_the_same_bytes(encoded):
    request = asking(user("Hi"), tools=(tool("f"), tool("g")), extra={"safetySettings": Raw(b"[]")})
    assert encoded(request).body == encoded(msgspec.structs.replace(request)).body
