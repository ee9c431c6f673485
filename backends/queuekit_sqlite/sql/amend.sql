-- ?1 seq, ?2 attempt, ?3 lapses, ?4 crashes, ?5 cancel_requested, ?6 settled, ?7 settled_delivery, ?8 errors, ?9 history
UPDATE jobs
SET
    attempt = ?2, lapses = ?3, crashes = ?4, cancel_requested = ?5,
    settled = ?6, settled_delivery = ?7, errors = ?8, history = ?9
WHERE seq = ?1
