-- What operators did, and the tokens that programs act with.

CREATE TABLE act (                           -- append-only: no row is ever changed or deleted
    id          INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    operator    TEXT    NOT NULL,            -- an e-mail address, `token NAME`, `command line`
    address     TEXT    NOT NULL,            -- where the request came from
    action      TEXT    NOT NULL,            -- as `account.deposit`
    subject     TEXT    NOT NULL,            -- as `account 7`
    was         TEXT,                        -- JSON, without secrets; NULL: there was nothing
    became      TEXT,
    request_key BLOB    UNIQUE               -- SHA-256 of who asked and the request's Idempotency-Key
) STRICT;
CREATE INDEX act_subject ON act (subject, id);
CREATE INDEX act_operator ON act (operator, id);

CREATE TABLE act_reply (                     -- answers to requests with an Idempotency-Key, for a day
    request_key BLOB    PRIMARY KEY,
    digest      BLOB    NOT NULL,            -- SHA-256 of the request
    status      INTEGER NOT NULL,
    body        BLOB,                        -- NULL: it showed a secret, which is not kept
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX act_reply_age ON act_reply (created_at);

CREATE TABLE operator_token (
    id           INTEGER PRIMARY KEY,
    name         TEXT    NOT NULL,
    digest       BLOB    NOT NULL UNIQUE,    -- SHA-256 of the token
    prefix       TEXT    NOT NULL,           -- its first characters, to tell tokens apart
    scope        TEXT    NOT NULL CHECK (scope IN ('read', 'write')),
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    expires_at   INTEGER,
    revoked_at   INTEGER
) STRICT;
