-- by_day --
SELECT hour / 24 AS name,
       sum(requests), sum(failed), sum(input), sum(cached), sum(cache_write), sum(output), sum(reasoning), sum(other),
       sum(actual), sum(charged), sum(loss)
  FROM rollup WHERE (CAST(? AS INTEGER) IS NULL OR account_id = ?) AND hour >= ?
 GROUP BY 1 ORDER BY 1

-- by_model --
SELECT model AS name,
       sum(requests), sum(failed), sum(input), sum(cached), sum(cache_write), sum(output), sum(reasoning), sum(other),
       sum(actual), sum(charged), sum(loss)
  FROM rollup WHERE (CAST(? AS INTEGER) IS NULL OR account_id = ?) AND hour >= ?
 GROUP BY 1 ORDER BY sum(charged) DESC, 1

-- by_key --
SELECT key_id AS name,
       sum(requests), sum(failed), sum(input), sum(cached), sum(cache_write), sum(output), sum(reasoning), sum(other),
       sum(actual), sum(charged), sum(loss)
  FROM rollup WHERE (CAST(? AS INTEGER) IS NULL OR account_id = ?) AND hour >= ?
 GROUP BY 1 ORDER BY sum(charged) DESC, 1
