-- A job with all that is known of it (see rows.py); the newest if the id is in several queues.
-- ?1 id, ?2 queue (NULL: any)
SELECT
    id, queue, code, task, payload, priority, attempt, max_attempts, delivery, lapses, crashes, generation,
    reason, result, errors, history, enqueued_at, scheduled_at, started_at, finished_at, expires_at,
    leased_until, cancel_requested, key, tags, extra, progress, logs
FROM jobs
WHERE id = ?1 AND (?2 IS NULL OR queue = ?2)
ORDER BY enqueued_at DESC
LIMIT 1
