-- One side of a cutover: see queuekit/backend/sides.py.

-- The lock of a queue's gate: whoever goes by the gate, or by the copies of the queue, and then writes shares it.
CREATE OR REPLACE FUNCTION queuekit.gate_lock(gate_queue text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT hashtextextended('queuekit.gates ' || gate_queue, 0)
$$;

-- Why the gate of a queue refuses a new job; null: it does not. What there is a copy of is known.
CREATE OR REPLACE FUNCTION queuekit.at_gate(
  job uuid, job_queue text, keyed boolean, patient boolean, guard queuekit.guard
) RETURNS queuekit.change LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  gate queuekit.gates;
  refused queuekit.change;
BEGIN
  IF patient THEN
    PERFORM pg_advisory_xact_lock_shared(queuekit.gate_lock(job_queue));
  END IF;
  IF EXISTS (SELECT FROM queuekit.copies c WHERE c.id = job AND c.queue = job_queue) THEN
    RETURN queuekit.refused(job, job_queue, 'known', NULL);
  END IF;
  SELECT * INTO gate FROM queuekit.gates g WHERE g.queue = job_queue;
  IF gate.shut THEN
    refused := queuekit.refused(job, job_queue, 'moved', NULL);
    refused.reason := gate.other;
  ELSIF keyed AND guard.until IS NULL AND NOT (gate.active AND gate.epoch = 1) THEN
    refused := queuekit.refused(job, job_queue, CASE WHEN gate.active THEN 'stale' ELSE 'moved' END, NULL);
    refused.reason := gate.other;
  ELSIF guard.epoch <> coalesce(gate.epoch, 0) THEN
    refused := queuekit.refused(job, job_queue, 'stale', NULL);
  ELSIF queuekit.now_us() > guard.until THEN
    refused := queuekit.refused(job, job_queue, 'late', NULL);
  END IF;
  RETURN refused;
END
$$;

-- What goes leaves a tombstone if its queue is in a cutover, unless there is one of a later generation.
CREATE OR REPLACE FUNCTION queuekit.bury(job uuid, job_queue text, job_generation integer) RETURNS void
LANGUAGE sql VOLATILE AS $$
  INSERT INTO queuekit.copies AS c (id, queue, kind, generation, epoch, delivery, text)
  SELECT job, job_queue, 'done', job_generation, 0, 0, queuekit.now_us()::text FROM queuekit.gates g WHERE g.queue = job_queue
  ON CONFLICT (id, queue) DO UPDATE
  SET kind = excluded.kind, generation = excluded.generation, epoch = 0, delivery = 0, text = excluded.text
  WHERE c.generation <= excluded.generation
$$;

-- Whether a job is there, or was taken out of line to be brought to the other side: then its key is held.
CREATE OR REPLACE FUNCTION queuekit.is_there(job uuid, job_queue text) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT FROM queuekit.jobs j WHERE j.id = job AND j.queue = job_queue)
    OR EXISTS (SELECT FROM queuekit.copies c WHERE c.id = job AND c.queue = job_queue AND c.kind = 'moving')
$$;

-- How many copies there are of each kind.
CREATE OR REPLACE FUNCTION queuekit.census(of_queue text) RETURNS TABLE (kind text, copies bigint) LANGUAGE sql VOLATILE AS $$
  SELECT CASE WHEN j.state = RUNNING THEN 'running' ELSE 'live' END, count(*) FROM queuekit.jobs j
  WHERE j.queue = of_queue GROUP BY 1
  UNION ALL
  SELECT 'failed', count(*) FROM queuekit.records r
  WHERE r.queue = of_queue AND r.state <> SUCCEEDED AND r.kept_until > queuekit.now_us() HAVING count(*) > 0
  UNION ALL
  SELECT c.kind, count(*) FROM queuekit.copies c WHERE c.queue = of_queue GROUP BY c.kind
$$;

-- Puts another gate in place of the one that somebody has seen (null: none), unless there are copies of some kinds; the
-- one that is there then.
CREATE OR REPLACE FUNCTION queuekit.turn(gate_queue text, before text, new queuekit.gates, without text[]) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  found text;
BEGIN
  PERFORM pg_advisory_xact_lock(queuekit.gate_lock(gate_queue));
  SELECT g.gate INTO found FROM queuekit.gates g WHERE g.queue = gate_queue;
  IF found IS DISTINCT FROM before
    OR EXISTS (SELECT FROM queuekit.census(gate_queue) AS c WHERE c.kind = ANY(without)) THEN
    RETURN found;
  END IF;
  DELETE FROM queuekit.gates g WHERE g.queue = gate_queue;
  INSERT INTO queuekit.gates SELECT new.* WHERE new.gate IS NOT NULL;
  RETURN new.gate;
END
$$;

-- What is there of jobs, in their order: without a text if it is a job or a record. The history is asked for all at once, as
-- each question goes to a table for each day, and only of what is nowhere else. To plan that for each call anew would take
-- longer than all the rest.
CREATE OR REPLACE FUNCTION queuekit.looked(ids uuid[], queues text[]) RETURNS SETOF queuekit.copies
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  now bigint := queuekit.now_us();
  unsure uuid[] := ARRAY(
    SELECT u.id FROM unnest(ids, queues) AS u (id, queue)
    WHERE NOT EXISTS (SELECT FROM queuekit.jobs j WHERE j.id = u.id AND j.queue = u.queue)
      AND NOT EXISTS (SELECT FROM queuekit.copies c WHERE c.id = u.id AND c.queue = u.queue AND c.kind <> 'done')
  );
BEGIN
  RETURN QUERY
  WITH ended AS (
    SELECT DISTINCT ON (r.id, r.queue) r.id, r.queue, r.generation, r.delivery, CASE
      WHEN r.kept_until > now AND r.state = SUCCEEDED THEN 'done'
      WHEN r.kept_until > now THEN 'failed'
      WHEN r.kept_until > now - REMEMBER_IDS THEN 'known'
    END AS kind
    FROM queuekit.records r WHERE r.id = ANY(unsure) ORDER BY r.id, r.queue, r.finished_at DESC
  )
  SELECT (f.found).* FROM (SELECT CASE
    WHEN j.id IS NOT NULL THEN
      (u.id, u.queue, CASE WHEN j.state = RUNNING THEN 'running' ELSE 'live' END, j.generation, 0, j.delivery, '')::queuekit.copies
    WHEN e.kind = 'done' THEN (u.id, u.queue, 'done', e.generation, 0, 0, '')::queuekit.copies
    WHEN e.kind = 'failed' THEN (u.id, u.queue, 'failed', e.generation, 0, e.delivery, '')::queuekit.copies
    WHEN c.kind IS NOT NULL THEN c
    WHEN e.kind = 'known' THEN (u.id, u.queue, 'done', FOR_EVER, 0, 0, '')::queuekit.copies
    ELSE (u.id, u.queue, 'absent', 0, 0, 0, '')::queuekit.copies
  END AS found
  FROM unnest(ids, queues) WITH ORDINALITY AS u (id, queue, n)
  LEFT JOIN queuekit.jobs j ON j.id = u.id AND j.queue = u.queue
  LEFT JOIN queuekit.copies c ON c.id = u.id AND c.queue = u.queue
  LEFT JOIN ended e ON e.id = u.id AND e.queue = u.queue
  ORDER BY u.n OFFSET 0) AS f;
END
$$;

-- Who holds keys; kind is null if nobody does, and absent if the job is gone and the key protected.
CREATE OR REPLACE FUNCTION queuekit.holders(of_queue text, of_keys text[])
RETURNS TABLE (id uuid, kind text, followed boolean) LANGUAGE sql VOLATILE AS $$
  SELECT k.id, CASE WHEN copy.kind IN ('live', 'running', 'moving') THEN copy.kind WHEN k.id IS NOT NULL THEN 'absent' END,
    EXISTS (SELECT FROM queuekit.jobs j WHERE j.state = WAITING AND j.queue = of_queue AND j.key = given.key)
  FROM unnest(of_keys) WITH ORDINALITY AS given (key, n)
  LEFT JOIN queuekit.keys k ON k.queue = of_queue AND k.key = given.key AND (
    k.expires_at > queuekit.now_us() OR k.expires_at IS NULL AND queuekit.is_there(k.id, of_queue)
  )
  LEFT JOIN LATERAL queuekit.looked(ARRAY[k.id], ARRAY[of_queue]) AS copy ON k.id IS NOT NULL
  ORDER BY given.n
$$;

-- Whether another job holds a key.
CREATE OR REPLACE FUNCTION queuekit.is_held(wanted text, of_queue text, job uuid) RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT wanted IS NOT NULL AND EXISTS (
    SELECT FROM queuekit.holders(of_queue, ARRAY[wanted]) AS h WHERE h.kind IS NOT NULL AND h.id <> job
  )
$$;

-- Ids of jobs of one state, in an order: from behind a place in it, which consists of two numbers.
CREATE OR REPLACE FUNCTION queuekit.page_of_line(of_queue text, code integer, first bigint, second bigint, bound integer)
RETURNS TABLE (job uuid, before bigint, behind bigint) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF code = READY THEN
    RETURN QUERY SELECT j.id, j.priority::bigint, j.seq FROM queuekit.jobs j
    WHERE j.state = READY AND j.queue = of_queue AND (j.priority, j.seq) > (first, second)
    ORDER BY j.priority, j.seq LIMIT bound;
  ELSIF code = SCHEDULED THEN
    RETURN QUERY SELECT j.id, j.scheduled_at, j.seq FROM queuekit.jobs j
    WHERE j.state = SCHEDULED AND j.queue = of_queue AND (j.scheduled_at, j.seq) > (first, second)
    ORDER BY j.scheduled_at, j.seq LIMIT bound;
  ELSE
    RETURN QUERY SELECT j.id, j.priority::bigint, j.seq FROM queuekit.jobs j
    WHERE j.state = code AND j.queue = of_queue AND (j.priority, j.seq) > (first, second)
    ORDER BY j.priority, j.seq LIMIT bound;
  END IF;
END
$$;

-- What becomes of steps (see `swap`): what was found for each, and why it is refused; null: it is not.
CREATE OR REPLACE FUNCTION queuekit.judged(given jsonb) RETURNS queuekit.step[] LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  ids uuid[] := ARRAY(SELECT (g ->> 'id')::uuid FROM jsonb_array_elements(given) AS g);
  queues text[] := ARRAY(SELECT g ->> 'queue' FROM jsonb_array_elements(given) AS g);
BEGIN
  RETURN ARRAY(
    SELECT (
      e.n, e.id, e.queue, e.kind, e.generation, e.epoch, e.delivery,
      CASE
        WHEN (g.epoch = (e.step ->> 'epoch')::bigint) IS NOT TRUE THEN 'stale'
        WHEN queuekit.now_us() > (e.step ->> 'until')::bigint THEN 'late'
        WHEN e.kind = 'running'
          OR (e.kind, e.generation, e.epoch, e.delivery) <> (b.kind, b.generation, b.epoch, b.delivery) THEN 'changed'
      END
    )::queuekit.step
    FROM ROWS FROM (jsonb_array_elements(given), queuekit.looked(ids, queues)) WITH ORDINALITY
      AS e (step, id, queue, kind, generation, epoch, delivery, text, n)
    CROSS JOIN LATERAL jsonb_populate_record(NULL::queuekit.copies, e.step -> 'before') AS b
    LEFT JOIN queuekit.gates g ON g.queue = e.queue
    ORDER BY e.n
  );
END
$$;

-- Puts mirrors where nothing is; the others, of which something may be there, are not given. It takes no lock: a mirror that
-- comes when the gate has just been turned does no harm.
CREATE OR REPLACE FUNCTION queuekit.hold(
  ids uuid[], queues text[], generations integer[], texts text[], at_epoch bigint, deadline bigint
) RETURNS TABLE (job uuid, job_queue text)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  RETURN QUERY
  INSERT INTO queuekit.copies AS c (id, queue, kind, generation, epoch, delivery, text)
  SELECT u.id, u.queue, 'held', u.generation, 0, 0, u.text
  FROM unnest(ids, queues, generations, texts) AS u (id, queue, generation, text)
  JOIN queuekit.gates g ON g.queue = u.queue AND g.epoch = at_epoch
  WHERE queuekit.now_us() <= deadline
    AND NOT EXISTS (SELECT FROM queuekit.jobs j WHERE j.id = u.id AND j.queue = u.queue)
    AND (u.id, u.queue) NOT IN (
      SELECT r.id, r.queue FROM queuekit.records r
      WHERE r.id = ANY(ids) AND r.kept_until > (SELECT queuekit.now_us()) - REMEMBER_IDS
    )
  ON CONFLICT ON CONSTRAINT copies_pkey DO NOTHING
  RETURNING c.id, c.queue;
END
$$;

-- Puts something else in place of copies, each for itself, if they are what somebody has seen; no two are of one job.
-- given: a JSON array of objects: id, queue, before (a copy), epoch, until (null: no deadline), frees (a key, or null), after
-- (a copy), and of what becomes a job or a record all columns in whole; it takes its key unless another job holds that. Gives
-- for each what was found, and why nothing was done. The lock is not shared: two who hold the same job would not see each other.
CREATE OR REPLACE FUNCTION queuekit.swap(given jsonb)
RETURNS TABLE (kind text, generation integer, epoch bigint, delivery bigint, refused text) LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  steps queuekit.step[];
  done queuekit.step[];
  arrivals jsonb;
BEGIN
  PERFORM pg_advisory_xact_lock(l) FROM (
    SELECT DISTINCT queuekit.gate_lock(g ->> 'queue') AS l FROM jsonb_array_elements(given) AS g ORDER BY l
  ) AS locks;
  PERFORM FROM queuekit.jobs j
  WHERE (j.id, j.queue) IN (SELECT (g ->> 'id')::uuid, g ->> 'queue' FROM jsonb_array_elements(given) AS g)
  ORDER BY j.seq FOR UPDATE;
  steps := queuekit.judged(given);
  done := ARRAY(SELECT s FROM unnest(steps) AS s WHERE s.refused IS NULL);

  DELETE FROM queuekit.jobs j USING unnest(done) AS s WHERE s.kind = 'live' AND j.id = s.id AND j.queue = s.queue;
  DELETE FROM queuekit.records r USING unnest(done) AS s WHERE s.kind = 'failed' AND r.id = s.id AND r.queue = s.queue;
  DELETE FROM queuekit.keys k USING unnest(done) AS s
  WHERE k.queue = s.queue AND k.key = given -> (s.n - 1) ->> 'frees' AND k.id = s.id AND k.expires_at IS NULL;
  DELETE FROM queuekit.copies c USING unnest(done) AS s
  WHERE c.id = s.id AND c.queue = s.queue
    AND (given -> (s.n - 1) ? 'whole' OR given -> (s.n - 1) -> 'after' ->> 'kind' = 'absent');
  INSERT INTO queuekit.copies AS c
  SELECT s.id, s.queue, a.kind, a.generation, a.epoch, a.delivery,
    CASE WHEN a.kind = 'done' THEN queuekit.now_us()::text ELSE a.text END
  FROM unnest(done) AS s
  CROSS JOIN LATERAL jsonb_populate_record(NULL::queuekit.copies, given -> (s.n - 1) -> 'after') AS a
  WHERE a.kind <> 'absent' AND NOT given -> (s.n - 1) ? 'whole'
  ON CONFLICT ON CONSTRAINT copies_pkey DO UPDATE SET
    kind = excluded.kind, generation = excluded.generation, epoch = excluded.epoch, delivery = excluded.delivery,
    text = excluded.text;
  SELECT jsonb_agg(a.whole || jsonb_build_object('n', a.n) ORDER BY a.n) INTO arrivals FROM (
    SELECT row_number() OVER (ORDER BY s.n) AS n, given -> (s.n - 1) -> 'whole' || CASE
      WHEN given -> (s.n - 1) -> 'whole' ->> 'key' IS NULL THEN '{}'
      WHEN queuekit.is_held(given -> (s.n - 1) -> 'whole' ->> 'key', s.queue, s.id) THEN '{"holds": false}' ELSE '{}'
    END::jsonb AS whole
    FROM unnest(done) AS s WHERE given -> (s.n - 1) ? 'whole'
  ) AS a;
  IF arrivals IS NOT NULL THEN
    PERFORM queuekit.arrive(arrivals, ARRAY(SELECT a FROM jsonb_populate_recordset(NULL::queuekit.arrival, arrivals) AS a));
  END IF;
  RETURN QUERY SELECT s.kind, s.generation, s.epoch, s.delivery, s.refused FROM unnest(steps) AS s ORDER BY s.n;
END
$$;
