-- The request log: what customers asked to be kept of their requests. Times are milliseconds since 1970 UTC.

ALTER TABLE account ADD COLUMN log_days INTEGER NOT NULL DEFAULT 0 CHECK (log_days >= 0);   -- 0: nothing is kept

CREATE TABLE log_record (
    number         INTEGER PRIMARY KEY,
    id             BLOB    NOT NULL,             -- of the request, a UUIDv7: sorts by time
    account_id     INTEGER NOT NULL,
    key_id         INTEGER NOT NULL,
    method         TEXT    NOT NULL,
    path           TEXT    NOT NULL,             -- with its query, without a key
    operation      TEXT    NOT NULL,
    dialect        TEXT    NOT NULL,             -- of both bodies
    provider       TEXT    NOT NULL,             -- '': the request did not get so far
    model          TEXT    NOT NULL,             -- the same
    status         INTEGER NOT NULL,
    error          TEXT    NOT NULL,             -- code of the gateway's own refusal; '': it refused nothing
    ending         TEXT    NOT NULL,
    duration_ms    INTEGER NOT NULL,
    first_byte_ms  INTEGER NOT NULL,             -- of the provider; 0: none came
    peer           TEXT    NOT NULL,
    request_type   TEXT    NOT NULL,             -- media types
    request_bytes  INTEGER NOT NULL,             -- as it came, whatever is kept of it
    request_cut    INTEGER NOT NULL CHECK (request_cut IN (0, 1)),      -- 1: only its beginning is kept
    response_type  TEXT    NOT NULL,
    response_bytes INTEGER NOT NULL,
    response_cut   INTEGER NOT NULL CHECK (response_cut IN (0, 1)),
    bytes          INTEGER NOT NULL,             -- of what follows
    headers        TEXT    NOT NULL,             -- JSON: {"request": [[name, value], ...], "response": [...]}
    request        BLOB    NOT NULL,             -- zlib
    response       BLOB    NOT NULL              -- zlib
) STRICT;
CREATE UNIQUE INDEX log_record_id ON log_record (id);
CREATE INDEX log_record_account ON log_record (account_id, id, bytes);
