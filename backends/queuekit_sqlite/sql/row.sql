-- What deciding needs of a job, in the order of `jobs.Row`.
-- ?1 seq
SELECT
    seq, id, queue, state, task, attempt, delivery, lapses, crashes, generation, enqueued_at, scheduled_at,
    claimant, cancel_requested, expires_at, max_crashes, max_lapses, key, key_until, keep_age, keep_count,
    settled, settled_delivery, errors, history
FROM jobs
WHERE seq = ?1
