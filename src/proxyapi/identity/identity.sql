-- caller --
SELECT k.id, k.name, k.account_id, a.name, k.models, k.endpoints, k.networks, k.budget_limit, k.budget_period,
       k.rpm, k.tpm, k.may_query_balance, k.expires_at, p.until, p.level, p.triggered_at, a.when_short,
       a.log_days
FROM key k
JOIN account a ON a.id = k.account_id
LEFT JOIN pause p ON p.key_id = k.id
WHERE k.digest = ? AND k.status = 'active' AND a.blocked = 0

-- revisions --
SELECT name, number FROM revision

-- bump_identity --
UPDATE revision SET number = number + 1 WHERE name = 'identity'

-- bump_price --
UPDATE revision SET number = number + 1 WHERE name = 'price'

-- account_columns --
SELECT id, name, funded, spent, held, credit, blocked, created_at, when_short, log_days
FROM account WHERE kind = 'wallet'

-- account_add --
INSERT INTO account (kind, name, created_at) VALUES ('wallet', ?, ?) RETURNING id

-- account_block --
UPDATE account SET blocked = ? WHERE id = ? AND kind = 'wallet'

-- account_edit --
UPDATE account SET when_short = ? WHERE id = ? AND kind = 'wallet'

-- account_log --
UPDATE account SET log_days = ? WHERE id = ? AND kind = 'wallet'

-- key_columns --
SELECT k.id, k.account_id, a.name, k.prefix, k.status, k.created_at,
       coalesce((SELECT e.created_at FROM entry e          -- ids sort by time: the journal knows without a write of ours
                 WHERE e.account_id = k.account_id AND e.key_id = k.id AND e.kind IN ('settle', 'release', 'expire', 'correction')
                 ORDER BY e.id DESC LIMIT 1), k.last_used_at),
       k.name, k.models, k.endpoints, k.networks, k.budget_limit, k.budget_period, k.rpm, k.tpm, k.may_query_balance,
       k.expires_at
FROM key k JOIN account a ON a.id = k.account_id

-- key_add --
INSERT INTO key (account_id, digest, prefix, created_at, name, models, endpoints, networks, budget_limit, budget_period,
                 rpm, tpm, may_query_balance, expires_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id

-- key_edit --
UPDATE key SET name = ?, models = ?, endpoints = ?, networks = ?, budget_limit = ?, budget_period = ?, rpm = ?, tpm = ?,
               may_query_balance = ?, expires_at = ?
WHERE id = ?

-- key_lock --
SELECT id FROM key WHERE id = ? @for_update

-- key_renew --
UPDATE key SET digest = ?, prefix = ?, expires_at = ? WHERE id = ?

-- key_status --
UPDATE key SET status = ? WHERE id = ?

-- strike_add --
INSERT INTO strike (key_id, at) VALUES (?, ?)

-- strike_recent --
SELECT at FROM strike WHERE key_id = ? AND at > ? ORDER BY at

-- strike_clear --
DELETE FROM strike WHERE key_id = ? AND at <= ?

-- strike_clear_for_account --
DELETE FROM strike WHERE key_id IN (SELECT id FROM key WHERE account_id = ?)

-- strike_prune --
DELETE FROM strike WHERE at <= ?

-- pause_state --
SELECT level, until, triggered_at FROM pause WHERE key_id = ?

-- pause_start --
INSERT INTO pause (key_id, level, until, triggered_at) VALUES (?, ?, ?, ?)
ON CONFLICT (key_id) DO UPDATE
SET level = excluded.level, until = excluded.until, triggered_at = excluded.triggered_at
WHERE pause.triggered_at = ?
RETURNING level, until, triggered_at

-- pause_end_for_account --
UPDATE pause SET until = ? WHERE key_id IN (SELECT id FROM key WHERE account_id = ?) AND until > ?

-- object_remember --
INSERT INTO object (provider, id, account_id, key_id, kind, created_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (provider, id) DO NOTHING

-- object_owner --
SELECT provider, account_id, key_id, kind FROM object WHERE id = ? AND provider = ?

-- object_owner_anywhere --
WITH RECURSIVE known (name) AS (             -- jumps from provider to provider in the primary key
    SELECT min(provider) FROM object
    UNION ALL
    SELECT (SELECT min(provider) FROM object WHERE provider > known.name) FROM known WHERE known.name IS NOT NULL
)
SELECT provider, account_id, key_id, kind FROM object
WHERE id = ? AND provider IN (SELECT name FROM known)
ORDER BY created_at, provider

-- object_forget --
DELETE FROM object WHERE provider = ? AND id = ?

-- setting --
SELECT value FROM setting WHERE name = ?

-- setting_begin --
INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING

-- setting_lock --
SELECT value FROM setting WHERE name = ? @for_update

-- setting_put --
INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- setting_drop --
DELETE FROM setting WHERE name = ?

-- settings_stored --
SELECT name, value FROM setting WHERE name IN ('exchange_rate', 'markup') OR name LIKE 'provider.%'

-- money_exists --
SELECT EXISTS (SELECT 1 FROM entry) OR EXISTS (SELECT 1 FROM hold) OR EXISTS (SELECT 1 FROM closing)

-- price_put --
INSERT INTO price_override (model, body, updated_at) VALUES (?, ?, ?)
ON CONFLICT (model) DO UPDATE SET body = excluded.body, updated_at = excluded.updated_at

-- price_drop --
DELETE FROM price_override WHERE model = ? RETURNING model

-- prices --
SELECT model, body FROM price_override ORDER BY model
