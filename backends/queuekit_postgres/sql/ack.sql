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
