"""Scripts of many statements."""

from __future__ import annotations

import sqlite3


def statements(text: str) -> list[str]:
    """The statements of a script; `;` inside strings, comments and triggers does not end one."""
    found, start = [], 0
    for at, character in enumerate(text):
        if character == ";" and sqlite3.complete_statement(text[start : at + 1]):
            found.append(text[start : at + 1].strip())
            start = at + 1
    return found
