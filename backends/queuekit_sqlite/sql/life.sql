-- name: finish
-- End a job.
-- ?1 seq, ?2 state, ?3 now, ?4 kept_until, ?5 settled, ?6 settled_delivery, ?7 result, ?8 reason, ?9 spared_until
UPDATE jobs
SET
    state = ?2, finished_at = ?3, kept_until = ?4, settled = ?5, settled_delivery = ?6, result = ?7, reason = ?8,
    spared_until = ?9, leased_until = NULL, lease = NULL, claimant = NULL, claim = NULL, predecessor = NULL
WHERE seq = ?1;

-- name: find_overdue
-- Jobs that have not begun in time; an attempt that counts has begun.
-- ?1 now, ?2 limit
SELECT seq FROM jobs
WHERE expires_at IS NOT NULL AND state < WAITING AND attempt = 0 AND expires_at <= ?1
LIMIT ?2;
