"""Statements 18-36: declared tools, and calls with their results in the history of a conversation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw
from proxyapi_fakes_pairs import DIALECTS, WAYS, Pair
from proxyapi_fakes_wires import (
    CALLS,
    FUNCTIONS,
    call_item,
    completion,
    function_call,
    generated,
    message,
    output_text,
    response,
    text,
    tool_use,
)

from proxyapi.dialects.codec import Untranslatable

PIXEL = "iVBORw0KGgoAAAANSUhEUg=="
PIXEL_URL = f"data:image/png;base64,{PIXEL}"
SCHEMA: Any = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
TO_GEMINI = ("C->G", "R->G", "M->G")
TO_MESSAGES = ("C->M", "R->M", "G->M")


def called(client: str, *calls: tuple[str, str, Any], say: str = "") -> dict[str, Any]:
    """A conversation of the client in which the model called: id, function and result of each, and then `say`."""
    names = {identity: name for identity, name, _ in calls}
    match client:
        case "C":
            uses = [function_call(name, "{}", identity) for identity, name, _ in calls]
            results = [{"role": "tool", "tool_call_id": identity, "content": result} for identity, _, result in calls]
            turns = [{"role": "user", "content": "Go"}, {"role": "assistant", "tool_calls": uses}, *results]
            return {"messages": [*turns, *([{"role": "user", "content": say}] if say else [])]}
        case "R":
            items = [call_item(name, "{}", identity) for identity, name, _ in calls]
            outputs = [{"type": "function_call_output", "call_id": c, "output": result} for c, _, result in calls]
            turns = [{"role": "user", "content": "Go"}, *items, *outputs]
            return {"input": [*turns, *([{"role": "user", "content": say}] if say else [])]}
        case "M":
            blocks = [tool_use(name, {}, identity) for identity, name, _ in calls]
            answers = [{"type": "tool_result", "tool_use_id": c, "content": result} for c, _, result in calls]
            turns = [{"role": "user", "content": "Go"}, {"role": "assistant", "content": blocks}]
            return {"messages": [*turns, {"role": "user", "content": [*answers, *([text(say)] if say else [])]}]}
        case _:
            parts = [{"functionCall": {"id": identity, "name": name, "args": {}}} for identity, name, _ in calls]
            answers = [
                {"functionResponse": {"id": c, "name": names[c], "response": {"result": result}}}
                for c, _, result in calls
            ]
            said = [{"text": say}] if say else []
            turns = [{"role": "user", "parts": [{"text": "Go"}]}, {"role": "model", "parts": parts}]
            return {"contents": [*turns, {"role": "user", "parts": [*answers, *said]}]}


def tools(way: str, schema: Any = SCHEMA, name: str = "f", **more: Any) -> dict[str, Any]:
    """One declared tool, as the client spells it."""
    tool = FUNCTIONS[DIALECTS[way[0]]](name, schema)
    if way[0] == "C":
        tool["function"] |= more
    elif way[0] == "G":
        tool["functionDeclarations"][0] |= more
    else:
        tool |= more
    return {"tools": [tool]}


def declared(way: str, wire: Any) -> Any:
    """The first tool that the provider gets: the object that has the name."""
    (tool, *_) = wire["tools"]
    return {"C": lambda: tool["function"], "G": lambda: tool["functionDeclarations"][0]}.get(way[-1], lambda: tool)()


# --- results ------------------------------------------------------------------------------------------------------


def test_pictures_of_a_result_follow_it_in_a_message_of_the_user() -> None:
    """Statement 18. M `tool_result` with several blocks and images -> C: text kept, images moved, in order."""
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    linked = {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}}
    result = [text("one"), picture, text("two"), linked]
    wire = Pair("M->C").sent(called("M", ("c1", "f", result), ("c2", "g", "three"), say="And?"))
    first, second, third = wire["messages"][2:]
    assert (first["role"], first["tool_call_id"]) == ("tool", "c1")
    assert [part["text"] for part in first["content"]] == ["one", "two"]
    assert (second["tool_call_id"], second["content"]) == ("c2", "three")
    assert third["role"] == "user"
    urls = [part["image_url"]["url"] for part in third["content"] if part["type"] == "image_url"]
    assert urls == [PIXEL_URL, "https://a.example/b.png"]
    assert third["content"][-1]["text"] == "And?"


@pytest.mark.parametrize("way", TO_MESSAGES)
def test_several_results_are_one_message_of_the_user_and_stand_before_its_text(way: str) -> None:
    """Statement 19. One M user message with all tool_result blocks first."""
    wire = Pair(way).sent(called(way[0], ("c1", "f", "one"), ("c2", "g", "two"), say="And?"))
    assert [turn["role"] for turn in wire["messages"]] == ["user", "assistant", "user"]
    assert [block["type"] for block in wire["messages"][-1]["content"]] == ["tool_result", "tool_result", "text"]
    assert [block.get("tool_use_id") for block in wire["messages"][-1]["content"]] == ["c1", "c2", None]


@pytest.mark.parametrize("way", TO_GEMINI)
def test_a_result_carries_the_name_of_the_call_that_it_answers(way: str) -> None:
    """Statement 20. G functionResponse: the name is resolved from the call's id."""
    for call_ids in (True, False):
        wire = Pair(way, call_ids=call_ids).sent(called(way[0], ("c1", "look", "one"), ("c2", "find", "two")))
        answers = [part["functionResponse"] for part in wire["contents"][-1]["parts"]]
        assert [(answer["name"], answer["response"]) for answer in answers] == [
            ("look", {"result": "one"}),
            ("find", {"result": "two"}),
        ]
        assert [answer.get("id") for answer in answers] == (["c1", "c2"] if call_ids else [None, None])


@pytest.mark.parametrize("way", TO_GEMINI)
@pytest.mark.parametrize(
    ("result", "told"),
    [
        ("plain", {"result": "plain"}),
        ("[1, 2]", {"result": "[1, 2]"}),
        ("7", {"result": "7"}),
        ('{"b": 1, "a": 2}', {"b": 1, "a": 2}),
    ],
)
def test_a_result_that_is_no_object_is_wrapped_into_one(way: str, result: str, told: Any) -> None:
    """Statement 21. `{"result": …}` for G; an object goes as it is."""
    wire = Pair(way).sent(called(way[0], ("c1", "f", result)))
    assert wire["contents"][-1]["parts"][0]["functionResponse"]["response"] == told


@pytest.mark.parametrize("way", TO_GEMINI)
def test_references_inside_a_result_are_no_references_for_gemini(way: str) -> None:
    """Statement 22. `$ref` and `$defs` inside a tool result do not reach Gemini raw."""
    result = '{"$ref": "#/$defs/a", "$defs": {"a": {}}}'
    wire = Pair(way).sent(called(way[0], ("c1", "f", result)))
    assert wire["contents"][-1]["parts"][0]["functionResponse"]["response"] == {"result": result}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("kind", ["orphan", "duplicate"])
def test_a_result_of_no_call_and_a_second_one_are_refused_by_their_id(way: str, stream: bool, kind: str) -> None:
    """Statement 23. Orphans and duplicates: a clear 400, the same for stream and body."""
    body = called(way[0], ("c1", "f", "one"))
    turns = body[next(iter(body))]
    if kind == "duplicate":
        turns.append(turns[-1])
    else:
        del turns[1]
    with pytest.raises(Untranslatable, match=r"c1|'f'") as refused:
        Pair(way).encoded(body, stream=stream)
    assert refused.value.field == "messages.tool_result"


# --- the choice ---------------------------------------------------------------------------------------------------

CHOICES: dict[str, dict[str, Any]] = {
    "C": {
        "none": "none",
        "auto": "auto",
        "required": "required",
        "one": {"type": "function", "function": {"name": "f"}},
    },
    "R": {"none": "none", "auto": "auto", "required": "required", "one": {"type": "function", "name": "f"}},
    "M": {
        "none": {"type": "none"},
        "auto": {"type": "auto"},
        "required": {"type": "any"},
        "one": {"type": "tool", "name": "f"},
    },
    "G": {
        "none": {"mode": "NONE"},
        "auto": {"mode": "AUTO"},
        "required": {"mode": "ANY"},
        "one": {"mode": "ANY", "allowedFunctionNames": ["f"]},
    },
}


def chosen(client: str, choice: Any) -> dict[str, Any]:
    return {"toolConfig": {"functionCallingConfig": choice}} if client == "G" else {"tool_choice": choice}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("choice", CHOICES["C"])
def test_a_choice_of_tools_means_the_same_in_every_dialect(way: str, choice: str) -> None:
    """Statement 24. none, auto, required and one function, each of the 12 pairs."""
    wire = Pair(way).sent(tools(way) | chosen(way[0], CHOICES[way[0]][choice]))
    found = wire["toolConfig"]["functionCallingConfig"] if way[-1] == "G" else wire["tool_choice"]
    assert found == CHOICES[way[-1]][choice]


@pytest.mark.parametrize("way", ["C->M", "R->M", "M->C", "M->R"])
@pytest.mark.parametrize("parallel", [True, False])
def test_the_switch_for_parallel_calls_is_the_other_way_round_in_messages(way: str, parallel: bool) -> None:
    """Statement 25. `parallel_tool_calls: false` <-> `disable_parallel_tool_use`; alone it implies auto."""
    if way[0] == "M":
        asked: Any = {"tool_choice": {"type": "auto", "disable_parallel_tool_use": not parallel}}
    else:
        asked = {"parallel_tool_calls": parallel}
    wire = Pair(way).sent(tools(way) | asked)
    if way[-1] == "M":
        assert wire["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": not parallel}
    else:
        assert (wire["parallel_tool_calls"], wire["tool_choice"]) == (parallel, "auto")


@pytest.mark.parametrize("way", TO_MESSAGES)
def test_names_and_ids_become_legal_for_messages_and_come_back_as_they_were(way: str) -> None:
    """Statement 26. `^[a-zA-Z0-9_-]{1,64}$`; longer ids survive."""
    name = "server.tool:" + "n" * (60 if way[0] == "G" else 90)
    identity = "call|" + "x" * 90
    pair = Pair(way)
    asked = tools(way, name=name) | called(way[0], (identity, name, "ok"))
    wire = pair.sent(asked)
    (use,), (result, *_) = wire["messages"][1]["content"], wire["messages"][2]["content"]
    alias = declared(way, wire)["name"]
    assert use["name"] == alias
    assert result["tool_use_id"] == use["id"]
    for word in (alias, use["id"]):
        assert len(word) <= 64 and word.replace("_", "").replace("-", "").isalnum() and word.isascii()
    (call,) = pair.reply(message(tool_use(alias), stop="tool_use"), asked).said.calls
    assert call.name == name


# --- definitions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["C->R", "R->C", "C->M", "R->M", "C->G", "R->G", "M->C"])
def test_strict_tools_are_strict_where_that_is_known_and_dropped_and_told_elsewhere(way: str) -> None:
    """Statement 27. `strict: true` maps to providers that know it and is dropped elsewhere, not 400."""
    closed = SCHEMA | {"additionalProperties": False}
    asked = tools(way, closed, strict=True)
    wire = Pair(way).sent(asked)
    if way[-1] == "G":
        assert wire["toolConfig"]["functionCallingConfig"]["mode"] == "VALIDATED"
    else:
        assert declared(way, wire)["strict"] is True
    plain = Pair(way, no_strict=True).encoded(asked)
    assert b'"strict":true' not in plain.body and b"VALIDATED" not in plain.body
    assert "tools.strict" in plain.dropped or way[-1] == "G"


@pytest.mark.parametrize("way", WAYS)
def test_a_tool_without_a_description_and_an_empty_list_of_tools_are_sent_as_absent(way: str) -> None:
    """Statement 28. Neither causes a 400."""
    assert "description" not in declared(way, Pair(way).sent(tools(way, description="")))
    wire = Pair(way).sent({"tools": []} | chosen(way[0], CHOICES[way[0]]["auto"]))
    assert "tools" not in wire and "tool_choice" not in wire and "toolConfig" not in wire


RICH: Any = {
    "type": "object",
    "$defs": {
        "node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "v": {"const": 1}}},
        "size": {"type": "integer", "exclusiveMinimum": 0},
    },
    "properties": {
        "node": {"$ref": "#/$defs/node"},
        "size": {"$ref": "#/$defs/size", "description": "How large."},
        "maybe": {"type": ["string", "null"]},
        "either": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        "bare": {},
        "properties": {"type": "object", "properties": {"propertyNames": {"type": "string"}}},
        "additionalProperties": {"type": "string"},
    },
    "required": ["node", "gone"],
    "additionalProperties": False,
    "propertyNames": {"pattern": "^a"},
}


@pytest.mark.parametrize("way", TO_GEMINI)
def test_a_schema_becomes_one_that_gemini_takes_and_keeps_its_property_names(way: str) -> None:
    """Statement 29. `$ref` inlined, cycle-safe; `const`, nullable, `oneOf`; keywords removed, names kept."""
    schema = declared(way, Pair(way, openapi_schema=True).sent(tools(way, RICH)))["parameters"]
    found = schema["properties"]
    assert set(schema) == {"type", "properties", "required"}
    assert schema["required"] == ["node"]
    assert list(found) == list(RICH["properties"])
    inner = found["node"]["properties"]
    assert inner["v"]["enum"] == ["1"] and inner["next"]["type"].lower() == "object"
    assert "$ref" not in json.dumps(schema)
    assert (found["size"]["minimum"], found["size"]["description"]) == (1, "How large.")
    assert (found["maybe"]["type"].lower(), found["maybe"]["nullable"]) == ("string", True)
    assert [one["type"].lower() for one in found["either"]["anyOf"]] == ["string", "integer"]
    assert found["bare"]["type"].lower() == "string"
    assert found["properties"]["properties"]["propertyNames"]["type"].lower() == "string"
    assert found["additionalProperties"]["type"].lower() == "string"


@pytest.mark.parametrize("way", TO_GEMINI)
def test_all_functions_stand_in_one_tool_of_gemini(way: str) -> None:
    """Statement 30. One `tools[0].functionDeclarations`."""
    both = tools(way)["tools"] + tools(way, name="g")["tools"]
    wire = Pair(way).sent({"tools": both})
    assert [list(tool) for tool in wire["tools"]] == [["functionDeclarations"]]
    assert [function["name"] for function in wire["tools"][0]["functionDeclarations"]] == ["f", "g"]


@pytest.mark.parametrize("way", TO_MESSAGES)
@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"type": "string"}}},
        {"anyOf": [{"type": "object", "properties": {"a": {"type": "string"}}}, {"properties": {"b": {}}}]},
        {},
    ],
)
def test_the_root_of_a_schema_is_an_object_for_messages(way: str, schema: Any) -> None:
    """Statement 31. A root union, or a root without `type: object`, is normalised."""
    found = declared(way, Pair(way).sent(tools(way, schema)))["input_schema"]
    assert found["type"] == "object"
    assert not {"anyOf", "oneOf", "allOf"} & found.keys()
    assert set(found.get("properties", {})) >= set(schema.get("properties", {}))


@pytest.mark.parametrize("way", TO_GEMINI)
def test_numbers_to_choose_from_are_texts_where_gemini_wants_texts_and_numbers_in_the_answer(way: str) -> None:
    """Statement 32. An enum of integers does not fail the whole request."""
    schema = {"type": "object", "properties": {"n": {"type": "integer", "enum": [1, 2]}}}
    pair, asked = Pair(way, openapi_schema=True), tools(way, schema)
    assert declared(way, pair.sent(asked))["parameters"]["properties"]["n"]["enum"] == ["1", "2"]
    (call,) = pair.reply(CALLS["gemini"]("f", '{"n":"2"}'), asked).said.calls
    assert json.loads(call.arguments) == {"n": 2}


# --- tools of other kinds -----------------------------------------------------------------------------------------

CODEX = [
    {"type": "custom", "name": "apply", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}},
    {"type": "local_shell"},
    {"type": "shell"},
    {"type": "apply_patch"},
    {"type": "namespace", "name": "db", "description": "D", "tools": [{"type": "function", "name": "find"}]},
]
CODEX_CALLS = {
    "apply": ('{"input": "*** Begin"}', "custom_tool_call", {"name": "apply", "input": "*** Begin"}),
    "local_shell": (
        '{"type":"exec","command":["ls"],"env":{}}',
        "local_shell_call",
        {"action": {"type": "exec", "command": ["ls"], "env": {}}},
    ),
    "shell": ('{"commands":["ls"]}', "shell_call", {"action": {"commands": ["ls"]}}),
    "apply_patch": (
        '{"type":"delete_file","path":"p"}',
        "apply_patch_call",
        {"operation": {"type": "delete_file", "path": "p"}},
    ),
    "db__find": ('{"q":1}', "function_call", {"name": "find", "namespace": "db", "arguments": '{"q":1}'}),
}


@pytest.mark.parametrize("sse", [True, False])
@pytest.mark.parametrize("name", CODEX_CALLS)
def test_tools_of_codex_are_functions_elsewhere_and_come_back_as_their_own_items(name: str, sse: bool) -> None:
    """Statement 33. Custom tools, namespaces, local_shell, shell and apply_patch through a C provider."""
    pair, asked = Pair("R->C", no_custom_tools=True), {"tools": CODEX}
    wire = pair.sent(asked)
    assert [tool["function"]["name"] for tool in wire["tools"]] == list(CODEX_CALLS)
    arguments, kind, members = CODEX_CALLS[name]
    said = completion({"tool_calls": [function_call(name, arguments)]}, "tool_calls")
    reply = pair.reply(said, asked, sse=sse)
    (item,) = reply.final["output"]
    assert item["type"] == kind and item.items() >= members.items()
    # And again, as history.
    output_type = {"function_call": "function_call_output"}.get(kind, f"{kind}_output")
    output: Any = [{"stdout": "x", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]
    result = {"type": output_type, "call_id": item["call_id"], "output": output if name == "shell" else "x"}
    if name == "local_shell":
        result["id"] = item["call_id"]
    again = pair.sent(asked | {"input": [{"role": "user", "content": "Go"}, *reply.turn, result]})
    (call,) = again["messages"][1]["tool_calls"]
    assert call["function"]["name"] == name
    assert json.loads(call["function"]["arguments"]) == json.loads(arguments)
    assert again["messages"][2]["tool_call_id"] == call["id"]


SERVER_TOOLS: dict[str, Any] = {
    "M->R": ({"type": "web_search_20250305", "name": "web_search"}, "web_search"),
    "M->G": ({"type": "web_search_20250305", "name": "web_search"}, "googleSearch"),
    "R->M": ({"type": "web_search"}, "web_search_20250305"),
    "R->G": ({"type": "web_search"}, "googleSearch"),
    "G->M": ({"googleSearch": {}}, "web_search_20250305"),
    "G->R": ({"googleSearch": {}}, "web_search"),
}
REFUSED_TOOLS: list[tuple[str, Any, str]] = [
    ("M->C", {"type": "web_search_20250305", "name": "web_search"}, "web_search"),
    ("M->C", {"type": "code_execution_20250825", "name": "code_execution"}, "code_execution"),
    ("R->C", {"type": "computer_use_preview", "display_width": 1, "display_height": 1, "environment": "mac"},
     "computer_use_preview"),
    ("R->M", {"type": "computer_use_preview", "display_width": 1, "display_height": 1, "environment": "mac"},
     "computer_use_preview"),
    ("R->G", {"type": "image_generation"}, "image_generation"),
    ("G->C", {"googleSearch": {}}, "web_search"),
    ("G->C", {"codeExecution": {}}, "codeExecution"),
    ("G->M", {"googleMaps": {}}, "googleMaps"),
]  # fmt: skip


def test_tools_of_the_provider_are_mapped_or_refused_by_name() -> None:
    """Statement 34. Never silently dropped."""
    for way, (tool, wanted) in SERVER_TOOLS.items():
        (found,) = Pair(way).sent({"tools": [tool]})["tools"]
        assert found.get("type", next(iter(found))) == wanted
    for way, tool, name in REFUSED_TOOLS:
        with pytest.raises(Untranslatable, match=name):
            Pair(way).encoded({"tools": [tool]})


# --- what the provider's own tools did ----------------------------------------------------------------------------

PAGE = "https://a.example/page"
SEARCHED: dict[str, Any] = {
    "M": message(
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "cats"}},
        {
            "type": "web_search_tool_result",
            "tool_use_id": "srvtoolu_1",
            "content": [{"type": "web_search_result", "url": PAGE, "title": "Page", "encrypted_content": "e"}],
        },
        text(
            "Cats purr.",
            citations=[
                {
                    "type": "web_search_result_location",
                    "url": PAGE,
                    "title": "Page",
                    "cited_text": "They purr.",
                    "encrypted_index": "i",
                }
            ],
        ),
    ),
    "R": response(
        {
            "type": "web_search_call",
            "id": "ws_1",
            "status": "completed",
            "action": {
                "type": "search",
                "query": "cats",
                "queries": ["cats"],
                "sources": [{"type": "url", "url": PAGE}],
            },
        },
        output_text(
            "Cats purr.",
            annotations=[{"type": "url_citation", "url": PAGE, "title": "Page", "start_index": 0, "end_index": 10}],
        ),
    ),
    "G": generated(
        {"text": "Cats purr."},
    ),
}
SEARCHED["G"]["candidates"][0]["groundingMetadata"] = {
    "webSearchQueries": ["cats"],
    "groundingChunks": [{"web": {"uri": PAGE, "title": "Page"}}],
    "groundingSupports": [
        {"segment": {"startIndex": 0, "endIndex": 10, "text": "Cats purr."}, "groundingChunkIndices": [0]}
    ],
}


@pytest.mark.parametrize("way", [way for way in WAYS if way[-1] in "RMG"])
@pytest.mark.parametrize("sse", [True, False])
def test_a_search_of_the_provider_is_told_with_its_sources_in_every_dialect(way: str, sse: bool) -> None:
    """Statement 35. web_search_call <-> server_tool_use + result; grounding -> url_citation."""
    asked = {"include": ["web_search_call.action.sources"]} if way[0] == "R" else None
    reply = Pair(way).reply(SEARCHED[way[-1]], asked, sse=sse)
    assert reply.said.text == "Cats purr."
    assert [citation.url for citation in reply.said.citations] == [PAGE]  # type: ignore[union-attr]
    final, told = reply.final, reply.data.decode()
    if way[0] == "R":
        (search, *_) = [item for item in final["output"] if item["type"] == "web_search_call"]
        assert search["action"]["queries"] == ["cats"]
        assert search["action"]["sources"] == [{"type": "url", "url": PAGE}]
    elif way[0] == "M":
        use, result, *_ = final["content"]
        use, result = (use, result) if use["type"] == "server_tool_use" else final["content"][-2:]
        assert (use["type"], result["type"]) == ("server_tool_use", "web_search_tool_result")
        assert result["tool_use_id"] == use["id"]
        assert [page["url"] for page in result["content"]] == [PAGE]
    elif way[0] == "G":
        assert '"webSearchQueries":["cats"]' in told


@pytest.mark.parametrize("sse", [True, False])
@pytest.mark.parametrize("way", ["C->G", "R->G", "M->G"])
def test_sources_that_come_after_a_call_are_not_lost(way: str, sse: bool) -> None:
    said = json.loads(json.dumps(SEARCHED["G"]))
    said["candidates"][0]["content"]["parts"].append({"functionCall": {"name": "f", "args": {}}})
    reply = Pair(way).reply(said, sse=sse)
    assert (reply.said.text.strip(), len(reply.said.calls)) == ("Cats purr.", 1)
    assert [citation.url for citation in reply.said.citations] == [PAGE]  # type: ignore[union-attr]


def test_old_calls_of_hosted_tools_and_unknown_blocks_do_not_break_a_chat_provider() -> None:
    """Statement 36. Historical `server_tool_use` and unknown blocks in an M history."""
    blocks = [
        *SEARCHED["M"]["content"],
        {"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}},
        {"type": "mcp_tool_listing", "server": "s", "tools": []},
    ]
    turns = [
        {"role": "user", "content": "Go"},
        {"role": "assistant", "content": blocks},
        {"role": "user", "content": "On"},
    ]
    encoded = Pair("M->C").encoded({"messages": turns})
    wire = json.loads(encoded.body)
    assert [turn["role"] for turn in wire["messages"]] == ["user", "assistant", "user"]
    said = wire["messages"][1]["content"]
    assert "Cats purr." in said and "cats" in said and PAGE in said
    assert "encrypted" not in encoded.body.decode()
    assert Raw(encoded.body)
