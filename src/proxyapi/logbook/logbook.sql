-- keepers --
SELECT id FROM account WHERE log_days > 0 AND id IN (@ids)

-- add --
INSERT INTO log_record (id, account_id, key_id, method, path, operation, dialect, provider, model, status, error,
                        ending, duration_ms, first_byte_ms, peer, request_type, request_bytes, request_cut,
                        response_type, response_bytes, response_cut, bytes, headers, request, response)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- terms --
WITH RECURSIVE known (id) AS (               -- jumps from account to account in the index
    SELECT min(account_id) FROM log_record
    UNION ALL
    SELECT (SELECT min(account_id) FROM log_record WHERE account_id > known.id) FROM known WHERE known.id IS NOT NULL
)
SELECT known.id, account.log_days FROM known LEFT JOIN account ON account.id = known.id WHERE known.id IS NOT NULL

-- surplus --
SELECT id FROM (SELECT id, sum(bytes) OVER (ORDER BY id DESC) AS total FROM log_record WHERE account_id = ?) AS sums
WHERE total > ? ORDER BY id DESC LIMIT 1

-- drop --
DELETE FROM log_record
WHERE number IN (SELECT number FROM log_record WHERE account_id = ? AND id <= ? ORDER BY id LIMIT ?)
RETURNING number

-- size --
SELECT count(*), coalesce(sum(bytes), 0) FROM log_record WHERE account_id = ?

-- search --
SELECT id, key_id, method, path, operation, dialect, provider, model, status, error, ending, duration_ms, first_byte_ms
FROM (SELECT id, key_id, method, path, operation, dialect, provider, model, status, error, ending, duration_ms,
             first_byte_ms
      FROM log_record WHERE account_id = ? AND id >= ? AND id < ? ORDER BY id DESC LIMIT ?) AS looked_at
WHERE (CAST(? AS INTEGER) = 0 OR key_id = CAST(? AS INTEGER))
  AND (CAST(? AS TEXT) = '' OR lower(model) LIKE CAST(? AS TEXT) ESCAPE '\')
  AND status >= ? AND status <= ?
ORDER BY id DESC LIMIT ?

-- looked_at_last --
SELECT id FROM log_record WHERE account_id = ? AND id >= ? AND id < ? ORDER BY id DESC LIMIT 1 OFFSET ?

-- read --
SELECT id, key_id, method, path, operation, dialect, provider, model, status, error, ending, duration_ms, first_byte_ms,
       peer, request_type, request_bytes, request_cut, response_type, response_bytes, response_cut, headers, request,
       response
FROM log_record WHERE account_id = ? AND id = ?
