-- name: read_record
-- A job with all that is known of it, in the order of `rows.record`.
-- ?1 id, ?2 queue
SELECT
    id, queue, state, task, payload, priority, attempt, max_attempts, delivery, lapses, crashes, generation,
    reason, result, errors, history, enqueued_at, scheduled_at, started_at, finished_at, expires_at,
    leased_until, cancel_requested, key, tags, extra, progress, logs
FROM jobs
WHERE id = ?1 AND queue = ?2;

-- name: read_row
-- What deciding needs of a job, in the order of `rows.Row`.
-- ?1 seq
SELECT
    seq, id, queue, state, task, attempt, delivery, lapses, crashes, generation, enqueued_at, scheduled_at,
    claimant, cancel_requested, max_crashes, max_lapses, key, key_until, keep_age, keep_count,
    settled, settled_delivery, errors, history
FROM jobs
WHERE seq = ?1;

-- name: find_seq
-- ?1 id, ?2 queue
SELECT seq FROM jobs WHERE id = ?1 AND queue = ?2;
