"""OpenAI Responses: items of a client's request as canonical messages."""

import pytest
from msgspec import Raw

from proxyapi.dialects.model import (
    Audio,
    CacheMark,
    Compaction,
    CustomTool,
    Document,
    DocumentCitation,
    FileRef,
    FunctionTool,
    Image,
    Inline,
    Link,
    Message,
    Native,
    ReasoningState,
    Refusal,
    SearchResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolChange,
    ToolReference,
    ToolResult,
    ToolUse,
    UrlCitation,
)
from proxyapi.errors import InvalidRequest

PNG = "iVBORw0KGgoAAAANSUhEUg=="
CALL = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"at": 1}'}


def said(role, content, **fields):
    return {"type": "message", "role": role, "content": content, **fields}


def content(*parts):
    return [said("user", list(parts))]


def test_input_is_a_text_or_typeless_messages_or_items(decode):
    hello = (Message(role="user", parts=(Text("Hello"),)),)
    assert decode("Hello").messages == hello
    assert decode([{"role": "user", "content": "Hello"}]).messages == hello
    assert decode([said("user", [{"type": "input_text", "text": "Hello"}])]).messages == hello


def test_instructions_and_leading_instructions_come_before_the_conversation(decode):
    request = decode([said("system", "B"), said("developer", "C"), said("user", "Hi")], instructions="A")
    assert request.system == (
        Message(role="system", parts=(Text("A"),)),
        Message(role="system", parts=(Text("B"),)),
        Message(role="developer", parts=(Text("C"),)),
    )
    assert request.messages == (Message(role="user", parts=(Text("Hi"),)),)


def test_a_later_instruction_stays_where_it_is(decode):
    roles = [message.role for message in decode([said("user", "a"), said("system", "b"), said("user", "c")]).messages]
    assert roles == ["user", "system", "user"]


def test_empty_texts_are_nothing(decode):
    assert (
        decode([said("user", ""), said("user", [{"type": "input_text", "text": ""}])], instructions="").messages == ()
    )
    assert decode("x", instructions="").system == ()
    assert decode([said("user", "a"), said("assistant", ""), said("user", "b")]).messages[1].parts == ()


def test_the_order_of_text_thoughts_and_calls_is_kept(decode):
    request = decode(
        [
            said("user", "go"),
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
            said("assistant", [{"type": "output_text", "text": "first"}], id="msg_1"),
            CALL,
            said("assistant", "then"),
            {"type": "function_call_output", "call_id": "c1", "output": "done"},
            said("user", "thanks"),
        ]
    )
    _, turn, after = request.messages
    assert turn.parts == (
        Thinking(summaries=("hm",), id="rs_1"),
        Text("first"),
        ToolUse("c1", "look", '{"at": 1}'),
        Text("then"),
    )
    assert turn.id == "msg_1"
    assert after.parts == (ToolResult("c1", (Text("done"),), name="look"), Text("thanks"))


def test_results_stand_before_what_the_user_says(decode):
    output = {"type": "function_call_output", "call_id": "c1", "output": "x"}
    request = decode([said("user", "go"), CALL, said("user", "and?"), output])
    assert [type(part) for part in request.messages[-1].parts] == [ToolResult, Text]


def test_phases_part_messages_and_thoughts_go_with_what_they_led_to(decode):
    thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
    request = decode(
        [
            said("assistant", "looking", phase="commentary"),
            thought,
            said("assistant", "found", phase="final_answer"),
        ]
    )
    assert [(message.phase, len(message.parts)) for message in request.messages] == [
        ("commentary", 1),
        ("final_answer", 2),
    ]


def test_a_turn_that_was_cut_is_incomplete(decode):
    assert decode([said("assistant", "I was", status="incomplete")]).messages[0].incomplete
    assert not decode([said("assistant", "I am", status="completed")]).messages[0].incomplete


def test_pictures_are_data_links_or_files(decode):
    request = decode(
        content(
            {"type": "input_image", "image_url": f"data:image/jpeg;base64,{PNG}", "detail": "high"},
            {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"},
            {"type": "input_image", "file_id": "file-1", "detail": ""},
        )
    )
    assert request.messages[0].parts == (
        Image(Inline(PNG, "image/png"), "high"),
        Image(Link("https://example.com/a.png")),
        Image(FileRef("file-1", "openai")),
    )


def test_files_are_data_links_or_files(decode):
    pdf = "JVBERi0xLjQK"
    request = decode(
        content(
            {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{pdf}"},
            {"type": "input_file", "filename": "b.pdf", "file_data": pdf},
            {"type": "input_file", "file_url": "https://example.com/c.pdf"},
            {"type": "input_file", "file_id": "file-2"},
        )
    )
    assert request.messages[0].parts == (
        Document(Inline(pdf, "application/pdf"), title="a.pdf"),
        Document(Inline(pdf, "application/pdf"), title="b.pdf"),
        Document(Link("https://example.com/c.pdf")),
        Document(FileRef("file-2", "openai")),
    )


def test_sounds_have_a_type(decode):
    request = decode(content({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}))
    assert request.messages[0].parts == (Audio(Inline("AAAA", "audio/mpeg")),)


def test_cache_marks_stay_on_their_text(decode):
    mark = {"mode": "explicit", "ttl": "12h"}
    request = decode(content({"type": "input_text", "text": "a", "prompt_cache_breakpoint": mark}))
    assert request.messages[0].parts == (Text("a", cache=CacheMark("12h")),)


def test_answers_keep_citations_and_refusals(decode):
    request = decode(
        [
            said(
                "assistant",
                [
                    {
                        "type": "output_text",
                        "text": "see a",
                        "annotations": [
                            {"type": "url_citation", "url": "u", "title": "t", "start_index": 4, "end_index": 5},
                            {"type": "file_citation", "file_id": "f", "filename": "n", "index": 3},
                        ],
                    },
                    {"type": "refusal", "refusal": "No."},
                ],
            )
        ]
    )
    cited, refused = request.messages[0].parts
    assert cited.citations == (UrlCitation("u", "t", 4, 5), DocumentCitation("file", 3, title="n", file_id="f"))
    assert refused == Refusal("No.")


def test_typed_calls_carry_their_action_as_it_stands(decode):
    request = decode(
        [
            {"type": "local_shell_call", "call_id": "a", "id": "lsh_1", "action": {"type": "exec", "command": ["ls"]}},
            {"type": "apply_patch_call", "call_id": "b", "operation": {"type": "delete_file", "path": "p"}},
            {"type": "shell_call", "call_id": "c", "action": {"commands": ["pwd"]}},
            {"type": "computer_call", "call_id": "d", "action": {"type": "wait"}},
            {"type": "custom_tool_call", "call_id": "e", "name": "patch", "input": "*** Begin"},
        ]
    )
    assert request.messages[0].parts == (
        ToolUse("a", "local_shell", '{"type": "exec", "command": ["ls"]}', "local_shell", item_id="lsh_1"),
        ToolUse("b", "apply_patch", '{"type": "delete_file", "path": "p"}', "apply_patch"),
        ToolUse("c", "shell", '{"commands": ["pwd"]}', "shell"),
        ToolUse("d", "computer", '{"type": "wait"}', "computer"),
        ToolUse("e", "patch", "*** Begin", "custom"),
    )


def test_their_results_answer_calls_of_their_kind(decode):
    outcome = {"stdout": "x", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}
    request = decode(
        [
            {"type": "shell_call", "call_id": "a", "action": {"commands": ["pwd"]}},
            {"type": "apply_patch_call", "call_id": "b", "operation": {"type": "delete_file", "path": "p"}},
            {"type": "local_shell_call", "call_id": "c", "action": {"type": "exec", "command": ["ls"]}},
            {"type": "computer_call", "call_id": "d", "action": {"type": "wait"}},
            {"type": "shell_call_output", "call_id": "a", "output": [outcome]},
            {"type": "apply_patch_call_output", "call_id": "b", "status": "failed", "output": "no"},
            {"type": "local_shell_call_output", "id": "c", "output": "y"},
            {
                "type": "computer_call_output",
                "call_id": "d",
                "output": {"type": "computer_screenshot", "image_url": f"data:image/png;base64,{PNG}"},
            },
        ]
    )
    shell, patch, local, shot = request.messages[1].parts
    assert (shell.kind, shell.name) == ("shell", "shell")
    assert '"stdout": "x"' in shell.parts[0].text
    assert (patch.kind, patch.is_error, patch.parts) == ("apply_patch", True, (Text("no"),))
    assert (local.kind, local.tool_use_id, local.parts) == ("local_shell", "c", (Text("y"),))
    assert (shot.kind, shot.parts) == ("computer", (Image(Inline(PNG, "image/png")),))


def test_arguments_are_text_or_an_object_and_never_printed_again(decode):
    calls = [CALL, CALL | {"call_id": "c2", "arguments": {"b": 1, "a": 2}}, CALL | {"call_id": "c3", "arguments": ""}]
    arguments = [part.arguments for part in decode(calls).messages[0].parts]
    assert arguments == ['{"at": 1}', '{"b": 1, "a": 2}', "{}"]


def test_a_namespace_counts_where_the_tool_is_declared_in_one(decode):
    call = CALL | {"namespace": "maps"}
    inner = {"type": "function", "name": "look", "parameters": {}, "strict": False}
    spaced = [{"type": "namespace", "name": "maps", "description": "d", "tools": [inner]}]
    assert decode([call], tools=spaced).messages[0].parts[0].namespace == "maps"
    assert decode([call], tools=[inner]).messages[0].parts[0].namespace == ""


@pytest.mark.parametrize(
    ("item", "kind", "arguments", "parts"),
    [
        (
            {
                "type": "web_search_call",
                "action": {"type": "search", "query": "q", "sources": [{"type": "url", "url": "u"}]},
            },
            "web_search",
            '{"type":"search","query":"q"}',
            (SearchResult("u", "", ()),),
        ),
        (
            {
                "type": "code_interpreter_call",
                "code": "1+1",
                "container_id": "x",
                "outputs": [{"type": "logs", "logs": "2"}],
            },
            "code_execution",
            '{"code":"1+1"}',
            (Text("2"),),
        ),
        (
            {
                "type": "file_search_call",
                "queries": ["q"],
                "results": [{"file_id": "f", "filename": "n", "text": "t"}],
            },
            "file_search",
            '{"queries":["q"]}',
            (SearchResult("n", "n", (Text("t"),)),),
        ),
        (
            {"type": "mcp_call", "name": "ask", "server_label": "wiki", "arguments": "{}", "output": "o"},
            "mcp",
            "{}",
            (Text("o"),),
        ),
    ],
)
def test_hosted_calls_hold_their_outcome_and_are_kept_as_received(decode, item, kind, arguments, parts):
    (use,) = decode([{"id": "x1", "status": "completed", **item}]).messages[0].parts
    assert isinstance(use, ServerToolUse)
    assert (use.id, use.kind, use.arguments, use.result.parts) == ("x1", kind, arguments, parts)
    assert b'"x1"' in bytes(use.result.native)


def test_a_picture_that_was_drawn_is_a_picture(decode):
    (part,) = decode([{"type": "image_generation_call", "id": "ig", "result": PNG}]).messages[0].parts
    assert part == Image(Inline(PNG, "image/png"))


def test_reasoning_of_another_provider_is_no_state_and_its_words_stay(decode):
    foreign = {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "gAAAA"}
    assert decode([said("user", "a"), foreign]).messages[1:] == ()
    spoken = foreign | {"content": [{"type": "reasoning_text", "text": "hm"}]}
    assert decode([spoken]).messages[0].parts == (Thinking("hm", id="rs"),)


def test_a_sealed_state_comes_back_as_it_was(decode):
    item = {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "sealed-anthropic_signature.AB"}
    (part,) = decode([item]).messages[0].parts
    assert part.state == ReasoningState("anthropic_signature", "AB", "elsewhere")


def test_a_state_of_a_call_or_a_text_returns_to_it_from_either_side(decode):
    def carrier(data, place):
        return {
            "type": "reasoning",
            "id": "rs",
            "summary": [],
            "encrypted_content": f"sealed-google_signature.{data}/{place}",
        }

    request = decode(
        [
            carrier("A", "next"),
            said("assistant", "text"),
            carrier("B", "next"),
            CALL,
            CALL | {"call_id": "c2"},
            carrier("C", "before"),
        ]
    )
    assert [part.state and part.state.data for part in request.messages[0].parts] == ["A", "B", "C"]


def test_a_state_before_nothing_belongs_to_what_was_said_last(decode):
    carrier = {"type": "reasoning", "summary": [], "encrypted_content": "sealed-google_signature.A/next"}
    request = decode([said("assistant", "text"), carrier, said("user", "go on"), said("assistant", "more")])
    assert request.messages[0].parts[0].state.data == "A"
    assert request.messages[2].parts[0].state is None


def test_a_summary_that_nobody_else_can_read_is_kept_to_be_refused(decode):
    (part,) = decode([{"type": "compaction", "id": "cmp", "encrypted_content": "gAAAA"}]).messages[0].parts
    assert isinstance(part, Compaction)
    assert (part.state, b"gAAAA" in bytes(part.native)) == (None, True)
    (part,) = decode([{"type": "compaction", "encrypted_content": "own-1"}]).messages[0].parts
    assert part.state.data == "own-1"


def test_tools_that_come_on_the_way_are_a_change(decode):
    tools = [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}]
    request = decode([said("user", "a"), {"type": "additional_tools", "role": "developer", "tools": tools}])
    change = request.messages[1].parts[0]
    assert request.messages[1].role == "developer"
    assert change == ToolChange((FunctionTool(name="f", parameters=Raw(b'{"type": "object"}'), strict=True),))


def test_tools_that_come_before_every_turn_are_declared_and_end_no_instructions(decode):
    """Codex declares all tools of newer models so."""
    exec_tool = {"type": "custom", "name": "exec"}
    tools = [{"type": "namespace", "name": "functions", "tools": [exec_tool]}, {"type": "function", "name": "f"}]
    first = {"type": "additional_tools", "role": "developer", "tools": tools}
    call = {"type": "custom_tool_call", "call_id": "c1", "namespace": "functions", "name": "exec", "input": "1"}
    request = decode([first, said("developer", "Be brief."), said("user", "Hi"), call])
    assert request.tools == (CustomTool(name="exec", namespace="functions"), FunctionTool(name="f"))
    assert request.system == (Message(role="developer", parts=(Text("Be brief."),)),)
    assert [message.role for message in request.messages] == ["user", "assistant"]
    assert request.messages[1].parts[0].namespace == "functions"


def test_tools_that_the_clients_own_search_found_are_declared_from_then_on(decode):
    search = {"type": "tool_search_call", "call_id": "s", "execution": "client", "arguments": {"q": 1}}
    found = [{"type": "custom", "name": "f"}, {"type": "function", "name": "known", "parameters": None}]
    output = {"type": "tool_search_output", "call_id": "s", "execution": "client", "tools": found}
    known = {"type": "function", "name": "known", "parameters": {"type": "object"}}
    request = decode([search, output], tools=[{"type": "tool_search"}, known])
    assert [getattr(tool, "name", "") for tool in request.tools] == ["", "known", "f"]
    assert isinstance(request.tools[-1], CustomTool)
    assert request.messages[0].parts == (ToolUse("s", "tool_search", '{"q": 1}', "tool_search"),)
    assert request.messages[1].parts[0].parts == (ToolReference("f"), ToolReference("known"))


def test_a_tool_of_a_namespace_is_referred_to_by_its_whole_name(decode):
    search = {"type": "tool_search_call", "call_id": "s", "execution": "client", "arguments": {}}
    tools = [{"type": "namespace", "name": "mcp__tides", "tools": [{"type": "function", "name": "now"}]}]
    request = decode([search, {"type": "tool_search_output", "call_id": "s", "tools": tools}])
    assert request.tools == (FunctionTool(name="now", namespace="mcp__tides"),)
    assert request.messages[1].parts[0].parts == (ToolReference("mcp__tides__now"),)


@pytest.mark.parametrize(
    ("item", "role", "optional"),
    [
        ({"type": "mcp_list_tools", "id": "l", "server_label": "s", "tools": []}, "assistant", True),
        ({"type": "tool_search_call", "execution": "server", "arguments": {}}, "assistant", True),
        ({"type": "mcp_approval_request", "id": "r", "name": "n", "arguments": "{}"}, "assistant", False),
        ({"type": "mcp_approval_response", "approval_request_id": "r", "approve": True}, "user", False),
        ({"type": "program", "id": "p", "call_id": "c", "code": "", "fingerprint": ""}, "assistant", False),
        ({"type": "item_reference", "id": "msg_1"}, "assistant", False),
        ({"id": "msg_1"}, "assistant", False),
        ({"type": "compaction_trigger"}, "user", False),
        ({"type": "of_tomorrow"}, "assistant", False),
    ],
)
def test_what_only_responses_knows_is_kept_as_received(decode, item, role, optional):
    (message,) = decode([item]).messages
    (part,) = message.parts
    assert isinstance(part, Native)
    assert (message.role, part.dialect, part.optional) == (role, "openai_responses", optional)
    assert part.wire_type == item.get("type", "item_reference")


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({"role": "tool", "content": "x"}, "input[0].role"),
        ({"role": "user", "content": [{"type": "input_video"}]}, "input[0].content[0].type"),
        ({"role": "user", "content": [{"type": "input_image"}]}, "input[0].content[0].image_url"),
        ({"role": "user", "content": 1}, "input[0].content"),
        ({"type": "function_call", "name": "f", "arguments": "{}"}, "input[0].call_id"),
        ({"type": "function_call", "call_id": "c", "arguments": "{}"}, "input[0].name"),
        ({"type": "function_call_output", "output": "x"}, "input[0].call_id"),
        ({"type": "function_call_output", "call_id": "c", "output": 3}, "input[0].output"),
    ],
)
def test_an_odd_item_is_refused_by_its_place(decode, item, field):
    with pytest.raises(InvalidRequest) as refused:
        decode([item])
    assert refused.value.param == field
