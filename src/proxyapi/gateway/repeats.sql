-- take --
INSERT INTO claim (account_id, key, id, request, streams, created_at,
                   charged, answer, status, headers, counted, whole, pieces, bytes, followed_at)
VALUES (?, ?, ?, ?, ?, ?, 0, 'made', 0, ?, 0, 0, 0, 0, 0)
ON CONFLICT (account_id, key) DO UPDATE SET
    id = excluded.id, request = excluded.request, streams = excluded.streams, created_at = excluded.created_at,
    charged = 0, answer = 'made', status = 0, headers = excluded.headers, counted = 0, whole = 0, pieces = 0, bytes = 0,
    followed_at = 0
 WHERE claim.id = excluded.id
    OR (claim.charged = 0 AND claim.answer <> 'kept' AND EXISTS (SELECT 1 FROM entry WHERE entry.id = claim.id))
    OR (claim.created_at <= ? AND NOT EXISTS (SELECT 1 FROM hold WHERE hold.id = claim.id))
RETURNING id

-- drop --
DELETE FROM claim WHERE account_id = ? AND key = ? AND id = ? RETURNING id

-- confirm --
UPDATE claim SET charged = 1 WHERE account_id = ? AND key = ? AND id = ? RETURNING id

-- find --
SELECT claim.id, claim.request, claim.streams, claim.charged, claim.answer, claim.status, claim.headers, claim.counted,
       claim.whole, claim.pieces, claim.bytes, claim.created_at,
       (SELECT count(*) FROM hold WHERE hold.id = claim.id),
       (SELECT entry.created_at FROM entry WHERE entry.id = claim.id),
       (SELECT entry.charged FROM entry WHERE entry.id = claim.id)
FROM claim WHERE claim.account_id = ? AND claim.key = ?

-- begin --
UPDATE claim SET status = ?, headers = ?, counted = ? WHERE account_id = ? AND key = ? AND id = ?

-- piece --
INSERT INTO claim_piece (id, place, data) VALUES (?, ?, ?) ON CONFLICT (id, place) DO NOTHING

-- keep --
UPDATE claim SET answer = 'kept', status = ?, headers = ?, counted = ?, whole = ?, pieces = ?, bytes = ?
 WHERE account_id = ? AND key = ? AND id = ?
   AND (SELECT count(*) FROM claim_piece WHERE claim_piece.id = claim.id) = ?

-- lose --
UPDATE claim SET answer = 'lost' WHERE account_id = ? AND key = ? AND id = ?

-- forget_pieces --
DELETE FROM claim_piece WHERE id = ?

-- pieces --
SELECT data FROM claim_piece WHERE id = ? AND place >= ? ORDER BY place LIMIT ?

-- follow --
UPDATE claim SET followed_at = ? WHERE account_id = ? AND key = ? AND id = ?

-- followed --
SELECT followed_at FROM claim WHERE account_id = ? AND key = ? AND id = ?

-- trim --
UPDATE claim SET answer = 'lost'
 WHERE account_id = ? AND answer = 'kept'
   AND created_at <= (SELECT max(created_at)
                      FROM (SELECT created_at, sum(bytes) OVER (ORDER BY created_at DESC) AS total
                            FROM claim WHERE account_id = ? AND answer = 'kept') AS sums
                      WHERE total > CAST(? AS INTEGER))
RETURNING id

-- prune --
DELETE FROM claim
 WHERE number IN (SELECT number FROM claim
                  WHERE created_at <= ? AND NOT EXISTS (SELECT 1 FROM hold WHERE hold.id = claim.id)
                  ORDER BY created_at LIMIT ?)
RETURNING number

-- prune_pieces --
DELETE FROM claim_piece WHERE number IN (SELECT number FROM claim_piece WHERE id < ? ORDER BY id LIMIT ?)
RETURNING number
