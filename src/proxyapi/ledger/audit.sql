-- accounts --
SELECT id, kind, name, key_id, funded, spent, held, credit FROM account

-- closings --
SELECT account_id, sum(funded), sum(spent) FROM closing GROUP BY account_id

-- holds --
SELECT id, account_id, budget_id, amount FROM hold

-- holds_with_an_entry --
SELECT hold.id, entry.kind FROM hold JOIN entry ON entry.id = hold.id

-- corrections --
SELECT c.id, c.ref, c.kind, c.actual, c.charged, c.loss, e.kind, e.loss
  FROM entry c LEFT JOIN entry e ON e.id = c.ref
 WHERE c.kind = 'correction' OR c.ref IS NOT NULL

-- entries --
SELECT id, kind, account_id, budget_id, key_id, amount, held, actual, charged, loss, price_id, variant, units, model, provider,
       created_at
  FROM entry

-- prices --
SELECT id, body FROM price

-- rollup --
SELECT hour, account_id, key_id, model, requests, failed, input, cached, cache_write, output, reasoning, other, actual, charged,
       loss
  FROM rollup

-- rollup_total --
SELECT day, model, provider, requests, failed, input, cached, cache_write, output, reasoning, other, actual, charged, loss
  FROM rollup_total

-- stale_holds --
SELECT hold.id, hold.worker_id, @now_ms - coalesce(worker.seen_at, hold.created_at)
  FROM hold LEFT JOIN worker ON worker.id = hold.worker_id
 WHERE @now_ms - coalesce(worker.seen_at, hold.created_at) > ?
