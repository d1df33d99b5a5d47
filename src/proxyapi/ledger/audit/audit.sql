-- accounts --
SELECT id, kind, name, key_id, funded, spent, held, credit FROM account

-- holds --
SELECT account_id, budget_id, CAST(sum(amount) AS BIGINT), count(*) FROM hold GROUP BY account_id, budget_id

-- holds_with_an_entry --
SELECT hold.id, entry.kind FROM hold JOIN entry ON entry.id = hold.id ORDER BY hold.id LIMIT ?

-- stale_holds --
SELECT hold.id, hold.worker_id, worker.died_at, @now_ms - coalesce(worker.died_at, worker.seen_at, hold.created_at)
  FROM hold LEFT JOIN worker ON worker.id = hold.worker_id
 WHERE @now_ms - coalesce(worker.died_at, worker.seen_at, hold.created_at)
       > CASE WHEN worker.died_at IS NULL THEN CAST(? AS BIGINT) ELSE CAST(? AS BIGINT) END
 ORDER BY hold.id LIMIT ?

-- count_holds --
SELECT count(*) FROM hold

-- now --
SELECT @now_ms

-- closings --
SELECT account_id, CAST(sum(funded) AS BIGINT), CAST(sum(spent) AS BIGINT) FROM closing GROUP BY account_id

-- closings_of_month --
SELECT account_id, funded, spent FROM closing WHERE month = ? ORDER BY account_id

-- entry_sums --
SELECT account_id, budget_id, CAST(sum(amount) AS BIGINT), CAST(sum(charged) AS BIGINT), count(*)
  FROM entry GROUP BY account_id, budget_id

-- entries_between --
SELECT account_id, CAST(sum(charged) AS BIGINT) FROM entry WHERE created_at >= ? AND created_at < ? GROUP BY account_id

-- rollups_between --
SELECT account_id, CAST(sum(charged) AS BIGINT) FROM rollup WHERE hour >= ? AND hour < ? GROUP BY account_id

-- count_since --
SELECT count(*) FROM entry WHERE created_at >= ?

-- odd_entries --
SELECT id, kind, amount, held, actual, charged, loss FROM entry
 WHERE created_at >= ?
   AND (kind NOT IN ('settle', 'release', 'expire', 'correction', 'deposit', 'adjust', 'limit')
        OR (kind IN ('deposit', 'adjust', 'limit') AND (held <> 0 OR actual <> 0 OR charged <> 0 OR loss <> 0))
        OR (kind NOT IN ('deposit', 'adjust', 'limit') AND (amount <> 0 OR charged < 0 OR charged > actual))
        OR (kind = 'settle' AND (charged + loss <> actual OR charged < CASE WHEN actual < held THEN actual ELSE held END))
        OR (kind IN ('release', 'expire') AND (charged <> 0 OR actual <> 0))
        OR (kind = 'expire' AND loss <> held))
 ORDER BY id LIMIT ?

-- corrections --
SELECT c.id, c.ref, c.kind, c.actual, c.charged, c.loss, e.kind, e.loss
  FROM entry c LEFT JOIN entry e ON e.id = c.ref
 WHERE c.kind = 'correction' OR c.ref IS NOT NULL

-- untaken_references --
SELECT entry.id, entry.kind, entry.reference
  FROM entry LEFT JOIN reference ON reference.reference = entry.reference
 WHERE entry.reference IS NOT NULL
   AND (reference.entry_id IS NULL OR reference.entry_id <> entry.id
        OR reference.account_id <> entry.account_id OR reference.amount <> entry.amount)
 ORDER BY entry.id LIMIT ?

-- idle_references --
SELECT reference.reference, reference.entry_id
  FROM reference LEFT JOIN entry ON entry.id = reference.entry_id
 WHERE entry.id IS NULL AND reference.entry_id >= ?
 ORDER BY reference.reference LIMIT ?

-- prices --
SELECT id, body FROM price

-- metered_entries --
SELECT id, kind, account_id, key_id, actual, charged, loss, price_id, variant, units, model, provider,
       upstream_cost, created_at
  FROM entry
 WHERE created_at >= ? AND kind IN ('settle', 'release', 'expire', 'correction')
 ORDER BY created_at

-- rollup_differences --
SELECT hour, account_id, key_id, model, CAST(sum(requests) AS BIGINT), CAST(sum(failed) AS BIGINT),
       CAST(sum(actual) AS BIGINT), CAST(sum(charged) AS BIGINT), CAST(sum(loss) AS BIGINT)
  FROM (SELECT created_at / 3600000 AS hour, account_id, coalesce(key_id, 0) AS key_id, coalesce(model, '') AS model,
               CASE WHEN kind = 'settle' THEN 1 ELSE 0 END AS requests,
               CASE WHEN kind IN ('release', 'expire') THEN 1 ELSE 0 END AS failed, actual, charged, loss
          FROM entry
         WHERE created_at >= ? AND kind IN ('settle', 'release', 'expire', 'correction')
        UNION ALL
        SELECT hour, account_id, key_id, model, -requests, -failed, -actual, -charged, -loss
          FROM rollup WHERE hour >= ?) AS cell
 GROUP BY hour, account_id, key_id, model
HAVING sum(requests) <> 0 OR sum(failed) <> 0 OR sum(actual) <> 0 OR sum(charged) <> 0 OR sum(loss) <> 0
 ORDER BY hour, account_id, key_id, model LIMIT ?

-- total_differences --
SELECT day, model, CAST(sum(requests) AS BIGINT), CAST(sum(failed) AS BIGINT), CAST(sum(actual) AS BIGINT),
       CAST(sum(charged) AS BIGINT), CAST(sum(loss) AS BIGINT)
  FROM (SELECT hour / 24 AS day, model, requests, failed, actual, charged, loss FROM rollup
         WHERE hour / 24 < ?
        UNION ALL
        SELECT day, model, -requests, -failed, -actual, -charged, -loss FROM rollup_total WHERE day < ?) AS cell
 GROUP BY day, model
HAVING sum(requests) <> 0 OR sum(failed) <> 0 OR sum(actual) <> 0 OR sum(charged) <> 0 OR sum(loss) <> 0
 ORDER BY day, model LIMIT ?

-- count_rollups --
SELECT (SELECT count(*) FROM rollup) + (SELECT count(*) FROM rollup_total)

-- rollup_hours --
SELECT DISTINCT hour FROM rollup WHERE hour >= ? ORDER BY hour

-- rollup_days --
SELECT DISTINCT day FROM rollup_total WHERE day >= ? ORDER BY day

-- rollup --
SELECT account_id, key_id, model, requests, failed, input, cached, cache_write, output, reasoning, other, actual, charged, loss
  FROM rollup WHERE hour = ?

-- rollup_total --
SELECT model, provider, requests, failed, input, cached, cache_write, output, reasoning, other, actual, charged, loss,
       upstream_cost, costed
  FROM rollup_total WHERE day = ?

-- deposits --
SELECT reference, amount, entry_id FROM reference ORDER BY reference

-- upstream_costs --
SELECT provider, created_at / 86400000, CAST(coalesce(sum(upstream_cost), 0) AS BIGINT),
       CAST(sum(CASE WHEN upstream_cost IS NULL THEN 1 ELSE 0 END) AS BIGINT)
  FROM entry
 WHERE kind IN ('settle', 'correction') AND created_at >= ?
 GROUP BY provider, created_at / 86400000
