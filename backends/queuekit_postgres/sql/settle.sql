-- name: succeed
-- Moves running jobs to the records. Passes by the door (life.leave): plain successes, in bulk.
-- `state + 0`, so that no plan can walk the partial index of running jobs with all its dead entries; width_bucket, because
-- it finds a seq's place in the sorted array by bisection.
-- $1 seqs bigint[] (sorted), $2 delivery of all or $3 deliveries bigint[], $4 result of all or $5 results text[]; null
-- where no element has any: $6 keep ages bigint[], $7 keep counts integer[]; retention by default: $8 age, $9 count
WITH gone AS (
  DELETE FROM queuekit.jobs j
  WHERE j.seq = ANY($1::bigint[]) AND j.state + 0 = RUNNING
    AND j.delivery = coalesce($2::bigint, ($3::bigint[])[width_bucket(j.seq, $1::bigint[])])
  RETURNING delivery, enqueued_at, scheduled_at, started_at, expires_at, own_lease, keep_age, id, attempt, max_attempts,
    generation, keep_count, priority, lapses, crashes, max_lapses, max_crashes, key_hold, queue, task, payload, key,
    extra, progress, tags, errors, history, logs, width_bucket(j.seq, $1::bigint[]) AS n,
    CASE
      WHEN (SELECT EXISTS (SELECT FROM queuekit.waiters))
        AND EXISTS (SELECT FROM queuekit.waiters w WHERE w.id = j.id AND w.queue = j.queue)
      THEN queuekit.tell(queue, id)
      ELSE false
    END AS awaited
)
INSERT INTO queuekit.records (
  kept_until, delivery, enqueued_at, scheduled_at, started_at, finished_at, expires_at, own_lease, settled_delivery,
  keep_age, id, attempt, max_attempts, generation, keep_count, state, priority, lapses, crashes, max_lapses,
  max_crashes, settled, key_hold, awaited, queue, task, payload, key, extra, progress, result, tags, errors, history,
  logs
)
SELECT
  (SELECT queuekit.now_us()) + n + greatest(
    coalesce(keep_age, ($6::bigint[])[n], $8::bigint), CASE WHEN awaited THEN KEEP_FOR_WAITERS ELSE 0 END
  ),
  delivery, enqueued_at, scheduled_at, started_at, (SELECT queuekit.now_us()) + n, expires_at, own_lease, delivery,
  keep_age, id, attempt, max_attempts, generation,
  CASE
    WHEN keep_age IS NOT NULL THEN keep_count
    WHEN ($6::bigint[])[n] IS NOT NULL THEN ($7::integer[])[n]
    ELSE $9::integer
  END,
  SUCCEEDED, priority, lapses, crashes, max_lapses, max_crashes, SUCCEEDED, key_hold, awaited, queue, task, payload,
  CASE WHEN key IS NOT NULL THEN queuekit.free_key(queue, key, id) END, extra, progress,
  coalesce($4::text, ($5::text[])[n]), tags, errors, history, logs
FROM gone

-- name: leave
-- Settles all other runs: how many, and which jobs have failed by a death that was their last (null: none).
-- $1 seqs bigint[] (sorted), $2 deliveries bigint[], $3 age of failed records, $4 how each was settled smallint[],
-- $5 delays bigint[], $6 errors text[], $7 reasons text[], $8 keep ages bigint[], $9 keep counts integer[]
SELECT count(*) AS settled, json_agg(l) FILTER (WHERE l.state = FAILED AND l.reason = 'crashed') AS crashed
FROM queuekit.leave(
  $1::bigint[], $2::bigint[], $3::bigint, $4::smallint[], $5::bigint[], $6::text[], $7::text[], $8::bigint[], $9::integer[]
) AS l

-- name: settled
-- Which tokens were settled just so before; gives their places in the arrays.
-- $1 ids uuid[], $2 queues text[], $3 deliveries bigint[], $4 how smallint[] (see the schema's `settled`)
SELECT t.n
FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::smallint[]) WITH ORDINALITY AS t (id, queue, delivery, how, n)
CROSS JOIN LATERAL (
  (SELECT 1 FROM queuekit.jobs j
  WHERE j.id = t.id AND j.queue = t.queue AND j.settled_delivery = t.delivery AND j.settled = t.how LIMIT 1)
  UNION ALL
  (SELECT 1 FROM queuekit.records r
  WHERE r.id = t.id AND r.queue = t.queue AND r.settled_delivery = t.delivery AND r.settled = t.how LIMIT 1)
  LIMIT 1
) AS hit
