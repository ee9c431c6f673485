-- A function that writes is VOLATILE: each of its statements sees what was committed before it began.

CREATE FUNCTION queuekit.now_us() RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT (extract(epoch FROM statement_timestamp()) * 1000000)::bigint
$$;

-- The state of a job that may run now.
CREATE FUNCTION queuekit.ready(lapses smallint) RETURNS smallint LANGUAGE sql IMMUTABLE AS $$
  SELECT (CASE WHEN lapses < SUSPECT_AFTER THEN READY WHEN lapses < SOLITARY_AFTER THEN SUSPECT ELSE SOLITARY END)::smallint
$$;

CREATE FUNCTION queuekit.ready_or_scheduled(lapses smallint, due bigint) RETURNS smallint LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN due > queuekit.now_us() THEN SCHEDULED::smallint ELSE queuekit.ready(lapses) END
$$;

-- An error's JSON object with the time it was recorded; spliced, because nothing may re-encode it.
CREATE FUNCTION queuekit.stamped(error text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT '{"at":' || queuekit.now_us() || ',' || substr(ltrim(error), 2)
$$;

CREATE FUNCTION queuekit.event(name text, delivery bigint) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT '{"event":"' || name || '","at":' || queuekit.now_us() || ',"delivery":' || delivery || '}'
$$;

-- What the history says of a run that came back; nothing of a retry, which has left an error.
CREATE FUNCTION queuekit.came_back(kind smallint, delivery bigint) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT queuekit.event(
    CASE kind WHEN SNOOZED THEN 'snooze' WHEN RELEASED THEN 'release' WHEN DIED THEN 'death' END, delivery
  )
$$;

-- A list with one more element (unless it is null), cut to the last NOTES_KEPT.
CREATE FUNCTION queuekit.noted(list text[], element text) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN element IS NULL THEN list ELSE (list || element)[greatest(1, cardinality(list) + 2 - NOTES_KEPT):] END
$$;

-- Doorbells -----------------------------------------------------------------------------------------------------

-- The channel of a process, short enough for any name; of all processes: bell('').
CREATE FUNCTION queuekit.bell(process text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT 'queuekit_' || md5('queuekit./' || process)
$$;

-- Wakes sleepers of some queues. One that is rung is asleep no more, so that a busy system sends no NOTIFY (it takes a
-- global lock at commit); two more than jobs, as a sleeper may have been killed.
CREATE FUNCTION queuekit.ring(queues text[], jobs bigint) RETURNS void LANGUAGE sql VOLATILE AS $$
  WITH rung AS (
    DELETE FROM queuekit.sleepers
    WHERE process = ANY(ARRAY(
      SELECT s.process FROM queuekit.sleepers s
      WHERE s.queues && ring.queues AND s.until > queuekit.now_us()
      LIMIT ring.jobs + 2 FOR UPDATE SKIP LOCKED
    ))
    RETURNING process
  )
  SELECT pg_notify(queuekit.bell(process), '') FROM rung
$$;

-- Wakes one process. Its row goes, too, which it misses when it looks again should the bell be lost.
CREATE FUNCTION queuekit.wake(waking text) RETURNS void LANGUAGE sql VOLATILE AS $$
  DELETE FROM queuekit.sleepers WHERE process = waking;
  SELECT pg_notify(queuekit.bell(waking), '')
$$;

-- Wakes everybody: for a caller's own transaction, since those who fall asleep before it commits can't see it.
CREATE FUNCTION queuekit.ring_all(queues text[]) RETURNS void LANGUAGE sql VOLATILE AS $$
  SELECT pg_notify(queuekit.bell(''), queue) FROM (SELECT DISTINCT unnest(queues)) AS q (queue)
$$;

-- Tells those who wait for a job's end; whether there is one. They wait no more: the record stays for them.
CREATE FUNCTION queuekit.tell(job_queue text, job uuid) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  bells text[];
BEGIN
  WITH told AS (DELETE FROM queuekit.waiters w WHERE w.id = job AND w.queue = job_queue RETURNING *)
  SELECT array_agg(queuekit.bell(t.process)) INTO bells FROM told t WHERE t.until > queuekit.now_us();
  PERFORM pg_notify(bell, '') FROM unnest(bells) AS b (bell);
  RETURN bells IS NOT NULL;
END
$$;

-- Keys ----------------------------------------------------------------------------------------------------------

-- Makes a job the holder of its key, whoever held it before.
CREATE FUNCTION queuekit.take_key(job queuekit.jobs) RETURNS void LANGUAGE sql VOLATILE AS $$
  INSERT INTO queuekit.keys (queue, key, id, expires_at)
  VALUES (job.queue, job.key, job.id, job.key_expires)
  ON CONFLICT (queue, key) DO UPDATE SET id = excluded.id, expires_at = excluded.expires_at
$$;

-- Lets a job go on that waits for the holder of a key: the oldest, as several callers' transactions may have stored one
-- each. One that such a transaction has in hand is left to upkeep, so that no ack waits for it.
CREATE FUNCTION queuekit.succeed(job_queue text, job_key text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  heir queuekit.jobs;
BEGIN
  UPDATE queuekit.jobs
  SET state = queuekit.ready_or_scheduled(lapses, scheduled_at), seq = nextval('queuekit.jobs_seq_seq')
  WHERE seq = (
    SELECT j.seq FROM queuekit.jobs j WHERE j.state = WAITING AND j.queue = job_queue AND j.key = job_key
    ORDER BY j.seq LIMIT 1 FOR UPDATE SKIP LOCKED
  )
  RETURNING * INTO heir;
  IF FOUND THEN
    PERFORM queuekit.take_key(heir), queuekit.ring(ARRAY[job_queue], 1);
  END IF;
END
$$;

-- A keyed job has finished: frees its key, unless that is protected for longer, and lets its successor go on. One that
-- a caller's transaction has taken over is not waited for.
CREATE FUNCTION queuekit.free_key(job_queue text, job_key text, job uuid) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM FROM queuekit.keys k WHERE k.queue = job_queue AND k.key = job_key AND k.id = job FOR UPDATE SKIP LOCKED;
  IF FOUND THEN
    DELETE FROM queuekit.keys k WHERE k.queue = job_queue AND k.key = job_key AND k.expires_at IS NULL;
    PERFORM queuekit.succeed(job_queue, job_key);
  END IF;
  RETURN job_key;
END
$$;

-- A job has begun that held its key until then.
CREATE FUNCTION queuekit.free_started_key(job_queue text, job_key text, job uuid) RETURNS text
LANGUAGE sql VOLATILE AS $$
  DELETE FROM queuekit.keys k WHERE k.queue = job_queue AND k.key = job_key AND k.id = job;
  SELECT job_key
$$;

-- Ends ----------------------------------------------------------------------------------------------------------

-- Ends jobs in any state but by an ack; age: how long their records stay unless they say so themselves. Gives queue,
-- id, task and reason of each; null if there are none.
CREATE FUNCTION queuekit.finish(seqs bigint[], final smallint, why text, age bigint) RETURNS json
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
CREATE FUNCTION queuekit.end_return(place bigint, token bigint, kind smallint, error text, age bigint) RETURNS json
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
