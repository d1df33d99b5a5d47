-- response_put --
INSERT INTO response (account_id, id, previous_id, bytes, used_at, input, body) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (account_id, id) DO NOTHING

-- item_put --
INSERT INTO response_item (account_id, id, response_id) VALUES (?, ?, ?)
ON CONFLICT (account_id, id) DO NOTHING

-- response_chain --
WITH RECURSIVE chain (id, previous_id, depth, total) AS (
    SELECT id, previous_id, 1, bytes FROM response WHERE account_id = ? AND id = ?
    UNION ALL
    SELECT earlier.id, earlier.previous_id, chain.depth + 1, chain.total + earlier.bytes
    FROM chain JOIN response AS earlier ON earlier.account_id = ? AND earlier.id = chain.previous_id
    WHERE chain.depth < ? AND chain.total + earlier.bytes <= ?
)
SELECT response.id, response.previous_id, response.used_at, response.input, response.body
FROM chain JOIN response ON response.account_id = ? AND response.id = chain.id
ORDER BY chain.depth DESC

-- response_body --
SELECT body FROM response WHERE account_id = ? AND id = ?

-- responses_of_items --
SELECT response_item.id, response.body
FROM response_item JOIN response
  ON response.account_id = response_item.account_id AND response.id = response_item.response_id
WHERE response_item.account_id = ? AND response_item.id IN (@ids)

-- response_touch --
UPDATE response SET used_at = ? WHERE account_id = ? AND id = ?

-- response_delete --
DELETE FROM response WHERE account_id = ? AND id = ? RETURNING id

-- items_delete --
DELETE FROM response_item WHERE account_id = ? AND response_id = ?

-- response_trim --
DELETE FROM response
WHERE account_id = ?
  AND used_at <= (SELECT max(used_at)
                  FROM (SELECT used_at, sum(bytes) OVER (ORDER BY used_at DESC) AS total
                        FROM response WHERE account_id = ?) AS sums
                  WHERE total > ?)
RETURNING account_id, id

-- response_prune --
DELETE FROM response
WHERE number IN (SELECT number FROM response WHERE used_at <= ? ORDER BY used_at LIMIT ?)
RETURNING account_id, id
