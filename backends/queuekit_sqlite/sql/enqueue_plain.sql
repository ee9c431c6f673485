-- in order: id, task, payload, queue, enqueued_at, priority, max_attempts; see OF_MANY_ROWS
INSERT INTO jobs (state, id, task, payload, queue, enqueued_at, priority, max_attempts)
VALUES (READY, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id, queue) DO NOTHING
