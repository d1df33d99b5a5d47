-- act_add --
INSERT INTO act (at, operator, address, action, subject, was, became, request_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id

-- act_columns --
SELECT id, at, operator, address, action, subject, was, became FROM act

-- act_of_request --
SELECT id FROM act WHERE request_key = ?

-- reply_add --
INSERT INTO act_reply (request_key, digest, status, body, created_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT (request_key) DO NOTHING

-- reply --
SELECT digest, status, body FROM act_reply WHERE request_key = ?

-- replies_prune --
DELETE FROM act_reply WHERE created_at < ?

-- token_add --
INSERT INTO operator_token (name, digest, prefix, scope, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?) RETURNING id

-- token_columns --
SELECT id, name, prefix, scope, created_at, last_used_at, expires_at, revoked_at FROM operator_token

-- token_used --
UPDATE operator_token SET last_used_at = ? WHERE id = ?

-- token_revoke --
UPDATE operator_token SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL RETURNING id

-- account_columns --
SELECT a.id, a.name, a.funded, a.spent, a.held, a.credit, a.blocked, a.created_at,
       (SELECT count(*) FROM key k WHERE k.account_id = a.id AND k.status <> 'revoked')
FROM account a
WHERE a.kind = 'wallet'

-- spent_since --
SELECT account_id, sum(charged) FROM rollup WHERE hour >= ? AND account_id IN (@ids) GROUP BY account_id

-- users_of_accounts --
SELECT account_id, email FROM console_user WHERE account_id IN (@ids) ORDER BY id

-- accounts_total --
SELECT count(*), coalesce(sum(funded - spent), 0), coalesce(sum(held), 0) FROM account WHERE kind = 'wallet'

-- entry_columns --
SELECT id, kind, created_at, amount, charged, loss, provider, model, operation, ending, status, reference, note
FROM entry

-- totals_by_model --
SELECT provider, model, sum(requests), sum(failed), sum(input), sum(cached), sum(cache_write), sum(output), sum(reasoning),
       sum(other), sum(actual), sum(charged), sum(loss), sum(upstream_cost), sum(costed)
FROM rollup_total WHERE day >= ? AND day < ? GROUP BY provider, model ORDER BY sum(charged) DESC, provider, model

-- totals_by_model_and_day --
SELECT day, provider, model, sum(requests), sum(failed), sum(input), sum(cached), sum(cache_write), sum(output),
       sum(reasoning), sum(other), sum(actual), sum(charged), sum(loss), sum(upstream_cost), sum(costed)
FROM rollup_total WHERE day >= ? AND day < ? GROUP BY day, provider, model

-- recent_by_provider --
SELECT provider, created_at, kind, status, first_byte_ms, ending, charged
FROM entry WHERE id >= ? AND kind IN ('settle', 'release', 'expire') ORDER BY id DESC LIMIT ?

-- snapshots --
SELECT snapshot FROM worker WHERE snapshot IS NOT NULL AND died_at IS NULL AND seen_at >= @now_ms - ?
