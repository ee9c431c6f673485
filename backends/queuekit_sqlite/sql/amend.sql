-- ?1 seq, ?2 attempt, ?3 lapses, ?4 crashes, ?5 expires_at, ?6 cancel_requested, ?7 settled, ?8 settled_delivery,
-- ?9 errors, ?10 history
UPDATE jobs
SET
    attempt = ?2, lapses = ?3, crashes = ?4, expires_at = ?5, cancel_requested = ?6,
    settled = ?7, settled_delivery = ?8, errors = ?9, history = ?10
WHERE seq = ?1
