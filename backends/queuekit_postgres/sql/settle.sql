-- name: succeed
-- Moves running jobs to the records. Does not go through the one door (life.leave): plain successes, in bulk.
-- `state + 0`, so that no plan can walk the partial index of running jobs with all its dead entries; width_bucket, because
-- it finds a seq's place in the sorted array by bisection.
-- $1 seqs bigint[] (sorted), $2 delivery of all or $3 deliveries bigint[], $4 result of all or $5 results text[]; null
-- where no element has any: $6 keep ages bigint[], $7 keep counts integer[]; retention by default: $8 age, $9 count
WITH gone AS (
  DELETE FROM queuekit.jobs j
  WHERE j.seq = ANY($1::bigint[]) AND j.state + 0 = RUNNING
    AND j.delivery = coalesce($2::bigint, ($3::bigint[])[width_bucket(j.seq, $1::bigint[])])
  RETURNING delivery, enqueued_at, scheduled_at, started_at, expires_at, own_lease, key_for, keep_age, id, origin,
    attempt, max_attempts, generation, keep_count, priority, lapses, crashes, max_lapses, max_crashes, queue, task,
    payload, key, extra, progress, tags, errors, history, logs, width_bucket(j.seq, $1::bigint[]) AS n,
    CASE
      WHEN (SELECT EXISTS (SELECT FROM queuekit.waiters))
        AND EXISTS (SELECT FROM queuekit.waiters w WHERE w.id = j.id AND w.queue = j.queue)
      THEN queuekit.tell(queue, id)
      ELSE false
    END AS awaited
), buried AS (
  INSERT INTO queuekit.copies AS c (id, queue, kind, generation, epoch, delivery, text)
  SELECT id, queue, 'done', generation, 0, 0, (SELECT queuekit.now_us())::text FROM gone
  WHERE (SELECT EXISTS (SELECT FROM queuekit.gates))
    AND EXISTS (SELECT FROM queuekit.gates g WHERE g.queue = gone.queue)
  ON CONFLICT (id, queue) DO UPDATE
  SET kind = excluded.kind, generation = excluded.generation, epoch = 0, delivery = 0, text = excluded.text
  WHERE c.generation <= excluded.generation
)
INSERT INTO queuekit.records (
  kept_until, delivery, enqueued_at, scheduled_at, started_at, finished_at, expires_at, own_lease, settled_delivery,
  key_for, keep_age, id, origin, attempt, max_attempts, generation, keep_count, state, priority, lapses, crashes,
  max_lapses, max_crashes, settled, awaited, queue, task, payload, key, extra, progress, result, tags, errors, history,
  logs
)
SELECT
  (SELECT queuekit.now_us()) + n + greatest(
    coalesce(keep_age, ($6::bigint[])[n], $8::bigint), CASE WHEN awaited THEN KEEP_FOR_WAITERS ELSE 0 END
  ),
  delivery, enqueued_at, scheduled_at, started_at, (SELECT queuekit.now_us()) + n, expires_at, own_lease, delivery,
  key_for, keep_age, id, origin, attempt, max_attempts, generation,
  CASE
    WHEN keep_age IS NOT NULL THEN keep_count
    WHEN ($6::bigint[])[n] IS NOT NULL THEN ($7::integer[])[n]
    ELSE $9::integer
  END,
  SUCCEEDED, priority, lapses, crashes, max_lapses, max_crashes, SUCCEEDED, awaited, queue, task, payload,
  CASE WHEN key IS NOT NULL THEN queuekit.free_key(queue, key, id) END, extra, progress,
  coalesce($4::text, ($5::text[])[n]), tags, errors, history, logs
FROM gone

-- name: leave
-- Settles all other runs: how many went as was asked.
-- $1 seqs bigint[] (sorted), $2 deliveries bigint[], $3 age of failed records, $4 how each was settled smallint[],
-- $5 delays bigint[], $6 errors text[], $7 reasons text[], $8 keep ages bigint[], $9 keep counts integer[]
SELECT count(*) FILTER (WHERE l.now < RUNNING OR l.now = ($4::smallint[])[l.n]) AS as_asked
FROM queuekit.leave(
  $1::bigint[], $2::bigint[], $3::bigint, $4::smallint[], $5::bigint[], $6::text[], $7::text[], $8::bigint[], $9::integer[]
) AS l

-- name: settled
-- What became of runs of which not all were settled as was asked, of these that were not: the token is of no run that is
-- under way or was settled just so, or the job has ended though it was to go back.
-- $1 ids uuid[], $2 queues text[], $3 deliveries bigint[], $4 how smallint[] (see the schema's `settled`)
SELECT t.n, t.queue, t.id, CASE WHEN run.settled THEN RUNNING ELSE run.state END AS found, run.state AS now,
  coalesce(run.generation, 0) AS generation, CASE WHEN NOT run.settled THEN 'lost' END AS refused, NULL::uuid AS holder,
  CASE WHEN run.settled AND run.state = FAILED THEN job.task END AS task,
  CASE WHEN run.settled AND run.state = FAILED THEN job.reason END AS reason
FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::smallint[]) WITH ORDINALITY AS t (id, queue, delivery, how, n)
LEFT JOIN LATERAL (
  (SELECT j.state, j.generation, j.task, NULL AS reason, j.settled, j.settled_delivery, true AS shown
  FROM queuekit.jobs j WHERE j.id = t.id AND j.queue = t.queue)
  UNION ALL
  (SELECT r.state, r.generation, r.task, r.reason, r.settled, r.settled_delivery, r.kept_until > queuekit.now_us()
  FROM queuekit.records r WHERE r.id = t.id AND r.queue = t.queue ORDER BY r.finished_at DESC LIMIT 1)
  LIMIT 1
) AS job ON true
CROSS JOIN LATERAL (
  SELECT (job.settled_delivery = t.delivery AND job.settled = t.how) IS TRUE AS settled
) AS again
CROSS JOIN LATERAL (
  SELECT again.settled, CASE WHEN again.settled OR job.shown THEN job.state END AS state,
    CASE WHEN again.settled OR job.shown THEN job.generation END AS generation
) AS run
WHERE NOT run.settled OR (t.how > CANCELLED AND run.state > RUNNING)
