-- What was sold beside what it cost, per day: a report of revenue needs no estimate for it.

ALTER TABLE rollup_total ADD COLUMN upstream_cost INTEGER NOT NULL DEFAULT 0;   -- of the entries that know it
ALTER TABLE rollup_total ADD COLUMN costed INTEGER NOT NULL DEFAULT 0;          -- their part of `actual`
UPDATE rollup_total SET upstream_cost = found.upstream_cost, costed = found.costed
  FROM (SELECT created_at / 86400000 AS day, coalesce(model, '') AS model, coalesce(provider, '') AS provider,
               sum(upstream_cost) AS upstream_cost, sum(actual) AS costed
          FROM entry
         WHERE upstream_cost IS NOT NULL AND kind IN ('settle', 'release', 'expire', 'correction')
         GROUP BY 1, 2, 3) AS found
 WHERE rollup_total.day = found.day AND rollup_total.model = found.model AND rollup_total.provider = found.provider;
