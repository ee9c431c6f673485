-- name: put_in_line
-- Put a job that does not run into (or back into) line.
-- ?1 seq, ?2 new seq, ?3 state, ?4 scheduled_at (NULL: unchanged), ?5... in the order of `rows.Row.traces`
UPDATE jobs
SET
    seq = ?2, state = ?3, scheduled_at = coalesce(?4, scheduled_at),
    attempt = ?5, lapses = ?6, crashes = ?7, settled = ?8, settled_delivery = ?9, errors = ?10, history = ?11,
    leased_until = NULL, lease = NULL, claimant = NULL, claim = NULL, renewed_at = NULL, predecessor = NULL
WHERE seq = ?1;

-- name: find_due
-- ?1 now, ?2 limit
SELECT seq, queue, lapses FROM jobs WHERE state = SCHEDULED AND scheduled_at <= ?1 ORDER BY scheduled_at, queue, seq LIMIT ?2;

-- name: promote
-- ?1 seq, ?2 new seq, ?3 state
UPDATE jobs SET seq = ?2, state = ?3 WHERE seq = ?1;

-- name: find_last_seq
SELECT max(seq) FROM jobs;

-- name: find_paused
SELECT queue FROM pauses;
