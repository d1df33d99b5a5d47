"""Statements 18-32: declared tools, and calls with their results in the history of a conversation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from proxyapi_fakes_pairs import DIALECTS, WAYS, Pair
from proxyapi_fakes_wires import (
    CALLS,
    FUNCTIONS,
    call_item,
    function_call,
    message,
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
