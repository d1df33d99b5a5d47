-- keys --
SELECT k.id, k.prefix, k.status, k.created_at, k.name, k.models, k.endpoints, k.networks, k.budget_limit, k.budget_period,
       k.rpm, k.tpm, k.may_query_balance, k.expires_at, coalesce(b.spent, 0), coalesce(b.held, 0), p.until,
       (SELECT max(r.hour) FROM rollup r WHERE r.account_id = k.account_id AND r.key_id = k.id),
       (SELECT coalesce(sum(r.charged), 0) FROM rollup r
        WHERE r.account_id = k.account_id AND r.key_id = k.id AND r.hour >= ?)
FROM key k
LEFT JOIN account b ON b.kind = 'budget' AND b.key_id = k.id AND b.period = k.budget_period
    AND b.period_start = CASE k.budget_period WHEN 'day' THEN CAST(? AS INTEGER) WHEN 'month' THEN CAST(? AS INTEGER)
                                              ELSE 0 END
LEFT JOIN pause p ON p.key_id = k.id
WHERE k.account_id = ? AND (CAST(? AS INTEGER) = 0 OR k.id = ?)
  AND NOT EXISTS (SELECT 1 FROM playground_key g WHERE g.key_id = k.id)
ORDER BY CASE k.status WHEN 'revoked' THEN 1 ELSE 0 END, k.id DESC
LIMIT 500

-- choices --
SELECT id, name, prefix FROM key WHERE account_id = ? ORDER BY id LIMIT 500
