-- name: has_ready
-- ?1 queue
SELECT 1 FROM jobs WHERE state = READY AND queue = ?1 LIMIT 1;

-- name: has_suspects
-- ?1 queue
SELECT 1 FROM jobs WHERE state > READY AND state < RUNNING AND state = SUSPECT AND queue = ?1 LIMIT 1;

-- name: find_next_due
-- When the next scheduled job of some queues is due.
-- ?1 a JSON array of the queues
SELECT min(due) FROM (
    SELECT (SELECT min(scheduled_at) FROM jobs WHERE state = SCHEDULED AND queue = served.value) AS due
    FROM json_each(?1) AS served
);

-- name: register_sleeper
-- ?1 process, ?2 address, ?3 queues, ?4 until
INSERT INTO sleepers (process, address, queues, until) VALUES (?1, ?2, ?3, ?4) RETURNING seq;

-- name: has_sleeper
-- Whether a sleeper has not been rung yet.
-- ?1 seq
SELECT 1 FROM sleepers WHERE seq = ?1;

-- name: find_state
-- ?1 id, ?2 queue, ?3 now
SELECT seq, state FROM jobs WHERE id = ?1 AND queue = ?2 AND (kept_until IS NULL OR kept_until > ?3);

-- name: register_waiter
-- ?1 id, ?2 queue, ?3 address, ?4 until
INSERT OR REPLACE INTO waiters (id, queue, address, until) VALUES (?1, ?2, ?3, ?4);
