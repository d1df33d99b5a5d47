ALTER TABLE account ADD COLUMN when_short TEXT NOT NULL DEFAULT 'refuse' CHECK (when_short IN ('refuse', 'shorten'));
ALTER TABLE entry ADD COLUMN upstream_cost INTEGER;   -- nanos that the operator pays for it; NULL: not known
