-- by_model --
SELECT (hour + CAST(? AS INTEGER)) / CAST(? AS INTEGER), model, CAST(sum(charged) AS BIGINT),
       CAST(sum(requests) AS BIGINT), CAST(sum(failed) AS BIGINT), CAST(sum(input) AS BIGINT), CAST(sum(cached) AS BIGINT),
       CAST(sum(cache_write) AS BIGINT), CAST(sum(output) AS BIGINT), CAST(sum(reasoning) AS BIGINT),
       CAST(sum(other) AS BIGINT)
FROM rollup
WHERE account_id = ? AND hour >= ? AND hour < ? AND (CAST(? AS INTEGER) = 0 OR key_id = ?)
GROUP BY 1, 2

-- by_key --
SELECT (hour + CAST(? AS INTEGER)) / CAST(? AS INTEGER), key_id, CAST(sum(charged) AS BIGINT),
       CAST(sum(requests) AS BIGINT), CAST(sum(failed) AS BIGINT), CAST(sum(input) AS BIGINT), CAST(sum(cached) AS BIGINT),
       CAST(sum(cache_write) AS BIGINT), CAST(sum(output) AS BIGINT), CAST(sum(reasoning) AS BIGINT),
       CAST(sum(other) AS BIGINT)
FROM rollup
WHERE account_id = ? AND hour >= ? AND hour < ? AND (CAST(? AS INTEGER) = 0 OR key_id = ?)
GROUP BY 1, 2

-- by_operation --
SELECT operation, CAST(sum(charged) AS BIGINT), sum(CASE WHEN kind = 'settle' THEN 1 ELSE 0 END),
       sum(CASE WHEN kind = 'settle' THEN 0 ELSE 1 END), count(*), min(created_at)
FROM (SELECT operation, charged, kind, key_id, created_at FROM entry
      WHERE account_id = ? AND id >= ? AND id < ? AND kind IN ('settle', 'release', 'expire', 'correction')
      ORDER BY id DESC LIMIT ?) newest
WHERE CAST(? AS INTEGER) = 0 OR key_id = ?
GROUP BY operation

-- total --
SELECT CAST(coalesce(sum(charged), 0) AS BIGINT), CAST(coalesce(sum(requests), 0) AS BIGINT), CAST(coalesce(sum(failed), 0) AS BIGINT)
FROM rollup WHERE account_id = ? AND hour >= ? AND hour < ?

-- held --
SELECT count(*) FROM hold WHERE account_id = ?
