"""The real Gemini CLI (`gemini -p`) with models of other vendors, set up as docs/start/agents.md shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

GEMINI = Path(__file__).parent / "node_modules" / ".bin" / "gemini"
SETTINGS = {
    "security": {"auth": {"selectedType": "gemini-api-key"}},
    "general": {"enableAutoUpdate": False},
    "privacy": {"usageStatisticsEnabled": False},
    "telemetry": {"enabled": False},
}


def gemini(stage: Any, model: str, *words: str) -> Any:
    (stage.home / ".gemini").mkdir()
    (stage.home / ".gemini" / "settings.json").write_text(json.dumps(SETTINGS))
    return stage.run(
        GEMINI, "-m", model, *words, "-p", "What do the notes say?",
        GEMINI_API_KEY=stage.key, GOOGLE_GEMINI_BASE_URL=stage.gateway.url, GEMINI_CLI_TRUST_WORKSPACE="true",
    )  # fmt: skip


@pytest.mark.parametrize("model", ["anthropic/claude-sonnet-4-5", "openai/gpt-5.1"])
def test_the_gemini_cli_reads_files_for_a_model_of_another_vendor(stage: Any, scripted: Any, model: str) -> None:
    """It keeps no thoughts: the signed ones come back to their maker all the same."""
    (stage.folder / "more.txt").write_text("and more\n")
    read = [("read_file", {"file_path": "notes.txt"}), ("read_file", {"file_path": "more.txt"})]
    stage.plays(read, [("run_shell_command", {"command": "echo done"})])
    ran = gemini(stage, model, "--yolo")
    first, second, third = stage.has_played(ran)
    assert stage.secret in ran.output
    assert first.tools["read_file"]["required"] == ["file_path"]
    assert [result.text.strip() for result in second.turns[0][1]] == [stage.secret, "and more"]
    assert "done" in third.turns[1][1][0].text
    assert [request.states for request in (first, second, third)] == [
        [scripted.state_of(turn) for turn in range(number)] for number in range(3)
    ]


def test_the_gemini_cli_shows_files_to_a_model_that_speaks_chat(stage: Any) -> None:
    """Chat has no pictures in results: they follow as the user's."""
    stage.plays([("read_file", {"file_path": "notes.txt"}), ("read_file", {"file_path": "dot.png"})])
    ran = gemini(stage, "openai/gpt-4o-mini")
    _, second = stage.has_played(ran)
    assert stage.secret in ran.output
    assert second.turns[0][1][0].text.strip() == stage.secret
    picture = second.history[-1]["content"][-1]
    assert picture["image_url"]["url"].startswith("data:image/png;base64,")


def test_the_gemini_cli_tells_that_the_account_is_empty(stage: Any) -> None:
    stage.key = stage.gateway.customer("0.01")[1]
    ran = gemini(stage, "openai/gpt-5.1")
    assert ran.code != 0
    assert "Insufficient balance" in ran.errors
