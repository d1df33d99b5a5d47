-- days --
SELECT log_days FROM account WHERE id = ?

-- keys --
SELECT id, name, prefix FROM key WHERE account_id = ? ORDER BY id

-- kept --
SELECT 1 FROM log_record WHERE account_id = ? AND id = ?

-- charges --
SELECT id, charged FROM entry WHERE account_id = ? AND id IN (@ids)
