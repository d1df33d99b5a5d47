-- newest --
SELECT e.id, e.kind, e.key_id, k.name, k.prefix, e.held, e.actual, e.charged, e.units, e.source, e.ending, e.status,
       e.operation, e.provider, e.model, e.latency_ms, e.first_byte_ms, e.upstream_id, e.created_at, e.ref
FROM (SELECT * FROM entry WHERE account_id = ? AND id < ? AND id >= ? ORDER BY id DESC LIMIT ?) e
LEFT JOIN key k ON k.id = e.key_id
WHERE e.kind IN ('settle', 'release', 'expire', 'correction')
  AND (CAST(? AS INTEGER) = 0 OR e.key_id = ?)
  AND (CAST(? AS TEXT) = '' OR e.model = ?)
  AND (CAST(? AS TEXT) = ''
       OR (? = 'charged' AND e.kind IN ('settle', 'correction'))
       OR (? = 'cut' AND e.kind = 'settle' AND e.ending NOT IN ('completed', 'background'))
       OR (? = 'failed' AND e.kind IN ('release', 'expire')))
ORDER BY e.id DESC LIMIT ?

-- last_looked_at --
SELECT id FROM entry WHERE account_id = ? AND id < ? AND id >= ? ORDER BY id DESC LIMIT 1 OFFSET ?

-- in_flight --
SELECT h.id, h.key_id, k.name, k.prefix, h.amount, h.operation, h.provider, h.model, h.created_at
FROM hold h LEFT JOIN key k ON k.id = h.key_id
WHERE h.account_id = ? ORDER BY h.id DESC LIMIT 50
