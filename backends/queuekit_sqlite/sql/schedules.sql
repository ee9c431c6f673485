-- name: save_schedule
-- ?1 queue, ?2 name, ?3 rule, ?4 job, ?5 tick, ?6 due_at, ?7 paused, ?8 count, ?9 fired
INSERT OR REPLACE INTO schedules (queue, name, rule, job, tick, due_at, paused, count, fired)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9);

-- name: get_schedule
-- ?1 queue, ?2 name
SELECT queue, name, rule, job, tick, due_at, paused, count, fired FROM schedules WHERE queue = ?1 AND name = ?2;

-- name: all_schedules
-- Of some queues, or of all.
-- ?1 a JSON array of the queues, or NULL
SELECT queue, name, rule, job, tick, due_at, paused, count, fired FROM schedules
WHERE ?1 IS NULL OR queue IN (SELECT value FROM json_each(?1))
ORDER BY queue, name;

-- name: named_schedules
-- ?1 name
SELECT queue, name, rule, job, tick, due_at, paused, count, fired FROM schedules WHERE name = ?1 ORDER BY queue;

-- name: due_schedules
-- ?1 a JSON array of the queues, ?2 now, ?3 limit
SELECT queue, name, rule, job, tick, due_at, paused, count, '[]' FROM schedules
WHERE due_at IS NOT NULL AND paused = 0 AND due_at <= ?2 AND queue IN (SELECT value FROM json_each(?1))
ORDER BY due_at, queue, name
LIMIT ?3;

-- name: next_due
-- When the first schedule is due, after those that are read already.
-- ?1 a JSON array of the queues, ?2 how many are read
SELECT due_at FROM schedules
WHERE due_at IS NOT NULL AND paused = 0 AND queue IN (SELECT value FROM json_each(?1))
ORDER BY due_at, queue, name
LIMIT 1 OFFSET ?2;

-- name: pause_schedule
-- ?1 queue, ?2 name, ?3 whether it is paused
UPDATE schedules SET paused = ?3 WHERE queue = ?1 AND name = ?2;

-- name: remove_schedule
-- ?1 queue, ?2 name
DELETE FROM schedules WHERE queue = ?1 AND name = ?2;
