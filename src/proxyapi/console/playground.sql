-- key --
SELECT p.key_id FROM playground_key p JOIN key k ON k.id = p.key_id WHERE p.account_id = ? AND k.status <> 'revoked'

-- key_put --
INSERT INTO playground_key (account_id, key_id) VALUES (?, ?)
ON CONFLICT (account_id) DO UPDATE SET key_id = excluded.key_id
