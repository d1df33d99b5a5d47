"""Statements 33-36: tools of other kinds than functions, and what the provider's own tools did."""

from __future__ import annotations

import json
from typing import Any

import pytest
from proxyapi_fakes_pairs import WAYS, Pair
from proxyapi_fakes_wires import (
    completion,
    function_call,
    generated,
    message,
    output_text,
    response,
    text,
)

from proxyapi.dialects.codec import Untranslatable

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
