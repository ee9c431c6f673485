-- name: move
-- Give a job another place in line.
-- ?1 seq, ?2 new seq
UPDATE jobs SET seq = ?2 WHERE seq = ?1;

-- name: find_due
-- Of some queues, in the order in which they were due within each of them, as the index gives them.
-- ?1 a JSON array of the queues, ?2 now, ?3 limit
SELECT seq, queue, lapses FROM jobs
WHERE state = SCHEDULED AND queue IN (SELECT value FROM json_each(?1)) AND scheduled_at <= ?2
LIMIT ?3;

-- name: promote
-- ?1 seq, ?2 new seq, ?3 state
UPDATE jobs SET seq = ?2, state = ?3 WHERE seq = ?1;

-- name: find_last_seq
SELECT max(seq) FROM jobs;

-- name: find_paused
SELECT queue FROM pauses;
