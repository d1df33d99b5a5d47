-- by_day --
SELECT strftime('%Y-%m-%d', hour * 3600, 'unixepoch') AS name,
       sum(requests), sum(failed), sum(input), sum(cached), sum(cache_write), sum(output), sum(reasoning), sum(other),
       sum(actual), sum(charged), sum(loss)
  FROM rollup WHERE (?1 IS NULL OR account_id = ?1) AND hour >= ?2
 GROUP BY 1 ORDER BY 1

-- by_model --
SELECT model AS name,
       sum(requests), sum(failed), sum(input), sum(cached), sum(cache_write), sum(output), sum(reasoning), sum(other),
       sum(actual), sum(charged), sum(loss)
  FROM rollup WHERE (?1 IS NULL OR account_id = ?1) AND hour >= ?2
 GROUP BY 1 ORDER BY sum(charged) DESC, 1

-- by_key --
SELECT key_id AS name,
       sum(requests), sum(failed), sum(input), sum(cached), sum(cache_write), sum(output), sum(reasoning), sum(other),
       sum(actual), sum(charged), sum(loss)
  FROM rollup WHERE (?1 IS NULL OR account_id = ?1) AND hour >= ?2
 GROUP BY 1 ORDER BY sum(charged) DESC, 1
