-- session_add --
INSERT INTO console_session (digest, user_id, factor_due, kept, agent, address, created_at, seen_at, expires_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)

-- session_of --
SELECT s.id, s.factor_due, s.kept, s.created_at, s.seen_at, s.expires_at,
       u.id, u.email, u.role, u.account_id, u.confirmed_at, u.blocked, u.language, u.time_zone, u.theme,
       CASE WHEN u.totp_secret IS NULL THEN 0 ELSE 1 END, u.created_at
FROM console_session s
JOIN console_user u ON u.id = s.user_id
WHERE s.digest = ? AND s.expires_at > ? AND u.blocked = 0

-- session_seen --
UPDATE console_session SET seen_at = ?, expires_at = ?, address = ? WHERE id = ?

-- session_end --
DELETE FROM console_session WHERE digest = ?

-- session_revoke --
DELETE FROM console_session WHERE id = ? AND user_id = ?

-- sessions_revoke_others --
DELETE FROM console_session WHERE user_id = ? AND id <> ?

-- sessions_trim --
DELETE FROM console_session WHERE user_id = ? AND id NOT IN (
    SELECT id FROM console_session WHERE user_id = ? ORDER BY id DESC LIMIT ?)

-- sessions --
SELECT id, agent, address, created_at, seen_at, kept FROM console_session
WHERE user_id = ? AND factor_due = 0 AND expires_at > ? ORDER BY seen_at DESC

-- sessions_prune --
DELETE FROM console_session WHERE expires_at <= ?
