-- receipt_entries --
SELECT id, kind, account_id, key_id, held, actual, charged, loss, price_id, variant, units, source, ending, status,
       operation, provider, model, latency_ms, first_byte_ms, attempts, upstream_id, upstream_cost, created_at, note
  FROM entry
 WHERE id IN (@ids) AND kind IN ('settle', 'release', 'expire', 'correction')

-- receipt_hold --
SELECT id, account_id, key_id, amount, price_id, operation, provider, model, created_at FROM hold WHERE id = ?

-- receipt_price --
SELECT body FROM price WHERE id = ?
