-- models --
SELECT DISTINCT model FROM rollup WHERE account_id = ? AND hour >= ? ORDER BY model LIMIT 500
