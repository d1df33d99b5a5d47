-- user_add --
INSERT INTO console_user (email, password, role, account_id, confirmed_at, language, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (email) DO NOTHING
RETURNING id

-- user_columns --
SELECT u.id, u.email, u.role, u.account_id, u.confirmed_at, u.blocked, u.language, u.time_zone, u.theme,
       CASE WHEN u.totp_secret IS NULL THEN 0 ELSE 1 END, u.created_at
FROM console_user u

-- user_any --
SELECT 1 FROM console_user LIMIT 1

-- user_account --
UPDATE console_user SET account_id = ? WHERE id = ?

-- sessions_end --
DELETE FROM console_session WHERE user_id = ?

-- user_secrets --
SELECT password, totp_secret FROM console_user WHERE id = ?

-- user_confirm --
UPDATE console_user SET confirmed_at = ?, account_id = ? WHERE id = ? AND confirmed_at IS NULL

-- user_password --
UPDATE console_user SET password = ? WHERE id = ?

-- user_role --
UPDATE console_user SET role = ? WHERE id = ?

-- user_block --
UPDATE console_user SET blocked = ? WHERE id = ?

-- user_preferences --
UPDATE console_user SET language = ?, time_zone = ?, theme = ? WHERE id = ?

-- user_factor --
UPDATE console_user SET totp_secret = ?, totp_step = ? WHERE id = ?

-- user_step --
UPDATE console_user SET totp_step = ? WHERE id = ? AND totp_step < ?

-- codes_drop --
DELETE FROM recovery_code WHERE user_id = ?

-- code_add --
INSERT INTO recovery_code (user_id, digest) VALUES (?, ?)

-- code_use --
DELETE FROM recovery_code WHERE user_id = ? AND digest = ?

-- codes_left --
SELECT count(*) FROM recovery_code WHERE user_id = ?

-- ticket_add --
INSERT INTO console_ticket (digest, user_id, purpose, expires_at) VALUES (?, ?, ?, ?)

-- ticket_use --
DELETE FROM console_ticket WHERE digest = ? AND purpose = ? AND expires_at > ? RETURNING user_id

-- ticket_known --
SELECT user_id FROM console_ticket WHERE digest = ? AND purpose = ? AND expires_at > ?

-- tickets_drop --
DELETE FROM console_ticket WHERE user_id = ? AND purpose = ?

-- tickets_prune --
DELETE FROM console_ticket WHERE expires_at <= ?

-- attempt --
INSERT INTO console_attempt (subject, until, count) VALUES (?, ?, 1)
ON CONFLICT (subject) DO UPDATE
SET count = CASE WHEN console_attempt.until <= CAST(? AS INTEGER) THEN 1 ELSE console_attempt.count + 1 END,
    until = CASE WHEN console_attempt.until <= CAST(? AS INTEGER) THEN excluded.until ELSE console_attempt.until END
RETURNING count, until

-- users_prune --
DELETE FROM console_user WHERE confirmed_at IS NULL AND created_at <= ?

-- attempts_prune --
DELETE FROM console_attempt WHERE until <= ?
