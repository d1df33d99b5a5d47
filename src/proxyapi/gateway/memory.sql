-- thoughts --
SELECT key, value, used_at FROM thought WHERE account_id = ? AND key IN (@ids)

-- thought_put --
INSERT INTO thought (account_id, key, value, used_at) VALUES (?, ?, ?, ?)
ON CONFLICT (account_id, key) DO UPDATE SET value = excluded.value, used_at = excluded.used_at

-- thought_touch --
UPDATE thought SET used_at = ? WHERE account_id = ? AND key = ?

-- thought_trim --
DELETE FROM thought
WHERE account_id = ?
  AND used_at < (SELECT used_at FROM thought WHERE account_id = ? ORDER BY used_at DESC LIMIT 1 OFFSET ?)

-- thought_prune --
DELETE FROM thought
WHERE id IN (SELECT id FROM thought WHERE used_at <= ? ORDER BY used_at LIMIT ?)
