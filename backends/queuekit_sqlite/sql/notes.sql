-- name: amend
-- ?1 seq, ?2 attempt, ?3 lapses, ?4 crashes, ?5 cancel_requested, ?6 settled, ?7 settled_delivery, ?8 errors, ?9 history
UPDATE jobs
SET
    attempt = ?2, lapses = ?3, crashes = ?4, cancel_requested = ?5,
    settled = ?6, settled_delivery = ?7, errors = ?8, history = ?9
WHERE seq = ?1;

-- name: read_report
-- ?1 seq
SELECT progress, logs FROM jobs WHERE seq = ?1;

-- name: write_report
-- ?1 seq, ?2 progress, ?3 logs
UPDATE jobs SET progress = ?2, logs = ?3 WHERE seq = ?1;
