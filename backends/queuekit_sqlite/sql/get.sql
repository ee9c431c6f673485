-- A job with all that is known of it (see rows.py).
-- ?1 id, ?2 queue
SELECT
    id, queue, state, task, payload, priority, attempt, max_attempts, delivery, lapses, crashes, generation,
    reason, result, errors, history, enqueued_at, scheduled_at, started_at, finished_at, expires_at,
    leased_until, cancel_requested, key, tags, extra, progress, logs
FROM jobs
WHERE id = ?1 AND queue = ?2
