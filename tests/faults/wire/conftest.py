"""The same loopback tools as the unit tests of the wire."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_PATH = Path(__file__).parents[2] / "unit" / "wire" / "conftest.py"
_spec = importlib.util.spec_from_file_location("wire_lab", _PATH)
assert _spec is not None and _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)

lab = _module.lab
