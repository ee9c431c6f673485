-- ?1 id, ?2 task, ?3 payload, ?4 queue, ?5 enqueued_at, ?6 priority, ?7 max_attempts
INSERT INTO jobs (code, id, task, payload, queue, enqueued_at, priority, max_attempts)
VALUES (0, ?1, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT (id, queue) DO NOTHING
