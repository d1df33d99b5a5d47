CREATE TABLE kept (                          -- what the gateway itself remembers of translated conversations, for a while
    account_id INTEGER NOT NULL,
    id         TEXT    NOT NULL,             -- a response, a tool call, or the digest of a text
    previous   TEXT    NOT NULL,             -- the response that it goes on from; empty: none
    seen_at    INTEGER NOT NULL,
    body       TEXT    NOT NULL,             -- JSON of the canonical messages; last, as it may be long
    PRIMARY KEY (account_id, id)
) STRICT;
CREATE INDEX kept_seen ON kept (seen_at);
