-- Sealed months: entries that were exported to a file and no longer kept here. Their sums are in `closing`.

CREATE TABLE sealed_month (                  -- oldest first, without gaps: what is older than the newest one is sealed
    month     INTEGER PRIMARY KEY,           -- as 202511; an entry belongs to the month of its created_at (UTC)
    file      TEXT    NOT NULL,              -- name of the exported file
    digest    BLOB    NOT NULL,              -- its SHA-256
    entries   INTEGER NOT NULL,              -- how many it has
    removed   INTEGER NOT NULL,              -- how many of them have left this database
    sealed_at INTEGER NOT NULL
) STRICT;
