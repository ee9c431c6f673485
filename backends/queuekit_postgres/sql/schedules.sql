-- name: schedule
-- Stores schedules, no two of one name; see `queuekit.backend.schedules.rescheduled`. Sleepers are rung: somebody has to
-- know when the next tick is due.
-- $1 schedules (a JSON array of objects with the columns of the table)
WITH stored AS (INSERT INTO queuekit.schedules AS s
SELECT * FROM jsonb_populate_recordset(NULL::queuekit.schedules, $1::jsonb) ORDER BY queue, name
ON CONFLICT (queue, name) DO UPDATE SET
  rule = excluded.rule,
  job = excluded.job,
  tick = CASE
    WHEN s.rule = excluded.rule THEN s.tick
    WHEN s.due_at <= queuekit.now_us() THEN rtrim(s.tick, '!') || '!'
    ELSE excluded.tick
  END,
  due_at = CASE WHEN s.rule = excluded.rule OR s.due_at <= queuekit.now_us() THEN s.due_at ELSE excluded.due_at END,
  count = CASE WHEN s.rule = excluded.rule THEN s.count ELSE 0 END
RETURNING s.queue)
SELECT queuekit.ring(array_agg(DISTINCT queue), 1) FROM stored HAVING count(*) > 0

-- name: due_schedules
-- $1 queues text[], $2 now, $3 limit
SELECT queue, name, rule, job, tick, due_at, paused, count, '[]' AS fired FROM queuekit.schedules
WHERE due_at IS NOT NULL AND NOT paused AND due_at <= $2::bigint AND queue = ANY(queuekit.ticking($1::text[]))
ORDER BY due_at, queue, name
LIMIT $3::integer

-- name: next_due
-- $1 queues text[], $2 how many are read
SELECT queuekit.now_us() AS now, queuekit.next_due($1::text[], $2::integer) AS due_at

-- name: fire
-- $1 firings (a JSON array; see the function)
SELECT firing, (odd).* FROM queuekit.fire($1::jsonb)

-- name: get_schedules
-- $1 queues text[], $2 names text[]
SELECT * FROM queuekit.schedules WHERE (queue, name) IN (SELECT q, n FROM unnest($1::text[], $2::text[]) AS u (q, n))

-- name: all_schedules
-- $1 queues text[], or null: of all
SELECT * FROM queuekit.schedules WHERE $1::text[] IS NULL OR queue = ANY($1::text[])

-- name: named_schedules
-- $1 name
SELECT * FROM queuekit.schedules WHERE name = $1

-- name: pause_schedules
-- Sleepers are rung for those that are resumed.
-- $1 queues text[], $2 names text[], $3 whether they are paused
WITH steered AS (
  UPDATE queuekit.schedules SET paused = $3::boolean
  WHERE (queue, name) IN (SELECT q, n FROM unnest($1::text[], $2::text[]) AS u (q, n))
  RETURNING queue, name
), rung AS MATERIALIZED (
  SELECT queuekit.ring(array_agg(DISTINCT queue), 1) FROM steered WHERE NOT $3::boolean HAVING count(*) > 0
)
SELECT queue, name FROM steered WHERE (SELECT count(*) FROM rung) >= 0

-- name: unschedule
-- $1 queues text[], $2 names text[]
DELETE FROM queuekit.schedules
WHERE (queue, name) IN (SELECT q, n FROM unnest($1::text[], $2::text[]) AS u (q, n))
RETURNING queue, name
