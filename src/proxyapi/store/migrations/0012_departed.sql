-- A worker whose end was seen by the supervisor beside it, or that left by itself: nobody need wait until it is missed.

ALTER TABLE worker ADD COLUMN died_at INTEGER;   -- by the database's clock; NULL: it lives, as far as anybody has said
