"""Whose money: holds before a request, endings after it, deposits; every movement is one entry of the journal.

ledger   what a server uses: hold, settle, release, deposit ...
offline  the same for the command line, blocking, while servers run
ops      what can be asked of the ledger, and its answers
plan     the pure decision about a batch of ops
commit   one batch, one transaction: reads what `plan` needs, writes what it decided
budgets  accounts of keys' budgets, made on first use
batch    group commit: a thread that commits while the next batch fills
reaper   expires the holds of workers that died
workers  who is alive, and how to be alone with the books
moved    the mark of a database whose books went elsewhere
audit/   proves the invariants, and explains what breaks them
sealing  months leave the journal for files
archive  those files: Parquet, their SHA-256
sealed   which months have left, and where to
months   months as numbers
receipt  what one request cost, and why
usage    reports from the rollups
"""
