-- What becomes of a job.

-- Ends jobs in any state but by an ack; age: how long their records stay unless they say so themselves. Gives queue,
-- id, task and reason of each; null if there are none.
CREATE OR REPLACE FUNCTION queuekit.finish(seqs bigint[], final smallint, why text, age bigint) RETURNS json
LANGUAGE sql VOLATILE AS $$
  WITH gone AS (
    DELETE FROM queuekit.jobs j WHERE j.seq = ANY(seqs)
    RETURNING j.*, queuekit.tell(j.queue, j.id) AS awaited, queuekit.now_us() AS now
  ), filed AS (
    INSERT INTO queuekit.records (
      kept_until, delivery, enqueued_at, scheduled_at, started_at, finished_at, expires_at, own_lease, settled_delivery,
      keep_age, id, attempt, max_attempts, generation, keep_count, state, priority, lapses, crashes, max_lapses,
      max_crashes, settled, key_hold, awaited, queue, task, payload, key, extra, progress, reason, tags, errors, history,
      logs
    )
    SELECT
      now + greatest(coalesce(keep_age, age), CASE WHEN awaited THEN KEEP_FOR_WAITERS ELSE 0 END), delivery, enqueued_at,
      scheduled_at, started_at, now, expires_at, own_lease, settled_delivery, keep_age, id, attempt, max_attempts,
      generation, keep_count, final, priority, lapses, crashes, max_lapses, max_crashes, settled, key_hold, awaited,
      queue, task, payload, CASE WHEN key IS NOT NULL THEN queuekit.free_key(queue, key, id) END, extra, progress, why,
      tags, errors, history, logs
    FROM gone
    RETURNING queue, id, task, reason
  )
  SELECT json_agg(json_build_array(queue, id, task, reason)) FROM filed
$$;

-- Ends a running job that can't go back: its cancellation was requested, or this death was its last. Gives what `finish`
-- does if the job has failed by it.
CREATE OR REPLACE FUNCTION queuekit.end_return(place bigint, token bigint, kind smallint, error text, age bigint) RETURNS json
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  ended queuekit.jobs;
BEGIN
  UPDATE queuekit.jobs j
  SET attempt = CASE WHEN kind = RETRIED THEN j.attempt ELSE j.attempt - 1 END,
    crashes = CASE WHEN kind = DIED THEN j.crashes + 1 ELSE j.crashes END,
    errors = queuekit.noted(j.errors, queuekit.stamped(error)),
    history = queuekit.noted(j.history, queuekit.came_back(kind, j.delivery)),
    settled = kind, settled_delivery = j.delivery
  WHERE j.seq = place AND j.delivery = token AND j.state + 0 = RUNNING
    AND (j.cancel_requested OR kind = DIED AND j.crashes + 1 >= j.max_crashes)
  RETURNING * INTO ended;
  IF ended.crashes >= ended.max_crashes AND kind = DIED THEN
    RETURN queuekit.finish(ARRAY[place], FAILED::smallint, 'crashed', age);
  ELSIF ended.id IS NOT NULL THEN
    PERFORM queuekit.finish(ARRAY[place], CANCELLED::smallint, NULL, age);
  END IF;
  RETURN NULL;
END
$$;
