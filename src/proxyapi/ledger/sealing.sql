-- sealed_months --
SELECT month, file, digest, entries, removed FROM sealed_month ORDER BY month

-- now --
SELECT @now_ms

-- oldest_since --
SELECT min(created_at) FROM entry WHERE created_at >= ?

-- find_older_hold --
SELECT id FROM hold WHERE id < ? ORDER BY id LIMIT 1

-- count_between --
SELECT count(*) FROM entry WHERE created_at >= ? AND created_at < ?

-- begin_month --
INSERT INTO sealed_month (month, file, digest, entries, removed, sealed_at) VALUES (?, ?, ?, ?, 0, ?)

-- remove_entries --
DELETE FROM entry WHERE id IN (@ids) RETURNING id, account_id, budget_id, amount, charged

-- add_closing --
INSERT INTO closing (month, account_id, funded, spent, digest) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (month, account_id) DO UPDATE SET
    funded = closing.funded + excluded.funded, spent = closing.spent + excluded.spent

-- count_removed --
UPDATE sealed_month SET removed = removed + ? WHERE month = ?
