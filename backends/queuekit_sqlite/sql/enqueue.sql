-- name: insert_plain
-- In order: id, task, payload, queue, enqueued_at, priority, max_attempts; see OF_MANY_ROWS.
INSERT INTO jobs (state, id, task, payload, queue, enqueued_at, priority, max_attempts)
VALUES (READY, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id, queue) DO NOTHING;

-- name: find_replaced
-- What a job has replaced, while that still has its payload: its seq.
-- ?1 queue, ?2 key, ?3 id of the job
SELECT jobs.seq FROM keys
JOIN jobs ON jobs.queue = keys.queue AND (jobs.id = keys.id OR jobs.follows = keys.id)
WHERE keys.queue = ?1 AND keys.key = ?2 AND jobs.origin = ?3;

-- name: remember_replacement
-- ?1 id, ?2 queue, ?3 forget_at
INSERT OR REPLACE INTO ids (id, queue, forget_at) VALUES (?1, ?2, ?3);
