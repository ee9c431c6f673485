-- name: look
-- Registers a sleeper (anew) and looks for work: whether there is some, whether the sleeper is new (so it was rung if
-- it had looked before: its row was taken), and how long until the next job is due.
-- $1 process, $2 queues text[], $3 how long it sleeps at most until it looks again, $4 whether suspects count as work
WITH asleep AS (
  INSERT INTO queuekit.sleepers AS s (process, queues, until)
  VALUES ($1, $2::text[], queuekit.now_us() + $3::bigint)
  ON CONFLICT (process) DO UPDATE SET queues = excluded.queues, until = excluded.until
  RETURNING xmax = 0 AS new
), open AS MATERIALIZED (
  SELECT q.name FROM unnest($2::text[]) AS q (name)
  WHERE NOT EXISTS (SELECT FROM queuekit.queues p WHERE p.name = q.name AND p.paused)
)
SELECT
  EXISTS (SELECT FROM open CROSS JOIN LATERAL (
    (SELECT 1 FROM queuekit.jobs j WHERE j.state = READY AND j.queue = open.name LIMIT 1)
    UNION ALL
    (SELECT 1 FROM queuekit.jobs j WHERE $4::boolean AND j.state = SUSPECT AND j.queue = open.name LIMIT 1)
    LIMIT 1
  ) AS ready) AS work,
  (SELECT new FROM asleep) AS new,
  (SELECT min(due.at) - queuekit.now_us() FROM open CROSS JOIN LATERAL (
    SELECT j.scheduled_at AS at FROM queuekit.jobs j WHERE j.state = SCHEDULED AND j.queue = open.name
    ORDER BY j.scheduled_at LIMIT 1
  ) AS due) AS due_in

-- name: results
-- Registers somebody who waits for jobs to end, and gives those that live no more: their records, also hidden ones if
-- they ended while he waited, or nulls.
-- $1 ids uuid[], $2 queues text[], $3 process, $4 how long it waits at most until it asks again
WITH asked AS MATERIALIZED (
  SELECT a.id, a.queue, EXISTS (SELECT FROM queuekit.jobs j WHERE j.id = a.id AND j.queue = a.queue) AS alive
  FROM unnest($1::uuid[], $2::text[]) AS a (id, queue)
), waiting AS (
  INSERT INTO queuekit.waiters (id, queue, process, since, until)
  SELECT DISTINCT a.id, a.queue, $3, queuekit.now_us(), queuekit.now_us() + $4::bigint FROM asked a WHERE a.alive
  ON CONFLICT (id, queue, process) DO UPDATE SET until = excluded.until
)
SELECT a.id AS asked, r.* FROM asked a LEFT JOIN LATERAL (
  SELECT * FROM queuekit.ended e
  WHERE e.id = a.id AND e.queue = a.queue AND (e.kept_until > queuekit.now_us() OR e.finished_at >= (
    SELECT w.since FROM queuekit.waiters w WHERE w.id = a.id AND w.queue = a.queue AND w.process = $3
  ))
  ORDER BY e.finished_at DESC LIMIT 1
) AS r ON true
WHERE NOT a.alive

-- name: wake
-- Wakes one process.
-- $1 process
SELECT queuekit.wake($1)
