-- What clients leave out and the gateway puts back. Contents: pruned by age, number and size.

CREATE TABLE thought (                       -- reasoning states of replies to clients that echo standard fields only
    id         INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    key        BLOB    NOT NULL,             -- SHA-256 of a call's id, or of an answer and the question before it
    value      BLOB    NOT NULL,             -- MessagePack
    used_at    INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX thought_key ON thought (account_id, key);
CREATE INDEX thought_used ON thought (account_id, used_at);
CREATE INDEX thought_age ON thought (used_at);

CREATE TABLE response (                      -- replies of providers that keep none, for `previous_response_id`
    number      INTEGER PRIMARY KEY,
    account_id  INTEGER NOT NULL,
    id          TEXT    NOT NULL,
    previous_id TEXT,
    bytes       INTEGER NOT NULL,            -- of input and body
    used_at     INTEGER NOT NULL,
    input       BLOB    NOT NULL,            -- JSON list: the items that the request itself had
    body        BLOB    NOT NULL             -- JSON object: the response as the client got it
) STRICT;
CREATE UNIQUE INDEX response_id ON response (account_id, id);
CREATE INDEX response_used ON response (account_id, used_at, bytes);
CREATE INDEX response_age ON response (used_at);

CREATE TABLE response_item (                 -- where an item of an output is, for `item_reference`
    account_id  INTEGER NOT NULL,
    id          TEXT    NOT NULL,
    response_id TEXT    NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX response_item_response ON response_item (account_id, response_id);
