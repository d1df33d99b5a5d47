-- by_model --
SELECT (hour + CAST(? AS INTEGER)) / CAST(? AS INTEGER), model, sum(charged), sum(requests), sum(failed), sum(input),
       sum(cached), sum(cache_write), sum(output), sum(reasoning), sum(other)
FROM rollup
WHERE account_id = ? AND hour >= ? AND hour < ? AND (CAST(? AS INTEGER) = 0 OR key_id = ?)
GROUP BY 1, 2

-- by_key --
SELECT (hour + CAST(? AS INTEGER)) / CAST(? AS INTEGER), key_id, sum(charged), sum(requests), sum(failed), sum(input),
       sum(cached), sum(cache_write), sum(output), sum(reasoning), sum(other)
FROM rollup
WHERE account_id = ? AND hour >= ? AND hour < ? AND (CAST(? AS INTEGER) = 0 OR key_id = ?)
GROUP BY 1, 2

-- by_operation --
SELECT operation, sum(charged), sum(CASE WHEN kind = 'settle' THEN 1 ELSE 0 END),
       sum(CASE WHEN kind = 'settle' THEN 0 ELSE 1 END), count(*), min(created_at)
FROM (SELECT operation, charged, kind, key_id, created_at FROM entry
      WHERE account_id = ? AND id >= ? AND id < ? AND kind IN ('settle', 'release', 'expire', 'correction')
      ORDER BY id DESC LIMIT ?) newest
WHERE CAST(? AS INTEGER) = 0 OR key_id = ?
GROUP BY operation

-- total --
SELECT coalesce(sum(charged), 0), coalesce(sum(requests), 0), coalesce(sum(failed), 0)
FROM rollup WHERE account_id = ? AND hour >= ? AND hour < ?

-- held --
SELECT count(*) FROM hold WHERE account_id = ?
