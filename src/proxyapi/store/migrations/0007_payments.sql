-- How money comes in and goes back. What it changes on an account is in `entry`; here is how it got there.

CREATE TABLE payment (
    id          BLOB    PRIMARY KEY,         -- UUIDv7; also the idempotence key of its creation at the provider
    account_id  INTEGER NOT NULL,
    provider    TEXT    NOT NULL,            -- yookassa, voucher
    provider_id TEXT,                        -- NULL until the provider has answered
    state       TEXT    NOT NULL CHECK (state IN ('new', 'pending', 'waiting', 'succeeded', 'canceled', 'failed')),
    currency    TEXT    NOT NULL,
    amount      INTEGER NOT NULL CHECK (amount > 0),             -- what was asked for
    paid        INTEGER NOT NULL DEFAULT 0 CHECK (paid >= 0),    -- what came, and was deposited
    refunded    INTEGER NOT NULL DEFAULT 0 CHECK (refunded >= 0 AND refunded <= paid),
    link        TEXT    NOT NULL DEFAULT '', -- where the customer pays
    reason      TEXT    NOT NULL DEFAULT '', -- why it was canceled or has failed
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    next_at     INTEGER NOT NULL             -- when the provider is asked again
) STRICT;
CREATE UNIQUE INDEX payment_provider ON payment (provider, provider_id) WHERE provider_id IS NOT NULL;
CREATE INDEX payment_account ON payment (account_id, id);
CREATE INDEX payment_open ON payment (next_at) WHERE state IN ('new', 'pending', 'waiting');

CREATE TABLE refund (                        -- money on its way back to a customer
    id          BLOB    PRIMARY KEY,         -- UUIDv7; also the idempotence key of its creation at the provider
    payment_id  BLOB    NOT NULL,
    provider_id TEXT,
    state       TEXT    NOT NULL CHECK (state IN ('new', 'pending', 'succeeded', 'canceled')),
    amount      INTEGER NOT NULL CHECK (amount > 0),
    taken       INTEGER NOT NULL CHECK (taken >= 0 AND taken <= amount),  -- from the account; the rest was spent already
    reason      TEXT    NOT NULL DEFAULT '',
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    next_at     INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX refund_provider ON refund (provider_id) WHERE provider_id IS NOT NULL;
CREATE INDEX refund_payment ON refund (payment_id, id);
CREATE INDEX refund_open ON refund (next_at) WHERE state IN ('new', 'pending');

CREATE TABLE voucher_batch (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL,
    amount     INTEGER NOT NULL CHECK (amount > 0),              -- of each code
    number     INTEGER NOT NULL CHECK (number > 0),              -- of codes
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE voucher (                       -- a code pays once
    id          INTEGER PRIMARY KEY,
    batch_id    INTEGER NOT NULL,
    digest      BLOB    NOT NULL UNIQUE,     -- SHA-256 of the code
    account_id  INTEGER,                     -- whom it paid
    redeemed_at INTEGER
) STRICT;
CREATE INDEX voucher_of_batch ON voucher (batch_id, id);
