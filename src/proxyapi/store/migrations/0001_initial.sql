-- Money is int64 nanos, times are milliseconds since 1970 UTC, ids of requests are 16 bytes of UUIDv7.

CREATE TABLE account (                       -- a bounded pot: balance = funded - spent, available = balance + credit - held
    id           INTEGER PRIMARY KEY,
    kind         TEXT    NOT NULL CHECK (kind IN ('wallet', 'budget')),
    name         TEXT    UNIQUE,             -- wallets
    key_id       INTEGER,                    -- budgets: the key, and the period that begins at period_start (UTC)
    period       TEXT    CHECK (period IN ('never', 'day', 'month')),
    period_start INTEGER,
    funded       INTEGER NOT NULL DEFAULT 0,
    spent        INTEGER NOT NULL DEFAULT 0 CHECK (spent >= 0),
    held         INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0),
    credit       INTEGER NOT NULL DEFAULT 0 CHECK (credit >= 0),
    blocked      INTEGER NOT NULL DEFAULT 0 CHECK (blocked IN (0, 1)),
    created_at   INTEGER NOT NULL,
    CHECK (funded + credit - spent - held >= 0),
    CHECK ((kind = 'wallet' AND name IS NOT NULL)
        OR (kind = 'budget' AND key_id IS NOT NULL AND period IS NOT NULL AND period_start IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX account_budget ON account (key_id, period, period_start) WHERE kind = 'budget';

CREATE TABLE hold (                          -- one row per request in flight; so few that its worker needs no index
    id           BLOB    PRIMARY KEY,
    account_id   INTEGER NOT NULL,
    budget_id    INTEGER,
    key_id       INTEGER NOT NULL,
    amount       INTEGER NOT NULL CHECK (amount >= 0),
    worker_id    INTEGER NOT NULL,
    price_id     INTEGER NOT NULL,
    provider     TEXT    NOT NULL,
    model        TEXT    NOT NULL,
    operation    TEXT    NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE entry (                         -- append-only: the journal of money and the record of usage
    id            BLOB    PRIMARY KEY,
    kind          TEXT    NOT NULL,          -- settle release expire correction deposit adjust limit: no CHECK, which
                                             -- would be a third of the cost of an INSERT; the auditor looks
    account_id    INTEGER NOT NULL,
    budget_id     INTEGER,
    key_id        INTEGER,
    amount        INTEGER NOT NULL,          -- what it added to `funded` of account_id
    held          INTEGER NOT NULL,          -- the hold that it ended
    actual        INTEGER NOT NULL,          -- the price of the units
    charged       INTEGER NOT NULL,          -- what it added to `spent` of account_id and budget_id
    loss          INTEGER NOT NULL,          -- what the operator carries
    price_id      INTEGER,
    variant       TEXT,                      -- service tier that the price was taken of
    units         TEXT,                      -- JSON: quantity by unit
    source        TEXT,                      -- reported | counted | estimated
    ending        TEXT,                      -- how the request ended
    status        INTEGER,
    operation     TEXT,
    provider      TEXT,
    model         TEXT,
    latency_ms    INTEGER,
    first_byte_ms INTEGER,
    attempts      INTEGER,
    upstream_id   TEXT,
    ref           BLOB,                      -- correction: the entry that it corrects
    reference     TEXT,                      -- deposit: the payment; makes it idempotent
    note          TEXT,                      -- adjust: the reason
    created_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX entry_account ON entry (account_id, id);   -- also finds a key's: a key belongs to one account
-- SQLite only
CREATE UNIQUE INDEX entry_reference ON entry (reference) WHERE reference IS NOT NULL;

CREATE TABLE rollup (                        -- sums of `entry`, written with it; hour = created_at / 3600000
    hour        INTEGER NOT NULL,
    account_id  INTEGER NOT NULL,
    key_id      INTEGER NOT NULL,
    model       TEXT    NOT NULL,
    requests    INTEGER NOT NULL,            -- answered: settle
    failed      INTEGER NOT NULL,            -- not answered: release, expire
    input       INTEGER NOT NULL,            -- tokens
    cached      INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    output      INTEGER NOT NULL,
    reasoning   INTEGER NOT NULL,
    other       INTEGER NOT NULL,            -- whatever else is metered: images, characters, seconds, calls
    actual      INTEGER NOT NULL,
    charged     INTEGER NOT NULL,
    loss        INTEGER NOT NULL,
    PRIMARY KEY (hour, account_id, key_id, model)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup_total (                  -- the same per day, for the operator's pages; day = created_at / 86400000
    day         INTEGER NOT NULL,
    model       TEXT    NOT NULL,
    provider    TEXT    NOT NULL,
    requests    INTEGER NOT NULL,
    failed      INTEGER NOT NULL,
    input       INTEGER NOT NULL,
    cached      INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    output      INTEGER NOT NULL,
    reasoning   INTEGER NOT NULL,
    other       INTEGER NOT NULL,
    actual      INTEGER NOT NULL,
    charged     INTEGER NOT NULL,
    loss        INTEGER NOT NULL,
    PRIMARY KEY (day, model, provider)
) STRICT, WITHOUT ROWID;

CREATE TABLE worker (                        -- one row per run of a worker process; ids are never used again
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL,
    started_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,             -- by the database's clock
    snapshot   TEXT                          -- JSON: its metrics
) STRICT;

CREATE TABLE closing (                       -- per sealed month (as 202511) and account: sums of entries no longer kept here
    month      INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    funded     INTEGER NOT NULL,
    spent      INTEGER NOT NULL,
    digest     BLOB    NOT NULL,             -- SHA-256 of the exported month
    PRIMARY KEY (month, account_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE price (                         -- immutable versions; the id is made of the content
    id         INTEGER PRIMARY KEY,
    body       TEXT    NOT NULL,             -- JSON
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE price_override (                -- the operator's own prices
    model      TEXT    PRIMARY KEY,
    body       TEXT    NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE key (
    id                INTEGER PRIMARY KEY,
    account_id        INTEGER NOT NULL,
    digest            BLOB    NOT NULL UNIQUE,    -- SHA-256 of the key
    prefix            TEXT    NOT NULL,           -- its first characters, to tell keys apart
    name              TEXT    NOT NULL DEFAULT '',
    status            TEXT    NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled', 'revoked')),
    models            TEXT    NOT NULL DEFAULT '[]',     -- JSON lists; empty: everything is allowed
    endpoints         TEXT    NOT NULL DEFAULT '[]',
    networks          TEXT    NOT NULL DEFAULT '[]',
    budget_limit      INTEGER CHECK (budget_limit >= 0), -- NULL: no budget
    budget_period     TEXT    NOT NULL DEFAULT 'never' CHECK (budget_period IN ('never', 'day', 'month')),
    rpm               INTEGER,
    tpm               INTEGER,
    may_query_balance INTEGER NOT NULL DEFAULT 0 CHECK (may_query_balance IN (0, 1)),
    created_at        INTEGER NOT NULL,
    last_used_at      INTEGER,
    expires_at        INTEGER
) STRICT;
CREATE INDEX key_account ON key (account_id);

CREATE TABLE pause (                         -- keys that were answered too many errors
    key_id       INTEGER PRIMARY KEY,
    level        INTEGER NOT NULL,
    until        INTEGER NOT NULL,
    triggered_at INTEGER NOT NULL
) STRICT;

CREATE TABLE strike (                        -- single errors on the way to a pause
    key_id INTEGER NOT NULL,
    at     INTEGER NOT NULL
) STRICT;
CREATE INDEX strike_key ON strike (key_id, at);

CREATE TABLE object (                        -- what a provider keeps for us, and for whom: files, stored responses
    provider   TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    account_id INTEGER NOT NULL,
    key_id     INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (provider, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX object_account ON object (account_id, kind, id);

CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE revision (                      -- grows with every edit, so that workers notice by polling one row
    name   TEXT    PRIMARY KEY,
    number INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO revision (name, number) VALUES ('identity', 0), ('price', 0);
