-- name: ack
-- Moves running jobs to the records. `state + 0`, so that no plan can walk the partial index of running jobs with all
-- its dead entries; width_bucket, because it finds a seq's place in the sorted array by bisection.
-- $1 seqs bigint[] (sorted), $2 delivery of all or $3 deliveries bigint[], $4 result of all or $5 results text[]; null
-- where no element has any: $6 states smallint[] (null: all succeeded), $7 reasons text[], $8 errors text[], $9 keep
-- ages bigint[], $10 keep counts integer[]; retention by default: $11 age and $12 count of succeeded, $13 age of failed
WITH gone AS (
  DELETE FROM queuekit.jobs j
  WHERE j.seq = ANY($1::bigint[]) AND j.state + 0 = RUNNING
    AND j.delivery = coalesce($2::bigint, ($3::bigint[])[width_bucket(j.seq, $1::bigint[])])
  RETURNING delivery, enqueued_at, scheduled_at, started_at, expires_at, own_lease, keep_age, id, attempt, max_attempts,
    generation, keep_count, priority, lapses, crashes, max_lapses, max_crashes, key_hold, queue, task, payload, key,
    extra, progress, tags, errors, history, logs, width_bucket(j.seq, $1::bigint[]) AS n,
    coalesce(($6::smallint[])[width_bucket(j.seq, $1::bigint[])], SUCCEEDED::smallint) AS final,
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
  max_crashes, settled, key_hold, awaited, queue, task, payload, key, extra, progress, reason, result, tags, errors,
  history, logs
)
SELECT
  (SELECT queuekit.now_us()) + n + greatest(
    coalesce(keep_age, ($9::bigint[])[n], CASE WHEN final = SUCCEEDED THEN $11::bigint ELSE $13::bigint END),
    CASE WHEN awaited THEN KEEP_FOR_WAITERS ELSE 0 END
  ),
  delivery, enqueued_at, scheduled_at, started_at, (SELECT queuekit.now_us()) + n, expires_at, own_lease, delivery,
  keep_age, id, attempt, max_attempts, generation,
  CASE
    WHEN keep_age IS NOT NULL THEN keep_count
    WHEN ($9::bigint[])[n] IS NOT NULL THEN ($10::integer[])[n]
    WHEN final = SUCCEEDED THEN $12::integer
  END,
  final, priority, lapses, crashes, max_lapses, max_crashes, final, key_hold, awaited, queue, task, payload,
  CASE WHEN key IS NOT NULL THEN queuekit.free_key(queue, key, id) END, extra, progress, ($7::text[])[n],
  coalesce($4::text, ($5::text[])[n]), tags,
  CASE WHEN ($8::text[])[n] IS NULL THEN errors ELSE queuekit.noted(errors, queuekit.stamped(($8::text[])[n])) END,
  history, logs
FROM gone

-- name: retry
-- Puts running jobs back, but for those that end by it (see `end_return`).
-- $1 seqs bigint[] (sorted), $2 deliveries bigint[], $3 kinds smallint[] (RETRIED, SNOOZED, RELEASED or DIED),
-- $4 delays bigint[], $5 errors text[], $6 queues to ring text[]
WITH back AS (
  UPDATE queuekit.jobs j
  SET (state, seq, attempt, crashes, scheduled_at, errors, history, settled, settled_delivery) = (
    SELECT
      queuekit.ready_or_scheduled(j.lapses, given.due),
      CASE WHEN given.kind = RELEASED THEN j.seq ELSE nextval('queuekit.jobs_seq_seq') END,
      CASE WHEN given.kind = RETRIED THEN j.attempt ELSE j.attempt - 1 END,
      CASE WHEN given.kind = DIED THEN j.crashes + 1 ELSE j.crashes END,
      coalesce(given.due, j.scheduled_at),
      queuekit.noted(j.errors, queuekit.stamped(given.error)),
      queuekit.noted(j.history, queuekit.came_back(given.kind, j.delivery)),
      given.kind,
      j.delivery
    FROM (
      SELECT
        ($3::smallint[])[p.n] AS kind,
        queuekit.now_us() + nullif(($4::bigint[])[p.n], 0) AS due,
        ($5::text[])[p.n] AS error
      FROM (SELECT width_bucket(j.seq, $1::bigint[]) AS n) AS p
    ) AS given
  ), claimant = NULL, leased_until = NULL, renewed_at = NULL
  WHERE j.seq = ANY($1::bigint[]) AND j.state + 0 = RUNNING
    AND j.delivery = ($2::bigint[])[width_bucket(j.seq, $1::bigint[])]
    AND NOT j.cancel_requested
    AND NOT (($3::smallint[])[width_bucket(j.seq, $1::bigint[])] = DIED AND j.crashes + 1 >= j.max_crashes)
  RETURNING settled_delivery, id, queue
), rung AS MATERIALIZED (
  SELECT queuekit.ring($6::text[], cardinality($1::bigint[]))
)
SELECT back.* FROM rung CROSS JOIN back

-- name: end_return
-- Ends one running job that can't go back: its cancellation was requested, or this death was its last.
-- $1 seq, $2 delivery, $3 kind, $4 error, $5 age of failed records
SELECT queuekit.end_return($1::bigint, $2::bigint, $3::smallint, $4::text, $5::bigint)

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
