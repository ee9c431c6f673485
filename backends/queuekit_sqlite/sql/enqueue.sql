-- name: enqueue_plain
-- In order: id, task, payload, queue, enqueued_at, priority, max_attempts; see OF_MANY_ROWS.
INSERT INTO jobs (state, id, task, payload, queue, enqueued_at, priority, max_attempts)
VALUES (READY, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id, queue) DO NOTHING;

-- name: enqueue
-- ?1 id, ?2 task, ?3 payload, ?4 key, ?5 queue, ?6 state, ?7 predecessor, ?8 enqueued_at,
-- ?9... what the options say, in the order of `rows.options`
INSERT INTO jobs (
    id, task, payload, key, queue, state, predecessor, enqueued_at,
    priority, max_attempts, scheduled_at, expires_at, own_lease, max_crashes, max_lapses,
    key_until, keep_age, keep_count, tags, extra
)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
ON CONFLICT (id, queue) DO NOTHING;

-- name: find_known
-- Whether an id is there or was, and its state (NULL: only the id is remembered).
-- ?1 id, ?2 queue, ?3 now
SELECT state FROM jobs WHERE id = ?1 AND queue = ?2
UNION ALL
SELECT NULL FROM ids WHERE id = ?1 AND queue = ?2 AND forget_at > ?3;

-- name: find_replaced
-- What a job has replaced, while that still has its payload: state and id.
-- ?1 queue, ?2 key, ?3 id of the job
SELECT jobs.state, jobs.id FROM keys
JOIN jobs ON jobs.queue = keys.queue AND (jobs.id = keys.id OR jobs.predecessor = keys.id)
WHERE keys.queue = ?1 AND keys.key = ?2 AND jobs.origin = ?3;

-- name: replace_job
-- A job that has not begun becomes another one, at another place in line.
-- ?1 seq, ?2 new seq, ?3 state, ?4 task, ?5 payload, ?6... what the options say; ?18 the id of the other one
UPDATE jobs
SET
    seq = ?2, state = ?3, task = ?4, payload = ?5,
    priority = ?6, max_attempts = ?7, scheduled_at = ?8, expires_at = ?9, own_lease = ?10,
    max_crashes = ?11, max_lapses = ?12, key_until = ?13, keep_age = ?14, keep_count = ?15,
    tags = ?16, extra = ?17, origin = ?18
WHERE seq = ?1;

-- name: remember_replacement
-- ?1 id, ?2 queue, ?3 forget_at
INSERT OR REPLACE INTO ids (id, queue, forget_at) VALUES (?1, ?2, ?3);
