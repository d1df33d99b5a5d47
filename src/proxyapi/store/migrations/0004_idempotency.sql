-- Idempotency-Key: who has a key, and what was answered. Contents of customers: pruned by age and size.

CREATE TABLE claim (                         -- made in the transaction of the hold, so its id is in `hold` or in `entry`
    number      INTEGER PRIMARY KEY,
    account_id  INTEGER NOT NULL,
    key         BLOB    NOT NULL,            -- SHA-256 of the header's value
    id          BLOB    NOT NULL,            -- of the request that has the key: of its hold, entry and pieces
    request     BLOB    NOT NULL,            -- SHA-256 of method, path and body
    streams     INTEGER NOT NULL,            -- 1: its answer can be followed while it is made
    charged     INTEGER NOT NULL,            -- 1: paid for, set in the transaction of the settlement
    answer      TEXT    NOT NULL,            -- made | kept | lost
    status      INTEGER NOT NULL,            -- of the answer; 0: not begun
    headers     BLOB    NOT NULL,            -- header lines of the answer
    counted     INTEGER NOT NULL,            -- 1: its length is in the header
    whole       INTEGER NOT NULL,            -- 0: it was cut
    pieces      INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    followed_at INTEGER NOT NULL,            -- when somebody last waited for more of it
    created_at  INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX claim_key ON claim (account_id, key);
CREATE INDEX claim_kept ON claim (account_id, created_at, bytes) WHERE answer = 'kept';
CREATE INDEX claim_age ON claim (created_at);

CREATE TABLE claim_piece (                   -- the bytes of an answer, in order
    number INTEGER PRIMARY KEY,
    id     BLOB    NOT NULL,                 -- the request's; begins with its time
    place  INTEGER NOT NULL,
    data   BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX claim_piece_place ON claim_piece (id, place);
