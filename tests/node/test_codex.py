"""The real Codex (`codex exec`) with models of other vendors, set up as docs/start/agents.md shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

CODEX = Path(__file__).parent / "node_modules" / ".bin" / "codex"
MODELS = ["anthropic/claude-sonnet-4-5", "google/gemini-3-pro-preview", "local/llama"]
CONFIG = """
model_provider = "proxyapi"
web_search = "disabled"
check_for_update_on_startup = false

[model_providers.proxyapi]
name = "proxyapi"
base_url = "{url}/v1"
env_key = "PROXYAPI_KEY"
wire_api = "responses"

[analytics]
enabled = false

[features]
plugins = false
"""
PATCH = "*** Begin Patch\n*** Add File: made.txt\n+made by a model\n*** End Patch\n"


def codex(stage: Any, model: str, *words: str) -> Any:
    (stage.home / ".codex").mkdir()
    (stage.home / ".codex" / "config.toml").write_text(CONFIG.format(url=stage.gateway.url))
    # The tests' own commands are harmless, and a machine that runs tests may lack what Codex needs for its sandbox.
    unguarded = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
    return stage.run(CODEX, "exec", *unguarded, "-m", model, *words, "What do the notes say?", PROXYAPI_KEY=stage.key)


@pytest.mark.parametrize("model", MODELS)
def test_codex_runs_a_command_for_a_model_of_another_vendor(stage: Any, model: str) -> None:
    stage.plays([("exec_command", {"cmd": "cat notes.txt"})])
    ran = codex(stage, model)
    first, second = stage.has_played(ran)
    assert stage.secret in ran.output
    assert first.tools["exec_command"]["required"] == ["cmd"]
    assert stage.secret in second.turns[0][1][0].text


@pytest.mark.parametrize("model", MODELS[:2])
def test_signed_thoughts_go_back_to_their_maker_through_codex(stage: Any, scripted: Any, model: str) -> None:
    stage.plays([("exec_command", {"cmd": "cat notes.txt"})], [("exec_command", {"cmd": "echo done"})])
    seen = stage.has_played(codex(stage, model))
    assert [request.states for request in seen] == [[scripted.state_of(turn) for turn in range(n)] for n in range(3)]


def test_codex_applies_a_patch_of_a_model_that_knows_no_free_text_tools(stage: Any) -> None:
    """Codex sends `apply_patch` with its grammar to models that it knows: here an alias of Claude."""
    stage.plays([("apply_patch", {"input": PATCH})])
    first, second = stage.has_played(codex(stage, "gpt-5.5"))
    assert (stage.folder / "made.txt").read_text() == "made by a model\n"
    assert first.tools["apply_patch"] == {
        "type": "object",
        "properties": {"input": {"type": "string"}},
        "required": ["input"],
    }
    assert "begin_patch" in json.dumps(first.body["tools"])
    assert "Success" in second.turns[0][1][0].text


def test_codex_runs_a_program_with_tools_of_a_namespace(stage: Any) -> None:
    """To its newest models Codex offers one tool of free text, and all tools before the first message."""
    program = 'text(await tools.exec_command({cmd: "cat notes.txt"}));'
    stage.plays([("functions__exec", {"input": program})], [("clock__sleep", {"duration_ms": 1})])
    first, second, third = stage.has_played(codex(stage, "gpt-6.1-terra"))
    assert stage.secret in second.turns[0][1][0].text
    assert "Sleep completed" in third.turns[1][1][0].text
    assert any("You are Codex" in block["text"] for block in first.body["system"])


def test_codex_shows_a_picture(stage: Any) -> None:
    stage.plays([("view_image", {"path": str(stage.folder / "dot.png")})])
    _, second = stage.has_played(codex(stage, "anthropic/claude-sonnet-4-5"))
    assert second.turns[0][1][0].text == "[image/png]"


def test_codex_tells_that_the_account_is_empty(stage: Any) -> None:
    stage.key = stage.gateway.customer("0.01")[1]
    ran = codex(stage, "anthropic/claude-sonnet-4-5", "-c", "model_providers.proxyapi.stream_max_retries=0")
    assert ran.code != 0
    assert "Insufficient balance" in ran.errors


def test_codex_is_told_to_switch_off_a_search_that_a_provider_lacks(stage: Any) -> None:
    stage.plays()
    ran = codex(stage, "local/llama", "-c", 'web_search="live"')
    assert ran.code != 0
    assert "this model has no web search of its own" in ran.output + ran.errors
    assert not stage.provider.asked
