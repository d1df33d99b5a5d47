-- What makes a deposit idempotent, beside the journal: its index could not span the parts that PostgreSQL keeps the journal in.

CREATE TABLE reference (
    reference  TEXT    PRIMARY KEY,          -- of a payment: provider and the provider's id
    entry_id   BLOB    NOT NULL,             -- the deposit
    account_id INTEGER NOT NULL,
    amount     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO reference (reference, entry_id, account_id, amount)
SELECT reference, id, account_id, amount FROM entry WHERE reference IS NOT NULL;

-- SQLite only
DROP INDEX entry_reference;
