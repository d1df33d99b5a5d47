"""Whose money: holds before a request, endings after it, deposits; every movement is one entry of the journal.

ledger   what a server uses: hold, settle, release, deposit ...
offline  the same for the command line, blocking, while servers run
ops      what can be asked of the ledger, and its answers
plan     the pure decision about a batch of ops
commit   one batch, one transaction: reads what `plan` needs, writes what it decided
batch    group commit: a thread that commits while the next batch fills
reaper   expires the holds of workers that died
audit    proves the invariants
usage    reports from the rollups
"""
