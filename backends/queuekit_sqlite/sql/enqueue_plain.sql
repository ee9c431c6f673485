-- in order: id, task, payload, queue, enqueued_at, priority, max_attempts; see OF_MANY_ROWS
INSERT INTO jobs (code, id, task, payload, queue, enqueued_at, priority, max_attempts)
VALUES (0, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id, queue) DO NOTHING
