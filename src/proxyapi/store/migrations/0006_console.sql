-- People who use the console. Times are milliseconds since 1970 UTC; tokens and codes are kept as SHA-256 only.

CREATE TABLE console_user (
    id           INTEGER PRIMARY KEY,
    email        TEXT    NOT NULL UNIQUE,        -- lower case
    password     TEXT    NOT NULL,               -- argon2id, with its parameters
    role         TEXT    NOT NULL CHECK (role IN ('customer', 'operator')),
    account_id   INTEGER,                        -- the wallet; NULL until the address is confirmed
    confirmed_at INTEGER,
    blocked      INTEGER NOT NULL DEFAULT 0 CHECK (blocked IN (0, 1)),
    language     TEXT    NOT NULL DEFAULT '',    -- '': what the browser asks for
    time_zone    TEXT    NOT NULL DEFAULT '',    -- '': the installation's
    theme        TEXT    NOT NULL DEFAULT '' CHECK (theme IN ('', 'light', 'dark')),
    totp_secret  BLOB,                           -- NULL: no second factor
    totp_step    INTEGER NOT NULL DEFAULT 0,     -- of the last code that was accepted: each works once
    created_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX console_user_account ON console_user (account_id);

CREATE TABLE console_session (
    id         INTEGER PRIMARY KEY,              -- what the list of sessions names
    digest     BLOB    NOT NULL UNIQUE,          -- of the token in the cookie
    user_id    INTEGER NOT NULL,
    factor_due INTEGER NOT NULL CHECK (factor_due IN (0, 1)), -- 1: the password was right, the code is still missing
    kept       INTEGER NOT NULL CHECK (kept IN (0, 1)),       -- 1: beyond the end of the browser's session
    agent      TEXT    NOT NULL,
    address    TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX console_session_user ON console_session (user_id, id);
CREATE INDEX console_session_expiry ON console_session (expires_at);

CREATE TABLE console_ticket (                    -- links that were sent by e-mail; each works once
    digest     BLOB    PRIMARY KEY,
    user_id    INTEGER NOT NULL,
    purpose    TEXT    NOT NULL CHECK (purpose IN ('confirm', 'reset')),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX console_ticket_user ON console_ticket (user_id, purpose);
CREATE INDEX console_ticket_expiry ON console_ticket (expires_at);

CREATE TABLE console_attempt (                   -- sign-ins and the like, counted per window of time
    subject BLOB    PRIMARY KEY,                 -- SHA-256 of what is limited: an address, an account
    until   INTEGER NOT NULL,                    -- the end of the window
    count   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX console_attempt_until ON console_attempt (until);

CREATE TABLE recovery_code (                     -- instead of a code of the second factor, once
    user_id INTEGER NOT NULL,
    digest  BLOB    NOT NULL,
    PRIMARY KEY (user_id, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE balance_alert (
    account_id INTEGER PRIMARY KEY,
    threshold  INTEGER NOT NULL CHECK (threshold >= 0),       -- nanos
    email      TEXT    NOT NULL,                 -- '': none
    webhook    TEXT    NOT NULL,                 -- '': none
    secret     BLOB    NOT NULL,                 -- signs what the webhook gets
    language   TEXT    NOT NULL,
    armed      INTEGER NOT NULL CHECK (armed IN (0, 1)),      -- 0: told; armed again above the threshold
    told_at    INTEGER
) STRICT;

CREATE TABLE playground_key (                    -- the one key of an account with which the console calls for its owner
    account_id INTEGER PRIMARY KEY,
    key_id     INTEGER NOT NULL
) STRICT;

CREATE INDEX rollup_account ON rollup (account_id, hour);             -- a customer's charts
CREATE INDEX rollup_key ON rollup (account_id, key_id, hour);         -- when a key was used last
CREATE INDEX entry_funding ON entry (account_id, id) WHERE amount <> 0;   -- deposits among a million requests
