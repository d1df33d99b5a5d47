-- days --
SELECT log_days FROM account WHERE id = ?

-- keys --
SELECT id, name, prefix FROM key WHERE account_id = ? ORDER BY id

-- charges --
SELECT id, charged FROM entry WHERE account_id = ? AND id IN (@ids)
