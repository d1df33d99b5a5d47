"""asyncpg's exceptions in our words, by their SQLSTATE (PostgreSQL documentation, appendix A)."""

from __future__ import annotations

import asyncio

import asyncpg  # type: ignore[import-untyped]

from proxyapi.store.errors import ConstraintViolated, Contended, StatementRefused, StoreError, StoreFailure

DRIVER_ERRORS: tuple[type[Exception], ...] = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    asyncio.TimeoutError,
    asyncio.IncompleteReadError,
    UnicodeError,  # half a surrogate pair
    OverflowError,
)

STALE = (asyncpg.InvalidCachedStatementError, asyncpg.DatatypeMismatchError)
"""A migration beside us changed what a prepared statement was planned for, or what columns the rows of a table have: it
was refused, and a new connection looks again."""

_CONTENDED = frozenset({"40001", "40P01"})
"""Serialization failure, deadlock."""
_SICK_STATES = frozenset({"55P03", "25006", "3D000", "25P03"})
"""A lock that did not come in time, a server that only reads, no such database, a session that was ended for idling in
a transaction."""
_SICK_CLASSES = frozenset({"08", "28", "53", "57", "58", "F0", "XX"})
"""Connection, authorization, resources, operator's intervention, system, configuration file, corruption."""
_LOST_STATES = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03"})
"""The server has ended the session, or is about to."""


def translate(error: Exception) -> StoreError:
    """What the store says; whether the transaction was kept is for the caller to know."""
    state: str | None = getattr(error, "sqlstate", None)
    said = str(error).partition("\n")[0]  # details quote rows, and rows have secrets
    text = f"{type(error).__name__}: {said}" if state is None else f"{said} ({state})"
    if state is None:
        ours = isinstance(error, ValueError) and not isinstance(error, OSError)
        return StatementRefused(text) if ours or isinstance(error, OverflowError) else StoreFailure(text)
    if state in _CONTENDED or isinstance(error, STALE):
        return Contended(text)
    if state in _SICK_STATES or state[:2] in _SICK_CLASSES:
        return StoreFailure(text)
    return ConstraintViolated(text) if state[:2] == "23" else StatementRefused(text)


def is_lost(error: Exception) -> bool:
    """Nothing more can be done with the connection, or nobody knows what it is doing."""
    state: str | None = getattr(error, "sqlstate", None)
    if state is not None:
        return state in _LOST_STATES or state[:2] == "08" or isinstance(error, STALE)
    return not isinstance(error, ValueError | OverflowError) or isinstance(error, OSError)
