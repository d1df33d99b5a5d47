"""OpenAI Responses: canonical messages as `instructions` and `input` for a provider."""

import json

import pytest
from msgspec import Raw

from proxyapi.dialects.codec import Untranslatable
from proxyapi.dialects.model import (
    Audio,
    CacheMark,
    Compaction,
    CustomTool,
    Document,
    FileRef,
    FunctionTool,
    Image,
    Inline,
    Link,
    Message,
    Native,
    ReasoningState,
    Refusal,
    Request,
    SearchResult,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolChange,
    ToolReference,
    ToolResult,
    ToolUse,
    UrlCitation,
    Video,
)

OWN = ReasoningState("openai_encrypted", "own-1", "openai/gpt-5", "rs_1")
FOREIGN = ReasoningState("anthropic_signature", "QUJD", "anthropic/claude")
PNG = Inline("iVBORw0KGgo=", "image/png")


def user(*parts):
    return Message(role="user", parts=tuple(Text(part) if isinstance(part, str) else part for part in parts))


def assistant(*parts, **fields):
    spoken = tuple(Text(part) if isinstance(part, str) else part for part in parts)
    return Message(role="assistant", parts=spoken, **fields)


def call(identity="c1", name="look", arguments="{}", **fields):
    return ToolUse(identity, name, arguments, **fields)


def result(*parts, identity="c1", **fields):
    return ToolResult(identity, tuple(Text(part) if isinstance(part, str) else part for part in parts), **fields)


def system(*parts, role="system"):
    return Message(role=role, parts=tuple(Text(part) if isinstance(part, str) else part for part in parts))


# --- instructions -------------------------------------------------------------------------------------------------


def test_one_plain_instruction_is_the_field_and_others_are_items(encode):
    messages = (user("Hi"),)
    body, _ = encode(Request(model="m", system=(system("A"), system("B", role="developer")), messages=messages))
    assert body["instructions"] == "A"
    assert body["input"][0] == {"type": "message", "role": "developer", "content": "B"}


@pytest.mark.parametrize(
    "leading",
    [system("A", role="developer"), system("A", "B"), system(Text("A", cache=CacheMark()))],
    ids=["developer", "several", "marked"],
)
def test_instructions_that_the_field_would_change_are_an_item(encode, leading):
    body, _ = encode(Request(model="m", system=(leading,), messages=(user("Hi"),)))
    assert "instructions" not in body
    assert body["input"][0]["role"] == leading.role


def test_instructions_alone_are_the_input(encode):
    body, _ = encode(Request(model="m", system=(system("A"),)))
    assert body["input"] == [{"type": "message", "role": "system", "content": "A"}]


def test_an_instruction_in_the_middle_stays_there(items):
    found = items(user("a"), Message(role="developer", parts=(Text("b"),)), user("c"))
    assert [item["role"] for item in found] == ["user", "developer", "user"]


# --- turns --------------------------------------------------------------------------------------------------------


def test_a_turn_becomes_items_in_the_order_of_its_parts(items):
    found = items(user("go"), assistant("a", call(), "b"), user(result("done"), "thanks"))
    assert [item["type"] for item in found] == [
        "message",
        "message",
        "function_call",
        "message",
        "function_call_output",
        "message",
    ]
    assert [item.get("content") for item in found if item["type"] == "message"] == ["go", "a", "b", "thanks"]


def test_neighbouring_texts_of_the_assistant_are_one_message(items):
    (_, message) = items(user("x"), assistant("a", "b", Refusal("no")))
    assert [piece["type"] for piece in message["content"]] == ["output_text", "output_text", "refusal"]


def test_phases_and_the_ids_that_the_provider_gave_are_told(items):
    _, said = items(user("x"), assistant("a", phase="commentary", id="msg_9"))
    assert (said["phase"], said["id"]) == ("commentary", "msg_9")
    _, foreign = items(user("x"), assistant("a", id="chatcmpl-9"))
    assert "id" not in foreign


def test_the_beginning_of_an_answer_cant_be_gone_on_from(items):
    with pytest.raises(Untranslatable) as refused:
        items(user("x"), assistant("Once", incomplete=True))
    assert refused.value.field == "messages.prefill"
    assert len(items(user("x"), assistant("Once"))) == 2


def test_names_are_told_where_one_role_has_several(items):
    ann, bob = (Message(role="user", parts=(Text("hi"),), name=name) for name in ("ann", "bob"))
    assert [item["content"] for item in items(ann, assistant("?"), bob)] == ["ann: hi", "?", "bob: hi"]


def test_citations_of_earlier_answers_are_told_again(items):
    _, said = items(user("x"), assistant(Text("abc", (UrlCitation("u", "t"),))))
    (annotation,) = said["content"][0]["annotations"]
    assert (annotation["start_index"], annotation["end_index"], annotation["url"]) == (0, 3, "u")


# --- calls and results --------------------------------------------------------------------------------------------


def test_arguments_go_as_they_are_and_none_are_an_empty_object(items):
    found = items(user("x"), assistant(call(arguments='{"b": 1, "a": 2}'), call("c2", arguments="")))
    assert [item["arguments"] for item in found[1:3]] == ['{"b": 1, "a": 2}', "{}"]


def test_ids_and_names_that_the_target_refuses_get_an_alias(encode):
    long = "x" * 70
    tool = FunctionTool(name="look.up")
    turns = (user("x"), assistant(call(long, "look.up")), user(result("y", identity=long)))
    body, encoded = encode(Request(model="m", tools=(tool,), messages=turns))
    use, output = body["input"][1:]
    assert use["call_id"] == output["call_id"]
    assert len(use["call_id"]) <= 64
    assert use["name"] == body["tools"][0]["name"]
    assert encoded.names == {use["name"]: "look.up"}


@pytest.mark.parametrize(
    ("use", "item"),
    [
        (call(arguments="*** x", kind="custom"), {"type": "custom_tool_call", "input": "*** x"}),
        (
            call(arguments='{"command":["ls"]}', kind="local_shell"),
            {"type": "local_shell_call", "action": {"type": "exec", "command": ["ls"], "env": {}}},
        ),
        (call(arguments='{"commands":[]}', kind="shell"), {"type": "shell_call", "action": {"commands": []}}),
        (
            call(arguments='{"type":"delete_file","path":"p"}', kind="apply_patch"),
            {"type": "apply_patch_call", "operation": {"type": "delete_file", "path": "p"}},
        ),
        (call(arguments='{"type":"wait"}', kind="computer"), {"type": "computer_call", "action": {"type": "wait"}}),
        (
            call(arguments='{"actions":[{"type":"wait"}]}', kind="computer"),
            {"type": "computer_call", "actions": [{"type": "wait"}]},
        ),
        (call(namespace="maps"), {"type": "function_call", "namespace": "maps"}),
    ],
)
def test_every_kind_of_call_is_an_item_of_its_own(items, use, item):
    found = items(user("x"), assistant(use))[1]
    assert found | item == found
    assert found["call_id"] == "c1"


def test_free_text_calls_are_calls_of_functions_where_the_model_knows_no_others(items):
    turns = (user("x"), assistant(call(arguments="*** x", kind="custom")), user(result("y", kind="custom")))
    _, use, output = items(*turns, no_custom_tools=True)
    assert (use["type"], use["arguments"]) == ("function_call", '{"input":"*** x"}')
    assert output["type"] == "function_call_output"


@pytest.mark.parametrize(
    ("kind", "parts", "item"),
    [
        ("custom", ("y",), {"type": "custom_tool_call_output", "output": "y"}),
        ("local_shell", ("y",), {"type": "local_shell_call_output", "id": "c1", "output": "y"}),
        (
            "shell",
            ("y",),
            {
                "type": "shell_call_output",
                "output": [{"stdout": "y", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
            },
        ),
        ("shell", ('[{"stdout":"z"}]',), {"type": "shell_call_output", "output": [{"stdout": "z"}]}),
        ("apply_patch", ("y",), {"type": "apply_patch_call_output", "status": "completed", "output": "y"}),
        (
            "computer",
            (Image(Link("https://a")),),
            {"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": "https://a"}},
        ),
    ],
)
def test_every_kind_of_result_answers_its_call(items, kind, parts, item):
    found = items(user("x"), assistant(call(kind=kind)), user(result(*parts, kind=kind)))[2]
    assert found | item == found
    assert found["call_id"] == "c1"


def test_a_result_with_pictures_keeps_them(items):
    output = items(user("x"), assistant(call()), user(result("see", Image(PNG))))[2]["output"]
    assert [piece["type"] for piece in output] == ["input_text", "input_image"]


def test_a_failed_result_says_so(encode):
    turns = (user("x"), assistant(call()), user(result("no such file", is_error=True)))
    body, encoded = encode(Request(model="m", messages=turns))
    assert body["input"][2]["output"] == "Error: no such file"
    assert "messages.tool_result.is_error" in encoded.approximated
    patch = (user("x"), assistant(call(kind="apply_patch")), user(result("bad", kind="apply_patch", is_error=True)))
    body, _ = encode(Request(model="m", messages=patch))
    assert (body["input"][2]["status"], body["input"][2]["output"]) == ("failed", "bad")


def test_a_result_of_no_call_or_a_second_one_is_refused_by_its_id(items):
    with pytest.raises(Untranslatable, match="nope"):
        items(user("x"), assistant(call()), user(result("y"), result("z", identity="nope")))
    with pytest.raises(Untranslatable, match="c1"):
        items(user("x"), assistant(call()), user(result("y"), result("z")))


def test_a_call_that_got_no_result_gets_one_that_says_so(items):
    found = items(user("x"), assistant(call()), user("never mind"))
    assert found[2] == {"type": "function_call_output", "call_id": "c1", "output": "No result."}


def test_results_of_calls_that_the_provider_keeps_need_no_call(encode):
    request = Request(model="m", messages=(user(result("y")),))
    kept = request.storage.__class__(previous_response_id="resp_1")
    body, _ = encode(Request(model="m", messages=request.messages, storage=kept))
    assert body["input"][0]["call_id"] == "c1"


def test_what_the_clients_own_search_found_is_told_with_its_definitions(encode):
    tools = (FunctionTool(name="f", namespace="n"), CustomTool(name="g"), FunctionTool(name="other"))
    search = ToolUse("s", "tool_search", '{"q":1}', "tool_search")
    found = ToolResult("s", (ToolReference("n__f"), ToolReference("g")), kind="tool_search")
    turns = (user("x"), assistant(search), user(found, "go"))
    body, _ = encode(Request(model="m", tools=tools, messages=turns))
    asked, output = body["input"][1:3]
    assert (asked["type"], asked["arguments"], asked["execution"]) == ("tool_search_call", {"q": 1}, "client")
    assert [tool["name"] for tool in output["tools"]] == ["n", "g"]


# --- reasoning ----------------------------------------------------------------------------------------------------


def test_a_state_of_the_target_goes_back_as_it_came(items):
    thought = Thinking("raw", ("sum",), "rs_1", state=OWN)
    item = items(user("x"), assistant(thought, call(item_id="fc_1")))[1]
    assert item == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "sum"}],
        "content": [{"type": "reasoning_text", "text": "raw"}],
        "encrypted_content": "own-1",
    }


@pytest.mark.parametrize(
    "state", [None, FOREIGN, ReasoningState("openai_encrypted", "own-1", "azure/gpt-5")], ids=["none", "kind", "origin"]
)
def test_thoughts_that_the_target_cant_read_are_left_out_and_never_said(items, state):
    found = items(user("x"), assistant(Thinking("secret", state=state), "said"))
    assert [item["content"] for item in found] == ["x", "said"]


def test_items_whose_thoughts_were_left_out_are_not_known_by_their_ids(items):
    found = items(user("x"), assistant(Thinking("t"), "a", call(item_id="fc_1"), id="msg_1"))
    assert all("id" not in item for item in found)


def test_thoughts_go_only_with_what_they_led_to(items):
    found = items(user("x"), assistant("a", Thinking(state=OWN)), user("y"))
    assert [item["type"] for item in found] == ["message", "message", "message"]


def test_thoughts_between_two_texts_part_them(items):
    found = items(user("x"), assistant("a", Thinking(state=OWN), "b"))
    assert [item["type"] for item in found] == ["message", "message", "reasoning", "message"]


def test_thoughts_in_plain_text_come_back_where_the_model_wants_them(items):
    found = items(user("x"), assistant(Thinking("hm"), call()), echo_reasoning=True)
    assert found[1] == {
        "type": "reasoning",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "hm"}],
    }


# --- media --------------------------------------------------------------------------------------------------------


def test_pictures_are_data_links_or_files_of_the_target(items):
    parts = (Image(PNG, "high"), Image(Link("https://a")), Image(FileRef("file-1", "openai")))
    assert items(user(*parts))[0]["content"] == [
        {"type": "input_image", "detail": "high", "image_url": "data:image/png;base64,iVBORw0KGgo="},
        {"type": "input_image", "detail": "auto", "image_url": "https://a"},
        {"type": "input_image", "detail": "auto", "file_id": "file-1"},
    ]


@pytest.mark.parametrize("file", [FileRef("file_1", "anthropic"), FileRef("gs://bucket/a")])
def test_files_that_another_provider_keeps_are_refused(items, file):
    with pytest.raises(Untranslatable) as refused:
        items(user(Image(file)))
    assert refused.value.field == "messages.file"


def test_one_detail_for_all_pictures_is_told_at_each(encode):
    body, _ = encode(Request(model="m", media_detail="low", messages=(user(Image(PNG), Image(PNG, "high")),)))
    assert [piece["detail"] for piece in body["input"][0]["content"]] == ["low", "high"]


def test_files_have_a_name_with_their_data(encode):
    pdf = Inline("JVBERi0x", "application/pdf")
    parts = (Document(pdf), Document(pdf, title="a.pdf", context="About", citations=True), Document(Link("https://a")))
    body, encoded = encode(Request(model="m", messages=(user(*parts),)))
    made_up, about, named, linked = body["input"][0]["content"]
    assert (made_up["filename"], named["filename"]) == ("document.pdf", "a.pdf")
    assert about == {"type": "input_text", "text": "About"}
    assert linked == {"type": "input_file", "file_url": "https://a"}
    assert encoded.dropped == ("messages.document.citations",)


def test_documents_that_are_text_are_said_as_text(items):
    told = Document(None, text="Once", title="Tale")
    passage = SearchResult("https://a", "A", (Text("found"),))
    pieces = items(user(told, passage))[0]["content"]
    assert [piece["text"] for piece in pieces] == ["Tale\nOnce", "A: https://a\nfound"]


def test_sounds_are_wav_or_mp3_data(items):
    (piece,) = items(user(Audio(Inline("AAAA", "audio/mpeg"))))[0]["content"]
    assert piece == {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}
    for sound in (Audio(Inline("AAAA", "audio/flac")), Audio(Link("https://a"))):
        with pytest.raises(Untranslatable, match="WAV or MP3"):
            items(user(sound))


def test_films_are_refused(items):
    with pytest.raises(Untranslatable, match="no videos"):
        items(user(Video(Link("https://a"))))


def test_pictures_of_the_assistant_are_shown_by_the_user(items):
    _, said, shown, more = items(user("draw"), assistant("here", Image(PNG), "nice"))
    assert (said["role"], shown["role"], more["role"]) == ("assistant", "user", "assistant")
    assert [piece["type"] for piece in shown["content"]] == ["input_text", "input_image"]


# --- what other dialects have -------------------------------------------------------------------------------------


def test_hosted_calls_of_others_are_told_in_words_and_own_ones_as_they_were(items):
    outcome = ServerToolResult("s", "web_search", (SearchResult("https://a", "A", ()),), native=Raw(b'{"type":"x"}'))
    foreign = ServerToolUse("s", "web_search", "web_search", '{"query":"q"}')
    _, said = items(user("x"), assistant(foreign, outcome))
    assert [piece["text"] for piece in said["content"]] == ["Searched: q", "A: https://a"]
    own = Raw(b'{"type":"web_search_call","id":"ws_1"}')
    kept = ServerToolUse("ws_1", "web_search", "web_search", result=ServerToolResult("ws_1", "web_search", native=own))
    assert items(user("x"), assistant(kept))[1] == json.loads(bytes(own))


def test_summaries_are_read_or_refused(items):
    assert items(assistant(Compaction("so far")), user("go"))[0] == {
        "type": "message",
        "role": "user",
        "content": "Summary so far: so far",
    }
    assert items(assistant(Compaction(state=OWN)), user("go"))[0]["encrypted_content"] == "own-1"
    with pytest.raises(Untranslatable) as refused:
        items(assistant(Compaction(native=Raw(b'{"type":"compaction_20260112"}'))), user("go"))
    assert refused.value.field == "messages.compaction"


def test_native_parts_of_others_are_left_out_or_refused(items):
    optional = Native("anthropic", "fallback", Raw(b"{}"), optional=True)
    assert len(items(user("x"), assistant(optional, "a"))) == 2
    with pytest.raises(Untranslatable, match="container_upload"):
        items(user(Native("anthropic", "container_upload", Raw(b"{}"))))


def test_tools_may_come_in_the_middle_but_none_can_go(encode):
    added = Message(role="developer", parts=(ToolChange((FunctionTool(name="f", description="d"),)),))
    body, encoded = encode(Request(model="m", messages=(user("a"), added, user("b"))))
    assert body["input"][1]["type"] == "additional_tools"
    assert not encoded.approximated
    removed = Message(role="system", parts=(ToolChange(removed=("g",)),))
    tools = (FunctionTool(name="f"), FunctionTool(name="g"))
    body, encoded = encode(Request(model="m", tools=tools, messages=(user("a"), removed, user("b"))))
    assert [tool["name"] for tool in body["tools"]] == ["f"]
    assert encoded.approximated == ("messages.tool_change",)


# --- cache marks --------------------------------------------------------------------------------------------------


def marks(body):
    return [
        piece["text"]
        for item in body["input"]
        for piece in (item.get("content") if isinstance(item.get("content"), list) else ())
        if "prompt_cache_breakpoint" in piece
    ]


def test_cache_marks_stay_with_the_nearest_lifetime(encode):
    body, _ = encode(Request(model="m", messages=(user(Text("a", cache=CacheMark("1h")), Text("b")),)))
    piece, other = body["input"][0]["content"]
    assert piece["prompt_cache_breakpoint"] == {"mode": "explicit", "ttl": "12h"}
    assert "prompt_cache_breakpoint" not in other


def test_a_mark_on_what_cant_have_one_moves_to_the_piece_before(encode):
    turns = (user("a"), assistant(Text("b", cache=CacheMark())), user("c"))
    body, _ = encode(Request(model="m", messages=turns))
    assert marks(body) == ["a"]


def test_only_the_last_four_marks_stay(encode):
    turns = (user(*(Text(word, cache=CacheMark()) for word in "abcdef")),)
    body, encoded = encode(Request(model="m", messages=turns))
    assert marks(body) == ["c", "d", "e", "f"]
    assert encoded.dropped == ("messages.cache",)


def test_marks_go_nowhere_where_the_model_knows_none(encode):
    body, encoded = encode(Request(model="m", messages=(user(Text("a", cache=CacheMark())),)), cache_mark_field="")
    assert body["input"][0]["content"] == "a"
    assert encoded.dropped == ("messages.cache",)
