-- name: list_gates
SELECT queue FROM gates ORDER BY queue;

-- name: put_gate
-- ?1 queue, ?2 gate
INSERT OR REPLACE INTO gates (queue, gate) VALUES (?1, ?2);

-- name: drop_gate
-- ?1 queue
DELETE FROM gates WHERE queue = ?1;

-- name: find_copy
-- ?1 id, ?2 queue
SELECT kind, generation, epoch, delivery, text FROM copies WHERE id = ?1 AND queue = ?2;

-- name: put_copy
-- ?1 id, ?2 queue, ?3 kind, ?4 generation, ?5 epoch, ?6 delivery, ?7 text
INSERT OR REPLACE INTO copies (id, queue, kind, generation, epoch, delivery, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7);

-- name: drop_copy
-- ?1 id, ?2 queue
DELETE FROM copies WHERE id = ?1 AND queue = ?2;

-- name: count_copies
-- ?1 queue, ?2 now
SELECT 'live', count(*) FROM (
    SELECT seq FROM jobs WHERE state = READY AND queue = ?1
    UNION ALL
    SELECT seq FROM jobs WHERE state > READY AND state < RUNNING AND queue = ?1
)
UNION ALL
SELECT 'running', count(*) FROM jobs WHERE queue = ?1 AND state = RUNNING
UNION ALL
SELECT 'failed', count(*) FROM jobs WHERE queue = ?1 AND state > SUCCEEDED AND kept_until > ?2
UNION ALL
SELECT kind, count(*) FROM copies WHERE queue = ?1 GROUP BY kind;

-- name: page_ready
-- ?1 queue, ?2 after this priority, ?3 and this seq, ?4 limit
SELECT seq, priority FROM jobs
WHERE state = READY AND queue = ?1 AND (priority, seq) > (?2, ?3)
ORDER BY priority, seq
LIMIT ?4;

-- name: page_aside
-- ?1 queue, ?2 after this priority, ?3 and this seq, ?4 limit, ?5 code
SELECT seq, priority FROM jobs
WHERE state > READY AND state < RUNNING AND state = ?5 AND queue = ?1 AND (priority, seq) > (?2, ?3)
ORDER BY priority, seq
LIMIT ?4;

-- name: page_failed
-- ?1 queue, ?2 now, ?3 after this end of retention, ?4 and this seq, ?5 limit
SELECT seq, kept_until FROM jobs
WHERE state > SUCCEEDED AND queue = ?1 AND kept_until > ?2 AND (kept_until, seq) > (?3, ?4)
ORDER BY kept_until, seq
LIMIT ?5;

-- name: page_copies
-- ?1 queue, ?2 kind, ?3 after this id, ?4 limit
SELECT id, generation, epoch, delivery, text FROM copies
WHERE queue = ?1 AND kind = ?2 AND id > ?3
ORDER BY id
LIMIT ?4;
