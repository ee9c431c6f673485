-- name: add_job
-- A job with all that is known of it, in the order of `rows.values`, at the end of the line.
INSERT INTO jobs (
    id, task, payload, queue, enqueued_at, key,
    state, priority, max_attempts, own_lease, max_crashes, max_lapses, key_until, keep_age, keep_count, tags, extra, origin,
    attempt, delivery, lapses, crashes, generation, cancel_requested, reason,
    scheduled_at, started_at, finished_at, expires_at, leased_until, kept_until,
    result, errors, history, progress, logs, claimant, claim, lease, settled, settled_delivery, follows
)
VALUES (
    ?, ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
)
ON CONFLICT (id, queue) DO NOTHING;

-- name: read_job
-- The same, after its place in line and the code of its state.
-- ?1 seq
SELECT
    seq, state,
    id, task, payload, queue, enqueued_at, key,
    state, priority, max_attempts, own_lease, max_crashes, max_lapses, key_until, keep_age, keep_count, tags, extra, origin,
    attempt, delivery, lapses, crashes, generation, cancel_requested, reason,
    scheduled_at, started_at, finished_at, expires_at, leased_until, kept_until,
    result, errors, history, progress, logs, claimant, claim, lease, settled, settled_delivery, follows
FROM jobs
WHERE seq = ?1;

-- name: write_job
-- What has become of a job that does not run (any more): all but what no event changes, in the order of `rows.values`; then
-- spared_until and its seq.
UPDATE jobs
SET
    (
        task, payload,
        state, priority, max_attempts, own_lease, max_crashes, max_lapses, key_until, keep_age, keep_count, tags, extra, origin,
        attempt, delivery, lapses, crashes, generation, cancel_requested, reason,
        scheduled_at, started_at, finished_at, expires_at, leased_until, kept_until,
        result, errors, history, progress, logs, claimant, claim, lease, settled, settled_delivery, follows,
        spared_until, renewed_at
    ) = (
        ?, ?,
        ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
        ?, ?, ?, ?, ?, ?, ?,
        ?, ?, ?, ?, ?, ?,
        ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
        ?, NULL
    )
WHERE seq = ?;

-- name: find_seq
-- ?1 id, ?2 queue
SELECT seq FROM jobs WHERE id = ?1 AND queue = ?2;
