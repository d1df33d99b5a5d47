"""
What goes wrong in a store, in our words; drivers' exceptions stay inside this package:

* StoreError
  + StoreFailure         the store is sick (disk full, locked, I/O), nothing of the transaction was kept: try again
    - OutcomeUnknown     COMMIT itself failed: the transaction may or may not have been kept
    - Contended          lost a race with a transaction beside it (a deadlock, a migration): try again at once
  + StatementRefused     the statement is at fault, not the store; trying again won't help
    - ConstraintViolated a UNIQUE, CHECK or NOT NULL rule of the schema
    - CountsDiffer       the rows that were found or changed are not as many as they should be
  + NotEmpty             a copy never writes over what is there
  + SchemaTooNew         the database was written by a later version of this program
"""

from __future__ import annotations

from proxyapi.errors import ProxyError


class StoreError(ProxyError):
    """Root of this package's errors."""


class StoreFailure(StoreError):
    """The store is sick and nothing of the transaction was kept."""


class OutcomeUnknown(StoreFailure):
    """COMMIT failed: apply the same batch again with the same ids to find out."""


class Contended(StoreFailure):
    """Another transaction was in the way, and this one was undone for it."""


class StatementRefused(StoreError):
    """Wrong SQL or wrong values."""


class ConstraintViolated(StatementRefused):
    """A rule of the schema."""


class CountsDiffer(StatementRefused):
    """What the caller believed of the database is not so; nothing was kept."""


class SchemaTooNew(StoreError):
    """This program is older than its database."""


class NotEmpty(StoreError):
    """The place of a copy has something in it; the text says what."""
