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
SELECT a.id, a.name, a.funded, a.spent, a.held, a.credit, a.blocked, a.created_at, a.when_short,
       (SELECT count(*) FROM key k WHERE k.account_id = a.id AND k.status <> 'revoked')
FROM account a
WHERE a.kind = 'wallet'

-- spent_since --
SELECT account_id, CAST(sum(charged) AS BIGINT) FROM rollup WHERE hour >= ? AND account_id IN (@ids) GROUP BY account_id

-- users_of_accounts --
SELECT account_id, email FROM console_user WHERE account_id IN (@ids) ORDER BY id

-- user_columns --
SELECT u.id, u.email, u.role, u.account_id, u.confirmed_at, u.blocked, CASE WHEN u.totp_secret IS NULL THEN 0 ELSE 1 END,
       (SELECT count(*) FROM console_session s WHERE s.user_id = u.id AND s.factor_due = 0 AND s.expires_at > ?),
       u.created_at
FROM console_user u

-- accounts_total --
SELECT count(*), CAST(coalesce(sum(funded - spent), 0) AS BIGINT), CAST(coalesce(sum(held), 0) AS BIGINT) FROM account WHERE kind = 'wallet'

-- entry_columns --
SELECT id, kind, created_at, amount, charged, loss, provider, model, operation, ending, status, reference, note, ref
FROM entry

-- lines_by_day --
SELECT day, CAST(sum(requests) AS BIGINT), CAST(sum(failed) AS BIGINT), CAST(sum(charged) AS BIGINT),
       CAST(sum(upstream_cost) AS BIGINT),
       CAST(sum(CASE WHEN provider = 'sandbox' OR lower(model) IN (SELECT lower(model) FROM price_override) THEN 0
                     ELSE actual - costed END) AS BIGINT),
       CAST(sum(loss) AS BIGINT)
FROM rollup_total WHERE day >= ? AND day < ? GROUP BY day

-- lines_by_model --
SELECT model, CAST(sum(requests) AS BIGINT), CAST(sum(failed) AS BIGINT), CAST(sum(charged) AS BIGINT),
       CAST(sum(upstream_cost) AS BIGINT),
       CAST(sum(CASE WHEN provider = 'sandbox' OR lower(model) IN (SELECT lower(model) FROM price_override) THEN 0
                     ELSE actual - costed END) AS BIGINT),
       CAST(sum(loss) AS BIGINT)
FROM rollup_total WHERE day >= ? AND day < ? GROUP BY model

-- lines_by_provider --
SELECT provider, CAST(sum(requests) AS BIGINT), CAST(sum(failed) AS BIGINT), CAST(sum(charged) AS BIGINT),
       CAST(sum(upstream_cost) AS BIGINT),
       CAST(sum(CASE WHEN provider = 'sandbox' OR lower(model) IN (SELECT lower(model) FROM price_override) THEN 0
                     ELSE actual - costed END) AS BIGINT),
       CAST(sum(loss) AS BIGINT)
FROM rollup_total WHERE day >= ? AND day < ? GROUP BY provider

-- own_uncosted --
SELECT day, provider, model, requests, failed, input, cached, cache_write, output, reasoning, other, actual, charged, loss,
       upstream_cost, costed
FROM rollup_total
WHERE day >= ? AND day < ? AND costed < actual AND provider <> 'sandbox'
  AND lower(model) IN (SELECT lower(model) FROM price_override)

-- totals_by_model --
SELECT provider, model, CAST(sum(requests) AS BIGINT), CAST(sum(failed) AS BIGINT), CAST(sum(input) AS BIGINT),
       CAST(sum(cached) AS BIGINT), CAST(sum(cache_write) AS BIGINT), CAST(sum(output) AS BIGINT),
       CAST(sum(reasoning) AS BIGINT), CAST(sum(other) AS BIGINT), CAST(sum(actual) AS BIGINT),
       CAST(sum(charged) AS BIGINT), CAST(sum(loss) AS BIGINT), CAST(sum(upstream_cost) AS BIGINT),
       CAST(sum(costed) AS BIGINT)
FROM rollup_total WHERE day >= ? AND day < ? GROUP BY provider, model ORDER BY sum(charged) DESC, provider, model

-- recent_by_provider --
SELECT provider, created_at, kind, status, first_byte_ms, ending, charged
FROM entry WHERE id >= ? AND kind IN ('settle', 'release', 'expire') ORDER BY id DESC LIMIT ?

-- snapshots --
SELECT snapshot FROM worker WHERE snapshot IS NOT NULL AND died_at IS NULL AND seen_at >= @now_ms - ?
