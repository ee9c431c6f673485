-- name: find_known
-- Whether an id is there or was, and its seq (NULL: only the id is remembered, or a copy is there).
-- ?1 id, ?2 queue, ?3 now
SELECT seq FROM jobs WHERE id = ?1 AND queue = ?2
UNION ALL
SELECT NULL FROM copies WHERE id = ?1 AND queue = ?2
UNION ALL
SELECT NULL FROM ids WHERE id = ?1 AND queue = ?2 AND forget_at > ?3;

-- name: remember_id
-- Remember the id of a job that goes, if it is at the given point of its life.
-- ?1 seq, ?2 id, ?3 delivery, ?4 state; ?5 forget_at, ?6 settled, ?7 settled_delivery
INSERT OR REPLACE INTO ids (id, queue, settled, settled_delivery, forget_at)
SELECT id, queue, ?6, ?7, ?5 FROM jobs
WHERE seq = ?1 AND id = ?2 AND delivery = ?3 AND +state = ?4;

-- name: drop
-- Remove a job, if it is at the given point of its life.
-- ?1 seq, ?2 id, ?3 delivery, ?4 state
DELETE FROM jobs WHERE seq = ?1 AND id = ?2 AND delivery = ?3 AND +state = ?4;

-- name: remember_finished
-- Remember the ids of finished jobs that go, if they are not old enough to be forgotten.
-- ?1 a JSON array of seqs, ?2 for how long, ?3 at least from this moment on, ?4 now
INSERT OR REPLACE INTO ids (id, queue, settled, settled_delivery, forget_at)
SELECT id, queue, settled, settled_delivery, max(finished_at, ?3) + ?2 FROM jobs
WHERE seq IN (SELECT value FROM json_each(?1)) AND max(finished_at, ?3) + ?2 > ?4;

-- name: drop_finished
-- ?1 a JSON array of seqs
DELETE FROM jobs WHERE seq IN (SELECT value FROM json_each(?1));

-- name: forget_ids
-- ?1 now, ?2 limit
DELETE FROM ids WHERE (id, queue) IN (SELECT id, queue FROM ids WHERE forget_at <= ?1 ORDER BY forget_at LIMIT ?2);

-- name: find_outworn
-- Failed and cancelled jobs of some queues past their retention.
-- ?1 a JSON array of the queues, ?2 now, ?3 limit
SELECT seq FROM jobs
WHERE state > SUCCEEDED AND queue IN (SELECT value FROM json_each(?1)) AND kept_until <= ?2
LIMIT ?3;

-- name: find_kinds
-- Kinds of succeeded jobs of some queues of which some may have to go.
-- ?1 a JSON array of the queues, ?2 now
SELECT queue, task, coalesce(most, -1) FROM kinds
WHERE queue IN (SELECT value FROM json_each(?1)) AND (grown = 1 OR next_end <= ?2);

-- name: find_outworn_of_kind
-- Succeeded jobs of a kind past their retention.
-- ?1 queue, ?2 task, ?3 now, ?4 limit
SELECT seq FROM jobs
WHERE state = SUCCEEDED AND queue = ?1 AND task = ?2 AND kept_until <= ?3
ORDER BY kept_until
LIMIT ?4;

-- name: find_surplus
-- Succeeded jobs of a kind beyond the number that is kept, those that would go first, and whether they may go now.
-- ?1 queue, ?2 task, ?3 how many are kept, ?4 limit, ?5 now
SELECT seq, coalesce(spared_until, 0) <= ?5 FROM jobs
WHERE state = SUCCEEDED AND queue = ?1 AND task = ?2
ORDER BY kept_until DESC, seq DESC
LIMIT ?4 OFFSET ?3;

-- name: note_growth
-- A kind of succeeded jobs has grown.
-- ?1 queue, ?2 task, ?3 how many are kept (NULL: all), ?4 the next end of a retention
INSERT INTO kinds (queue, task, most, next_end, grown) VALUES (?1, ?2, ?3, ?4, 1)
ON CONFLICT (queue, task) DO UPDATE
SET most = excluded.most, next_end = min(next_end, excluded.next_end), grown = 1;

-- name: note_trim
-- A kind of succeeded jobs has been trimmed.
-- ?1 queue, ?2 task, ?3 whether there may be more to remove
UPDATE kinds
SET
    grown = ?3,
    next_end = (SELECT min(kept_until) FROM jobs WHERE state = SUCCEEDED AND queue = ?1 AND task = ?2)
WHERE queue = ?1 AND task = ?2;

-- name: forget_kinds
-- Kinds of which there are no succeeded jobs any more.
DELETE FROM kinds WHERE next_end IS NULL;
