-- name: finish
-- End a job.
-- ?1 seq, ?2 state, ?3 now, ?4 kept_until, ?5 spared_until, ?6 result, ?7 reason, ?8... in the order of `rows.Row.traces`
UPDATE jobs
SET
    state = ?2, finished_at = ?3, kept_until = ?4, spared_until = ?5, result = ?6, reason = ?7,
    attempt = ?8, lapses = ?9, crashes = ?10, settled = ?11, settled_delivery = ?12, errors = ?13, history = ?14,
    leased_until = NULL, lease = NULL, claimant = NULL, claim = NULL, predecessor = NULL
WHERE seq = ?1;

-- name: find_overdue
-- Jobs that have not begun in time; an attempt that counts has begun.
-- ?1 now, ?2 limit
SELECT seq FROM jobs
WHERE expires_at IS NOT NULL AND state < WAITING AND attempt = 0 AND expires_at <= ?1
LIMIT ?2;
