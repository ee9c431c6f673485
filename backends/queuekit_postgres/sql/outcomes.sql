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
  SELECT id, task, queue, state, payload, priority, attempt, max_attempts, delivery, lapses, crashes, generation,
    reason, result, errors, history, enqueued_at, scheduled_at, started_at, finished_at, expires_at, key, tags, extra,
    progress, logs
  FROM queuekit.records e
  WHERE e.id = a.id AND e.queue = a.queue AND (e.kept_until > queuekit.now_us() OR e.finished_at >= (
    SELECT w.since FROM queuekit.waiters w WHERE w.id = a.id AND w.queue = a.queue AND w.process = $3
  ))
  ORDER BY e.finished_at DESC LIMIT 1
) AS r ON true
WHERE NOT a.alive
