-- payment_add --
INSERT INTO payment (id, account_id, provider, provider_id, state, currency, amount, paid, reason, created_at, updated_at,
                     next_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- payments_open_of_account --
SELECT count(*) FROM payment WHERE account_id = ? AND state IN ('new', 'pending', 'waiting')

-- payment_columns --
SELECT id, account_id, provider, provider_id, state, currency, amount, paid, refunded, link, reason, created_at, updated_at,
       next_at
FROM payment

-- payment_begun --
UPDATE payment SET provider_id = ?, state = ?, link = ?, reason = ?, updated_at = ?
WHERE id = ? AND state IN ('new', 'pending', 'waiting')

-- payment_ended --
UPDATE payment SET provider_id = coalesce(provider_id, ?), state = ?, reason = ?, updated_at = ?
WHERE id = ? AND state IN ('new', 'pending', 'waiting') RETURNING id

-- payment_paid --
UPDATE payment SET provider_id = ?, state = 'succeeded', paid = ?, reason = '', updated_at = ?
WHERE id = ? AND state <> 'succeeded' RETURNING account_id

-- payment_claim --
UPDATE payment SET next_at = ? WHERE id = ? AND next_at = ? AND state IN ('new', 'pending', 'waiting') RETURNING id

-- payment_refund --
UPDATE payment SET refunded = refunded + ?, updated_at = ?
WHERE id = ? AND state = 'succeeded' AND paid - refunded - ? >= 0 RETURNING account_id

-- payment_lock --
UPDATE payment SET updated_at = updated_at WHERE id = ? AND state = 'succeeded' RETURNING paid - refunded

-- account_free --
SELECT funded - spent - held FROM account WHERE id = ? @for_update

-- refund_add --
INSERT INTO refund (id, payment_id, provider_id, state, amount, taken, reason, created_at, updated_at, next_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- refund_columns --
SELECT r.id, r.payment_id, r.provider_id, r.state, r.amount, r.taken, r.reason, r.created_at, r.updated_at, r.next_at
FROM refund r

-- refund_moved --
UPDATE refund SET provider_id = ?, state = ?, updated_at = ? WHERE id = ? AND state IN ('new', 'pending') RETURNING id

-- refund_canceled --
UPDATE refund SET provider_id = coalesce(provider_id, ?), state = 'canceled', reason = ?, updated_at = ?
WHERE id = ? AND state IN ('new', 'pending') RETURNING payment_id, amount, taken

-- refund_claim --
UPDATE refund SET next_at = ? WHERE id = ? AND next_at = ? AND state IN ('new', 'pending') RETURNING id

-- batch_add --
INSERT INTO voucher_batch (name, amount, number, expires_at, created_at) VALUES (?, ?, ?, ?, ?) RETURNING id

-- voucher_add --
INSERT INTO voucher (batch_id, digest) VALUES (?, ?)

-- batch_columns --
SELECT b.id, b.name, b.amount, b.number, b.expires_at, b.revoked_at, b.created_at,
       (SELECT count(*) FROM voucher v WHERE v.batch_id = b.id AND v.account_id IS NOT NULL)
FROM voucher_batch b

-- batch_revoke --
UPDATE voucher_batch SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL RETURNING id

-- voucher_redeem --
UPDATE voucher SET account_id = ?, redeemed_at = ?
WHERE digest = ? AND account_id IS NULL
  AND EXISTS (SELECT 1 FROM voucher_batch b WHERE b.id = voucher.batch_id AND b.revoked_at IS NULL AND b.expires_at > ?)
RETURNING id, batch_id

-- voucher_redeemed --
SELECT v.id, b.amount FROM voucher v JOIN voucher_batch b ON b.id = v.batch_id WHERE v.digest = ? AND v.account_id = ?
