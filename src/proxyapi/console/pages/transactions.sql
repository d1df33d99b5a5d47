-- keys --
SELECT id, name, prefix FROM key WHERE account_id = ? ORDER BY id LIMIT 500

-- models --
SELECT DISTINCT model FROM rollup WHERE account_id = ? AND hour >= ? ORDER BY model LIMIT 500
