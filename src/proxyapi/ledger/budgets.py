"""The accounts of budgets: found by key and period, made on first use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from proxyapi.ledger.ops import Period
from proxyapi.ledger.periods import BudgetPeriod
from proxyapi.ledger.plan import derived_id, funding_row
from proxyapi.store.database import Transaction
from proxyapi.store.queries import in_rows, load_queries

SQL = load_queries("proxyapi.ledger", "ledger.sql")


def find_budgets(transaction: Transaction, wanted: Iterable[BudgetPeriod]) -> dict[BudgetPeriod, int]:
    """Accounts of those that exist."""
    keys: dict[tuple[Period, int], list[int]] = {}
    for key_id, period, start in wanted:
        keys.setdefault((period, start), []).append(key_id)
    found: dict[BudgetPeriod, int] = {}
    for (period, start), ids in keys.items():
        for key_id, account_id in transaction.execute(SQL["find_budgets"], (ids, period, start)):
            found[key_id, period, start] = account_id
    return found


def open_budgets(transaction: Transaction, limits: Mapping[BudgetPeriod, int], now_ms: int) -> dict[BudgetPeriod, int]:
    """Makes accounts with these limits. The limit in force is the key's, if there is a key: what the caller knows may
    be a second old. In order of keys, as another process may be making the same ones."""
    keys = sorted({key_id for key_id, _, _ in limits})
    in_force: dict[int, int] = dict(transaction.execute(SQL["read_key_limits"], (keys,)))
    rows = [(*wanted, in_force.get(wanted[0], limit), now_ms) for wanted, limit in sorted(limits.items())]
    opened: dict[BudgetPeriod, int] = {}
    entries = []
    for sql, parameters in in_rows(SQL["open_budgets"], rows):
        for account_id, key_id, period, start, limit in transaction.execute(sql, parameters):
            opened[key_id, period, start] = account_id
            id = derived_id(now_ms.to_bytes(6, "big") + account_id.to_bytes(10, "big"), b"limit")
            entries.append(funding_row(id, "limit", account_id, key_id, limit, now_ms))
    if entries:
        transaction.executemany(SQL["insert_entry"], entries)
    others = find_budgets(transaction, limits.keys() - opened.keys()) if len(opened) < len(limits) else {}
    return opened | others
