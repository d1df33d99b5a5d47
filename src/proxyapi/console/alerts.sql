-- alert --
SELECT threshold, email, webhook, secret, armed, told_at FROM balance_alert WHERE account_id = ?

-- alert_put --
INSERT INTO balance_alert (account_id, threshold, email, webhook, secret, language, armed, told_at)
VALUES (?, ?, ?, ?, ?, ?, 1, NULL)
ON CONFLICT (account_id) DO UPDATE
SET threshold = excluded.threshold, email = excluded.email, webhook = excluded.webhook, language = excluded.language,
    armed = 1

-- alert_drop --
DELETE FROM balance_alert WHERE account_id = ?

-- alerts_due --
SELECT b.account_id, b.threshold, b.email, b.webhook, b.secret, b.language, a.funded - a.spent - a.held
FROM balance_alert b JOIN account a ON a.id = b.account_id
WHERE b.armed = 1 AND a.funded - a.spent - a.held < b.threshold
ORDER BY b.account_id LIMIT 100

-- alert_claim --
UPDATE balance_alert SET armed = 0, told_at = ? WHERE account_id = ? AND armed = 1 RETURNING account_id

-- alerts_arm --
UPDATE balance_alert SET armed = 1
WHERE armed = 0 AND EXISTS (SELECT 1 FROM account a WHERE a.id = balance_alert.account_id
                            AND a.funded - a.spent - a.held >= balance_alert.threshold)
