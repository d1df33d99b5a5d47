-- movements --
SELECT id, kind, amount, reference, note, created_at FROM entry
WHERE account_id = ? AND amount <> 0 AND id < ? ORDER BY id DESC LIMIT ?

-- funded_since --
SELECT created_at, amount FROM entry WHERE account_id = ? AND amount <> 0 AND id >= ? ORDER BY id DESC LIMIT 2000
