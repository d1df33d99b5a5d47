"""Do the tests notice bugs? Seeds one at a time into a copy of the package and runs the tests of its decisions on it.

python tests/faults/ledger/mutate.py [NAME ...]        exit code 1 if a bug survives; takes some ten minutes
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
TESTS = (
    "tests/unit/ledger/test_plan.py", "tests/unit/ledger/test_commit.py", "tests/unit/ledger/test_ledger.py",
    "tests/unit/ledger/test_batch.py", "tests/laws/test_ledger_model.py",
)  # fmt: skip
EXAMPLES = "400"
TEST_SECONDS_MAX = "180"
"""A test that a bug keeps from ending has noticed it."""
SECONDS_MAX = 1_200
"""Tests that notice nothing run to their end, on both engines."""


PLAN, COMMIT, BATCH, SQL = "ledger/plan.py", "ledger/commit.py", "ledger/batch.py", "ledger/ledger.sql"
BUDGETS, PERIODS, WRITING = "ledger/budgets.py", "ledger/periods.py", "ledger/writing.py"
STORE, POSTGRES, ENGINE = "store/sqlite.py", "store/postgres/session.py", "store/postgres/engine.py"
TEXT = "store/postgres/text.py"
REPLIES, BILL, UPSTREAM = "gateway/replies.py", "gateway/bill.py", "gateway/upstream.py"
DRAINS = "gateway/drains.py"
LEDGER = "ledger/ledger.py"
STORES = ("tests/unit/store/test_postgres.py", "tests/unit/store/test_databases.py")
CLAIMS = ("tests/unit/ledger/test_claims.py",)
REAPER = ("tests/unit/ledger/test_reaper.py",)
MOVED = ("tests/unit/ledger/test_moved.py",)
ENDINGS = ("tests/contract/test_endings.py", "tests/unit/gateway/test_drains.py", "-k", "not fails")


class Bug(NamedTuple):
    name: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...] = TESTS


BUGS = (
    Bug("the budget is not held", PLAN, "            budget.held += amount\n", ""),
    Bug("the budget is not asked", PLAN, "            if free < amount:\n                return Refused(\"key\"",
        "            if False:\n                return Refused(\"key\""),
    Bug("a lowered limit is ignored", PLAN, "min(budget.funded, op.budget.limit)", "budget.funded"),
    Bug("one nano too many is admitted", PLAN, "        if free < amount:\n            return Refused(\"account\"",
        "        if free < amount - 1:\n            return Refused(\"account\""),
    Bug("the last nano is refused", PLAN, "        if free < amount:\n            return Refused(\"account\"",
        "        if free <= amount and amount:\n            return Refused(\"account\""),
    Bug("credit is forgotten", PLAN, "free = wallet.funded + wallet.credit - wallet.spent - wallet.held\n        if",
        "free = wallet.funded - wallet.spent - wallet.held\n        if"),
    Bug("a blocked account may hold", PLAN, "wallet is None or wallet.blocked", "wallet is None"),
    Bug("holds of one batch don't see each other", PLAN, "        wallet.held += amount\n        self",
        "        self"),
    Bug("an overrun is not capped", PLAN, "charged = min(actual, max(row.amount, free))", "charged = actual"),
    Bug("an overrun is capped by the wallet only", PLAN,
        "free = wallet.free() if budget is None else min(wallet.free(), budget.free())\n                charged",
        "free = wallet.free()\n                charged"),
    Bug("an overrun is not collected", PLAN, "charged = min(actual, max(row.amount, free))", "charged = row.amount"),
    Bug("a release charges", PLAN, "        if not op.released:\n            charged",
        "        if True:\n            charged"),
    Bug("the budget is not charged", PLAN,
        "            wallet.spent += charged\n            if budget is not None:\n"
        "                budget.spent += charged",
        "            wallet.spent += charged"),
    Bug("an ended hold stays", PLAN, "            self.plan.ended.append(id)\n", "            pass\n"),
    Bug("a second settle charges again", PLAN, "if kind != \"expire\":", "if kind == \"release\":"),
    Bug("a hold can be corrected twice", PLAN, "if corrected is not None:", "if False:"),
    Bug("a correction overdraws", PLAN, "charged = min(actual, max(0, free))", "charged = actual"),
    Bug("a correction keeps the loss", PLAN, "loss = actual - charged - expired", "loss = actual - charged"),
    Bug("holds of the living expire", PLAN, "if op.id in self.facts.lost else None", "if True else None"),
    Bug("an expiry leaves the budget held", PLAN,
        "            self.pots[row.budget_id].held -= row.amount\n        self",
        "            pass\n        self"),
    Bug("a repeated deposit is booked again", PLAN, "if known is not None:", "if False:"),
    Bug("a replayed adjustment is booked again", PLAN,
        "if op.id in self.done:\n            return Funded(False, op.amount)",
        "if False:\n            return Funded(False, op.amount)"),
    Bug("an adjustment overdraws", PLAN, "if pot.free() + op.amount < 0:", "if False:"),
    Bug("a limit falls below what is held", PLAN, "max(op.budget.limit, pot.spent + pot.held)", "op.budget.limit"),
    Bug("a finished hold is held again", PLAN,
        "        if id in self.done:\n            return DUPLICATE\n        if op.claim",
        "        if op.claim"),
    Bug("a replayed hold is refused", PLAN, "return ACCEPTED if self.facts.replay else DUPLICATE", "return DUPLICATE"),
    Bug("a double hold is accepted", PLAN, "return ACCEPTED if self.facts.replay else DUPLICATE", "return ACCEPTED"),
    Bug("the holds of the dead are not looked for", SQL, "worker_id NOT IN", "worker_id IN"),
    Bug("a replay does not look for its holds", COMMIT, "holds |= self.read_holds(asked.hold_ids)", "pass"),
    Bug("what was believed is not read when it is wrong", COMMIT, "with suppress(ConstraintViolated, _Disappointed):",
        "with suppress(ZeroDivisionError):"),
    Bug("what was believed of accounts is not compared", COMMIT, "known=facts.accounts", "known=None"),
    Bug("a wrong belief is kept on SQLite", STORE, "!= list(counts)", "!= [*found]"),
    Bug("a wrong belief is kept on PostgreSQL", TEXT, "THEN 1 ELSE 0 END", "THEN 1 ELSE 1 END"),
    Bug("accounts that do not change are believed", COMMIT,
        "if len(decided.deltas) != len(facts.accounts)", "if False"),
    Bug("what a batch left is not known", COMMIT, "was.spent + spent, was.held", "was.spent, was.held"),
    Bug("accounts that are known are not locked in order", COMMIT,
        "[accounts, *steps], [len(decided.deltas), *counts]", "steps, counts"),
    Bug("corrections are not looked up", COMMIT, "if entry[0] == \"expire\"]", "if entry[0] == \"expired\"]"),
    Bug("a budget that was rolled back is remembered", COMMIT,
        "            known |= self.new_budgets\n",
        "            known |= self.new_budgets\n            self.budgets.update(self.new_budgets)\n"),
    Bug("a price that was rolled back is remembered", COMMIT, "self.new_prices[op.price.id] = op.price",
        "self.new_prices[op.price.id] = op.price\n                    prices.add(op.price.id)"),
    Bug("used ids are not looked for", WRITING, "        if fresh:\n", "        if False:\n"),
    Bug("used ids are not looked for once something was wrong", COMMIT,
        "unproved = [*asked.hold_ids, *unproved]", "pass"),
    Bug("a hold that expires in a replay is read without its price", COMMIT, "holds |= ended.holds",
        "holds = ended.holds | holds"),
    Bug("a deposit raises a budget", PLAN, "pot is None or op.account_id in self.facts.unfundable", "pot is None"),
    Bug("a budget does not end with its day", PERIODS, "return now_ms - now_ms % DAY_MS", "return 0"),
    Bug("a budget is funded with a stale limit", BUDGETS, "in_force.get(wanted[0], limit)", "limit"),
    Bug("a failure is committed", STORE, "cursor.execute(\"ROLLBACK\")", "cursor.execute(\"COMMIT\")"),
    Bug("a failing write fails its batch", COMMIT, "            return Failed(error)", "            raise error"),
    Bug("a rollup forgets tokens", SQL, "output = rollup.output + excluded.output",
        "output = excluded.output"),
    Bug("a price row is not kept", COMMIT, "        if self.new_prices:\n", "        if False:\n"),
    Bug("a deposit's reference is not kept", WRITING, "        if references:\n", "        if False:\n"),
    Bug("a deposit's reference is not looked up", COMMIT, "self.read_references(asked.references)", "{}"),
    Bug("the cap of a request is not heeded", PLAN, "if op.limit is not None and charged > op.limit:", "if False:"),
    Bug("the cap of a request is forgotten once it expired", PLAN, "charged = min(charged, op.limit)", "pass"),
    Bug("a replay is applied as if it were new", COMMIT, "return self._apply(ops, None, replay=replay)",
        "return self._apply(ops, None, replay=False)"),
    Bug("the batcher does not say that it replays", BATCH, "self._apply(ops, replay=True)", "self._apply(ops)"),
    Bug("an unknown outcome is not tried again", BATCH, "        except OutcomeUnknown as unknown:\n            try:",
        "        except OutcomeUnknown as unknown:\n            raise\n            try:"),
    Bug("a hold of unknown outcome is left", BATCH, "if type(op) is Hold and isinstance(failure, OutcomeUnknown):",
        "if False:"),
    Bug("a hold that nobody waits for is left", BATCH, "if type(op) is Hold and type(outcome) is Accepted:",
        "if False:"),
    Bug("accounts are read without a lock", SQL, " ORDER BY id @for_update", " ORDER BY id"),
    Bug("a limit that is being edited is not waited for", SQL, " ORDER BY id @for_share", " ORDER BY id"),
    Bug("a lost COMMIT passes for none", POSTGRES, "else OutcomeUnknown(str(error))", "else translate(error)"),
    Bug("a lost transaction of one statement passes for none", POSTGRES, "raise OutcomeUnknown(str(error))",
        "raise translate(error)"),
    Bug("what was charged is kept in the place of another column", POSTGRES, "[given.index(name) if name in given",
        '[given.index("actual" if name == "charged" else name) if name in given'),
    Bug("columns that an INSERT does not name get the first value", POSTGRES, "else len(given) for", "else 0 for"),
    Bug("a connection goes on with a table as it was", POSTGRES,
        "        except STALE:\n            raise\n", "", STORES),
    Bug("a row that is too short is filled up", POSTGRES, "any(len(row) != width for row in rows)", "False", STORES),
    Bug("holds wait for as long as more come", BATCH,
        "monotonic() - self._waiting >= self._pace.gather_seconds", "False"),
    Bug("a transaction that failed stays open", ENGINE, "        session.rollback()\n", "        pass\n"),
    # In which order accounts are written does not matter: the batch has them locked, and those locks are ordered.
    Bug("shared sums are written in any order", WRITING, "in sorted(total.items())", "in total.items()"),
    Bug("prices are written in any order", COMMIT, "prices = sorted(self.new_prices.items())",
        "prices = list(self.new_prices.items())"),
    Bug("a key that is taken is taken again", PLAN, "if op.claim is not None and id in self.facts.unclaimed:",
        "if False:", CLAIMS),
    Bug("a late settlement charges although its key is another's", PLAN,
        "if op.claim is not None and op.id in self.facts.unclaimed:", "if False:", CLAIMS),
    Bug("a refused request keeps its key", COMMIT, "            if part.claims:\n", "            if False:\n", CLAIMS),
    Bug("a settlement does not say that its key is paid for", COMMIT,
        "self.claims.append((op.claim.order, op.id, op.claim.confirm))", "pass", CLAIMS),
    Bug("a death that was seen is not heeded", SQL,
        "WHERE died_at IS NULL AND seen_at >= @now_ms - ?)\n ORDER", "WHERE seen_at >= @now_ms - ?)\n ORDER", REAPER),
    Bug("a death that was seen does not let holds expire", SQL,
        "WHERE died_at IS NULL AND seen_at >= @now_ms - ?)\n\n--", "WHERE seen_at >= @now_ms - ?)\n\n--", REAPER),
    Bug("the wrong ones are buried", SQL, "WHERE name = ? AND died_at IS NULL", "WHERE name <> ? AND died_at IS NULL",
        REAPER),
    Bug("who was said to be dead goes on under the same name", SQL, "WHERE id = ? AND died_at IS NULL RETURNING",
        "WHERE id = ? RETURNING", REAPER),
    Bug("what a worker leaves behind is waited for", LEDGER, '("leave_worker", "mark_left")', '("leave_worker",)',
        REAPER),
    Bug("books that were moved are worked on where they were", SQL,
        " WHERE NOT EXISTS (SELECT 1 FROM setting WHERE name = 'moved_to')\n", "", MOVED),
    Bug("who works on books that are moved away is not looked for", "ledger/workers.py",
        "        _refuse_the_living(self._transaction)\n", "", MOVED),
    Bug("an answer that nobody can read is charged", REPLIES, "meter.failed is None and meter.understood",
        "meter.failed is None", ENDINGS),
    Bug("half a usage is taken for all of it", BILL, "meter.texts and tells_half(usage)", "False", ENDINGS),
    Bug("answers without readers have no bound in money", DRAINS, "not self._affords(amount)", "False", ENDINGS),
    Bug("an answer that has ended still counts as being read", DRAINS, "if not running.over", "if True", ENDINGS),
    Bug("a provider thinks on for nobody", UPSTREAM, "            task.cancel()\n", "            pass\n", ENDINGS),
    Bug("a stream without its end is complete", REPLIES, "if ending == \"completed\" and not meter.finished:",
        "if False:", ENDINGS),
)  # fmt: skip


def survives(bug: Bug, folder: Path) -> bool:
    package = folder / "proxyapi"
    shutil.copytree(ROOT / "src" / "proxyapi", package, ignore=shutil.ignore_patterns("__pycache__"))
    file = package / bug.file
    text = file.read_text("utf-8")
    if bug.right not in text:
        raise SystemExit(f"{bug.name}: {bug.file} does not contain {bug.right!r}")
    file.write_text(text.replace(bug.right, bug.wrong), "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--import-mode=importlib"]
    command += ["--timeout", TEST_SECONDS_MAX]
    environment = {**os.environ, "PYTHONPATH": str(folder), "LEDGER_LAW_QUICK": "1", "LEDGER_LAW_EXAMPLES": EXAMPLES}
    tests = [str(ROOT / test) if test.startswith("tests/") else test for test in bug.tests]
    answer = subprocess.run(
        [*command, "--rootdir", str(folder), "-c", os.devnull, *tests],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX,
    )  # fmt: skip
    if answer.returncode not in (0, 1):
        raise SystemExit(answer.stdout + answer.stderr)
    return answer.returncode == 0


def main() -> None:
    survivors = []
    bugs = [bug for bug in BUGS if not sys.argv[1:] or bug.name in sys.argv[1:]]
    for bug in bugs:
        with tempfile.TemporaryDirectory() as folder:
            survived = survives(bug, Path(folder))
        sys.stdout.write(f"{'SURVIVED' if survived else 'killed  '} {bug.name}\n")
        sys.stdout.flush()
        if survived:
            survivors.append(bug.name)
    sys.stdout.write(f"{len(bugs) - len(survivors)} of {len(bugs)} killed\n")
    sys.exit(bool(survivors))


if __name__ == "__main__":
    main()
