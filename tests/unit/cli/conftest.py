"""The command line on a data directory of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from proxyapi.cli.root import proxyapi


class Shell:
    """Runs commands as an operator would."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def __call__(self, *arguments: str, code: int = 0, typed: str | None = None) -> Result:
        result = CliRunner().invoke(proxyapi, list(arguments), env={"PROXYAPI_DATA": str(self.data)}, input=typed)
        assert result.exit_code == code, (result.output, result.exception)
        return result

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Standard output is exactly one line with one JSON object."""
        result = self(*arguments, "--json", code=code)
        assert result.stdout.endswith("}\n")
        assert result.stdout.count("\n") == 1
        return json.loads(result.stdout, parse_float=str)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    for name in ("PROXYAPI_CONFIG", "PROXYAPI_LISTEN", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return Shell(tmp_path / "data")
