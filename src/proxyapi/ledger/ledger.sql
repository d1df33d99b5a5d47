-- read_holds --
SELECT id, account_id, budget_id, key_id, amount FROM hold WHERE id IN (@ids)

-- read_lost_holds --
SELECT id, account_id, budget_id, key_id, amount, price_id, provider, model, operation FROM hold
 WHERE id IN (@ids)
   AND worker_id NOT IN (SELECT id FROM worker
                          WHERE died_at IS NULL AND seen_at >= @now_ms - ?)

-- delete_holds --
DELETE FROM hold WHERE id IN (@ids)

-- read_done --
SELECT id, kind, account_id, budget_id, key_id, charged, loss FROM entry WHERE id IN (@ids)

-- find_used --
SELECT entry.id
  FROM (SELECT id FROM entry WHERE id >= ? ORDER BY id LIMIT 1) AS newer -- ids begin with their time: mostly none is
 CROSS JOIN entry
 WHERE entry.id IN (@ids)

-- read_references --
SELECT reference, account_id, amount FROM reference WHERE reference IN (@ids)

-- read_accounts --
SELECT id, funded, spent, held, credit, blocked FROM account WHERE id IN (@ids) ORDER BY id @for_update

-- find_budgets_among --
SELECT id FROM account WHERE id IN (@ids) AND kind = 'budget'

-- find_budgets --
SELECT key_id, id FROM account WHERE kind = 'budget' AND key_id IN (@ids) AND period = ? AND period_start = ?

-- read_key_limits --
SELECT id, budget_limit FROM key WHERE id IN (@ids) AND budget_limit IS NOT NULL ORDER BY id @for_share

-- open_budgets --
INSERT INTO account (kind, key_id, period, period_start, funded, created_at) VALUES ('budget', ?, ?, ?, ?, ?)
ON CONFLICT (key_id, period, period_start) WHERE kind = 'budget' DO NOTHING
RETURNING id, key_id, period, period_start, funded

-- change_account --
UPDATE account SET funded = funded + ?, spent = spent + ?, held = held + ? WHERE id = ?

-- change_known_account --
UPDATE account SET funded = funded + ?, spent = spent + ?, held = held + ?
 WHERE id = ? AND funded = ? AND spent = ? AND held = ? AND credit = ? AND blocked = ?

-- insert_hold --
INSERT INTO hold (id, account_id, budget_id, key_id, amount, price_id, provider, model, operation, worker_id, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- insert_entry --
INSERT INTO entry (id, kind, account_id, budget_id, key_id, held, actual, charged, loss, price_id, variant, units, source,
                   ending, status, operation, provider, model, latency_ms, first_byte_ms, attempts, upstream_id,
                   upstream_cost, created_at, amount, ref, reference, note)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- insert_reference --
INSERT INTO reference (reference, entry_id, account_id, amount) VALUES (?, ?, ?, ?)

-- add_rollup --
INSERT INTO rollup (hour, account_id, key_id, model, requests, failed, input, cached, cache_write, output, reasoning, other,
                    actual, charged, loss)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (hour, account_id, key_id, model) DO UPDATE SET
    requests = rollup.requests + excluded.requests, failed = rollup.failed + excluded.failed,
    input = rollup.input + excluded.input, cached = rollup.cached + excluded.cached,
    cache_write = rollup.cache_write + excluded.cache_write, output = rollup.output + excluded.output,
    reasoning = rollup.reasoning + excluded.reasoning, other = rollup.other + excluded.other,
    actual = rollup.actual + excluded.actual, charged = rollup.charged + excluded.charged,
    loss = rollup.loss + excluded.loss

-- add_rollup_total --
INSERT INTO rollup_total (day, model, provider, requests, failed, input, cached, cache_write, output, reasoning, other,
                          actual, charged, loss, upstream_cost, costed)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (day, model, provider) DO UPDATE SET
    requests = rollup_total.requests + excluded.requests, failed = rollup_total.failed + excluded.failed,
    input = rollup_total.input + excluded.input, cached = rollup_total.cached + excluded.cached,
    cache_write = rollup_total.cache_write + excluded.cache_write, output = rollup_total.output + excluded.output,
    reasoning = rollup_total.reasoning + excluded.reasoning, other = rollup_total.other + excluded.other,
    actual = rollup_total.actual + excluded.actual, charged = rollup_total.charged + excluded.charged,
    loss = rollup_total.loss + excluded.loss,
    upstream_cost = rollup_total.upstream_cost + excluded.upstream_cost, costed = rollup_total.costed + excluded.costed

-- insert_ending --
INSERT INTO entry (id, kind, account_id, budget_id, key_id, held, actual, charged, loss, price_id, variant, units, source,
                   ending, status, operation, provider, model, latency_ms, first_byte_ms, attempts, upstream_id,
                   upstream_cost, created_at, amount)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)

-- insert_price --
INSERT INTO price (id, body, created_at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING

-- insert_worker --
INSERT INTO worker (name, started_at, seen_at)
SELECT ?, clock.now, clock.now FROM (SELECT @now_ms AS now) AS clock
 WHERE NOT EXISTS (SELECT 1 FROM setting WHERE name = 'moved_to')
RETURNING id

-- touch_worker --
UPDATE worker SET seen_at = @now_ms, snapshot = coalesce(?, snapshot)
 WHERE id = ? AND died_at IS NULL RETURNING seen_at

-- leave_worker --
DELETE FROM worker WHERE id = ? AND NOT EXISTS (SELECT 1 FROM hold WHERE worker_id = worker.id)

-- mark_left --
UPDATE worker SET died_at = @now_ms WHERE id = ?

-- mark_dead --
UPDATE worker SET died_at = @now_ms WHERE name = ? AND died_at IS NULL

-- claim_reaping --
INSERT INTO setting (name, value)
SELECT 'reaping_until', CAST(@now_ms + ? AS TEXT) WHERE true
ON CONFLICT (name) DO UPDATE SET value = excluded.value
 WHERE CAST(setting.value AS INTEGER) <= @now_ms
RETURNING name

-- find_lost_holds --
SELECT id FROM hold
 WHERE worker_id NOT IN (SELECT id FROM worker
                          WHERE died_at IS NULL AND seen_at >= @now_ms - ?)
 ORDER BY id LIMIT ?

-- delete_lost_workers --
DELETE FROM worker
 WHERE seen_at < @now_ms - ?
   AND NOT EXISTS (SELECT 1 FROM hold WHERE worker_id = worker.id)

-- read_balance --
SELECT funded, spent, held, credit, blocked FROM account WHERE id = ?

-- read_budget --
SELECT funded, spent, held, credit, blocked FROM account
 WHERE kind = 'budget' AND key_id = ? AND period = ? AND period_start = ?

-- read_snapshots --
SELECT snapshot FROM worker
 WHERE id <> ? AND snapshot IS NOT NULL AND died_at IS NULL
   AND seen_at >= @now_ms - ?
