"""The real Claude Code (`claude -p`) with models of other vendors, set up as docs/start/agents.md shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

MODULES = Path(__file__).parent / "node_modules"
CLAUDE = next(MODULES.glob("@anthropic-ai/claude-code-*/claude"), MODULES / "@anthropic-ai/claude-code-*/claude")
MODELS = ["openai/gpt-5.1", "openai/gpt-4o-mini", "google/gemini-3-pro-preview", "google/gemini-2.5-flash"]


def claude(stage: Any, model: str, *words: str) -> Any:
    return stage.run(
        CLAUDE, "-p", "What do the notes say?", *words,
        ANTHROPIC_BASE_URL=stage.gateway.url, ANTHROPIC_AUTH_TOKEN=stage.key, ANTHROPIC_MODEL=model,
        ANTHROPIC_DEFAULT_HAIKU_MODEL="openai/gpt-4o-mini", CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
    )  # fmt: skip


@pytest.mark.parametrize("model", MODELS)
def test_claude_code_reads_a_file_for_a_model_of_another_vendor(stage: Any, model: str) -> None:
    stage.plays([("Read", {"file_path": str(stage.folder / "notes.txt")})])
    ran = claude(stage, model)
    first, second = stage.has_played(ran)
    assert stage.secret in ran.output
    assert {"Bash", "Edit", "Read", "Write"} <= first.tools.keys()
    assert first.tools["Read"]["required"] == ["file_path"]
    assert stage.secret in second.turns[0][1][0].text


@pytest.mark.parametrize("model", ["openai/gpt-5.1", "google/gemini-3-pro-preview"])
def test_signed_thoughts_go_back_to_their_maker_through_claude_code(stage: Any, scripted: Any, model: str) -> None:
    read = ("Read", {"file_path": str(stage.folder / "notes.txt")})
    stage.plays([read], [("Bash", {"command": "echo done", "description": "Says done"})])
    seen = stage.has_played(claude(stage, model, "--allowedTools", "Bash"))
    assert [request.states for request in seen] == [[scripted.state_of(turn) for turn in range(n)] for n in range(3)]


@pytest.mark.parametrize("model", MODELS)
def test_claude_code_shows_a_picture_and_a_failure_at_once(stage: Any, model: str) -> None:
    """The failure is there before the picture, so their results come in another order than the calls."""
    stage.plays(
        [
            ("Read", {"file_path": str(stage.folder / "dot.png")}),
            ("Read", {"file_path": str(stage.folder / "missing.txt")}),
        ]
    )
    _, second = stage.has_played(claude(stage, model))
    calls, results = second.turns[0]
    in_order = [result for call in calls for result in results if result.id == call.id] or results
    assert "does not exist" in in_order[1].text
    assert "image/png" in json.dumps(second.body)


def test_claude_code_tells_that_the_account_is_empty(stage: Any) -> None:
    stage.key = stage.gateway.customer("0.01")[1]
    ran = claude(stage, "openai/gpt-5.1")
    assert ran.code != 0
    assert "Insufficient balance" in ran.output


def test_claude_code_finds_deferred_tools_for_a_model_that_knows_no_search(stage: Any) -> None:
    stage.plays([("ToolSearch", {"query": "select:WebFetch,WebSearch", "max_results": 5})])
    first, second = stage.has_played(claude(stage, "openai/gpt-5.1"), same_tools=False)
    assert second.tools.keys() - first.tools.keys() == {"WebFetch", "WebSearch"}
